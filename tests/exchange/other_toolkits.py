"""Generators as other toolkits publish them, written from their descriptions, under the names that their
checkpoints have: what `inkbridge import` is held against."""

import torch
import torch.nn.functional as F
from torch import nn


def norm_of(kind):
    return {
        "instance": nn.InstanceNorm2d,
        "tracking": lambda n: nn.InstanceNorm2d(n, track_running_stats=True),  # as before PyTorch 0.4
        "batch": nn.BatchNorm2d,
    }[kind]


class ResnetBlock(nn.Module):
    def __init__(self, n, norm, dropout, bias):
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3, bias=bias), norm(n), nn.ReLU(True)]
        rest = [nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3, bias=bias), norm(n)]
        self.conv_block = nn.Sequential(*first, *([nn.Dropout(0.5)] if dropout else []), *rest)

    def forward(self, x):
        return x + self.conv_block(x)


def kernel(values):
    line = torch.tensor(values)
    return line[:, None] * line[None] / line.sum() ** 2


class Downsample(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.register_buffer("filt", kernel([1.0, 2.0, 1.0])[None, None].repeat(n, 1, 1, 1))
        self.pad = nn.ReflectionPad2d(1)

    def forward(self, x):
        return F.conv2d(self.pad(x), self.filt, stride=2, groups=x.shape[1])


class Upsample(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.register_buffer("filt", 4 * kernel([1.0, 3.0, 3.0, 1.0])[None, None].repeat(n, 1, 1, 1))
        self.pad = nn.ReplicationPad2d(1)

    def forward(self, x):
        y = F.conv_transpose2d(self.pad(x), self.filt, stride=2, padding=2, groups=x.shape[1])
        return y[:, :, 1:, 1:][:, :, :-1, :-1]


class ResnetGenerator(nn.Module):
    """pytorch-CycleGAN-and-pix2pix; `antialias`: CUT."""

    def __init__(self, width=8, blocks=9, norm="instance", dropout=False, antialias=False):
        super().__init__()
        bias, norm = norm != "batch", norm_of(norm)
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=bias), norm(width), nn.ReLU(True)]
        for n in (width, 2 * width):
            stride = 1 if antialias else 2
            layers += [nn.Conv2d(n, 2 * n, 3, stride, 1, bias=bias), norm(2 * n), nn.ReLU(True)]
            layers += [Downsample(2 * n)] if antialias else []
        layers += [ResnetBlock(4 * width, norm, dropout, bias) for _ in range(blocks)]
        for n in (4 * width, 2 * width):
            if antialias:
                layers += [Upsample(n), nn.Conv2d(n, n // 2, 3, 1, 1, bias=bias)]
            else:
                layers += [nn.ConvTranspose2d(n, n // 2, 3, 2, 1, 1, bias=bias)]
            layers += [norm(n // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class UnetBlock(nn.Module):
    def __init__(self, outer, inner, norm, bias, inside=None, outermost=False):
        super().__init__()
        self.outermost = outermost
        entering = outer if not outermost else 3
        down = nn.Conv2d(entering, inner, 4, 2, 1, bias=bias)
        if outermost:
            up = nn.ConvTranspose2d(2 * inner, 3, 4, 2, 1)
            layers = [down, inside, nn.ReLU(True), up, nn.Tanh()]
        elif inside is None:
            up = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, norm(outer)]
        else:
            up = nn.ConvTranspose2d(2 * inner, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2, True), down, norm(inner), inside, nn.ReLU(True), up, norm(outer)]
            layers += [nn.Dropout(0.5)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UnetGenerator(nn.Module):
    def __init__(self, width=8, downs=7, norm="batch"):
        super().__init__()
        bias, norm = norm != "batch", norm_of(norm)
        block = UnetBlock(8 * width, 8 * width, norm, bias)
        for _ in range(downs - 5):
            block = UnetBlock(8 * width, 8 * width, norm, bias, block)
        for n in (4 * width, 2 * width, width):
            block = UnetBlock(n, 2 * n, norm, bias, block)
        self.model = UnetBlock(3, width, norm, bias, block, outermost=True)

    def forward(self, x):
        return self.model(x)


class ConvLayer(nn.Module):
    def __init__(self, n, m, size, stride):
        super().__init__()
        self.reflection_pad = nn.ReflectionPad2d(size // 2)
        self.conv2d = nn.Conv2d(n, m, size, stride)

    def forward(self, x):
        return self.conv2d(self.reflection_pad(x))


class UpsampleConvLayer(ConvLayer):
    def forward(self, x):
        return super().forward(F.interpolate(x, mode="nearest", scale_factor=2))


class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1, self.in1 = ConvLayer(n, n, 3, 1), nn.InstanceNorm2d(n, affine=True)
        self.conv2, self.in2 = ConvLayer(n, n, 3, 1), nn.InstanceNorm2d(n, affine=True)

    def forward(self, x):
        return self.in2(self.conv2(F.relu(self.in1(self.conv1(x))))) + x


class TransformerNet(nn.Module):
    """fast-neural-style of PyTorch's examples: 0 to 255 in and out."""

    def __init__(self, width=8):
        super().__init__()
        sizes = [(3, width, 9, 1), (width, 2 * width, 3, 2), (2 * width, 4 * width, 3, 2)]
        for i, size in enumerate(sizes, 1):
            self.add_module(f"conv{i}", ConvLayer(*size))
            self.add_module(f"in{i}", nn.InstanceNorm2d(size[1], affine=True))
        for i in range(1, 6):
            self.add_module(f"res{i}", ResidualBlock(4 * width))
        self.deconv1, self.in4 = (
            UpsampleConvLayer(4 * width, 2 * width, 3, 1),
            nn.InstanceNorm2d(2 * width, affine=True),
        )
        self.deconv2, self.in5 = (
            UpsampleConvLayer(2 * width, width, 3, 1),
            nn.InstanceNorm2d(width, affine=True),
        )
        self.deconv3 = ConvLayer(width, 3, 9, 1)

    def forward(self, x):
        for i in (1, 2, 3):
            x = F.relu(getattr(self, f"in{i}")(getattr(self, f"conv{i}")(x)))
        for i in range(1, 6):
            x = getattr(self, f"res{i}")(x)
        x = F.relu(self.in4(self.deconv1(x)))
        x = F.relu(self.in5(self.deconv2(x)))
        return self.deconv3(x)


def with_random_weights(network, seed=0):
    """Weights large enough for an answer that is not flat, and statistics as of a training."""
    rng = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("filt") or not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=rng)
        if name.endswith("running_var"):
            value.copy_(noise.abs() + 0.5)
        elif value.ndim == 4:
            value.copy_(noise * (2 / value[0].numel()) ** 0.5)
        else:
            value.copy_(noise * 0.3 + (name.endswith("weight")))
    return network.eval()
