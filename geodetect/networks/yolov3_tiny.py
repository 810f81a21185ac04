"""YOLOv3-Tiny: seven convolutions with max-pooling, two heads.

Source: Redmon, Farhadi, "YOLOv3: An Incremental Improvement", 2018, and the authors' configuration of the tiny network.
"""

from __future__ import annotations

from typing import Any

from geodetect.networks.layers import HalvingPool, concat, conv_block, head_conv, upsample
from geodetect.networks.runtime import nn

CONVOLUTIONS = (  # (inputs, outputs, kernel) of conv0 to conv10
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
)


class TinyBackbone(nn.Cell):
    """All but the heads."""

    def __init__(self) -> None:
        super().__init__()
        for number, (inputs, outputs, kernel) in enumerate(CONVOLUTIONS):
            setattr(self, f"conv{number}", conv_block(inputs, outputs, kernel))
        self.pool = HalvingPool()
        self.pool_same = nn.MaxPool2d(2, 1, pad_mode="same")

    def construct(self, x: Any) -> tuple[Any, Any]:
        """Return what head1 (stride 32) and head2 (stride 16) take."""
        x = self.pool(self.conv0(x))
        x = self.pool(self.conv1(x))
        x = self.pool(self.conv2(x))
        x = self.pool(self.conv3(x))
        route = self.conv4(x)
        x = self.pool_same(self.conv5(self.pool(route)))
        neck = self.conv7(self.conv6(x))
        return self.conv8(neck), self.conv10(concat(upsample(self.conv9(neck)), route))


class FeatureMap(nn.Cell):
    """The backbone and the two heads."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.backbone = TinyBackbone()
        self.head1 = head_conv(512, n_classes)
        self.head2 = head_conv(256, n_classes)

    def construct(self, x: Any) -> tuple[Any, Any]:
        """Return the raw heads of stride 32 and 16."""
        big, small = self.backbone(x)
        return self.head1(big), self.head2(small)


class YOLOv3Tiny(nn.Cell):
    """The whole network."""

    def __init__(self, n_classes: int, darknet: bool = False) -> None:
        super().__init__()
        del darknet  # Darknet's network is the same: all leaky, no convolution of stride 2
        self.feature_map = FeatureMap(n_classes)

    def construct(self, x: Any) -> tuple[Any, Any]:
        """Return the raw heads of stride 32 and 16, each (B, 3 * (5 + classes), H / stride, W / stride)."""
        return self.feature_map(x)
