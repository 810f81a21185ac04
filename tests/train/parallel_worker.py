"""What the processes of test_parallel.py run: `parallel_worker.py FOLDER laws|forever`."""

import sys
from pathlib import Path

import numpy as np

from geodetect.networks.layers import conv_block, head_conv
from geodetect.networks.runtime import mindspore, nn
from training.devices import parallel
from training.devices.parallel import Devices
from training.devices.sync_norm import SyncBatchNorm, use_sync_norm
from training.run.optimiser import make_optimiser
from training.run.step import TrainStep

STEPS, BATCH = 4, 4  # images of a step, on all devices together


class Network(nn.Cell):
    """Two branches, so that nothing but the graph orders what the devices tell each other."""

    def __init__(self):
        super().__init__()
        self.stem = conv_block(3, 8, 3, 2)
        self.left, self.right = conv_block(8, 16, 3, 2), conv_block(8, 8, 1)
        self.head1, self.head2 = head_conv(16, 2), head_conv(8, 2)

    def construct(self, x):
        x = self.stem(x)
        return self.head1(self.left(x)), self.head2(self.right(x))


class Loss(nn.Cell):
    """Means over the batch, as all losses of ours are."""

    def construct(self, heads, targets):
        first = ((heads[0] - targets[0]) ** 2).mean()
        return first + (heads[1] ** 2).mean(), first


def state(network):
    return {item.name: item.asnumpy().copy() for item in network.get_parameters()}


def train(network, devices, is_fixed=False):
    """Return the parameters after some steps on this device's share of the batches."""
    if is_fixed:
        for name, item in network.parameters_and_names():
            item.requires_grad = not name.endswith(("gamma", "beta"))
    optimiser = make_optimiser(network.get_parameters(), np.full(STEPS, 0.05), 0.9, 1e-3)
    reducer = parallel.make_reducer(optimiser.parameters, devices)
    step = TrainStep(network, Loss(), optimiser, reducer)
    rng = np.random.default_rng(0)
    share = slice(devices.rank * BATCH // devices.size, (devices.rank + 1) * BATCH // devices.size)
    losses = []
    for _ in range(STEPS):
        images = rng.random((BATCH, 3, 32, 32), np.float32)[share]
        truth = rng.random((BATCH, 21, 8, 8), np.float32)[share]
        loss, *_ = step(mindspore.Tensor(images), mindspore.Tensor(truth))
        losses.append(float(loss))
    return state(network) | {"losses": parallel.average(losses, devices)}


def laws(folder, devices):
    found = {}
    for mode in ("sync", "fixed", "plain"):
        mindspore.set_seed(devices.rank)
        network = Network()
        own = state(network)
        parallel.broadcast(network, devices)
        start = state(network)
        if mode == "sync":
            use_sync_norm(network)
            assert sum(isinstance(cell, SyncBatchNorm) for _, cell in network.cells_and_names()) == 3
        assert list(state(network)) == list(own)
        found |= {f"own/{mode}": own, f"start/{mode}": start, f"two/{mode}": train(network, devices, mode == "fixed")}
    found["calls"] = {
        "average": parallel.average(np.full((2, 3), devices.rank + 1.0), devices),
        "scalar": parallel.average(devices.rank, devices),
    }
    mode = ("sync", "fixed")[devices.rank]  # both at the same time, each on its own; "plain" would be "sync"
    alone = Network()
    for item in alone.get_parameters():
        item.set_data(mindspore.Tensor(found[f"start/{mode}"][item.name]))
    found[f"one/{mode}"] = train(alone, Devices(), mode == "fixed")
    flat = {f"{key}/{name}": value for key, values in found.items() for name, value in values.items()}
    np.savez(folder / f"{devices.rank}.npz", **flat)
    print(f"rank {devices.rank} of {devices.size} is done")


def main():
    folder = Path(sys.argv[1])
    devices = parallel.start(True, "cpu")
    if sys.argv[2] == "laws":
        return laws(folder, devices)
    (folder / "last.ckpt").touch()
    while True:
        parallel.barrier(devices)
        (folder / f"{devices.rank}.turns").touch()


if __name__ == "__main__":
    main()
