"""The blocks that the three networks are made of. All feature maps are (B, channels, height, width)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geodetect.networks.runtime import nn, ops

ANCHORS = 3  # boxes a cell of a head predicts


class LeakyReLU(nn.Cell):
    """The activation of all Darknet networks."""

    def construct(self, x: Any) -> Any:
        """Return x where it is positive, else 0.1 x."""
        # to one unit in the last place; nn.LeakyReLU's maximum() costs seven times as much backward on CPUs
        return 0.9 * ops.relu(x) + 0.1 * x


class Mish(nn.Cell):
    """x tanh(log(1 + e^x)), the activation of YOLOv4's backbone (Misra 2019).

    MindSpore's own gives NaN on CPUs for x above 44, and a gradient that is off by 1e-3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mish, self.relu, self.exp = nn.Mish(), ops.ReLU(), ops.Exp()

    def construct(self, x: Any) -> Any:
        """Return Mish of x, which in float32 is x itself from 20 on."""
        over = self.relu(x - 20.0)
        return self.mish(x - over) + over

    def bprop(self, x: Any, y: Any, gradient: Any) -> tuple[Any]:
        """Return the gradient of x."""
        e = self.exp(20.0 - self.relu(20.0 - x))  # of x up to 20: its square is finite
        n = e * (e + 2.0)
        tanh = n / (n + 2.0)
        return (gradient * (tanh + x * (1.0 - tanh * tanh) * (e / (1.0 + e))),)


def conv_block(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    *,
    activation: Callable[[], Any] = LeakyReLU,
    symmetric: bool = False,
    momentum: float = 0.9,
) -> Any:
    """Return convolution, batch normalisation and activation in a row, named `0`, `1`, `2`.

    Args:
        inputs, outputs: channels.
        kernel, stride: of the convolution, px; the output is 1/stride of the input's height and width.
        activation: makes the activation cell.
        symmetric: pad a stride-2 convolution on all sides as Darknet does, not right and bottom only.
        momentum: weight of the old running mean and variance, MindSpore's meaning.
    """
    padding = {"pad_mode": "pad", "padding": kernel // 2} if symmetric and stride > 1 else {"pad_mode": "same"}
    return nn.SequentialCell(
        nn.Conv2d(inputs, outputs, kernel, stride, has_bias=False, **padding),
        nn.BatchNorm2d(outputs, momentum=momentum, eps=1e-5),
        activation(),
    )


def head_conv(inputs: int, n_classes: int) -> Any:
    """Return the 1x1 convolution to raw predictions.

    Channel = anchor * (5 + classes) + [tx, ty, tw, th, objectness, class...].
    """
    return nn.Conv2d(inputs, ANCHORS * (5 + n_classes), 1, has_bias=True)


class Residual(nn.Cell):
    """A 1x1 convolution to `middle` channels and a 3x3 one back, with a way past them."""

    def __init__(self, channels: int, middle: int, block: Callable[..., Any]) -> None:
        super().__init__()
        self.conv1 = block(channels, middle, 1)
        self.conv2 = block(middle, channels, 3)

    def construct(self, x: Any) -> Any:
        """Return x + conv2(conv1(x))."""
        return x + self.conv2(self.conv1(x))


def residuals(count: int, channels: int, middle: int, block: Callable[..., Any]) -> Any:
    """Return `count` residual blocks in a row."""
    return nn.SequentialCell([Residual(channels, middle, block) for _ in range(count)])


class HeadBlock(nn.Cell):
    """Five convolutions, 1x1 and 3x3 in turn, then a head of two."""

    def __init__(self, inputs: int, width: int, n_classes: int) -> None:
        super().__init__()
        self.conv0 = conv_block(inputs, width, 1)
        self.conv1 = conv_block(width, 2 * width, 3)
        self.conv2 = conv_block(2 * width, width, 1)
        self.conv3 = conv_block(width, 2 * width, 3)
        self.conv4 = conv_block(2 * width, width, 1)
        self.conv5 = conv_block(width, 2 * width, 3)
        self.conv6 = head_conv(2 * width, n_classes)

    def construct(self, x: Any) -> tuple[Any, Any]:
        """Return the branch to the next level, (B, width, H, W), and the head's raw predictions."""
        branch = self.branch(x)
        return branch, self.head(branch)

    def head(self, branch: Any) -> Any:
        """Return the raw predictions that belong to a branch."""
        return self.conv6(self.conv5(branch))

    def branch(self, x: Any) -> Any:
        """Return the fifth convolution's output, (B, width, H, W)."""
        return self.conv4(self.conv3(self.conv2(self.conv1(self.conv0(x)))))


class HalvingPool(nn.MaxPool2d):
    """The largest of each 2 x 2 pixels: max-pooling with a gradient of its own, on CPUs in a third of the time."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def bprop(self, x: Any, y: Any, gradient: Any) -> tuple[Any]:
        """Return the gradient of x; it goes to the first pixel of those that are largest, as MindSpore's does."""
        width = y.shape[3]
        y, gradient = y.reshape((-1, width)), gradient.reshape((-1, width))
        # even and odd columns apart, so that all that follows works on whole rows
        apart = ops.transpose(x.reshape((-1, width, 2)), (0, 2, 1)).reshape((-1, 4 * width))
        pixels = ops.split(apart, width, axis=1)
        nothing = ops.zeros_like(gradient)
        parts = []
        for pixel in pixels[:3]:
            parts.append(ops.select(ops.equal(pixel, y), gradient, nothing))
            gradient = gradient - parts[-1]
        together = ops.concat((*parts, gradient), axis=1).reshape((-1, 2, width))
        return (ops.transpose(together, (0, 2, 1)).reshape(x.shape),)


def upsample(x: Any) -> Any:
    """Return x at twice its height and width, nearest neighbour."""
    _, _, height, width = x.shape
    return ops.ResizeNearestNeighbor((2 * height, 2 * width))(x)


def concat(*maps: Any) -> Any:
    """Return the feature maps one after the other along the channels."""
    return ops.concat(maps, axis=1)
