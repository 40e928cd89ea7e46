"""A run becomes a style pack: the averaged generator as ONNX, compared with PyTorch before it is written."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inkbridge import __version__
from inkbridge.engine import EncoderEngine
from inkbridge.errors import ConfigError, TrainingError
from inkbridge.look import Code
from inkbridge.pack import StylePack
from inkbridge.pack_format import MAX_SHORT_SIDE, PackFile, PackInfo, SizeRules, StyleEntry, write_pack
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import TrainConfig, from_dict
from inkbridge.train.data import cached_pictures, median_short_side
from inkbridge.train.export_repair import repair_networks
from inkbridge.train.from_pack import keep_of_pack
from inkbridge.train.looks import Distances, best_look, choose_look
from inkbridge.train.moments import Measure
from inkbridge.train.networks import AnyGenerator, make_generator
from inkbridge.train.networks.encoder import StyleEncoder
from inkbridge.train.networks.folded import Folded
from inkbridge.train.networks.published import Published
from inkbridge.train.networks.repairer import Repairer
from inkbridge.train.onnx_file import MAX_DIFFERENCE, compare, to_file
from inkbridge.train.recipes import RECIPES
from inkbridge.train.recipes.exemplar import ExemplarConfig
from inkbridge.train.recipes.multistyle import MultistyleConfig
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.working_side import choose_working_side

TILES_DIFFER = (
    "Looks at whole tiles (instance normalisation): tiles of a picture over 1280 pixels may differ."
)


def export_run(
    run_dir: Path,
    out: Path,
    *,
    name: str | None = None,
    title: str | None = None,
    license: str = "",
    data: str = "",
    languages: Sequence[str] = (),
    last: bool = False,
    keep: float | None = None,
    rich: Path | None = None,
    measured: dict[str, Any] | None = None,
    distances: Distances | None = None,
    measure: Measure | None = None,
    say: Callable[[str], None] = lambda _: None,
    advance: Callable[[float, float], None] = lambda done, total: None,
) -> PackInfo:
    """Write the run's averaged generator as a style pack and return what the pack says of itself.

    Of a run that was measured it is the one of the best moment, unless the `last` is asked for or the recipe
    ends best. `name` is
    what people will type (default: from the title); `languages` are those of the writing that it paints as
    print, as Tesseract names them. `keep`: a share of the weights of the pack that the run started from
    (`from_pack.keep_of_pack`). `rich`: a run whose generator a repair pack gets as its second one. With
    `distances`, and a style encoder, each style is by name the look of its pictures that is painted most
    faithfully (`inkbridge.train.looks`); other looks that were learned are NAME-2, NAME-3 and so on. With
    `measure` the size at which pictures are painted is the one at which that is best
    (`inkbridge.train.working_side`), else that of the contents of training. `say` tells what was chosen,
    `advance(done, total)` how far that is. Raises TrainingError when the run has no checkpoint, or when the
    exported generator differs from the trained one.
    """
    run = RunFolder(run_dir)
    config, names = _read_run(run)
    last = last or RECIPES[config.recipe].ends_best or not run.best.exists()
    state = read_checkpoint(run.checkpoint if last else run.best)
    if name is not None and len(names) > 1:
        raise ConfigError(f"--name {name}: this run has {len(names)} styles, named when it was started.")
    title = title or config.title
    if len(names) > 1:
        entries = [(style, to_title(style)) for style in names]
    else:
        entries = [(name or names[0] or to_name(title), title)]
    generator = make_generator(config.model.generator, len(names))
    generator.load_state_dict(state["modules"]["generator_ema"])
    generator.eval()
    if keep is not None:
        if not config.start_from or "encoder_ema" in state["modules"]:
            raise ConfigError("keep is for runs that started from a pack (--from) and have no style encoder.")
        keep_of_pack(generator, config.start_from, keep)
    codes = generator.styles.detach()
    repairs = RECIPES[config.recipe].alone
    if rich is not None and not repairs:
        raise ConfigError(f"{run_dir} is a run of recipe {config.recipe}; rich is for two runs of repair.")
    encoder = tone = second = None
    if repairs:
        assert isinstance(generator, Repairer)
        model, tone, difference = repair_networks(generator, state, str(out))
        if rich is not None:
            second, _, off = repair_networks(_other_repairer(rich), state, str(out))
            difference = max(difference, off)
    else:
        model = to_onnx(generator)
        difference = compare(model, generator, codes[:1], str(out))
    if "encoder_ema" in state["modules"]:
        encoder, off = _encoder(config, state, str(out))
        difference = max(difference, off)
    whole = _crops_were_whole(run, config.data.crop)
    multiple = generator.multiple
    overlap = -(-generator.receptive_radius() // multiple) * multiple
    info = PackInfo(
        title=title,
        styles=[
            StyleEntry(entry, shown, _rounded(code.numpy()))
            for (entry, shown), code in zip(entries, codes, strict=True)
        ],
        size=SizeRules(
            multiple,
            overlap,
            border=0 if whole else _border(config, generator),
        ),
        generator_sha256="",
        kind="repair" if repairs else "style",
        provenance={
            "made_with": f"inkbridge {__version__}, torch {torch.__version__}",
            "made_on": time.strftime("%Y-%m-%d"),
            "recipe": config.recipe,
            "images_seen": state["progress"]["images_seen"],
            "training_minutes": round(state["progress"]["seconds"] / 60, 1),
            "parameters": sum(p.numel() for p in generator.parameters()),
            **({"tiles": TILES_DIFFER} if isinstance(generator, Published) else {}),
            **({"kept": {config.start_from: keep}} if keep is not None else {}),
            "data": data,
            **({"languages": list(languages)} if languages else {}),
        },
        measured={"largest_difference_from_pytorch": difference, **(measured or {})},
    )
    file = PackFile(info, model, encoder, _preview(run), license, tone, second)
    looks = _distinct(state["modules"].get("looks"))
    if distances is not None and encoder is not None:
        _choose_looks(file, run, names, looks, distances, say, advance)
    recipe = RECIPES[config.recipe]
    if not (repairs or recipe.pairs or whole or languages):
        # A recipe that is shown strokes at the width at which it is to paint them has nothing to choose.
        chosen_by = None if recipe.tells_stroke_width else measure
        info.size.working_side = _working_side(file, run, names, chosen_by, say, advance)
    _add_looks(info, looks)
    write_pack(out, file)
    return info


def _other_repairer(run_dir: Path) -> Repairer:
    """The averaged generator of the end of another run of recipe `repair`; ConfigError of another recipe."""
    run = RunFolder(run_dir)
    state, (config, _) = read_checkpoint(run.checkpoint), _read_run(run)
    if not RECIPES[config.recipe].alone:
        raise ConfigError(f"{run_dir} is a run of recipe {config.recipe}; rich is for two runs of repair.")
    repairer = make_generator(config.model.generator, 1)
    assert isinstance(repairer, Repairer)
    repairer.load_state_dict(state["modules"]["generator_ema"])
    return repairer


def _crops_were_whole(run: RunFolder, crop: int) -> bool:
    """Whether contents were no higher than crops, as lines of text are: each crop showed the border."""
    contents = cached_pictures(run.cache, "content")
    return bool(contents) and all(min(picture.shape[:2]) <= crop for picture in contents)


def _working_side(
    file: PackFile,
    run: RunFolder,
    names: list[str],
    measure: Measure | None,
    say: Callable[[str], None],
    advance: Callable[[float, float], None],
) -> int:
    contents = cached_pictures(run.cache, "content")
    found = [cached_pictures(run.cache, "style", name) for name in names]
    if not (contents and all(found)):
        say(f"Pictures are gone from '{run.cache}', so each will be painted as large as it is.")
        return 0
    if measure is None:
        return min(median_short_side(contents), MAX_SHORT_SIDE)
    pack = StylePack(file, file.info.title)
    styles = {entry.name: pictures for entry, pictures in zip(file.info.styles, found, strict=True)}
    return choose_working_side(pack, contents, styles, measure, advance)


def _distinct(looks: Mapping[str, Tensor] | None) -> list[Code]:
    """The codes of each style's looks, num x dim each; none for recipes without."""
    if looks is None:
        return []
    distinct = [list(dict.fromkeys(map(tuple, codes.tolist()))) for codes in looks["codes"]]
    return [np.array(codes, np.float32) for codes in distinct]


def _add_looks(info: PackInfo, looks: list[Code]) -> None:
    """Styles NAME-2, NAME-3, ... for the looks beside the one that a style has by its own name."""
    taken = {entry.name for entry in info.styles}
    for entry, codes in list(zip(info.styles, looks, strict=False)):
        others = [code for code in map(_rounded, codes) if code != entry.code]
        for number, code in enumerate(others, 2):
            if (name := f"{entry.name}-{number}") not in taken:
                info.styles.append(StyleEntry(name, f"{entry.title} {number}", code))


def _rounded(code: Code) -> list[float]:
    return [round(float(value), 6) for value in code]


def _choose_looks(
    file: PackFile,
    run: RunFolder,
    names: list[str],
    looks: list[Code],
    distances: Distances,
    say: Callable[[str], None],
    advance: Callable[[float, float], None],
) -> None:
    pack = StylePack(file, file.info.title)
    contents = cached_pictures(run.cache, "content")
    found = [cached_pictures(run.cache, "style", name) for name in names]
    done, total = 0, sum(len(pictures) for pictures in found)
    for i, (entry, pictures) in enumerate(zip(file.info.styles, found, strict=True)):
        if not (pictures and contents):
            say(f"{entry.name}: pictures are gone from '{run.cache}', so it stays as it was learned.")
            continue
        if looks:
            chosen = best_look(pack, looks[i], pictures, contents, distances) if len(looks[i]) > 1 else 0
            entry.code = _rounded(looks[i][chosen])
            said = f"look {chosen + 1} of {len(looks[i])}, painted most faithfully"
            file.info.provenance[f"look_{entry.name}"] = said
            say(f"{entry.name}: {said}.")
            done += len(pictures)
            advance(done, total)
            continue
        code, num = choose_look(pack, np.array([entry.code], np.float32), pictures, contents, distances)
        if num < len(pictures):
            entry.code = _rounded(code[0])
            file.info.provenance[f"look_{entry.name}"] = f"of {num} of its {len(pictures)} pictures"
            say(f"{entry.name}: the look of {num} of its {len(pictures)} pictures, painted most faithfully.")
        done += len(pictures)
        advance(done, total)


def _border(config: TrainConfig, generator: AnyGenerator) -> int | None:
    border = RECIPES[config.recipe].border
    return generator.border if border is None else border


def to_title(name: str) -> str:
    """For people: song-landscape -> Song landscape."""
    return name.replace("-", " ").capitalize()


def to_name(title: str) -> str:
    """Lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "style"


def to_onnx(generator: AnyGenerator | Folded) -> bytes:
    """ONNX with inputs image (N x 3 x H x W), style (N x dim) and grain (N x 1 x H x W), N, H, W dynamic."""
    image = torch.rand(2, 3, max(64, generator.multiple), max(96, generator.multiple))
    example = (image, generator.styles.detach()[:1].repeat(2, 1), image[:, :1])
    shapes = {
        "grain": {0: "batch", 2: "height", 3: "width"},
        "image": {0: "batch", 2: "height", 3: "width"},
        "style": {0: "batch"},
        "result": {0: "batch", 2: "height", 3: "width"},
    }
    return to_file(generator.frozen(), example, ["image", "style", "grain"], ["result"], shapes)


def _encoder(config: TrainConfig, state: dict[str, Any], name: str) -> tuple[bytes, float]:
    """The style encoder as ONNX (image -> style), and its largest difference from PyTorch."""
    assert isinstance(config.model, MultistyleConfig | ExemplarConfig)
    encoder = StyleEncoder(config.model.encoder, config.model.generator.style_dim)
    encoder.load_state_dict(state["modules"]["encoder_ema"])
    encoder.eval()
    shapes = {"image": {0: "batch", 2: "height", 3: "width"}, "style": {0: "batch"}}
    model = to_file(encoder, (torch.rand(2, 3, 64, 96),), ["image"], ["style"], shapes)
    session = EncoderEngine(model, name, config.model.generator.style_dim)
    largest = 0.0
    for shape in ((1, 3, 128, 128), (2, 3, 72, 201)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            largest = max(largest, float(np.abs(session.run(image.numpy()) - encoder(image).numpy()).max()))
    if not largest <= MAX_DIFFERENCE:
        raise TrainingError(f"{name}: the exported encoder differs by {largest:.2g}; nothing was written.")
    return model, largest


def _read_run(run: RunFolder) -> tuple[TrainConfig, list[str]]:
    """The settings and the names of the styles (one empty name for a run of one folder)."""
    values = run.read_config()
    if values is None:
        raise TrainingError(f"'{run.path}' holds no config.json; it is not a run folder.")
    names = list(values.pop("folders")["styles"])
    return from_dict(values, str(run.config)), names


def _preview(run: RunFolder) -> bytes | None:
    grids = sorted(run.samples.glob("*.jpg"))
    if not grids:
        return None
    image = Image.open(grids[-1])
    image.thumbnail((900, 900))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
