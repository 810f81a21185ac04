"""The settings of a training run. The command's options are made from the fields of `TrainConfig`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodetect.card import ANCHORS, FAMILIES, VARIANTS, Network
from geodetect.errors import ConfigError
from training.data.augment import Augment
from training.run.schedule import SCHEDULERS, Schedule
from training.run.settings import check, converted, read_settings, setting

DEVICES = ("auto", "cpu", "gpu", "ascend")
OPTIMISERS = ("momentum", "adamw")


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Units stand in each field's text; an empty text, an empty list and None mean "not given"."""

    data_dir: str = setting("Data", "", "Prepared data set: a folder, or an s3:// or obs:// URL of one.", free=True)
    labels: tuple[str, ...] = setting("Data", (), "Classes in the model's order; else those of the data set.")
    keep_empty: bool = setting("Data", True, "Learn from images without an object too.")
    balance: float = setting(
        "Data",
        0.0,
        "0: each image once an epoch; to 1: images of rare classes the more often, of others the less.",
        least=0,
        most=1,
    )
    crowds: float = setting(
        "Data", 0.0, "0: as balance says; to 1: images with many objects the more often.", least=0, most=1
    )
    workers: int = setting("Data", 0, "Workers that read images; 0: by the cores.", least=0, most=256, free=True)

    network: str = setting("Network", "yolov3-tiny", "Family of the network.", choices=FAMILIES)
    variant: str | None = setting(
        "Network",
        None,
        "As the model zoo has the network, as Darknet, or yolov3-tiny with three heads; else as what it starts from.",
        choices=("mindspore", "darknet", "3l"),
    )
    training_shape: int | None = setting(
        "Network",
        None,
        "Side of the canvas in training, px; else 416. It shows a part where --input-size is larger.",
        multiple=32,
    )
    multi_scale: tuple[int, ...] = setting(
        "Network", (), "Sides of the canvas, px, to draw from where no --training-shape is given.", multiple=32
    )
    resize_rate: int = setting("Network", 10, "Batches after which another side is drawn.", least=1)
    input_size: int | None = setting(
        "Network", None, "Side of the trained model's canvas, px, in evaluation and after.", multiple=32
    )
    resize: str | None = setting(
        "Network", None, "How an image gets onto the model's canvas.", choices=("letterbox", "stretch")
    )
    fill: int | None = setting("Network", None, "Value of pixels where no image is, 0..255.", least=0, most=255)
    mean: tuple[float, ...] = setting("Network", (), "Subtracted from pixels / 255: three values.", count=3)
    std: tuple[float, ...] = setting("Network", (), "Then divided by: three values.", count=3, above=0)
    anchors: tuple[float, ...] = setting(
        "Network",
        (),
        "Widths and heights of the anchors, px, small to large: 12 or 18 numbers; 18 give yolov3-tiny three heads.",
        above=0,
    )
    gsd: tuple[float, ...] = setting(
        "Network", (), "Finest and coarsest resolution of the images, m/px, for the model card.", count=2, above=0
    )

    pretrained_checkpoint: str = setting(
        "Start",
        "auto",
        "File or model to start from; auto: geodetect's own of the family; none: fresh weights.",
        free=True,
    )
    pretrained_backbone: str = setting(
        "Start", "", "File to take the backbone from: a checkpoint, or Darknet's such as darknet53.conv.74.", free=True
    )
    transfer_train: bool = setting("Start", True, "Start from pretrained weights; false: from fresh ones.", free=True)
    filter_weight: bool = setting("Start", False, "Start with fresh heads even where the classes are equal.", free=True)
    freeze_epochs: int = setting("Start", 0, "Epochs at the start that leave the backbone as it is.", least=0)
    freeze_layers: int = setting(
        "Start", 0, "First convolutions, in Darknet's order, that stay as they are; saves their gradient.", least=0
    )
    resume: bool = setting("Start", False, "Go on with the run in --ckpt-path.", free=True)
    resume_ckpt: str = setting("Start", "", "Checkpoint to go on from, else the run's last.ckpt.", free=True)

    max_epoch: int = setting("Training", 30, "Epochs of the run.", least=1, most=100_000)
    per_batch_size: int = setting("Training", 8, "Images a step on each device.", least=1, most=4096)
    lr: float = setting("Training", 1e-4, "Base learning rate.", above=0)
    lr_scheduler: str = setting("Training", "cosine_annealing", "How the learning rate falls.", choices=SCHEDULERS)
    lr_epochs: tuple[float, ...] = setting("Training", (220.0, 250.0), "exponential: epochs when it falls.", least=0)
    lr_gamma: float = setting("Training", 0.1, "exponential: factor by which it falls.", above=0, most=1)
    eta_min: float = setting("Training", 0.0, "cosine_annealing: last learning rate.", least=0)
    t_max: int | None = setting("Training", None, "cosine_annealing: epoch of the last rate; else the last.", least=1)
    warmup_epochs: float = setting("Training", 1.0, "Epochs over which the rate rises at the start.", least=0)
    optimiser: str = setting("Training", "momentum", "What makes steps of gradients.", choices=OPTIMISERS)
    clip_norm: float = setting("Training", 0.0, "Greatest norm of a gradient, longer ones are cut; 0: any.", least=0)
    momentum: float = setting("Training", 0.9, "Of the optimiser.", least=0, most=0.9999)
    weight_decay: float = setting("Training", 5e-4, "Of the convolutions' weights, in the true gradient.", least=0)
    ema: float = setting(
        "Training",
        0.0,
        "Share that a step keeps of the weights' moving average, which is evaluated and saved; 0: no average.",
        least=0,
        most=0.99999,
    )
    loss_scale: float = setting(
        "Training", 1.0, "The loss is multiplied by it and the gradient divided; changes rounding alone.", above=0
    )
    label_smooth: bool = setting("Training", False, "Smooth the class labels.")
    label_smooth_factor: float = setting("Training", 0.1, "Taken from the true class then.", least=0, most=0.5)
    ignore_threshold: float = setting(
        "Training", 0.7, "IoU with an object from which on a prediction is no background.", least=0, most=1
    )
    max_box: int = setting("Training", 240, "Objects an image; further ones are ignored.", least=1, most=10_000)
    seed: int = setting("Training", 1, "Of weights, order and augmentation.", least=0, most=2**31 - 1)
    augment: Augment = dataclasses.field(
        default_factory=Augment,
        metadata={
            "group": "Training",
            "help": "Of the augmentation, as under augment: in a recipe; scale=0.5,1.5,hue=0.1 or an option each.",
        },
    )

    run_eval: bool = setting(
        "Evaluation", True, "Evaluate on the val split and keep the best weights by AP50.", free=True
    )
    eval_start: int = setting("Evaluation", 1, "First epoch to evaluate after, from 1.", least=1, free=True)
    eval_interval: int = setting("Evaluation", 1, "Epochs from one to the next; the last counts.", least=1, free=True)

    ckpt_path: str = setting(
        "Output", "", "Folder of the run, or an s3:// or obs:// URL; else runs/NETWORK-DATA.", free=True
    )
    ckpt_interval: int = setting("Output", 1, "Epochs from one kept checkpoint to the next.", least=1, free=True)
    keep_checkpoint_max: int = setting("Output", 3, "How many of those are kept.", least=1, free=True)
    save_minutes: float = setting(
        "Output",
        10.0,
        "Minutes after which last.ckpt is saved within an epoch; 0: at its end alone.",
        least=0,
        free=True,
    )
    is_save_on_master: bool = setting(
        "Output", True, "Of many devices the first alone saves; false: each saves its own.", free=True
    )
    log_interval: int = setting(
        "Output", 10, "Steps that a line of the log and of metrics.csv stands for.", least=1, free=True
    )
    name: str = setting("Output", "", "Model's name on its card; else the run folder's.", free=True)

    device: str = setting("Devices", "auto", "What to train on.", choices=DEVICES, free=True)
    device_num: int = setting(
        "Devices", 1, "Devices to train on; above 1, a process is started for each.", least=1, most=4096, free=True
    )
    is_distributed: bool = setting(
        "Devices", False, "Refuse to train without msrun; where it is, false does not switch it off.", free=True
    )
    rank: int | None = setting(
        "Devices", None, "This process's number; the launcher tells it, another is refused.", least=0, free=True
    )
    group_size: int | None = setting(
        "Devices", None, "Number of processes; the launcher tells it, another is refused.", least=1, free=True
    )
    sync_norm: bool = setting("Devices", False, "Batch normalisation over all devices.")
    bind_cpu: bool = setting("Devices", False, "Keep each of device_num processes on cores of its own.", free=True)
    need_profiler: bool = setting("Devices", False, "Profile a few steps into RUN/profile.", free=True)

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            check(item, getattr(self, item.name), TrainConfig)
        variants = VARIANTS[self.network]
        if self.variant not in (None, *variants):
            raise ConfigError(f"variant is {self.variant}, {self.network} has {', '.join(variants)}")
        known = (self.variant,) if self.variant else variants
        needed = sorted({2 * ANCHORS * len(Network(self.network, variant).strides) for variant in known})
        if len(self.anchors) not in (0, *needed):
            numbers = " or ".join(map(str, needed))
            raise ConfigError(f"anchors has {len(self.anchors)} numbers, {self.network} needs {numbers}")
        if self.gsd and self.gsd[0] > self.gsd[1]:
            raise ConfigError(f"gsd is {list(self.gsd)}, give the finest and then the coarsest in m/px")
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError(f"labels is {', '.join(self.labels)}, which names a class twice; name each once")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the canvas in training, px."""
        return (self.training_shape,) if self.training_shape else self.multi_scale or (416,)

    @property
    def canvas(self) -> int:
        """Side of the model's canvas, px: as asked for, else the middle one of training."""
        return self.input_size or sorted(self.sizes)[len(self.sizes) // 2]

    @property
    def schedule(self) -> Schedule:
        """The learning rate of the run; the warm-up takes half of a short run at most."""
        return Schedule(
            kind=self.lr_scheduler,
            lr=self.lr,
            epochs=self.max_epoch,
            warmup_epochs=min(self.warmup_epochs, self.max_epoch / 2),
            lr_epochs=self.lr_epochs,
            lr_gamma=self.lr_gamma,
            eta_min=self.eta_min,
            t_max=self.t_max,
        )

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that a resumed run must share with the run that it goes on with, as plain values."""
        free = {item.name for item in dataclasses.fields(self) if item.metadata.get("free")}
        return {name: value for name, value in self.to_dict().items() if name not in free}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "the configuration") -> TrainConfig:
        """Return settings from a parsed YAML mapping; raises ConfigError naming `where` and the key that is wrong."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where} is no mapping of settings; write lines such as `network: yolov4`")
        values = dict(values)
        try:
            augment = values.pop("augment", None)
            given = converted(values, cls)
            if augment is not None:
                given["augment"] = _augment(augment)
            return cls(**given)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None

    @classmethod
    def from_yaml(cls, path: str | Path) -> TrainConfig:
        """Return settings from a YAML file, or from a recipe by its name; raises ConfigError naming the file."""
        return cls.from_dict(read_settings(path), str(path))

    def to_dict(self) -> dict[str, Any]:
        """Return lists, mappings and scalars, ready for YAML, such that `from_dict` gives equal settings."""
        values = {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}
        augment = {item.name: _plain(getattr(self.augment, item.name)) for item in dataclasses.fields(Augment)}
        return values | {"augment": augment}


def _augment(value: Any) -> Augment:
    if isinstance(value, Augment):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"augment is {value!r}, give a mapping such as {{flip: 0.5}}")
    return Augment(**converted(value, Augment, "augment."))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
