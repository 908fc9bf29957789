"""Region features come out of the authors' databases as they went in.

    python -m unittest training.test_regions

Needs `lmdb`, `msgpack` and `h5py` for the systems that keep theirs in such files.
"""
import base64
import importlib.util
import io
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from training import regions


def needs(*modules):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    return unittest.skipIf(missing, f"without {', '.join(missing)}")


class Regions(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.out = self.path / "out"
        self.out.mkdir()
        n = 20
        rng = np.random.default_rng(1)
        # Twelve boxes are confident, so that is how many the authors' code would use.
        self.arrays = dict(features=rng.random((n, 8)), norm_bb=rng.random((n, 6)), soft_labels=rng.random((n, 3)),
                           conf=np.where(np.arange(n) < 12, 0.9, 0.1))
        self.arrays = {k: v.astype(np.float16) for k, v in self.arrays.items()}

    def check(self, name, count):
        with np.load(self.out / name) as got:
            for key, want in self.arrays.items():
                np.testing.assert_array_equal(got[key], want[:count])

    def database(self, name, values):
        import lmdb

        with lmdb.open(str(self.path / name), map_size=1 << 24) as store, store.begin(write=True) as write:
            for key, value in values.items():
                write.put(key.encode(), value)
            write.put(b"__keys__", json.dumps(list(values)).encode())
        return self.path / name

    @needs("lmdb", "msgpack")
    def test_uniter(self):
        import msgpack

        packed = io.BytesIO()
        np.savez_compressed(packed, **self.arrays, allow_pickle=True)
        as_map = {k: {"nd": True, "type": v.dtype.str, "kind": b"", "shape": v.shape, "data": v.tobytes()}
                  for k, v in self.arrays.items()}
        # As msgpack-numpy writes: its own keys are byte strings.
        as_map = {k: {key.encode(): value for key, value in v.items()} for k, v in as_map.items()}
        for name, value in [("all_compressed", packed.getvalue()), ("all", msgpack.packb(as_map, use_bin_type=True))]:
            key = f"coco_{name}_000000000001.npz"
            self.assertEqual(regions.uniter(self.database(name, {key: value}), self.out, None), 1)
            self.check(key, 12)
        (self.path / "nbb_th0.2_max100_min10.json").write_text('{"a.npz": 5}')
        cut = self.database("feat_th0.2_max100_min10_compressed", {"a.npz": packed.getvalue(), "b.npz": b""})
        self.assertEqual(regions.uniter(cut, self.out, ["a.npz"]), 1)
        self.check("a.npz", 5)
        with self.assertRaises(SystemExit):
            regions.uniter(cut, self.out, ["c.npz"])

    @needs("h5py")
    def test_vlp(self):
        import h5py

        self.arrays["bbox"] = self.arrays.pop("norm_bb")
        del self.arrays["conf"]
        for name, key in [("x_feat042", "features"), ("x_cls042", "soft_labels"), ("boxes", "bbox")]:
            with h5py.File(self.path / f"{name}.h5", "w") as file:
                file["COCO_val2014_000000000042"] = self.arrays[key]
        self.assertEqual(regions.vlp(self.path / "boxes.h5", self.path / "x", self.out, None), 1)
        self.check("COCO_val2014_000000000042.npz", 20)

    def test_oscar(self):
        features = torch.from_numpy(self.arrays["features"])
        torch.save({42: features, "43": features[:2]}, self.path / "val_img_frcnn_feats.pt")
        self.assertEqual(regions.oscar(self.path / "val_img_frcnn_feats.pt", self.path / "features.tsv"), 2)
        rows = [line.split("\t") for line in (self.path / "features.tsv").read_text().splitlines()]
        self.assertEqual([(r[0], r[1]) for r in rows], [("42", "20"), ("43", "2")])
        got = np.frombuffer(base64.b64decode(rows[0][2]), np.float32).reshape(20, 8)
        np.testing.assert_array_equal(got, self.arrays["features"].astype(np.float32))


if __name__ == "__main__":
    unittest.main()
