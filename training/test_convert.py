"""Each golden checkpoint, pickled as its authors would and converted, comes back byte for byte.

    GOLDEN=FOLDER python -m unittest training.test_convert

FOLDER holds oscar/, vinvl/, uniter/ and vlp/ with a reference in each subfolder; without
it those tests are skipped. The rest makes its own small checkpoints.
"""
import collections
import json
import os
import pickle
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file

from training.convert import ConvertError, convert, read_answers

GOLDEN = Path(os.environ.get("GOLDEN", "../shared/golden"))
# What the authors' code keeps in its arguments or in the vocabulary.
ELSEWHERE = {
    "oscar": {"img_feature_dim", "num_labels"},
    "vinvl": {"img_feature_dim", "num_labels", "use_img_layernorm", "img_layer_norm_eps"},
    "uniter": {"img_dim"},
    "vlp": {"len_vis_input", "vis_feat_dim", "num_classes", "num_answers", "eos_id", "mask_word_id", "task_idx",
            "fp32_embedding", "relax_projection"},
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class Evil:
    def __reduce__(self):
        return os.system, ("echo the pickle ran >&2",)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        self.lines = []

    def convert(self, system, source, **files):
        convert(system, self.path / source, self.path / "out", log=self.lines.append, **files)

    def vocabulary(self, count):
        (self.path / "vocab.txt").write_text("\n".join(SPECIAL + [f"word{i}" for i in range(count - len(SPECIAL))]) + "\n")

    def answers(self, count, name="answers.pkl"):
        with (self.path / name).open("wb") as file:
            pickle.dump({f"answer {i}": i for i in range(count)}, file)
        return self.path / name


def as_published(system, tensors):
    """What the authors' training scripts would have saved: a pickle with their wrappers."""
    state = collections.OrderedDict(tensors)
    words = next(v for k, v in state.items() if k.endswith("word_embeddings.weight"))
    if "cls.predictions.decoder.weight" in state:
        # Tied: one storage under two names.
        state["cls.predictions.decoder.weight"] = words
    root = "uniter" if system == "uniter" else "bert"
    state[f"{root}.embeddings.position_ids"] = torch.arange(8)[None]
    if system == "vlp":
        state["cls.seq_relationship.weight"] = torch.zeros(2, words.shape[1])
        state = collections.OrderedDict((f"module.{k}", v) for k, v in state.items())
    if system == "uniter":
        state["region_classifier.net.0.weight"] = torch.zeros(2, 2)
        renamed = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
                   for k, v in state.items()}
        state = collections.OrderedDict(renamed)
    return state


class Goldens(Folder):
    def test_every_golden_comes_back(self):
        folders = sorted(p.parent for s in ELSEWHERE for p in (GOLDEN / s).glob("*/model.safetensors"))
        if not folders:
            self.skipTest(f"no goldens in {GOLDEN}")
        self.assertEqual(len(folders), 9)
        for golden in folders:
            system = golden.parent.name
            for legacy in (False, True):
                with self.subTest(golden=str(golden), legacy=legacy):
                    config = json.loads((golden / "config.json").read_text())
                    tensors = load_file(golden / "model.safetensors")
                    torch.save(as_published(system, tensors), self.path / "pytorch_model.bin",
                               _use_new_zipfile_serialization=not legacy)
                    left = {k: v for k, v in config.items() if k not in ELSEWHERE[system]}
                    # The authors' files say more than anybody reads.
                    (self.path / "config.json").write_text(json.dumps(dict(left, finetuning_task="vqa", pruned_heads={})))
                    self.vocabulary(config["vocab_size"])
                    answers = self.answers(13) if golden.name == "vqa" else None
                    self.convert(system, ".", labels=answers)
                    for name in ("model.safetensors", "config.json"):
                        self.assertEqual((self.path / "out" / name).read_bytes(), (golden / name).read_bytes(), name)
                    self.assertEqual((self.path / "out/vocab.txt").read_text(), (self.path / "vocab.txt").read_text())
                    if answers:
                        labels = json.loads((self.path / "out/labels.json").read_text())
                        self.assertEqual(labels, [f"answer {i}" for i in range(13)])
                        (self.path / "out/labels.json").unlink()
                    self.assertFalse((self.path / "out/labels.json").exists())


class Checkpoints(Folder):
    def uniter(self, **more):
        """The smallest UNITER whose shapes belong together."""
        wide = {"uniter.embeddings.word_embeddings.weight": (9, 4), "uniter.embeddings.position_embeddings.weight": (5, 4),
                "uniter.embeddings.token_type_embeddings.weight": (2, 4),
                "uniter.encoder.layer.0.intermediate.dense.weight": (8, 4),
                "uniter.img_embeddings.img_linear.weight": (4, 6), "itm_output.weight": (2, 4), "itm_output.bias": (2,)}
        torch.save({**{k: torch.randn(s) for k, s in wide.items()}, **more}, self.path / "model.pt")
        self.vocabulary(9)

    def test_the_pretrained_matching_head_ranks(self):
        self.uniter(**{"cls.predictions.bias": torch.zeros(9), "feat_regress.bias": torch.zeros(4)})
        self.convert("uniter", "model.pt")
        tensors = load_file(self.path / "out/model.safetensors")
        self.assertTrue(torch.equal(tensors["rank_output.weight"], tensors["itm_output.weight"][1:]))
        self.assertNotIn("cls.predictions.bias", tensors)
        self.assertIn("feat_regress.bias", " ".join(self.lines))
        config = json.loads((self.path / "out/config.json").read_text())
        self.assertEqual((config["img_dim"], config["num_hidden_layers"], config["num_attention_heads"]), (6, 1, 1))
        self.assertFalse(json.loads((self.path / "out/tokenizer_config.json").read_text())["do_lower_case"])

    def test_half_precision_becomes_single(self):
        self.uniter(**{"itm_output.weight": torch.full((2, 4), 0.1, dtype=torch.float16)})
        self.convert("uniter", "model.pt")
        tensor = load_file(self.path / "out/model.safetensors")["itm_output.weight"]
        self.assertEqual((tensor.dtype, tensor[0, 0].item()), (torch.float32, torch.tensor(0.1).half().item()))

    def test_what_does_not_belong_is_refused(self):
        for more, want in [
            ({"who.knows": torch.zeros(1)}, "no place for the parameter who.knows"),
            ({"itm_output.bias": torch.tensor([float("nan"), 0.0])}, "not finite"),
            ({"itm_output.bias": torch.tensor([1, 2])}, "no floating-point"),
            ({"vqa_output.3.weight": torch.zeros(3, 4)}, "name the file of its 3 answers"),
        ]:
            self.uniter(**more)
            with self.assertRaisesRegex(ConvertError, want):
                self.convert("uniter", "model.pt")
        self.uniter()
        (self.path / "config.json").write_text('{"hidden_size": 768}')
        with self.assertRaisesRegex(ConvertError, "do not belong together"):
            self.convert("uniter", "model.pt")
        (self.path / "config.json").unlink()
        self.vocabulary(10)
        with self.assertRaisesRegex(ConvertError, "10 words"):
            self.convert("uniter", "model.pt")
        with self.assertRaisesRegex(ConvertError, "no pytorch_model.bin"):
            self.convert("oscar", ".")
        self.assertFalse((self.path / "out").exists())

    def test_code_in_a_pickle_does_not_run(self):
        self.vocabulary(9)
        torch.save({"a": Evil()}, self.path / "model.pt")
        with self.assertRaisesRegex(ConvertError, "more than tensors"):
            self.convert("uniter", "model.pt")
        for thing in (Evil(), {"yes": Evil()}, collections.OrderedDict(yes=0), [torch.zeros(1)]):
            (self.path / "a.pkl").write_bytes(pickle.dumps(thing))
            with self.assertRaisesRegex(ConvertError, "only plain containers"):
                read_answers("oscar", self.path / "a.pkl")


class Answers(Folder):
    def read(self, system, name, data):
        (self.path / name).write_bytes(data)
        return read_answers(system, self.path / name)

    def test_order(self):
        shuffled = {"no": 1, "yes": 0, "猫": 2}
        # As OSCAR's code numbers them, and as UNITER's does.
        self.assertEqual(self.read("oscar", "a.pkl", pickle.dumps(shuffled)), ["no", "yes", "猫"])
        self.assertEqual(self.read("uniter", "a.json", json.dumps(shuffled).encode()), ["yes", "no", "猫"])
        self.assertEqual(self.read("vinvl", "b.pkl", pickle.dumps(["yes", "no"])), ["yes", "no"])
        self.assertEqual(self.read("vinvl", "b.pkl", pickle.dumps({1: "no", 0: "yes"})), ["yes", "no"])
        self.assertEqual(self.read("vlp", "answers_vqa.txt", b"<unk>\nyes\nno\n"), ["<unk>", "yes", "no"])
        # Python 2's protocol, with byte strings: what the VQA files of 2017 are in.
        old = b"(dp1\nS'no'\np2\nI1\nsS'yes'\np3\nI0\ns."
        self.assertEqual(self.read("oscar", "old.pkl", old), ["no", "yes"])

    def test_lies(self):
        for name, data in [("a.pkl", b"junk"), ("a.pkl", b""), ("a.pkl", pickle.dumps({"a": 0, "b": 2})),
                           ("a.pkl", pickle.dumps(7)), ("a.json", b'{"a": "b"}'), ("a.json", b"[1]")]:
            with self.assertRaises((ConvertError, ValueError)):
                self.read("oscar", name, data)


if __name__ == "__main__":
    unittest.main()
