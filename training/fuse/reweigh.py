"""Weighs the evidence for a pack's matches and captions anew, on val, without training: after the Align pack beside it has changed,
or the way to weigh. What the score of a pair, of a caption and the order of re-ranked hits hang on is written into the pack; its
weights stay.

    python -m training.fuse.reweigh --datasets DIR --cache DIR --align assets/models/lite-align --pack assets/models/lite-fuse
"""
import argparse
import hashlib
import json
import os
from dataclasses import asdict

import torch

from ..run_log import run_log
from . import card, data, evaluate, features, golden, listen
from .batches import Maker, Mix


def main():
    a = argparse.ArgumentParser(prog="python -m training.fuse.reweigh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("datasets", "cache", "align", "pack"):
        a.add_argument(f"--{name}", required=True)
    a.add_argument("--threads", type=int, default=os.cpu_count())
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    with run_log(o.cache, "fuse.log") as log:
        write(o.pack, weighed(o, log))


def weighed(o, log):
    """What changes of a pack's figures."""
    corpus = data.Corpus(o.datasets)
    corpus.photos, corpus.asked, corpus.free = [corpus.photos[p] for p in corpus.of("flickr8k_val")], [], {k: [] for k in data.LANGUAGES}
    tower = features.Tower(o.align, o.cache)
    model, words, labels = golden.stored(o.pack)
    seen = features.Seen(tower, corpus.photos, model.shape.side, o.cache, log)
    maker = Maker(corpus, seen, words, labels["en"], {}, Mix())
    by, told = listen.weigh(*listen.asked(model, maker, tower, o.cache, log), log)
    eye, found = evaluate.Eye(maker, tower), {}
    photos = list(range(len(corpus.photos)))
    for language in data.LANGUAGES:
        said = tower.vectors([p.captions[language][0] for p in corpus.photos], o.cache, f"flickr8k_val_{language}", log)
        near = features.nearest_wrong(said, torch.tensor(photos), seen.vectors, 5).tolist()
        hard = {language: {p: [near[p]] for p in photos}}
        found[language] = evaluate.compared(model, eye, photos, language, hard)
    judge = evaluate.judged(found, listen.share(by))
    matching = {language: evaluate.matching(judge, *pairs) for language, pairs in found.items()}
    log(f"{judge}; matching: {matching}")
    trust = {}
    for language in data.LANGUAGES:
        fitted, figures = evaluate.trust(eye, photos, language, evaluate.written(model, eye, photos, language))
        trust[language] = asdict(fitted)
        log(f"trust {language}: {fitted} {figures}")
    return {"judge": asdict(judge), "align_weight": listen.align_weight(judge, by), "rerank_first": told, "matching": matching, "trust": trust}


def write(pack, metrics):
    """Into the configuration, the manifest, which knows the configuration's hash, and the card."""
    def change(name, how):
        path = os.path.join(pack, name)
        with open(path, encoding="utf8") as f:
            text = how(f.read())
        with open(path, "w", encoding="utf8") as f:
            f.write(text)
        return text.encode()

    def configured(text):
        return _json({**json.loads(text), "match": metrics["judge"], "align_weight": metrics["align_weight"], "trust": metrics["trust"]})

    raw = change("config.json", configured)

    def listed(text):
        manifest = json.loads(text)
        entry = next(f for f in manifest["files"] if f["name"] == "config.json")
        entry.update({"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()})
        manifest["metrics"].update(metrics)
        return _json(manifest)

    change("pack.json", listed)
    change("MODEL_CARD.md", lambda text: card.with_matching(text, metrics))


def _json(value):
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    main()
