"""The rules that make training data: `python -m unittest training.test_fuse_data`; needs no torch and no data."""
import random
import unittest

from training.fuse import data, questions, swap
from training.fuse.questions import Question, balanced, facts, normal
from training.fuse.swap import Classes

DOGS = ["Two black dogs are running on the beach .", "Two dogs run along the beach with a red ball .", "Two black dogs play in the sand ."]


def asked(captions, kind):
    return {(q.english, q.chinese, q.answer) for q in questions.questions(0, facts(captions)) if q.kind == kind}


class Rules(unittest.TestCase):
    def test_facts_become_questions_in_both_languages(self):
        self.assertEqual(asked(DOGS, "number"), {("how many dogs are there ?", "有多少狗？", "2")})
        self.assertIn(("what color is the dog ?", "狗是什么颜色的？", "black"), asked(DOGS, "colour"))
        self.assertIn(("what color is the ball ?", "球是什么颜色的？", "red"), asked(DOGS, "colour"))
        self.assertEqual(asked(DOGS, "place"), {("where is the dog ?", "狗在哪里？", "beach")})
        self.assertEqual(asked(DOGS, "activity"), {("what is the dog doing ?", "狗在做什么？", "running")})
        self.assertIn(("what animal is in the picture ?", "图片里是什么动物？", "dog"), asked(DOGS, "object"))
        yes = asked(DOGS, "yes/no")
        self.assertIn(("is there a dog in the picture ?", "图片里有狗吗？", "yes"), yes)
        self.assertIn(("is there an elephant in the picture ?", "图片里有大象吗？", "no"), yes)

    def test_relations_have_a_subject_and_an_object(self):
        rides = ["A man is riding a red bike down the street .", "The man rides his bicycle ."]
        self.assertIn(("what is the man riding ?", "男人骑着什么？", "bicycle"), asked(rides, "object"))
        self.assertEqual(asked(["A man wearing a football uniform ."], "object"), {("what is the man wearing ?", "男人穿戴着什么？", "uniform")})

    def test_what_captions_disagree_on_is_not_asked(self):
        self.assertEqual(asked(["A black dog .", "A brown dog ."], "colour"), set())
        self.assertEqual(asked(["A black and white dog .", "A white dog ."], "colour"), set())
        self.assertEqual(asked(["Two dogs .", "Three dogs .", "Two dogs ."], "number"), set())
        # One mention is too little for yes, and too much for no.
        self.assertFalse([q for q in asked(["A cat .", "Grass .", "Grass ."], "yes/no") if "cat" in q[0]])

    def test_the_wording_alone_is_right_half_of_the_time_at_best(self):
        make = lambda text, answer, n: [Question(i, text, "", answer, "colour") for i in range(n)]
        kept = balanced(make("what color is the dog ?", "brown", 50) + make("what color is the dog ?", "black", 7) + make("what color is the sea ?", "blue", 9), 1)
        self.assertEqual(sorted(q.answer for q in kept), ["black"] * 7 + ["brown"] * 7)
        self.assertEqual(kept, balanced(make("what color is the dog ?", "brown", 50) + make("what color is the dog ?", "black", 7), 1))

    def test_answers_are_compared_in_one_form(self):
        for given, wanted in [("Two", "2"), ("night_stand", "night stand"), (" Red ", "red"), ("two, Tissue_Box", "2, tissue box")]:
            self.assertEqual(normal(given), wanted)


class Swaps(unittest.TestCase):
    def test_english_fits_articles_and_plurals(self):
        self.assertEqual(swap.english("A dog jumps over a dog .", "dog", "otter"), "An otter jumps over an otter .")
        self.assertEqual(swap.english("Two puppies play .", "dog", "fox"), "Two foxes play .")
        self.assertIsNone(swap.english("A hotdog on a plate .", "dog", "fox"))

    def test_chinese_fits_measure_words(self):
        self.assertEqual(swap.chinese("一条狗在草地上跑", "dog", "浣熊"), "一只浣熊在草地上跑")
        self.assertIsNone(swap.chinese("他在吃热狗", "dog", "浣熊"))

    def test_a_swap_keeps_its_kind(self):
        for seed in range(50):
            noun, c = swap.choose({"dog", "ball", "man", "grass"} & set(questions.NAMES) - {"grass"}, random.Random(seed))
            self.assertIn(c, swap.ANIMALS if noun == "dog" else swap.THINGS)
        self.assertIsNone(swap.choose({"man"}, random.Random(1)))

    def test_classes_have_general_names(self):
        classes = Classes()
        self.assertEqual((classes.tag(207, "en"), classes.noun(207, "en", False), classes.noun(207, "zh", False)), ("golden retriever", "dog", "狗"))
        self.assertEqual(classes.noun(296, "en", True), "polar bear")
        self.assertIn(963, [c for found in classes.in_text("A slice of pizza", "en") for c in found])
        self.assertIn(671, [c for found in classes.in_text("two bicycles lean on a wall", "en") for c in found])
        self.assertFalse(classes.in_text("我很高兴", "zh"))


class Data(unittest.TestCase):
    def test_a_tenth_is_held_out_whatever_the_order(self):
        names = [f"{i}.jpg" for i in range(200)]
        self.assertEqual(data.held_out(names), data.held_out(reversed(names)))
        self.assertEqual(len(data.held_out(names)), 20)

    def test_statements(self):
        self.assertEqual(data.statement("what is sitting on the porch stand", "vase"), "a vase is sitting on the porch stand")
        self.assertEqual(data.statement("what are standing in a tree filled area", "giraffes"), "giraffes are standing in a tree filled area")
        self.assertEqual(data.statement("what is on the table", "apple"), "an apple is on the table")

    def test_a_question_turned_round_is_no_caption(self):
        for said in ("a banana is the man holding", "kites are two men flying on a windy beach", "a meat did the piece of cut cook"):
            self.assertTrue(data.is_clumsy(said), said)
        for said in ("a cat is sitting on top of the luggage", "zebras are standing on the grassy area", "a vase filled with purple flowers", "a statue sits next to some palm trees"):
            self.assertFalse(data.is_clumsy(said), said)

    def test_shapes_in_chinese(self):
        for english, chinese in [("what color is the rectangle?", "长方形是什么颜色的？"), ("is there not a blue shape?", "图片里没有蓝色的图形吗？"),
                                 ("what is the blue shape?", "蓝色的图形是什么形状的？"), ("does the image contain a triangle?", "图片里有三角形吗？")]:
            self.assertEqual(data.easy_chinese(english), chinese)

    def test_answers_of_both_languages_are_one_class(self):
        q = lambda answer, *parts: data.Asked(0, "", "", answer, "", "", parts or (answer,))
        names = data.answers([q("dog"), q("dog"), q("red"), q("red, dog", "red", "dog"), q("rare")])
        self.assertEqual(names, ["dog", "red"])
        self.assertEqual(data.labels(names), {"en": ["dog", "red"], "zh": ["狗", "红色"]})

    def test_every_answer_of_the_rules_has_a_chinese_name(self):
        names = [n for n, e in questions.NAMES.items() if e.kind != "number"]
        self.assertFalse([n for n, zh in zip(names, data.labels(names)["zh"]) if zh.isascii()])


if __name__ == "__main__":
    unittest.main()
