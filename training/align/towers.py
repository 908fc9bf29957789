"""The towers as the trainer sees them: frozen, so that cached features are looked up, or with their last layers tuned."""
import copy

import numpy as np
import torch
from torch import nn

from . import image, text

CHUNK = 64
# Training captions that the class channel and the common space are fitted to, a kind.
SOME = 3000


class Frozen(nn.Module):
    """Cached features; nothing to train."""

    def see(self, photos, rows, flip, cells):
        """Some cells of the photos' grids [B,C,1280] and the whole grids' means [B,1280]."""
        return photos.some_cells(rows, flip, cells)

    def read(self, texts):
        """(Said, index) pairs -> unit sentence vectors [B,384]."""
        return torch.stack([said.vectors[i] for said, i in texts])


class Tuned(nn.Module):
    """The image tower's last blocks and the text tower's last layers, from cached activations."""

    def __init__(self, corpus, dropout=0.1):
        super().__init__()
        self.tail = image.Tail(corpus.net)
        self.layers = copy.deepcopy(corpus.tower.encoder["layer"][text.FIRST_TUNED_LAYER:])
        self.dropout = nn.Dropout(dropout)

    def see(self, photos, rows, flip, cells):
        grid = self.tail(photos.middles(rows, flip).contiguous(memory_format=torch.channels_last))
        return grid[:, cells], grid.mean(1)

    def read(self, texts):
        states = [said.state(i) for said, i in texts]
        order = sorted(range(len(states)), key=lambda i: len(states[i]))
        # Texts of like length go together: padding would double the work.
        parts = [self._read([states[i] for i in order[at:at + CHUNK]]) for at in range(0, len(order), CHUNK)]
        return torch.cat(parts)[torch.tensor(np.argsort(order))]

    def _read(self, states):
        lengths = torch.tensor([len(s) for s in states])
        x = torch.zeros(len(states), int(lengths.max()), states[0].shape[1])
        for row, state in zip(x, states):
            row[:len(state)] = torch.from_numpy(np.asarray(state, np.float32))
        seen = torch.arange(x.shape[1]) < lengths[:, None]
        return text.upper(self.layers, self.dropout(x), seen)

    @torch.no_grad()
    def write_back(self, corpus):
        """Puts the tuned layers into the corpus's towers, rounded as the pack keeps them, and takes them from there."""
        self.tail.write_back(corpus.net)
        for parameter in corpus.net.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half().float())
        self.tail = image.Tail(corpus.net)
        for matrix in (p for p in self.layers.parameters() if p.dim() == 2):
            matrix.copy_(text.dequantise_q8(text.quantise_q8(matrix)))
        for i, layer in enumerate(self.layers):
            corpus.tower.encoder["layer"][text.FIRST_TUNED_LAYER + i] = layer


@torch.no_grad()
def refresh(corpus, tuned, log):
    """A view of `corpus` whose vectors and grids are the tuned towers' (mirrored photos left out)."""
    tuned.eval()
    view = copy.copy(corpus)
    for name in ("train", "val", "qa"):
        photos = copy.copy(getattr(corpus, name))
        photos.said = {kind: _read_all(said, tuned, limit=SOME if name == "train" else None) for kind, said in photos.said.items()}
        if name != "train":
            rows = torch.arange(len(photos.paths))
            grids = [tuned.see(photos, part, torch.zeros(len(part), dtype=torch.bool), slice(None))[0].half().numpy() for part in rows.split(128)]
            photos.grid, photos.middle, photos._means = (np.concatenate(grids),), photos.middle[:1], None
        setattr(view, name, photos)
    view.names = {kind: _read_all(said, tuned) for kind, said in corpus.names.items()}
    log("texts and photos read by the tuned towers")
    return view


def _read_all(said, tuned, limit=None):
    """`said` with the tuned tower's vectors, of its first texts only where there is a limit."""
    new, indices = copy.copy(said), range(min(limit or len(said), len(said)))
    new.vectors = torch.cat([tuned.read([(said, i) for i in indices[at:at + 1024]]) for at in range(0, len(indices), 1024)])
    return new
