"""Captions drawn word by word, several of each picture at once, over kept keys and values: what is seen of a picture is
computed once. Must not know what the captions are for.
"""
import torch
import torch.nn.functional as F

from . import model as layout
from .words import SEP, SPECIAL

LONGEST = 20
# Words are drawn from the scores over this: smoothed targets leave a long tail of words that nobody would say.
HEAT = 0.7


def unsaid(words, language, said):
    """What no caption of the language may say, as -inf to add to the scores: [said]."""
    out = torch.zeros(said)
    out[:SEP], out[SEP + 1:len(SPECIAL)] = -1e9, -1e9
    if language != "zh":
        out[words.chinese] = -1e9
    return out


def _heads(layer, x):
    """Query, key, value of x [.., width] as [.., heads, width/heads]."""
    return [layer.attention["self"][m](x).unflatten(-1, (layer.heads, -1)) for m in ("query", "key", "value")]


def _drawn(p):
    """One of each row's classes; `torch.multinomial` makes a random number for every class."""
    sums = p.cumsum(1)
    return torch.searchsorted(sums, torch.rand(len(p), 1) * sums[:, -1:], right=True).clamp(max=p.shape[1] - 1)


@torch.no_grad()
def captions(model, tags, cells, start, count, barred):
    """`count` captions of each picture, drawn from the model's own probabilities at `HEAT`: [[ids]] with their [SEP] but for those
    that found no end."""
    seen = layout.captions([[] for _ in tags], tags, cells)
    e, (b, k) = model.bert["embeddings"], (len(tags), count)
    kinds = e["token_type_embeddings"].weight
    x = e["LayerNorm"](e["word_embeddings"](seen.ids) + e["position_embeddings"](seen.positions) + kinds[seen.kinds])
    x = torch.cat([model.bert["img_embeddings"](cells, kinds[layout.TAGS]), x], 1)
    mask, pictures = seen.mask(), []
    shown = torch.cat([torch.ones(b, cells.shape[1], dtype=torch.bool), seen.part == 0], 1)
    hidden = torch.zeros(shown.shape).masked_fill(~shown, -1e9)[:, None, None]
    layers = model.bert["encoder"]["layer"]
    for layer in layers:
        _, key, value = _heads(layer, x)
        pictures.append((key.permute(0, 2, 3, 1), value.permute(0, 2, 1, 3)))
        x = layer(x, mask)
    own = [([], []) for _ in layers]
    last, out, live = torch.full((b, k), start), [], torch.ones(b, k, dtype=torch.bool)
    for t in range(LONGEST):
        x = e["LayerNorm"](e["word_embeddings"](last) + e["position_embeddings"].weight[t] + kinds[layout.WORDS])
        for layer, (key, value), (keys, values) in zip(layers, pictures, own):
            q, new, told = (h.permute(0, 2, 1, 3) for h in _heads(layer, x))  # [B,H,K,d]
            keys.append(new), values.append(told)
            past, said = torch.stack(keys, 3), torch.stack(values, 3)  # [B,H,K,t,d]
            scores = torch.cat([q @ key + hidden, (past @ q[..., None])[..., 0]], 3) / q.shape[-1] ** 0.5
            part = scores.softmax(-1)
            got = part[..., :shown.shape[1]] @ value + (part[..., None, shown.shape[1]:] @ said)[..., 0, :]
            x = layer.attention["output"]["LayerNorm"](x + layer.attention["output"]["dense"](got.permute(0, 2, 1, 3).flatten(2)))
            x = layer.output["LayerNorm"](x + layer.output["dense"](F.gelu(layer.intermediate["dense"](x))))
        scores = model.words(x) / HEAT + barred
        if t == 0:
            scores[..., SEP] = -1e9
        last = _drawn(scores.softmax(-1).flatten(0, 1)).view(b, k)
        out.append(torch.where(live, last, 0))
        live = live & (last != SEP)
        if not live.any():
            break
    return [[[i for i in row if i] for row in rows] for rows in torch.stack(out, 2).tolist()]
