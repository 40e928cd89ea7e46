"""Generators of other toolkits, built from the names and shapes of their own state dicts.

Each has the layers that its toolkit documents, under the toolkit's names, so that its state dict is loaded
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.errors import DataError
from inkbridge.train.networks.published import Published

State = Mapping[str, Tensor]


class Foreign(Published):
    """A network of another toolkit, as a pack's generator: N x 3 x H x W in [-1, 1] -> the same."""

    border = 0

    def __init__(self, network: nn.Module, multiple: int, radius: int, most: float = 1.0) -> None:
        """`radius`: how far its convolutions look. It takes pixels from -1 to 1; where `most` is not 1, from
        0 to `most`."""
        super().__init__(1)
        self.network, self.multiple, self.most = network, multiple, most
        self._radius = radius

    def forward(self, image: Tensor, style: Tensor | None = None, grain: Tensor | None = None) -> Tensor:
        if self.most == 1.0:
            result: Tensor = self.network(image)
            return result
        half = self.most / 2
        return torch.clamp(self.network((image + 1.0) * half) / half - 1.0, -1.0, 1.0)

    def receptive_radius(self) -> int:
        return self._radius


class Wrapped(nn.Module):
    """A sequence below a name of its own, added to what goes in, put beside it, or alone."""

    def __init__(self, name: str, layers: nn.Module, after: str = "alone") -> None:
        """`after`: alone, added or beside."""
        super().__init__()
        self.add_module(name, layers)
        self._name = name
        self.added, self.beside = after == "added", after == "beside"

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.get_submodule(self._name)(x)
        if self.beside:
            return torch.cat([x, y], 1)
        return x + y if self.added else y


class BlurredDown(nn.Module):
    """Half the size behind a blur (Zhang 2019, "Making convolutional networks shift-invariant again")."""

    filt: Tensor

    def __init__(self, filt: Tensor) -> None:
        super().__init__()
        self.register_buffer("filt", torch.zeros_like(filt))

    def forward(self, x: Tensor) -> Tensor:
        around = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(around, self.filt, stride=2, groups=x.shape[1])


class BlurredUp(nn.Module):
    """Twice the size, blurred; the border is repeated."""

    filt: Tensor

    def __init__(self, filt: Tensor) -> None:
        super().__init__()
        self.register_buffer("filt", torch.zeros_like(filt))

    def forward(self, x: Tensor) -> Tensor:
        around = F.pad(x, (1, 1, 1, 1), mode="replicate")
        doubled = F.conv_transpose2d(around, self.filt, stride=2, padding=2, groups=x.shape[1])
        return doubled[:, :, 1:-1, 1:-1]


class MirroredConv(nn.Module):
    """Convolution below `conv2d` behind a mirrored border, perhaps of the doubled picture."""

    def __init__(self, weight: Tensor, stride: int = 1, double: bool = False) -> None:
        super().__init__()
        outputs, inputs, size, _ = weight.shape
        self.conv2d = nn.Conv2d(inputs, outputs, size, stride)
        self.padding, self.doubles = size // 2, double

    def forward(self, x: Tensor) -> Tensor:
        if self.doubles:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        result: Tensor = self.conv2d(F.pad(x, (self.padding,) * 4, mode="reflect"))
        return result


class Johnson(nn.Module):
    """conv1-3, five residual blocks, deconv1-3, affine instance norms (Johnson et al. 2016, supplement)."""

    def __init__(self, state: State) -> None:
        super().__init__()
        strides = {"conv2": 2, "conv3": 2}
        for name in ("conv1", "conv2", "conv3", "deconv1", "deconv2", "deconv3"):
            double = name in {"deconv1", "deconv2"}
            self.add_module(name, MirroredConv(state[f"{name}.conv2d.weight"], strides.get(name, 1), double))
        for i in range(1, 6):
            self.add_module(f"in{i}", nn.InstanceNorm2d(len(state[f"in{i}.weight"]), affine=True))
            block = nn.Module()
            for part in ("1", "2"):
                weight = state[f"res{i}.conv{part}.conv2d.weight"]
                block.add_module(f"conv{part}", MirroredConv(weight))
                block.add_module(f"in{part}", nn.InstanceNorm2d(len(weight), affine=True))
            self.add_module(f"res{i}", block)

    def forward(self, x: Tensor) -> Tensor:
        for i in (1, 2, 3):
            x = F.relu(self.get_submodule(f"in{i}")(self.get_submodule(f"conv{i}")(x)))
        for i in range(1, 6):
            block = self.get_submodule(f"res{i}")
            y = F.relu(block.get_submodule("in1")(block.get_submodule("conv1")(x)))
            x = x + block.get_submodule("in2")(block.get_submodule("conv2")(y))
        for i in (1, 2):
            x = F.relu(self.get_submodule(f"in{i + 3}")(self.get_submodule(f"deconv{i}")(x)))
        result: Tensor = self.get_submodule("deconv3")(x)
        return result


@dataclass(frozen=True)
class Layout:
    """How a toolkit names the layers of a generator."""

    title: str
    sign: str
    """A name that is in its state dicts, and in those of no other layout here."""
    build: Callable[[State], Foreign]


def foreign_network(state: State, name: str) -> tuple[Foreign, Layout]:
    """The network whose state dict it is, with its weights; DataError, naming `name`, if none is."""
    state = {key.removeprefix("module."): value for key, value in state.items()}
    layout = next((layout for layout in LAYOUTS if layout.sign in state), None)
    if layout is None:
        raise DataError(
            f"{name} is in no layout that is known here (docs/keras.md has a table). "
            f"Its first layers: {', '.join(list(state)[:3]) or 'none'}."
        )
    if layout.build is _johnson or not _has_batch_norm(state):
        # Instance norms of old versions kept statistics that nothing used.
        unused = ("running_mean", "running_var", "num_batches_tracked")
        state = {key: value for key, value in state.items() if not key.endswith(unused)}
    try:
        foreign = layout.build(state)
        foreign.network.load_state_dict(state)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[-1].strip()
        raise DataError(
            f"{name} looks like {layout.title}, but its layers do not fit ({said}): nothing was imported."
        ) from None
    return foreign.eval().requires_grad_(False), layout


def _resnet(state: State) -> Foreign:
    """Zhu et al. 2017, 7.2; with blurs (CUT's default) or without, any norm, with dropout or without."""
    blurred = any(key.endswith(".filt") for key in state)
    layers = _Numbered(state, "model")
    layers.add(nn.ReflectionPad2d(3))
    layers.conv()
    for _ in range(2):
        if blurred:
            layers.conv(padding=1)
            layers.add(BlurredDown(layers.of("filt")))
        else:
            layers.conv(stride=2, padding=1)
    num_blocks = 0
    while f"model.{len(layers)}.conv_block.1.weight" in state:
        layers.add(Wrapped("conv_block", _block(state, f"model.{len(layers)}.conv_block"), "added"))
        num_blocks += 1
    for _ in range(2):
        if blurred:
            layers.add(BlurredUp(layers.of("filt")))
            layers.conv(padding=1)
        else:
            layers.conv_transpose(stride=2, padding=1, output_padding=1)
    layers.add(nn.ReflectionPad2d(3))
    layers.conv(last=True)
    layers.add(nn.Tanh())
    radius = 3 + 1 + 2 + 4 * 2 * num_blocks + 4 + 2 + 3 + 12 * blurred
    return Foreign(Wrapped("model", layers.sequence()), 4, radius)


def _block(state: State, name: str) -> nn.Sequential:
    layers = _Numbered(state, name)
    layers.add(nn.ReflectionPad2d(1))
    layers.conv()
    if not (f"{name}.5.weight" in state and state[f"{name}.5.weight"].ndim == 4):
        layers.add(nn.Dropout(0.5))
    layers.add(nn.ReflectionPad2d(1))
    layers.conv(last=True)
    layers.norm()
    return layers.sequence()


def _unet(state: State) -> Foreign:
    """Isola et al. 2017, 6.1.1: each level within the one above it."""
    levels = Wrapped("model", _level(state, "model.model", outermost=True))
    depth = 1 + sum(isinstance(module, Wrapped) and module.beside for module in levels.modules())
    # The innermost level sees everything.
    return Foreign(Wrapped("model", levels), 2**depth, 2**depth)


def _level(state: State, name: str, outermost: bool = False) -> nn.Sequential:
    layers = _Numbered(state, name)
    innermost = not outermost and f"{name}.3.weight" in state
    if not outermost:
        layers.add(nn.LeakyReLU(0.2))
    layers.conv(stride=2, padding=1, last=True)
    if not innermost:
        if not outermost:
            layers.norm()
        layers.add(Wrapped("model", _level(state, f"{name}.{len(layers)}.model"), "beside"))
    layers.add(nn.ReLU())
    layers.conv_transpose(stride=2, padding=1, last=True)
    if outermost:
        layers.add(nn.Tanh())
    else:
        layers.norm()
    return layers.sequence()


class _Numbered:
    """Layers of a sequence, whose sizes come from the state dict."""

    def __init__(self, state: State, name: str) -> None:
        self._state, self._name, self._layers = state, name, list[nn.Module]()

    def __len__(self) -> int:
        return len(self._layers)

    def of(self, kind: str) -> Tensor:
        """The tensor of the next layer."""
        return self._state[f"{self._name}.{len(self)}.{kind}"]

    def add(self, layer: nn.Module) -> None:
        self._layers.append(layer)

    def conv(self, stride: int = 1, padding: int = 0, last: bool = False) -> None:
        """A convolution; with norm and ReLU, if it is not the last."""
        outputs, inputs, size, _ = self.of("weight").shape
        self.add(nn.Conv2d(inputs, outputs, size, stride, padding, bias=self._has_bias()))
        if not last:
            self.norm()
            self.add(nn.ReLU())

    def conv_transpose(self, stride: int, padding: int, output_padding: int = 0, last: bool = False) -> None:
        """The same transposed."""
        inputs, outputs, size, _ = self.of("weight").shape
        has_bias = self._has_bias()
        self.add(nn.ConvTranspose2d(inputs, outputs, size, stride, padding, output_padding, bias=has_bias))
        if not last:
            self.norm()
            self.add(nn.ReLU())

    def norm(self) -> None:
        """What stands behind the convolution that was added last."""
        channels = self._layers[-1].out_channels
        assert isinstance(channels, int)
        self.add(_norm(self._state, f"{self._name}.{len(self)}", channels))

    def sequence(self) -> nn.Sequential:
        return nn.Sequential(*self._layers)

    def _has_bias(self) -> bool:
        return f"{self._name}.{len(self)}.bias" in self._state


def _norm(state: State, name: str, channels: int) -> nn.Module:
    affine = f"{name}.weight" in state
    if f"{name}.running_mean" in state:
        return nn.BatchNorm2d(channels, affine=affine)
    return nn.InstanceNorm2d(channels, affine=affine)


def _has_batch_norm(state: State) -> bool:
    means = (key for key in state if key.endswith("running_mean"))
    return any(key.replace("running_mean", "weight") in state for key in means)


def _johnson(state: State) -> Foreign:
    return Foreign(Johnson(state), 4, 4 + 1 + 2 + 4 * 10 + 4 + 2 + 4, most=255.0)


LAYOUTS = (
    Layout("a ResNet of pytorch-CycleGAN-and-pix2pix or CUT", "model.1.weight", _resnet),
    Layout("a U-Net of pytorch-CycleGAN-and-pix2pix", "model.model.0.weight", _unet),
    Layout("fast-neural-style of PyTorch's examples", "conv1.conv2d.weight", _johnson),
)
