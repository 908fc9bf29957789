"""What the Align pack's image tower sees of every photo, computed once and kept in the cache folder: the grid,
averaged to side x side cells, class scores, and the joint vectors that find hard negatives. `views.py` keeps them in memory instead.

File names carry the tower's hash: another pack makes other features.
"""
import copy
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

from ..align import golden, image
from .pictures import Pictures

GRID_SIDE = 9


def pooled(grid, side):
    """[B,81,1280] -> [B,side*side,1280]: means over cells; where 9 does not divide, neighbours share a row."""
    square = grid.transpose(1, 2).unflatten(2, (GRID_SIDE, GRID_SIDE))
    return F.adaptive_avg_pool2d(square, side).flatten(2).transpose(1, 2)


class Tower:
    """The pack's towers and heads."""

    def __init__(self, pack, cache):
        self.net, self.heads, self.text = golden.load(pack)
        self.device = torch.device("cpu")
        with open(os.path.join(pack, "image.safetensors"), "rb") as f:
            self.image_hash = image_hash = hashlib.sha256(f.read()).hexdigest()
        with open(os.path.join(pack, "heads.safetensors"), "rb") as f:
            self.hash = image_hash[:8] + hashlib.sha256(f.read()).hexdigest()[:4]
        self.rows, self.bias = image.classifier(self.net)
        self.width = self.heads.encode_texts(torch.zeros(1, 384)).shape[1]
        self._path = os.path.join(cache, f"tower_{image_hash[:8]}.onnx")

    def on(self, device):
        """The same on a device."""
        other = copy.copy(self)
        other.net, other.heads, other.text, other.device = *(copy.deepcopy(part).to(device) for part in (self.net, self.heads, self.text)), device
        other.rows, other.bias = other.heads.classifier = image.classifier(other.net)
        return other

    @torch.no_grad()
    def said(self, texts):
        """Joint vectors of texts [N,768], on the CPU."""
        return self.heads.encode_texts(self.text(self.text.ids(texts).to(self.device))).cpu()

    def session(self):
        """Pixels -> grid, in ONNX Runtime, which is two to three times as fast as PyTorch here."""
        import onnxruntime
        if not os.path.exists(self._path):
            torch.onnx.export(_Grid(self.net).eval(), (torch.zeros(2, 3, image.SIDE, image.SIDE),), self._path + ".part", dynamo=False, input_names=["pixels"],
                              output_names=["grid"], dynamic_axes={"pixels": {0: "batch"}, "grid": {0: "batch"}}, opset_version=17)
            os.replace(self._path + ".part", self._path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])

    @torch.no_grad()
    def see(self, grid, side):
        """Grid [B,81,1280] -> (cells, class scores, joint vectors)."""
        return pooled(grid, side), F.linear(grid.mean(1), self.rows, self.bias), self.heads.encode_images(grid)

    @torch.no_grad()
    def vectors(self, texts, cache, name, log, batch=64):
        """Joint vectors of texts [N,768], kept in the cache folder."""
        path = os.path.join(cache, f"fuse_{self.hash}_text_{name}_{len(texts)}.npy")
        if not os.path.exists(path):
            out, start = np.zeros((len(texts), self.width), np.float16), time.time()
            order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
            for at in range(0, len(order), batch):
                rows = order[at:at + batch]
                out[rows] = self.said([texts[i] for i in rows]).numpy()
            log(f"joint vectors of {name}: {len(texts)} texts in {time.time() - start:.0f} s")
            np.save(path + ".part.npy", out)
            os.replace(path + ".part.npy", path)
        return torch.from_numpy(np.load(path)).float()


class _Grid(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.trunk = image.Trunk(net)

    def forward(self, pixels):
        return self.trunk(pixels)[1]


class Seen(Pictures):
    """Features of all photos of a corpus: `cells` [N,C,1280] f16, mapped; `scores` [N,1000]; `vectors` [N,768]."""

    device = torch.device("cpu")

    def __init__(self, tower, photos, side, cache, log, flipped=(), batch=16):
        run, parts = None, {"cells": (side * side, image.WIDTH), "scores": (image.CLASSES,), "vectors": (tower.width,)}
        self.spots, self.of, self.sets = side * side, {}, {}
        for source in dict.fromkeys(p.source for p in photos):
            rows = [i for i, p in enumerate(photos) if p.source == source]
            self.of.update({i: (source, k) for k, i in enumerate(rows)})
            for flip in (False, True)[:1 + (source in flipped)]:
                stem = os.path.join(cache, f"fuse_{tower.hash}_{side}_{source}{'_flip' if flip else ''}_{len(rows)}")
                files = {name: f"{stem}_{name}.npy" for name in parts}
                if not all(map(os.path.exists, files.values())):
                    run = run or tower.session().run
                    _compute(run, tower, [photos[i].path for i in rows], side, files, parts, flip, batch, log, source)
                self.sets[source, flip] = {name: np.load(f, mmap_mode="r" if name == "cells" else None) for name, f in files.items()}
        self.scores = self._all(len(photos), "scores")
        self.vectors = self._all(len(photos), "vectors")
        some = next(iter(self.sets.values()))["cells"][:500].astype(np.float32)
        # A classifier's row, at the length of a cell, stands for a cell that shows its class.
        self.prototypes = F.normalize(tower.rows, dim=1) * float(np.linalg.norm(some, axis=2).mean())

    def _all(self, count, name):
        return torch.from_numpy(np.stack([self.sets[self.of[i][0], False][name][self.of[i][1]] for i in range(count)]).astype(np.float32))

    def tagged(self, threshold):
        return tags(self.scores, threshold)

    def looks(self, photo):
        return 1 + ((self.of[photo][0], True) in self.sets)

    def cells(self, photos, views=None):
        out = []
        for photo, view in zip(photos, views or [0] * len(photos)):
            source, row = self.of[photo]
            out.append(self.sets[source, bool(view)]["cells"][row])
        return torch.from_numpy(np.stack(out).astype(np.float32))


def _compute(run, tower, paths, side, files, parts, flip, batch, log, source):
    out = {name: np.lib.format.open_memmap(f + ".part", "w+", np.float16, (len(paths), *parts[name])) for name, f in files.items()}
    start = time.time()
    with ThreadPoolExecutor(2) as decode:
        for i in range(0, len(paths), batch):
            pixels = np.stack(list(decode.map(lambda p: image.open_pixels(p, flip), paths[i:i + batch])))
            grid = torch.from_numpy(run(None, {"pixels": pixels})[0])
            for kept, new in zip(out.values(), tower.see(grid, side)):
                kept[i:i + len(pixels)] = new.numpy()
    log(f"{source}{' mirrored' if flip else ''}: {len(paths)} photos in {time.time() - start:.0f} s")
    for name, kept in out.items():
        kept.flush()
        os.replace(files[name] + ".part", files[name])


def tags(scores, threshold, most=3):
    """The probable classes of each photo, best first: [[class]]."""
    p, best = scores.softmax(1).topk(most, 1)
    return [[c for q, c in zip(ps, cs) if q >= threshold] for ps, cs in zip(p.tolist(), best.tolist())]


def nearest_wrong(texts, own, photos, most=20):
    """For each text [T,768] the `most` best photos [P,768] that are not its own (`own[t]`, a row of `photos`): [T,most]."""
    out = []
    for at in range(0, len(texts), 1024):
        scores = texts[at:at + 1024] @ photos.T
        scores[torch.arange(len(scores)), own[at:at + 1024]] = -2
        out.append(scores.topk(min(most, len(photos) - 1), 1).indices)
    return torch.cat(out)
