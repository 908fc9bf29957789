"""Many views of each photo for a GPU: photos are decoded once by several processes, then cropped, mirrored and tinted at random on the device."""
import multiprocessing
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import image

# Photos are kept whole, squeezed into a square of this side, with their true sizes beside them.
CANVAS = 320
AREA, ASPECT, TINT = (0.5, 1.0), (0.8, 1.25), 0.15


def _shared(folder, name, count, mode="r+"):
    shapes = {"plain": (np.uint8, (count, image.SIDE, image.SIDE, 3)), "whole": (np.uint8, (count, CANVAS, CANVAS, 3)), "size": (np.float32, (count, 2))}
    return {k: np.memmap(os.path.join(folder, f"{name}_{k}.u8"), kind, mode, shape=shape) for k, (kind, shape) in shapes.items()}


def _decode(job):
    folder, name, count, first, paths = job
    out = _shared(folder, name, count)
    for i, path in enumerate(paths, first):
        photo = image.resized(path)
        out["plain"][i], out["size"][i] = image.middle(photo), photo.size
        out["whole"][i] = np.asarray(photo.resize((CANVAS, CANVAS), image.Image.BICUBIC))


def decode(paths, folder, name, processes):
    """Dict of arrays: `plain` u8 [N,260,260,3] as the tower sees a photo, `whole` u8 [N,320,320,3] and `size` [N,2] (width, height).

    To be called before anything has touched the GPU: the processes are forked.
    """
    count = len(paths)
    _shared(folder, name, count, "w+")
    jobs = [(folder, name, count, at, paths[at:at + 64]) for at in range(0, count, 64)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.map(_decode, jobs, chunksize=1)
    return _shared(folder, name, count)


class Trunk(nn.Module):
    """Pixels [B,3,260,260] -> activations after LAST_FROZEN_BLOCK, batch norm folded."""

    def __init__(self, net):
        super().__init__()
        steps = [(net._conv_stem, net._bn0, True)]
        self.blocks = [slice(0, 1)]
        for b in net._blocks[:image.LAST_FROZEN_BLOCK + 1]:
            found = [(b._depthwise_conv, b._bn1, True), (b._project_conv, b._bn2, False)]
            if b._block_args.expand_ratio != 1:
                found.insert(0, (b._expand_conv, b._bn0, True))
            self.blocks.append(slice(len(steps), len(steps) + len(found)))
            steps += found
        self.steps = [(*image.fold(conv, norm), conv.stride, conv.groups, bends) for conv, norm, bends in steps]

    def to(self, device, dtype):
        self.steps = [(w.to(device, dtype, memory_format=torch.channels_last), b.to(device, dtype), *rest) for w, b, *rest in self.steps]
        return self

    def forward(self, x):
        for block in self.blocks:
            y = x
            for weight, bias, stride, groups, bends in self.steps[block]:
                y = F.conv2d(_pad(y, weight.shape[-1], stride[0]), weight, bias, stride, groups=groups)
                if bends:
                    y = F.relu6(y)
            x = x + y if x.shape == y.shape else y
        return x


def _pad(x, kernel, stride):
    """As TensorFlow's "same": what is odd goes to the right and below."""
    need = [max((-(-s // stride) - 1) * stride + kernel - s, 0) for s in x.shape[-1:-3:-1]]
    return F.pad(x, [p for n in need for p in (n // 2, n - n // 2)]) if any(need) else x


def plain(photos, rows, device):
    x = torch.from_numpy(photos["plain"][rows]).to(device).permute(0, 3, 1, 2)
    return (x.float() - image.MEAN) / image.STD


def drawn(whole, size, generator):
    """A random part of each photo [B,3,260,260], half of them mirrored, mildly tinted."""
    n, device = len(whole), whole.device
    u = torch.rand(9, n, generator=generator, device=device)
    between = lambda x, low, high: low + (high - low) * x
    area, aspect = between(u[0], *AREA), between(u[1], *(np.log(a) for a in ASPECT)).exp()
    shape = size[:, 0] / size[:, 1]
    # Shares of the photo's width and height.
    w, h = (area * aspect / shape).sqrt().clamp(max=1), (area * shape / aspect).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = torch.where(u[2] < 0.5, w, -w), h
    theta[:, 0, 2], theta[:, 1, 2] = (2 * u[3] - 1) * (1 - w), (2 * u[4] - 1) * (1 - h)
    grid = F.affine_grid(theta, (n, 3, image.SIDE, image.SIDE), align_corners=False)
    x = F.grid_sample(whole.permute(0, 3, 1, 2).float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    tint = lambda i: between(u[i], 1 - TINT, 1 + TINT)[:, None, None, None]
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * tint(5)
    level = x.mean((1, 2, 3), keepdim=True)
    x = level * tint(6) + (x - level) * tint(7)
    return (x.clamp(0, 255) - image.MEAN) / image.STD


@torch.no_grad()
def middles(net, photos, views, device, seed=1, batch=256):
    """What the trunk makes of `views` views of each photo, f16 [views,N,208,9,9]: plain, mirrored, then drawn ones."""
    n, fast = len(photos["plain"]), torch.half if device.type == "cuda" else torch.float
    generator = torch.Generator(device).manual_seed(seed)
    out = torch.empty(views, n, 208, 9, 9, dtype=torch.half, device=device)
    exact = Trunk(net).to(device, torch.float)
    quick = Trunk(net).to(device, fast) if views > 1 else None
    run = lambda trunk, x, kind: trunk(x.to(dtype=kind, memory_format=torch.channels_last))
    for at in range(0, n, batch):
        rows = slice(at, min(at + batch, n))
        x = plain(photos, rows, device)
        out[0, rows] = run(exact, x, torch.float)
        if views > 1:
            out[1, rows] = run(quick, x.flip(3), fast)
        if views > 2:
            whole, size = (torch.from_numpy(photos[k][rows]).to(device) for k in ("whole", "size"))
            for view in range(2, views):
                out[view, rows] = run(quick, drawn(whole, size, generator), fast)
    return out
