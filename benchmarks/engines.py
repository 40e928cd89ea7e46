"""Seconds a megapixel of one pack on each engine, beside CycleGAN's ResNet-9 as published, in one run.

    python benchmarks/engines.py [STYLE_OR_PACK] [--side 1024]

All paint the same picture of SIDE x SIDE in turns, the network alone; printed is the best of five turns, also
as a ratio to the pack in ONNX Runtime. ResNet-9 has random weights: its time does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from inkbridge.catalogue import find_pack
from inkbridge.devices import devices_here
from inkbridge.engine import Engine
from inkbridge.pack_format import read_pack
from inkbridge.tiling import grain
from inkbridge.train.export import to_onnx
from inkbridge.train.from_pack import generator_of
from inkbridge.train.networks import make_generator
from inkbridge.train.networks.generator import GeneratorConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", nargs="?", default="ukiyo-e")
    parser.add_argument("--side", type=int, default=1024)
    arguments = parser.parse_args()
    path, _ = find_pack(arguments.pack)
    file, side = read_pack(path), arguments.side
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    code = np.array([file.info.styles[0].code], np.float32)
    noise = grain(0, 0, side, side)
    runs: dict[str, Callable[[], object]] = {}
    for device in devices_here():
        engine = Engine(file.generator, str(path), code.shape[1], file.info.size.multiple, device=device)
        runs[f"pack, {device}"] = lambda engine=engine: engine.run(image, code, noise)
    tensors = [torch.from_numpy(each) for each in (image, code, noise)]
    generator = generator_of(file, str(path))
    runs["pack, PyTorch"] = lambda: generator(*tensors)
    resnet = make_generator(GeneratorConfig(kind="resnet9", width=64), 1).eval()
    published = Engine(to_onnx(resnet), "resnet9", resnet.styles.shape[1], resnet.multiple)
    nothing = np.zeros((1, resnet.styles.shape[1]), np.float32)
    runs["ResNet-9, ONNX Runtime"] = lambda: published.run(image, nothing)
    runs["ResNet-9, PyTorch"] = lambda: resnet(tensors[0], torch.from_numpy(nothing))
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        for _ in range(5):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) / (side**2 / 1e6))
    first = min(next(iter(times.values())))
    for name, found in times.items():
        print(f"{name:28} {min(found):7.3f} s/MP  {min(found) / first:6.2f} of the first line")


if __name__ == "__main__":
    main()
