"""YOLOv3-Tiny: seven convolutions with max-pooling, two heads or three.

Source: Redmon, Farhadi, "YOLOv3: An Incremental Improvement", 2018, and the authors' configuration of the tiny network;
the third head as in Bochkovskiy's `yolov3-tiny_3l.cfg`.
"""

from __future__ import annotations

from typing import Any

from geodetect.networks.layers import HalvingPool, concat, conv_block, head_conv, upsample
from geodetect.networks.runtime import nn

CONVOLUTIONS = (  # (inputs, outputs, kernel) of conv0 to conv10, and of the two before the third head
    (3, 16, 3),
    (16, 32, 3),
    (32, 64, 3),
    (64, 128, 3),
    (128, 256, 3),
    (256, 512, 3),
    (512, 1024, 3),
    (1024, 256, 1),
    (256, 512, 3),
    (256, 128, 1),
    (128 + 256, 256, 3),
    (256, 128, 1),
    (128 + 128, 128, 3),
)


class TinyBackbone(nn.Cell):
    """All but the heads."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for number, (inputs, outputs, kernel) in enumerate(CONVOLUTIONS[: 2 * heads + 7]):
            setattr(self, f"conv{number}", conv_block(inputs, outputs, kernel))
        self.pool = HalvingPool()
        self.pool_same = nn.MaxPool2d(2, 1, pad_mode="same")

    def construct(self, x: Any) -> tuple[Any, ...]:
        """Return what head1 (stride 32), head2 (stride 16) and head3 (stride 8) take."""
        x = self.pool(self.conv0(x))
        x = self.pool(self.conv1(x))
        x = self.pool(self.conv2(x))
        fine = self.conv3(x)
        route = self.conv4(self.pool(fine))
        x = self.pool_same(self.conv5(self.pool(route)))
        neck = self.conv7(self.conv6(x))
        small = self.conv10(concat(upsample(self.conv9(neck)), route))
        if self.heads == 2:
            return self.conv8(neck), small
        return self.conv8(neck), small, self.conv12(concat(upsample(self.conv11(small)), fine))


class FeatureMap(nn.Cell):
    """The backbone and its heads."""

    def __init__(self, n_classes: int, heads: int) -> None:
        super().__init__()
        self.backbone = TinyBackbone(heads)
        self.head1 = head_conv(512, n_classes)
        self.head2 = head_conv(256, n_classes)
        if heads == 3:
            self.head3 = head_conv(128, n_classes)

    def construct(self, x: Any) -> tuple[Any, ...]:
        """Return the raw heads of stride 32, 16 and, where there is one, 8."""
        maps = self.backbone(x)
        if len(maps) == 2:
            return self.head1(maps[0]), self.head2(maps[1])
        return self.head1(maps[0]), self.head2(maps[1]), self.head3(maps[2])


class YOLOv3Tiny(nn.Cell):
    """The whole network."""

    def __init__(self, n_classes: int, variant: str = "mindspore") -> None:
        super().__init__()
        # "darknet" is the same network as "mindspore": all leaky, no convolution of stride 2
        self.feature_map = FeatureMap(n_classes, heads=3 if variant == "3l" else 2)

    def construct(self, x: Any) -> tuple[Any, ...]:
        """Return the raw heads of stride 32, 16 and, by "3l", 8: (B, 3 * (5 + classes), H / stride, W / stride)."""
        return self.feature_map(x)
