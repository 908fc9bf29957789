"""Captions of twenty photos of things that flickr8k's captions do not name, by the program.

    python -m training.fuse.showcase --glimpse target/release/glimpse --datasets DIR --out training/fuse/SHOWCASE.md

Held-out photos of cocoqa by the answers that name them (seeded), and samples. A caption counts if it holds the noun or a
fair hypernym, which are listed here before any caption is read.
"""
import argparse
import json
import os
import random
import re
import subprocess
from collections import Counter

from . import data

# What cocoqa calls the thing, what else counts, how many photos.
HELD_OUT = [
    (("giraffe", "giraffes"), {"animal", "animals"}, 4), (("zebra", "zebras"), {"animal", "animals"}, 4),
    (("clock", "clocks"), {"watch"}, 3), (("vase", "vases"), {"pot", "jar"}, 3),
    (("sandwich", "sandwiches"), {"food", "burger", "hamburger"}, 1), (("fridge", "freezer"), {"refrigerator", "appliance"}, 1),
]
SAMPLES = [("clock.jpg", {"clock", "watch"}), ("raccoon.jpg", {"raccoon", "animal"}), ("fig-in-a-red-bowl.jpg", {"fig", "figs", "fruit", "fruits", "food"}),
           ("paint-brushes.jpg", {"brush", "brushes", "paintbrush", "paintbrushes"})]
# A word that flickr8k's captions say more often is named by them.
RARE, SEED = 2, 1
FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "assets", "samples")


def words(text):
    return set(re.findall("[a-z]+", text.lower()))


def chosen(corpus):
    """(file, what it is called, words that count)."""
    said = Counter(w for p in corpus.photos if p.source.startswith("flickr8k") for t in p.captions["en"] for w in words(t))
    for names, others, count in HELD_OUT:
        if named := [n for n in names if said[n] > RARE]:
            raise SystemExit(f"named by captions: {named}")
        photos = {q.photo for q in corpus.asked if q.source == "cocoqa" and q.answer in names and corpus.photos[q.photo].held_out}
        for photo in random.Random(SEED).sample(sorted(photos), count):
            yield corpus.photos[photo].path, names[0], {*names, *others}
    for name, right in SAMPLES:
        yield os.path.join(FOLDER, name), name.rsplit(".", 1)[0], right


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--glimpse", "--datasets", "--out"):
        a.add_argument(name, required=True)
    o = a.parse_args()
    rows = list(chosen(data.Corpus(o.datasets, easy=False)))
    done = subprocess.run([o.glimpse, "--json", "caption", *(path for path, _, _ in rows), "--beam", "3"], check=True, capture_output=True, text=True)
    captions = [json.loads(line)["caption"] for line in done.stdout.splitlines()]
    right = [bool(words(text) & counts) for text, (_, _, counts) in zip(captions, rows)]
    lines = ["# Twenty things that flickr8k's captions do not name", "",
             f"Written by `training.fuse.showcase`: {sum(right)} of {len(rows)} captions hold the noun or one of the hypernyms that the script lists.",
             "The photos of cocoqa were held out of the training.", "", "| thing | caption, beam 3 | counts |", "|---|---|---|"]
    lines += [f"| {what} | {text} | {'yes' if ok else 'no'} |" for text, ok, (_, what, _) in zip(captions, right, rows)]
    with open(o.out, "w", encoding="utf8") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
