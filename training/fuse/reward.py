"""What a written caption is worth: CIDEr-D (Vedantam et al. 2015, as pycocoevalcap counts it) and BLEU-4 of the one sentence
against the captions that people wrote, with the end of the sentence as a word, so that one that breaks off pays nothing. Knows words, no tensors.
"""
import math
import re
from collections import Counter
from dataclasses import dataclass

END, ORDERS, SIGMA, SCALE = "<end>", 4, 6.0, 10.0


def plain(text, language):
    """A text as the scores want it: words in lower case, or characters."""
    return re.findall(r"[a-z0-9']+", text.lower()) if language == "en" else re.findall(r"\w", text)


def grams(words):
    """Counts of the n-grams of 1 to 4 words."""
    return Counter(tuple(words[i:i + n]) for n in range(1, ORDERS + 1) for i in range(len(words) - n + 1))


class Cider:
    """Scores with the document frequencies of one set of photos. `photos`: the captions of each, in words."""

    def __init__(self, photos):
        self.seen = Counter(g for captions in photos for g in set().union(*(grams([*c, END]) for c in captions)))
        self.whole = math.log(max(2, len(photos)))

    def rarity(self, gram):
        """The logarithm of the number of photos for each whose captions say it."""
        return self.whole - math.log(max(1, self.seen.get(gram, 0)))

    def vector(self, words):
        """(weights of the n-grams, their norm for each order, length)."""
        weights, norms = {}, [0.0] * ORDERS
        for g, count in grams([*words, END]).items():
            weights[g] = w = count * self.rarity(g)
            norms[len(g) - 1] += w * w
        return weights, [math.sqrt(n) for n in norms], len(words)

    def score(self, words, references):
        """CIDEr-D of a caption against `vector`s of references."""
        said, norms, length = self.vector(words)
        total = 0.0
        for other, others, of in references:
            like = [0.0] * ORDERS
            for g, w in said.items():
                if g in other:
                    like[len(g) - 1] += min(w, other[g]) * other[g]
            near = math.exp(-((length - of) ** 2) / (2 * SIGMA ** 2))
            total += near * sum(l / (a * b) for l, a, b in zip(like, norms, others) if a and b) / ORDERS
        return SCALE * total / max(1, len(references))


@dataclass
class Worth:
    """What captions of one picture are worth beside `captions`, those that people wrote, in words: CIDEr-D, and `bleu` times BLEU-4."""

    cider: Cider
    captions: list
    bleu: float = 1.0

    def __post_init__(self):
        self.references, self.most = [self.cider.vector(c) for c in self.captions], Counter()
        for c in self.captions:
            self.most |= grams([*c, END])

    def of(self, words):
        return self.cider.score(words, self.references) + self.bleu * self.bleu4(words)

    def bleu4(self, words):
        """BLEU-4 (Papineni et al. 2002), with one added to the counts of all but single words (Lin and Och 2004): a sentence has few n-grams."""
        said = grams([*words, END])
        right, made = [0] * ORDERS, [0] * ORDERS
        for g, count in said.items():
            made[len(g) - 1] += count
            right[len(g) - 1] += min(count, self.most[g])
        if not right[0]:
            return 0.0
        shares = [(r + (n > 0)) / (m + (n > 0)) for n, (r, m) in enumerate(zip(right, made))]
        length = len(words) + 1
        nearest = min((len(c) + 1 for c in self.captions), key=lambda of: (abs(of - length), of))
        return math.exp(min(0.0, 1 - nearest / length) + sum(map(math.log, shares)) / ORDERS)
