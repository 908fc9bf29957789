"""Batches of the four tasks, each made from the seed and its own number alone, so that a run that was stopped
goes on with the very batch that came next.

Several texts stand beside each picture, which is then computed once for all of them, and rows of a batch are of
about one length, so that little is computed for padding. Must not know the model's parts beyond how a sequence is laid out.
"""
import random
import re
from dataclasses import dataclass

import torch

from . import model, swap
from .data import LANGUAGES, is_clumsy
from .pictures import Look
from .reward import Cider, Worth, plain
from .words import CLS, SEP, START

# So many batches' worth of samples are drawn, and one batch of like lengths taken from them.
SPARE = 6
LONGEST_CAPTION, LONGEST_TEXT, LONGEST_TAGS = 30, 40, 16


@dataclass
class Mix:
    """How batches are made."""

    seed: int = 1
    photos: int = 20        # of a caption batch
    captions: int = 5       # of each of them, side by side
    pictures: int = 24      # of a batch of questions
    texts: int = 6          # beside each of them
    praised: int = 16       # of a batch whose captions the model writes itself
    drawn: int = 5          # captions of each of them
    groups: int = 2         # of a batch of pairs
    group: int = 4          # pictures of a group, which Align takes for one another
    near: int = 12          # photos nearest to a caption, of which a group takes its own
    own: int = 2            # captions of each of them; all of a group's stand beside each of its pictures
    free: float = 0.08      # caption batches without a picture
    swapped: float = 0.2    # samples whose noun is swapped
    chinese: float = 0.22
    chinese_praised: float = 0.1
    chinese_shapes: float = 0.5   # of easy-VQA
    translated: float = 0.5  # Chinese captions that are machine translations
    threshold: float = 0.1  # of a class's probability, to be a tag
    untagged: float = 0.1   # samples whose tags are left out
    covered: float = 0.15   # cells of a question's photo that are not shown
    sources: tuple = (("rules", 0.25), ("cocoqa", 0.2), ("daquar", 0.25), ("easy-vqa", 0.3))


class Maker:
    """Makes batches from a corpus, what is known of its photos, and hard negatives; pictures are told, not shown (`pictures.Look`).

    `hard[language][photo]`: for each of the photo's captions, photos (global numbers) that Align finds nearest to it but for its own.
    """

    def __init__(self, corpus, seen, words, answers, hard, mix):
        self.corpus, self.seen, self.words, self.hard, self.mix = corpus, seen, words, hard, mix
        self.answer = {a: i for i, a in enumerate(answers)}
        self.classes = swap.Classes()
        self.tagged = seen.tagged(mix.threshold)
        self._ids, self._cider = {}, {}
        photos = corpus.photos
        training = [i for i, p in enumerate(photos) if not p.held_out and p.source in ("flickr8k_train", "cocoqa")]
        self.photographed = [i for i in training if photos[i].source == "flickr8k_train"]
        self.described = {k: [i for i in training if self._said(i, k)] for k in LANGUAGES}
        asked, self.of_photo = {}, {}
        for q in corpus.questions(training=True):
            if any(a in self.answer for a in q.answers):
                asked.setdefault(q.source, {}).setdefault(q.kind, []).append(q)
                self.of_photo.setdefault((q.source, q.photo), []).append(q)
        self.asked = {source: [asked[source][kind] for kind in sorted(asked[source])] for source in asked}
        self.free = {k: self._free(k) for k in LANGUAGES}

    def ids(self, text):
        if text not in self._ids:
            self._ids[text] = self.words.ids([text])[0]
        return self._ids[text]

    def tag_ids(self, classes, language):
        ids = [i for c in classes for i in self.ids(self.classes.tag(c, language))][:LONGEST_TAGS - 1]
        return ids + [SEP] if ids else []

    def text_ids(self, text):
        return [CLS, *self.ids(text)[:LONGEST_TEXT - 2], SEP]

    def caption_ids(self, text, language):
        return [START[language], *self.ids(text)[:LONGEST_CAPTION - 2], SEP]

    def drawn(self, task, number):
        """Batch `number` of a task: what its loss needs."""
        draw = random.Random(f"{self.mix.seed}/{task}/{number}")
        return getattr(self, task)(draw)

    # Captions, several of a picture beside each other.

    def caption(self, draw):
        m, language = self.mix, "zh" if draw.random() < self.mix.chinese else "en"
        rows, pictured = [], draw.random() >= m.free
        if pictured:
            for p in draw.sample(self.described[language], min(SPARE * m.photos, len(self.described[language]))):
                tags, change = self._shown(p, draw)
                texts = self._captions(p, language, draw)
                exact = draw.random() < 0.5
                said = [self._swap(t, language, change, exact) if change else t for t in texts]
                if change and None in said:
                    tags, change, said = self._tags(p, draw), None, texts
                rows.append((said, tags, p, change))
        else:
            lists = self.free[language]
            for captions, classes in draw.sample(lists, min(SPARE * m.photos, len(lists))):
                # Now and then a tag that is not there: tags are hints and no orders.
                extra = [draw.randrange(1000)] if draw.random() < 0.2 else []
                found = [draw.choice(c) for c in draw.sample(classes, min(len(classes), 2))]
                rows.append((draw.sample(captions, min(m.captions, len(captions))), draw.sample(found + extra, len(found + extra)), None, None))
        rows = [([self.caption_ids(t, language) for t in said], self.tag_ids(tags, language), p, change) for said, tags, p, change in rows]
        rows = _alike(rows, lambda r: sum(map(len, r[0])) + len(r[1]), m.photos, draw)
        cells = self._cells([r[2] for r in rows], [r[3] for r in rows], draw, self._mirrors(rows, draw)) if pictured else None
        return model.scored([r[0] for r in rows], [r[1] for r in rows], cells, self.words.said)

    def _said(self, photo, language):
        """A photo's captions; of statements those that could be captions."""
        of = self.corpus.photos[photo]
        said = of.captions.get(language, [])
        return [t for t in said if not is_clumsy(t)] if of.source == "cocoqa" else said

    def _texts(self, photo, language, draw):
        """A photo's captions, of people or in part of the time the machine's."""
        machine = self.corpus.photos[photo].captions.get("mt") if language == "zh" else None
        return machine if machine and draw.random() < self.mix.translated else self._said(photo, language)

    def _captions(self, photo, language, draw):
        texts = self._texts(photo, language, draw)
        return draw.sample(texts, min(self.mix.captions, len(texts)))

    def _free(self, language):
        """Captions without photos, with the classes whose names they say: one list for each name."""
        out = []
        for captions in self.corpus.free[language]:
            found = [c for t in captions for c in self.classes.in_text(t, language)]
            out.append((captions, found))
        return out

    # Pictures whose captions the model writes itself, with what people wrote to judge them by.

    def scst(self, draw):
        """(language, tags, cells, what people said of each picture, how many captions to draw)."""
        m, language, rows = self.mix, "zh" if draw.random() < self.mix.chinese_praised else "en", []
        for p in draw.sample(self.photographed, min(m.praised, len(self.photographed))):
            tags, change = self._shown(p, draw)
            said = self.corpus.photos[p].captions[language]
            exact = draw.random() < 0.5
            swapped = [t for t in (self._swap(t, language, change, exact) for t in said) if t] if change else []
            if not swapped:
                tags, change = self._tags(p, draw), None
            rows.append((self.tag_ids(tags, language), p, change, swapped or said))
        cells = self._cells([r[1] for r in rows], [r[2] for r in rows], draw, self._mirrors(rows, draw))
        return language, [r[0] for r in rows], cells, [r[3] for r in rows], m.drawn

    def worths(self, language, said, drawn):
        """What captions, in ids, are worth beside what people said of their pictures: a list for each picture."""
        words = lambda ids: plain(self.words.text([i for i in ids if i != SEP]), language) + ["<cut>"] * (ids[-1] != SEP)
        by = [Worth(self.cider(language), [plain(t, language) for t in texts]) for texts in said]
        return [[worth.of(words(ids)) for ids in row] for worth, row in zip(by, drawn)]

    def cider(self, language):
        if language not in self._cider:
            of = self.corpus.photos
            self._cider[language] = Cider([[plain(t, language) for t in of[p].captions[language]] for p in self.photographed])
        return self._cider[language]

    # Pictures and tags, with a noun swapped or not.

    def _tags(self, photo, draw):
        return [] if draw.random() < self.mix.untagged else self.tagged[photo]

    def _shown(self, photo, draw):
        """(tags, change): the change is (noun, class) where the photo's noun becomes another class's."""
        tags = self._tags(photo, draw)
        change = swap.choose(self.corpus.photos[photo].nouns, draw) if draw.random() < self.mix.swapped else None
        if change:
            kept = [c for c in self.tagged[photo] if self.classes.general[c][0] != change[0]]
            tags = [change[1], *kept][:3]
        return tags, change

    def _swap(self, text, language, change, exact):
        noun, c = change
        return swap.replaced(text, language, noun, self.classes.noun(c, language, exact))

    @staticmethod
    def _mirrors(rows, draw):
        """Every second picture is mirrored."""
        return [draw.random() < 0.5 for _ in rows]

    def _cells(self, photos, changes, draw, mirrors):
        """What stands for the cells; those of a swapped noun are mixed toward the new class's row of the classifier."""
        views = [self.seen.view(p, m, draw) for p, m in zip(photos, mirrors)]
        g, mixed = torch.Generator().manual_seed(draw.randrange(1 << 31)), []
        for row, change in enumerate(changes):
            if change:
                share = draw.uniform(0.3, 0.9) * torch.rand(self.seen.spots, 1, generator=g).clamp(min=0.2)
                mixed.append((row, change[1], share.numpy()))
        return Look(photos, views, mixed)

    # The tasks where a text sees all of itself.

    def itm(self, draw):
        """Groups of photos that are easily taken for one another, with the captions of all of them beside each: [(texts as
        questions are read, texts as captions are written, their next words, own [groups,group,texts])]."""
        m, groups = self.mix, []
        for _ in range(SPARE * m.groups):
            language = "zh" if draw.random() < m.chinese else "en"
            photos = self._group(language, draw)
            texts = [t for p in photos for t in self._own(p, language, draw)]
            groups.append([(texts, self.tag_ids(self._tags(p, draw), language), p, language) for p in photos])
        rows = [r for g in _alike(groups, lambda g: sum(map(len, g[0][0])), m.groups, draw) for r in g]
        tags, cells = [r[1] for r in rows], self._cells([r[2] for r in rows], [None] * len(rows), draw, self._mirrors(rows, draw))
        told = [[self.caption_ids(t, r[3]) for t in r[0]] for r in rows]
        read = model.sequence([[self.text_ids(t) for t in r[0]] for r in rows], tags, cells)
        written, following = model.scored(told, tags, cells, self.words.said)
        own = torch.eye(m.group, dtype=torch.bool).repeat_interleave(m.own, 1).expand(m.groups, -1, -1)
        return read, (written, following, own)

    def _group(self, language, draw):
        """A photo, those that Align confuses with one of its captions, and one more."""
        first, count = draw.choice(self.described[language]), self.mix.group
        near = self.hard.get(language, {}).get(first)
        photos = [first, *draw.sample(draw.choice(near)[:self.mix.near], count - 2)] if near else [first]
        others = [p for p in draw.sample(self.described[language], min(8 * count, len(self.described[language]))) if p not in photos]
        # Of its own data set where there are enough: what sets them apart should be the photo.
        others.sort(key=lambda p: self.corpus.photos[p].source != self.corpus.photos[first].source)
        return photos + others[:count - len(photos)]

    def _own(self, photo, language, draw):
        """As many captions or statements of a photo as a group wants."""
        statements = self.corpus.photos[photo].captions.get("statement") if language == "en" else None
        texts = statements or self._texts(photo, language, draw)
        return [draw.choice(texts) for _ in range(self.mix.own)] if len(texts) < self.mix.own else draw.sample(texts, self.mix.own)

    def vqa(self, draw):
        shares = [(s, w) for s, w in self.mix.sources if s in self.asked]
        rows = []
        for _ in range(SPARE * self.mix.pictures):
            source = draw.choices([s for s, _ in shares], [w for _, w in shares])[0]
            # Each kind as often as another, but for their size.
            kinds = self.asked[source]
            first = draw.choice(draw.choices(kinds, [len(k) ** 0.5 for k in kinds])[0])
            language = "zh" if first.chinese and draw.random() < (self.mix.chinese_shapes if source == "easy-vqa" else self.mix.chinese) else "en"
            others = [q for q in self.of_photo[source, first.photo] if q is not first]
            asked, tags, change = [first, *draw.sample(others, min(len(others), self.mix.texts - 1))], self._tags(first.photo, draw), None
            texts = [(self._question(q.text(language), draw), draw.choice([a for a in q.answers if a in self.answer])) for q in asked]
            if source == "rules" and draw.random() < self.mix.swapped:
                tags, texts, change = self._swapped(asked, texts, language, tags, draw)
            mirror = self.seen.has_mirrored(first.photo) and draw.random() < 0.5 and not any(has_side(a) for _, a in texts)
            if mirror:
                texts = [(other_side(t), a) for t, a in texts]
            rows.append(([(self.text_ids(t), self.answer[a]) for t, a in texts], self.tag_ids(tags, language), first.photo, change, mirror))
        return self._asked(rows, draw)

    def _asked(self, rows, draw):
        """A batch of [([(ids, class)], tags, photo, change, mirrored)]."""
        rows = _alike(rows, lambda r: sum(len(t) for t, _ in r[0]) + len(r[1]), self.mix.pictures, draw)
        cells = self._cells([r[2] for r in rows], [r[3] for r in rows], draw, [r[4] for r in rows])
        g = torch.Generator().manual_seed(draw.randrange(1 << 31))
        # A drawn shape lies in one cell or two; photos have more to go by.
        taken = torch.tensor([self.mix.covered * (not self.corpus.photos[r[2]].source.startswith("easy")) for r in rows])
        cells.covered = (torch.rand(len(rows), self.seen.spots, generator=g) < taken[:, None]).numpy()
        s = model.sequence([[t for t, _ in r[0]] for r in rows], [r[1] for r in rows], cells)
        return s, torch.tensor([target for r in rows for _, target in r[0]])

    def _question(self, text, draw):
        """People write the question mark or not, in either width."""
        bare = text.rstrip(" ?？")
        return bare + draw.choice(["", "?", " ?", "？"])

    def _swapped(self, asked, texts, language, tags, draw):
        """(tags, [(question, answer)], change) with a noun of the photo swapped in all of them. Questions whose answer would
        be another and is not known are left out; without any left nothing is swapped."""
        photo = asked[0].photo
        change = swap.choose(self.corpus.photos[photo].nouns, draw)
        if not change:
            return tags, texts, None
        noun, c = change
        exact, named, out = draw.random() < 0.5, self.classes.noun(c, "en", False), []
        for q, (text, answer) in zip(asked, texts):
            new = self._swap(text, language, change, exact)
            # What is asked of other things stays true, but not whether they are there.
            if answer == noun:
                out += [(new or text, named)] * (named in self.answer)
            elif new or q.kind != "yes/no":
                out.append((new or text, answer))
        if not out:
            return tags, texts, None
        kept = [k for k in self.tagged[photo] if self.classes.general[k][0] != noun]
        return [c, *kept][:3], out, change


SIDES = {"left": "right", "right": "left", "左": "右", "右": "左"}
SIDE = re.compile(r"\b(?:left|right)\b|[左右]")


def has_side(text):
    return bool(SIDE.search(text))


def other_side(text):
    """What a question about a photo says of its mirror image."""
    return SIDE.sub(lambda m: SIDES[m[0]], text)


def _alike(rows, length, count, draw):
    """`count` rows of about one length: one of the batches that all of them make, sorted."""
    ordered = sorted(rows, key=length)
    at = count * draw.randrange(max(1, len(ordered) // count))
    return ordered[at:at + count]
