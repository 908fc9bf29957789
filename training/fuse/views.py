"""Features of all photos in memory, on the device that trains, with crops of the training photos beside them: there
are few photos, and their own features are soon known by heart. Photos are decoded once, in many processes; the tower, all views and
batches' cells are the device's.
"""
import copy
import math
import mmap
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..align import image
from .features import tags
from .pictures import Pictures

# Crops: part of the photo's area, width to height.
AREA, RATIO = (0.55, 1.0), (0.8, 1.25)
# How far brightness, contrast and saturation, and each colour by itself, go from what they are.
LIGHT, TINT = 0.15, 0.05
DECODED = 32


def shared(*shape):
    """Bytes that processes forked later have in common."""
    return np.frombuffer(mmap.mmap(-1, max(1, math.prod(shape))), np.uint8, math.prod(shape)).reshape(shape)


class Tags:
    """The probable classes of each photo, best first, told once the tower has seen the photos: processes forked before know them then, too."""

    def __init__(self, count, most=3):
        self._rows = shared(count, most * 2).view(np.int16)

    def fill(self, scores, threshold):
        for row, found in zip(self._rows, tags(scores, threshold, self._rows.shape[1])):
            row[:] = [*found, *[-1] * (len(row) - len(found))]

    def __getitem__(self, photo):
        return [c for c in self._rows[photo].tolist() if c >= 0]


class Store(Pictures):
    """`cells` [views of all photos,C,1280] f16 on `device`; `vectors` [N,768] on the CPU. Made in three steps: this, then
    `decode` of all photos, in any process, then `see`."""

    def __init__(self, photos, side, views, device):
        self.paths, self.side, self.spots, self.device = [p.path for p in photos], side, side * side, device
        self.viewed = [i for i, p in enumerate(photos) if p.source in ("flickr8k_train", "cocoqa", "daquar") and not p.held_out]
        looks = torch.ones(len(photos), dtype=torch.long)
        looks[self.viewed] = 2 + views
        self._looks, self._starts = looks.tolist(), (looks.cumsum(0) - looks)
        self._place = {p: i for i, p in enumerate(self.viewed)}
        self._plain = shared(len(photos), image.SIDE, image.SIDE, 3)
        self._whole = shared(len(self.viewed) if views else 0, image.SHORT_EDGE, image.SHORT_EDGE, 3)
        self._aspects = shared(len(self.viewed) * 4).view(np.float32)
        self._tags = Tags(len(photos))

    def looks(self, photo):
        return self._looks[photo]

    def tagged(self, threshold):
        self.threshold = threshold
        return self._tags

    def decode(self, start):
        """Reads `DECODED` photos: as the tower sees them, and whole, pressed into a square."""
        for i in range(start, min(start + DECODED, len(self.paths))):
            self._plain[i] = np.rint(image.open_pixels(self.paths[i]) * image.STD + image.MEAN).transpose(1, 2, 0)
            if i in self._place and len(self._whole):
                photo = Image.open(self.paths[i]).convert("RGB")
                self._aspects[self._place[i]] = photo.width / photo.height
                self._whole[self._place[i]] = np.asarray(photo.resize([image.SHORT_EDGE] * 2, Image.BICUBIC))

    @torch.no_grad()
    def see(self, tower, log, seed=1, batch=256):
        """Fills everything from the decoded photos, which are let go."""
        start, g = time.time(), torch.Generator().manual_seed(seed)
        number = torch.float16 if self.device.type == "cuda" else torch.float32
        trunk = image.Trunk(copy.deepcopy(tower.net)).eval().to(self.device, number, memory_format=torch.channels_last)
        torch.backends.cudnn.benchmark = True
        self._cells = torch.zeros(sum(self._looks), self.spots, image.WIDTH, dtype=torch.float16, device=self.device)
        starts, found = self._starts.to(self.device), [torch.zeros(len(self.paths), image.CLASSES), torch.zeros(len(self.paths), tower.width)]

        def looked(pixels, photos, view):
            grid = trunk(((pixels - image.MEAN) / image.STD).to(number, memory_format=torch.channels_last))[1].float()
            cells, *beside = tower.see(grid, self.side)
            self._cells[starts[photos] + view] = cells.half()
            return beside

        opened = lambda pixels: torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        # The last batch is as large as the others, for which the convolutions are tuned.
        begins = lambda count: [min(at, max(0, count - batch)) for at in range(0, count, batch)]
        for at in begins(len(self.paths)):
            photos = torch.arange(at, min(at + batch, len(self.paths)))
            for kept, new in zip(found, looked(opened(self._plain[at:at + batch]), photos.to(self.device), 0)):
                kept[photos] = new.cpu()
        self.scores, self.vectors = found
        self._tags.fill(self.scores, self.threshold)
        for at in begins(len(self.viewed)):
            some = torch.tensor(self.viewed[at:at + batch])
            photos = some.to(self.device)
            looked(opened(self._plain[some.numpy()]).flip(3), photos, 1)
            for view in range(2, self._looks[self.viewed[at]]):
                whole = opened(self._whole[at:at + batch])
                looked(crops(whole, torch.from_numpy(self._aspects[at:at + batch].copy()), view % 2 == 1, g), photos, view)
        # A classifier's row, at the length of a cell, stands for a cell that shows its class.
        length = self._cells[self._starts[:500].to(self.device)].float().norm(dim=2).mean()
        self.prototypes = F.normalize(tower.rows, dim=1) * length
        del self._plain, self._whole
        log(f"{len(self._cells)} views of {len(self.paths)} photos seen in {time.time() - start:.1f} s, {self._cells.nbytes / 1e9:.2f} GB")

    def cells(self, photos, views=None):
        at = self._starts[torch.tensor(photos)]
        at = at if views is None else at + torch.tensor(views)
        return self._cells[at.to(self.device)].float()


def crops(photos, aspects, mirrored, g):
    """One crop of each photo [B,3,H,W], whose width to height are `aspects` [B], in other light: [B,3,260,260], 0..255."""
    n = len(photos)
    draw = lambda low, high, *more: torch.rand(n, *more, generator=g) * (high - low) + low
    area, ratio = draw(*AREA), draw(*map(math.log, RATIO)).exp()
    w, h = ((area * r).sqrt().clamp(max=1) for r in (ratio / aspects, aspects / ratio))
    x, y, zero = draw(-1, 1) * (1 - w), draw(-1, 1) * (1 - h), torch.zeros(n)
    at = torch.stack([torch.stack([-w if mirrored else w, zero, x], 1), torch.stack([zero, h, y], 1)], 1).to(photos.device)
    out = F.grid_sample(photos, F.affine_grid(at, [n, 3, image.SIDE, image.SIDE], align_corners=False), "bicubic", "border", align_corners=False)
    light, contrast, colours, tint = (draw(1 - d, 1 + d, c, 1, 1).to(photos.device) for d, c in ((LIGHT, 1), (LIGHT, 1), (LIGHT, 1), (TINT, 3)))
    out = torch.lerp(out.mean((1, 2, 3), keepdim=True), out, contrast)
    return (torch.lerp(out.mean(1, keepdim=True), out, colours) * light * tint).clamp(0, 255)
