"""Captions written word by word over kept keys and values: drawn, several of each picture at once, or by beam search.
Must not know what the captions are for.
"""
import torch
import torch.nn.functional as F

from . import model as layout
from .words import SEP, SPECIAL

LONGEST = 20
# Words are drawn from the scores over this: smoothed targets leave a long tail of words that nobody would say.
HEAT = 0.7


def unsaid(words, language, said):
    """What no caption of the language may say, as -inf to add to the scores of its first word and of those that follow: [2,said], on the CPU."""
    out = torch.zeros(2, said)
    out[:, :SEP], out[:, SEP + 1:len(SPECIAL)], out[0, SEP] = -1e9, -1e9, -1e9
    if language == "zh":
        # One that begins in English goes on so.
        out[0, words.foreign] = -1e9
    else:
        out[:, words.chinese] = -1e9
    return out


def _drawn(p):
    """One of each row's classes; `torch.multinomial` makes a random number for every class."""
    sums = p.cumsum(1)
    return torch.searchsorted(sums, torch.rand(len(p), 1, device=p.device) * sums[:, -1:], right=True).clamp(max=p.shape[1] - 1)


class Writer:
    """Captions of pictures [B], several of each, growing word by word: what is seen of a picture is computed once, and
    keys and values of the words so far are kept."""

    @torch.no_grad()
    def __init__(self, model, tags, cells):
        seen = layout.placed(layout.captions([[] for _ in tags], tags, cells), model.device)
        self.model, self.step, self.layers = model, 0, model.bert["encoder"]["layer"]
        x = model.first(seen)
        shown = F.pad(seen.part == 0, (cells.shape[1], 0), value=True)
        self.hidden, self.shown = x.new_zeros(shown.shape).masked_fill(~shown, -1e9)[:, None, None], shown.shape[1]
        mask, self.pictures = seen.mask(), []
        for layer in self.layers:
            _, key, value = layer.split(x)
            self.pictures.append((key.transpose(2, 3), value))
            x = layer(x, mask)
        self.own = [None] * len(self.layers)

    @torch.no_grad()
    def next(self, last, parents=None):
        """Scores [B,K,said] after the words `last` [B,K], each of which goes on from row `parents` [B,K]."""
        x = self.model.told(last, torch.full_like(last, self.step), torch.full_like(last, layout.WORDS))
        for i, (layer, (key, value)) in enumerate(zip(self.layers, self.pictures)):
            q, new, told = layer.split(x)                         # [B,H,K,d]
            past, said = new[:, :, :, None], told[:, :, :, None]  # [B,H,K,t,d]
            if self.own[i] is not None:
                kept = self.own[i]
                if parents is not None:
                    kept = [torch.take_along_dim(k, parents[:, None, :, None, None], 2) for k in kept]
                past, said = torch.cat([kept[0], past], 3), torch.cat([kept[1], said], 3)
            self.own[i] = past, said
            scores = torch.cat([q @ key + self.hidden, (past @ q[..., None])[..., 0]], 3) / q.shape[-1] ** 0.5
            part = scores.softmax(-1)
            got = part[..., :self.shown] @ value + (part[..., None, self.shown:] @ said)[..., 0, :]
            x = layer.taken(x, got)
        self.step += 1
        return self.model.words(x)


def captions(model, tags, cells, start, count, barred):
    """`count` captions of each picture, drawn from the model's own probabilities at `HEAT`: [[ids]] with their [SEP] but for
    those that found no end."""
    writer, b = Writer(model, tags, cells), len(tags)
    last, out, barred = torch.full((b, count), start, device=model.device), [], barred.to(model.device)
    live = torch.ones_like(last, dtype=torch.bool)
    for t in range(LONGEST):
        scores = writer.next(last) / HEAT + barred[min(t, 1)]
        last = _drawn(scores.softmax(-1).flatten(0, 1)).view(b, count)
        out.append(torch.where(live, last, 0))
        live = live & (last != SEP)
        if not live.any():
            break
    return [[[i for i in row if i] for row in rows] for rows in torch.stack(out, 2).tolist()]


def likeliest(model, tags, cells, start, barred, beam=3, longest=30):
    """Beam search as the Rust program does it: of each picture the sentences that ended, [[(ids without the end, log p,
    tokens counted)]], those of highest log p a token first; where none ended, what was there."""
    writer, b = Writer(model, tags, cells), len(tags)
    last, parents, barred = torch.full((b, beam), start), None, barred.to(model.device)
    # All but one of the first row's copies are out of the race.
    live = [[([], 0.0)] + [([], -1e9)] * (beam - 1) for _ in range(b)]
    ended, done, rank = [[] for _ in range(b)], [False] * b, lambda s: s[1] / s[2]
    for step in range(longest):
        scores = writer.next(*layout.placed((last, parents), model.device)) + barred[min(step, 1)]
        best = scores.log_softmax(-1).topk(2 * beam, -1)
        values, words = best.values.tolist(), best.indices.tolist()
        last, parents = torch.zeros(b, beam, dtype=torch.long), torch.zeros(b, beam, dtype=torch.long)
        for p in range(b):
            if done[p]:
                continue
            grown = [(total + v, k, w) for k, (ids, total) in enumerate(live[p]) for v, w in zip(values[p][k], words[p][k]) if not _repeats(ids, w)]
            grown.sort(key=lambda g: -g[0])
            ended[p] += [(live[p][k][0], total, step + 1) for total, k, w in grown[:beam] if w == SEP]
            going = [g for g in grown if g[2] != SEP][:beam]
            done[p] = len(ended[p]) >= beam or not going
            live[p] = [(live[p][k][0] + [w], total) for total, k, w in going] or live[p]
            for row, (total, k, w) in enumerate(going):
                last[p, row], parents[p, row] = w, k
        if all(done):
            break
    left = [[(ids, total, max(1, len(ids))) for ids, total in rows if total > -1e8] for rows in live]
    return [sorted(e or l, key=rank, reverse=True) for e, l in zip(ended, left)]


def _repeats(ids, word, n=3):
    tail = [*ids[-(n - 1):], word]
    return len(ids) >= n and any(ids[i:i + n] == tail for i in range(len(ids) - n + 1))
