"""The model's layout and its files, with random weights: `python -m unittest training.test_fuse_model`; needs torch, no data."""
import hashlib
import json
import os
import pathlib
import random
import tempfile
import unittest
from unittest import mock

import torch

from training.fuse import batches, card, data, evaluate, export, golden, listen, model as layout, reward, reweigh, sample, train, views
from training.fuse.features import nearest_wrong, pooled, tags
from training.fuse.pictures import Pictures
from training.fuse.words import CLS, SEP, START
from training.fuse.workers import Crew, Feed, landed


class Layout(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model, cls.words, cls.labels = golden.small()
        cls.model.eval()
        cls.cells = torch.rand(1, 9, 96)

    def test_captions_side_by_side_are_the_captions_alone(self):
        said = [[START["en"], 20, 30, 41], [START["en"], 22], [START["en"], 33, 20]]
        tags = [12, 13, SEP]
        with torch.no_grad():
            together = self.model(layout.captions([said], [tags], self.cells))[0]
            at = len(tags)
            for ids in said:
                alone = self.model(layout.captions([[ids]], [tags], self.cells))[0, len(tags):]
                torch.testing.assert_close(together[at:at + len(ids)], alone, atol=1e-5, rtol=1e-4)
                at += len(ids)

    def test_several_texts_beside_a_picture_are_each_alone(self):
        texts, tags = [[CLS, 20, 30, SEP], [CLS, 22, SEP]], [12, SEP]
        with torch.no_grad():
            both = layout.sequence([texts], [tags], self.cells)
            together = both.firsts(self.model(both))
            for text, hidden in zip(texts, together):
                alone = layout.sequence([[text]], [tags], self.cells)
                torch.testing.assert_close(hidden, alone.firsts(self.model(alone))[0], atol=1e-5, rtol=1e-4)

    def test_a_word_of_a_caption_does_not_see_what_follows_but_one_of_a_question_does(self):
        with torch.no_grad():
            short = self.model(layout.captions([[[START["zh"], 20]]], [[]], self.cells))[0]
            long = self.model(layout.captions([[[START["zh"], 20, 25]]], [[]], self.cells))[0, :2]
            torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-4)
            other = self.model(layout.sequence([[[CLS, 20, 26, SEP]]], [[]], self.cells))[0, 0]
            self.assertGreater((self.model(layout.sequence([[[CLS, 20, 25, SEP]]], [[]], self.cells))[0, 0] - other).abs().max(), 1e-3)

    def test_padding_changes_nothing(self):
        texts, shown = [[[CLS, 20, SEP]], [[CLS, 20, 21, 22, 23, 24, SEP]]], [[12, SEP], []]
        with torch.no_grad():
            both = layout.sequence(texts, shown, self.cells.expand(2, -1, -1))
            together = both.firsts(self.model(both))
            for i in range(2):
                alone = layout.sequence(texts[i:i + 1], shown[i:i + 1], self.cells)
                torch.testing.assert_close(together[i], alone.firsts(self.model(alone))[0], atol=1e-5, rtol=1e-4)

    def test_captions_drawn_with_kept_keys_are_those_of_the_whole_sequence(self):
        """Draws that can only be the likeliest word: a beam of one over whole sequences must say the same."""
        tags, cells = [[12, 13, SEP], []], torch.rand(2, 9, 96, generator=torch.Generator().manual_seed(5))
        barred = torch.zeros(2, self.model.shape.said)
        barred[:, :SEP], barred[:, SEP + 1:7], barred[0, SEP] = -1e9, -1e9, -1e9
        with torch.no_grad(), mock.patch.object(sample, "_drawn", lambda p: p.argmax(1, keepdim=True)):
            drawn = sample.captions(self.model, tags, cells, START["en"], 2, barred)
            for row, tag, cell in zip(drawn, tags, cells):
                self.assertEqual(row[0], row[1])
                ids = [START["en"]]
                for k, word in enumerate(row[0]):
                    scores = self.model.words(self.model(layout.captions([[ids]], [tag], cell[None]))[0, -1]) + barred[min(k, 1)]
                    self.assertEqual(scores.argmax(), word)
                    ids.append(word)

    def test_beam_search_is_that_of_whole_sequences(self):
        """A plain search that computes every sequence anew, with the same rules."""
        tags, cells, beam = [[12, 13, SEP], []], torch.rand(2, 9, 96, generator=torch.Generator().manual_seed(6)), 3
        barred = torch.zeros(2, self.model.shape.said)
        barred[:, :SEP], barred[:, SEP + 1:7], barred[0, SEP] = -1e9, -1e9, -1e9
        found = sample.likeliest(self.model, tags, cells, START["en"], barred, beam, longest=8)
        for sentences, tag, cell in zip(found, tags, cells):
            live, ended = [([START["en"]], 0.0)], []
            for step in range(8):
                s = layout.captions([[ids] for ids, _ in live], [tag] * len(live), cell.expand(len(live), -1, -1))
                with torch.no_grad():
                    scores = self.model.words(self.model(s)[:, -1]) + barred[min(step, 1)]
                grown = [(ids + [w], total + p) for (ids, total), ps in zip(live, scores.log_softmax(-1).tolist()) for w, p in enumerate(ps) if not sample._repeats(ids[1:], w)]
                grown.sort(key=lambda g: -g[1])
                ended += [g for g in grown[:beam] if g[0][-1] == SEP]
                live = [g for g in grown if g[0][-1] != SEP][:beam]
                if len(ended) >= beam:
                    break
            right = sorted(((ids[1:-1], total, len(ids) - 1) for ids, total in ended), key=lambda e: -e[1] / e[2]) or [(ids[1:], total, len(ids) - 1) for ids, total in live]
            self.assertEqual([ids for ids, *_ in sentences], [ids for ids, *_ in right])
            for mine, other in zip(sentences, right):
                self.assertAlmostEqual(mine[1], other[1], places=3)

    def test_words_are_drawn_as_often_as_they_are_probable(self):
        torch.manual_seed(4)
        p = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
        drawn = sample._drawn(p.expand(20_000, -1)).flatten().bincount(minlength=6) / 20_000
        torch.testing.assert_close(drawn, p, atol=0.015, rtol=0)
        self.assertEqual(drawn[p == 0].sum(), 0)

    def test_geometry_is_uniters(self):
        torch.testing.assert_close(layout.geometry(3)[5], torch.tensor([2 / 3, 1 / 3, 1, 2 / 3, 1 / 3, 1 / 3, 1 / 9]))


class Files(unittest.TestCase):
    def test_a_pack_holds_what_was_measured(self):
        model, words, labels = golden.small()
        with tempfile.TemporaryDirectory() as folder:
            export.write_pack(folder, model, words, labels, golden.Mix(), golden.METRICS)
            back, again, named = golden.stored(folder)
            rounded = export.rounded(model)
            for (name, a), (_, b) in zip(rounded.state_dict().items(), back.state_dict().items()):
                torch.testing.assert_close(a, b, atol=0, rtol=0, msg=name)
            self.assertEqual((again.ids(["a dog 狗"]), named), (words.ids(["a dog 狗"]), labels))
            self.assertNotIn("MODEL_CARD.md", os.listdir(folder))

    def test_weights_in_parts_come_back(self):
        state = golden.small()[0].state_dict()
        with tempfile.TemporaryDirectory() as folder:
            export.write_parts(state, 7, folder, part=10_000)
            self.assertGreater(len(os.listdir(folder)), 10)
            back, steps = export.read_parts(folder)
            self.assertEqual((steps, back.keys()), (7, state.keys()))
            for name, value in state.items():
                torch.testing.assert_close(back[name], value.half().float(), atol=0, rtol=0)

    def test_q8_0_is_near(self):
        x = torch.randn(6, 64)
        self.assertLess((export.restored(export.quantised(x)) - x).abs().max(), x.abs().max() / 127)
        self.assertEqual(export.restored(export.quantised(torch.zeros(2, 32))).abs().max(), 0)


def small_corpus():
    """Photos, captions and questions of every kind, without files."""
    corpus = data.Corpus.__new__(data.Corpus)
    said = {"en": ["A black dog runs on the grass .", "The dog chases a red ball ."], "zh": ["一只狗在草地上跑", "黑狗"], "mt": ["一条狗在草地上跑。"]}
    make = lambda source, captions, away=False: data.Photo("", source, away, captions, frozenset({"dog", "ball"}))
    corpus.photos = [make(source, said) for source in ["flickr8k_train"] * 4 + ["flickr8k_val"] * 3]
    corpus.photos += [make("cocoqa", {"en": ["a cat is on the grass"], "statement": ["a cat is on the grass"]}, away) for away in (False, True)]
    corpus.photos += [make(source, {}) for source in ("daquar", "easy_train", "easy_test")]
    ask = lambda photo, source, zh="", answer="dog", kind="object": data.Asked(photo, "what animal is in the picture ?", zh, answer, kind, source, (answer,))
    corpus.asked = [ask(p, "rules", "图片里是什么动物？") for p in range(7)] + [ask(p, "rules", "球是什么颜色的？", "red", "colour") for p in range(7)]
    corpus.asked += [ask(7, "cocoqa"), ask(8, "cocoqa"), ask(9, "daquar", answer="2", kind="number"), ask(10, "easy-vqa", "图形"), ask(11, "easy-vqa", "图形")]
    corpus.free = {"en": [["A pizza on a plate .", "Two zebras ."], ["Nothing to see"]], "zh": [["一只长颈鹿在吃树叶"]]}
    return corpus


def alike(one, other):
    """Whether two batches, whatever they are made of, hold the same."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, layout.Sequence):
        return alike(list(vars(one).values()), list(vars(other).values()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


class SmallSeen(Pictures):
    """Features as `features.Seen` has them, drawn."""

    device, spots = torch.device("cpu"), 9

    def __init__(self, count):
        g = torch.Generator().manual_seed(2)
        self._cells, self.scores = torch.rand(count, 9, 96, generator=g), 6 * torch.randn(count, 1000, generator=g)
        self.vectors, self.prototypes = torch.randn(count, 8, generator=g), torch.rand(1000, 96, generator=g)

    def tagged(self, threshold):
        return tags(self.scores, threshold)

    def looks(self, photo):
        return 1 + (photo < 8)

    def cells(self, photos, views=None):
        return torch.stack([self._cells[p].flip(0) if v else self._cells[p] for p, v in zip(photos, views or [0] * len(photos))])


class Batches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        corpus, (cls.model, words, _) = small_corpus(), golden.small()
        hard = {k: {p: [[(p + 1) % 4, (p + 2) % 4]] * 2 if p < 4 else [[4 + (p - 3) % 3, 4 + (p - 2) % 3]] for p in range(7)} for k in data.LANGUAGES}
        cls.maker = batches.Maker(corpus, SmallSeen(12), words, golden.ANSWERS, hard, batches.Mix(photos=3, captions=2, pictures=3, texts=4, praised=3, swapped=0.8))
        cls.model.eval()
        cls.batch = lambda self, task, number: landed(self.maker.drawn(task, number), self.maker.seen, torch.device("cpu"))

    def test_every_task_has_a_finite_loss_and_the_same_batch_for_a_number(self):
        for task in train.TASKS:
            for number in range(12):
                losses, made = [], [self.batch(task, number) for _ in range(2)]
                self.assertTrue(alike(*made), task)
                for batch in made:
                    torch.manual_seed(1)
                    if task == "scst":
                        batch = train.Praise(Crew(self.maker, 0)).written(self.model, *batch)
                    loss, shown, count = train.loss_of(self.model.eval(), task, batch, 0.1)
                    losses.append(loss.item())
                    self.assertTrue(loss.isfinite() and shown == shown, task)
                    self.assertGreater(count, 0)
                self.model.eval()
                self.assertAlmostEqual(*losses, places=5)

    def test_a_caption_is_scored_word_by_word_after_its_language(self):
        (s, target), words = self.batch("caption", 1), self.maker.words
        for ids, part, right in zip(s.ids.tolist(), s.part.tolist(), target.tolist()):
            for k in range(1, max(part) + 1):
                at = [i for i, p in enumerate(part) if p == k]
                self.assertIn(ids[at[0]], START.values())
                self.assertEqual([right[i] for i in at[:-1]], [ids[i] if ids[i] < words.said else 0 for i in at[1:]])
                self.assertEqual(right[at[-1]], SEP)
            self.assertFalse(any(r for r, p in zip(right, part) if p <= 0))

    def test_a_group_shows_each_picture_the_captions_of_all(self):
        for number in range(6):
            read, (written, following, own) = self.batch("itm", number)
            self.assertEqual(own.shape, (2, 4, 8))
            self.assertTrue((own.sum(1) == 1).all() and (own.sum(2) == 2).all())
            self.assertEqual(len(read.firsts(torch.zeros(*read.ids.shape, 2))), own.numel())
            said = [[ids[part == k].tolist() for k in range(1, 9)] for ids, part in zip(read.ids, read.part)]
            self.assertTrue(all(said[i] == said[i // 4 * 4] for i in range(8)))
            self.assertTrue(written.forward and not read.forward and written.part.max() == 8)
            self.assertFalse((following > 0)[written.part <= 0].any())

    def test_telling_photos_apart_pays(self):
        """The loss falls as the head and the likelihoods agree with whose caption it is."""
        _, (written, following, own) = self.batch("itm", 0)
        with torch.no_grad():
            of = lambda odds: train.told_apart(self.model, torch.stack([-odds, odds], 1), written, following, own).item()
            right = own.flatten().float() * 2 - 1
            self.assertLess(of(3 * right), of(0 * right))
            self.assertLess(of(0 * right), of(-3 * right))

    def test_each_question_beside_a_picture_has_its_target(self):
        for number in range(12):
            s, target = self.batch("vqa", number)
            self.assertEqual(len(s.firsts(torch.zeros(*s.ids.shape, 2))), len(target))
            self.assertFalse(s.forward)

    def test_a_caption_is_praised_for_what_people_say_of_the_picture(self):
        language, tags, cells, said, count = self.batch("scst", 3)
        self.assertEqual((len(tags), len(cells), len(said), count), (3, 3, 3, 5))
        ids = [[self.maker.ids(texts[0])] for texts in said]
        for (whole,), (cut,) in zip(*(self.maker.worths(language, said, [[row + end] for (row,) in ids]) for end in ([SEP], []))):
            self.assertGreater(whole, cut)

    def test_processes_make_the_same_batches(self):
        with mock.patch("training.fuse.workers.AHEAD", 2):
            crew = Crew(self.maker, 2)
            try:
                feed = Feed(crew, torch.device("cpu"), dict.fromkeys(train.TASKS, 0))
                for number in range(4):
                    for task in train.TASKS:
                        self.assertTrue(alike(feed.next(task), self.batch(task, number)), task)
            finally:
                crew.close()

    def test_of_a_mirrored_photo_the_other_side_is_asked(self):
        self.assertEqual(batches.other_side("what is left of the bright lamp on the right"), "what is right of the bright lamp on the left")
        self.assertEqual(batches.other_side("左边的狗在右边吗"), "右边的狗在左边吗")
        self.assertTrue(batches.has_side("on the left") and not batches.has_side("upright"))

    def test_what_is_held_out_is_never_in_a_batch(self):
        asked = [q.photo for kinds in self.maker.asked.values() for kind in kinds for q in kind]
        self.assertFalse({4, 5, 6, 8, 11} & {*asked, *self.maker.described["en"], *self.maker.described["zh"]})

    def test_a_class_swapped_in_is_tag_word_and_picture_at_once(self):
        noun, c = "dog", 360
        self.assertEqual(self.maker._swap("A dog runs .", "en", (noun, c), True), "An otter runs .")
        draw = random.Random(4)
        plain, mixed = self.maker.seen.cells([0])[0], self.maker.seen.shown(self.maker._cells([0], [(noun, c)], draw, [False]))[0]
        row = self.maker.seen.prototypes[c]
        self.assertLess((mixed - row).norm(), (plain - row).norm())

    def test_the_report_has_every_figure_and_becomes_a_card(self):
        found = evaluate.report(self.model, self.maker, golden.ANSWERS, self.maker.hard, 0.5, lambda _: None, 3)
        self.assertEqual(set(found["captions"]) | set(found["matching"]), {"en", "zh"})
        self.assertEqual(set(found["vqa"]), {"rules en", "rules zh", "cocoqa en", "easy-vqa en", "easy-vqa zh"})
        text = card.text(found, self.model.shape, train.Settings(), 0, "minilm", "abc", 3, 3)
        self.assertIn("| rules zh | colour |", text)
        # Pairs are judged anew, in a pack that is there.
        with tempfile.TemporaryDirectory() as out:
            metrics = {**found, "align_weight": 3.0}
            export.write_pack(out, self.model, self.maker.words, {"en": golden.ANSWERS}, batches.Mix(), metrics, text)
            changed = {"judge": {"head": 0.1, "gain": 0.2, "near": 3.0, "bias": -1.0}, "align_weight": 7.5, "rerank_first": {}, "matching": found["matching"],
                       "trust": {"en": {"said": 1.0, "near": 2.0, "bias": 0.0}}}
            reweigh.write(out, changed)
            read = lambda name: pathlib.Path(out, name).read_bytes()
            config, manifest = json.loads(read("config.json")), json.loads(read("pack.json"))
            self.assertEqual((config["match"], config["align_weight"], config["trust"], config["grid_side"]), (changed["judge"], 7.5, changed["trust"], 3))
            listed = {f["name"]: f["sha256"] for f in manifest["files"]}
            self.assertEqual({n: hashlib.sha256(read(n)).hexdigest() for n in listed}, listed)
            self.assertEqual(manifest["metrics"]["vqa"], json.loads(json.dumps(found["vqa"])))
            card_now = read("MODEL_CARD.md").decode()
            self.assertIn("0.1 x head + 0.2 x gain + 3.0 x cosine + -1.0", card_now)
            self.assertEqual(len(card_now.splitlines()), len(text.splitlines()))


class Made:
    """Batches as `batches.Maker` gives them, out of thin air; `until` steps, then the power fails."""

    def __init__(self, until=None):
        self.mix, self.until, self.asked = golden.Mix(), until, 0

    seen = None

    def drawn(self, task, number):
        self.asked += 1
        if self.until and self.asked > self.until:
            raise KeyboardInterrupt
        g = torch.Generator().manual_seed(number + 100 * train.TASKS.index(task))
        ids, cells = torch.randint(7, 40, (4, 5), generator=g).tolist(), torch.rand(4, 9, 96, generator=g)
        if task == "caption":
            s = layout.captions([[row] for row in ids], [[]] * 4, cells)
            return s, torch.randint(7, 40, s.ids.shape, generator=g)
        ids = [[[CLS, *row]] for row in ids]
        return layout.sequence(ids, [[]] * 4, cells), torch.randint(0, 2, (4,), generator=g)


class Praise(unittest.TestCase):
    def test_what_is_praised_is_said_more_often(self):
        """A judge who likes one word: captions hold it more and more often."""
        model, words, _ = golden.small()
        likes = words.ids(["dog"])[0][0]
        judge = mock.Mock(count=0, ask=lambda what, language, said, drawn: lambda: [[ids.count(likes) / len(ids) for ids in row] for row in drawn])
        judge.maker.words = words
        praise = train.Praise(judge)
        cells, worth = torch.rand(2, 9, 96, generator=torch.Generator().manual_seed(3)), []
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(30):
            torch.manual_seed(step)
            loss, shown, count = train.praised(model, *praise.written(model, "en", [[], []], cells, [[], []], 8))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            worth.append(shown)
        self.assertEqual(count, 16)
        self.assertGreater(sum(worth[-5:]), 1.5 * sum(worth[:5]) + 0.1, worth)


class Loop(unittest.TestCase):
    def test_a_run_that_was_stopped_ends_as_if_it_had_not(self):
        settings, ends = train.Settings(steps=6, epoch=2, shares=(0.5, 0.0, 0.5, 0.0), late=1.0), []
        for until in (None, 3):
            with tempfile.TemporaryDirectory() as folder:
                if until:
                    with self.assertRaises(KeyboardInterrupt):
                        train.fit(golden.small()[0], Made(until), settings, folder, lambda _: None)
                ends.append(train.fit(golden.small()[0], Made(), settings, folder, lambda _: None))
        self.assertEqual(ends[0][1], ends[1][1])
        for a, b in zip(ends[0][0].parameters(), ends[1][0].parameters()):
            torch.testing.assert_close(a, b, atol=0, rtol=0)


class Figures(unittest.TestCase):
    def test_area_under_the_curve(self):
        self.assertEqual(evaluate.auc([0.9, 0.4], [0.1, 0.5]), 0.75)
        self.assertEqual(evaluate.auc([0.5], [0.5]), 0.5)

    def test_calibration(self):
        self.assertEqual(evaluate.calibration([1, 1, 0, 0], [0.5, 0.5, 0.5, 0.5]), 0)
        self.assertAlmostEqual(evaluate.calibration([0, 0], [0.9, 0.9]), 0.9, places=3)

    def test_plain_texts(self):
        self.assertEqual(reward.plain("A dog's ball , red .", "en"), ["a", "dog's", "ball", "red"])
        self.assertEqual(reward.plain("狗跑。", "zh"), ["狗", "跑"])

    def test_cider_is_pycocoevalcaps(self):
        from pycocoevalcap.cider.cider import Cider
        said = {0: ["a black dog runs on the grass", "the dog chases a red ball", "a dog plays"], 1: ["two men sit on a bench", "men sit outside"], 2: ["a red car", "a car on a road"]}
        got = {0: "a dog runs after a red ball", 1: "two dogs sit on a bench a bench", 2: "a"}
        ended = lambda text: f"{text} {reward.END}"
        mean, each = Cider().compute_score({k: [ended(t) for t in v] for k, v in said.items()}, {k: [ended(t)] for k, t in got.items()})
        mine = reward.Cider([[t.split() for t in v] for v in said.values()])
        for k, right in zip(said, each):
            self.assertAlmostEqual(mine.score(got[k].split(), [mine.vector(t.split()) for t in said[k]]), right, places=6)

    def test_what_a_sentence_is_worth(self):
        people = [t.split() for t in ("a black dog runs on the grass", "the dog chases a red ball")]
        worth = reward.Worth(reward.Cider([people, [["a", "red", "car"]]]), people)
        of = [worth.bleu4(t.split()) for t in ("a black dog runs on the grass", "a black dog runs", "a black dog runs on the", "grass the on runs dog black a", "snow")]
        self.assertAlmostEqual(of[0], 1.0)
        self.assertTrue(of[0] > of[2] > of[1] > of[3] > of[4], of)
        # Three of four words are right (one is the end), one of three pairs, and nothing longer; one is added to all but the words.
        one = reward.Worth(worth.cider, [["a", "dog", "sits"]])
        self.assertAlmostEqual(one.bleu4(["a", "cat", "sits"]), (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25)
        self.assertAlmostEqual(worth.of(people[0]), worth.cider.score(people[0], worth.references) + 1.0)

    def test_a_caption_is_borne_out_by_its_rare_words(self):
        people = [[["a", "dog", "sleeps"], ["a", "dog"]], [["a", "cat", "runs"]]]
        rare = reward.Cider(people).rarity
        self.assertEqual(rare(("a",)), 0.0)
        self.assertAlmostEqual(evaluate.borne_out(["a", "dog", "runs"], people[0], rare), 0.5)
        self.assertEqual([evaluate.borne_out(c, people[0], rare) for c in (["a"], [])], [0.0, 0.0])

    def test_what_orders_hits_is_what_tells_the_right_one(self):
        g = torch.Generator().manual_seed(1)
        found, at = torch.randn(600, 5, 3, generator=g), torch.randint(0, 5, (600, 1), generator=g)
        right = torch.arange(5) == at
        # The head and the cosine tell, the gain says nothing; the scales differ.
        found[..., 0] += 1.5 * right
        found[..., 2] += 1.5 * right
        found[..., 2] /= 20
        by = listen.weights(found, right)
        self.assertAlmostEqual(by[2].item() / by[0].item(), 20, delta=4)
        self.assertLess(by[1].abs(), 0.2 * by[0])
        self.assertGreater(listen.first(found, right, by), listen.first(found, right, torch.tensor([0.0, 0.0, 1.0])) + 5)
        # The judge's odds and what the cosine counts beside them make the same order.
        judge = evaluate.Judge(0.3, 0.3 * listen.share(by), 2.0, -0.4)
        odds = judge.odds(found) + listen.align_weight(judge, by) * found[..., 2]
        self.assertGreater((odds.argmax(1) == (found @ by).argmax(1)).float().mean(), 0.99)

    def test_trust_follows_what_was_right(self):
        g = torch.Generator().manual_seed(1)
        found = torch.randn(400, 2, generator=g)
        right = (0.5 * found[:, 0] + 2.0 * found[:, 1] - 0.3).sigmoid()
        trust = evaluate.Trust.fitted(found, right)
        torch.testing.assert_close(torch.tensor([trust.said, trust.near, trust.bias]), torch.tensor([0.5, 2.0, -0.3]), atol=0.01, rtol=0)
        self.assertLess((trust.share(found) - right).abs().max(), 0.01)

    def test_crops_keep_or_turn_the_sides(self):
        photo = torch.zeros(1, 3, 40, 40)
        photo[..., :20] = 200
        for _ in range(5):
            for mirrored in (False, True):
                left, right = views.crops(photo, torch.ones(1), mirrored, torch.Generator().manual_seed(4))[0].mean((0, 1))[[0, -1]].tolist()
                self.assertEqual(left < right, mirrored)

    def test_every_view_is_drawn_and_mirrored_only_where_wanted(self):
        seen = SmallSeen(3)
        seen.looks = lambda photo: 6
        draw = random.Random(1)
        drawn = {mirrored: {seen.view(0, mirrored, draw) for _ in range(100)} for mirrored in (False, True)}
        self.assertEqual(drawn, {False: {0, 2, 4}, True: {1, 3, 5}})

    def test_cells_and_tags(self):
        grid = torch.arange(81.0)[None, :, None]
        self.assertEqual(pooled(grid, 3)[0, 0, 0], grid.reshape(9, 9)[:3, :3].mean())
        self.assertEqual(pooled(grid, 4).shape, (1, 16, 1))
        self.assertEqual(tags(torch.tensor([[5.0, 0.0, 4.5, 0.0]]), 0.2), [[0, 2]])

    def test_the_nearest_wrong_photo_is_never_its_own(self):
        photos = torch.nn.functional.normalize(torch.randn(9, 4), dim=1)
        self.assertFalse((nearest_wrong(photos, torch.arange(9), photos, 3) == torch.arange(9)[:, None]).any())


if __name__ == "__main__":
    unittest.main()
