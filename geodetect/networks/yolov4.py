"""YOLOv4: CSPDarknet-53, spatial pyramid pooling, a path-aggregation neck, three heads.

Source: Bochkovskiy, Wang, Liao, "YOLOv4: Optimal Speed and Accuracy of Object Detection", 2020, section 3.4.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from geodetect.networks.layers import HeadBlock, Mish, concat, conv_block, residuals, upsample
from geodetect.networks.runtime import nn

BACKBONE = (  # (inputs, outputs, kernel, stride) of conv0 to conv27, a line a stage: down, then its 1x1 convolutions
    (3, 32, 3, 1),
    (32, 64, 3, 2), (64, 64, 1, 1), (64, 32, 1, 1), (32, 64, 3, 1), (64, 64, 1, 1), (64, 64, 1, 1), (128, 64, 1, 1),
    (64, 128, 3, 2), (128, 64, 1, 1), (64, 64, 1, 1), (128, 64, 1, 1), (128, 128, 1, 1),
    (128, 256, 3, 2), (256, 128, 1, 1), (128, 128, 1, 1), (256, 128, 1, 1), (256, 256, 1, 1),
    (256, 512, 3, 2), (512, 256, 1, 1), (256, 256, 1, 1), (512, 256, 1, 1), (512, 512, 1, 1),
    (512, 1024, 3, 2), (1024, 512, 1, 1), (512, 512, 1, 1), (1024, 512, 1, 1), (1024, 1024, 1, 1),
)  # fmt: skip
LAYERS = ((2, 64), (8, 128), (8, 256), (4, 512))  # (residual blocks, channels) of layer2 to layer5
NECK = (  # (inputs, outputs, kernel, stride) of conv1 to conv8, then of conv9 to conv12
    (1024, 512, 1, 1), (512, 1024, 3, 1), (1024, 512, 1, 1),
    (2048, 512, 1, 1), (512, 1024, 3, 1), (1024, 512, 1, 1),
    (512, 256, 1, 1), (512, 256, 1, 1),
    (256, 128, 1, 1), (256, 128, 1, 1), (128, 256, 3, 2), (256, 512, 3, 2),
)  # fmt: skip


class CSPDarknet53(nn.Cell):
    """The backbone: each stage sends half its channels past its residual blocks."""

    def __init__(self, darknet: bool) -> None:
        super().__init__()
        block = partial(conv_block, activation=Mish, symmetric=darknet)
        for number, sizes in enumerate(BACKBONE):
            setattr(self, f"conv{number}", block(*sizes))
        for number, (count, channels) in enumerate(LAYERS, 2):
            setattr(self, f"layer{number}", residuals(count, channels, channels, block))

    def construct(self, x: Any) -> tuple[Any, Any, Any]:
        """Return the feature maps of stride 8, 16 and 32."""
        x = self.conv1(self.conv0(x))
        main = self.conv2(x)
        main = self.conv5(main + self.conv4(self.conv3(main)))
        x = self.conv7(concat(main, self.conv6(x)))

        x = self.conv8(x)
        x = self.conv12(concat(self.conv10(self.layer2(self.conv9(x))), self.conv11(x)))
        x = self.conv13(x)
        c3 = self.conv17(concat(self.conv15(self.layer3(self.conv14(x))), self.conv16(x)))
        x = self.conv18(c3)
        c4 = self.conv22(concat(self.conv20(self.layer4(self.conv19(x))), self.conv21(x)))
        x = self.conv23(c4)
        c5 = self.conv27(concat(self.conv25(self.layer5(self.conv24(x))), self.conv26(x)))
        return c3, c4, c5


class FeatureMap(nn.Cell):
    """Backbone, pyramid pooling, the paths down and up again, and a head on each level."""

    def __init__(self, n_classes: int, darknet: bool) -> None:
        super().__init__()
        self.backbone = CSPDarknet53(darknet)
        for number, sizes in enumerate(NECK[:8], 1):
            setattr(self, f"conv{number}", conv_block(*sizes))
        self.pool5 = nn.MaxPool2d(5, 1, pad_mode="same")
        self.pool9 = nn.MaxPool2d(9, 1, pad_mode="same")
        self.pool13 = nn.MaxPool2d(13, 1, pad_mode="same")
        self.backblock0 = HeadBlock(512, 256, n_classes)  # its conv5 and conv6 are in every checkpoint and never used
        for number, sizes in enumerate(NECK[8:], 9):
            setattr(self, f"conv{number}", conv_block(*sizes, symmetric=darknet))
        self.backblock1 = HeadBlock(256, 128, n_classes)
        self.backblock2 = HeadBlock(512, 256, n_classes)
        self.backblock3 = HeadBlock(1024, 512, n_classes)

    def construct(self, x: Any) -> tuple[Any, Any, Any]:
        """Return the raw heads of stride 32, 16 and 8."""
        c3, c4, c5 = self.backbone(x)
        x = self.conv3(self.conv2(self.conv1(c5)))
        x = concat(self.pool13(x), self.pool9(x), self.pool5(x), x)
        p5 = self.conv6(self.conv5(self.conv4(x)))
        p4 = self.backblock0.branch(concat(upsample(self.conv7(p5)), self.conv8(c4)))
        n3, small = self.backblock1(concat(upsample(self.conv9(p4)), self.conv10(c3)))
        n4, medium = self.backblock2(concat(self.conv11(n3), p4))
        n5 = self.backblock3.branch(concat(self.conv12(n4), p5))
        return self.backblock3.head(n5), medium, small


class YOLOv4(nn.Cell):
    """The whole network."""

    def __init__(self, n_classes: int, variant: str = "mindspore") -> None:
        super().__init__()
        self.feature_map = FeatureMap(n_classes, darknet=variant == "darknet")

    def construct(self, x: Any) -> tuple[Any, Any, Any]:
        """Return the raw heads of stride 32, 16 and 8, each (B, 3 * (5 + classes), H / stride, W / stride)."""
        return self.feature_map(x)
