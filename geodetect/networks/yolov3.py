"""YOLOv3: Darknet-53 with three heads.

Source: Redmon, Farhadi, "YOLOv3: An Incremental Improvement", 2018, table 1 and section 2.3.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from geodetect.networks.layers import HeadBlock, LeakyReLU, concat, conv_block, residuals, upsample
from geodetect.networks.runtime import nn

STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))  # (channels, residual blocks), stride 2 to 32


class Darknet53(nn.Cell):
    """The backbone: five stages of residual blocks."""

    def __init__(self, darknet: bool) -> None:
        super().__init__()
        block = partial(conv_block, activation=LeakyReLU if darknet else nn.ReLU, symmetric=darknet, momentum=0.1)
        self.conv0 = block(3, 32, 3)
        inputs = 32
        for stage, (channels, count) in enumerate(STAGES, 1):
            setattr(self, f"conv{stage}", block(inputs, channels, 3, 2))
            setattr(self, f"layer{stage}", residuals(count, channels, channels // 2, block))
            inputs = channels

    def construct(self, x: Any) -> tuple[Any, Any, Any]:
        """Return the feature maps of stride 8, 16 and 32."""
        x = self.conv0(x)
        x = self.layer1(self.conv1(x))
        x = self.layer2(self.conv2(x))
        c3 = self.layer3(self.conv3(x))
        c4 = self.layer4(self.conv4(c3))
        c5 = self.layer5(self.conv5(c4))
        return c3, c4, c5


class FeatureMap(nn.Cell):
    """Backbone, the top-down path, and a head on each of its levels."""

    def __init__(self, n_classes: int, darknet: bool) -> None:
        super().__init__()
        self.backbone = Darknet53(darknet)
        self.backblock0 = HeadBlock(1024, 512, n_classes)
        self.conv1 = conv_block(512, 256, 1)
        self.backblock1 = HeadBlock(256 + 512, 256, n_classes)
        self.conv2 = conv_block(256, 128, 1)
        self.backblock2 = HeadBlock(128 + 256, 128, n_classes)

    def construct(self, x: Any) -> tuple[Any, Any, Any]:
        """Return the raw heads of stride 32, 16 and 8."""
        c3, c4, c5 = self.backbone(x)
        p5, big = self.backblock0(c5)
        p4, medium = self.backblock1(concat(upsample(self.conv1(p5)), c4))
        p3 = self.backblock2.branch(concat(upsample(self.conv2(p4)), c3))
        return big, medium, self.backblock2.head(p3)


class YOLOv3(nn.Cell):
    """The whole network."""

    def __init__(self, n_classes: int, variant: str = "mindspore") -> None:
        super().__init__()
        self.feature_map = FeatureMap(n_classes, darknet=variant == "darknet")

    def construct(self, x: Any) -> tuple[Any, Any, Any]:
        """Return the raw heads of stride 32, 16 and 8, each (B, 3 * (5 + classes), H / stride, W / stride)."""
        return self.feature_map(x)
