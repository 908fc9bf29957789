"""Writes the pack folder: weights, tokenizer, labels, manifest and model card."""
import hashlib
import json
import os

import numpy as np
import torch
from safetensors.torch import load, save, save_file

from . import batches
from .evaluate import PICK
from .model import TAGS_AT
from .swap import Classes
from .words import POSITIONS

ID, BLOCK = "lite-fuse", 32


def quantised(matrix):
    """ggml Q8_0 blocks, a f16 scale and 32 signed bytes each: f32 [R,C] -> U8 [R,C/32*34]."""
    b = matrix.detach().float().reshape(-1, BLOCK)
    scale = (b.abs().max(1, keepdim=True).values / 127).half()
    # By the rounded scale, since that is what a reader multiplies with.
    q = torch.where(scale > 0, b / scale.float().clamp(min=1e-12), torch.zeros(())).round().clamp(-127, 127).to(torch.int8)
    raw = np.concatenate([scale.numpy().view(np.uint8).reshape(-1, 2), q.numpy().view(np.uint8)], 1)
    return torch.from_numpy(raw.reshape(len(matrix), -1).copy())


def restored(blocks):
    """Q8_0 blocks as f32."""
    b = blocks.numpy().reshape(-1, BLOCK + 2)
    scale = b[:, :2].copy().view(np.float16).astype(np.float32)
    return torch.from_numpy((b[:, 2:].copy().view(np.int8).astype(np.float32) * scale).reshape(len(blocks), -1))


def stored(state):
    """(tensors, layout): Q8_0 for matrices whose width allows it, f16 for other matrices, f32 for vectors."""
    tensors, notes = {}, {}
    for name, value in state.items():
        if value.dim() == 2 and value.shape[1] % BLOCK == 0:
            tensors[name] = quantised(value)
            notes[name] = f"q8_0 {value.shape[0]} {value.shape[1]}"
        else:
            tensors[name] = (value.half() if value.dim() > 1 else value.float()).detach().contiguous()
    return tensors, notes


def rounded(model):
    """The model as a reader of the file sees it, so that figures are those of the pack."""
    tensors, notes = stored(model.state_dict())
    model.load_state_dict({k: restored(v) if k in notes else v.float() for k, v in tensors.items()})
    return model.eval()


def write_parts(state, steps, folder, part=14_000_000):
    """Weights as f16, a safetensors file cut into parts that may travel where large files may not."""
    os.makedirs(folder, exist_ok=True)
    raw = save({k: v.half().contiguous().cpu() for k, v in state.items()}, {"steps": str(steps)})
    names = [os.path.join(folder, f"weights_{i:02}.part") for i in range(-(-len(raw) // part))]
    for i, name in enumerate(names):
        with open(name + ".new", "wb") as f:
            f.write(raw[i * part:(i + 1) * part])
    for name in names:
        os.replace(name + ".new", name)


def read_parts(folder):
    """(weights as f32, steps) that `write_parts` wrote."""
    names, raw = sorted(n for n in os.listdir(folder) if n.startswith("weights_") and n.endswith(".part")), b""
    for name in names:
        with open(os.path.join(folder, name), "rb") as f:
            raw += f.read()
    notes = json.loads(raw[8:8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    return {k: v.float() for k, v in load(raw).items()}, int(notes["steps"])


def config(shape, mix, metrics):
    """What the Rust program needs to know of the architecture."""
    return {"model_type": ID, "hidden_size": shape.width, "num_hidden_layers": shape.depth, "num_attention_heads": shape.heads, "intermediate_size": 4 * shape.width,
            "vocab_size": shape.rows, "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0,
            "img_dim": shape.feature, "num_answer": shape.answers, "len_vis_input": shape.cells, "grid_side": shape.side, "written_words": shape.said,
            "max_seq_length": batches.LONGEST_TEXT, "max_seq_a_length": TAGS_AT, "max_tag_length": batches.LONGEST_TAGS, "tag_threshold": mix.threshold,
            "unsure_below": metrics["calibration"]["unsure_below"], "match": metrics["judge"], "align_weight": metrics["align_weight"], "pick_weight": PICK, "trust": metrics["trust"]}


def tag_names():
    """What the tower's classes are called as tags, by language."""
    names = Classes().names
    return {"en": [en for en, _ in names], "zh": [zh for _, zh in names]}


def as_json(value):
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def read(pack, name):
    with open(os.path.join(pack, name), encoding="utf8") as f:
        return f.read()


def put(pack, name, text):
    with open(os.path.join(pack, name), "w", encoding="utf8") as f:
        f.write(text)


def listed(pack, name):
    """A file's entry in the manifest."""
    with open(os.path.join(pack, name), "rb") as f:
        raw = f.read()
    return {"name": name, "size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def write_pack(out, model, words, labels, mix, metrics, card=None, align=None):
    """The whole pack; returns its size in bytes. Without a card (parity vectors) none is written, nor tags."""
    os.makedirs(out, exist_ok=True)
    tensors, notes = stored(model.state_dict())
    save_file(tensors, os.path.join(out, "model.safetensors"), metadata=notes)
    beside = {"tokenizer.json": words.tokenizer, "labels.json": json.dumps(labels, ensure_ascii=False),
              "config.json": as_json(config(model.shape, mix, metrics))}
    if card:
        beside["tags.json"] = json.dumps(tag_names(), ensure_ascii=False)
    for name, text in beside.items():
        put(out, name, text)
    files = [listed(out, name) for name in ("model.safetensors", *beside)]
    manifest = {"id": ID, "family": "fuse", "architecture": ID, "name": "Lite Fuse",
                "good_at": "Captions, answers and matching for everyday photos, in English and Chinese; small, works at once.",
                "languages": ["en", "zh"], "licence": "Apache-2.0 and MIT (first text weights); trained on data for research and education, see MODEL_CARD.md",
                "source": "trained by training/fuse", "align": align, "files": files, "metrics": metrics}
    put(out, "pack.json", as_json(manifest))
    if card:
        put(out, "MODEL_CARD.md", card)
    return sum(os.path.getsize(os.path.join(out, n)) for n in os.listdir(out))
