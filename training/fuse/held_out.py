"""Writes the questions that no training sees as data sets for `glimpse eval vqa`: one file each for the rule-made
questions of Flickr8k val, the held-out photos of COCO-QA and DAQUAR, and easy-VQA's own test.

    python -m training.fuse.held_out --datasets DIR --out DIR
    glimpse eval vqa DIR/rules.jsonl --blind --lang en
"""
import argparse
import json
import os

from . import data


def write(datasets, out):
    """One file for each source."""
    os.makedirs(out, exist_ok=True)
    corpus = data.Corpus(os.path.abspath(datasets))
    asked = corpus.questions(training=False)
    named = data.labels(sorted({q.answer for q in asked}))
    chinese = dict(zip(named["en"], named["zh"]))
    files = {}
    for q in asked:
        rows = files.setdefault(q.source, [])
        for language, text in (("en", q.english), ("zh", q.chinese)):
            if text:
                answer = q.answer if language == "en" else chinese[q.answer]
                rows.append({"image": os.path.abspath(corpus.photos[q.photo].path), "question": text, "answer": answer, "kind": q.kind, "lang": language})
    for source, rows in files.items():
        with open(os.path.join(out, f"{source}.jsonl"), "w", encoding="utf8") as f:
            f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        print(f"{source}: {len(rows)} questions")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--datasets", required=True)
    a.add_argument("--out", required=True)
    o = a.parse_args()
    write(o.datasets, o.out)


if __name__ == "__main__":
    main()
