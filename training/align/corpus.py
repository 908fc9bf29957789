"""Features of the datasets, computed once and kept in the cache folder, as the trainer wants them."""
import numpy as np
import torch

from . import data, image, text

PER_PHOTO = {"en": 5, "zh": 5, "mt": 10}


class Said:
    """Texts of one kind for N photos: `rows[i]` are the indices of photo i's texts, `of[j]` is the photo of text j.

    `vectors` [M,384] are the frozen tower's sentence vectors; `parts` keep what enters the layers that can be tuned.
    """

    def __init__(self, parts, of, photos):
        self.parts, self.of = parts, torch.as_tensor(of)
        self.vectors = torch.cat([vectors(p) for p in parts])
        self.starts = np.cumsum([0] + [len(p) for p in parts])
        self.rows = [[] for _ in range(photos)]
        for i, photo in enumerate(of):
            self.rows[photo].append(i)

    def __len__(self):
        return len(self.vectors)

    def pick(self, photos, generator):
        """The index of one text for each photo, at random."""
        u = torch.rand(len(photos), generator=generator).tolist()
        return [self.rows[p][int(x * len(self.rows[p]))] for p, x in zip(photos.tolist(), u)]

    def state(self, i):
        """What enters the first tuned layer, for text i: f16 [L,384]."""
        part = int(np.searchsorted(self.starts, i, "right")) - 1
        return self.parts[part].row(i - self.starts[part])


class Photos:
    """Photos with their grids (f16, memory-mapped) and what is said of them; the second of `grid` and `middle` is of the mirrored photos."""

    def __init__(self, source, cache, log, flipped):
        self.paths, self.said, self._means = source.paths, {}, None
        found = [image.features(source.paths, cache, source.name, log, flip=f) for f in ([False, True] if flipped else [False])]
        self.middle, self.grid = zip(*found)

    def means(self):
        """The grids' means [1 or 2,N,1280] f32."""
        if self._means is None:
            mean = lambda g: np.concatenate([g[i:i + 64].astype(np.float32).mean(1) for i in range(0, len(g), 64)])
            self._means = torch.from_numpy(np.stack([mean(g) for g in self.grid]))
        return self._means

    def grids(self, photos):
        """[B,81,1280] f32."""
        return torch.from_numpy(self.grid[0][photos.numpy()]).float()

    def some_cells(self, photos, flip, cells):
        """A part of the grid's cells [B,C,1280] and the whole grid's mean [B,1280]; where `flip` [B], of the mirrored photo."""
        return self._either(self.grid, photos, flip, cells.numpy()), self.means()[self._flips(flip).long(), photos]

    def middles(self, photos, flip):
        """What enters the blocks that can be tuned [B,208,9,9]; where `flip` [B], of the mirrored photo."""
        return self._either(self.middle, photos, flip)

    def _flips(self, flip):
        return flip & (len(self.grid) > 1)

    def _either(self, arrays, photos, flip, cells=None):
        at = lambda rows: (rows,) if cells is None else (rows[:, None], cells)
        rows, flip = photos.numpy(), self._flips(flip).numpy()
        out = arrays[0][at(rows)]
        if flip.any():
            out[flip] = arrays[1][at(rows[flip])]
        return torch.from_numpy(out).float()


def vectors(states):
    return torch.from_numpy(np.asarray(states.vectors, np.float32))


def in_slots(source, kind, tower, cache, log, slots):
    """Texts of a kind that has equally many a photo, one cached file a slot."""
    per_photo, photos = PER_PHOTO[kind], len(source.paths)
    found = [text.states(tower, source.said[kind][slot::per_photo], cache, f"{source.name}_{kind}{slot}", log) for slot in slots]
    return Said(found, list(range(photos)) * len(slots), photos)


class Corpus:
    """Everything that training reads."""

    def __init__(self, datasets, cache, log, quick=False):
        """`quick`: two English and two Chinese captions a photo and one translation, one caption of each val photo, no mirrored photos."""
        slots = {"en": [0, 1], "zh": [0, 1], "mt": [0]} if quick else {"en": range(5), "zh": range(5), "mt": range(0, 10, 4)}
        sources = {"train": data.flickr8k(datasets, "train"), "val": data.flickr8k(datasets, "val"), "qa": data.cocoqa(datasets)}
        free = data.captions_without_photos(datasets)
        said = [t for s in (sources["train"], sources["qa"]) for texts in s.said.values() for t in texts]
        said += [t for lists in free.values() for captions in lists for t in captions]
        self.source, self.kept, self.tower = text.load(cache, said, log)
        self.vocabulary_loss = {k: text.vocabulary_loss(self.source, self.kept, sources["val"].said[k]) for k in ("en", "zh")}
        self.net = image.load_tower()
        self.classifier = image.classifier(self.net)
        self.train, self.val, self.qa = (Photos(sources[k], cache, log, not quick and k != "val") for k in ("train", "val", "qa"))
        for kind in ("en", "zh", "mt"):
            self.train.said[kind] = in_slots(sources["train"], kind, self.tower, cache, log, slots[kind])
        for kind in ("en", "zh"):
            self.val.said[kind] = in_slots(sources["val"], kind, self.tower, cache, log, [0] if quick else range(5))
        for kind in ("statement", "object"):
            found = text.states(self.tower, sources["qa"].said[kind], cache, f"cocoqa_{kind}", log)
            self.qa.said[kind] = Said([found], sources["qa"].of[kind], len(self.qa.paths))
        self.objects = sources["qa"].said["object"]
        names = data.class_names()
        # Names' texts belong to classes as captions do to photos.
        self.names = {"en": Said([text.states(self.tower, [e for e, _ in names], cache, "names_en", log)], list(range(1000)), 1000),
                      "zh": Said([text.states(self.tower, [z for _, zs in names for z in zs], cache, "names_zh", log)],
                                 [i for i, (_, zs) in enumerate(names) for _ in zs], 1000)}
        # A classifier's row, at the length of a photo's mean feature, stands for a photo of its class.
        length = np.linalg.norm(self.train.grid[0][:500].astype(np.float32).mean(1), axis=1).mean()
        self.prototypes = torch.nn.functional.normalize(self.classifier[0], dim=1) * float(length)
