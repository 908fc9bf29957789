"""Retrieval and calibration figures of joint vectors. Knows nothing of how they were made."""
import os

import torch

HERE = os.path.dirname(__file__)


def recall(scores, right):
    """R@1/5/10 in percent of queries whose photo `right[i]` ranks there; scores [Q,N]. A tie counts against."""
    own = scores.gather(1, right[:, None])
    rank = (scores >= own).sum(1) - 1
    return [round(100 * (rank < k).float().mean().item(), 1) for k in (1, 5, 10)]


def recall_of_photos(scores, right):
    """Image-to-text R@1/5/10: the best-placed of a photo's own texts counts; scores [Q,N]."""
    order = scores.T.argsort(1, descending=True)
    hit = right[order] == torch.arange(len(order))[:, None]
    return [round(100 * hit[:, :k].any(1).float().mean().item(), 1) for k in (1, 5, 10)]


def recall_of_any(scores, relevant):
    """R@1/5/10 where any of several photos is right; `relevant` [Q,N] bool."""
    best = scores.masked_fill(~relevant, -2).max(1, keepdim=True).values
    rank = (scores > best).sum(1)
    return [round(100 * (rank < k).float().mean().item(), 1) for k in (1, 5, 10)]


def unrelated_texts():
    """Texts that describe none of the photos: other subjects, nonsense, other languages."""
    texts = {}
    with open(os.path.join(HERE, "unrelated.tsv"), encoding="utf8") as f:
        for line in f:
            kind, text = line.rstrip("\n").split("\t")
            texts.setdefault(kind, []).append(text)
    return texts


def distributions(matching, unrelated):
    """What turns a cosine into "likely" or not: `matching` [M] of captions with their own photo,
    `unrelated` [U,1000] of unrelated texts with 1,000 photos."""
    at = lambda x, q: round(torch.quantile(x.flatten()[:4_000_000].float(), q).item(), 4)
    best = unrelated.max(1).values
    return {"unrelated": {"mean": round(unrelated.mean().item(), 4), "std": round(unrelated.std().item(), 4), "p99": at(unrelated, 0.99)},
            "best_of_1000_unrelated": {"p50": at(best, 0.5), "p95": at(best, 0.95)},
            "matching": {"p5": at(matching, 0.05), "p50": at(matching, 0.5)}}
