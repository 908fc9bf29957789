"""Trains `lite-align` and writes its pack: see `--help` and training/README.md."""
import argparse
import json
import os
import time

import torch

from . import card, export
from .corpus import Corpus, vectors
from .measure import distributions, unrelated_texts
from .text import states
from .train import Settings, fit, report

HELD_OUT_PHOTOS, HELD_OUT_SEED = 450, 1


def main():
    a = argparse.ArgumentParser(prog="python -m training.align", description=__doc__)
    a.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, captions_text)")
    a.add_argument("--cache", required=True, help="a folder for features and logs; a second run goes on from what it holds")
    a.add_argument("--out", required=True, help="the pack's folder")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--epochs", type=int, default=Settings.epochs)
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--quick", action="store_true", help="fewer texts and no mirrored photos")
    o = a.parse_args()
    os.makedirs(o.cache, exist_ok=True)
    torch.set_num_threads(o.threads)
    with open(os.path.join(o.cache, "train.log"), "a", encoding="utf8") as kept:
        def log(line):
            line = f"{time.strftime('%H:%M:%S')} {line}"
            print(line, flush=True)
            print(line, file=kept, flush=True)

        run(o, log)


def run(o, log):
    corpus = Corpus(o.datasets, o.cache, log, o.quick)
    settings = Settings(seed=o.seed, epochs=o.epochs)
    # First without 450 cocoqa photos, to measure on them; then the shipped heads, on everything.
    order = torch.randperm(len(corpus.qa.paths), generator=torch.Generator().manual_seed(HELD_OUT_SEED))
    held_out = sorted(order[:HELD_OUT_PHOTOS].tolist())
    measured = report(corpus, fit(corpus, settings, held_out, log), held_out)[0]
    log("held out: " + json.dumps(measured))
    heads = export.rounded(fit(corpus, settings, [], log))
    metrics, images, texts = report(corpus, heads, [])
    for name in ("cocoqa_statements_held_out", "cocoqa_objects_held_out"):
        metrics[name] = measured[name]
    metrics["vocabulary"] = {"rows": len(corpus.kept), "of": len(corpus.source.pieces), "val": corpus.vocabulary_loss}
    log("shipped: " + json.dumps(metrics))
    calibration = calibrate(corpus, heads, images, texts, o.cache, log)
    log("calibration: " + json.dumps(calibration))
    size = export.write_pack(o.out, corpus, heads, metrics, calibration, lambda h: card.text(metrics, calibration, settings, h))
    log(f"wrote {o.out}: {size / 1e6:.1f} MB")


def calibrate(corpus, heads, images, texts, cache, log):
    """Score distributions on val, for all texts and for each language."""
    own = {k: (texts[k] * images[corpus.val.said[k].of]).sum(1) for k in texts}
    with torch.no_grad():
        away = {k: heads.encode_texts(vectors(states(corpus.tower, t, cache, f"unrelated_{k}", log))) @ images.T
                for k, t in unrelated_texts().items()}
    both = distributions(torch.cat([own["en"], own["zh"]]), torch.cat(list(away.values())))
    return {**both, "by_language": {k: distributions(own[k], away[k]) for k in texts}}


if __name__ == "__main__":
    main()
