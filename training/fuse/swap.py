"""Other things' names in place of a noun, so that things which no training photo shows are named from
their tags: in tags, caption, question and answer together. Must not know photos' files or models.
"""
import os
import re
from collections import defaultdict

from ..align.data import class_names
from .questions import NAMES, NOUNS, many_of, plural

HERE = os.path.dirname(__file__)
# Classes of the tower that are animals, and those that are things one can hold, ride or see in a street.
ANIMALS, THINGS = range(0, 398), range(398, 970)
# Names that ImageNet spells as no caption would.
COMMON = {"ice bear": "polar bear", "lesser panda": "red panda", "giant panda": "panda", "hotdog": "hot dog", "cellular telephone": "cell phone",
          "alp": "mountain", "cock": "rooster", "hog": "pig", "ashcan": "trash can", "moving van": "truck", "sax": "saxophone", "suit": "suit"}
# Measure words that go with one noun only give way to general ones.
MEASURES = re.compile("[条匹头辆架艘把张顶件朵棵](?=[^，。上下里中边]{0,6}$)")


class Classes:
    """The tower's classes: names as tags, and the nouns that captions would call them by."""

    def __init__(self):
        self.names = [(COMMON.get(en, en).lower(), zh[0]) for en, zh in class_names()]
        self.general = list(self.names)
        with open(os.path.join(HERE, "hypernyms.tsv"), encoding="utf8") as f:
            for line in f:
                first, last, english, chinese = line.rstrip("\n").split("\t")
                for i in range(int(first), int(last) + 1):
                    self.general[i] = (english, chinese)
        self.by_word = {"en": defaultdict(list), "zh": defaultdict(list)}
        for i, (name, general) in enumerate(zip(self.names, self.general)):
            for word in {name[0], general[0], name[0].split()[-1]}:
                self.by_word["en"][word].append(i)
            for word in {name[1], general[1]}:
                self.by_word["zh"][word].append(i)

    def tag(self, c, language):
        return self.names[c][language == "zh"]

    def noun(self, c, language, exact):
        """What a caption calls class `c`: its own name, or the general one."""
        return (self.names if exact else self.general)[c][language == "zh"]

    def in_text(self, text, language):
        """Classes whose name or general name a text holds, one list for each word found."""
        table = self.by_word[language]
        if language == "zh":
            # Single characters stand inside too many other words.
            return [table[w] for w in table if len(w) > 1 and w in text]
        words = [w for w in re.findall(r"[a-z]+", text.lower())]
        words += [w[:-1] for w in words if w.endswith("s") and w[:-1] in table]
        pairs = [" ".join(p) for p in zip(words, words[1:])]
        return [table[w] for w in dict.fromkeys(pairs + words) if w in table]


def english(text, noun, new):
    """`text` with every form of `noun` replaced by `new`, articles and plurals fitted; `None` if it has none."""
    forms = {w for w, e in NOUNS.items() if e.name == noun}
    out, hit = text.split(" "), False
    for i, word in enumerate(out):
        bare = word.lower().strip(".,?!'\"")
        if bare in forms:
            hit, many = True, plural(bare) and bare not in ("sheep", "fish")
            out[i] = (many_of(new) if many else new) + word[len(word.rstrip(".,?!'\"")):]
            if i and out[i - 1].lower() in ("a", "an"):
                article = "an" if new[0] in "aeiou" else "a"
                out[i - 1] = article.capitalize() if out[i - 1][0] == "A" else article
    return " ".join(out) if hit else None


def chinese(text, noun, new):
    """The same for Chinese."""
    old = NAMES[noun].chinese
    at = text.find(old)
    # The characters before tell a noun from a part of another ("热狗", "水球").
    if at < 0 or text[max(0, at - 1):at] in tuple("热水气雪足篮排网高铅皮毛"):
        return None
    kind = "只" if NAMES[noun].kind == "animal" else "个"
    return MEASURES.sub(kind, text[:at]) + new + text[at + len(old):].replace(old, new)


def replaced(text, language, noun, new):
    return (english if language == "en" else chinese)(text, noun, new)


def choose(nouns, draw):
    """(noun, class) for a photo whose captions name `nouns`; `None` where nothing can be swapped. An
    animal becomes an animal, a thing a thing."""
    fit = [n for n in sorted(nouns) if NAMES[n].kind in ("animal", "thing") and n not in ("tree", "rock", "food", "fence")]
    if not fit:
        return None
    noun = draw.choice(fit)
    return noun, draw.choice(ANIMALS if NAMES[noun].kind == "animal" else THINGS)
