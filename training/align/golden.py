"""Vectors that the Rust program must reproduce: PyTorch's, from the pack's own files.

    python -m training.align.golden --pack assets/models/lite-align --photos assets/samples --out tests/golden/lite_align

Photos are made small and kept without loss, so that both sides start from the same pixels.
"""
import argparse
import json
import os

import torch
from PIL import Image
from safetensors.numpy import save_file

from . import image
from .heads import stored_heads
from .text import TextTower

PHOTOS = ["fig-in-a-red-bowl", "窗边的两只狗", "kite", "raccoon", "clock", "wine-and-a-drum", "nuthatch-on-a-tree", "湖边的小船"]
TEXTS = ["two dogs look out of a window", "a kite in a blue sky", "raccoon", "Boats on the shore of a lake at sunset .", "wine",
         "", "a fig, cut open, in a red bowl; 50% shadow (hard light) – très chic", "窗边的两只狗", "蓝天上的风筝", "湖边停着几条小船。", "浣熊",
         "一只ＡＢＣ  dog 在 beach上奔跑🐕！" * 12]


def load(pack):
    """Towers and heads as the pack's files hold them."""
    net = image.load_tower(os.path.join(pack, "image.safetensors"))
    return net, stored_heads(os.path.join(pack, "heads.safetensors"), net), TextTower.of_pack(pack)


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
