"""Writes region files as the authors of the feature extractors write them (Python's csv
and json, NumPy's savez_compressed in half precision), for the Rust readers to be held
against. Run it in this folder."""
import base64, csv, json
import numpy as np

rng = np.random.default_rng(9)
n, width, w, h, key = 3, 10, 640, 427, 9
features = rng.random((n, width), dtype=np.float32)
corner = rng.random((n, 2)) * 0.5
boxes = (np.concatenate([corner, corner + 0.1 + rng.random((n, 2)) * 0.4], 1) * [w, h, w, h]).astype(np.float32)
fractions = boxes / np.array([w, h, w, h], np.float32)
spans = fractions[:, 2:] - fractions[:, :2]
spatial = np.concatenate([fractions, spans], 1)
whole = np.concatenate([features, spatial], 1)
b64 = lambda a: base64.b64encode(np.ascontiguousarray(a)).decode()

with open("butd.tsv", "w", newline="") as file:
    names = ["image_id", "image_w", "image_h", "num_boxes", "boxes", "features"]
    writer = csv.DictWriter(file, delimiter="\t", fieldnames=names)
    for image, table in [(8, features[::-1]), (key, features)]:
        writer.writerow(dict(image_id=image, image_w=w, image_h=h, num_boxes=n, boxes=b64(boxes), features=b64(table)))
objects = [{"class": c, "rect": b, "conf": p} for c, b, p in zip(["dog", "tail", "grass"], boxes.tolist(), [0.9, 0.7, 0.3])]
with open("features.tsv", "w") as table, open("predictions.tsv", "w") as labels, open("features.lineidx", "w") as index:
    for image, rows in [(8, whole[::-1]), (key, whole)]:
        index.write(f"{table.tell()}\n")
        table.write(f"{image}\t{n}\t{b64(rows)}\n")
        labels.write(f"{image}\t{json.dumps({'image_h': h, 'image_w': w, 'objects': objects})}\n")
half = lambda a: a.astype(np.float16)
soft = rng.dirichlet(np.ones(4), n)
np.savez_compressed(f"coco_val2014_{key:012}.npz", norm_bb=half(spatial), features=half(features),
                    conf=half(np.array([0.9, 0.7, 0.3])), soft_labels=half(soft), allow_pickle=True)
geometry = np.concatenate([spatial, spans[:, :1] * spans[:, 1:]], 1)
want = dict(width=width, features=features.ravel().tolist(), geometry=geometry.ravel().tolist())
json.dump(want, open("want.json", "w"))
