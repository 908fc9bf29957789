"""Trains and exports `lite-fuse`, the built-in model that captions, answers and judges photos.

    python -m training.fuse --datasets DIR --cache DIR --align assets/models/lite-align --out assets/models/lite-fuse

Must not touch the Rust program or the Align pack; what it writes is a pack folder.
"""
