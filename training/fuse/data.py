"""The datasets as photos with captions, statements and questions. Reads files, keeps nothing, needs no torch.

Photos are numbered through all sets. A tenth of DAQUAR's and of cocoqa's photos, chosen with a seed, is
never trained on.
"""
import json
import os
import random
import re
from dataclasses import dataclass, field

from ..align import data as align_data
from . import questions as rules
from .questions import Question, normal

LANGUAGES = ("en", "zh")
HELD_OUT, HELD_OUT_SEED = 0.1, 7
SETS = ("flickr8k_train", "flickr8k_val", "cocoqa", "daquar", "easy_train", "easy_test")


@dataclass
class Photo:
    """`captions[language]`; machine translations stand under `mt`. `nouns` are those the captions name."""

    path: str
    source: str
    held_out: bool = False
    captions: dict = field(default_factory=dict)
    nouns: frozenset = frozenset()


@dataclass(frozen=True)
class Asked(Question):
    """A question with where it comes from; `answers` are the normal forms that each count in training
    (DAQUAR lists several things), `answer` is the whole."""

    source: str = ""
    answers: tuple = ()


def held_out(names, seed=HELD_OUT_SEED, share=HELD_OUT):
    """A share of the names, the same for one seed whatever the order."""
    names = sorted(set(names))
    return set(random.Random(seed).sample(names, round(share * len(names))))


def statement(question, answer):
    """A cocoqa question and its answer as a statement, with the article that fits."""
    said = align_data.statement(question, answer)
    plural = answer.endswith("s") and not answer.endswith("ss") and answer != "bus"
    return re.sub(r"^an? " + re.escape(answer) + r"\b", lambda _: answer if plural else ("an " if answer[0] in "aeiou" else "a ") + answer, said)


def is_caption(row):
    """Whether a cocoqa statement reads like a caption: it begins with the thing it names."""
    return row["kind"] == "object" and re.match(r"what (?:is|are|sits|stands|lies|hangs|has|filled|covered|parked|flying|sitting|standing)\b", row["question"]) is not None


# What is left of a question that asked for an object ("a banana is the man holding").
_CLUMSY = re.compile(r"(?:an? |the )?[a-z]+ (?:is|are|did|do|does) (?:the|an?|his|her|its|their|this|that|these|those|there|two|three|four|five|six|several|many|some|people|"
                     r"person|man|woman|men|women|it|she|he|they|someone|being|young|small|little|large)\b")


def is_clumsy(caption):
    """Whether a statement is no sentence that anybody would write."""
    return _CLUMSY.match(caption) is not None


# The wordings of easy-vqa, which are few.
SHAPES = {"circle": "圆形", "rectangle": "长方形", "triangle": "三角形"}
COLOURS = {"green": "绿色", "red": "红色", "gray": "灰色", "teal": "青色", "black": "黑色", "yellow": "黄色", "brown": "棕色", "blue": "蓝色"}


def easy_chinese(question):
    """An easy-vqa question in Chinese."""
    words = re.findall(r"[a-z]+", question.lower())
    thing = next((COLOURS[w] + "的" for w in words if w in COLOURS), "") + next((SHAPES[w] for w in words if w in SHAPES), "图形")
    if words[:2] in (["what", "color"], ["what", "colour"]) or "color" in words:
        return f"{thing}是什么颜色的？"
    if words[0] in ("what", "which"):
        return f"{thing}是什么形状的？"
    return f"图片里没有{thing}吗？" if "not" in words or "no" in words else f"图片里有{thing}吗？"


class Corpus:
    """All photos, all questions. `limit` takes so many photos of each set, for trials."""

    def __init__(self, folder, limit=None, easy=True):
        self.photos, self.asked, self.free = [], [], {}
        for split in ("train", "val"):
            self._flickr8k(folder, split, limit)
        self._rows(folder, "cocoqa", limit, self._cocoqa)
        self._rows(folder, "daquar", limit, self._daquar)
        if easy:
            self._easy("train", limit), self._easy("test", limit)
        free = align_data.captions_without_photos(folder)
        self.free = {k: free[k][:limit and 4 * limit] for k in LANGUAGES}

    def of(self, source):
        """Indices of a set's photos."""
        return [i for i, p in enumerate(self.photos) if p.source == source]

    def questions(self, training):
        """Those to train on, or those to measure on."""
        away = lambda p: p.held_out or p.source in ("flickr8k_val", "easy_test")
        return [q for q in self.asked if away(self.photos[q.photo]) != training]

    def _flickr8k(self, folder, split, limit):
        found = []
        for row in align_data.rows(f"{folder}/flickr8k/{split}.jsonl")[:limit]:
            facts = rules.facts(row["en"])
            captions = {"en": row["en"], "zh": row["zh"], "mt": [t for pair in row["zh_mt"] for t in pair]}
            found += [Asked(**vars(q), source="rules", answers=(q.answer,)) for q in rules.questions(len(self.photos), facts)]
            nouns = frozenset(n for n, c in facts.nouns.items() if c >= 2)
            self.photos.append(Photo(f"{folder}/flickr8k/{row['image']}", f"flickr8k_{split}", captions=captions, nouns=nouns))
        self.asked += rules.balanced(found, HELD_OUT_SEED)

    def _rows(self, folder, name, limit, take):
        rows = align_data.rows(f"{folder}/{name}/train.jsonl")
        names = sorted({r["image"] for r in rows})
        away, kept = held_out(names), names[:limit]
        place = {n: len(self.photos) + i for i, n in enumerate(kept)}
        self.photos += [Photo(f"{folder}/{name}/{n}", name, n in away, {"en": [], "statement": []}) for n in kept]
        for row in rows:
            if row["image"] in place:
                take(row, place[row["image"]])

    def _cocoqa(self, row, photo):
        said, answer = statement(row["question"], row["answer"]), normal(row["answer"])
        self.photos[photo].captions["statement"].append(said)
        if is_caption(row):
            self.photos[photo].captions["en"].append(said)
        self.asked.append(Asked(photo, row["question"], "", answer, row["kind"], "cocoqa", (answer,)))

    def _daquar(self, row, photo):
        answer = normal(row["answer"])
        kind = "number" if answer.isdigit() else "colour" if "colo" in row["question"] else "object"
        self.asked.append(Asked(photo, row["question"], "", answer, kind, "daquar", tuple(answer.split(", "))))

    def _easy(self, split, limit):
        import easy_vqa
        folder = os.path.join(os.path.dirname(easy_vqa.__file__), "data", split)
        with open(os.path.join(folder, "questions.json"), encoding="utf8") as f:
            rows = json.load(f)
        images = sorted({image for _, _, image in rows})[:limit]
        place = {image: len(self.photos) + i for i, image in enumerate(images)}
        self.photos += [Photo(os.path.join(folder, "images", f"{i}.png"), f"easy_{split}") for i in images]
        for question, answer, image in rows:
            if image in place:
                kind = "yes/no" if answer in ("yes", "no") else "colour" if answer in COLOURS else "shape"
                self.asked.append(Asked(place[image], question, easy_chinese(question), answer, kind, "easy-vqa", (answer,)))


def answers(asked, most=500, least=2):
    """The most frequent answers, by name; each is one class for both languages."""
    count = {}
    for q in asked:
        for a in q.answers:
            count[a] = count.get(a, 0) + 1
    ranked = sorted((a for a in count if count[a] >= least), key=lambda a: (-count[a], a))
    return sorted(ranked[:most])


def labels(names):
    """What the classes are called, by language. A class that has no Chinese name keeps its English one."""
    with open(os.path.join(os.path.dirname(__file__), "answers_zh.tsv"), encoding="utf8") as f:
        known = dict(line.rstrip("\n").split("\t") for line in f)
    known = {normal(k): v for k, v in known.items()}
    lexicon = {n: e.chinese for n, e in rules.NAMES.items()}
    return {"en": names, "zh": [known.get(n) or lexicon.get(n) or n for n in names]}
