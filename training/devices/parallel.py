"""Many devices: the same weights at the start, averaged gradients at every step.

Each device is a process with a rank of its own; MindSpore's `msrun` starts them, `training.devices.launch` starts
`msrun`. Gradients are averaged by a cell of ours and not by MindSpore's parallel context, which its documentation calls
deprecated: the collective operations work without it on Ascend (HCCL), GPU (NCCL) and CPU (MindSpore's own).
"""

from __future__ import annotations

import functools
import os
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geodetect.errors import TrainingError
from training.devices.quiet import hushed

_TARGETS = {"ascend": "Ascend", "gpu": "GPU", "cpu": "CPU"}
# s that a process waits for another before it fails. On CPUs it would be half a minute, and one may evaluate that long
# while the others wait; a process that has died is found by msrun.
_PATIENCE = {"MS_CPU_COMM_OP_TIMEOUT": "7200"}
_CHUNK = 1 << 24  # values a broadcast sends at once, 64 MB


@dataclass(frozen=True, slots=True)
class Devices:
    """This process's place among those of a run."""

    rank: int = 0
    size: int = 1

    @property
    def is_master(self) -> bool:
        """Whether this process writes the files and talks to the user."""
        return self.rank == 0


def is_worker() -> bool:
    """Return whether `msrun` started this process."""
    return "MS_ROLE" in os.environ


def start(is_distributed: bool, device: str) -> Devices:
    """Choose the device, join the other processes, and return this one's place.

    To be called before anything is read, written or made: `msrun` runs the command once more as a scheduler, which
    does not return from here but ends when all others have.

    Args:
        is_distributed: whether there are other processes.
        device: "ascend", "gpu" or "cpu"; else what MindSpore takes by itself.

    Raises:
        TrainingError: the device is not here, or the processes do not find each other.
    """
    from geodetect.networks.runtime import mindspore

    if is_distributed and not is_worker():
        raise TrainingError(
            "this process has no others to train with: give --device_num, or start it with msrun --worker_num=N "
            "--local_worker_num=N --join=True python -m geodetect train ..."
        )
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    current = str(mindspore.get_context("device_target"))
    target = _TARGETS.get(device.lower(), current)
    is_scheduler = os.environ.get("MS_ROLE") == "MS_SCHED"  # it needs no device, and may be where there is none
    try:
        if is_distributed or target != current:  # not set again where it has worked before, which MindSpore refuses
            with hushed():
                mindspore.set_device("CPU" if is_scheduler else target)
    except (RuntimeError, ValueError) as error:
        reason = "" if "Unsupported device target" in str(error) else f" that it can use ({_first_line(error)})"
        raise TrainingError(f"MindSpore finds no {target} on this machine{reason}; train with --device cpu") from error
    if not is_distributed:
        return Devices()
    from mindspore import communication

    for name, seconds in _PATIENCE.items():
        os.environ.setdefault(name, seconds)
    try:
        communication.init()
        return Devices(communication.get_rank(), communication.get_group_size())
    except RuntimeError as error:
        raise TrainingError(
            f"the processes of this run did not find each other ({_first_line(error)}); see the log of each, and "
            f"whether {os.environ.get('MS_SCHED_HOST', 'the first machine')} can be reached from all"
        ) from error


def broadcast(network: Any, devices: Devices) -> None:
    """Give all processes the parameters, running statistics included, that the first one's network has."""
    if devices.size == 1:
        return
    from geodetect.networks.runtime import mindspore

    parameters = list(network.get_parameters())
    values = [parameter.asnumpy() for parameter in parameters]
    packed = np.concatenate([value.view(np.int32).ravel() for value in values])  # the bits, whatever the type
    received = np.concatenate([_on_all("FromFirst", packed[i : i + _CHUNK]) for i in range(0, packed.size, _CHUNK)])
    ends = np.cumsum([value.size * value.itemsize // 4 for value in values])
    for parameter, value, bits in zip(parameters, values, np.split(received, ends[:-1]), strict=True):
        parameter.set_data(mindspore.Tensor(bits.view(value.dtype).reshape(value.shape)))


def make_reducer(parameters: Iterable[Any], devices: Devices) -> Any | None:
    """Return a cell that takes the tuple of these parameters' gradients and returns their averages over all devices.

    None where there is one device.
    """
    if devices.size == 1:
        return None
    from training.devices.collectives import Reducer

    return Reducer(tuple(tuple(parameter.shape) for parameter in parameters), devices.size)


def average(values: np.ndarray | Sequence[float], devices: Devices) -> np.ndarray:
    """Return the averages over all devices of an array that has the same shape on each, in float32.

    All processes must call it, and wait here for each other.
    """
    values = np.asarray(values, np.float32)
    if devices.size == 1:
        return values
    return (_on_all("Sum", values.ravel()) / devices.size).reshape(values.shape)


def barrier(devices: Devices) -> None:
    """Wait until all processes are here."""
    average([0.0], devices)


def _on_all(name: str, values: np.ndarray) -> np.ndarray:
    """Return what an operation of `training.devices.collectives` makes of a column."""
    from geodetect.networks.runtime import mindspore

    return _cell(name, values.shape)(mindspore.Tensor(values)).asnumpy()


@functools.cache
def _cell(name: str, shape: tuple[int, ...]) -> Any:
    """Return one cell for each shape, since another shape would have its graph compiled anew."""
    from training.devices import collectives

    del shape
    return getattr(collectives, name)()


def _first_line(error: Exception) -> str:
    return textwrap.shorten(str(error).strip().split("\n")[0].rstrip("."), 200, placeholder=" ...")
