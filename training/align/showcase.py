"""Queries for things that no caption of flickr8k names, in both languages, and the photos that the program finds.

    python -m training.align.showcase --glimpse target/release/glimpse --datasets DIR --out training/align/SHOWCASE.md

Over the samples and 400 cocoqa photos (seeded; training photos, so this shows reach and is no measurement). What a
found photo shows is told by its file name (samples) or by a statement of cocoqa.
"""
import argparse
import json
import os
import random
import re
import subprocess
import tempfile

from . import data

# English query, the word that must be new, Chinese query, the word that must be new.
QUERIES = [
    ("giraffes", "giraffe", "长颈鹿", "长颈鹿"), ("zebras grazing", "zebras", "吃草的斑马", "吃草的斑马"), ("a sandwich", "sandwich", "三明治", "三明治"),
    ("vases", "vases", "插着花的花瓶", "插着花的花瓶"), ("scissors", "scissors", "一把剪刀", "一把剪刀"), ("carrots", "carrots", "胡萝卜", "胡萝卜"),
    ("toothbrushes", "toothbrushes", "几支牙刷", "几支牙刷"), ("a kitchen oven", "oven", "烤箱", "烤箱"), ("an open fridge", "fridge", "打开的冰箱", "冰箱"),
    ("a kitchen blender", "blender", "搅拌机", "搅拌机"), ("airplanes on a runway", "airplanes", "跑道上的客机", "客机"), ("a raccoon", "raccoon", "浣熊", "浣熊"),
    ("figs", "figs", "无花果", "无花果"), ("cupcakes", "cupcakes", "纸杯蛋糕", "纸杯蛋糕"), ("galaxies", "galaxies", "星系", "星系"),
    ("a nuthatch", "nuthatch", "树上的五子雀", "五子雀"), ("a budgie", "budgie", "虎皮鹦鹉", "虎皮鹦鹉"), ("an analog clock", "clocks", "时钟", "时钟"),
    ("pizzas", "pizzas", "披萨", "披萨"), ("paintbrushes", "paintbrushes", "画笔", "画笔"),
]
PHOTOS, SEED, SHOWN = 400, 1, 3
HERE = os.path.dirname(__file__)
SAMPLES = os.path.join(HERE, "..", "..", "assets", "samples")


def check_unseen(datasets):
    """Every query's word is in no caption of flickr8k."""
    said = {"en": "", "zh": ""}
    for split in ("train", "val"):
        for kind in said:
            said[kind] += "\n".join(data.flickr8k(datasets, split).said[kind]).lower() + "\n"
    words = set(re.findall(r"[a-z]+", said["en"]))
    named = [q for q in QUERIES if q[1] in words or q[3] in said["zh"]]
    if named:
        raise SystemExit(f"named by a caption: {named}")


def ask(glimpse, library, queries):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf8", delete=False) as f:
        f.write("\n".join(queries) + "\n")
    done = subprocess.run([glimpse, "--library", library, "--json", "search", "--queries", f.name, "--top", str(SHOWN)], check=True, capture_output=True, text=True)
    os.remove(f.name)
    return [json.loads(line)["hits"] for line in done.stdout.splitlines()]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--glimpse", "--datasets", "--out"):
        a.add_argument(name, required=True)
    o = a.parse_args()
    check_unseen(o.datasets)
    qa = data.cocoqa(o.datasets)
    statements = {}
    for photo, text in zip(qa.of["statement"], qa.said["statement"]):
        statements.setdefault(os.path.basename(qa.paths[photo]), []).append(text)
    with tempfile.TemporaryDirectory() as folder:
        photos = os.path.join(folder, "photos")
        os.mkdir(photos)
        samples = [os.path.join(SAMPLES, n) for n in sorted(os.listdir(SAMPLES)) if n.endswith(".jpg")]
        for path in samples + random.Random(SEED).sample(qa.paths, PHOTOS):
            os.symlink(os.path.abspath(path), os.path.join(photos, os.path.basename(path)))
        library = os.path.join(folder, "library.glimpse")
        subprocess.run([o.glimpse, "--library", library, "-q", "index", photos], check=True, stdout=subprocess.DEVNULL)
        found = {lang: ask(o.glimpse, library, [q[i] for q in QUERIES]) for lang, i in (("en", 0), ("zh", 2))}

    def cell(hit):
        name = os.path.basename(hit["path"])
        return f"*{'; '.join(statements[name][:2])}*" if name in statements else f"**{name}**"

    lines = ["# Twenty things that no caption of flickr8k names", "",
             f"Written by `training.align.showcase`: the first {SHOWN} of {len(samples)} samples (bold, by file name) and {PHOTOS} cocoqa photos (by what cocoqa says of them).",
             "The cocoqa photos were trained on: this shows that the model's words reach past flickr8k's, and measures nothing.", "",
             "| query | found |", "|---|---|"]
    for i, q in enumerate(QUERIES):
        for lang, text in (("en", q[0]), ("zh", q[2])):
            lines.append(f"| {text} | {' · '.join(map(cell, found[lang][i]))} |")
    with open(o.out, "w", encoding="utf8") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
