"""Questions made from English captions by rule, in both languages, as COCO-QA did (Ren et al. 2015).

Facts that the captions of one photo agree on become questions; a bilingual lexicon (lexicon.tsv: kind,
name, English forms, Chinese, for relations the word that must follow) gives the Chinese ones the same answer.
Must not know photos or models.
"""
import os
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

HERE = os.path.dirname(__file__)
DIGITS = {w: str(i) for i, w in enumerate("zero one two three four five six seven eight nine ten".split())}
ARTICLES = {"a", "an", "the", "his", "her", "their", "its", "some"}
PLACE_WORDS = {"in", "on", "at", "through", "across", "along", "into", "down"}
# Between a colour and its noun, or a verb and its object, no sentence part begins.
BREAKS = {"and", "in", "on", "with", "is", "are", "of", "to", "at", "by", "while", "as", "who", "or", "wearing", "near"}


def normal(answer):
    """Lower case, `_` as a space, number words as digits: how answers are compared."""
    answer = " ".join(answer.lower().replace("_", " ").split())
    return ", ".join(DIGITS.get(part, part) for part in answer.split(", "))


@dataclass
class Entry:
    kind: str
    name: str
    chinese: str
    follows: str


def _lexicon():
    entries, forms = defaultdict(dict), defaultdict(dict)
    with open(os.path.join(HERE, "lexicon.tsv"), encoding="utf8") as f:
        for line in f:
            kind, name, words, chinese, follows = (line.rstrip("\n").split("\t") + [""])[:5]
            entry = entries[kind][name] = Entry(kind, name, chinese, follows)
            for word in words.split(","):
                forms[kind].setdefault(word, []).append(entry)
    return entries, forms


ENTRIES, FORMS = _lexicon()
NOUN_KINDS = ("person", "animal", "thing", "wear")
NOUNS = {word: found[0] for kind in NOUN_KINDS for word, found in FORMS[kind].items()}
NAMES = {e.name: e for kind in (*NOUN_KINDS, "place", "colour", "number", "activity") for e in ENTRIES[kind].values()}
ONE_FORM = {"sheep", "fish", "people", "pants", "shorts", "sunglasses", "food"}


def plural(word):
    """Whether a noun's form is a plural, or may be one."""
    return word in ONE_FORM or word in {"men", "women", "children", "people"} or word.endswith("s") and not word.endswith("ss") and word != "bus"


@dataclass
class Facts:
    """What the captions of one photo say: counts are numbers of captions."""

    captions: int = 0
    nouns: Counter = field(default_factory=Counter)
    single: Counter = field(default_factory=Counter)
    colours: dict = field(default_factory=lambda: defaultdict(Counter))
    mixed: set = field(default_factory=set)
    numbers: dict = field(default_factory=lambda: defaultdict(Counter))
    places: Counter = field(default_factory=Counter)
    activities: dict = field(default_factory=lambda: defaultdict(Counter))
    relations: dict = field(default_factory=lambda: defaultdict(Counter))
    words: set = field(default_factory=set)


def facts(captions):
    """Reads English captions of one photo."""
    out = Facts(len(captions))
    for caption in captions:
        words = re.findall(r"[a-z]+(?:-[a-z]+)*", caption.lower())
        out.words.update(words)
        seen, alone, places = set(), set(), set()
        for i, word in enumerate(words):
            noun, after = NOUNS.get(word), words[i + 1:i + 4]
            if noun:
                seen.add(noun.name)
                if not plural(word):
                    alone.add(noun.name)
            if word in FORMS["place"] and PLACE_WORDS & set(words[max(0, i - 3):i]):
                places.add(FORMS["place"][word][0].name)
            if word in FORMS["colour"]:
                _colour(out, words, i)
            if word in FORMS["number"] and word != "couple" or word == "couple" and after[:1] == ["of"]:
                for w in (w for w in after if w not in ("of", "young", "small", "little", "large")):
                    if w in NOUNS and plural(w):
                        out.numbers[NOUNS[w].name][FORMS["number"][word][0].name] += 1
                        break
                    if w in BREAKS:
                        break
            if word in FORMS["activity"] or word in FORMS["relation"]:
                _doing(out, words, i)
        out.nouns.update(seen)
        out.single.update(alone)
        out.places.update(places)
    return out


def _colour(out, words, i):
    colour = FORMS["colour"][words[i]][0].name
    after = words[i + 1:i + 3]
    for step, word in enumerate(after):
        if word in NOUNS:
            # "black and white dog" has two colours, and no answer in one word.
            beside = {"and"} & set(words[max(0, i - 1):i]) and set(words[max(0, i - 2):i - 1]) & set(FORMS["colour"])
            (out.mixed.add(NOUNS[word].name) if beside else out.colours[NOUNS[word].name].update([colour]))
            return
        if word in BREAKS or word in FORMS["colour"] or step:
            return


def _subject(words, i):
    """The noun before a verb, with at most an auxiliary and an adverb between: "the dog is happily running"."""
    for word in reversed(words[max(0, i - 3):i]):
        if word in NOUNS:
            return NOUNS[word].name if NOUNS[word].kind in ("person", "animal") else None
        if word in BREAKS - {"is", "are"}:
            return None
    return None


def _doing(out, words, i):
    subject = _subject(words, i)
    if not subject:
        return
    if words[i] in FORMS["activity"]:
        out.activities[subject][FORMS["activity"][words[i]][0].name] += 1
    for relation in FORMS["relation"].get(words[i], []):
        at = i + 1
        if relation.follows:
            if words[at:at + 1] != [relation.follows]:
                continue
            at += 1
        for word in words[at:at + 4]:
            worn = relation.name != "wearing" or word in FORMS["wear"]
            if word in NOUNS and worn and NOUNS[word].name != subject:
                out.relations[subject, relation.name][NOUNS[word].name] += 1
                break
            if word in BREAKS:
                break


@dataclass(frozen=True)
class Question:
    """One question; `answer` is the normal form that both languages share."""

    photo: int
    english: str
    chinese: str
    answer: str
    kind: str

    def text(self, language):
        return self.english if language == "en" else self.chinese


def _agreed(counts):
    """The one thing that was said; `None` where captions differ."""
    return next(iter(counts)) if len(counts) == 1 else None


def _article(noun):
    return noun if noun in ONE_FORM else f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def many_of(noun):
    head, _, last = noun.rpartition(" ")
    irregular = {"man": "men", "woman": "women", "child": "children", "baby": "babies", "wolf": "wolves", "mouse": "mice", "goose": "geese"}
    many = irregular.get(last, last if last in ONE_FORM else last + ("es" if last.endswith(("s", "x", "ch", "sh")) else "s"))
    return f"{head} {many}".lstrip()


def questions(photo, found):
    """All questions about one photo, before balancing."""
    out, chinese = [], lambda noun: NAMES[noun].chinese
    ask = lambda kind, answer, english, zh: out.append(Question(photo, english, zh, answer, kind))
    be = lambda noun: "are" if noun in ONE_FORM - {"sheep", "fish", "food"} else "is"
    for noun, kind in ((e.name, k) for k in NOUN_KINDS for e in ENTRIES[k].values()):
        texts = f"{'are' if be(noun) == 'are' else 'is'} there {_article(noun)} in the picture ?", f"图片里有{chinese(noun)}吗？"
        # A person may be called anything: only what has one name is surely absent.
        if found.nouns[noun] >= 2:
            ask("yes/no", "yes", *texts)
        elif kind != "person" and not found.nouns[noun] and found.captions >= 3:
            ask("yes/no", "no", *texts)
    for noun, counts in found.colours.items():
        colour = _agreed(counts)
        if colour and noun not in found.mixed:
            ask("colour", colour, f"what color {be(noun)} the {noun} ?", f"{chinese(noun)}是什么颜色的？")
    for noun, counts in found.numbers.items():
        number = _agreed(counts)
        if number and not found.single[noun] and counts[number] >= 2:
            ask("number", number, f"how many {many_of(noun)} are there ?", f"有多少{chinese(noun)}？")
    for noun, count in found.single.items():
        if count >= 4 and not found.numbers.get(noun) and found.nouns[noun] == count and NAMES[noun].kind in ("person", "animal") and noun not in ONE_FORM:
            ask("number", "1", f"how many {many_of(noun)} are there ?", f"有多少{chinese(noun)}？")
    subject = next((n for n, c in found.nouns.most_common() if c >= 3 and NAMES[n].kind in ("person", "animal")), None)
    place = found.places.most_common(2)
    if subject and place and place[0][1] >= 2 and (len(place) == 1 or place[0][1] > place[1][1]):
        ask("place", place[0][0], f"where {be(subject)} the {subject} ?", f"{chinese(subject)}在哪里？")
    for noun, counts in found.activities.items():
        best = counts.most_common(2)
        if best[0][1] >= 2 and (len(best) == 1 or best[0][1] > best[1][1]):
            ask("activity", best[0][0], f"what {be(noun)} the {noun} doing ?", f"{chinese(noun)}在做什么？")
    for (noun, relation), counts in found.relations.items():
        thing = _agreed(counts)
        if thing:
            ask("object", thing, f"what {be(noun)} the {noun} {relation} ?", f"{chinese(noun)}{ENTRIES['relation'][relation].chinese}什么？")
    animals = [n for n in found.nouns if NAMES[n].kind == "animal"]
    if len(animals) == 1 and found.nouns[animals[0]] >= 3:
        ask("object", animals[0], "what animal is in the picture ?", "图片里是什么动物？")
    return out


def balanced(asked, seed):
    """Leaves of each wording at most as many of its most frequent answer as of all others together, so
    that the wording alone is right half of the time at best; wordings with one answer go."""
    by_text = defaultdict(lambda: defaultdict(list))
    for q in asked:
        by_text[q.english][q.answer].append(q)
    kept, draw = [], random.Random(seed)
    for text in sorted(by_text):
        answers = sorted(by_text[text].values(), key=lambda qs: (-len(qs), qs[0].answer))
        rest = [q for qs in answers[1:] for q in qs]
        kept += draw.sample(answers[0], min(len(answers[0]), len(rest))) + rest
    return sorted(kept, key=lambda q: (q.photo, q.english))
