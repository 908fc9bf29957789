"""Trains `lite-align` and writes its pack: see `--help` and training/README.md."""
import argparse
import json
import os
from dataclasses import replace

import torch

from ..run_log import run_log
from . import card, export, text
from .corpus import Corpus
from .towers import Frozen, Tuned, refresh
from .train import FROZEN, TUNING, WHOLE, Model, assemble, calibrate, fit, held_out_photos, new_members, report


def main():
    a = argparse.ArgumentParser(prog="python -m training.align", description=__doc__)
    a.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, captions_text)")
    a.add_argument("--cache", required=True, help="a folder for features and logs; a second run goes on from what it holds")
    a.add_argument("--out", required=True, help="the pack's folder")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--members", type=int, default=3, help="pairs of projections that speak side by side")
    a.add_argument("--epochs", type=int, default=FROZEN.epochs, help="of the heads alone")
    a.add_argument("--tuning-epochs", type=int, default=TUNING.epochs, help="of the towers' last layers with them")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--quick", action="store_true", help="fewer texts and no mirrored photos")
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    with run_log(o.cache, "train.log") as log:
        run(o, log)


def run(o, log):
    corpus = Corpus(o.datasets, o.cache, log, o.quick)
    held_out = held_out_photos(len(corpus.qa.paths))
    kept = lambda stage, epochs: os.path.join(o.cache, f"{stage}_seed{o.seed}_members{o.members}_epochs{epochs}.pt")
    model = Model(Frozen(), new_members(corpus, o.members, o.seed))
    model = fit(corpus, model, replace(FROZEN, seed=o.seed, epochs=o.epochs), held_out, log, kept("heads", o.epochs))
    log("heads: " + json.dumps(report(corpus, assemble(corpus, model.members, held_out), held_out)[0]))
    model.towers = Tuned(corpus)
    tuning = replace(TUNING, seed=o.seed, epochs=o.tuning_epochs)
    model = fit(corpus, model, tuning, held_out, log, kept("tuning", o.tuning_epochs))
    view, heads = settle(corpus, model, held_out, log)
    measured = report(view, heads, held_out)[0]
    log("held out: " + json.dumps(measured))
    # For `finish`, whose figures are of a run that goes on from here.
    first = text.FIRST_TUNED_LAYER
    export.write_parts(os.path.join(o.cache, "held_out"), heads, corpus.tower.encoder["layer"][first:], first, corpus.net)
    # What ships goes on from there, on everything.
    model = fit(corpus, model, replace(WHOLE, seed=o.seed), [], log, kept("whole", WHOLE.epochs))
    view, heads = settle(corpus, model, [], log)
    metrics, images, texts = report(view, heads, [])
    for name in ("cocoqa_statements_held_out", "cocoqa_objects_held_out"):
        metrics[name] = measured[name]
    metrics["vocabulary"] = {"rows": len(corpus.kept), "of": len(corpus.source.pieces), "val": corpus.vocabulary_loss}
    log("shipped: " + json.dumps(metrics))
    calibration = calibrate(view, heads, images, texts)
    log("calibration: " + json.dumps(calibration))
    settings = {"seed": o.seed, "members": o.members, "epochs": [o.epochs, o.tuning_epochs, WHOLE.epochs]}
    size = export.write_pack(o.out, corpus, heads, metrics, calibration, lambda h: card.text(metrics, calibration, settings, h))
    log(f"wrote {o.out}: {size / 1e6:.1f} MB")


def settle(corpus, model, held_out, log):
    """The tuned layers put into the corpus's towers as the pack keeps them: (the corpus as those see it, the heads)."""
    model.towers.write_back(corpus)
    view = refresh(corpus, model.towers, log)
    return view, export.rounded(assemble(view, model.members, held_out))


if __name__ == "__main__":
    main()
