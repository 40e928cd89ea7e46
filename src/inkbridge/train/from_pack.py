"""What a finished pack has learned, back in PyTorch: to adapt it, or to start another training from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import Tensor, nn

from inkbridge.catalogue import find_pack
from inkbridge.errors import ConfigError, PackError
from inkbridge.look import Code
from inkbridge.pack import StylePack
from inkbridge.pack_format import PackFile, read_pack
from inkbridge.train.data import PictureSet
from inkbridge.train.export_repair import compare_repair
from inkbridge.train.networks.encoder import EncoderConfig, StyleEncoder
from inkbridge.train.networks.generator import Generator, GeneratorConfig
from inkbridge.train.networks.repairer import Repairer, ToneNets, tone_nets
from inkbridge.train.onnx_file import compare
from inkbridge.train.recipe import Recipe
from inkbridge.train.recipes.exemplar import Exemplar
from inkbridge.train.recipes.multistyle import Multistyle
from inkbridge.train.recipes.repair import Repair

NetworkT = TypeVar("NetworkT", bound=nn.Module)
UNEVEN = "uneven."
"""Begins the names of the weights of `Unevenness`."""


def start_from(recipe: Recipe, wanted: str, styles: Mapping[str, PictureSet]) -> None:
    """Give a new recipe what the pack `wanted` (a name or a file) has learned.

    The generator takes over the pack's weights, the style encoder and the tone networks too. A style that
    the pack has by name starts from its code, another from where the pack's encoder puts its pictures, or
    without an encoder from the mean of the pack's codes (recipe `exemplar` reads its looks instead). The
    discriminator starts anew: a pack holds none.
    Raises PackError for a pack that is not ours, ConfigError when its networks have another size or do
    something else than this recipe's.
    """
    path, _ = find_pack(wanted)
    file = read_pack(path)
    if isinstance(recipe, Repair) != (file.info.kind == "repair"):
        raise ConfigError(
            f"start_from = {wanted}: recipe {recipe.name} cannot start from a pack of kind {file.info.kind}."
        )
    if isinstance(recipe, Repair):
        repairer, tone = repairer_of(file, wanted)
        known_tones = [member.state_dict() for member in tone.members]
        networks: list[tuple[nn.Module, dict[str, Tensor]]] = []
        for generator, tones in ((recipe.generator, recipe.tone), (recipe.generator_ema, recipe.tone_ema)):
            networks.append((generator, repairer.state_dict()))
            # Where the pack has fewer, the others start anew.
            networks += zip(tones.members, known_tones, strict=False)
        _take_over(networks, wanted)
        return
    generator = generator_of(file, wanted)
    known = {style.name: np.array([style.code], np.float32) for style in file.info.styles}
    if isinstance(recipe, Exemplar):
        first = recipe.generator.styles.detach()
    else:
        codes = [
            known[name] if name in known else first_code(file, str(path), pictures)
            for name, pictures in styles.items()
        ]
        first = torch.from_numpy(np.concatenate(codes))
    # How uneven pictures are made is a setting of the recipe's.
    state = {name: value for name, value in generator.state_dict().items() if not name.startswith(UNEVEN)}
    own = {name: value for name, value in recipe.generator.state_dict().items() if name.startswith(UNEVEN)}
    state |= own | {"styles": first}
    pairs: list[tuple[nn.Module, dict[str, Tensor]]] = [
        (recipe.generator, state),
        (recipe.generator_ema, state),
    ]
    if isinstance(recipe, Multistyle | Exemplar) and file.encoder is not None:
        encoder = encoder_of(file, wanted).state_dict()
        pairs += [(recipe.encoder, encoder), (recipe.encoder_ema, encoder)]
    _take_over(pairs, wanted)


def _take_over(pairs: list[tuple[nn.Module, dict[str, Tensor]]], wanted: str) -> None:
    for network, weights in pairs:
        try:
            network.load_state_dict(weights)
        except RuntimeError:
            raise ConfigError(
                f"start_from = {wanted}: its networks have another size than this run asks for. Leave the "
                "settings under generator and encoder as they are by default, or train without it."
            ) from None


def keep_of_pack(generator: nn.Module, wanted: str, share: float) -> None:
    """Give a trained generator back a share of what the pack `wanted`, which its training started from, had:
    the weighted mean of both weights (Wortsman et al. 2022, "Robust fine-tuning", Eq. 1), in place.

    Between the two lie generators that know the new and have forgotten less of the old. Codes of styles are
    averaged where there are as many. Raises PackError where the pack is gone, ConfigError for another share.
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"keep = {share:g} cannot be used: it must be between 0 and 1.")
    path, _ = find_pack(wanted)
    file, state = read_pack(path), generator.state_dict()
    codes = torch.tensor([style.code for style in file.info.styles])
    before = generator_of(file, wanted).state_dict() | {"styles": codes}
    mixed = {
        name: torch.lerp(after, before[name], share)
        if name in before and before[name].shape == after.shape
        else after
        for name, after in state.items()
    }
    generator.load_state_dict(mixed)


def generator_of(file: PackFile, name: str) -> Generator:
    """The pack's generator as a frozen PyTorch network, compared with the ONNX one; PackError if not ours."""
    weights = network_weights(file.generator)
    try:
        sizes = GeneratorConfig(
            width=weights["encoder.0.weight"].shape[0],
            body=weights["encoder.2.weight"].shape[0],
            num_blocks=sum(key.startswith("blocks.") and key.endswith("conv1.weight") for key in weights),
            style_dim=weights["up1.affine.weight"].shape[1],
            uneven=float(f"{UNEVEN}across.weight" in weights),
        )
        generator = Generator(sizes)
        _load(generator, {"styles": generator.styles.detach()} | weights)
    except (KeyError, IndexError, RuntimeError):
        raise PackError(f"{name}: its generator cannot learn (another version or program made it).") from None
    compare(file.generator, generator, torch.tensor([file.info.styles[0].code]), name)
    return generator


def encoder_of(file: PackFile, name: str) -> StyleEncoder:
    """The pack's style encoder as a frozen PyTorch network; PackError if it is not one of ours."""
    assert file.encoder is not None
    weights = network_weights(file.encoder)
    try:
        encoder = StyleEncoder(
            EncoderConfig(width=weights["convs.0.weight"].shape[0]), weights["to_code.weight"].shape[0]
        )
        return _load(encoder, weights)
    except (KeyError, IndexError, RuntimeError):
        raise PackError(
            f"{name}: its style encoder cannot learn (another version or program made it)."
        ) from None


def repairer_of(file: PackFile, name: str) -> tuple[Repairer, ToneNets]:
    """A repair pack's networks, frozen, in PyTorch, compared with the ONNX ones; PackError if not ours."""
    assert file.tone is not None
    weights = {key.removeprefix("repairer."): value for key, value in network_weights(file.generator).items()}
    try:
        repairer = Repairer(
            GeneratorConfig(
                kind="repairer",
                width=weights["first.weight"].shape[0],
                body=weights["downs.2.weight"].shape[0],
                num_blocks=sum(key.startswith("seen.0.") and "conv1.weight" in key for key in weights),
            )
        )
        _load(repairer, {"styles": repairer.styles.detach()} | weights)
        tone = tone_nets(network_weights(file.tone)).eval().requires_grad_(False)
    except (KeyError, IndexError, ValueError, RuntimeError):
        raise PackError(f"{name}: its networks cannot learn (another version or program made it).") from None
    compare_repair(file.generator, file.tone, repairer, tone, name)
    return repairer, tone


def first_code(file: PackFile, name: str, pictures: PictureSet) -> Code:
    """Where the pack's style encoder puts the pictures; without an encoder, the mean of the pack's styles."""
    if file.encoder is None:
        codes = [style.code for style in file.info.styles]
        mean: Code = np.mean(np.array(codes, np.float32), axis=0, keepdims=True)
        return mean
    return StylePack(file, name).code(like=[np.asarray(picture) for picture in pictures.pictures])


def network_weights(model: bytes) -> dict[str, Tensor]:
    """The weights of an ONNX network by their names, in float32."""
    graph = onnx.load_from_string(model).graph
    found = {
        entry.name: torch.from_numpy(onnx.numpy_helper.to_array(entry).astype(np.float32))
        for entry in graph.initializer
    }
    # Of weights that are equal the exporter keeps one.
    for node in graph.node:
        if node.op_type == "Identity" and (of := node.input[0].removesuffix(".wide")) in found:
            found[node.output[0]] = found[of]
    return found


def _load(network: NetworkT, weights: dict[str, Tensor]) -> NetworkT:
    # Networks of before shifts were had none.
    named = [key for key in network.state_dict() if key in weights or not key.endswith(".shift.weight")]
    network.load_state_dict({key: weights[key] for key in named})
    return network.eval().requires_grad_(False)
