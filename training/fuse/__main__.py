"""Trains `lite-fuse` and writes its pack: see `--help` and training/README.md."""
import argparse
import json
import os

import torch

from ..run_log import run_log
from . import card, data, evaluate, export, features, listen, words
from .batches import Maker, Mix
from .model import Fuse, Shape, flops
from .train import Settings, fit


def arguments():
    a = argparse.ArgumentParser(prog="python -m training.fuse", description=__doc__)
    a.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, daquar, captions_text)")
    a.add_argument("--cache", required=True, help="a folder for features, checkpoints and logs; a second run goes on from what it holds")
    a.add_argument("--align", required=True, help="the Align pack whose image tower the model looks through")
    a.add_argument("--out", required=True, help="the pack's folder")
    a.add_argument("--words", choices=("minilm", "align"), default="minilm", help="where the text weights come from")
    a.add_argument("--side", type=int, choices=(3, 4, 5), default=Shape.side, help="the 9x9 grid is averaged to side x side cells")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--steps", type=int, default=Settings.steps)
    a.add_argument("--minutes", type=float, default=0, help="train for so long instead of so many steps")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--no-mirror", dest="mirror", action="store_false", help="no mirrored photos (half the features to compute)")
    a.add_argument("--no-text-negatives", dest="text_negatives", action="store_false", help="hard negatives from photos alone: no captions through the text tower")
    a.add_argument("--photos", type=int, help="so many photos of each set, for trials")
    a.add_argument("--measure", type=int, default=1000, help="most photos or questions of each figure")
    return a.parse_args()


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    with run_log(o.cache, "fuse.log") as log:
        run(o, log)


def run(o, log):
    corpus = data.Corpus(o.datasets, o.photos)
    log(f"{len(corpus.photos)} photos, {len(corpus.asked)} questions, {sum(map(len, corpus.free.values()))} photos' captions without them")
    tower = features.Tower(o.align, o.cache)
    seen = features.Seen(tower, corpus.photos, o.side, o.cache, log, ("flickr8k_train", "cocoqa", "daquar") if o.mirror else ())
    vocabulary = words.cached(o.cache, o.words, o.align, *texts(corpus))
    hard = negatives(corpus, seen, tower, o, log)
    names = data.answers(corpus.questions(training=True))
    mix, settings = Mix(seed=o.seed), Settings(seed=o.seed, steps=o.steps, minutes=o.minutes)
    shape = Shape(vocabulary.rows, vocabulary.said, len(names), o.side, heads=vocabulary.heads)
    torch.manual_seed(o.seed)
    model = Fuse(shape)
    model.start_from(vocabulary.state)
    log(f"{shape}; {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M numbers; forward {flops(shape, 22) / 1e9:.2f} GFLOP a pair, "
        f"{flops(shape, 6 + 3 * 15, 45) / 3e9:.2f} a caption of three side by side")
    maker = Maker(corpus, seen, vocabulary, names, hard, mix)
    averaged, steps = fit(model, maker, settings, o.cache, log)
    model = export.rounded(averaged)
    metrics = evaluate.report(model, maker, names, hard, log, o.measure, tower=tower)
    metrics["align_weight"], metrics["rerank_first"] = listen.weigh(model, evaluate.Judge(**metrics["judge"]), maker, tower, o.cache, log)
    text = card.text(metrics, shape, settings, steps, o.words, tower.hash, len(names), o.measure)
    size = export.write_pack(o.out, model, vocabulary, data.labels(names), mix, metrics, text,
                             {"pack": "lite-align", "tower": tower.image_hash})
    log("metrics: " + json.dumps(metrics))
    log(f"wrote {o.out}: {size / 1e6:.1f} MB")


def texts(corpus):
    """(what may be written, what must be read besides)."""
    written = [t for p in corpus.photos for k in ("en", "zh", "mt") for t in p.captions.get(k, ()) if p.source != "flickr8k_val"]
    written += [t for lists in corpus.free.values() for captions in lists for t in captions]
    from .swap import Classes
    classes = Classes()
    # Whatever a tag says may be written, however rare.
    written += [name for pair in classes.names + classes.general for name in pair for _ in range(3)]
    return written, [t for q in corpus.asked for t in (q.english, q.chinese) if t]


def negatives(corpus, seen, tower, o, log):
    """{language: {photo: [photos that Align confuses with it, for each caption]}} for flickr8k."""
    out = {}
    for language in data.LANGUAGES:
        out[language] = {}
        for source in ("flickr8k_train", "flickr8k_val"):
            photos = corpus.of(source)
            vectors = seen.vectors[photos]
            # Of val the first caption alone is judged.
            count = {"flickr8k_train": 5, "flickr8k_val": 1}[source]
            owners = [i for i, p in enumerate(photos) for _ in corpus.photos[p].captions[language][:count]]
            if o.text_negatives:
                said = [t for p in photos for t in corpus.photos[p].captions[language][:count]]
                asks = tower.vectors(said, o.cache, f"{source}_{language}", log)
            else:
                asks = vectors[owners]
            for i, near in zip(owners, features.nearest_wrong(asks, torch.tensor(owners), vectors).tolist()):
                out[language].setdefault(photos[i], []).append([photos[n] for n in near])
    return out


if __name__ == "__main__":
    main()
