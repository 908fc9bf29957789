"""Numbers that the Rust program must reproduce: PyTorch's, from the pack's own files.

    python -m training.fuse.golden --out tests/golden/lite_fuse
    python -m training.fuse.golden --out DIR --pack assets/models/lite-fuse

Without `--pack` the weights are random and the sizes small, so that the test needs no trained pack; the folder is
a pack of its own. Either way the pictures are made-up features with made-up tags, as the tower would give them.
"""
import argparse
import json
import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from . import export, model as layout
from ..align.text import _is_han
from .batches import LONGEST_CAPTION, LONGEST_TAGS, Mix
from .evaluate import likelihoods
from .model import Fuse, Shape
from .sample import unsaid
from .words import CLS, SEP, SPECIAL, START, Words

PIECES = [*"abcdefghijklmnopqrstuvwxyz", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz"), *"狗猫在草地上跑是什么颜色的一只黑白", "a dog cat red ball is what color the runs on grass ? . ， ？ 。".split()]
PICTURES = [["dog", "red ball"], [], ["cat", "grass", "what the dog runs on is the color of a red ball on the grass is what the cat"]]
TEXTS = ["a dog runs on the grass .", "what color is the ball ?", "狗是什么颜色的？", "", "一只 cat 在草地上跑，the ball。", "the red dog runs " * 20]
ANSWERS = ["red", "dog", "2"]
# What a pack's configuration takes from its figures.
METRICS = {"calibration": {"unsure_below": 0.3}, "judge": {"head": 0.8, "gain": 0.25, "near": 0.0, "bias": -0.1}, "align_weight": 20.0, "trust": {}}
# So many of the likeliest words of a step are written.
BEST = 20


def small():
    """A pack's parts with random weights."""
    pieces = [p for group in PIECES for p in (group if isinstance(group, list) else [group])]
    ordered = list(dict.fromkeys(SPECIAL + pieces))
    from .words import _cut, _minilm
    _, whole, _, _ = _minilm(None)
    torch.manual_seed(5)
    shape = Shape(len(ordered), len(ordered) - 6, len(ANSWERS), side=3, depth=2, width=64, heads=4, feature=96)
    model = Fuse(shape)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * (0.15 if p.dim() > 1 else 0.1) + (1.0 if p.dim() == 1 and p.mean() > 0.5 else 0.0))
    state = {"embeddings.word_embeddings.weight": model.bert["embeddings"]["word_embeddings"].weight}
    return model, Words(_cut(whole, ordered), state, shape.said), {"en": ANSWERS, "zh": ["红色", "狗", "2"]}


def stored(pack):
    """A pack's parts as its files hold them."""
    config = json.loads(export.read(pack, "config.json"))
    shape = Shape(config["vocab_size"], config["written_words"], config["num_answer"], config["grid_side"], config["num_hidden_layers"],
                  config["hidden_size"], config["num_attention_heads"], config["img_dim"])
    model = Fuse(shape)
    with safe_open(os.path.join(pack, "model.safetensors"), "pt") as f:
        notes = f.metadata() or {}
        model.load_state_dict({k: export.restored(f.get_tensor(k)) if k in notes else f.get_tensor(k).float() for k in f.keys()})
    words = Words(export.read(pack, "tokenizer.json"), {"embeddings.word_embeddings.weight": model.bert["embeddings"]["word_embeddings"].weight}, shape.said)
    return model.eval(), words, json.loads(export.read(pack, "labels.json"))


def likelihood(model, words, text, tags, picture):
    """log p of the text as a caption, in the language that it is written in."""
    start = START["zh" if any(_is_han(c) for c in text) else "en"]
    said = [start, *words.ids([text])[0][:LONGEST_CAPTION - 2], SEP]
    return likelihoods(model, [said], [tags], picture)[0]


@torch.no_grad()
def expected(model, words):
    """Features of the pictures, and for each picture what each head says."""
    generator = torch.Generator().manual_seed(9)
    shape, cells, out = model.shape, [], []
    barred = unsaid(words, "zh", shape.said)[1]
    for tags in PICTURES:
        picture = torch.rand(1, shape.cells, shape.feature, generator=generator) * 2
        cells.append(picture[0])
        ids = [i for t in words.ids(tags) for i in t][:LONGEST_TAGS - 1]
        ids += [SEP] if ids else []
        texts = [[CLS, *t[:38], SEP] for t in words.ids(TEXTS)]
        sequences = [layout.sequence([[t]], [ids], picture) for t in texts]
        hidden = [s.firsts(model(s)) for s in sequences]
        row = {"tags": tags, "answers": [model.answers(h)[0].tolist() for h in hidden], "matches": [model.matches(h)[0].tolist() for h in hidden], "captions": {},
               "likelihoods": [likelihood(model, words, t, ids, picture) for t in TEXTS], "alone": [likelihood(model, words, t, [], None) for t in TEXTS]}
        for language, start in START.items():
            said, steps = [start], []
            for _ in range(8):
                scores = model.words(model(layout.captions([[said]], [ids], picture))[0, -1])
                best = scores.topk(min(BEST, len(scores)))
                steps.append([[i, s] for i, s in zip(best.indices.tolist(), best.values.tolist())])
                said.append(int((scores + barred).argmax()))
                if said[-1] == SEP:
                    break
            row["captions"][language] = {"ids": said, "first": steps[0], "last": steps[-1]}
        out.append(row)
    return torch.stack(cells), out


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out", required=True)
    a.add_argument("--pack")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    model, words, labels = stored(o.pack) if o.pack else small()
    if not o.pack:
        export.write_pack(o.out, model, words, labels, Mix(), METRICS)
        # What the files hold, not what was drawn.
        model, words, labels = stored(o.out)
    cells, rows = expected(model, words)
    save_file({"cells": cells}, os.path.join(o.out, "cells.safetensors"))
    with open(os.path.join(o.out, "expected.json"), "w", encoding="utf8") as f:
        json.dump({"texts": TEXTS, "pictures": rows}, f, ensure_ascii=False)


if __name__ == "__main__":
    main()
