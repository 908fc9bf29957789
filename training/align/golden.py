"""Vectors that the Rust program must reproduce: PyTorch's, from the pack's own files.

    python -m training.align.golden --pack assets/models/lite-align --photos assets/samples --out tests/golden/lite_align

Photos are made small and kept without loss, so that both sides start from the same pixels.
"""
import argparse
import json
import os

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from . import image
from .heads import WIDTH, ClassChannel, Heads, Member
from .text import Source, TextTower, dequantise, dequantise_q8

PHOTOS = ["fig-in-a-red-bowl", "窗边的两只狗", "kite", "raccoon", "clock", "wine-and-a-drum", "nuthatch-on-a-tree", "湖边的小船"]
TEXTS = ["two dogs look out of a window", "a kite in a blue sky", "raccoon", "Boats on the shore of a lake at sunset .", "wine",
         "", "a fig, cut open, in a red bowl; 50% shadow (hard light) – très chic", "窗边的两只狗", "蓝天上的风筝", "湖边停着几条小船。", "浣熊",
         "一只ＡＢＣ  dog 在 beach上奔跑🐕！" * 12]


def load(pack):
    """Towers and heads as the pack's files hold them."""
    read = lambda name: {k: torch.from_numpy(v.astype(np.float32)) for k, v in load_file(os.path.join(pack, name)).items()}
    net, weights, state = image.load_tower(), read("image.safetensors"), read("heads.safetensors")
    with torch.no_grad():
        for name, parameter in image.published_names(net).items():
            parameter.copy_(weights[name])
    zero = torch.zeros
    count = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("members."))
    heads = Heads([Member(zero(WIDTH)) for _ in range(count)], zero(WIDTH, WIDTH * count),
                  ClassChannel(zero(1000, WIDTH), zero(WIDTH, WIDTH), zero(WIDTH)), image.classifier(net))
    heads.load_state_dict(state)
    source = Source()
    with open(os.path.join(pack, "tokenizer.json"), encoding="utf8") as f:
        pieces = [p for p, _ in json.load(f)["model"]["vocab"]]
    place = {p: i for i, (p, _) in reversed(list(enumerate(source.pieces)))}
    tower = TextTower(source, [place[p] for p in pieces]).eval()
    tower.load_state_dict(stored_text(os.path.join(pack, "text.safetensors")))
    return net, heads.eval(), tower


def stored_text(path):
    """The text tower's parameters, de-quantised."""
    with safe_open(path, "np") as f:
        layout = f.metadata() or {}
        numbers = {"q4_0": dequantise, "q8_0": dequantise_q8, None: torch.from_numpy}
        return {k.removeprefix("text_model."): numbers[layout[k].split()[0] if k in layout else None](f.get_tensor(k)) for k in f.keys()}


@torch.no_grad()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--pack", "--photos", "--out"):
        a.add_argument(name, required=True)
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    net, heads, tower = load(o.pack)
    trunk, pixels = image.Trunk(net).eval(), []
    for i, name in enumerate(PHOTOS):
        photo = Image.open(os.path.join(o.photos, name + ".jpg")).convert("RGB")
        # Some smaller than the tower's 292 pixels, some larger.
        photo.thumbnail((230 + 30 * i,) * 2, Image.LANCZOS)
        path = os.path.join(o.out, f"{i}.webp")
        photo.save(path, lossless=True, method=6)
        pixels.append(torch.from_numpy(image.open_pixels(path)))
    images = heads.encode_images(trunk(torch.stack(pixels))[1])
    texts = torch.cat([heads.encode_texts(tower(tower.ids([t]))) for t in TEXTS])
    save_file({"images": images.numpy(), "texts": texts.numpy()}, os.path.join(o.out, "expected.safetensors"))
    with open(os.path.join(o.out, "texts.json"), "w", encoding="utf8") as f:
        json.dump({"photos": [f"{i}.webp" for i in range(len(PHOTOS))], "texts": TEXTS}, f, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
