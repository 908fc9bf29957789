"""Cuts the fonts that ship with the program out of their full faces.

    python training/fonts.py --inter FOLDER --noto NotoSansCJK-Regular.ttc --out assets/fonts

FOLDER holds Inter's .otf files (Debian: fonts-inter); the collection is Noto Sans CJK (fonts-noto-cjk).
Inter keeps Latin, Greek, Cyrillic, punctuation, arrows and mathematics; Noto Sans SC the characters of
GB 2312 and the frequent ones of Big5 with Chinese punctuation, full-width forms, kana and Bopomofo. Layout tables and hints go: the
window places glyphs one by one.
"""
import argparse
import os

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

INTER = [(0x20, 0x52F), (0x1E00, 0x1EFF), (0x2000, 0x22FF), (0x2300, 0x23FF), (0x25A0, 0x25FF)]
NOTO = [(0x20, 0x7E), (0x2010, 0x203B), (0x3000, 0x30FF), (0x3105, 0x312F), (0xFF00, 0xFFEF)]


def table(codec, leads, trails):
    """Every character of a double-byte code between two lead bytes, symbols included."""
    for lead in range(*leads):
        for trail in range(*trails):
            try:
                yield ord(bytes([lead, trail]).decode(codec))
            except UnicodeDecodeError:
                continue


def cut(font, characters, path):
    options = subset.Options(layout_features=[], hinting=False, desubroutinize=False, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=characters)
    cutter.subset(font)
    font.save(path)
    print(path, len(font.getBestCmap()), "characters", os.path.getsize(path), "bytes")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--inter", "--noto", "--out"):
        a.add_argument(name, required=True)
    o = a.parse_args()
    spans = lambda ranges: {c for a, b in ranges for c in range(a, b + 1)}
    for weight in ("Regular", "SemiBold"):
        cut(TTFont(f"{o.inter}/Inter-{weight}.otf"), spans(INTER), f"{o.out}/Inter-{weight}.otf")
    noto = next(f for f in TTCollection(o.noto).fonts if f["name"].getDebugName(4) == "Noto Sans CJK SC")
    simplified, traditional = table("gb2312", (0xA1, 0xF8), (0xA1, 0xFF)), table("big5", (0xA1, 0xC7), (0x40, 0xFF))
    cut(noto, spans(NOTO) | {*simplified, *traditional}, f"{o.out}/NotoSansSC-Regular.otf")


if __name__ == "__main__":
    main()
