"""Trains `lite-fuse` and writes its pack: see `--help` and training/README.md."""
import argparse
import json
import os
import time
from dataclasses import replace

import numpy as np
import torch

from ..run_log import run_log
from . import card, data, evaluate, export, features, golden, listen, views, words
from .batches import Maker, Mix
from .model import Fuse, Shape, flops
from .train import Settings, fit
from .watch import Watch
from .workers import Crew

# How batches are made and what a run is, on a few cores and on one large GPU. There the model is trained on from a pack: most is
# left to gain in telling photos apart.
PRESETS = {"cpu": (Mix(), Settings()),
           "gpu": (Mix(group=8, near=20), Settings(rate=2e-4, average=0.998, epoch=0, shares=(0.15, 0.3, 0.25, 0.3), late=1.0, watch=60))}
SCALED = ("photos", "pictures", "praised", "groups")


def arguments():
    a = argparse.ArgumentParser(prog="python -m training.fuse", description=__doc__)
    a.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, daquar, captions_text)")
    a.add_argument("--cache", required=True, help="a folder for features, checkpoints and logs; a second run goes on from what it holds")
    a.add_argument("--align", required=True, help="the Align pack whose image tower the model looks through")
    a.add_argument("--out", help="the pack's folder")
    a.add_argument("--result", help="train only, and keep the averaged weights in this folder, in parts")
    a.add_argument("--from-weights", metavar="DIR", help="do not train: measure and export the weights that --result kept, with the --start of their run")
    a.add_argument("--blend", type=float, default=1.0, help="with --from-weights: how far from the weights of --start to those that were kept")
    a.add_argument("--start", metavar="PACK", help="begin with a pack's weights, words and answers")
    a.add_argument("--words", choices=("minilm", "align"), default="minilm", help="where the text weights come from")
    a.add_argument("--side", type=int, choices=(3, 4, 5), default=Shape.side, help="the 9x9 grid is averaged to side x side cells")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--preset", choices=PRESETS, default="cpu")
    a.add_argument("--scale", type=int, default=1, help="batches so many times as large")
    a.add_argument("--dropout", type=float, default=Shape.dropout)
    a.add_argument("--rate", type=float)
    a.add_argument("--shares", type=lambda s: tuple(map(float, s.split(","))), help="of captions, groups, questions and praised captions, from first to last")
    a.add_argument("--watch", type=float, help="seconds from one short measurement to the next")
    a.add_argument("--steps", type=int, default=Settings.steps)
    a.add_argument("--minutes", type=float, default=0, help="train for so long instead of so many steps")
    a.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cuda: features are in its memory, and nothing is kept in the cache folder but hard negatives and the log")
    a.add_argument("--views", type=int, default=0, help="crops of each training photo, whose features are in memory, too")
    a.add_argument("--workers", type=int, help="processes that make batches; on a GPU all cores but one, else none")
    a.add_argument("--exact", action="store_true", help="wait for the device after each part of a step, for true times")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--no-mirror", dest="mirror", action="store_false", help="no mirrored photos (half the features to compute)")
    a.add_argument("--no-text-negatives", dest="text_negatives", action="store_false", help="hard negatives from photos alone: no captions through the text tower")
    a.add_argument("--photos", type=int, help="so many photos of each set, for trials")
    a.add_argument("--measure", type=int, default=1000, help="most photos or questions of each figure")
    o = a.parse_args()
    if not o.out and not o.result or o.from_weights and not (o.start and o.out):
        a.error("--out or --result is needed; with --from-weights --start and --out")
    return o


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    if o.device.type == "cuda":
        # Products of f32 by TF32; cuDNN would plan its attention anew for each length of a batch.
        torch.set_float32_matmul_precision("high")
        torch.backends.cuda.enable_cudnn_sdp(False)
    with run_log(o.cache, "fuse.log") as log:
        run(o, log)


def chosen(o):
    """The mix and the settings of a run."""
    mix, settings = PRESETS[o.preset]
    given = {k: v for k, v in (("rate", o.rate), ("shares", o.shares), ("late_shares", o.shares), ("watch", o.watch)) if v is not None}
    return (replace(mix, seed=o.seed, **{k: getattr(mix, k) * o.scale for k in SCALED}),
            replace(settings, seed=o.seed, steps=o.steps, minutes=o.minutes, **given))


def run(o, log):
    corpus = data.Corpus(o.datasets, o.photos)
    log(f"{len(corpus.photos)} photos, {len(corpus.asked)} questions, {sum(map(len, corpus.free.values()))} photos' captions without them")
    tower = features.Tower(o.align, o.cache)
    in_memory = o.device.type != "cpu" or o.views
    if in_memory:
        seen = views.Store(corpus.photos, o.side, o.views, o.device)
    else:
        seen = features.Seen(tower, corpus.photos, o.side, o.cache, log, ("flickr8k_train", "cocoqa", "daquar") if o.mirror else ())
    names = data.answers(corpus.questions(training=True))
    torch.manual_seed(o.seed)
    model, vocabulary, names = started(o, names) if o.start else new(o, corpus, names)
    hard = negatives(corpus, seen, tower, o, log)
    mix, settings = chosen(o)
    log(f"{model.shape}; {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M numbers; forward {flops(model.shape, 22) / 1e9:.2f} GFLOP a pair, "
        f"{flops(model.shape, 6 + 3 * 15, 45) / 3e9:.2f} a caption of three side by side")
    maker = Maker(corpus, seen, vocabulary, names, hard, mix)
    for language in data.LANGUAGES:
        maker.cider(language)
    crew = Crew(maker, o.workers if o.workers is not None else os.cpu_count() - 1 if o.device.type == "cuda" else 0)
    # From here on no process is forked.
    if in_memory:
        begun = time.time()
        for done in [crew.ask("seen.decode", at) for at in range(0, len(corpus.photos), views.DECODED)]:
            done()
        log(f"photos decoded in {time.time() - begun:.1f} s")
        tower = tower.on(o.device)
        seen.see(tower, log, o.seed)
    model = model.to(o.device)
    watch = Watch(maker, names, hard, tower, o.cache, log, o.result) if settings.watch else None
    if o.from_weights:
        state, steps = export.read_parts(o.from_weights)
        # Between what the model was and what it became (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
        model.load_state_dict({k: torch.lerp(old, state[k], o.blend) for k, old in model.state_dict().items()})
        averaged = model.eval()
    else:
        averaged, steps = fit(model, maker, settings, o.cache, log, crew, watch, o.exact)
    crew.close()
    if o.result and not o.from_weights:
        return watch(averaged, steps, last=True) if watch else export.write_parts(averaged.state_dict(), steps, o.result)
    finish(o, averaged.cpu(), maker, names, hard, tower, settings, steps, log)


def finish(o, averaged, maker, names, hard, tower, settings, steps, log):
    """Measures the model and writes its pack."""
    model = export.rounded(averaged).to(o.device)
    by, first = listen.weigh(*listen.asked(model, maker, tower, o.cache, log), log)
    metrics = evaluate.report(model, maker, names, hard, listen.share(by), log, o.measure, tower=tower)
    metrics["align_weight"], metrics["rerank_first"] = listen.align_weight(evaluate.Judge(**metrics["judge"]), by), first
    text = card.text(metrics, model.shape, settings, steps, o.words, tower.hash, len(names), o.measure)
    size = export.write_pack(o.out, model.cpu(), maker.words, data.labels(names), maker.mix, metrics, text,
                             {"pack": "lite-align", "tower": tower.image_hash})
    log("metrics: " + json.dumps(metrics))
    log(f"wrote {o.out}: {size / 1e6:.1f} MB")


def new(o, corpus, names):
    """(model, words, answers) with the words that the datasets need, and the text tower's weights."""
    vocabulary = words.cached(o.cache, o.words, o.align, *texts(corpus))
    model = Fuse(Shape(vocabulary.rows, vocabulary.said, len(names), o.side, heads=vocabulary.heads, dropout=o.dropout))
    model.start_from(vocabulary.state)
    return model, vocabulary, names


def started(o, names):
    """(model, words, answers) of a pack."""
    old, vocabulary, labels = golden.stored(o.start)
    # A few photos have fewer answers.
    if not o.photos and names != labels["en"]:
        raise SystemExit(f"{o.start} has other answers than these datasets: it cannot be trained on")
    if old.shape.side != o.side:
        raise SystemExit(f"{o.start} sees {old.shape.side} x {old.shape.side} cells")
    model = Fuse(replace(old.shape, dropout=o.dropout))
    model.load_state_dict(old.state_dict())
    return model, vocabulary, labels["en"]


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
    """{language: {photo: [photos that Align confuses with it, for each caption]}} for flickr8k. Kept in the cache folder, where those
    that need features and captions' vectors can be taken along without them."""
    path = os.path.join(o.cache, f"fuse_{tower.hash}_near{'' if o.text_negatives else '_seen'}_{len(corpus.photos)}.npz")
    kept = dict(np.load(path)) if os.path.exists(path) else {}
    out, new = {}, False
    for language in data.LANGUAGES:
        out[language] = {}
        for source in ("flickr8k_train", "flickr8k_val"):
            photos = corpus.of(source)
            # Of val the first caption alone is judged.
            count = {"flickr8k_train": 5, "flickr8k_val": 1}[source]
            owners = [i for i, p in enumerate(photos) for _ in corpus.photos[p].captions[language][:count]]
            if f"{source}_{language}" not in kept:
                if isinstance(seen, views.Store):
                    raise SystemExit(f"{path} is not there: a run on the CPU without --views makes it")
                vectors = seen.vectors[photos]
                if o.text_negatives:
                    said = [t for p in photos for t in corpus.photos[p].captions[language][:count]]
                    asks = tower.vectors(said, o.cache, f"{source}_{language}", log)
                else:
                    asks = vectors[owners]
                kept[f"{source}_{language}"] = features.nearest_wrong(asks, torch.tensor(owners), vectors).short().numpy()
                new = True
            for i, near in zip(owners, kept[f"{source}_{language}"].tolist()):
                out[language].setdefault(photos[i], []).append([photos[n] for n in near])
    if new:
        np.savez_compressed(path + ".part.npz", **kept)
        os.replace(path + ".part.npz", path)
    return out


if __name__ == "__main__":
    main()
