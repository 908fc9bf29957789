"""The model's layout and its files, with random weights: `python -m unittest training.test_fuse_model`; needs torch, no data."""
import os
import tempfile
import unittest

import torch

from training.fuse import evaluate, export, golden, model as layout
from training.fuse.features import nearest_wrong, pooled, tags
from training.fuse.words import CLS, SEP, START


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

    def test_a_word_does_not_see_what_follows_but_all_sees_all_without_captions(self):
        with torch.no_grad():
            short = self.model(layout.captions([[[START["zh"], 20]]], [[]], self.cells))[0]
            long = self.model(layout.captions([[[START["zh"], 20, 25]]], [[]], self.cells))[0, :2]
            torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-4)
            other = self.model(layout.sequence([[CLS, 20, 26, SEP]], [[]], self.cells))[0, 0]
            self.assertGreater((self.model(layout.sequence([[CLS, 20, 25, SEP]], [[]], self.cells))[0, 0] - other).abs().max(), 1e-3)

    def test_padding_changes_nothing(self):
        texts, shown = [[CLS, 20, SEP], [CLS, 20, 21, 22, 23, 24, SEP]], [[12, SEP], []]
        with torch.no_grad():
            both = self.model(layout.sequence(texts, shown, self.cells.expand(2, -1, -1)))
            for i in range(2):
                alone = self.model(layout.sequence(texts[i:i + 1], shown[i:i + 1], self.cells))
                torch.testing.assert_close(both[i, 0], alone[0, 0], atol=1e-5, rtol=1e-4)

    def test_geometry_is_uniters(self):
        torch.testing.assert_close(layout.geometry(3)[5], torch.tensor([2 / 3, 1 / 3, 1, 2 / 3, 1 / 3, 1 / 3, 1 / 9]))


class Files(unittest.TestCase):
    def test_a_pack_holds_what_was_measured(self):
        model, words, labels = golden.small()
        with tempfile.TemporaryDirectory() as folder:
            export.write_pack(folder, model, words, labels, golden.Mix(), 0.3)
            back, again, named = golden.stored(folder)
            rounded = export.rounded(model)
            for (name, a), (_, b) in zip(rounded.state_dict().items(), back.state_dict().items()):
                torch.testing.assert_close(a, b, atol=0, rtol=0, msg=name)
            self.assertEqual((again.ids(["a dog 狗"]), named), (words.ids(["a dog 狗"]), labels))
            self.assertNotIn("MODEL_CARD.md", os.listdir(folder))

    def test_q8_0_is_near(self):
        x = torch.randn(6, 64)
        self.assertLess((export.restored(export.quantised(x)) - x).abs().max(), x.abs().max() / 127)
        self.assertEqual(export.restored(export.quantised(torch.zeros(2, 32))).abs().max(), 0)


class Figures(unittest.TestCase):
    def test_area_under_the_curve(self):
        self.assertEqual(evaluate.auc([0.9, 0.4], [0.1, 0.5]), 0.75)
        self.assertEqual(evaluate.auc([0.5], [0.5]), 0.5)

    def test_calibration(self):
        self.assertEqual(evaluate.calibration([1, 1, 0, 0], [0.5, 0.5, 0.5, 0.5]), 0)
        self.assertAlmostEqual(evaluate.calibration([0, 0], [0.9, 0.9]), 0.9, places=3)

    def test_plain_texts(self):
        self.assertEqual(evaluate.plain("A dog's ball , red .", "en"), "a dog's ball red")
        self.assertEqual(evaluate.plain("狗跑。", "zh"), "狗 跑")

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
