"""What the program's own `eval` says of a pack, kept in evaluated.json under the weights' SHA-256 and written into the
pack's model card and manifest.

    python -m training.fuse.program --datasets DIR --cache DIR --pack assets/models/lite-fuse --glimpse target/release/glimpse

Each figure is kept as soon as it is there: a second run asks only for what is missing.
"""
import argparse
import json
import os
import random
import subprocess

from . import export, held_out

KEPT = os.path.join(os.path.dirname(__file__), "evaluated.json")
HEADING = "## Figures of the program\n"
# Questions of a set, both languages together.
MOST = 3000


def wanted(flickr, held):
    """(name, arguments of `glimpse eval`) of every figure."""
    for lang in ("en", "zh"):
        yield f"caption {lang}", ["caption", flickr, "--lang", lang, "--beam", "3"]
    for name in ("daquar", "cocoqa", "rules", "easy-vqa"):
        for lang in ("en", "zh") if name in ("rules", "easy-vqa") else ("en",):
            yield f"vqa {name} {lang}", ["vqa", some(os.path.join(held, f"{name}.jsonl")), "--lang", lang, "--blind"]
    for lang in ("en", "zh"):
        yield f"match {lang}", ["match", flickr, "--lang", lang, "--rerank", "20", "--texts", "1000"]


def some(path):
    """The file, or where it holds more than `MOST` questions so many of them, drawn with a seed, in a file beside it."""
    with open(path, encoding="utf8") as f:
        lines = f.readlines()
    if len(lines) <= MOST:
        return path
    out = path.replace(".jsonl", f".{MOST}.jsonl")
    with open(out, "w", encoding="utf8") as f:
        f.writelines(random.Random(1).sample(lines, MOST))
    return out


def section(figures):
    """The model card's part: a table for each task that was asked for."""
    of = lambda task: {k[len(task) + 1:]: f for k, f in figures.items() if k.startswith(task)}
    three = lambda r: "/".join(f"{r[k]:.1f}" for k in ("R@1", "R@5", "R@10"))
    tables = [
        ("| captions, beam 3 | photos | BLEU-4 | CIDEr | words borne out | told with an error of | ms each |",
         [f"| {k} | {f['images']} | {f['BLEU-4']:.3f} | {f['CIDEr']:.3f} | {f['borne_out']:.3f} | {f['ece']:.3f} | {1e3 / f['captions_per_second']:.0f} |" for k, f in of("caption").items()]),
        ("| matching | texts | AUC, random | AUC, Align's five best wrong | R@1/5/10 of Align | re-ranked (best 20) | ms a pair |",
         [f"| {k} | {f['texts']} | {f['auc_random']:.3f} | {f['auc_align_top5']:.3f} | {three(f['rerank']['align'])} | {three(f['rerank']['reranked'])} | {f['ms_per_pair']:.0f} |"
          for k, f in of("match").items()]),
        ("| questions | asked | accuracy | the same model without the picture | calibration error | ms each |",
         [row for k, f in of("vqa").items() for row in questions(k, f)])]
    out = [HEADING, "By `glimpse eval` on Flickr8k val and the held-out questions (`training/fuse/program.py`).\nTimes are of the run that made the figures, whatever else the machine did; benches/README.md has those of a free one.\n"]
    for head, rows in tables:
        if rows:
            out += [head, "|---" * (head.count("|") - 1) + "|", *rows, ""]
    return "\n".join(out[:-1]) + "\n"


def questions(name, f):
    """Rows of all questions of a set, and of each kind."""
    yield f"| {name} | {f['questions']} | {f['accuracy']:.3f} | {f['blind']['accuracy']:.3f} | {f['ece']:.3f} | {f['ms_per_answer']:.0f} |"
    for kind, own in sorted(f["by_kind"].items()):
        yield f"| — {kind} | {own['questions']} | {own['accuracy']:.3f} | {f['blind']['by_kind'][kind]['accuracy']:.3f} | | |"


def write_card(pack, figures):
    """The card's section, in place of an earlier one; the manifest's hash of the card with it."""
    text = export.read(pack, "MODEL_CARD.md")
    before, _, rest = text.partition(HEADING)
    after = rest[rest.find("\n## "):] if "\n## " in rest else ""
    if not rest:
        before, mark, after = text.partition("## Limits\n")
        after = "\n" + mark + after
    export.put(pack, "MODEL_CARD.md", before + section(figures) + after)
    manifest = json.loads(export.read(pack, "pack.json"))
    manifest["metrics"]["program"] = figures
    export.put(pack, "pack.json", export.as_json(manifest))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--datasets", required=True)
    a.add_argument("--cache", required=True)
    a.add_argument("--pack", required=True)
    a.add_argument("--glimpse", required=True, help="the program, built with --release")
    o = a.parse_args()
    held = os.path.join(o.cache, "held_out")
    if not os.path.exists(held):
        held_out.write(o.datasets, held)
    with open(KEPT, encoding="utf8") as f:
        kept = json.load(f)
    # Figures of an earlier pack are history, which git keeps.
    key = export.listed(o.pack, "model.safetensors")["sha256"]
    kept = {key: kept.get(key, {})}
    for name, arguments in wanted(os.path.join(o.datasets, "flickr8k", "val.jsonl"), held):
        if name in kept[key]:
            continue
        run = subprocess.run([o.glimpse, "--json", "--model", o.pack, "eval", *arguments], stdout=subprocess.PIPE, check=True)
        kept[key][name] = json.loads(run.stdout.splitlines()[-1])
        print(name, json.dumps(kept[key][name]), flush=True)
        with open(KEPT, "w", encoding="utf8") as f:
            json.dump(kept, f, indent=1)
            f.write("\n")
        write_card(o.pack, kept[key])


if __name__ == "__main__":
    main()
