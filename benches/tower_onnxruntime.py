"""The towers beside ONNX Runtime and PyTorch: the same weights, the same machine, in turn.

    cargo build --release --bench tower
    python benches/tower_onnxruntime.py [--rounds 3] [--threads 2] [--only lite2|bert|clip]

Needs torch, transformers, onnx, onnxruntime, safetensors and efficientnet-lite-pytorch.
Weights are random (seeded) and kept in a folder of the system's temporary files.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

FOLDER = os.path.join(tempfile.gettempdir(), "glimpse-bench-towers")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def wave(*shape):
    n = int(np.prod(shape))
    return torch.from_numpy(((np.arange(n) % 977).astype(np.float32) / 488.0 - 1.0).reshape(shape))


def tokens(batch, length, vocabulary):
    return torch.from_numpy((np.arange(batch * length) * 31 % vocabulary).reshape(batch, length))


class Lite2(torch.nn.Module):
    """Pooled features, as the program's tower gives them."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet
        self.net = EfficientNet.from_name("efficientnet-lite2")

    def forward(self, x):
        return self.net.extract_features(x).mean((2, 3))

    def renamed(self):
        """The parameters under the names of Hugging Face's EfficientNet."""
        block = {"_expand_conv": "expansion.expand_conv", "_bn0": "expansion.expand_bn", "_depthwise_conv": "depthwise_conv.depthwise_conv",
                 "_bn1": "depthwise_conv.depthwise_norm", "_project_conv": "projection.project_conv", "_bn2": "projection.project_bn"}
        outer = {"_conv_stem": "embeddings.convolution", "_bn0": "embeddings.batchnorm", "_conv_head": "encoder.top_conv", "_bn1": "encoder.top_bn"}
        out = {}
        for name, value in self.net.state_dict().items():
            part = name.split(".")
            if part[0] == "_blocks":
                out[f"vision_model.encoder.blocks.{part[1]}.{block[part[2]]}.{part[3]}"] = value
            elif part[0] in outer:
                out[f"vision_model.{outer[part[0]]}.{part[1]}"] = value
        return {k: v.contiguous() for k, v in out.items() if "num_batches" not in k}


def q4(weight):
    """ggml's q4_0 blocks of a matrix, and what they mean."""
    blocks = weight.numpy().reshape(-1, 32)
    most = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(1)]
    scale = (most / -8).astype(np.float16)
    safe = np.where(scale == 0, 1, scale.astype(np.float32))[:, None]
    q = np.clip(np.floor(blocks / safe + 8.5), 0, 15).astype(np.uint8)
    packed = np.concatenate([scale[:, None].view(np.uint8), q[:, :16] | (q[:, 16:] << 4)], 1)
    meant = (q.astype(np.float32) - 8) * scale.astype(np.float32)[:, None]
    return torch.from_numpy(packed.reshape(weight.shape[0], -1)), torch.from_numpy(meant.reshape(weight.shape))


def export(model, args, path, inputs, axes):
    torch.onnx.export(model, args, path, input_names=inputs, output_names=["y"], dynamic_axes=axes, opset_version=17, dynamo=False)


def prepare():
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel, CLIPConfig, CLIPModel
    os.makedirs(FOLDER, exist_ok=True)
    at = lambda name: os.path.join(FOLDER, name)
    torch.manual_seed(1)
    lite2 = Lite2().eval()
    bert_config = BertConfig(hidden_size=384, intermediate_size=1536, vocab_size=2000, attn_implementation="sdpa")
    bert = BertModel(bert_config, add_pooling_layer=False).eval()
    clip = CLIPModel(CLIPConfig()).eval()
    if not os.path.exists(at("done")):
        save_file(lite2.renamed(), at("lite2.safetensors"))
        export(lite2, (wave(2, 3, 260, 260),), at("lite2.onnx"), ["x"], {"x": {0: "b"}, "y": {0: "b"}})
        save_file({k: v.contiguous() for k, v in bert.state_dict().items()}, at("bert_f32.safetensors"))
        packed, notes = {}, {}
        for name, value in bert.state_dict().items():
            if value.dim() == 2 and "position" not in name and "token_type" not in name:
                packed[name], _ = q4(value)
                notes[name] = f"q4_0 {value.shape[0]} {value.shape[1]}"
            else:
                packed[name] = value.contiguous()
        save_file(packed, at("bert_q4.safetensors"), metadata=notes)

        class Last(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.bert = bert

            def forward(self, ids):
                return self.bert(ids, torch.ones_like(ids)).last_hidden_state

        class Image(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.clip = clip

            def forward(self, x):
                return self.clip.visual_projection(self.clip.vision_model(x).pooler_output)

        export(Last().eval(), (tokens(2, 15, 2000),), at("bert.onnx"), ["ids"], {"ids": {0: "b", 1: "t"}, "y": {0: "b", 1: "t"}})
        export(Image().eval(), (wave(2, 3, 224, 224),), at("clip_image.onnx"), ["x"], {"x": {0: "b"}, "y": {0: "b"}})
        clip.save_pretrained(at("clip"))
        open(at("done"), "w").close()
    return lite2, bert, clip


def clock(run, rounds):
    """Least milliseconds on the wall's clock and on the processors'."""
    run()
    wall, cpu = [], []
    for _ in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        run()
        wall.append((time.perf_counter() - start) * 1e3)
        cpu.append((time.process_time() - used) * 1e3)
    return min(wall), min(cpu)


@torch.no_grad()
def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument("--threads", type=int, default=os.cpu_count())
    parse.add_argument("--only", default="")
    parse.add_argument("--binary")
    parse.add_argument("--torch", action="store_true", help="PyTorch's image towers too (slow)")
    options = parse.parse_args()
    torch.set_num_threads(options.threads)
    lite2, bert, clip = prepare()
    import onnxruntime as ort
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    # Idle threads that spin would be counted as work.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = lambda name: ort.InferenceSession(os.path.join(FOLDER, name), settings, providers=["CPUExecutionProvider"])
    lite2_onnx, bert_onnx, clip_onnx = session("lite2.onnx"), session("bert.onnx"), session("clip_image.onnx")
    cases = {}
    for batch in (16, 1):
        x, y = wave(batch, 3, 260, 260), wave(batch, 3, 224, 224)
        cases[f"lite2 x{batch}"] = {"onnxruntime": (lambda x=x: lite2_onnx.run(None, {"x": x.numpy()})), "pytorch": (lambda x=x: lite2(x))}
        cases[f"clip image x{batch}"] = {"onnxruntime": (lambda y=y: clip_onnx.run(None, {"x": y.numpy()})),
                                         "pytorch": (lambda y=y: clip.get_image_features(y))}
    for batch in (1, 64):
        ids = tokens(batch, 15, 2000)
        for kind in ("f32", "q4"):
            cases[f"bert {kind} {batch}x15"] = {"onnxruntime": (lambda ids=ids: bert_onnx.run(None, {"ids": ids.numpy()})),
                                                "pytorch": (lambda ids=ids: bert(ids))}
    words = tokens(1, 12, 49408)
    cases["clip text 1x12"] = {"pytorch": lambda: clip.get_text_features(words)}
    cases = {name: peers for name, peers in cases.items() if options.only in name}
    binary = options.binary or max(glob.glob(os.path.join(ROOT, "target/release/deps/tower-*[!.d]")), key=os.path.getmtime)
    best, notes = {}, {}

    def keep(name, peer, wall, cpu):
        old = best.get((name, peer), (1e9, 1e9))
        best[(name, peer)] = min(old[0], wall), min(old[1], cpu)

    for _ in range(options.rounds):
        env = dict(os.environ, GLIMPSE_BENCH_TOWERS=FOLDER, GLIMPSE_BENCH_ONLY=options.only.split()[0] if options.only else "",
                   RAYON_NUM_THREADS=str(options.threads))
        for line in subprocess.run([binary], env=env, check=True, capture_output=True, text=True).stdout.splitlines():
            row = json.loads(line)
            if "least_ms" in row:
                keep(row["case"], "glimpse", row["least_ms"], row["cpu_ms"])
            else:
                notes[row["case"]] = row.get("peak_mb") or row.get("median_ms")
        for name, peers in cases.items():
            for peer, run in peers.items():
                if peer == "onnxruntime" or "text" in name or options.torch:
                    keep(name, peer, *clock(run, 3 if "x16" in name else 8))
    print(f"least of {options.rounds} rounds, {options.threads} threads: ms on the wall's clock (ms of processor time)")
    print("| case | glimpse | onnxruntime | pytorch | speed, wall | speed, processor |")
    for name in cases:
        row = [best.get((name, peer)) for peer in ("glimpse", "onnxruntime", "pytorch")]
        peer = row[1] or row[2]
        speed = [f"{peer[i] / row[0][i]:.2f}x" if peer and row[0] else "" for i in (0, 1)]
        print(f"| {name} | " + " | ".join("" if v is None else f"{v[0]:.1f} ({v[1]:.1f})" for v in row) + f" | {speed[0]} | {speed[1]} |")
    print({k: round(v, 1) for k, v in notes.items()})


if __name__ == "__main__":
    sys.exit(main())
