"""The datasets' files as lists of photos and texts. Reads them, keeps nothing."""
import gzip
import json
import os
import re
from dataclasses import dataclass, field

HERE = os.path.dirname(__file__)


def rows(path):
    with (gzip.open(path, "rt", encoding="utf8") if path.endswith(".gz") else open(path, encoding="utf8")) as f:
        return [json.loads(line) for line in f]


def statement(question, answer):
    """A cocoqa question with its answer put in: "what sits on a bench", "cat" -> "a cat sits on a bench"."""
    question = question.strip().rstrip(" ?")
    if m := re.match(r"what is the colou?r of (?:the )?(.*)", question):
        return f"a {answer} {m.group(1)}"
    if m := re.match(r"how many (.*)", question):
        return f"{answer} {m.group(1)}"
    if m := re.match(r"where (?:do|does|did|is|are) (.*)", question):
        return f"{m.group(1)} in the {answer}"
    return re.sub(r"\bwhat\b", f"a {answer}", question, count=1)


@dataclass
class Photos:
    """Photos and what is said of them. `said[kind]` is flat; `of[kind][i]` is the photo of text i."""

    name: str
    paths: list
    said: dict = field(default_factory=dict)
    of: dict = field(default_factory=dict)

    def add(self, kind, pairs):
        self.of[kind], self.said[kind] = map(list, zip(*pairs))

    def first(self, count):
        """The first photos alone, and what is said of them."""
        few = Photos(f"{self.name}_first", self.paths[:count])
        for kind in self.said:
            few.add(kind, [(p, s) for p, s in zip(self.of[kind], self.said[kind]) if p < count])
        return few


def flickr8k(datasets, split):
    """Kinds `en`, `zh` (five each a photo) and `mt` (two translations of each English caption, in order)."""
    lines = rows(f"{datasets}/flickr8k/{split}.jsonl")
    photos = Photos(f"flickr8k_{split}", [f"{datasets}/flickr8k/{r['image']}" for r in lines])
    for kind in ("en", "zh"):
        photos.add(kind, [(i, c) for i, r in enumerate(lines) for c in r[kind]])
    photos.add("mt", [(i, t) for i, r in enumerate(lines) for pair in r["zh_mt"] for t in pair])
    return photos


def cocoqa(datasets):
    """Kind `statement`; `objects` are the one-word answers to questions for an object."""
    lines = rows(f"{datasets}/cocoqa/train.jsonl")
    names = sorted({r["image"] for r in lines})
    place = {n: i for i, n in enumerate(names)}
    photos = Photos("cocoqa", [f"{datasets}/cocoqa/{n}" for n in names])
    photos.add("statement", [(place[r["image"]], statement(r["question"], r["answer"])) for r in lines])
    photos.add("object", [(place[r["image"]], r["answer"]) for r in lines if r["kind"] == "object"])
    return photos


def captions_without_photos(datasets):
    """Lists of captions that describe one photo each, by language."""
    folder = f"{datasets}/captions_text"
    return {"en": [r["en"] for n in ("coco_en", "flickr30k_en") for r in rows(f"{folder}/{n}.jsonl.gz")],
            "zh": [r["zh"] for r in rows(f"{folder}/coco_zh.jsonl.gz")]}


def class_names():
    """[(English name, [Chinese names])] of the 1,000 ImageNet classes, in the classifier's order."""
    with open(os.path.join(HERE, "imagenet_zh.tsv"), encoding="utf8") as f:
        parts = [line.rstrip("\n").split("\t") for line in f]
    return [(english, chinese.split("，")) for _, english, chinese in parts]
