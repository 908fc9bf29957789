"""Figures of a trained model on what it was not trained on. The program's own `eval` has the last word."""
import random
from collections import defaultdict
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from . import model as layout
from .data import LANGUAGES
from .reward import Cider, plain
from .sample import likeliest, unsaid
from .words import START


# What Align's cosine counts beside a caption's mean log probability when one of a beam is picked: see training/README.md.
PICK = 26.9


class Eye:
    """What the model is shown of photos; `blind`: neither picture nor tags, for the text-only baseline. `batch`: so many at once."""

    def __init__(self, maker, tower=None):
        self.maker, self.tower, self.batch = maker, tower, 512 if maker.seen.device.type == "cuda" else 64

    def show(self, photos, languages, blind=False):
        cells = self.maker.seen.cells(photos)
        tags = [[] if blind else self.maker.tag_ids(self.maker.tagged[p], l) for p, l in zip(photos, languages)]
        return tags, cells * 0 if blind else cells

    @torch.no_grad()
    def near(self, pairs):
        """The cosine of each (photo, text, language) in Align's space; 0 without its tower."""
        if self.tower is None:
            return [0.0] * len(pairs)
        texts, at = list(dict.fromkeys(t for _, t, _ in pairs)), {}
        for i in range(0, len(texts), self.batch):
            some = texts[i:i + self.batch]
            at.update(zip(some, self.tower.said(some)))
        return [float(at[t] @ self.maker.seen.vectors[p]) for p, t, _ in pairs]


def written(model, eye, photos, language, beam=3):
    """Captions of photos as the program writes them, by beam search, of whose sentences Align picks: [(text, mean log p of a token, cosine)]."""
    out, barred, batch = [], unsaid(eye.maker.words, language, model.shape.said), eye.batch // 2
    for at in range(0, len(photos), batch):
        some = photos[at:at + batch]
        tags, cells = eye.show(some, [language] * len(some))
        found = likeliest(model, tags, cells, START[language], barred, beam)
        offers = [(p, eye.maker.words.text(ids), total / count) for p, best in zip(some, found) for ids, total, count in best]
        near = eye.near([(p, text, language) for p, text, _ in offers])
        best = {}
        for (p, text, said), n in zip(offers, near):
            if p not in best or said + PICK * n > best[p][1] + PICK * best[p][2]:
                best[p] = text, said, n
        out += [best[p] for p in some]
    return out


def borne_out(caption, references, rare):
    """The share of a caption's words that people said of the photo, too, each word by its rarity."""
    said = set().union(*references)
    weights = [(rare((w,)), w in said) for w in caption]
    return sum(r for r, right in weights if right) / max(1e-9, sum(r for r, _ in weights))


@dataclass
class Trust:
    """What share of a caption will be borne out, told from how sure the model is of its words and how near Align finds it."""

    said: float = 1.0
    near: float = 0.0
    bias: float = 0.0

    def share(self, found):
        """Of [N,2]: mean log p, cosine."""
        return (found @ torch.tensor([self.said, self.near]) + self.bias).sigmoid()

    @classmethod
    def fitted(cls, found, right):
        return cls(*logistic(found, right, torch.full((len(right),), 1 / len(right))))


def trust(eye, photos, language, made):
    """Of captions `written`. Fitted on every second photo and measured on the others: (of all, {mean, expected calibration error, correlation})."""
    of = eye.maker.corpus.photos
    people = [[plain(c, language) for c in of[p].captions[language]] for p in photos]
    rare = Cider(people).rarity
    right = torch.tensor([borne_out(plain(text, language), c, rare) for (text, _, _), c in zip(made, people)])
    found = torch.tensor([[said, near] for _, said, near in made])
    told = Trust.fitted(found[::2], right[::2]).share(found[1::2])
    return Trust.fitted(found, right), {
        "borne_out": round(right.mean().item(), 4), "ece": calibration(right[1::2].tolist(), told.tolist()),
        "correlation": round(torch.corrcoef(torch.stack([told, right[1::2]]))[0, 1].item(), 3) if len(photos) > 3 else None}


def captions(eye, photos, language, made):
    """BLEU-4 and CIDEr of captions `written`, by pycocoevalcap; Chinese by characters."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider as Published
    of, scored = eye.maker.corpus.photos, lambda text, language: " ".join(plain(text, language))
    out = {p: text for p, (text, _, _) in zip(photos, made)}
    right, got = {p: [scored(c, language) for c in of[p].captions[language]] for p in photos}, {p: [scored(c, language)] for p, c in out.items()}
    bleu, cider = Bleu(4).compute_score(right, got, verbose=0)[0][3], Published().compute_score(right, got)[0]
    return {"photos": len(photos), "bleu4": round(float(bleu), 4), "cider": round(float(cider), 4), "different": len(set(out.values()))}


def auc(true, false):
    """The share of (true, false) pairs in the right order."""
    true, false = torch.tensor(true), torch.tensor(false).sort().values
    below, equal = torch.searchsorted(false, true), torch.searchsorted(false, true, right=True)
    return round(((below + equal).float() / 2 / len(false)).mean().item(), 4)


@torch.no_grad()
def evidence(model, eye, pairs):
    """What speaks for each (photo, text, language), [N,3]: the log-odds of the matching head on [CLS]; the
    gain, log p(text | picture) - log p(text), by which the picture makes the text a likelier caption; Align's cosine."""
    odds, seen, alone, batch = [], [], {}, eye.batch
    for at in range(0, len(pairs), batch):
        some = pairs[at:at + batch]
        tags, cells = eye.show([p for p, _, _ in some], [l for _, _, l in some])
        s = layout.placed(layout.sequence([[eye.maker.text_ids(t)] for _, t, _ in some], tags, cells), model.device)
        scores = model.matches(s.firsts(model(s)))
        odds += (scores[:, 1] - scores[:, 0]).tolist()
        seen += likelihoods(model, [eye.maker.caption_ids(t, l) for _, t, l in some], tags, cells)
    texts = list(dict.fromkeys((t, l) for _, t, l in pairs))
    for at in range(0, len(texts), batch):
        some = texts[at:at + batch]
        alone.update(zip(some, likelihoods(model, [eye.maker.caption_ids(t, l) for t, l in some], [[]] * len(some), None)))
    return torch.tensor([[o, s - alone[t, l], n] for o, s, n, (_, t, l) in zip(odds, seen, eye.near(pairs), pairs)])


def likelihoods(model, ids, tags, cells):
    """log p of each text, from its first token to [SEP], as a caption of its picture; words that captions never say are not counted."""
    s, following = layout.placed(layout.scored([[i] for i in ids], tags, cells, model.shape.said), model.device)
    scores = model.words(model(s)).log_softmax(-1).gather(2, following[..., None])[..., 0]
    return (scores * (following > 0)).sum(1).tolist()


@dataclass
class Judge:
    """How the evidence makes the odds of a match: a weight for each part of it, and a bias."""

    head: float = 1.0
    gain: float = 0.0
    near: float = 0.0
    bias: float = 0.0

    def odds(self, found):
        """Log-odds of evidence [N,3]."""
        return found @ torch.tensor([self.head, self.gain, self.near]) + self.bias

    @classmethod
    def fitted(cls, true, false, share):
        """Logistic regression; both sides weigh the same. `share`: what the gain counts beside the head (`listen.py`)."""
        of = torch.cat([torch.ones(len(true)), torch.zeros(len(false))])
        weigh = torch.cat([torch.full((len(true),), 0.5 / len(true)), torch.full((len(false),), 0.5 / len(false))])
        found = torch.cat([true, false])
        head, near, bias = logistic(torch.stack([found[:, 0] + share * found[:, 1], found[:, 2]], 1), of, weigh)
        return cls(head, round(head * share, 4), near, bias)


def logistic(x, of, weigh):
    """Logistic regression of shares `of` [N] on x [N,K], the samples weighed: K weights and the bias."""
    spread = x.std(0).clamp(min=1e-3)
    w = minimised(lambda w: (F.binary_cross_entropy_with_logits((x / spread) @ w[:-1] + w[-1], of, reduction="none") * weigh).sum(), x.shape[1] + 1)
    return [round(v, 4) for v in (*(w[:-1] / spread).tolist(), w[-1].item())]


@torch.enable_grad()
def minimised(loss, count):
    """The `count` numbers for which a convex loss is least."""
    w = torch.zeros(count, requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

    def step():
        optimiser.zero_grad()
        out = loss(w)
        out.backward()
        return out

    optimiser.step(step)
    return w.detach()


def compared(model, eye, photos, language, hard, seed=3):
    """Evidence for each photo's first caption with the photo itself, with another, and with Align's five best wrong ones."""
    of, draw = eye.maker.corpus.photos, random.Random(seed)
    own = [(p, of[p].captions[language][0], language) for p in photos]
    other = [(draw.choice([q for q in photos if q != p]), t, language) for p, t, _ in own]
    close = [(w, t, language) for p, t, _ in own for w in hard[language][p][0][:5]]
    return [evidence(model, eye, pairs) for pairs in (own, other, close)]


def matching(judge, own, other, close):
    """AUC of true pairs against random ones and against Align's wrong ones: of the judge, and of each part of the evidence alone."""
    figures = {"pairs": len(own)}
    for name, by in (("", judge), ("_head", Judge()), ("_gain", Judge(0.0, 1.0)), ("_near", Judge(0.0, 0.0, 1.0))):
        true = by.odds(own).tolist()
        figures |= {f"auc{name}_random": auc(true, by.odds(other).tolist()), f"auc{name}_hard": auc(true, by.odds(close).tolist())}
    return figures


@torch.no_grad()
def answered(model, eye, asked, names, language, blind=False):
    """(answer, probability) of each question."""
    out, batch = [], eye.batch
    for at in range(0, len(asked), batch):
        some = asked[at:at + batch]
        tags, cells = eye.show([q.photo for q in some], [language] * len(some), blind)
        s = layout.placed(layout.sequence([[eye.maker.text_ids(q.text(language))] for q in some], tags, cells), model.device)
        best = model.answers(s.firsts(model(s))).softmax(1).max(1)
        out += [(names[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist())]
    return out


def calibration(right, sure, bins=10):
    """Expected calibration error over bins of equal width; `right`: whether, or the share of, each was right."""
    right, sure = torch.tensor(right).float(), torch.tensor(sure)
    at = (sure * bins).long().clamp(max=bins - 1)
    return round(sum(abs(right[at == b].sum() - sure[at == b].sum()).item() for b in range(bins)) / len(right), 4)


def unsure_below(right, sure, wanted=0.5):
    """The probability from which answers are right at least `wanted` of the time."""
    pairs = sorted(zip(sure, right))
    for at in range(0, len(pairs), max(1, len(pairs) // 50)):
        rest = [r for _, r in pairs[at:]]
        if sum(rest[:max(20, len(rest) // 10)]) >= wanted * len(rest[:max(20, len(rest) // 10)]):
            return round(pairs[at][0], 3)
    return 1.0


def vqa(model, eye, asked, names, most, seed=3):
    """By source, language and kind: accuracy, and that of the same model without the picture."""
    groups, out, all_right, all_sure = defaultdict(list), {}, [], []
    for q in asked:
        for language in LANGUAGES:
            if q.text(language):
                groups[q.source, language].append(q)
    for (source, language), found in sorted(groups.items()):
        found = random.Random(seed).sample(found, min(most, len(found)))
        got, blind = (answered(model, eye, found, names, language, b) for b in (False, True))
        right = [a == q.answer for (a, _), q in zip(got, found)]
        kinds = defaultdict(lambda: [0, 0, 0])
        for q, r, (b, _) in zip(found, right, blind):
            for kind in (q.kind, "all"):
                kinds[kind][0] += 1
                kinds[kind][1] += r
                kinds[kind][2] += b == q.answer
        out[f"{source} {language}"] = {k: {"questions": n, "accuracy": round(r / n, 4), "without_picture": round(b / n, 4)} for k, (n, r, b) in sorted(kinds.items())}
        all_right += right
        all_sure += [p for _, p in got]
    return out, {"ece": calibration(all_right, all_sure), "unsure_below": unsure_below(all_right, all_sure)}


def drawn(photos, most, seed=3):
    """At most so many of a set's photos. Neighbours in its file were often described by the same person."""
    return sorted(random.Random(seed).sample(photos, min(most, len(photos))))


def judged(found, share):
    """The judge for what `compared` found, by language. Three easy pairs for each hard one: people ask about any photo, not only
    about those that Align found."""
    own, other, close = (torch.cat(parts) for parts in zip(*found.values()))
    return Judge.fitted(own, torch.cat([other.repeat(15, 1), close]), share)


def weighed(model, eye, photos, hard, share, log):
    """How pairs of photos and captions, and captions written, are judged, and how well. `share`: see `Judge.fitted`."""
    out = {"captions": {}, "trust": {}, "matching": {}}
    found = {language: compared(model, eye, photos, language, hard) for language in LANGUAGES}
    judge = judged(found, share)
    out["judge"] = asdict(judge)
    log(f"judge: {judge}")
    for language in LANGUAGES:
        made = written(model, eye, photos, language)
        fitted, figures = trust(eye, photos, language, made)
        out["trust"][language] = asdict(fitted)
        out["captions"][language] = captions(eye, photos, language, made) | {"trust": figures}
        log(f"captions {language}: {out['captions'][language]} {fitted} {[text for text, _, _ in made[:8]]}")
        out["matching"][language] = matching(judge, *found[language])
        log(f"matching {language}: {out['matching'][language]}")
    return out


def report(model, maker, names, hard, share, log, most=400, tower=None):
    """Every figure, at most `most` photos or questions each; the program counts (`program.py`). `share`: see `Judge.fitted`."""
    eye = Eye(maker, tower)
    out = weighed(model, eye, drawn(maker.corpus.of("flickr8k_val"), most), hard, share, log)
    out["vqa"], out["calibration"] = vqa(model, eye, maker.corpus.questions(training=False), names, most)
    for group, figures in out["vqa"].items():
        log(f"vqa {group}: {figures}")
    log(f"calibration: {out['calibration']}")
    return out
