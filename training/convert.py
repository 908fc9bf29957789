"""Turns a checkpoint of OSCAR, VinVL, UNITER or VLP, as its authors publish it, into a
model folder that the program loads: model.safetensors, config.json, vocab.txt,
tokenizer_config.json and, for question answering, labels.json.

    python -m training.convert uniter CHECKPOINT OUT --config FILE --vocab FILE --labels FILE

CHECKPOINT is a file of `torch.save` or a folder with a `pytorch_model.bin`, where config
and vocabulary may lie too. Checkpoints are pickles: they are read here, outside the
program, with `weights_only=True`, and answer files with an unpickler that knows plain
containers alone. Parameters keep their authors' names. What the authors' code keeps in
its arguments (feature width, number of answers) is read off the tensors.
"""
import argparse
import json
import pickle
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

# Parameters of the networks that the program has, what may be dropped without loss
# (buffers and heads that only pre-training uses), and whether words are lower-cased.
SYSTEMS = {
    "oscar": dict(
        keep=r"bert\.|classifier\.|cls\.predictions\.",
        drop=r"cls\.seq_relationship\.",
        lower_case=True,
        encoder="bert",
    ),
    "uniter": dict(
        keep=r"uniter\.|itm_output\.|rank_output\.|vqa_output\.",
        drop=r"cls\.|feat_regress\.|region_classifier\.",
        lower_case=False,
        encoder="uniter",
    ),
    "vlp": dict(
        keep=r"bert\.|cls\.predictions\.|vis_embed\.|vis_pe_embed\.|ans_classifier\.",
        drop=r"cls\.seq_relationship\.|crit_mask_lm_smoothed\.",
        lower_case=False,
        encoder="bert",
    ),
}
SYSTEMS["vinvl"] = SYSTEMS["oscar"]
# Constant buffers that some versions of the libraries save along.
BUFFERS = re.compile(r"(.*\.)?(position_ids|token_type_ids)$")

# What BERT's own configuration says where the authors' files do not.
BERT = dict(attention_probs_dropout_prob=0.1, hidden_act="gelu", hidden_dropout_prob=0.1, initializer_range=0.02)
OSCAR = dict(
    BERT,
    img_feature_type="faster_r-cnn",
    layer_norm_eps=1e-12,
    output_attentions=False,
    output_hidden_states=False,
    torchscript=False,
)
# Set by the captioning code's arguments; the program needs none of them.
CAPTIONING = ("drop_worst_after", "drop_worst_ratio", "freeze_embedding", "label_smoothing", "tie_weights")


class ConvertError(Exception):
    """One sentence on what is wrong with the input."""


class PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, strings and numbers; refuses everything that has a name, which is
    what a pickle needs to run code."""

    def find_class(self, module, name):
        raise ConvertError(f"the answer file asks for {module}.{name} and is not read: only plain containers are")


def read_tensors(path):
    """The state dict in a file of `torch.save`, in 32-bit floats, under plain names."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConvertError(f"{path} holds more than tensors and is not read: {str(error).splitlines()[0]}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not any(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise ConvertError(f"{path} holds no state dict")
    tensors = {}
    for name, tensor in loaded.items():
        # DataParallel's prefix, and the names of TensorFlow's layer norms, which the
        # authors' own loaders still translate.
        name = name.removeprefix("module.")
        name = re.sub(r"gamma$", "weight", re.sub(r"beta$", "bias", name))
        if not isinstance(tensor, torch.Tensor) or BUFFERS.match(name):
            continue
        if name in tensors:
            raise ConvertError(f"{path} has the parameter {name} twice")
        if not tensor.is_floating_point():
            raise ConvertError(f"the parameter {name} holds no floating-point numbers")
        if not torch.isfinite(tensor).all():
            raise ConvertError(f"the parameter {name} holds a number that is not finite")
        # A copy of its own: tied and sliced tensors share memory, files cannot.
        tensors[name] = tensor.to(torch.float32).contiguous().clone()
    return tensors


def chosen(system, tensors):
    """The tensors of the network and the names of those dropped."""
    rules = SYSTEMS[system]
    keep, drop = {}, []
    for name, tensor in tensors.items():
        if re.match(rules["keep"], name):
            keep[name] = tensor
        elif re.match(rules["drop"], name):
            drop.append(name)
        else:
            raise ConvertError(f"{system} has no place for the parameter {name}")
    if "cls.predictions.transform.dense.weight" in keep and ("classifier.weight" in keep or "classifier.0.weight" in keep):
        raise ConvertError("the checkpoint has both a classifier and a captioning head, so its task is not clear")
    if system != "uniter" and "cls.predictions.bias" in keep:
        # Tied to the word table: files may leave it out, the network never does.
        words = keep["bert.embeddings.word_embeddings.weight"]
        keep.setdefault("cls.predictions.decoder.weight", words.clone())
    if system == "uniter" and "itm_output.weight" in keep and "vqa_output.0.weight" not in keep:
        # The authors' `init_output`: the match row of the pre-trained head ranks.
        keep.setdefault("rank_output.weight", keep["itm_output.weight"][1:].clone())
        keep.setdefault("rank_output.bias", keep["itm_output.bias"][1:].clone())
    return keep, drop


def size(tensors, name, axis=0):
    if name not in tensors:
        raise ConvertError(f"the checkpoint lacks the parameter {name}")
    return tensors[name].shape[axis]


def completed(system, tensors, config, vocabulary):
    """The configuration: the authors' where it is read at all, with every size as the tensors have it."""
    root = SYSTEMS[system]["encoder"]
    table = f"{root}.embeddings.{{}}_embeddings.weight"
    hidden = size(tensors, table.format("word"), 1)
    layers = {int(m[1]) for name in tensors if (m := re.match(rf"{root}\.encoder\.layer\.(\d+)\.", name))}
    sizes = dict(
        hidden_size=hidden,
        intermediate_size=size(tensors, f"{root}.encoder.layer.0.intermediate.dense.weight"),
        max_position_embeddings=size(tensors, table.format("position")),
        num_hidden_layers=len(layers),
        type_vocab_size=size(tensors, table.format("token_type")),
        vocab_size=size(tensors, table.format("word")),
    )
    for name in ("hidden_size", "intermediate_size", "num_hidden_layers"):
        if config.get(name, sizes[name]) != sizes[name]:
            raise ConvertError(f"config.json says {name} {config[name]}, the tensors {sizes[name]}: they do not belong together")
    # 64 numbers a head in every BERT that these systems start from.
    heads = config.get("num_attention_heads", max(hidden // 64, 1))
    if hidden % heads:
        raise ConvertError(f"{heads} attention heads do not divide the width {hidden}")
    if len(vocabulary) > sizes["vocab_size"]:
        raise ConvertError(f"vocab.txt has {len(vocabulary)} words, the word table {sizes['vocab_size']} rows")
    sizes["num_attention_heads"] = heads
    if system in ("oscar", "vinvl"):
        defaults, own = OSCAR, oscar_sizes(tensors, config, hidden)
    elif system == "uniter":
        defaults, own = BERT, dict(img_dim=size(tensors, "uniter.img_embeddings.img_linear.weight", 1))
        answers = tensors.get("vqa_output.3.weight")
        if answers is not None:
            own["num_answer"] = answers.shape[0]
        elif "num_answer" in config:
            own["num_answer"] = config["num_answer"]
    else:
        defaults, own = dict(BERT, fp32_embedding=False, relax_projection=0), vlp_sizes(tensors, config, hidden, vocabulary)
    return {**defaults, **{k: config[k] for k in defaults if k in config}, **sizes, **own}


def oscar_sizes(tensors, config, hidden):
    own = dict(img_feature_dim=size(tensors, "bert.img_embedding.weight", 1))
    # What `use_img_layernorm` decides is whether these are there.
    if "bert.LayerNorm.weight" in tensors:
        own.update(use_img_layernorm=1, img_layer_norm_eps=config.get("img_layer_norm_eps", 1e-12))
    if "cls.predictions.bias" in tensors:
        own.update({name: config[name] for name in CAPTIONING if name in config})
        return dict(own, num_labels=config.get("num_labels", 2), loss_type=config.get("loss_type", "sfmx"))
    if "classifier.0.weight" in tensors:
        own.update(classifier="mlp", cls_hidden_scale=size(tensors, "classifier.0.weight") // hidden)
        labels = size(tensors, "classifier.2.weight")
    else:
        own.update(classifier="linear", cls_hidden_scale=config.get("cls_hidden_scale", 2))
        labels = size(tensors, "classifier.weight")
    # The authors train matching with a softmax over two, answers with a sigmoid each.
    return dict(own, num_labels=labels, loss_type=config.get("loss_type", "sfmx" if labels == 2 else "bce"))


def vlp_sizes(tensors, config, hidden, vocabulary):
    if size(tensors, "cls.predictions.transform.dense.weight") != hidden:
        raise ConvertError("the checkpoint has one projection for each task (relax_projection), which is not supported")
    own = dict(
        # `--len_vis_input` and the decoder's task, the same for every published checkpoint.
        len_vis_input=config.get("len_vis_input", 100),
        task_idx=config.get("task_idx", 3),
        vis_feat_dim=size(tensors, "vis_embed.0.weight", 1),
        # Four corners, area and confidence come before the classes.
        num_classes=size(tensors, "vis_pe_embed.0.weight", 1) - 6,
    )
    for name, word in [("eos_id", "[SEP]"), ("mask_word_id", "[MASK]")]:
        if word not in vocabulary:
            raise ConvertError(f"vocab.txt lacks {word}")
        own[name] = vocabulary.index(word)
    if "ans_classifier.2.weight" in tensors:
        own["num_answers"] = size(tensors, "ans_classifier.2.weight")
    return own


def answer_count(tensors):
    """How many answers the network tells apart; `None` if it answers no questions."""
    for name in ("vqa_output.3.weight", "ans_classifier.2.weight", "classifier.2.weight", "classifier.weight"):
        if name in tensors:
            count = tensors[name].shape[0]
            return None if name.startswith("classifier") and count == 2 else count
    return None


def read_answers(system, path):
    """Answers in the order of the network's outputs, from a pickle, JSON or a text of lines."""
    if path.suffix == ".json":
        answers = json.loads(path.read_text("utf-8"))
    elif path.suffix in (".pkl", ".pickle"):
        with path.open("rb") as file:
            try:
                answers = PlainUnpickler(file, encoding="utf-8").load()
            except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
                raise ConvertError(f"{path} is no pickle of answers ({error})") from error
    else:
        answers = path.read_text("utf-8").splitlines()
    if isinstance(answers, dict):
        if all(isinstance(v, int) for v in answers.values()):
            # OSCAR's code numbers outputs by place in the file, whatever the numbers say
            # (`enumerate(ans2label.values())`); UNITER's by the numbers.
            by = (lambda pair: 0) if system in ("oscar", "vinvl") else (lambda pair: pair[1])
            numbers = sorted(answers.values())
            answers = [answer for answer, _ in sorted(answers.items(), key=by)]
        else:
            # label2ans, the other way round.
            numbers = sorted(map(int, answers))
            answers = [answer for _, answer in sorted(answers.items(), key=lambda pair: int(pair[0]))]
        if numbers != list(range(len(numbers))):
            raise ConvertError(f"the answers of {path} are not numbered from 0 without gaps")
    if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        raise ConvertError(f"{path} is no list of answers")
    return answers


def beside(given, source, *names):
    """The file given, else one of these names beside the checkpoint."""
    folder = source if source.is_dir() else source.parent
    return given or next((folder / name for name in names if (folder / name).is_file()), None)


def convert(system, source, out, config=None, vocab=None, labels=None, log=print):
    """Writes the model folder `out`."""
    if source.is_dir() and not (source / "pytorch_model.bin").is_file():
        raise ConvertError(f"{source} holds no pytorch_model.bin; name the checkpoint's file instead")
    tensors, dropped = chosen(system, read_tensors(source / "pytorch_model.bin" if source.is_dir() else source))
    vocab = beside(vocab, source, "vocab.txt")
    if not vocab:
        raise ConvertError("there is no vocab.txt beside the checkpoint: name BERT's with --vocab")
    vocabulary = vocab.read_text("utf-8").split("\n")
    if vocabulary[-1] == "":
        vocabulary.pop()
    vocabulary = [word.rstrip("\r") for word in vocabulary]
    found = beside(config, source, "config.json", "model.json", "bert_config.json")
    settings = completed(system, tensors, json.loads(found.read_text("utf-8")) if found else {}, vocabulary)
    answers, count = None, answer_count(tensors)
    if count is not None:
        if not labels:
            raise ConvertError(f"the checkpoint answers questions: name the file of its {count} answers with --labels")
        answers = read_answers(system, labels)
        if len(answers) != count:
            raise ConvertError(f"{labels} has {len(answers)} answers, the checkpoint {count}")
    if system == "vinvl" and "bert.LayerNorm.weight" not in tensors:
        log("note: this checkpoint has no layer norm on its regions, so the program will call it oscar")
    if not found:
        log("note: no config.json was found; sizes come from the tensors, the rest are BERT's")
    if dropped:
        log(f"dropped {len(dropped)} pre-training parameters: {', '.join(dropped)}")

    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(settings, indent=1, sort_keys=True), "utf-8")
    (out / "vocab.txt").write_bytes("".join(word + "\n" for word in vocabulary).encode())
    (out / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": SYSTEMS[system]["lower_case"]}), "utf-8")
    if answers:
        (out / "labels.json").write_text(json.dumps(answers, ensure_ascii=False, indent=0), "utf-8")
    log(f"{out}: {len(tensors)} tensors" + (f", {len(answers)} answers" if answers else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("system", choices=sorted(SYSTEMS))
    parser.add_argument("checkpoint", type=Path, help="the file, or a folder with pytorch_model.bin")
    parser.add_argument("out", type=Path, help="the model folder to write")
    parser.add_argument("--config", type=Path, help="the authors' configuration, unless it lies beside")
    parser.add_argument("--vocab", type=Path, help="BERT's vocab.txt, unless it lies beside")
    parser.add_argument("--labels", type=Path, help="answers: ans2label or label2ans (.pkl, .json) or one a line (.txt)")
    args = parser.parse_args()
    try:
        convert(args.system, args.checkpoint, args.out, args.config, args.vocab, args.labels)
    except (ConvertError, OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        sys.exit(f"convert: {error}")


if __name__ == "__main__":
    main()
