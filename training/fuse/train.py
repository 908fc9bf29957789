"""The training loop: one task a step, drawn by its share; AdamW, averaged weights, a checkpoint an epoch."""
import copy
import math
import os
import random
import time
from collections import defaultdict, deque
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from . import model as layout
from . import sample
from .words import START
from .workers import Crew, Feed

# Weights are averaged each time that so many steps are done: a pass over all of them is not free.
AVERAGED = 5
# Captions of people, photos told apart, questions, and captions the model writes itself and is praised for.
TASKS = ("caption", "itm", "vqa", "scst")
# Pictures whose captions one process judges.
JUDGED = 16


@dataclass
class Settings:
    """One run. With `minutes` the rate falls with the time that has passed instead of the steps."""

    seed: int = 1
    steps: int = 12_000
    minutes: float = 0
    epoch: int = 500        # steps from one checkpoint to the next; 0: none is kept
    rate: float = 4e-4
    warm: float = 0.04
    decay: float = 0.05
    clip: float = 1.0
    smoothing: float = 0.1
    average: float = 0.999
    shares: tuple = (0.5, 0.15, 0.35, 0.0)   # of TASKS
    late: float = 0.74                      # from this part of the run on, others
    late_shares: tuple = (0.06, 0.12, 0.22, 0.6)
    watch: float = 0        # seconds from one look at the averaged weights to the next


def halved(device):
    """Where there is a GPU, matrices are multiplied in bf16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def loss_of(model, task, batch, smoothing):
    """(the task's loss, what the log shows of it, how many samples it counts)."""
    if task == "scst":
        return praised(model, *batch)
    with halved(model.device):
        loss = _loss(model, task, batch, smoothing)
    # Captions, pairs or questions.
    return loss, loss.detach(), batch[0].part.max(1).values.sum()


def _loss(model, task, batch, smoothing):
    s, target = batch
    hidden = model(s)
    if task == "caption":
        at = target > 0
        return F.cross_entropy(model.words(hidden[at]), target[at], label_smoothing=smoothing)
    firsts = s.firsts(hidden)
    if task == "itm":
        return told_apart(model, model.matches(firsts), *target)
    return F.cross_entropy(model.answers(firsts), target, label_smoothing=smoothing / 2)


def told_apart(model, scores, written, following, own):
    """Of each text of a group, which of its photos it is of: by the matching head (`scores` [pairs,2]) and by how likely
    the photo makes it as a caption; the head is also asked of each pair by itself."""
    at, texts = following > 0, own.shape[2]
    words = F.cross_entropy(model.words(model(written)[at]), following[at], reduction="none")
    pair = written.owners(texts)[at]
    told = -words.new_zeros(own.numel()).index_add(0, pair, words).view(own.shape)
    odds = (scores[:, 1] - scores[:, 0]).view(own.shape)
    each = F.cross_entropy(scores, own.flatten().long())
    return each + sum(-by.log_softmax(1)[own].mean() for by in (odds, told)) + 0.5 * words[own.flatten()[pair]].mean()


class Praise:
    """Has captions written and judged. With a crew the judging takes its time: a batch is trained on when the next one's
    captions are drawn, by weights that are a few steps older than it then finds."""

    def __init__(self, crew):
        self.crew, self._barred, self._waiting = crew, {}, deque()

    def written(self, model, language, tags, cells, said, count):
        """A batch that `praised` takes, of this or of the call before; `None` at first."""
        if language not in self._barred:
            self._barred[language] = sample.unsaid(self.crew.maker.words, language, model.shape.said).to(model.device)
        model.eval()
        with halved(model.device):
            drawn = sample.captions(model, tags, cells, START[language], count, self._barred[language])
        model.train()
        worths = [self.crew.ask("worths", language, said[i:i + JUDGED], drawn[i:i + JUDGED]) for i in range(0, len(said), JUDGED)]
        self._waiting.append((language, tags, cells, drawn, self._barred[language], worths))
        if len(self._waiting) > bool(self.crew.count):
            *batch, worths = self._waiting.popleft()
            return *batch, torch.tensor([row for some in worths for row in some()])


def praised(model, language, tags, cells, drawn, barred, worth):
    """Self-critical training (Rennie et al. 2017): captions drawn by the model itself become likelier the more they are
    worth (`reward.Worth`) above the others of the same picture (Luo 2020). The log shows what they are worth on average."""
    better = ((worth - worth.mean(1, keepdim=True)) / worth.std().clamp(min=1e-3)).to(model.device)
    s, following = layout.placed(layout.scored([[[START[language], *ids] for ids in row] for row in drawn], tags, cells, model.shape.said), model.device)
    at, dropping = following > 0, model.training
    # As it was drawn: without dropout.
    with halved(model.device):
        words = model.eval().words(model(s)[at])
    model.train(dropping)
    words_each = F.cross_entropy(words / sample.HEAT + barred[1], following[at], reduction="none")
    pair = s.owners(worth.shape[1])[at]
    return (better.flatten()[pair] * words_each).sum() / len(pair), worth.mean(), worth.numel()


def pace(settings, step, passed):
    """How much of the run is over, 0..1."""
    return min(1.0, passed / (60 * settings.minutes) if settings.minutes else step / settings.steps)


class Clock:
    """Where the time of steps goes, by name. What a device still has to do counts for what waits for it, unless `exact`."""

    def __init__(self, device, exact=False):
        self.exact, self._spent, self._last = exact and device.type == "cuda", defaultdict(list), time.time()

    def lap(self, name=None):
        if self.exact:
            torch.cuda.synchronize()
        now = time.time()
        if name:
            self._spent[name].append(now - self._last)
        self._last = now

    def told(self):
        """Milliseconds a lap, and how many there were; then all begins anew."""
        told = ", ".join(f"{name} {1000 * sum(v) / len(v):.0f} x {len(v)}" for name, v in self._spent.items())
        self._spent.clear()
        return told


def fit(model, maker, settings, folder, log, crew=None, watch=None, exact=False):
    """Trains, or goes on from the checkpoint in `folder`; returns the averaged weights as a model. `watch(averaged, step)`
    is called now and then.

    With `minutes` a run is not the same twice: how many steps it makes depends on the machine.
    """
    path = os.path.join(folder, "checkpoint.pt")
    decayed = [p for n, p in model.named_parameters() if p.dim() > 1 and "embeddings" not in n]
    plain = [p for n, p in model.named_parameters() if not (p.dim() > 1 and "embeddings" not in n)]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": settings.decay}, {"params": plain, "weight_decay": 0.0}], lr=settings.rate, betas=(0.9, 0.98), fused=True)
    averaged, step, before, made = copy.deepcopy(model).eval(), 0, 0.0, dict.fromkeys(TASKS, 0)
    of_run = {"settings": {**asdict(settings), "minutes": 0, "steps": 0}, "shape": model.shape.dict(), "mix": asdict(maker.mix)}
    if settings.epoch and os.path.exists(path):
        kept = torch.load(path, weights_only=False)
        if kept["run"] != of_run:
            raise SystemExit(f"{path} is of a run with other settings: take another cache folder, or remove it")
        model.load_state_dict(kept["model"]), averaged.load_state_dict(kept["averaged"]), optimiser.load_state_dict(kept["optimiser"])
        step, before, made = kept["step"], kept["passed"], kept["made"]
        log(f"goes on at step {step}, after {before / 60:.1f} minutes")
    crew = crew or Crew(maker, 0)
    feed, praise, clock = Feed(crew, model.device, made), Praise(crew), Clock(model.device, exact)
    start, done, recent, watched = time.time(), 0, {t: [] for t in TASKS}, time.time()
    keep = lambda: settings.epoch and _keep(path, model, averaged, optimiser, step, before + time.time() - start, made, of_run)
    model.train()
    while (over := pace(settings, step, passed := before + time.time() - start)) < 1:
        shares = settings.late_shares if over >= settings.late else settings.shares
        task = random.Random(f"{settings.seed}/step/{step}").choices(TASKS, shares)[0]
        # Dropout and captions that are drawn hang on the step alone.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        clock.lap()
        batch = feed.next(task)
        clock.lap("wait")
        made[task] += 1
        if task == "scst":
            batch = praise.written(model, *batch)
            clock.lap("draw")
            if batch is None:
                continue
        loss, shown, count = loss_of(model, task, batch, settings.smoothing)
        rate = settings.rate * min(1.0, over / settings.warm) if over < settings.warm else settings.rate * (0.02 + 0.98 * (1 + math.cos(math.pi * over)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = max(rate, settings.rate * 1e-3)
        optimiser.zero_grad()
        loss.backward()
        clock.lap(task)
        if torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip).isfinite():
            optimiser.step()
        else:
            log(f"step {step}: the gradient of {task} is not finite, and left out")
        step, done = step + 1, done + count
        if step % AVERAGED == 0:
            keep_share = min(settings.average ** AVERAGED, step / (step + 10 * AVERAGED))
            with torch.no_grad():
                torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - keep_share)
        clock.lap("update")
        recent[task].append(shown)
        if step % 50 == 0:
            shown = ", ".join(f"{t} {sum(v) / len(v):.3f}" for t, v in recent.items() if v)
            passed = time.time() - start
            log(f"step {step} ({100 * over:.1f}%): {shown}; {done / passed:.0f} samples/s, {(before + passed) / step * 1000:.0f} ms a step: {clock.told()}")
            recent = {t: [] for t in TASKS}
        if settings.epoch and step % settings.epoch == 0:
            keep()
        if watch and settings.watch and time.time() - watched > settings.watch:
            watch(averaged, step)
            watched = time.time()
    keep()
    log(f"{step} steps in {(before + time.time() - start) / 60:.1f} minutes")
    return averaged, step


def _keep(path, model, averaged, optimiser, step, passed, made, run):
    torch.save({"model": model.state_dict(), "averaged": averaged.state_dict(), "optimiser": optimiser.state_dict(), "step": step,
                "passed": passed, "made": made, "run": run}, path + ".part")
    os.replace(path + ".part", path)
