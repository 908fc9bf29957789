"""Trains the heads, on frozen towers first, then with the towers' last layers."""
import copy
import os
import time
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from .heads import Heads, Member, common_space, fit_class_channel, some_texts
from .image import GRID
from .measure import distributions, recall, recall_of_any, recall_of_photos, unrelated_texts

HELD_OUT_PHOTOS, HELD_OUT_SEED = 450, 1


@dataclass
class Plan:
    """One stage of training. `kinds` are the shares of a flickr8k photo's texts; rates are peaks."""

    seed: int = 1
    epochs: int = 20
    batch: int = 512
    rate: float = 1e-3
    tower_rate: float = 0.0
    decay: float = 0.05
    kinds: tuple = (("en", 0.5), ("zh", 0.3), ("mt", 0.2))
    smoothing: float = 0.05
    names: int = 256
    names_weight: float = 0.3
    prototype_noise: float = 0.3
    classes_weight: float = 0.0
    cells: int = 27
    average: float = 0.98


FROZEN = Plan()
# The towers move slowly; the classifier must go on reading the grid as before.
TUNING = Plan(epochs=7, batch=384, rate=2e-4, tower_rate=5e-5, decay=0.02, names=128, classes_weight=0.5, cells=41)
# Then a little more, on the photos that were held out as well.
WHOLE = replace(TUNING, epochs=2, rate=5e-5, tower_rate=1.5e-5)


def held_out_photos(count, some=HELD_OUT_PHOTOS, seed=HELD_OUT_SEED):
    """Which of cocoqa's photos measure a run that has not seen them."""
    return sorted(torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:some].tolist())


def contrast(x, y, scale, smoothing=0.0, also=None, target=None):
    """Symmetric InfoNCE over pairs x[i], y[i]; where `also` [B,B], x[i] and y[j] are no pair but might be, and do not count.

    `target` [B,B]: how much x[i] is paired with y[j], where not with y[i] alone.
    """
    logits = scale * x @ y.T

    def side(logits, also, target):
        own = logits.diagonal() if target is None else (logits * target).sum(1) / target.sum(1)
        rest, mean = logits, logits.mean(1)
        if also is not None:
            rest, mean = logits.masked_fill(also, -1e4), logits.masked_fill(also, 0).sum(1) / (~also).sum(1)
        return (rest.logsumexp(1) - (1 - smoothing) * own - smoothing * mean).mean()

    turned = [None if m is None else m.T for m in (also, target)]
    return (side(logits, also, target) + side(logits.T, *turned)) / 2


class Model(nn.Module):
    """Towers (see towers.py), members and their temperature: what one run trains."""

    def __init__(self, towers, members):
        super().__init__()
        self.towers, self.members = towers, nn.ModuleList(members)
        self.scale = nn.Parameter(torch.tensor(3.0))


def new_members(corpus, count, seed):
    torch.manual_seed(seed)
    mean = corpus.train.said["en"].vectors.mean(0)
    return [Member(mean) for _ in range(count)]


def fit(corpus, model, plan, held_out, log, checkpoint=None):
    """Trains `model` on flickr8k's train split and the cocoqa photos not in `held_out`; returns the run's average.

    With `checkpoint` (a path) the state is kept after each epoch and a second run goes on from it.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    torch.manual_seed(plan.seed)
    train, qa, kinds = corpus.train, corpus.qa, dict(plan.kinds)
    groups = [{"params": [p for p in model.members.parameters()], "weight_decay": plan.decay, "lr": plan.rate},
              {"params": [model.scale], "weight_decay": 0.0, "lr": plan.rate},
              {"params": [p for p in model.towers.parameters()], "weight_decay": plan.decay, "lr": plan.tower_rate}]
    groups = [g for g in groups if g["params"]]
    optimiser = torch.optim.AdamW(groups)
    kept = torch.tensor(sorted(set(range(len(qa.paths))) - set(held_out)))
    n, total = len(train.paths), len(train.paths) + len(kept)
    per_epoch = total // plan.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=plan.epochs * per_epoch, pct_start=0.1)
    averaged, step, start = copy.deepcopy(model), 0, time.time()
    shares, noise = torch.tensor(list(kinds.values())), corpus.prototypes.std() * plan.prototype_noise
    if checkpoint and os.path.exists(checkpoint):
        saved = torch.load(checkpoint, weights_only=True)
        for part, name in ((model, "model"), (averaged, "averaged"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(saved[name])
        generator.set_state(saved["generator"])
        torch.set_rng_state(saved["rng"])
        step = saved["step"]
        log(f"going on from step {step}")
    model.train()
    while step < plan.epochs * per_epoch:
        if step % per_epoch == 0:
            order = torch.randperm(total, generator=generator)
        rows = order[step % per_epoch * plan.batch:][:plan.batch]
        sets = [(train, rows[rows < n]), (qa, kept[rows[rows >= n] - n])]
        cells = torch.randperm(GRID, generator=generator)[:plan.cells]
        seen = [model.towers.see(p, r, torch.rand(len(r), generator=generator) < 0.5, cells) for p, r in sets]
        grid, mean = (torch.cat(x) for x in zip(*seen))
        flickr, coco = sets[0][1], sets[1][1]
        kind = torch.multinomial(shares, len(flickr), replacement=True, generator=generator).tolist()
        choices = [train.said[k].pick(flickr, generator) for k in kinds]
        texts = [(train.said[list(kinds)[k]], choices[k][i]) for i, k in enumerate(kind)]
        texts += [(qa.said["statement"], i) for i in qa.said["statement"].pick(coco, generator)]
        # A classifier's row stands for a photo of its class, in one language a step.
        some = torch.randperm(len(corpus.prototypes), generator=generator)[:plan.names]
        names = corpus.names["en" if step % 2 else "zh"]
        read = model.towers.read(texts + [(names, i) for i in names.pick(some, generator)])
        said, named = read.split([len(texts), len(some)])
        shown = corpus.prototypes[some] + torch.randn(len(some), corpus.prototypes.shape[1], generator=generator) * noise
        k = model.scale.exp().clamp(max=100)
        losses = [contrast(m.image(grid, mean), m.text(said), k, plan.smoothing) + plan.names_weight * contrast(m.image(shown), m.text(named), k)
                  for m in model.members]
        loss = sum(losses)
        if plan.classes_weight:
            loss = loss + plan.classes_weight * class_drift(corpus, sets, mean)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        step += 1
        with torch.no_grad():
            pace = min(plan.average, step / (step + 10))
            for average, now in zip(averaged.parameters(), model.parameters()):
                average.lerp_(now, 1 - pace)
        if step % 20 == 0:
            log(f"step {step} of {plan.epochs * per_epoch}: loss {loss.item() / len(losses):.3f}, scale {k.item():.1f}, {time.time() - start:.0f} s")
        if checkpoint and step % per_epoch == 0:
            state = {"model": model.state_dict(), "averaged": averaged.state_dict(), "optimiser": optimiser.state_dict(),
                     "schedule": schedule.state_dict(), "generator": generator.get_state(), "rng": torch.get_rng_state(), "step": step}
            torch.save(state, checkpoint + ".part")
            os.replace(checkpoint + ".part", checkpoint)
    return averaged.eval()


def class_drift(corpus, sets, mean):
    """How far the classifier's reading of the tuned grids is from that of the frozen ones (KL divergence)."""
    frozen = torch.cat([p.means()[0, r] for p, r in sets])
    before, after = (F.linear(x, *corpus.classifier) for x in (frozen, mean))
    return F.kl_div(after.log_softmax(1), before.log_softmax(1), log_target=True, reduction="batchmean")


@torch.no_grad()
def assemble(corpus, members, held_out):
    """The heads of trained members: their common space, the class channel fitted to the corpus's text vectors, and texts that tell hubs.

    Of photos in `held_out` no text is among those.
    """
    train = corpus.train.said
    first = slice(0, len(corpus.train.paths))
    pairs = train["en"].vectors[first], train["mt"].vectors[first]
    classes = fit_class_channel(corpus.names["en"].vectors, corpus.names["zh"].vectors, corpus.names["zh"].of, pairs)
    grids = (corpus.qa.grids(part) for part in torch.arange(len(corpus.qa.paths)).split(128))
    shown = torch.cat([torch.cat([m.image(g) for m in members], 1) for g in grids])
    said = torch.cat([torch.cat([m.text(train[k].vectors[first]) for m in members], 1) for k in ("en", "zh")])
    heads = Heads(members, common_space(torch.cat([shown, said])), classes, corpus.classifier).eval()
    statements = corpus.qa.said["statement"]
    told = ~torch.isin(statements.of, torch.tensor(held_out, dtype=torch.long))
    heads.hubs = heads.read(some_texts([train["en"].vectors[first], train["zh"].vectors[first], statements.vectors[told], *(n.vectors for n in corpus.names.values())]))
    return heads


@torch.no_grad()
def embed_photos(heads, photos, batch=128):
    return torch.cat([heads.encode_images(photos.grids(part)) for part in torch.arange(len(photos.paths)).split(batch)])


@torch.no_grad()
def report(corpus, heads, held_out):
    """Every figure of a model, and the vectors of val (for calibration)."""
    val, qa = corpus.val, corpus.qa
    images, out = embed_photos(heads, val), {}
    texts = {k: heads.encode_texts(val.said[k].vectors) for k in ("en", "zh")}
    for kind, x in texts.items():
        scores = x @ images.T
        out[f"flickr8k_{kind}"] = {"queries": len(scores), "text_to_image": recall(scores, val.said[kind].of), "image_to_text": recall_of_photos(scores, val.said[kind].of)}
    if held_out:
        shown = torch.cat([heads.encode_images(qa.grids(part)) for part in torch.tensor(held_out).split(128)])
        place = torch.full((len(qa.paths),), -1)
        place[held_out] = torch.arange(len(held_out))
        ask = place[qa.said["statement"].of] >= 0
        scores = heads.encode_texts(qa.said["statement"].vectors[ask]) @ shown.T
        out["cocoqa_statements_held_out"] = {"text_to_image": recall(scores, place[qa.said["statement"].of[ask]])}
        objects = sorted({o for o, p in zip(corpus.objects, qa.said["object"].of.tolist()) if place[p] >= 0})
        first = {o: i for i, o in reversed(list(enumerate(corpus.objects)))}
        relevant = torch.zeros(len(objects), len(held_out), dtype=torch.bool)
        for o, p in zip(corpus.objects, qa.said["object"].of.tolist()):
            if place[p] >= 0:
                relevant[objects.index(o), place[p]] = True
        scores = heads.encode_texts(qa.said["object"].vectors[[first[o] for o in objects]]) @ shown.T
        out["cocoqa_objects_held_out"] = {"queries": len(objects), "text_to_image": recall_of_any(scores, relevant)}
    shown = heads.encode_images(corpus.prototypes)
    for kind, names in corpus.names.items():
        out[f"class_prototypes_{kind}"] = {"text_to_image": recall(heads.encode_texts(names.vectors) @ shown.T, names.of)}
    return out, images, texts


def calibrate(corpus, heads, images, texts):
    """Score distributions on val, for all texts and for each language."""
    own = {k: (texts[k] * images[corpus.val.said[k].of]).sum(1) for k in texts}
    with torch.no_grad():
        read = lambda texts: torch.cat([corpus.tower(corpus.tower.ids([t])) for t in texts])
        away = {k: heads.encode_texts(read(t)) @ images.T for k, t in unrelated_texts().items()}
    both = distributions(torch.cat([own["en"], own["zh"]]), torch.cat(list(away.values())))
    return {**both, "by_language": {k: distributions(own[k], away[k]) for k in texts}}
