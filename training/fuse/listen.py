"""How much the Fuse model should listen to Align when it orders the best hits anew: the weight of a cosine beside the
log-odds of a match that ranks best. `weight` of `search::rerank` in the Rust program; chosen on val.
"""
import torch

from .evaluate import Eye, evidence

WEIGHTS = (0.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0)


def weigh(model, judge, maker, tower, cache, log, language="en", most=500, best=20, seed=11):
    """(weight, {weight: R@1}); weight "inf" is Align alone."""
    corpus, seen = maker.corpus, maker.seen
    photos = corpus.of("flickr8k_val")
    said = [corpus.photos[p].captions[language][0] for p in photos]
    texts = tower.vectors(said, cache, f"flickr8k_val_{language}", log)
    drawn = torch.randperm(len(photos), generator=torch.Generator().manual_seed(seed))[:most]
    cosines, order = (texts[drawn] @ seen.vectors[photos].T).topk(min(best, len(photos)), 1)
    eye = Eye(maker, tower)
    pairs = [(photos[o], said[t], language) for t, row in zip(drawn.tolist(), order.tolist()) for o in row]
    odds = judge.odds(evidence(model, eye, pairs)).view(len(drawn), -1)
    right = order == drawn[:, None]
    first = {w: 100 * right.gather(1, (odds + w * cosines).argmax(1, keepdim=True)).float().mean().item() for w in WEIGHTS}
    first["inf"] = 100 * right[:, 0].float().mean().item()
    log(f"R@1 by weight of the cosine, {most} queries: {first}")
    # A few hundred queries cannot tell neighbours apart: a weight counts with those beside it.
    smooth = lambda i: sum(first[w] for w in WEIGHTS[max(0, i - 1):i + 2]) / len(WEIGHTS[max(0, i - 1):i + 2])
    return WEIGHTS[max(range(len(WEIGHTS)), key=smooth)], first
