"""What `finish` trains on, all of it in a GPU's memory: texts of all kinds as pieces, photos as what the image tower's trunk made of many views."""
import os

import numpy as np
import torch
import torch.nn.functional as F

from . import data, image, text

# "cat" -> "猫": cocoqa's answers in Chinese, written for lite-fuse.
ANSWERS_ZH = os.path.join(os.path.dirname(__file__), "..", "fuse", "answers_zh.tsv")
NO_OBJECT = -1
# In training: what share of a step's texts is cut at how many pieces, and the length of the rest.
SHORT, LONG = (0.75, 24), 32


class Said:
    """Texts of one kind: number `first` and on of all texts; `of[i]` is the photo (or class) of text i of the kind."""

    def __init__(self, first, of, device):
        self.first, self.of, self.vectors = first, torch.as_tensor(of, device=device), None

    def numbers(self):
        return torch.arange(self.first, self.first + len(self.of), device=self.of.device)


class Photos:
    """Photos with what the trunk made of their views [V,N,208,9,9]."""

    def __init__(self, source, middle):
        self.paths, self.middle, self.said = source.paths, middle, {}

    @torch.no_grad()
    def look(self, tail, out):
        """The tail's grids of some views into `out` [V,N,81,1280] f16."""
        self.grid = out
        for view, kept in zip(self.middle, out):
            for at in range(0, len(view), 256):
                kept[at:at + 256] = tail(view[at:at + 256].float())

    def grids(self, photos):
        return self.grid[0, photos].float()


class Corpus:
    """Texts of all kinds, on the device, and the photos' views; what `report` and `assemble` read once `view_of` was called."""

    def __init__(self, sources, datasets, tower, photos, device):
        self.device, self.tower, self.states = device, tower, {}
        self.train, self.val, self.qa = photos["train"], photos["val"], photos["qa"]
        n, m = len(self.train.paths), len(self.qa.paths)
        # Both sets in one tensor: a batch is drawn from it in one go.
        self.middle = torch.cat([self.train.middle, self.qa.middle], 1)
        self.train.middle, self.qa.middle = self.middle.split([self.train.middle.shape[1], self.qa.middle.shape[1]], 1)
        texts = []

        def add(said, of):
            texts.extend(said)
            return Said(len(texts) - len(said), of, device)

        for name, source in sources.items():
            for kind, said in source.said.items():
                if (name, kind) != ("val", "mt"):
                    getattr(self, name).said[kind] = add(said, source.of[kind])
        self.objects, of = sources["qa"].said["object"], sources["qa"].of["object"]
        with open(ANSWERS_ZH, encoding="utf8") as f:
            chinese = dict(line.rstrip("\n").split("\t")[:2] for line in f)
        plural = lambda o: o.endswith("s") and not o.endswith("ss")
        phrases = [(o, p, f"{'' if plural(o) else 'an ' if o[0] in 'aeiou' else 'a '}{o}") for o, p in zip(self.objects, of)]
        phrases = [(o, p, t) for o, p, said in phrases for t in (o, said, f"a photo of {said}")]
        phrases_zh = [(o, p, t) for o, p in zip(self.objects, of) if o in chinese
                      for t in (chinese[o], f"一张{chinese[o]}的照片", f"照片里有{chinese[o]}")]
        shown = {kind: add([t for _, _, t in found], [p for _, p, _ in found]) for kind, found in (("object", phrases), ("object_zh", phrases_zh))}
        names = data.class_names()
        self.names = {"en": add([e for e, _ in names], list(range(len(names)))),
                      "zh": add([z for _, zs in names for z in zs], [i for i, (_, zs) in enumerate(names) for _ in zs])}
        # COCO's wording, without its photos.
        free = [r["en"] for r in data.rows(f"{datasets}/captions_text/coco_en.jsonl.gz")]
        self.free = add([c for five in free for c in five], [i for i, five in enumerate(free) for _ in five])
        encodings = tower.tokenizer.encode_batch([text.PREFIX + t for t in texts])
        lengths = torch.tensor([len(e.ids) for e in encodings])
        self.lengths, self.starts = lengths.to(device), (lengths.cumsum(0) - lengths).to(device)
        self.ids = torch.from_numpy(np.concatenate([e.ids for e in encodings])).to(device)
        # Which texts a photo may be given: of flickr8k's train split first, then of cocoqa.
        sets = {k: (self.train.said[k], 0) for k in ("en", "zh", "mt")}
        sets |= {"statement": (self.qa.said["statement"], n), "object": (shown["object"], n), "object_zh": (shown["object_zh"], n)}
        self.given, self.kinds = [(s.numbers(), s.of + at) for s, at in sets.values()], [*sets, "borrowed"]
        self.captions = Choices([(self.free.numbers(), self.free.of)], len(free))
        nothing = torch.empty(0, dtype=torch.long, device=device)
        self.lend(nothing, nothing)
        # A name fits every photo it was an answer for: `has[photo, object]`; the last column is for texts that are no names.
        number = {o: i for i, o in enumerate(sorted(set(self.objects)))}
        self.object_of = torch.full((len(texts),), NO_OBJECT)
        for kind, found in (("object", phrases), ("object_zh", phrases_zh)):
            self.object_of[shown[kind].numbers().cpu()] = torch.tensor([number[o] for o, _, _ in found])
        has = torch.zeros(n + m, len(number) + 1, dtype=torch.bool)
        has[torch.tensor(of) + n, torch.tensor([number[o] for o in self.objects])] = True
        self.has, self.object_of = has.to(device), self.object_of.to(device)

    def lend(self, numbers, photos):
        """Gives some of cocoqa's photos texts of the kind `borrowed`."""
        n = len(self.train.paths)
        self.choices = Choices([*self.given, (numbers, photos + n)], n + len(self.qa.paths))

    @torch.no_grad()
    def enter(self, layer, numbers=None):
        """What enters text layer `layer`, kept flat in f16 as `states[layer]`; of all texts or of some."""
        numbers = torch.arange(len(self.lengths), device=self.device) if numbers is None else numbers
        flat = torch.zeros(len(self.ids), self.tower.embeddings["word_embeddings"].embedding_dim, dtype=torch.half, device=self.device)
        for part, at, seen in self.batches(numbers, 1024):
            ids = torch.where(seen, self.ids[at], self.tower.pad)
            flat[at[seen]] = self.tower.lower(ids, layer)[seen].half()
        self.states[layer] = flat

    @torch.no_grad()
    def read_as_they_are(self):
        """The tower's own vectors of all texts [T,384] f32 (`states` after its last layer are needed), and how alike texts are by
        them: `likeness` holds f16 vectors for dot products, each kind's mean taken out, or kinds and languages would be told apart."""
        states, numbers = self.states[len(self.tower.encoder["layer"])], torch.arange(len(self.lengths), device=self.device)
        self.frozen = torch.empty(len(numbers), states.shape[1], device=self.device)
        for part, at, seen in self.batches(numbers, 4096):
            self.frozen[part] = text.upper([], states[at].float() * seen[..., None], seen)
        self.likeness = torch.empty_like(self.frozen, dtype=torch.half)
        kinds = [*self.given, (self.free.numbers(),), *((s.numbers(),) for p in (self.train, self.val, self.qa) for s in p.said.values())]
        self.likeness.copy_(self.frozen)
        for kind, *_ in kinds:
            x = self.frozen[kind]
            self.likeness[kind] = F.normalize(x - x.mean(0), dim=1).half()

    def batches(self, numbers, size):
        """Texts of like length together: (places in `numbers`, pieces' places [B,L], which of them are real [B,L])."""
        order = self.lengths[numbers].argsort()
        for part in order.split(size):
            lengths = self.lengths[numbers[part]]
            reach = torch.arange(int(lengths.max()), device=self.device)
            seen = reach < lengths[:, None]
            yield part, torch.where(seen, self.starts[numbers[part]][:, None] + reach, 0), seen

    def fixed(self, numbers):
        """Texts as two batches whose shapes do not depend on them: [(pieces' places, which are real), ...] and the way back.

        The shorter texts go together; what is longer than a batch's length loses its end.
        """
        order, many = self.lengths[numbers].argsort(), int(len(numbers) * SHORT[0])
        out = []
        for part, length in ((order[:many], SHORT[1]), (order[many:], LONG)):
            reach = torch.arange(length, device=self.device)
            seen = reach < self.lengths[numbers[part]][:, None]
            out += [torch.where(seen, self.starts[numbers[part]][:, None] + reach, 0), seen]
        return *out, order.argsort()

    def see(self, net, views=None):
        """Puts an image tower's tail to work."""
        self.net, self.classifier = net, tuple(p.to(self.device) for p in image.classifier(net))
        tail, n, views = image.Tail(net).to(self.device), self.train.middle.shape[1], views or len(self.middle)
        room = lambda views, count: torch.empty(views, count, image.GRID, image.WIDTH, dtype=torch.half, device=self.device)
        self.grid = None  # the last tower's go first
        self.train.grid = self.qa.grid = None
        self.grid = room(views, self.middle.shape[1])
        self.train.look(tail, self.grid[:, :n])
        self.qa.look(tail, self.grid[:, n:])
        self.val.look(tail, room(1, self.val.middle.shape[1]))
        self.means = torch.stack([torch.cat([g.float().mean(1) for g in view.split(512)]) for view in self.grid])
        length = self.means[0, :500].norm(dim=1).mean()
        self.prototypes = F.normalize(self.classifier[0], dim=1) * length


class Choices:
    """Of several kinds, the texts of each photo; drawn on the device."""

    def __init__(self, kinds, photos):
        self.starts, self.counts, orders, first = [], [], [], 0
        for numbers, of in kinds:
            order = of.argsort(stable=True)
            count = torch.bincount(of, minlength=photos)
            self.starts.append(count.cumsum(0) - count + first)
            self.counts.append(count)
            orders.append(numbers[order])
            first += len(order)
        self.starts, self.counts, self.order = torch.stack(self.starts, 1), torch.stack(self.counts, 1), torch.cat(orders)

    def draw(self, photos, shares, generator):
        """The number of one text of each photo, its kind by `shares` [K]."""
        kind = torch.multinomial((self.counts[photos] > 0) * shares, 1, generator=generator)[:, 0]
        u = torch.rand(len(photos), generator=generator, device=photos.device)
        count = self.counts[photos, kind]
        return self.order[self.starts[photos, kind] + (u * count).long().clamp(max=count - 1)]


def sources_of(datasets):
    return {"train": data.flickr8k(datasets, "train"), "val": data.flickr8k(datasets, "val"), "qa": data.cocoqa(datasets)}
