"""YOLOv3-Tiny with three heads in plain numpy, layer by layer as `yolov3-tiny_3l.cfg` lists them."""

import numpy as np

LAYERS = (  # c: convolution with normalisation, p: pooling of this stride, head, route: from these layers, up
    *("c", ("p", 2)) * 5, "c", ("p", 1), "c", "c", "c", "head",
    ("route", -3), "c", "up", ("route", -1, 8), "c", "head",
    ("route", -2), "c", "up", ("route", -1, 6), "c", "head",
)  # fmt: skip


def heads(parameters, images):
    """Return the raw heads, big stride to small, of (B, 3, H, W)."""
    outputs, found, blocks = [], [], 0
    x = images.astype(np.float64)
    for layer in LAYERS:
        kind, *values = layer if isinstance(layer, tuple) else (layer,)
        if kind == "c":
            x = block(x, parameters, f"feature_map.backbone.conv{blocks}")
            blocks += 1
        elif kind == "p":
            x = pooled(x, *values)
        elif kind == "up":
            x = x.repeat(2, axis=2).repeat(2, axis=3)
        elif kind == "route":
            x = np.concatenate([outputs[at] for at in values], axis=1)
        else:
            name = f"feature_map.head{len(found) + 1}"
            found.append(convolved(x, parameters[f"{name}.weight"]) + parameters[f"{name}.bias"][:, None, None])
            x = found[-1]
        outputs.append(x)
    return found


def block(x, parameters, name):
    gamma, beta, mean, variance = (
        parameters[f"{name}.1.{part}"][:, None, None] for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    x = (convolved(x, parameters[f"{name}.0.weight"]) - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    return np.where(x > 0, x, 0.1 * x)


def convolved(x, weight):
    side = weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))
    return np.einsum("bihwyx,oiyx->bohw", windows, weight, optimize=True)


def pooled(x, stride):
    padded = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(2, 3)).max((4, 5))[:, :, ::stride, ::stride]
