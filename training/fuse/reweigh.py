"""Weighs the evidence for a pack's matches and captions anew, on val, without training: after the Align pack beside it has changed,
or the way to weigh. What the score of a pair, of a caption and the order of re-ranked hits hang on is written into the pack; its
weights stay.

    python -m training.fuse.reweigh --datasets DIR --cache DIR --align assets/models/lite-align --pack assets/models/lite-fuse
"""
import argparse
import json
import os

import torch

from ..run_log import run_log
from . import card, data, evaluate, export, features, golden, listen
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
    photos, hard = list(range(len(corpus.photos))), {}
    for language in data.LANGUAGES:
        said = tower.vectors([p.captions[language][0] for p in corpus.photos], o.cache, f"flickr8k_val_{language}", log)
        near = features.nearest_wrong(said, torch.tensor(photos), seen.vectors, 5).tolist()
        hard[language] = {p: [wrong] for p, wrong in zip(photos, near)}
    found = evaluate.weighed(model, evaluate.Eye(maker, tower), photos, hard, listen.share(by), log)
    return {**{k: found[k] for k in ("judge", "matching", "trust")}, "rerank_first": told,
            "align_weight": listen.align_weight(evaluate.Judge(**found["judge"]), by)}


def write(pack, metrics):
    """Into the configuration, the manifest, which knows the configuration's hash, and the card."""
    config, manifest = (json.loads(export.read(pack, name)) for name in ("config.json", "pack.json"))
    config |= {"match": metrics["judge"], "align_weight": metrics["align_weight"], "trust": metrics["trust"]}
    export.put(pack, "config.json", export.as_json(config))
    manifest["files"] = [export.listed(pack, f["name"]) for f in manifest["files"]]
    manifest["metrics"] |= metrics
    export.put(pack, "pack.json", export.as_json(manifest))
    export.put(pack, "MODEL_CARD.md", card.with_matching(export.read(pack, "MODEL_CARD.md"), metrics))


if __name__ == "__main__":
    main()
