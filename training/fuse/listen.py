"""How the evidence for a pair is weighed when a text's best hits are ordered anew, chosen on val: so that the right photo is most
likely the first of them, by a softmax over the candidates (ListNet's top one, Cao et al. 2007, https://doi.org/10.1145/1273496.1273513).
Telling true from random pairs, which the judge of `evaluate.py` is fitted to, asks for other weights than telling like photos apart.
"""
import torch

from .evaluate import Eye, evidence, minimised

# Hits that are ordered anew, and captions of each photo that ask for them.
BEST, CAPTIONS = 20, 2


def asked(model, maker, tower, cache, log, language="en", most=None, seed=11):
    """Evidence [queries,BEST,3] for Align's best photos of val's captions, and which of them is the right one [queries,BEST]. `most`: so many
    queries, drawn."""
    corpus, seen = maker.corpus, maker.seen
    photos = corpus.of("flickr8k_val")
    own, said = zip(*[(at, text) for at, p in enumerate(photos) for text in corpus.photos[p].captions[language][:CAPTIONS]])
    texts = tower.vectors(said, cache, f"flickr8k_val_{language}_{CAPTIONS}", log)
    drawn = torch.randperm(len(said), generator=torch.Generator().manual_seed(seed))[:most]
    order = (texts[drawn] @ seen.vectors[photos].T).topk(min(BEST, len(photos)), 1).indices
    pairs = [(photos[o], said[q], language) for q, row in zip(drawn.tolist(), order.tolist()) for o in row]
    found = evidence(model, Eye(maker, tower), pairs).view(len(drawn), -1, 3)
    return found, order == torch.tensor(own)[drawn][:, None]


def weights(found, right, worth=1e-3):
    """Of head, gain and cosine: [3]. `worth`: what keeps them small where the evidence is alike."""
    spread, among = found.flatten(0, 1).std(0).clamp(min=1e-3), right.any(1)
    return minimised(lambda w: -((found[among] / spread) @ w).log_softmax(1)[right[among]].mean() + worth * (w ** 2).sum(), 3) / spread


def first(found, right, by):
    """R@1 of an order, in percent."""
    return round(100 * right.gather(1, (found @ by).argmax(1, keepdim=True)).float().mean().item(), 2)


def weigh(found, right, log):
    """(weights, R@1 of Align, of the judge without it and of both). `both` is of weights that were fitted to the other half of the queries."""
    by, halves = weights(found, right), [slice(0, None, 2), slice(1, None, 2)]
    other = [first(found[at], right[at], weights(found[fit], right[fit])) for at, fit in zip(halves, halves[::-1])]
    told = {"queries": len(found), "align": first(found, right, torch.tensor([0.0, 0.0, 1.0])), "alone": first(found, right, by * torch.tensor([1.0, 1.0, 0.0])),
            "both": round(sum(other) / 2, 2)}
    log(f"R@1 re-ranked: {told}; weights of head, gain and cosine {[round(v, 4) for v in by.tolist()]}")
    return by, told


def share(by):
    """How much of the gain counts beside the head: what photos are told apart by is also what a pair is judged by."""
    return (by[1].clamp(min=0) / by[0].clamp(min=1e-3)).item()


def align_weight(judge, by):
    """What a cosine counts beside the judge's log-odds, which hold some of it already, for an order by `by`."""
    return round(max(0.0, (judge.head * by[2] / by[0].clamp(min=1e-3)).item() - judge.near), 2)
