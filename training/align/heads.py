"""What is trained on the towers: projections into one space, and the class-name channel beside them.

A photo's vector is [sqrt(1-s) * u, sqrt(s) * c]: u from the grid, c the names of the photo's most
probable ImageNet classes (ConSE, Norouzi et al. 2013, arXiv:1312.5650). A text's vector is the same
of its own projections, so one dot product adds both channels. The photo's share s is fixed; a text's
grows with how near it is to the name of a class: the channel serves names, and is noise to sentences.

Some photos are near to whatever is asked (hubs: Radovanovic et al. 2010), and stand before the right ones. So a photo's mean
cosine to the nearest of a few thousand texts, kept with the heads, counts against it (as in CSLS, Conneau et al. 2018, and QB-Norm,
Bogolin et al. 2022). Two more numbers in each vector say that within the same dot product.
"""
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from .image import classifier

WIDTH, GRID_WIDTH, INNER, POOLS, BEST_CLASSES = 384, 1280, 512, 4, 10
# The class channel's share of a photo's vector.
CLASS_SHARE = 0.3 / 1.3
# Its share of a text's, from a text that is far from every class's name to one that is near.
TEXT_SHARES, NEAR_NAMES = (0.07, 0.35), (0.5, 0.75)
# The last two numbers of a vector are not of the channels, so the first is that much narrower.
MERGED = WIDTH - 2
# So many texts are kept; the nearest of them make a photo's mean, of which that share counts against the photo.
HUB_TEXTS, NEAREST, HUB_SHARE = 2048, 20, 0.5
# What a text has in the place of a photo's mean; the length of a photo's vector before it is scaled to 1.
LEVER, REACH = 0.7, 1.1


class Projection(nn.Module):
    """A linear path and a two-layer path side by side, to unit length."""

    def __init__(self, width, drop_in, drop_inner):
        super().__init__()
        self.skip, self.inner, self.outer = nn.Linear(width, WIDTH), nn.Linear(width, INNER), nn.Linear(INNER, WIDTH)
        self.drop_in, self.drop_inner = nn.Dropout(drop_in), nn.Dropout(drop_inner)

    def forward(self, x):
        inner = F.gelu(self.inner(self.drop_in(x)))
        return F.normalize(self.outer(self.drop_inner(inner)) + self.skip(x), dim=-1)


class ImageHead(nn.Module):
    """Grid [B,81,1280], or class rows [B,1280], -> unit vectors [B,384].

    Each of four pools attends over the grid with its own weights and gathers its quarter of the
    channels; the plain mean is added.
    """

    def __init__(self, dropout=0.3):
        super().__init__()
        self.pool, self.norm, self.project = nn.Linear(GRID_WIDTH, POOLS), nn.LayerNorm(GRID_WIDTH), Projection(GRID_WIDTH, dropout, dropout)

    def gather(self, grid, mean):
        weights = self.pool(grid).softmax(1)
        parts = torch.einsum("bgp,bgpc->bpc", weights, grid.unflatten(2, (POOLS, -1)))
        return parts.flatten(1) + mean

    def forward(self, x, mean=None):
        """`mean` [B,1280] where `x` holds a part of the cells only (training attends over a random part: it
        is quicker and regularises)."""
        if x.dim() == 3:
            x = self.gather(x, x.mean(1) if mean is None else mean)
        return self.project(self.norm(x))


class TextHead(nn.Module):
    """Unit sentence vectors [B,384] -> unit vectors [B,384]."""

    def __init__(self, mean, dropout=(0.1, 0.2)):
        super().__init__()
        self.register_buffer("mean", mean)
        self.project = Projection(WIDTH, *dropout)

    def forward(self, x):
        # Sentence vectors of e5 lie in a narrow cone: centred and scaled they fill the space.
        return self.project((x - self.mean) * WIDTH ** 0.5)


class ClassChannel(nn.Module):
    """`names` [1000,384]: unit vectors of the classes' names; `map`: from sentence vectors into their space."""

    def __init__(self, names, weight, bias):
        super().__init__()
        self.register_buffer("names", names)
        self.map = nn.Linear(WIDTH, WIDTH)
        with torch.no_grad():
            self.map.weight.copy_(weight)
            self.map.bias.copy_(bias)

    def image(self, logits):
        probability, best = logits.softmax(1).topk(BEST_CLASSES, 1)
        return F.normalize((probability[..., None] * self.names[best]).sum(1), dim=-1)

    def text(self, x):
        return F.normalize(self.map(x), dim=-1)


class Member(nn.Module):
    """One pair of projections into a space of its own, and the temperature it is trained with."""

    def __init__(self, mean, dropout=0.3):
        super().__init__()
        self.image, self.text = ImageHead(dropout), TextHead(mean)


class Heads(nn.Module):
    """Both towers' features -> the joint space [B,768].

    Several members, trained with different seeds, speak side by side; `merge` is the common part of their spaces.
    `hubs` [N,766] are the texts that tell which photos are near to everything.
    """

    def __init__(self, members, merge, classes, classifier):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.merge = nn.Linear(WIDTH * len(members), MERGED, bias=False)
        with torch.no_grad():
            self.merge.weight.copy_(merge)
        self.register_buffer("hubs", torch.zeros(HUB_TEXTS, MERGED + WIDTH))
        self.classes = classes
        self.classifier = classifier  # (weight, bias), frozen, from the image tower

    def joint(self, parts, c, share):
        """`share` [B,1] or a number."""
        u = F.normalize(self.merge(torch.cat(parts, -1)), dim=-1)
        return torch.cat([(1 - share) ** 0.5 * u, share ** 0.5 * c], -1)

    def see(self, grid):
        """Grid [B,81,1280] -> both channels of photos [B,766], unit vectors."""
        pooled = grid.mean(1) if grid.dim() == 3 else grid
        return self.joint([m.image(grid) for m in self.members], self.classes.image(F.linear(pooled, *self.classifier)), CLASS_SHARE)

    def read(self, x):
        """Sentence vectors [B,384] -> both channels of texts [B,766], unit vectors."""
        c = self.classes.text(x)
        near = (c @ self.classes.names.T).max(1, keepdim=True).values
        (low, high), (far, close) = TEXT_SHARES, NEAR_NAMES
        return self.joint([m.text(x) for m in self.members], c, low + (high - low) * ((near - far) / (close - far)).clamp(0, 1))

    def encode_images(self, grid):
        """Grid [B,81,1280] -> unit vectors [B,768]."""
        x = self.see(grid)
        hub = (x @ self.hubs.T).topk(min(NEAREST, len(self.hubs)), 1).values.mean(1, keepdim=True)
        against = (-HUB_SHARE / LEVER * hub).clamp(-((REACH ** 2 - 1) ** 0.5), 0)
        return torch.cat([x, against, (REACH ** 2 - 1 - against ** 2).clamp(min=0).sqrt()], 1) / REACH

    def encode_texts(self, x):
        """Sentence vectors [B,384] -> unit vectors [B,768]."""
        x = self.read(x)
        return F.normalize(torch.cat([x, torch.full_like(x[:, :1], LEVER), torch.zeros_like(x[:, :1])], 1), dim=1)


def stored_heads(path, net):
    """The heads in a pack's file, with the classifier of its image tower."""
    state, zero = {k: v.float() for k, v in load_file(path).items()}, torch.zeros
    count = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("members."))
    heads = Heads([Member(zero(WIDTH)) for _ in range(count)], zero(MERGED, WIDTH * count),
                  ClassChannel(zero(1000, WIDTH), zero(WIDTH, WIDTH), zero(WIDTH)), classifier(net))
    heads.load_state_dict(state)
    return heads.eval()


def common_space(vectors):
    """The directions [382,D] that hold most of the members' vectors [N,D], so that dot products stay (uncentred PCA)."""
    _, directions = torch.linalg.eigh((vectors.T @ vectors).double())
    return directions[:, -MERGED:].T.float()


def some_texts(kinds, seed=1):
    """As many sentence vectors of a list of [N,384] as tell which photos are hubs, drawn from all of them."""
    vectors = torch.cat(kinds)
    # On the CPU whatever device is the default: the same texts everywhere.
    order = torch.randperm(len(vectors), generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    return vectors[order[:HUB_TEXTS].to(vectors.device)]


def fit_class_channel(english, chinese, owner, pairs, ridge=0.3):
    """The class channel in closed form.

    `english` [1000,384] and `chinese` [M,384] are name vectors, `owner[i]` the class of Chinese name i;
    `pairs` are (English caption vectors, translations' vectors). The map sends names of both languages
    to their class and translations to their (centred) English captions: ridge regression.
    """
    mean = lambda x: x.mean(0, keepdim=True)
    counts = torch.zeros(len(english)).index_add_(0, owner, torch.ones(len(owner)))
    averaged = torch.zeros_like(english).index_add_(0, owner, chinese) / counts[:, None]
    names = F.normalize(F.normalize(english - mean(english), dim=1) + F.normalize(averaged - mean(averaged), dim=1), dim=1)
    said, translated = pairs
    target = F.normalize(said - mean(said), dim=1)
    # Names are few beside the captions, and what the channel is for: they weigh as much.
    weight = len(said) / len(english)
    rows = [(english, names, weight), (chinese, names[owner], weight * len(english) / len(chinese)), (said, target, 0.5), (translated, target, 0.5)]
    x, y = (torch.cat([r[i] * r[2] ** 0.5 for r in rows]) for i in (0, 1))
    one = torch.cat([torch.full((len(r[0]), 1), r[2] ** 0.5) for r in rows])
    x = torch.cat([x, one], 1).double()
    gram = x.T @ x
    penalty = torch.eye(len(gram), dtype=torch.double) * ridge * gram.diagonal()[:-1].mean() * 1e-2
    penalty[-1, -1] = 0
    solved = torch.linalg.solve(gram + penalty, x.T @ y.double()).float()
    return ClassChannel(names, solved[:-1].T.contiguous(), solved[-1])
