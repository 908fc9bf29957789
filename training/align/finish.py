"""The last stage of `lite-align`: the text tower's layers and the heads trained on, over many views of each photo, on a GPU or not.

The image tower stays as it is. A run starts from a pack, or from the parts of another checkpoint laid over it
(a folder with `heads.safetensors`, `text*.safetensors` of some layers and perhaps `image.safetensors` of some blocks),
and leaves such parts.
"""
import argparse
import copy
import json
import os
import time
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from ..run_log import run_log
from . import card, data, export, image, text, views
from .corpus import PER_PHOTO
from .heads import Member, stored_heads
from .towers import SOME
from .train import assemble, calibrate, contrast, held_out_photos, report

# "cat" -> "猫": cocoqa's answers in Chinese, written for lite-fuse.
ANSWERS_ZH = os.path.join(os.path.dirname(__file__), "..", "fuse", "answers_zh.tsv")
NO_OBJECT = -1
# In training: what share of a step's texts is cut at how many pieces, and the length of the rest.
SHORT, LONG = (0.75, 24), 40


@dataclass
class Plan:
    """One run. `kinds` are the shares of a photo's texts by set; a photo that has none of a kind says another."""

    seed: int = 1
    steps: int = 600
    batch: int = 1024
    rate: float = 2e-4
    tower_rate: float = 3e-5
    decay: float = 0.05
    first_layer: int = text.FIRST_TUNED_LAYER
    qa_weight: float = 2.0
    kinds: dict = field(default_factory=lambda: {"en": 0.5, "zh": 0.3, "mt": 0.2, "statement": 0.7, "object": 0.15, "object_zh": 0.15})
    texts: int = 2
    drawn_views: bool = True
    smoothing: float = 0.05
    names: int = 256
    names_weight: float = 0.3
    prototype_noise: float = 0.3
    captions: int = 512
    captions_weight: float = 0.1
    cells: int = 41
    average: float = 0.99
    dropout: float = 0.1
    # Whether the two sets' photos are no wrong answers for each other: style alone would tell them apart.
    apart: bool = False
    # How much two photos' grids are mixed (Beta), their texts shared: 0 is not at all.
    mix: float = 0.0
    # Members from nothing instead of the start's.
    fresh: bool = False


class Said:
    """Texts of one kind: number `first` and on of all texts; `of[i]` is the photo (or class) of text i of the kind."""

    def __init__(self, first, of, device):
        self.first, self.of, self.vectors = first, torch.as_tensor(of, device=device), None

    def numbers(self):
        return torch.arange(self.first, self.first + len(self.of), device=self.of.device)


class Photos:
    """Photos with what the trunk made of their views [V,N,208,9,9]."""

    def __init__(self, source, middle):
        self.paths, self.middle, self.said = source.paths, middle, {}

    @torch.no_grad()
    def look(self, tail, out):
        """The tail's grids of some views into `out` [V,N,81,1280] f16."""
        self.grid = out
        for view, kept in zip(self.middle, out):
            for at in range(0, len(view), 256):
                kept[at:at + 256] = tail(view[at:at + 256].float())

    def grids(self, photos):
        return self.grid[0, photos].float()


class Corpus:
    """Texts of all kinds as pieces, on the device, and the photos' views; what `report` and `assemble` read once `refresh` was called."""

    def __init__(self, datasets, tower, photos, device):
        self.device, self.tower, self.states = device, tower, {}
        self.train, self.val, self.qa = photos["train"], photos["val"], photos["qa"]
        sources, texts = sources_of(datasets), []

        def add(said, of):
            texts.extend(said)
            return Said(len(texts) - len(said), of, device)

        for name, source in sources.items():
            for kind, said in source.said.items():
                if (name, kind) != ("val", "mt"):
                    getattr(self, name).said[kind] = add(said, source.of[kind])
        self.objects, of = sources["qa"].said["object"], sources["qa"].of["object"]
        with open(ANSWERS_ZH, encoding="utf8") as f:
            chinese = dict(line.rstrip("\n").split("\t")[:2] for line in f)
        plural = lambda o: o.endswith("s") and not o.endswith("ss")
        phrases = [(o, p, f"{'' if plural(o) else 'an ' if o[0] in 'aeiou' else 'a '}{o}") for o, p in zip(self.objects, of)]
        phrases = [(o, p, t) for o, p, said in phrases for t in (o, said, f"a photo of {said}")]
        phrases_zh = [(o, p, t) for o, p in zip(self.objects, of) if o in chinese
                      for t in (chinese[o], f"一张{chinese[o]}的照片", f"照片里有{chinese[o]}")]
        shown = {kind: add([t for _, _, t in found], [p for _, p, _ in found]) for kind, found in (("object", phrases), ("object_zh", phrases_zh))}
        names = data.class_names()
        self.names = {"en": add([e for e, _ in names], list(range(len(names)))),
                      "zh": add([z for _, zs in names for z in zs], [i for i, (_, zs) in enumerate(names) for _ in zs])}
        # COCO's wording, without its photos. Flickr30k's captions stay out: val's are among them.
        free = [r["en"] for r in data.rows(f"{datasets}/captions_text/coco_en.jsonl.gz")]
        captions = add([c for five in free for c in five], [i for i, five in enumerate(free) for _ in five])
        encodings = tower.tokenizer.encode_batch([text.PREFIX + t for t in texts])
        lengths = torch.tensor([len(e.ids) for e in encodings])
        self.lengths, self.starts = lengths.to(device), (lengths.cumsum(0) - lengths).to(device)
        self.ids = torch.from_numpy(np.concatenate([e.ids for e in encodings])).to(device)
        # Which texts a photo may be given: of flickr8k's train split first, then of cocoqa.
        n = len(self.train.paths)
        sets = {k: (self.train.said[k], 0) for k in ("en", "zh", "mt")}
        sets |= {"statement": (self.qa.said["statement"], n), "object": (shown["object"], n), "object_zh": (shown["object_zh"], n)}
        self.kinds, self.choices = list(sets), Choices([(s.numbers(), s.of + at) for s, at in sets.values()], n + len(self.qa.paths))
        self.captions = Choices([(captions.numbers(), captions.of)], len(free))
        # A name fits every photo it was an answer for: `has[photo, object]`; the last column is for texts that are no names.
        number = {o: i for i, o in enumerate(sorted(set(self.objects)))}
        self.object_of = torch.full((len(texts),), NO_OBJECT)
        for kind, found in (("object", phrases), ("object_zh", phrases_zh)):
            self.object_of[shown[kind].numbers().cpu()] = torch.tensor([number[o] for o, _, _ in found])
        has = torch.zeros(n + len(self.qa.paths), len(number) + 1, dtype=torch.bool)
        has[torch.tensor(of) + n, torch.tensor([number[o] for o in self.objects])] = True
        self.has, self.object_of = has.to(device), self.object_of.to(device)

    @torch.no_grad()
    def enter(self, layer, numbers=None):
        """What enters text layer `layer`, kept flat in f16 as `states[layer]`; of all texts or of some."""
        numbers = torch.arange(len(self.lengths), device=self.device) if numbers is None else numbers
        flat = torch.zeros(len(self.ids), self.tower.embeddings["word_embeddings"].embedding_dim, dtype=torch.half, device=self.device)
        for part, at, seen in self.batches(numbers, 1024):
            ids = torch.where(seen, self.ids[at], self.tower.pad)
            flat[at[seen]] = self.tower.lower(ids, layer)[seen].half()
        self.states[layer] = flat

    def batches(self, numbers, size):
        """Texts of like length together: (places in `numbers`, pieces' places [B,L], which of them are real [B,L])."""
        order = self.lengths[numbers].argsort()
        for part in order.split(size):
            lengths = self.lengths[numbers[part]]
            reach = torch.arange(int(lengths.max()), device=self.device)
            seen = reach < lengths[:, None]
            yield part, torch.where(seen, self.starts[numbers[part]][:, None] + reach, 0), seen

    def fixed(self, numbers):
        """Texts as two batches whose shapes do not depend on them: [(pieces' places, which are real), ...] and the way back.

        The shorter texts go together; what is longer than a batch's length loses its end.
        """
        order, many = self.lengths[numbers].argsort(), int(len(numbers) * SHORT[0])
        out = []
        for part, length in ((order[:many], SHORT[1]), (order[many:], LONG)):
            reach = torch.arange(length, device=self.device)
            seen = reach < self.lengths[numbers[part]][:, None]
            out += [torch.where(seen, self.starts[numbers[part]][:, None] + reach, 0), seen]
        return *out, order.argsort()

    def see(self, net, views=None):
        """Puts an image tower's tail to work."""
        self.net, self.classifier = net, tuple(p.to(self.device) for p in image.classifier(net))
        tail, n, views = image.Tail(net).to(self.device), self.train.middle.shape[1], views or len(self.train.middle)
        room = lambda views, count: torch.empty(views, count, image.GRID, image.WIDTH, dtype=torch.half, device=self.device)
        self.grid = None  # the last tower's go first
        self.train.grid = self.qa.grid = None
        self.grid = room(views, n + self.qa.middle.shape[1])
        self.train.look(tail, self.grid[:, :n])
        self.qa.look(tail, self.grid[:, n:])
        self.val.look(tail, room(1, self.val.middle.shape[1]))
        self.means = torch.stack([torch.cat([g.float().mean(1) for g in view.split(512)]) for view in self.grid])
        length = self.means[0, :500].norm(dim=1).mean()
        self.prototypes = F.normalize(self.classifier[0], dim=1) * length


class Choices:
    """Of several kinds, the texts of each photo; drawn on the device."""

    def __init__(self, kinds, photos):
        self.starts, self.counts, orders, first = [], [], [], 0
        for numbers, of in kinds:
            order = of.argsort(stable=True)
            count = torch.bincount(of, minlength=photos)
            self.starts.append(count.cumsum(0) - count + first)
            self.counts.append(count)
            orders.append(numbers[order])
            first += len(order)
        self.starts, self.counts, self.order = torch.stack(self.starts, 1), torch.stack(self.counts, 1), torch.cat(orders)

    def draw(self, photos, shares, generator):
        """The number of one text of each photo, its kind by `shares` [K]."""
        kind = torch.multinomial((self.counts[photos] > 0) * shares, 1, generator=generator)[:, 0]
        u = torch.rand(len(photos), generator=generator, device=photos.device)
        count = self.counts[photos, kind]
        return self.order[self.starts[photos, kind] + (u * count).long().clamp(max=count - 1)]


class Model(nn.Module):
    """What one run trains: the text tower's layers from `first` on, the members and their temperature."""

    def __init__(self, tower, members, first, dropout):
        super().__init__()
        self.layers, self.members = copy.deepcopy(tower.encoder["layer"][first:]), nn.ModuleList(copy.deepcopy(m) for m in members)
        self.first, self.dropout = first, nn.Dropout(dropout)
        self.scale = nn.Parameter(torch.tensor(3.15))

    def read(self, corpus, numbers, size=1024):
        """Unit sentence vectors [B,384] of the texts with these numbers (not for training)."""
        states, out = corpus.states[self.first], None
        for part, at, seen in corpus.batches(numbers, size):
            x = text.upper(self.layers, states[at].float() * seen[..., None], seen)
            out = x.new_empty(len(numbers), x.shape[1]) if out is None else out
            out = out.index_copy(0, part, x)
        return out


    def hear(self, states, at, seen):
        """The same in training, of a batch of fixed shape."""
        with torch.autocast(states.device.type, torch.bfloat16, enabled=states.is_cuda, cache_enabled=False):
            return text.upper(self.layers, self.dropout(states[at].float() * seen[..., None]), seen).float()


class Draw:
    """The batches of a run: tensors whose shapes are always the same."""

    def __init__(self, corpus, plan, held_out):
        device = corpus.device
        self.corpus, self.plan, self.n = corpus, plan, len(corpus.train.paths)
        self.generator = torch.Generator(device).manual_seed(plan.seed)
        self.views = len(corpus.grid) if plan.drawn_views else min(2, len(corpus.grid))
        self.weight = torch.ones(self.n + len(corpus.qa.paths), device=device)
        self.weight[self.n:] = plan.qa_weight
        self.weight[torch.tensor(held_out, dtype=torch.long, device=device) + self.n] = 0
        self.shares, self.one = torch.tensor([plan.kinds[k] for k in corpus.kinds], device=device), torch.ones(1, device=device)
        self.noise = corpus.prototypes.std() * plan.prototype_noise
        self.beta = torch.distributions.Beta(*[torch.tensor(plan.mix or 1.0, device=device)] * 2)
        self.own = torch.eye(plan.batch, device=device)

    def some(self, count, size):
        return torch.randperm(count, generator=self.generator, device=self.corpus.device)[:size]

    def __call__(self, step):
        corpus, plan, generator = self.corpus, self.plan, self.generator
        photos = torch.multinomial(self.weight, plan.batch, generator=generator)
        view = torch.randint(self.views, (plan.batch,), generator=generator, device=corpus.device)
        grid = corpus.grid[view[:, None], photos[:, None], self.some(image.GRID, plan.cells)]
        mean, has, target, qa = corpus.means[view, photos], corpus.has[photos], self.own, photos >= self.n
        if plan.mix:
            other, share = self.some(plan.batch, plan.batch), self.beta.sample((plan.batch,))
            share = torch.maximum(share, 1 - share)
            mixed = lambda x: torch.lerp(x[other].float(), x.float(), share.view(-1, *[1] * (x.dim() - 1))).to(x.dtype)
            grid, mean, has = mixed(grid), mixed(mean), has | has[other]
            target = target * share[:, None] + self.own[other] * (1 - share)[:, None]
        said = [corpus.choices.draw(photos, self.shares, generator) for _ in range(plan.texts)]
        away = qa[:, None] != qa if plan.apart else torch.zeros_like(target, dtype=torch.bool)
        also = [(has[:, corpus.object_of[s]] | away) & (target == 0) for s in said]
        # A classifier's row stands for a photo of its class, in one language a step.
        names = corpus.names["en" if step % 2 else "zh"]
        named = self.some(len(names.of), plan.names)
        shown = corpus.prototypes[names.of[named]]
        shown = shown + torch.randn(shown.shape, generator=generator, device=corpus.device) * self.noise
        same = (names.of[named][:, None] == names.of[named]).fill_diagonal_(False)
        free = self.some(len(corpus.captions.counts), plan.captions)
        pair = [corpus.captions.draw(free, self.one, generator) for _ in range(2)]
        texts = corpus.fixed(torch.cat([*said, names.first + named, *pair]))
        return [grid, mean, target, shown, same, *texts, *also]


def loss_of(model, states, plan, grid, mean, target, shown, same, short, short_seen, long, long_seen, back, *also):
    """What one of Draw's batches costs, a member."""
    read = torch.cat([model.hear(states, short, short_seen), model.hear(states, long, long_seen)]).index_select(0, back)
    some = (len(read) - plan.texts * len(grid) - len(shown)) // 2
    read = read.split([len(grid)] * plan.texts + [len(shown)] + [some] * 2)
    k, grid, loss = model.scale.exp().clamp(max=100), grid.float(), 0
    for m in model.members:
        x, spoken = m.image(grid, mean), [m.text(r) for r in read]
        loss = loss + sum(contrast(x, y, k, plan.smoothing, a, target) for y, a in zip(spoken, also)) / plan.texts
        loss = loss + plan.names_weight * contrast(m.image(shown), spoken[plan.texts], k, 0.0, same)
        loss = loss + plan.captions_weight * contrast(*spoken[-2:], k)
    return loss


class Backward:
    """Loss and gradients of a batch. On a GPU the work is recorded once and replayed: it is thousands of small kernels."""

    def __init__(self, loss_of, parameters, batch):
        self.loss_of, self.parameters, self.graph = loss_of, parameters, None
        if batch[0].is_cuda:
            self.batch = [t.clone() for t in batch]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    self._run(self.batch)
            torch.cuda.current_stream().wait_stream(side)
            for p in parameters:
                p.grad = None
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.loss = self.loss_of(*self.batch)
                self.loss.backward()

    def _run(self, batch):
        for p in self.parameters:
            p.grad = None
        loss = self.loss_of(*batch)
        loss.backward()
        return loss.detach()

    def __call__(self, batch):
        if not self.graph:
            return self._run(batch)
        for kept, new in zip(self.batch, batch):
            kept.copy_(new)
        self.graph.replay()
        return self.loss


def fit(corpus, model, plan, held_out, log):
    """Trains `model` on flickr8k's train split and the cocoqa photos not in `held_out`; returns the run's average."""
    start = time.time()
    torch.manual_seed(plan.seed)
    groups = [{"params": list(model.members.parameters()), "weight_decay": plan.decay, "lr": plan.rate},
              {"params": [model.scale], "weight_decay": 0.0, "lr": plan.rate},
              {"params": list(model.layers.parameters()), "weight_decay": plan.decay, "lr": plan.tower_rate}]
    optimiser = torch.optim.AdamW(groups, fused=corpus.device.type == "cuda")
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=plan.steps, pct_start=0.1)
    averaged, parameters = copy.deepcopy(model), list(model.parameters())
    means = list(averaged.parameters())
    model.train()
    draw = Draw(corpus, plan, held_out)
    backward = Backward(lambda *batch: loss_of(model, corpus.states[plan.first_layer], plan, *batch), parameters, draw(0))
    for step in range(plan.steps):
        loss = backward(draw(step))
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            torch._foreach_lerp_(means, parameters, 1 - min(plan.average, (step + 1) / (step + 11)))
        if (step + 1) % 100 == 0 or step + 1 in (10, plan.steps):
            log(f"step {step + 1} of {plan.steps}: loss {loss.item() / len(model.members):.3f}, scale {model.scale.exp().item():.1f}, {time.time() - start:.1f} s")
    return averaged.eval()


@torch.no_grad()
def view_of(corpus, model, sets=("train", "val", "qa")):
    """The corpus with the model's vectors of what `assemble` and `report` read."""
    view, first = copy.copy(corpus), torch.arange(SOME, device=corpus.device)[:len(corpus.train.paths)]
    for name in sets:
        photos = copy.copy(getattr(corpus, name))
        photos.said = {kind: copy.copy(said) for kind, said in photos.said.items()}
        for kind, said in photos.said.items():
            said.vectors = model.read(corpus, said.first + first * PER_PHOTO[kind] if name == "train" else said.numbers())
        setattr(view, name, photos)
    view.names = {kind: copy.copy(said) for kind, said in corpus.names.items()}
    for said in view.names.values():
        said.vectors = model.read(corpus, said.numbers())
    return view


@torch.no_grad()
def settle(corpus, model):
    """(The corpus as the model sees it, the heads), both rounded as the pack keeps them."""
    model.eval()
    for matrix in (p for p in model.layers.parameters() if p.dim() == 2):
        matrix.copy_(text.dequantise_q8(text.quantise_q8(matrix.cpu())).to(matrix.device))
    view = view_of(corpus, model)
    with torch.device(corpus.device):
        heads = assemble(view, model.members)
    return view, export.rounded(heads.cpu()).to(corpus.device)


def measure(view, heads, held_out):
    """`report`, on the device."""
    with torch.device(view.device):
        return report(view, heads, held_out)


# Parts: what a run starts from and leaves

def load(pack, parts=None):
    """(image tower, text tower, members): the pack's, with the parts of another checkpoint laid over."""
    net, tower = image.load_tower(os.path.join(pack, "image.safetensors")), text.TextTower.of_pack(pack)
    files = sorted(os.listdir(parts)) if parts else []
    for name in files:
        path = os.path.join(parts, name)
        if name.startswith("text") and name.endswith(".safetensors"):
            missing = tower.load_state_dict(text.stored(path), strict=False)
            assert not missing.unexpected_keys
        elif name == "image.safetensors":
            named = image.published_names(net)
            with torch.no_grad():
                for key, value in load_file(path).items():
                    named[key].copy_(value)
    state = load_file(os.path.join(parts if "heads.safetensors" in files else pack, "heads.safetensors"))
    count = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("members."))
    members = [Member(torch.zeros(tower.embeddings["word_embeddings"].embedding_dim)) for _ in range(count)]
    for i, member in enumerate(members):
        stem = f"members.{i}."
        member.load_state_dict({k.removeprefix(stem): v.float() for k, v in state.items() if k.startswith(stem)})
    return net, tower, members


def train(o, log):
    """On the GPU: the run without the held-out photos and the one that ships, each into a folder of parts."""
    sources = sources_of(o.datasets)
    # Before anything touches the GPU: the processes are forked.
    pixels = {k: views.decode(s.paths, o.cache, k, o.processes) for k, s in sources.items()}
    log("photos decoded")
    device = torch.device(o.device)
    net, tower, _ = load(o.pack)
    photos = {k: Photos(s, views.middles(net, pixels[k], 1 if k == "val" else o.views, device)) for k, s in sources.items()}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    corpus, plan = Corpus(o.datasets, tower.to(device), photos, device), Plan(seed=o.seed)
    log(f"{len(corpus.lengths)} texts, views of photos")
    corpus.enter(plan.first_layer)
    for name, start, held_out in (("held_out", o.start, held_out_photos(len(corpus.qa.paths))), ("ship", None, [])):
        net, tower, members = load(o.pack, start)
        corpus.see(net)
        model = fit(corpus, Model(tower, members, plan.first_layer, plan.dropout).to(device), plan, held_out, log)
        view, heads = settle(corpus, model)
        log(f"{name}: {json.dumps(measure(view, heads, held_out)[0])}")
        export.write_parts(os.path.join(o.out, name), heads.cpu(), model.layers.cpu(), plan.first_layer, net)


def write(o, log):
    """Measures what `train` left, with the datasets' own photos, and writes the pack; its image tower stays byte for byte."""
    sources, device = sources_of(o.datasets), torch.device("cpu")
    photos = {}
    for k, source in sources.items():
        middle = image.features(source.paths, o.cache, source.name, log)[0]
        # Of the train split's photos no figure is made.
        photos[k] = Photos(source, torch.from_numpy(np.array(middle[:500] if k == "train" else middle))[None])
    corpus, first = None, text.FIRST_TUNED_LAYER
    for name, held_out in (("held_out", held_out_photos(len(sources["qa"].paths))), ("ship", [])):
        parts = os.path.join(o.parts, name)
        net, tower, members = load(o.pack, parts)
        if corpus is None:
            corpus = Corpus(o.datasets, tower, photos, device)
        lower = [p for t in (corpus.tower, tower) for p in [list(t.encoder["layer"][:first].parameters())]]
        corpus.tower = tower
        if first not in corpus.states or not all(map(torch.equal, *lower)):
            asked = [said.numbers() for p in (corpus.val, corpus.qa) for said in p.said.values()] + [said.numbers() for said in corpus.names.values()]
            corpus.enter(first, torch.cat(asked))
        corpus.see(net, 1)
        view, heads = view_of(corpus, Model(tower, members, first, 0.0).eval(), ("val", "qa")), stored_heads(os.path.join(parts, "heads.safetensors"), net)
        measured, images, texts = report(view, heads, held_out)
        log(f"{name}: {json.dumps(measured)}")
        if held_out:
            without = measured
    metrics = {**measured, **{k: v for k, v in without.items() if k.endswith("held_out")}}
    with open(os.path.join(o.pack, "pack.json"), encoding="utf8") as f:
        metrics["vocabulary"] = json.load(f)["metrics"]["vocabulary"]
    calibration = calibrate(view, heads, images, texts)
    with open(os.path.join(o.cache, "kept_rows.json")) as f:
        pack = SimpleNamespace(net=net, tower=tower, source=text.Source(), kept=json.load(f))
    settings = {"members": len(members), "before": "20, 7 and 2 epochs", **asdict(Plan(seed=o.seed))}
    size = export.write_pack(o.pack, pack, heads, metrics, calibration, lambda h: card.text(metrics, calibration, settings, h))
    log(f"wrote {o.pack}: {size / 1e6:.1f} MB")


def sources_of(datasets):
    return {"train": data.flickr8k(datasets, "train"), "val": data.flickr8k(datasets, "val"), "qa": data.cocoqa(datasets)}


def main():
    a = argparse.ArgumentParser(prog="python -m training.align.finish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = a.add_subparsers(dest="command", required=True)
    for name, run in (("train", train), ("write", write)):
        c = commands.add_parser(name, help=run.__doc__.split("\n")[0])
        c.set_defaults(run=run)
        c.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, captions_text)")
        c.add_argument("--cache", required=True, help="a folder for features, decoded photos and logs")
        c.add_argument("--pack", required=True, help="the pack's folder; `write` replaces its heads, text tower, manifest and card")
        c.add_argument("--seed", type=int, default=1)
        if name == "write":
            c.add_argument("--parts", required=True, help="what `train` left")
            continue
        c.add_argument("--start", required=True, help="the parts that `python -m training.align` left as `held_out` in its cache")
        c.add_argument("--out", required=True, help="a folder for the parts")
        c.add_argument("--device", default="cpu")
        c.add_argument("--views", type=int, default=8, help="of each photo: plain, mirrored, then drawn ones")
        c.add_argument("--processes", type=int, default=os.cpu_count(), help="that decode photos")
    o = a.parse_args()
    os.makedirs(o.cache, exist_ok=True)
    with run_log(o.cache, "finish.log") as log:
        o.run(o, log)


if __name__ == "__main__":
    main()
