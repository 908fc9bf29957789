"""Trains and exports `lite-align`, the built-in model that finds photos by a sentence.

    python -m training.align --datasets DIR --cache DIR --out assets/models/lite-align

Must not touch the Rust program; what it writes is a pack folder (see MODEL_CARD.md there).
"""
