"""Processes beside the training that decode photos, make batches and say what captions are worth. Whatever they
hang on is told when they are forked, which must be before the device is touched: CUDA does not survive a fork.
"""
import gc
import multiprocessing
import os
from collections import deque
from functools import partial
from operator import attrgetter

import torch

from .model import mapped
from .pictures import Look

# Batches of each task that are asked for before they are needed.
AHEAD = 6
# A process that was killed answers nothing.
PATIENCE = 120

_maker = None


def _begin(maker):
    global _maker
    _maker = maker
    torch.set_num_threads(1)


def _do(what, *args):
    # Tensors would come through files in shared memory, which are slower and run out.
    return mapped(attrgetter(what)(_maker)(*args), lambda part: part.numpy() if isinstance(part, torch.Tensor) else part)


class Crew:
    """`count` processes that do what a maker can do; without any it is done here, when it is needed."""

    def __init__(self, maker, count):
        self.maker, self.count, self._pool = maker, count, None
        if count:
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
            # What is there now is left where it is, in memory that all share.
            gc.collect(), gc.freeze()
            self._pool = multiprocessing.get_context("fork").Pool(count, _begin, (maker,))

    def ask(self, what, *args):
        """A function that waits for what comes of a maker's method."""
        if self._pool:
            return partial(self._pool.apply_async(_do, (what, *args)).get, PATIENCE)
        return partial(attrgetter(what)(self.maker), *args)

    def close(self):
        if self._pool:
            self._pool.terminate()


class Feed:
    """Batches of each task in order, landed on a device; the next ones are made meanwhile."""

    def __init__(self, crew, device, made):
        self.crew, self.device, self._asked, self._waiting = crew, device, dict(made), {task: deque() for task in made}
        self._ahead = AHEAD if crew.count else 0

    def next(self, task):
        waiting = self._waiting[task]
        while len(waiting) <= self._ahead:
            waiting.append(self.crew.ask("drawn", task, self._asked[task]))
            self._asked[task] += 1
        return landed(waiting.popleft()(), self.crew.maker.seen, self.device)


def landed(batch, seen, device):
    """A batch with its tensors on the device and its pictures' cells where only their names were."""
    cells = {}

    def land(part):
        if isinstance(part, Look):
            # The same pictures may be shown beside two kinds of texts.
            return cells[id(part)] if id(part) in cells else cells.setdefault(id(part), seen.shown(part))
        if hasattr(part, "__array__"):
            return torch.as_tensor(part).to(device, non_blocking=True)
        return part

    return mapped(batch, land)
