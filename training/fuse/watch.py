"""A short look at the averaged weights while they are trained, on the device that trains; the best are kept."""
import time

import torch

from . import evaluate, export, listen

# What is looked at: photos, questions of each source, queries whose best hits are ordered anew.
PHOTOS, QUESTIONS, QUERIES = 300, 500, 250


class Watch:
    """`score` adds up CIDEr, the accuracies, the area under the curve against Align's wrong photos and R@1 as a share: what must not suffer."""

    def __init__(self, maker, names, hard, tower, cache, log, result):
        self.maker, self.names, self.hard, self.tower, self.cache, self.log, self.result = maker, names, hard, tower, cache, log, result
        self.eye, self.best = evaluate.Eye(maker, tower), None
        self.photos = maker.corpus.of("flickr8k_val")[:PHOTOS]
        self.asked = {}
        for q in maker.corpus.questions(training=False):
            self.asked.setdefault(q.source, []).append(q)

    @torch.no_grad()
    def figures(self, model):
        out = evaluate.captions(self.eye, self.photos, "en", evaluate.written(model, self.eye, self.photos, "en"))
        found = {k: out[k] for k in ("bleu4", "cider", "different")}
        for source, asked in self.asked.items():
            some = asked[::max(1, len(asked) // QUESTIONS)][:QUESTIONS]
            right = [a == q.answer for (a, _), q in zip(evaluate.answered(model, self.eye, some, self.names, "en"), some)]
            found[source] = round(sum(right) / len(right), 4)
        pairs = evaluate.compared(model, self.eye, self.photos, "en", self.hard)
        quiet = lambda _: None
        by, first = listen.weigh(*listen.asked(model, self.maker, self.tower, self.cache, quiet, most=QUERIES), quiet)
        matched = evaluate.matching(evaluate.judged({"en": pairs}, listen.share(by)), *pairs)
        found |= {k: matched[k] for k in ("auc_hard", "auc_head_hard", "auc_gain_hard", "auc_head_random")}
        return found | {"r1": first["both"], "r1_judge": first["alone"], "r1_align": first["align"]}

    def __call__(self, model, step, last=False):
        """The best weights are kept; the last ones also where they are hardly worse."""
        start, found = time.time(), self.figures(model)
        score = sum(v for k, v in found.items() if k in ("cider", "auc_head_hard", "auc_gain_hard", *self.asked)) + found["r1"] / 100
        kept = self.best is None or score > self.best - 0.03 * last
        if kept:
            self.best = score
            if self.result:
                export.write_parts(model.state_dict(), step, self.result)
        self.log(f"watch {step}: score {score:.4f}{' (kept)' * kept} {found} in {time.time() - start:.1f} s")
        if model.device.type == "cuda":
            self.log(f"most memory used: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
