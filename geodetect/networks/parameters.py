"""A network's parameters as arrays by name, from any file they come in. Needs no MindSpore."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from geodetect.errors import ModelError
from geodetect.networks.checkpoint import read_checkpoint
from geodetect.networks.npz import read_npz
from geodetect.networks.safetensors import read_safetensors, write_safetensors

__all__ = ["check_parameters", "read_parameters", "write_safetensors"]

_TRAINING = re.compile(  # what a training run stores beside the network
    r"(moments|moment1|moment2|accum)\..*|global_step|learning_rate|momentum|weight_decay|beta[12]_power|"
    r"epoch_num|step_num|current_iter_num|last_overflow_iterator_step|scale_sense"
)
_SHOWN = 6  # names in a message
MOST_BYTES = 4 << 30  # of a weights file, packed or not; YOLOv4 with a trainer's moments has 0.5 GB


def read_parameters(path: str | Path) -> dict[str, np.ndarray]:
    """Return the network's parameters of a .safetensors, .ckpt or .npz file, float32, without a trainer's prefixes.

    What a training run stores beside the network (moments, learning rate, step) is left out.

    Raises:
        ModelError: the file is missing, of another kind, or damaged.
    """
    path = Path(path)
    readers = {".safetensors": read_safetensors, ".ckpt": read_checkpoint, ".npz": _npz}
    if path.suffix not in readers:
        raise ModelError(f"{path} is no weights file; {', '.join(readers)} can be read")
    try:
        check_size(path)
        stored = readers[path.suffix](path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    parameters: dict[str, np.ndarray] = {}
    for name, array in stored.items():
        if _TRAINING.fullmatch(name):
            continue
        short = name.rpartition("network.")[2]  # yolo_network. and whatever a trainer wrapped around it
        if short in parameters:
            raise ModelError(f"{path} holds {short} twice, once as {name}")
        with np.errstate(over="ignore"):  # infinite ones are found by `check_parameters`
            parameters[short] = np.array(array, dtype=np.float32)  # a copy: the file may be mapped, not read
    return parameters


def check_parameters(
    parameters: Mapping[str, np.ndarray], expected: Mapping[str, Sequence[int]], where: str = "the weights"
) -> None:
    """Do nothing where names and shapes are the expected ones and all values are finite.

    Raises:
        ModelError: naming `where` and the first few names that are missing, unknown or of another shape.
    """
    missing = [name for name in expected if name not in parameters]
    unknown = [name for name in parameters if name not in expected]
    shapes = [
        f"{name} is {_text(parameters[name].shape)} instead of {_text(shape)}"
        for name, shape in expected.items()
        if name in parameters and tuple(parameters[name].shape) != tuple(shape)
    ]
    problems = [
        f"{len(items)} {what} ({', '.join(items[:_SHOWN])}{', ...' if len(items) > _SHOWN else ''})"
        for what, items in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if items
    ]
    if problems:
        raise ModelError(
            f"{where}: parameters do not fit the network: {'; '.join(problems)}{_hint(parameters, expected)}"
        )
    broken = [name for name, array in parameters.items() if not np.isfinite(array).all()]
    if broken:
        raise ModelError(f"{where}: values are not finite in {len(broken)} parameters, first {broken[0]}")


def _hint(parameters: Mapping[str, np.ndarray], expected: Mapping[str, Sequence[int]]) -> str:
    """Return a clause on the number of classes where the heads, the only convolutions with a bias, differ in it."""
    for name, shape in expected.items():
        found = parameters[name].shape if name in parameters else ()
        if name.endswith(".bias") and len(found) == 1 and found[0] != shape[0] and found[0] % 3 == shape[0] % 3 == 0:
            return f"; the file was trained for {found[0] // 3 - 5} classes, the model has {shape[0] // 3 - 5}"
    return ""


def _text(shape: Sequence[int]) -> str:
    return "x".join(str(size) for size in shape) or "a scalar"


def check_size(path: Path) -> None:
    """Raise ModelError where a file is larger than any network of geodetect; OSError where it is not there."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ModelError(
            f"{path} has {size / 1e9:.1f} GB, no network of geodetect has more than {MOST_BYTES / 1e9:.1f} GB; give "
            "another file"
        )


def _npz(path: Path) -> dict[str, np.ndarray]:
    return read_npz(path, MOST_BYTES)
