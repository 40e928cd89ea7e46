"""A pack's generator taught to a smaller one: less time for each picture, nearly the same painting.

The student is the same network with fewer channels. It sees crops of photographs and learns to give what the
teacher gives (Hinton et al. 2015, "Distilling the knowledge in a neural network"; for generators Li et al.
2020, "GAN Compression", section 3.1). It takes over the style codes, the style encoder and the surface,
whose weights know nothing of the picture, as they are; so styles fuse and follow examples as the teacher's.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inkbridge.engine import Engine
from inkbridge.errors import ConfigError
from inkbridge.images import RGB, read_picture, reduced, to_network
from inkbridge.pack_format import PackFile, SizeRules, check_pack_name, read_pack, write_pack
from inkbridge.train.adapt import contents, to_batch
from inkbridge.train.checkpoint import read_checkpoint, save_state
from inkbridge.train.data import Crops, DataConfig, load_pictures
from inkbridge.train.export import to_onnx
from inkbridge.train.from_pack import generator_of
from inkbridge.train.networks.generator import Generator, GeneratorConfig, Shift
from inkbridge.train.onnx_file import compare
from inkbridge.train.precision import mixed, resolve_precision
from inkbridge.train.schedule import ramp

TIMED = 512
"""Side of the picture that networks are timed on."""
SAVE_EVERY = 30.0
"""Seconds between two saved states."""


@dataclass
class DistillConfig:
    """How a student learns."""

    lr: float = 2e-3
    batch: int = 8
    crop: int = 96
    fine_weight: float = 1.0
    """Of the differences between neighbouring pixels, beside those of the pixels themselves."""
    seed: int = 0


@dataclass
class Distilled:
    """What came of it."""

    file: PackFile
    sizes: GeneratorConfig
    share: float
    """The student's seconds for a picture, of the teacher's."""
    crops_seen: int
    held_back: int
    """Photographs that it did not see,"""
    difference: float
    """and how far it is from the teacher on them: root mean square, of 255; 0 without any."""


def distill(
    pack: Path,
    out: Path,
    *,
    budget: float = 0.5,
    content: Path | None = None,
    minutes: float = 60.0,
    updates: int | None = None,
    config: DistillConfig | None = None,
    report: Callable[[float, float], None] = lambda progress, loss: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Distilled:
    """Write to `out` a pack whose generator takes at most `budget` of the time of that of `pack`.

    `content` is a folder of photographs like those that will be painted (of 40 and more a tenth is held back
    to measure on); without it 24 small ones that come along are taken. Ends after `minutes`, or after
    `updates` if given. The same call goes on where it was stopped or killed, from a file beside `out` that
    goes when it is done. `report(progress, loss)` is called after every update. Raises ConfigError for a
    budget that no student keeps, PackError when the pack's generator is not one of ours, DataError for an
    unusable folder.
    """
    config = config or DistillConfig()
    if not 0.0 < budget < 1.0:
        raise ConfigError(f"budget = {budget:g} cannot be used: it is a share of the time, between 0 and 1.")
    check_pack_name(out)
    file = read_pack(pack)
    teacher = generator_of(file, str(pack))
    codes = torch.tensor([style.code for style in file.info.styles])
    notes = out.with_name(f".{out.name}.distilling")
    key = hashlib.sha256(file.generator + repr((budget, content, config)).encode()).hexdigest()
    state = read_checkpoint(notes) if notes.exists() else {}
    if state.get("key") != key:
        state = {}
    if state:
        sizes, share = GeneratorConfig(**state["sizes"]), state["share"]
        say(f"Going on after {state['done'] * config.batch:,} crops.")
    else:
        sizes, share = choose_sizes(teacher, budget)
    say(
        f"Student: width {sizes.width}, body {sizes.body}, {sizes.num_blocks} blocks; "
        f"{share:.2f} of the teacher's time."
    )
    student = _start(teacher, sizes, config.seed)
    with tempfile.TemporaryDirectory() as cache:
        pictures, held_back = _photographs(content, config, Path(cache), say)
        state |= {"key": key, "sizes": asdict(sizes), "share": share}
        done = _learn(teacher, student, codes, pictures, config, minutes, updates, notes, state, report)
        difference = _difference(teacher, student, codes, held_back)
    new = copy.deepcopy(file)
    new.generator = to_onnx(student)
    off = compare(new.generator, student, codes[:1], str(out))
    multiple = student.multiple
    overlap = -(-student.receptive_radius() // multiple) * multiple
    border = None if file.info.size.border is None else min(file.info.size.border, overlap)
    rules = file.info.size
    new.info.size = SizeRules(multiple, overlap, rules.short_side, rules.working_side, border)
    new.info.provenance |= {
        "distilled_from": file.info.title,
        "distilled_on": time.strftime("%Y-%m-%d"),
        "distilled_crops": done * config.batch,
        "parameters": sum(p.numel() for p in student.parameters()),
    }
    # The teacher's figures are not the student's.
    new.info.measured = {
        "largest_difference_from_pytorch": off,
        "share_of_the_teachers_time": round(share, 2),
    }
    if held_back:
        new.info.measured["difference_from_teacher"] = round(difference, 2)
    write_pack(out, new)
    notes.unlink(missing_ok=True)
    return Distilled(new, sizes, share, done * config.batch, len(held_back), difference)


def choose_sizes(teacher: Generator, budget: float) -> tuple[GeneratorConfig, float]:
    """The largest student that takes at most `budget` of the teacher's time, and what it takes.

    Timed with ONNX Runtime on this machine, in turns with the teacher. Raises ConfigError when the smallest
    takes more.
    """
    least = 1.0
    timed = _timed(teacher)
    for sizes in smaller(_sizes_of(teacher)):
        share = _share(timed, _timed(Generator(sizes)))
        if share <= budget:
            return sizes, share
        least = min(least, share)
    raise ConfigError(
        f"budget = {budget:g} cannot be kept: the smallest student takes {least:.2f} of the time."
    )


def smaller(sizes: GeneratorConfig) -> list[GeneratorConfig]:
    """Students, the largest first: fewer channels, in eighths of the teacher's, then fewer blocks."""
    found = []
    for num_blocks, eighths in [(sizes.num_blocks, n) for n in range(7, 0, -1)] + [(1, 2), (1, 1)]:
        width, body = (max(channels * eighths // 8, 4) for channels in (sizes.width, sizes.body))
        found.append(dataclasses.replace(sizes, width=width, body=body, num_blocks=num_blocks))
    return found


def _sizes_of(generator: Generator) -> GeneratorConfig:
    width, _, body = generator.feature_channels
    dim = generator.styles.shape[1]
    uneven = 0.0 if generator.uneven is None else generator.uneven.amount
    return GeneratorConfig(
        width=width, body=body, num_blocks=len(generator.blocks), style_dim=dim, uneven=uneven
    )


def _timed(generator: Generator) -> Callable[[], float]:
    """What paints a picture and says how many seconds that took."""
    engine = Engine(to_onnx(generator.eval()), "student", generator.styles.shape[1], generator.multiple)
    image = np.zeros((1, 3, TIMED, TIMED), np.float32)
    code, grain = np.zeros((1, generator.styles.shape[1]), np.float32), image[:, :1]

    def once() -> float:
        start = time.perf_counter()
        engine.run(image, code, grain)
        return time.perf_counter() - start

    return once


def _share(teacher: Callable[[], float], student: Callable[[], float]) -> float:
    times = [(teacher(), student()) for _ in range(6)]
    return min(of_student for _, of_student in times) / min(of_teacher for of_teacher, _ in times)


def _start(teacher: Generator, sizes: GeneratorConfig, seed: int) -> Generator:
    torch.manual_seed(seed)
    student = Generator(sizes)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    student.surface.load_state_dict(teacher.surface.state_dict())
    student.surface.requires_grad_(False)
    student.styles.requires_grad_(False)
    shifted = any(module.weight.any() for module in teacher.modules() if isinstance(module, Shift))
    for module in student.modules():
        if isinstance(module, Shift):
            module.requires_grad_(shifted)
    return student


def _photographs(
    folder: Path | None, config: DistillConfig, cache: Path, say: Callable[[str], None]
) -> tuple[list[RGB], list[RGB]]:
    """Those to learn from, and those to measure on."""
    if folder is None:
        return contents(), []
    data = DataConfig(crop=config.crop, minimum=1)
    loaded = load_pictures(folder, "content", data, cache, config.seed)
    for sentence in loaded.left_out:
        say(f"Left out: {sentence}")
    held_back = [reduced(read_picture(path).rgb, data.short_side) for path in loaded.held_back]
    # Copies: the cache goes before training ends.
    return [np.array(picture) for picture in loaded.pictures], held_back


def _learn(
    teacher: Generator,
    student: Generator,
    codes: Tensor,
    pictures: list[RGB],
    config: DistillConfig,
    minutes: float,
    updates: int | None,
    notes: Path,
    state: dict[str, Any],
    report: Callable[[float, float], None],
) -> int:
    """Train until the time is up; returns updates made, over all starts. State goes to `notes`."""
    crops = Crops(pictures, "content", DataConfig(crop=config.crop), config.seed)
    learned = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=config.lr, betas=(0.9, 0.99))
    done, before = 0, 0.0
    if "student" in state:
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        done, before = state["done"], state["seconds"]
    device = torch.device("cpu")
    precision = resolve_precision("auto", device)
    start = saved = time.monotonic()
    progress = 0.0

    def save() -> None:
        state["student"], state["optimizer"] = student.state_dict(), optimizer.state_dict()
        state["done"], state["seconds"] = done, before + time.monotonic() - start
        save_state(notes, state)

    try:
        while progress < 1.0:
            elapsed = (before + time.monotonic() - start) / (60.0 * minutes)
            progress = min((done + 1) / updates if updates is not None else elapsed, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = config.lr * ramp(progress, 0.3, 1.0, 0.01)
            rng = torch.Generator().manual_seed((config.seed << 32) + done)
            batch = to_batch(crops.batch(done * config.batch, range(config.batch)))
            code = _some_code(codes, rng)
            with mixed(precision, device):
                with torch.no_grad():
                    wanted = teacher(batch, code)
                painted = student(batch, code)
            loss = painting_loss(painted.float(), wanted.float(), config.fine_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if time.monotonic() - saved > SAVE_EVERY:
                save()
                saved = time.monotonic()
            report(progress, float(loss.detach()))
    except KeyboardInterrupt:
        save()
        raise
    return done


def painting_loss(painted: Tensor, wanted: Tensor, fine_weight: float) -> Tensor:
    """Mean absolute difference of pixels, and of the steps between neighbours: N x 3 x H x W to a number.

    Steps are a small part of the first and most of what the eye calls line.
    """
    off = painted - wanted
    steps = off.diff(dim=2).abs().mean() + off.diff(dim=3).abs().mean()
    return off.abs().mean() + fine_weight * steps


def _some_code(codes: Tensor, rng: torch.Generator) -> Tensor:
    """A style's code, or every other time what lies between two."""
    first, second = codes[torch.randint(len(codes), (2,), generator=rng)]
    share = torch.rand(2, generator=rng)
    return torch.lerp(first, second, share[0] * (share[1] < 0.5))[None]


def _difference(teacher: Generator, student: Generator, codes: Tensor, pictures: list[RGB]) -> float:
    squares = []
    for i, rgb in enumerate(pictures):
        height, width = (side // teacher.multiple * teacher.multiple for side in rgb.shape[:2])
        image, code = torch.from_numpy(to_network(rgb[:height, :width])), codes[i % len(codes)][None]
        with torch.no_grad():
            squares.append(float((student(image, code) - teacher(image, code)).square().mean()))
    return 127.5 * float(np.sqrt(np.mean(squares))) if squares else 0.0
