"""The training loop: one task a step, drawn by its share; AdamW, averaged weights, a checkpoint an epoch."""
import copy
import math
import os
import random
import time
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

# Weights are averaged each time that so many steps are done: a pass over all of them is not free.
AVERAGED = 5
TASKS = ("caption", "itm", "vqa")


@dataclass
class Settings:
    """One run. With `minutes` the rate falls with the time that has passed instead of the steps."""

    seed: int = 1
    steps: int = 12_000
    minutes: float = 0
    epoch: int = 500        # steps from one checkpoint to the next
    rate: float = 3e-4
    warm: float = 0.04
    decay: float = 0.05
    clip: float = 1.0
    smoothing: float = 0.1
    average: float = 0.999
    shares: tuple = (0.74, 0.08, 0.18)  # of TASKS


def loss_of(model, task, batch, smoothing):
    """The task's loss, and how many samples it counts."""
    s, target = batch
    hidden = model(s)
    if task == "caption":
        at = target > 0
        return F.cross_entropy(model.words(hidden[at]), target[at], label_smoothing=smoothing)
    firsts = s.firsts(hidden)
    scores = model.matches(firsts) if task == "itm" else model.answers(firsts)
    return F.cross_entropy(scores, target, label_smoothing=smoothing / 2 if task == "vqa" else 0.0)


def samples(batch):
    """Captions, pairs or questions of a batch."""
    return int(batch[0].part.max(1).values.sum())


def pace(settings, step, passed):
    """How much of the run is over, 0..1."""
    return min(1.0, passed / (60 * settings.minutes) if settings.minutes else step / settings.steps)


def fit(model, maker, settings, folder, log):
    """Trains, or goes on from the checkpoint in `folder`; returns the averaged weights as a model.

    With `minutes` a run is not the same twice: how many steps it makes depends on the machine.
    """
    path = os.path.join(folder, "checkpoint.pt")
    decayed = [p for n, p in model.named_parameters() if p.dim() > 1 and "embeddings" not in n]
    plain = [p for n, p in model.named_parameters() if not (p.dim() > 1 and "embeddings" not in n)]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": settings.decay}, {"params": plain, "weight_decay": 0.0}], lr=settings.rate, betas=(0.9, 0.98), fused=True)
    averaged, step, before, made = copy.deepcopy(model), 0, 0.0, dict.fromkeys(TASKS, 0)
    of_run = {"settings": {**asdict(settings), "minutes": 0, "steps": 0}, "shape": model.shape.dict(), "mix": asdict(maker.mix)}
    if os.path.exists(path):
        kept = torch.load(path, weights_only=False)
        if kept["run"] != of_run:
            raise SystemExit(f"{path} is of a run with other settings: take another cache folder, or remove it")
        model.load_state_dict(kept["model"]), averaged.load_state_dict(kept["averaged"]), optimiser.load_state_dict(kept["optimiser"])
        step, before, made = kept["step"], kept["passed"], kept["made"]
        log(f"goes on at step {step}, after {before / 60:.1f} minutes")
    start, done, recent = time.time(), 0, {t: [] for t in TASKS}
    model.train()
    while (over := pace(settings, step, passed := before + time.time() - start)) < 1:
        task = random.Random(f"{settings.seed}/step/{step}").choices(TASKS, settings.shares)[0]
        # Dropout, too, hangs on the step alone.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        batch = maker.batch(task, made[task])
        loss = loss_of(model, task, batch, settings.smoothing)
        rate = settings.rate * min(1.0, over / settings.warm) if over < settings.warm else settings.rate * (0.02 + 0.98 * (1 + math.cos(math.pi * over)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = max(rate, settings.rate * 1e-3)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimiser.step()
        step, made[task], done = step + 1, made[task] + 1, done + samples(batch)
        if step % AVERAGED == 0:
            keep = min(settings.average ** AVERAGED, step / (step + 10 * AVERAGED))
            with torch.no_grad():
                for mean, now in zip(averaged.parameters(), model.parameters()):
                    mean.lerp_(now, 1 - keep)
        recent[task].append(loss.item())
        if step % 50 == 0:
            shown = ", ".join(f"{t} {sum(v) / len(v):.3f}" for t, v in recent.items() if v)
            log(f"step {step} ({100 * over:.1f}%): {shown}; {done / (time.time() - start):.0f} samples/s")
            recent = {t: [] for t in TASKS}
        if step % settings.epoch == 0:
            _keep(path, model, averaged, optimiser, step, before + time.time() - start, made, of_run)
    _keep(path, model, averaged, optimiser, step, before + time.time() - start, made, of_run)
    log(f"{step} steps in {(before + time.time() - start) / 60:.1f} minutes")
    return averaged.eval(), step


def _keep(path, model, averaged, optimiser, step, passed, made, run):
    torch.save({"model": model.state_dict(), "averaged": averaged.state_dict(), "optimiser": optimiser.state_dict(), "step": step,
                "passed": passed, "made": made, "run": run}, path + ".part")
    os.replace(path + ".part", path)
