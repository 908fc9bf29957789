"""`lite-fuse`: one BERT over `[CLS] words [SEP] object tags [SEP] visual tokens`.

Of its ancestors it has: from OSCAR the tags in words as anchors between text and image; from UNITER the
visual tokens, LN(W feature) + LN(W geometry), and matching on [CLS]; from VLP one set of weights for both
directions, chosen by the mask; from VinVL the layer norm on the visual features. Tags and visual tokens look at
each other alone: what is seen of a picture is computed once, and several texts stand beside it in one row.
Parameters are named as the Rust program reads them. Must not know datasets.
"""
from dataclasses import asdict, dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import nn

from .words import CLS, DEPTH, PAD, POSITIONS, WIDTH

PLACE, EPS = 7, 1e-12
# Tags are numbered from here on, whatever the length of the text before them.
TAGS_AT = 48
# Sentence numbers: words, tags; visual tokens have the tags'.
WORDS, TAGS = 0, 1


@dataclass
class Shape:
    """What the architecture leaves open. `side`: the 9x9 grid is averaged to side x side cells."""

    rows: int
    said: int
    answers: int
    side: int = 4
    depth: int = DEPTH
    width: int = WIDTH
    heads: int = 12
    feature: int = 1280
    dropout: float = 0.0
    visual_dropout: float = 0.2

    @property
    def cells(self):
        return self.side * self.side

    def dict(self):
        return asdict(self)


def geometry(side):
    """UNITER's seven numbers of each cell, x1 y1 x2 y2 w h area as parts of the picture: [side*side,7]."""
    at = torch.arange(side) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    size = torch.full((side, side), 1 / side)
    return torch.stack([x, y, x + size, y + size, size, size, size * size], -1).flatten(0, 1)


def flops(shape, words, written=0):
    """Floating-point operations of one forward pass over `words` words beside the picture, `written` of them scored."""
    length, width = shape.cells + words, shape.width
    layer = 12 * width * width + 2 * length * width
    return 2 * (length * layer * shape.depth + shape.cells * shape.feature * width + written * width * (shape.said + width))


def block(**parts):
    return nn.ModuleDict(parts)


class Layer(nn.Module):
    """One BERT layer with dropout."""

    def __init__(self, shape):
        super().__init__()
        width, linear, norm = shape.width, nn.Linear, lambda: nn.LayerNorm(shape.width, EPS)
        self.heads, self.dropout = shape.heads, nn.Dropout(shape.dropout)
        self.attention = block(self=block(**{k: linear(width, width) for k in ("query", "key", "value")}), output=block(dense=linear(width, width), LayerNorm=norm()))
        self.intermediate, self.output = block(dense=linear(width, 4 * width)), block(dense=linear(4 * width, width), LayerNorm=norm())

    def forward(self, x, mask):
        return self.taken(x, F.scaled_dot_product_attention(*self.split(x), attn_mask=mask))

    def split(self, x):
        """Query, key and value of x [B,L,width], each [B,heads,L,width/heads]."""
        return [self.attention["self"][m](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for m in ("query", "key", "value")]

    def taken(self, x, seen):
        """What becomes of x [B,L,width] by what its heads saw [B,heads,L,width/heads]."""
        seen = seen.transpose(1, 2).flatten(2)
        x = self.attention["output"]["LayerNorm"](x + self.dropout(self.attention["output"]["dense"](seen)))
        return self.output["LayerNorm"](x + self.dropout(self.output["dense"](F.gelu(self.intermediate["dense"](x)))))


class Visual(nn.Module):
    """Cells [B,C,feature] -> visual tokens [B,C,width]."""

    def __init__(self, shape):
        super().__init__()
        norm = lambda: nn.LayerNorm(shape.width, EPS)
        self.feature_norm = nn.LayerNorm(shape.feature, EPS)
        self.img_linear, self.img_layer_norm = nn.Linear(shape.feature, shape.width), norm()
        self.pos_linear, self.pos_layer_norm = nn.Linear(PLACE, shape.width), norm()
        self.LayerNorm, self.dropout = norm(), nn.Dropout(shape.visual_dropout)
        self.register_buffer("places", geometry(shape.side), persistent=False)

    def forward(self, cells, kind):
        seen = self.img_layer_norm(self.img_linear(self.dropout(self.feature_norm(cells))))
        return self.LayerNorm(seen + self.pos_layer_norm(self.pos_linear(self.places)) + kind)


@dataclass
class Sequence:
    """A batch. `ids`, `positions`, `kinds` [B,L]; `part` [B,L]: 0 what is seen by all, k the k-th text, -1 padding;
    `cells` [B,C,1280], `None` where no picture is shown, or what stands for them until they are gathered; `forward`: a word
    sees none that follow it."""

    ids: torch.Tensor
    positions: torch.Tensor
    kinds: torch.Tensor
    part: torch.Tensor
    cells: object
    forward: bool

    def mask(self):
        """[B,1,S,S], visual tokens first. Tags and picture see each other; a word sees them and its own text, in
        captions as far as it goes: VLP's two masks, with several texts beside one picture."""
        part = self.part
        if self.cells is not None:
            part = torch.cat([part.new_zeros(len(part), self.cells.shape[1]), part], 1)
        asks, seen = part[:, :, None], part[:, None, :]
        own = (asks == seen) & (seen > 0)
        if self.forward:
            own = own & torch.ones_like(own[0]).tril()
        # A padded row sees itself: a row that sees nothing has no softmax.
        return ((seen == 0) & (asks >= 0) | own | torch.eye(part.shape[1], dtype=torch.bool, device=part.device))[:, None]

    def owners(self, texts):
        """For each place the number of its text among those of the batch, of which each row has `texts`: [B,L]."""
        return torch.arange(len(self.part), device=self.part.device)[:, None] * texts + self.part - 1

    def firsts(self, hidden):
        """The hidden states at each text's [CLS], texts in order: [texts,width]."""
        return hidden[(self.ids == CLS) & (self.part > 0)]


class Fuse(nn.Module):
    """The transformer with its heads."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        linear, norm, width = nn.Linear, nn.LayerNorm, shape.width
        self.bert = block(
            embeddings=block(word_embeddings=nn.Embedding(shape.rows, width), position_embeddings=nn.Embedding(POSITIONS, width),
                             token_type_embeddings=nn.Embedding(2, width), LayerNorm=norm(width, EPS)),
            encoder=block(layer=nn.ModuleList(Layer(shape) for _ in range(shape.depth))),
            pooler=block(dense=linear(width, width)), img_embeddings=Visual(shape))
        self.cls = block(predictions=block(transform=block(dense=linear(width, width), LayerNorm=norm(width, EPS))))
        self.cls["predictions"].register_parameter("bias", nn.Parameter(torch.zeros(shape.said)))
        self.itm_output = linear(width, 2)
        self.vqa_output = nn.Sequential(linear(width, 2 * width), nn.GELU(), norm(2 * width, EPS), linear(2 * width, shape.answers))
        self.dropout = nn.Dropout(shape.dropout)

    @property
    def device(self):
        return self.itm_output.weight.device

    def start_from(self, state):
        """Takes over the text weights; the rest is new."""
        missing, unexpected = self.bert.load_state_dict(state, strict=False)
        if unexpected or any(not k.startswith(("pooler", "img_embeddings")) for k in missing):
            raise ValueError(f"the text weights do not fit: {unexpected or missing}")
        for new in (self.bert["pooler"], self.bert["img_embeddings"], self.cls, self.itm_output, self.vqa_output):
            for m in new.modules():
                if isinstance(m, nn.Linear):
                    nn.init.normal_(m.weight, std=0.02)
                    nn.init.zeros_(m.bias)
        # A picture's seven numbers are few and small.
        nn.init.normal_(self.bert["img_embeddings"].pos_linear.weight, std=0.3)

    def told(self, ids, positions, kinds):
        """Embeddings of words [..,width]."""
        e = self.bert["embeddings"]
        return self.dropout(e["LayerNorm"](e["word_embeddings"](ids) + e["position_embeddings"](positions) + e["token_type_embeddings"](kinds)))

    def first(self, s):
        """What the first layer sees, visual tokens first: [B,S,width]."""
        x = self.told(s.ids, s.positions, s.kinds)
        if s.cells is None:
            return x
        kind = self.bert["embeddings"]["token_type_embeddings"].weight[TAGS]
        return torch.cat([self.dropout(self.bert["img_embeddings"](s.cells, kind)), x], 1)

    def forward(self, s):
        """The words' last hidden states [B,L,width]."""
        x, mask = self.first(s), s.mask()
        for layer in self.bert["encoder"]["layer"]:
            x = layer(x, mask)
        return x[:, x.shape[1] - s.ids.shape[1]:]

    def words(self, hidden):
        """Scores of the words that captions say, [..,said]: the table's first rows, tied."""
        head = self.cls["predictions"]
        x = head["transform"]["LayerNorm"](F.gelu(head["transform"]["dense"](hidden)))
        # Whatever the layers count in, scores are f32.
        return F.linear(x, self.bert["embeddings"]["word_embeddings"].weight[:self.shape.said], head.bias).float()

    def pooled(self, firsts):
        return self.dropout(torch.tanh(self.bert["pooler"]["dense"](firsts)))

    def answers(self, firsts):
        return self.vqa_output(self.pooled(firsts)).float()

    def matches(self, firsts):
        return self.itm_output(self.pooled(firsts)).float()


def mapped(batch, change):
    """A batch, tuples and sequences within tuples, with each of its parts changed."""
    if isinstance(batch, tuple):
        return tuple(mapped(part, change) for part in batch)
    if isinstance(batch, Sequence):
        return replace(batch, **{f.name: change(getattr(batch, f.name)) for f in fields(batch)})
    return change(batch)


def placed(batch, device):
    """A batch with its tensors on a device."""
    return mapped(batch, lambda part: part.to(device, non_blocking=True) if isinstance(part, torch.Tensor) else part)


def padded(rows, fill):
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=torch.long)


def sequence(texts, tags, cells, forward=False):
    """A row a picture: `tags[i]`, ids ended by [SEP] where there are any, and `texts[i]`, lists of ids that each see
    tags, picture and themselves. `forward`: captions, whose words see none that follow."""
    rows = [[(i, TAGS_AT + p, TAGS, 0) for p, i in enumerate(tag)]
            + [(i, p, WORDS, k) for k, t in enumerate(said, 1) for p, i in enumerate(t)] for said, tag in zip(texts, tags)]
    columns = [[[item[c] for item in row] for row in rows] for c in range(4)]
    return Sequence(padded(columns[0], PAD), padded(columns[1], 0), padded(columns[2], 0), padded(columns[3], -1), cells, forward)


def captions(texts, tags, cells):
    """`sequence` of captions."""
    return sequence(texts, tags, cells, forward=True)


def scored(texts, tags, cells, said):
    """(`captions` of whole texts, from their first token to [SEP]; the word that follows at each place [B,L]: 0 at tags and
    for words that captions never say, which are not scored)."""
    s = captions([[t[:-1] for t in row] for row in texts], tags, cells)
    following = padded([[0] * len(tag) + [i for t in row for i in t[1:]] for row, tag in zip(texts, tags)], 0)
    return s, torch.where(following < said, following, 0)
