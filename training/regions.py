"""Turns region features into files that the program reads, where their authors publish
them in databases or pickles:

    python -m training.regions oscar FEATURES.pt OUT.tsv
    python -m training.regions uniter IMAGE_DB OUT_FOLDER [--names NAME ...]
    python -m training.regions vlp BOXES.h5 PREFIX OUT_FOLDER [--names ID ...]

OSCAR's `*_img_frcnn_feats.pt` become one .tsv; UNITER's LMDB (needs `lmdb`, and `msgpack`
if it is not compressed) and VLP's HDF5 (needs `h5py`) become one .npz a photo. Bottom-up
attention's and VinVL's .tsv need no change. Nothing here runs code from a pickle.
"""
import argparse
import base64
import io
import json
from pathlib import Path

import numpy as np

# UNITER's thresholds for a database that holds all boxes.
CONFIDENT, FEWEST, MOST = 0.2, 10, 100


def oscar(source, out):
    import torch

    features = torch.load(source, map_location="cpu", weights_only=True)
    with out.open("w") as file:
        for key, table in features.items():
            rows = table.to(torch.float32).contiguous().numpy()
            file.write(f"{key}\t{len(rows)}\t{base64.b64encode(rows.tobytes()).decode()}\n")
    return len(features)


def plain_arrays(packed):
    """msgpack-numpy's maps as arrays. Its own decoder would unpickle arrays of objects."""
    import msgpack

    def array(found):
        kind = found[b"type"] if b"type" in found else found["type"]
        shape, data = (found.get(k, found.get(k.decode())) for k in (b"shape", b"data"))
        return np.frombuffer(data, np.dtype(kind)).reshape(shape)

    return {k: array(v) for k, v in msgpack.unpackb(packed, raw=False, strict_map_key=False).items() if isinstance(v, dict)}


def uniter(source, out, names):
    import lmdb

    source = Path(source)
    # The number of boxes that a database with a threshold was cut to lies beside it.
    beside = source.parent / f"nbb_{source.name.removeprefix('feat_').removesuffix('_compressed')}.json"
    counts = json.loads(beside.read_text()) if beside.is_file() else {}
    with lmdb.open(str(source), readonly=True, create=False, lock=False) as database, database.begin() as store:
        names = names or json.loads(store.get(b"__keys__"))
        for name in names:
            value = store.get(name.encode())
            if value is None:
                raise SystemExit(f"regions: {source} knows no {name}")
            arrays = np.load(io.BytesIO(value)) if value.startswith(b"PK") else plain_arrays(value)
            arrays = {k: arrays[k] for k in ("features", "norm_bb", "conf", "soft_labels") if k in arrays}
            count = counts.get(name)
            if count is None and source.name.startswith("all"):
                count = min(MOST, max(FEWEST, int((arrays["conf"] > CONFIDENT).sum())))
            np.savez_compressed(out / Path(name).with_suffix(".npz").name, **{k: v[:count] for k, v in arrays.items()})
    return len(names)


def vlp(boxes, prefix, out, names):
    import h5py

    with h5py.File(boxes) as store:
        names = names or list(store)
        for name in names:
            # Spread over a thousand files by the last three digits.
            with h5py.File(f"{prefix}_feat{name[-3:]}.h5") as features, h5py.File(f"{prefix}_cls{name[-3:]}.h5") as classes:
                arrays = dict(features=features[name][:], soft_labels=classes[name][:], bbox=store[name][:])
            np.savez_compressed(out / f"{Path(name).name}.npz", **arrays)
    return len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="system", required=True)
    for system, arguments in [("oscar", ["source", "out"]), ("uniter", ["source", "out"]), ("vlp", ["boxes", "prefix", "out"])]:
        command = commands.add_parser(system)
        for argument in arguments:
            command.add_argument(argument, type=Path)
        if system != "oscar":
            command.add_argument("--names", nargs="+", help="only these photos")
    args = vars(parser.parse_args())
    system = args.pop("system")
    (args["out"].parent if system == "oscar" else args["out"]).mkdir(parents=True, exist_ok=True)
    print(f"{args['out']}: {globals()[system](**args)} photos")


if __name__ == "__main__":
    main()
