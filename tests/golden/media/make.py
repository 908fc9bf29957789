#!/usr/bin/env python3
"""Makes the small JPEG files of this folder: one real photo (scikit-image's
`coffee`, CC0, Rachel Michetti) in the shapes that cameras and programs write,
each beside what libjpeg-turbo (through Pillow) decodes it to.

Needs Pillow, numpy, scikit-image, and ImageMagick for the rarer samplings.
The files are committed; run it again only to add one.
"""

import io
import pathlib
import subprocess

import numpy as np
from PIL import Image
from skimage import data

HERE = pathlib.Path(__file__).parent
# Odd sizes: the last blocks are partly padding.
PHOTO = Image.fromarray(data.coffee()).resize((75, 50), Image.LANCZOS).crop((3, 4, 74, 47))


def keep(name, jpeg):
    (HERE / f"{name}.jpg").write_bytes(jpeg)
    Image.open(io.BytesIO(jpeg)).convert("RGB").save(HERE / f"{name}.png", optimize=True)


def pillow(image=PHOTO, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85, **options)
    return out.getvalue()


def magick(*options):
    png = io.BytesIO()
    PHOTO.save(png, "PNG")
    command = ["convert", "png:-", "-quality", "85", *options, "jpg:-"]
    return subprocess.run(command, input=png.getvalue(), capture_output=True, check=True).stdout


def ycck():
    """Planes Y, Cb, Cr, K under Adobe's transform 2."""
    rgb = np.asarray(PHOTO).astype(int)
    black = 255 - rgb.max(axis=2)
    inks = np.clip(255 - rgb - black[..., None], 0, 255)
    stored = np.asarray(Image.fromarray((255 - inks).astype(np.uint8)).convert("YCbCr")).astype(int)
    planes = np.dstack([255 - stored, black]).astype(np.uint8)  # Pillow inverts on writing
    jpeg = bytearray(pillow(Image.fromarray(planes, "CMYK")))
    jpeg[jpeg.index(b"Adobe") + 11] = 2
    return bytes(jpeg)


keep("444", pillow(subsampling=0))
keep("422", pillow(subsampling=1))
keep("420", pillow(subsampling=2, optimize=True))
keep("420_restarts", pillow(subsampling=2, restart_marker_blocks=2))
keep("420_progressive", pillow(subsampling=2, progressive=True))
keep("440", magick("-sampling-factor", "1x2"))
keep("411", magick("-sampling-factor", "4x1"))
keep("rgb", pillow(keep_rgb=True))
keep("ycck", ycck())
keep("flat_progressive", pillow(Image.new("L", (256, 256), 90), progressive=True))
