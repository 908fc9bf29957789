"""The last stage of `lite-align`: the text tower's layers and the heads trained on, over many views of each photo, on a GPU or not.

This module holds the loop and what measures and writes the pack; `search` finds the settings and leaves the parts.
The image tower stays as it is. Parts are a folder with `heads.safetensors`, `text*.safetensors` of some layers
and perhaps `image.safetensors` of some blocks, to be laid over a pack.
"""
import argparse
import copy
import json
import os
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from ..run_log import run_log
from . import card, export, image, text
from .corpus import PER_PHOTO
from .heads import Member, stored_heads
from .on_device import Corpus, Photos, sources_of
from .towers import SOME
from .train import assemble, calibrate, contrast, held_out_photos, report


@dataclass
class Plan:
    """One run. `kinds` are the shares of a photo's texts by set; a photo that has none of a kind says another. Rates are peaks."""

    seed: int = 1
    steps: int = 300
    batch: int = 1024
    rate: float = 2e-4
    tower_rate: float = 3e-5
    # Of the image tower's last blocks; nothing: they stay.
    tail_rate: float = 0.0
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
    captions: int = 256
    captions_weight: float = 0.1
    classes_weight: float = 0.0
    cells: int = 41
    average: float = 0.99
    dropout: float = 0.1
    # Of the members' photo side.
    member_dropout: float = 0.3
    # How much two photos' grids are mixed (Beta), their texts shared: 0 is not at all.
    mix: float = 0.0


class Model(nn.Module):
    """What one run trains: the text tower's layers from the plan's first on, the members and their temperature, perhaps the image tower's tail."""

    def __init__(self, tower, members, plan, tail=None, scale=3.15):
        super().__init__()
        self.layers, self.members = copy.deepcopy(tower.encoder["layer"][plan.first_layer:]), nn.ModuleList(copy.deepcopy(m) for m in members)
        self.first, self.dropout, self.tail = plan.first_layer, nn.Dropout(plan.dropout), tail
        self.scale = nn.Parameter(torch.tensor(scale))
        for m in self.members:
            m.image.project.drop_in.p = m.image.project.drop_inner.p = plan.member_dropout

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

    def look(self, corpus, photos, mean, cells):
        """The cells of a batch's grids, the whole grids' means, and what the tail's reading by the classifier has drifted."""
        if self.tail is None:
            return photos.float(), mean, 0
        grid = self.tail(photos.float())
        before, after = (F.linear(x, *corpus.classifier) for x in (mean, grid.mean(1)))
        drift = F.kl_div(after.log_softmax(1), before.log_softmax(1), log_target=True, reduction="batchmean")
        return grid.index_select(1, cells), grid.mean(1), drift


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
        self.shares, self.one = torch.tensor([plan.kinds.get(k, 0.0) for k in corpus.kinds], device=device), torch.ones(1, device=device)
        self.noise = corpus.prototypes.std() * plan.prototype_noise
        self.beta = torch.distributions.Beta(*[torch.tensor(plan.mix or 1.0, device=device)] * 2)
        self.own = torch.eye(plan.batch, device=device)

    def some(self, count, size):
        return torch.randperm(count, generator=self.generator, device=self.corpus.device)[:size]

    def __call__(self, step):
        corpus, plan, generator = self.corpus, self.plan, self.generator
        photos = torch.multinomial(self.weight, plan.batch, generator=generator)
        view = torch.randint(self.views, (plan.batch,), generator=generator, device=corpus.device)
        cells = self.some(image.GRID, plan.cells)
        seen = corpus.middle[view, photos] if plan.tail_rate else corpus.grid[view[:, None], photos[:, None], cells]
        mean, has, target = corpus.means[view, photos], corpus.has[photos], self.own
        if plan.mix:
            other, share = self.some(plan.batch, plan.batch), self.beta.sample((plan.batch,))
            share = torch.maximum(share, 1 - share)
            mixed = lambda x: torch.lerp(x[other].float(), x.float(), share.view(-1, *[1] * (x.dim() - 1))).to(x.dtype)
            seen, mean, has = mixed(seen), mixed(mean), has | has[other]
            target = target * share[:, None] + self.own[other] * (1 - share)[:, None]
        said = [corpus.choices.draw(photos, self.shares, generator) for _ in range(plan.texts)]
        also = [has[:, corpus.object_of[s]] & (target == 0) for s in said]
        # A classifier's row stands for a photo of its class, in one language a step.
        names = corpus.names["en" if step % 2 else "zh"]
        named = self.some(len(names.of), plan.names)
        shown = corpus.prototypes[names.of[named]]
        shown = shown + torch.randn(shown.shape, generator=generator, device=corpus.device) * self.noise
        same = (names.of[named][:, None] == names.of[named]).fill_diagonal_(False)
        pair = []
        if plan.captions_weight:
            free = self.some(len(corpus.captions.counts), plan.captions)
            pair = [corpus.captions.draw(free, self.one, generator) for _ in range(2)]
        texts = corpus.fixed(torch.cat([*said, names.first + named, *pair]))
        return [seen, mean, cells, target, shown, same, *texts, *also]


def loss_of(model, corpus, plan, photos, mean, cells, target, shown, same, short, short_seen, long, long_seen, back, *also):
    """What one of Draw's batches costs, all members together."""
    states, count = corpus.states[plan.first_layer], len(photos)
    read = torch.cat([model.hear(states, short, short_seen), model.hear(states, long, long_seen)]).index_select(0, back)
    some = (len(read) - plan.texts * count - len(shown)) // 2
    read = read.split([count] * plan.texts + [len(shown)] + [some] * 2)
    grid, mean, drift = model.look(corpus, photos, mean, cells)
    k, loss = model.scale.exp().clamp(max=100), plan.classes_weight * drift
    for m in model.members:
        x, spoken = m.image(grid, mean), [m.text(r) for r in read if len(r)]
        loss = loss + sum(contrast(x, y, k, plan.smoothing, a, target) for y, a in zip(spoken, also)) / plan.texts
        loss = loss + plan.names_weight * contrast(m.image(shown), spoken[plan.texts], k, 0.0, same)
        if some:
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
            try:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    self.loss = self.loss_of(*self.batch)
                    self.loss.backward()
                self.graph = graph
            except RuntimeError as error:  # slower, but a run of minutes is not lost
                print(f"not recorded: {error}", flush=True)
                torch.cuda.synchronize()

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
    tail = [] if model.tail is None else list(model.tail.parameters())
    groups = [{"params": list(model.members.parameters()), "weight_decay": plan.decay, "lr": plan.rate},
              {"params": [model.scale], "weight_decay": 0.0, "lr": plan.rate},
              {"params": list(model.layers.parameters()), "weight_decay": plan.decay, "lr": plan.tower_rate},
              {"params": tail, "weight_decay": plan.decay, "lr": plan.tail_rate}]
    groups = [g for g in groups if g["params"]]
    optimiser = torch.optim.AdamW(groups, fused=corpus.device.type == "cuda")
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=plan.steps, pct_start=0.1)
    averaged, parameters = copy.deepcopy(model), list(model.parameters())
    means = list(averaged.parameters())
    model.train()
    draw = Draw(corpus, plan, held_out)
    backward = Backward(lambda *batch: loss_of(model, corpus, plan, *batch), parameters, draw(0))
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
def settle(corpus, model, held_out):
    """(The corpus as the model sees it, the heads), both rounded as the pack keeps them."""
    model.eval()
    for matrix in (p for p in model.layers.parameters() if p.dim() == 2):
        matrix.copy_(text.dequantise_q8(text.quantise_q8(matrix.cpu())).to(matrix.device))
    view = view_of(corpus, model)
    with torch.device(corpus.device):
        heads = assemble(view, model.members, held_out)
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


def origin(o, log):
    """Leaves the towers' last parts as they were before any tuning, for `search` where the packages are not installed."""
    first, few = text.FIRST_TUNED_LAYER, list(range(8))  # of the word table's rows: they are not written
    layers = text.TextTower.of_source(text.Source(), few).encoder["layer"][first:]
    export.write_parts(o.out, None, layers, first, image.load_tower())
    log(f"wrote {o.out}")


def write(o, log):
    """Measures what `search` left, with the datasets' own photos, and writes the pack; its image tower stays byte for byte."""
    sources, device = sources_of(o.datasets), torch.device("cpu")
    # Of the train split's photos no figure is made; some stand for how long a photo's mean is.
    sources["train"] = sources["train"].first(500)
    photos = {k: Photos(s, torch.from_numpy(np.array(image.features(s.paths, o.cache, s.name, log)[0]))[None]) for k, s in sources.items()}
    corpus, first = None, text.FIRST_TUNED_LAYER
    for name, held_out in (("held_out", held_out_photos(len(sources["qa"].paths))), ("ship", [])):
        parts = os.path.join(o.parts, name)
        net, tower, members = load(o.pack, parts)
        if corpus is None:
            corpus = Corpus(sources, o.datasets, tower, photos, device)
        lower = [p for t in (corpus.tower, tower) for p in [list(t.encoder["layer"][:first].parameters())]]
        corpus.tower = tower
        if first not in corpus.states or not all(map(torch.equal, *lower)):
            asked = [said.numbers() for p in (corpus.val, corpus.qa) for said in p.said.values()] + [said.numbers() for said in corpus.names.values()]
            corpus.enter(first, torch.cat(asked))
        corpus.see(net, 1)
        view, heads = view_of(corpus, Model(tower, members, Plan()).eval(), ("val", "qa")), stored_heads(os.path.join(parts, "heads.safetensors"), net)
        measured, images, texts = report(view, heads, held_out)
        log(f"{name}: {json.dumps(measured)}")
        if held_out:
            without = measured
    if o.only_measure:
        return
    metrics = {**measured, **{k: v for k, v in without.items() if k.endswith("held_out")}}
    with open(os.path.join(o.pack, "pack.json"), encoding="utf8") as f:
        metrics["vocabulary"] = json.load(f)["metrics"]["vocabulary"]
    calibration = calibrate(view, heads, images, texts)
    with open(os.path.join(o.cache, "kept_rows.json")) as f:
        pack = SimpleNamespace(net=net, tower=tower, source=text.Source(), kept=json.load(f))
    with open(os.path.join(o.parts, "plan.json")) as f:
        plans = json.load(f)
    # What all averaged runs have in common, and each one's own.
    common = {k: v for k, v in plans[0].items() if all(p[k] == v for p in plans)}
    settings = {"members": len(members), "before": "20, 7 and 2 epochs", **common, "averaged": [{k: v for k, v in p.items() if k not in common} for p in plans]}
    size = export.write_pack(o.pack, pack, heads, metrics, calibration, lambda h: card.text(metrics, calibration, settings, h))
    log(f"wrote {o.pack}: {size / 1e6:.1f} MB")


def main():
    a = argparse.ArgumentParser(prog="python -m training.align.finish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = a.add_subparsers(dest="command", required=True)
    for name, run in (("origin", origin), ("write", write)):
        c = commands.add_parser(name, help=run.__doc__.split("\n")[0])
        c.set_defaults(run=run)
        c.add_argument("--cache", required=True, help="the cache folder of `python -m training.align`: features, kept rows and logs")
        if name == "origin":
            c.add_argument("--out", required=True, help="a folder for the parts")
            continue
        c.add_argument("--datasets", required=True, help="the folder of datasets (flickr8k, cocoqa, captions_text)")
        c.add_argument("--pack", required=True, help="the pack's folder; its heads, text tower, manifest and card are replaced")
        c.add_argument("--parts", required=True, help="what `search` left")
        c.add_argument("--only-measure", action="store_true", help="write nothing but the log")
    o = a.parse_args()
    os.makedirs(o.cache, exist_ok=True)
    with run_log(o.cache, "finish.log") as log:
        o.run(o, log)


if __name__ == "__main__":
    main()
