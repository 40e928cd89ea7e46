"""The settings of a run, composed from the dataclasses that live beside the code that reads them.

Order: defaults, TOML file, `--set key=value`. An unknown name fails with a suggestion.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import typing
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from inkbridge.damage import KINDS
from inkbridge.errors import ConfigError
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.augment import AUGMENTATIONS
from inkbridge.train.data import DataConfig
from inkbridge.train.networks import DISCRIMINATORS, GENERATORS
from inkbridge.train.networks.discriminator import LEAST_SIDE
from inkbridge.train.networks.published import UNet
from inkbridge.train.optimizers import OPTIMIZERS
from inkbridge.train.recipe import GanConfig
from inkbridge.train.recipes import RECIPES
from inkbridge.train.recipes.cut import CutConfig
from inkbridge.train.recipes.exemplar import ExemplarConfig
from inkbridge.train.recipes.paired import PAIR_DISTANCES, PairedLossConfig
from inkbridge.train.recipes.repair import RepairConfig
from inkbridge.train.regularizers import PENALTIES
from inkbridge.train.schedule import SCHEDULES


@dataclass
class TrainConfig:
    """Everything a run is told, whatever the recipe; the recipe's own settings stand beside these."""

    recipe: str = "cut"
    title: str = ""
    """Name of the style, for people; empty: the name of the style folder."""
    start_from: str = ""
    """A pack, by name or file, whose networks and styles training starts from; empty: from nothing."""
    warm_start: int = 0
    """Images at the start of a run from which the generator only learns to paint contents and style pictures
    as they are (autoencoding), before it is asked for style."""
    seed: int = 0
    precision: str = "auto"
    """float32, bfloat16, float16, or auto: whichever a short measurement on this machine finds faster."""
    sample_every: int | None = None
    """Images between sample grids; by default as many as take two minutes here; 0 for the last alone."""
    evaluate_every: int | None = None
    """Images between moments that are measured, of which the best is exported; by default as many as take
    about a minute here; 0 for none: then the last state is exported."""
    checkpoint_seconds: float = 120.0
    """Seconds between checkpoints."""
    data: DataConfig = field(default_factory=DataConfig)
    model: GanConfig = field(default_factory=CutConfig)
    """The recipe's settings; in files and on the command line they have no prefix."""


COUNTS = {
    *("batch", "projection", "data.minimum", "discriminator.num_scales", "discriminator.width"),
    *("encoder.width", "generator.body", "generator.style_dim", "generator.width"),
    *("losses.content_places", "losses.penalty_every"),
}
"""Settings of which there must be one at least; the other numbers may be 0."""

MOST_BLOCKS = 100
"""Of the generator at each resolution; far more take minutes to build before their memory can be told."""
SIZES = {"tiny": 16, "small": 32, "base": 64}
"""Channels of the first layer of generator and discriminator, by --size: small is the size of the default
recipes, base that of published networks."""


def load_config(
    file: Path | None, assignments: Sequence[str], recipe: str = "cut", size: str | None = None
) -> TrainConfig:
    """Defaults, then `size` (a name in `SIZES`), then the TOML `file`, then each "key=value" of
    `assignments`.

    `recipe` is taken when neither names one.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    origin = str(file) if file is not None else "--set"
    updates = [_parse_assignment(assignment) for assignment in assignments]
    named = [update["recipe"] for update in [values, *updates] if "recipe" in update]
    values.setdefault("recipe", recipe)
    known = setting_names(RECIPES.get(named[-1] if named else recipe, RECIPES["cut"]).config_class)
    _check_names(values, origin, known)
    if size is not None:
        _check_choice("--size", size, SIZES, "--size")
        width = SIZES[size]
        sized = {"generator": {"width": width, "body": 4 * width}, "discriminator": {"width": width}}
        _merge(sized, values)
        values = sized
    for update in updates:
        _check_names(update, "--set", known)
        _merge(values, update)
    return from_dict(values, origin)


def from_dict(values: dict[str, Any], origin: str) -> TrainConfig:
    """Build and validate the config from nested plain values, as `to_dict` returns them."""
    common = {f.name for f in dataclasses.fields(TrainConfig)} - {"model"}
    nested = {key: value for key, value in values.items() if key in common}
    model = {key: value for key, value in values.items() if key not in common}
    recipe = values.get("recipe", "cut")
    _check_choice("recipe", recipe, RECIPES, origin)
    kind = RECIPES[recipe].config_class
    # A table that names one setting leaves the others as this recipe has them.
    complete = dataclasses.asdict(kind())
    _merge(complete, model)
    nested["data"] = {**kind.data_defaults, **nested.get("data", {})}
    try:
        nested["model"] = pydantic.TypeAdapter(kind).validate_python(complete)
        config = pydantic.TypeAdapter(TrainConfig).validate_python(nested)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "model")
        raise ConfigError(
            f"{place} = {first['input']!r} cannot be used: {first['msg'].lower()}. ({origin})"
        ) from None
    _check_values(config, origin)
    return config


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Nested plain values, the recipe's settings without prefix."""
    values = dataclasses.asdict(config)
    return values | values.pop("model")


def setting_names(model: type) -> list[str]:
    """The dotted name of every setting of a run whose recipe has settings of type `model`."""
    common = [name for name in _field_names(TrainConfig, "") if name != "model"]
    return [*common, *_field_names(model, "")]


def _field_names(kind: type, prefix: str) -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    for entry in dataclasses.fields(kind):
        hint = hints[entry.name]
        if dataclasses.is_dataclass(hint) and entry.name != "model":
            yield from _field_names(typing.cast(type, hint), f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _parse_assignment(text: str) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {text}: write it as key=value, for example --set batch=8.")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word is a string
    for part in reversed(name.strip().split(".")):
        parsed = {part: parsed}
    return typing.cast(dict[str, Any], parsed)


def _merge(into: dict[str, Any], update: dict[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _check_names(values: dict[str, Any], origin: str, known: list[str]) -> None:
    tables = {name.rsplit(".", 1)[0] for name in known if "." in name}

    for name, _ in _flat(values):
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *tables], 1, 0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{name} is not a setting.{hint} ({origin})")


def _check_values(config: TrainConfig, origin: str) -> None:
    def require(good: bool, name: str, value: object, what: str) -> None:
        if not good:
            raise ConfigError(f"{name} = {value!r} cannot be used: it must be {what}. ({origin})")

    data, model = config.data, config.model
    for name, value in _flat(to_dict(config)):
        if isinstance(value, int | float):
            require(0 <= value < math.inf, name, value, "a number, 0 or more")
        if name in COUNTS:
            require(value >= 1, name, value, "at least 1")
    choices = ("auto", "float32", "bfloat16", "float16")
    require(config.precision in choices, "precision", config.precision, f"one of {', '.join(choices)}")
    # 48: the coarsest level of the texture loss still has one 5 x 5 patch.
    good_crop = data.crop >= 48 and data.crop % 16 == 0
    require(good_crop, "data.crop", data.crop, "a multiple of 16 and at least 48")
    require(0 <= data.trim < 0.5, "data.trim", data.trim, "at least 0 and below 0.5")
    require(0 <= data.hold_back < 1, "data.hold_back", data.hold_back, "at least 0 and below 1")
    require(data.look_share <= 1, "data.look_share", data.look_share, "from 0 to 1")
    good_detail = 0 < data.look_detail <= 1
    require(good_detail, "data.look_detail", data.look_detail, "above 0 and at most 1")
    for name in ("content_scale", "style_scale"):
        low, high = getattr(data, name)
        require(0 < low <= high, f"data.{name}", [low, high], "two positive numbers, smaller first")
    blocks = model.generator.num_blocks
    require(blocks <= MOST_BLOCKS, "generator.num_blocks", blocks, f"at most {MOST_BLOCKS}")
    optimizer = model.optimizer
    good_betas = all(0 <= beta < 1 for beta in optimizer.betas)
    require(good_betas, "optimizer.betas", list(optimizer.betas), "two numbers, at least 0 and below 1")
    require(optimizer.decay_from <= 1, "optimizer.decay_from", optimizer.decay_from, "from 0 to 1")
    side = model.discriminator.side
    require(side >= 16 and side % 16 == 0, "discriminator.side", side, "a multiple of 16")
    if isinstance(model, RepairConfig):
        require(bool(model.kinds), "kinds", list(model.kinds), "one kind of damage at least")
        require(model.tone_networks >= 1, "tone_networks", model.tone_networks, "at least 1")
        for name, (low, high), most in (("strengths", model.strengths, 1.0), ("unit", model.unit, math.inf)):
            good = 0 < low <= high <= most
            limit = ", at most 1" if most == 1.0 else ""
            require(good, name, [low, high], f"two numbers above 0{limit}, smaller first")
        for kind in model.kinds:
            _check_choice("kinds", kind, KINDS, origin)
    choices_of: tuple[tuple[Collection[str], str, str], ...] = (
        (ADVERSARIAL, "losses.adversarial", model.losses.adversarial),
        (PENALTIES, "losses.penalty", model.losses.penalty),
        (GENERATORS, "generator.kind", model.generator.kind),
        ({*DISCRIMINATORS, "eye"}, "discriminator.kind", model.discriminator.kind),
        (OPTIMIZERS, "optimizer.name", model.optimizer.name),
        (SCHEDULES, "optimizer.schedule", model.optimizer.schedule),
        *((AUGMENTATIONS, "augmentations", name) for name in model.augmentations),
        *(
            [(PAIR_DISTANCES, "losses.pair_distance", model.losses.pair_distance)]
            if isinstance(model.losses, PairedLossConfig)
            else []
        ),
    )
    for table, name, value in choices_of:
        _check_choice(name, value, table, origin)
    _check_together(config, origin)


def _check_together(config: TrainConfig, origin: str) -> None:
    """Settings that are good each by itself and contradict each other."""
    model = config.model
    if config.warm_start and config.start_from:
        raise ConfigError(
            "warm_start cannot be used with start_from (--from), which is a warm start itself: leave one of "
            f"them out. ({origin})"
        )
    if model.generator.kind == "unet256" and config.data.crop % UNet.multiple:
        raise ConfigError(
            f"data.crop = {config.data.crop} cannot be used with generator.kind = 'unet256': it must be a "
            f"multiple of {UNet.multiple}. ({origin})"
        )
    most = int(math.log2(config.data.crop / LEAST_SIDE)) + 1
    if model.discriminator.kind == "multi-scale" and model.discriminator.num_scales > most:
        raise ConfigError(
            f"discriminator.num_scales = {model.discriminator.num_scales} cannot be used with data.crop = "
            f"{config.data.crop}: at most {most}. ({origin})"
        )
    if isinstance(model, RepairConfig) and model.learn == "colours":
        _check_colours(config, origin)
    if isinstance(model, ExemplarConfig) and not config.data.looks:
        raise ConfigError(
            "data.looks = 0 cannot be used with recipe exemplar: a style is by name what is read of a look. "
            f"Give at least 1. ({origin})"
        )
    if RECIPES[config.recipe].pairs and config.data.looks:
        raise ConfigError(
            f"data.looks = {config.data.looks} cannot be used with recipe {config.recipe}: each style "
            f"picture belongs to a content. ({origin})"
        )
    if config.recipe == "repair" and model.generator.kind != "repairer":
        raise ConfigError(
            f"generator.kind = {model.generator.kind!r} cannot be used with recipe repair: only repairer "
            f"finds what is hidden. ({origin})"
        )
    if RECIPES[config.recipe].many_styles:
        for name, value, only in (
            ("generator.kind", model.generator.kind, "modulated"),
            (
                "discriminator.kind",
                model.discriminator.kind,
                "eye" if isinstance(model, ExemplarConfig) else "multi-scale",
            ),
        ):
            if value != only:
                raise ConfigError(
                    f"{name} = {value!r} cannot be used with recipe {config.recipe}: only {only} learns many "
                    f"styles. ({origin})"
                )
    if model.at_once and model.discriminator.spectral_norm:
        raise ConfigError(
            "at_once cannot be used with discriminator.spectral_norm, which changes with every pass: leave "
            f"one of them out. ({origin})"
        )
    bounded = model.losses.penalty == "wasserstein" and model.losses.penalty_weight > 0
    if model.losses.adversarial == "wasserstein" and not (bounded or model.discriminator.spectral_norm):
        raise ConfigError(
            "losses.adversarial = 'wasserstein' cannot be used alone: its discriminator must not grow steep. "
            "Set losses.penalty = 'wasserstein', losses.penalty_weight = 10 and losses.penalty_every = 1, or "
            f"discriminator.spectral_norm = true. ({origin})"
        )


def _check_colours(config: TrainConfig, origin: str) -> None:
    if not config.start_from:
        raise ConfigError(
            "learn = 'colours' cannot be used without start_from (--from): the repairer stays as it is, so "
            f"it must come from a pack. ({origin})"
        )
    if config.model.losses.adversarial_weight:
        raise ConfigError(
            "learn = 'colours' cannot be used with losses.adversarial_weight: a discriminator teaches the "
            f"repairer, which stays as it is. Leave one of them out. ({origin})"
        )


def _check_choice(name: str, value: str, table: Collection[str], origin: str) -> None:
    if value not in table:
        near = difflib.get_close_matches(value, table, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"{name} = {value!r} cannot be used: it must be one of {', '.join(table)}.{hint} ({origin})"
        )
