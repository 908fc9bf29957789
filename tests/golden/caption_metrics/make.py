#!/usr/bin/env python3
"""Writes want.json: what pycocoevalcap (PyPI, 1.2) makes of the made-up captions below.

Needs `pip install pycocoevalcap` and a Java runtime for its tokenizer. Usage: python make.py
Each group is scored by itself: words as its PTBTokenizer has them in English, one
character a word in Chinese.
"""

import json
import pathlib

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

# A caption, then what people might write about the same picture.
ENGLISH = [
    ("A dog runs on the beach .", ["A brown dog is running along a beach.", "The dog runs through the sand", "A dog plays near the water , on the beach ."]),
    ("A man is riding a bike.", ["A man rides his bicycle down a hill.", "A cyclist in a red t-shirt, riding fast!", "Somebody's riding a mountain-bike"]),
    ("Two children play in the snow", ["Two kids are playing in the snow.", "Children throw snowballs at each other .", "The boys' snow fight"]),
    ("A woman holding an umbrella", ["A woman in a blue dress holds a red umbrella (open).", "It's raining, and a lady can't do without her umbrella", "Woman with umbrella"]),
    ("a a a a a", ["A cat sits on a window sill.", "A black cat looks out of a window"]),
    ("A group of people standing in front of a building with a sign that says \"open\"", ["People wait before a shop.", "A sign says \"OPEN\" at 5:30 p.m."]),
    ("A little girl in a pink dress is climbing a set of stairs in an entry way", ["A child in a pink dress is climbing up a set of stairs in an entry way .", "A little girl climbing into a wooden playhouse .", "A girl going into a wooden building ."]),
    ("", ["A bowl of soup with bread.", "Soup - and bread - on a table"]),
    ("A dog and a cat .", ["A dog and a cat ."]),
    ("Mr. Smith doesn't like the U.S. flag", ["A man looks at the flag of the U.S.", "Mr. Smith cannot see the flag & the sky", "He isn't a fan; he's leaving..."]),
    ("A black and white dog jumps over a bar", ["A black and white dog is jumping over a red-and-white bar.", "A dog leaps over a hurdle", "Dog jumping , agility course"]),
    ("Skyline at night", ["The city's skyline at night -- lights everywhere !", "Night falls over 1,000 windows of downtown"]),
    ("A man in a red shirt stands on a rock", ["A man in a red shirt stands on a cliff .", "Hiker on a rock above the valley"]),
    ("A man in a blue shirt stands on a street", ["A man in a blue shirt waits for the bus .", "A man stands at a bus stop", "A street with a man"]),
]
CHINESE = [
    ("一只狗在海边跑", ["一只棕色的狗在沙滩上奔跑。", "狗在海边玩耍", "海边的狗。"]),
    ("两个孩子在雪地里玩耍。", ["两个小孩在雪地里打雪仗", "孩子们在雪中玩。"]),
    ("一个男人骑自行车", ["穿红色T恤的男人骑着自行车下山。", "骑车的人", "一名男子，骑着山地车"]),
    ("站在街上的人", ["街上有很多人。", "一个穿蓝衣服的人站在街边", "行人"]),
    ("一只猫", ["窗台上的黑猫", "一只猫看着窗外！"]),
]
WORDS = [
    "A man (in red) can't \"jump\" over the boys' car, isn't it?",
    "cannot gonna wanna it's I'm we've he'd they'll go",
    "5:30 3.5 1,000 50% $5 #1 and/or w/ AT&T U.S. Mr. Smith St. Louis",
    "t-shirt half-naked ice - cream ice -- cream ... wait.... what!!! ?! ; :",
    "o'clock rock 'n' roll 1980's 80s '80s Q&amp;A hors d'oeuvres",
    "dog[1] {x} *star* under_score no end.Next 2x4 7-up a ,b;c x=y tab\tx",
    "naïve café beach--kite A.M. p.m. 5pm etc. vs. dr.",
]
# By `captions[number]`; without the words that the tokenizer drops.
characters = lambda text: " ".join(c.lower() for c in text if c.isalnum())
tokenized = lambda texts: PTBTokenizer().tokenize({i: [{"caption": t} for t in ts] for i, ts in enumerate(texts)})


def scores(captions, references):
    bleu, _ = Bleu(4).compute_score(references, captions, verbose=0)
    return {"bleu": bleu, "cider": float(Cider().compute_score(references, captions)[0])}


def group(lang, sets):
    captions, references = [[caption] for caption, _ in sets], [refs for _, refs in sets]
    if lang == "en":
        captions, references = tokenized(captions), tokenized(references)
    else:
        captions, references = ({i: [characters(t) for t in ts] for i, ts in enumerate(x)} for x in (captions, references))
    sets = [{"caption": caption, "references": refs} for caption, refs in sets]
    return {"lang": lang, "sets": sets, **scores(captions, references)}


want = {
    "groups": [group("en", ENGLISH), group("en", ENGLISH[6:9]), group("en", ENGLISH[:1]), group("zh", CHINESE)],
    "words": [{"text": text, "words": tokenized([[text]])[0][0]} for text in WORDS],
}
text = json.dumps(want, ensure_ascii=False, indent=1)
pathlib.Path(__file__).with_name("want.json").write_text(text + "\n", encoding="utf-8")
