"""Trains the heads on the frozen towers' features."""
import copy
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .heads import Heads, ImageHead, TextHead, fit_class_channel
from .image import GRID
from .measure import recall, recall_of_any, recall_of_photos


@dataclass
class Settings:
    """One run. `kinds` are the shares of a flickr8k photo's texts."""

    seed: int = 1
    epochs: int = 28
    batch: int = 512
    rate: float = 1e-3
    decay: float = 0.05
    kinds: tuple = (("en", 0.5), ("zh", 0.3), ("mt", 0.2))
    smoothing: float = 0.05
    classes: float = 0.3
    prototype_noise: float = 0.3
    cells: int = 27
    average: float = 0.98
    dropout: float = 0.3


def contrast(x, y, scale, smoothing=0.0):
    """Symmetric InfoNCE over pairs x[i], y[i]."""
    logits = scale * x @ y.T
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own, label_smoothing=smoothing) + F.cross_entropy(logits.T, own, label_smoothing=smoothing)) / 2


def class_channel(corpus):
    """The class channel, from names and from translations beside their English captions."""
    train = corpus.train.said
    photos = len(corpus.train.paths)
    slots = min(len(train["en"].vectors), len(train["mt"].vectors)) // photos
    pairs = train["en"].vectors[:slots * photos], train["mt"].vectors[:slots * photos]
    return fit_class_channel(corpus.names_en, corpus.names_zh, corpus.owner_zh, pairs)


def fit(corpus, settings, held_out, log):
    """Heads trained on flickr8k's train split and the cocoqa photos not in `held_out`."""
    s, generator = settings, torch.Generator().manual_seed(settings.seed)
    torch.manual_seed(s.seed)
    train, qa = corpus.train, corpus.qa
    heads = Heads(ImageHead(s.dropout), TextHead(train.said["en"].vectors.mean(0)), class_channel(corpus), corpus.classifier)
    scale = torch.nn.Parameter(torch.tensor(3.0))
    trained = [*heads.image.parameters(), *heads.text.parameters()]
    optimiser = torch.optim.AdamW([{"params": trained, "weight_decay": s.decay}, {"params": [scale], "weight_decay": 0.0}], lr=s.rate)
    kept = torch.tensor([i for i in range(len(qa.paths)) if i not in set(held_out)])
    n, total = len(train.paths), len(train.paths) + len(kept)
    steps = s.epochs * (total // s.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, s.rate, total_steps=steps, pct_start=0.1)
    averaged, names = copy.deepcopy(heads), dict(s.kinds)
    shares, noise, start = torch.tensor([names[k] for k in names]), corpus.prototypes.std() * s.prototype_noise, time.time()
    for step in range(steps):
        if step % (total // s.batch) == 0:
            order = torch.randperm(total, generator=generator)
        rows = order[step % (total // s.batch) * s.batch:][:s.batch]
        flickr, coco = rows[rows < n], kept[rows[rows >= n] - n]
        flip = torch.rand(len(rows), generator=generator) < 0.5
        cells = torch.randperm(GRID, generator=generator)[:s.cells]
        seen = [p.some_cells(r, f, cells) for p, r, f in ((train, flickr, flip[:len(flickr)]), (qa, coco, flip[len(flickr):]))]
        grid, mean = (torch.cat(x) for x in zip(*seen))
        kind = torch.multinomial(shares, len(flickr), replacement=True, generator=generator)
        choices = torch.stack([train.said[k].pick(flickr, generator) for k in names])
        said = torch.cat([choices[kind, torch.arange(len(flickr))], qa.said["statement"].pick(coco, generator)])
        k = scale.exp().clamp(max=100)
        loss = contrast(heads.image(grid, mean), heads.text(said), k, s.smoothing)
        if s.classes:
            some = torch.randperm(len(corpus.prototypes), generator=generator)[:256]
            if step % 2:
                name = corpus.names_en[some]
            else:
                # One of the class's Chinese names.
                first = torch.searchsorted(corpus.owner_zh, some)
                count = torch.searchsorted(corpus.owner_zh, some, right=True) - first
                name = corpus.names_zh[first + (torch.rand(len(some), generator=generator) * count).long()]
            shown = corpus.prototypes[some] + torch.randn(len(some), corpus.prototypes.shape[1], generator=generator) * noise
            loss = loss + s.classes * contrast(heads.image(shown), heads.text(name), k)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            pace = min(s.average, (step + 1) / (step + 10))
            for mean, now in zip(averaged.parameters(), heads.parameters()):
                mean.lerp_(now, 1 - pace)
        if step % 50 == 0:
            log(f"step {step} of {steps}: loss {loss.item():.3f}, scale {k.item():.1f}, {time.time() - start:.0f} s")
    return averaged.eval()


@torch.no_grad()
def embed_photos(heads, photos, batch=128):
    return torch.cat([heads.encode_images(photos.grids(torch.arange(i, min(i + batch, len(photos.paths))))) for i in range(0, len(photos.paths), batch)])


@torch.no_grad()
def report(corpus, heads, held_out):
    """Every figure of a model, and the vectors of val (for calibration)."""
    val, qa = corpus.val, corpus.qa
    images, out = embed_photos(heads, val), {}
    texts = {k: heads.encode_texts(val.said[k].vectors) for k in ("en", "zh")}
    for kind, x in texts.items():
        scores = x @ images.T
        out[f"flickr8k_{kind}"] = {"queries": len(scores), "text_to_image": recall(scores, val.said[kind].of), "image_to_text": recall_of_photos(scores, val.said[kind].of)}
    all_photos = embed_photos(heads, qa)
    if held_out:
        place = torch.full((len(qa.paths),), -1)
        place[held_out] = torch.arange(len(held_out))
        ask = place[qa.said["statement"].of] >= 0
        scores = heads.encode_texts(qa.said["statement"].vectors[ask]) @ all_photos[held_out].T
        out["cocoqa_statements_held_out"] = {"text_to_image": recall(scores, place[qa.said["statement"].of[ask]])}
        objects = sorted({o for o, p in zip(corpus.objects, qa.said["object"].of.tolist()) if place[p] >= 0})
        first = {o: i for i, o in reversed(list(enumerate(corpus.objects)))}
        relevant = torch.zeros(len(objects), len(held_out), dtype=torch.bool)
        for o, p in zip(corpus.objects, qa.said["object"].of.tolist()):
            if place[p] >= 0:
                relevant[objects.index(o), place[p]] = True
        scores = heads.encode_texts(qa.said["object"].vectors[[first[o] for o in objects]]) @ all_photos[held_out].T
        out["cocoqa_objects_held_out"] = {"queries": len(objects), "text_to_image": recall_of_any(scores, relevant)}
    shown = heads.encode_images(corpus.prototypes)
    out["class_prototypes_en"] = {"text_to_image": recall(heads.encode_texts(corpus.names_en) @ shown.T, torch.arange(1000))}
    out["class_prototypes_zh"] = {"text_to_image": recall(heads.encode_texts(corpus.names_zh) @ shown.T, corpus.owner_zh)}
    return out, images, texts
