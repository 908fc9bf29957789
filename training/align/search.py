"""Finds which runs of `finish` to average, and leaves the parts that `finish write` measures and writes: one command, made for a few minutes of a GPU.

1. The recipe of `python -m training.align` again, without some of cocoqa's photos: what a run starts from that has not seen them.
2. From there runs of different settings. Beginning with the best, one after another is averaged with those before it if that is
   better (Wortsman et al. 2022, arXiv:2203.05482), by `DEV_PHOTOS` of cocoqa's photos and by flickr8k's val (see `score`). The photos
   that measure the result are kept out of these runs as well, and are not looked at.
3. The same runs, averaged: from a start that lacks only the photos that measure (parts `held_out`), and from the pack on everything (`ship`).
"""
import argparse
import copy
import json
import os
import time
import traceback
from dataclasses import asdict, replace

import torch

from ..run_log import run_log
from . import export, text, views
from .finish import Model, Plan, fit, load, measure, settle
from .heads import Member
from .image import Tail
from .on_device import Corpus, Photos, sources_of
from .train import held_out_photos

DEV_PHOTOS, DEV_SEED, MEMBERS = 300, 2, 3
# A tenth photo of 450 stands about seventh of 300; some ranks around it, averaged, hang less on chance.
RANKS = range(3, 13)
KINDS = {"en": 0.5, "zh": 0.3, "mt": 0.2}

# The two stages of train.py, whose epochs are steps here.
ONE_TEXT = dict(texts=1, qa_weight=1.0, drawn_views=False, captions_weight=0.0, kinds={**KINDS, "statement": 1.0})
FROZEN = Plan(steps=290, batch=512, rate=1e-3, tower_rate=0.0, first_layer=12, cells=27, average=0.98, dropout=0.0, **ONE_TEXT)
TUNING = Plan(steps=140, batch=384, rate=2e-4, tower_rate=5e-5, tail_rate=5e-5, decay=0.02, names=128, classes_weight=0.5, average=0.98, **ONE_TEXT)

# What the runs differ by, beside their seed.
CHANGES = [
    {},
    {"member_dropout": 0.45},
    {"kinds": {**Plan().kinds, "borrowed": 0.4}},
    {"rate": 5e-4, "tower_rate": 6e-5},
    {"mix": 0.3},
    {"qa_weight": 4.0},
]


class Clock:
    """The time that is left, and a line for each phase's."""

    def __init__(self, seconds, log):
        self.start, self.seconds, self.log, self.last = time.time(), seconds, log, time.time()

    def left(self):
        return self.start + self.seconds - time.time()

    def done(self, what):
        """Says how long it took, and returns it."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        took, self.last = time.time() - self.last, time.time()
        self.log(f"[{took:.1f} s, {self.left():.0f} s left] {what}")
        return took


def new_members(corpus, seed):
    torch.manual_seed(seed)
    mean = corpus.frozen[corpus.train.said["en"].numbers()].mean(0).cpu()
    return [Member(mean) for _ in range(MEMBERS)]


def recipe(corpus, o, held_out, log):
    """(image tower, text tower, members, the corpus as they see it, the heads): what train.py makes without `held_out`."""
    net, tower, _ = load(o.pack, o.origin)
    corpus.see(net)
    model = Model(tower, new_members(corpus, o.seed), FROZEN, scale=3.0).to(corpus.device)
    frozen = fit(corpus, model, replace(FROZEN, seed=o.seed), held_out, log)
    model = Model(tower, frozen.members, TUNING, Tail(net), frozen.scale.item()).to(corpus.device)
    model = fit(corpus, model, replace(TUNING, seed=o.seed), held_out, log)
    with torch.no_grad():
        copy.deepcopy(model.tail).cpu().write_back(net)
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half().float())
    corpus.see(net)
    view, heads = settle(corpus, model, held_out)
    for i, layer in enumerate(model.layers, TUNING.first_layer):
        tower.encoder["layer"][i].load_state_dict(layer.state_dict())
    return net, tower, [copy.deepcopy(m).cpu() for m in model.members], view, heads


@torch.no_grad()
def borrow(corpus, heads, layers, first, best=4):
    """Lends each cocoqa photo a few captions of other photos of COCO, those that fit it by the heads and its statements by the untuned tower."""
    said, free = corpus.qa.said["statement"], corpus.free.numbers()
    reader = Model(corpus.tower, [], Plan(first_layer=first)).to(corpus.device)
    reader.layers = layers
    spoken = heads.encode_texts(reader.read(corpus, free))
    alike, captions = corpus.likeness[said.numbers()].float(), corpus.likeness[free].float()
    numbers, photos = [], torch.arange(len(corpus.qa.paths), device=corpus.device)
    for part in photos.split(256):
        seen = heads.encode_images(corpus.qa.grids(part)) @ spoken.T
        own = (said.of[:, None] == part).nonzero()
        told = torch.full_like(seen, -1).index_reduce_(0, own[:, 1], alike[own[:, 0]] @ captions.T, "amax", include_self=True)
        both = sum((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True).clamp(min=1e-6) for x in (seen, told))
        numbers.append(free[both.topk(best, 1).indices])
    corpus.lend(torch.cat(numbers).flatten(), photos.repeat_interleave(best))


@torch.no_grad()
def score(view, heads, dev):
    """(Dev statements' recall, averaged over RANKS, and a quarter of val's R@10 in each language; what it is made of)."""
    found, said = measure(view, heads, dev)[0], view.qa.said["statement"]
    place = torch.full((len(view.qa.paths),), -1, device=view.device)
    place[torch.tensor(dev, device=view.device)] = torch.arange(len(dev), device=view.device)
    right = place[said.of]
    shown = torch.cat([heads.encode_images(view.qa.grids(part)) for part in torch.tensor(dev, device=view.device).split(128)])
    scores = heads.encode_texts(said.vectors[right >= 0]) @ shown.T
    rank = (scores >= scores.gather(1, right[right >= 0][:, None])).sum(1) - 1
    dev_recall = sum(100 * (rank < k).float().mean().item() for k in RANKS) / len(RANKS)
    parts = {"dev": round(dev_recall, 2), "dev_statements": found["cocoqa_statements_held_out"]["text_to_image"],
             "dev_objects": found["cocoqa_objects_held_out"]["text_to_image"], **{k: found[f"flickr8k_{k}"]["text_to_image"] for k in ("en", "zh")}}
    return dev_recall + (parts["en"][2] + parts["zh"][2]) / 4, parts


def run(corpus, start, plan, held_out, log):
    """What `plan` makes of a start (tower, members): the model before it is settled."""
    tower, members = start
    return fit(corpus, Model(tower, members, plan).to(corpus.device), plan, held_out, log)


@torch.no_grad()
def average(models):
    mean = copy.deepcopy(models[0])
    for now, *all_of_them in zip(mean.parameters(), *(m.parameters() for m in models)):
        now.copy_(torch.stack(all_of_them).mean(0))
    return mean


def search(corpus, start, plans, dev, without, reserve, clock, log):
    """The plans whose runs are best averaged, among those for which, and for whose like on the other starts, there is time."""
    tried, cost = [], 15.0
    for plan in plans:
        if tried and clock.left() < 2 * cost + reserve(cost):
            log("no time for more runs")
            break
        try:
            model = run(corpus, start, plan, without + dev, log)
            value, parts = score(*settle(corpus, copy.deepcopy(model), without + dev), dev)
        except Exception:
            log(f"a run failed:\n{traceback.format_exc()}")
            torch.cuda.empty_cache()
            clock.done("a failure")
            continue
        cost = clock.done(f"run {len(tried)}: {value:.2f} {json.dumps(parts)}")
        tried.append((value, plan, model))
    tried.sort(key=lambda t: -t[0])
    best, chosen = tried[0][0], tried[:1]
    for candidate in tried[1:]:
        value, parts = score(*settle(corpus, average([m for *_, m in chosen + [candidate]]), without + dev), dev)
        log(f"{len(chosen)} and the one of seed {candidate[1].seed}: {value:.2f} {json.dumps(parts)}")
        if value > best and clock.left() > (len(chosen) + 1) * reserve(cost):
            best, chosen = value, chosen + [candidate]
    clock.done("averages")
    return [plan for _, plan, _ in chosen]


def all_of_it(o, log):
    clock = Clock(o.seconds, log)
    sources = sources_of(o.datasets)
    # Before anything touches the GPU: the processes are forked.
    pixels = {k: views.decode(s.paths, o.cache, k, o.processes) for k, s in sources.items()}
    clock.done("photos decoded")
    device = torch.device(o.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    net, tower, _ = load(o.pack, o.origin)
    clock.done("towers")
    photos = {k: Photos(s, views.middles(net, pixels[k], 1 if k == "val" else o.views, device)) for k, s in sources.items()}
    clock.done(f"{o.views} views")
    corpus = Corpus(sources, o.datasets, tower.to(device), photos, device)
    for layer in (text.FIRST_TUNED_LAYER, FROZEN.first_layer):
        corpus.enter(layer)
    corpus.read_as_they_are()
    clock.done(f"{len(corpus.lengths)} texts")
    out, count = lambda *name: os.path.join(o.out, *name), len(corpus.qa.paths)
    held_out = held_out_photos(count, min(450, count // 3))
    others = sorted(set(range(count)) - set(held_out))
    dev = [others[i] for i in held_out_photos(len(others), min(DEV_PHOTOS, count // 3), DEV_SEED)]

    def from_recipe(without):
        _, tower, members, view, heads = made = recipe(corpus, o, without, log)
        first = TUNING.first_layer
        borrow(corpus, heads, tower.encoder["layer"][first:].to(device), first)
        return made[0], (tower, members), view, heads

    def finished(start, held_out):
        model = average([run(corpus, start, plan, held_out, log) for plan in plans])
        return model, *settle(corpus, model, held_out)

    _, start, view, heads = from_recipe(held_out + dev)
    clock.done(f"the recipe without {len(held_out)} and {len(dev)} photos: {json.dumps(score(view, heads, dev))}")
    plans = [replace(Plan(seed=o.seed + i), **change) for i, change in enumerate(CHANGES)]
    # Each run that is averaged is made twice more.
    plans = search(corpus, start, plans, dev, held_out, lambda run: 2.2 * run + 5, clock, log)
    log(f"chosen: {json.dumps([asdict(plan) for plan in plans])}")
    with open(out("plan.json"), "w") as f:
        json.dump([asdict(plan) for plan in plans], f)
    first = text.FIRST_TUNED_LAYER
    try:
        net, start, view, heads = from_recipe(held_out)
        clock.done(f"before: {json.dumps(measure(view, heads, held_out)[0])}")
        model, view, heads = finished(start, held_out)
        clock.done(f"held_out: {json.dumps(measure(view, heads, held_out)[0])}")
        export.write_parts(out("held_out"), heads.cpu(), model.layers.cpu(), first, net)
    except Exception:
        log(traceback.format_exc())
    net, tower, members = load(o.pack)
    corpus.see(net)
    start = tower, members
    view, heads = settle(corpus, Model(tower, members, Plan()).to(device), [])
    log(f"shipped before: {json.dumps(measure(view, heads, [])[0])}")
    borrow(corpus, heads, copy.deepcopy(tower.encoder["layer"][first:]).to(device), first)
    model, view, heads = finished(start, [])
    clock.done(f"ship: {json.dumps(measure(view, heads, [])[0])}")
    export.write_parts(out("ship"), heads.cpu(), model.layers.cpu(), first)


def main():
    a = argparse.ArgumentParser(prog="python -m training.align.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, captions_text)")
    a.add_argument("--cache", required=True, help="a folder for decoded photos")
    a.add_argument("--pack", required=True, help="the pack that the last run starts from; its image tower stays")
    a.add_argument("--origin", required=True, help="what `finish origin` left")
    a.add_argument("--out", required=True, help="a folder for the parts, the settings and the log")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--device", default="cuda")
    a.add_argument("--seconds", type=float, default=230, help="that all of it may take: fewer changes are tried where that is short")
    a.add_argument("--views", type=int, default=10, help="of each photo: plain, mirrored, then drawn ones")
    a.add_argument("--processes", type=int, default=os.cpu_count(), help="that decode photos")
    o = a.parse_args()
    os.makedirs(o.cache, exist_ok=True)
    with run_log(o.out, "search.log") as log:
        all_of_it(o, log)


if __name__ == "__main__":
    main()
