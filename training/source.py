"""Which model is meant: a name, a package, a training run, or a file."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from geodetect import registry
from geodetect.card import FILES, ModelCard
from geodetect.errors import DownloadError, ModelError
from geodetect.package import CARD, ModelPackage, read_card
from geodetect.progress import SILENT, Reporter
from training.storage import fetch
from training.storage.addresses import is_remote

CHECKPOINTS = ("best.ckpt", "last.ckpt")  # of a run's folder, the first that is there


def open_source(model: str | Path, card: str | Path | None = None, reporter: Reporter = SILENT) -> ModelPackage:
    """Return the package that `model` means, verified; a checkpoint becomes one without being copied.

    Args:
        model: a name of the catalogue (downloaded on its first use); a package's folder; a training run's folder,
            which means its best.ckpt, else its last.ckpt; or a file (.ckpt, .safetensors, .npz, .mindir, .onnx).
            Folders and files may be URLs (s3://, obs://).
        card: the `model.yaml` of a file or a run; None: the one beside it.
        reporter: is told of downloads.

    Raises:
        ModelError: there is no such model, or it is wrong.
        DownloadError: it could not be fetched.
    """
    if is_remote(model):
        model, card = _fetch(str(model), card, reporter)
    elif card is not None and is_remote(card):
        card = fetch(str(card), reporter=reporter)
    path = Path(model)
    if not os.path.exists(path) and (
        len(path.parts) > 1 or path.suffix in registry.MODEL_FILES
    ):  # no name looks like that
        raise ModelError(f"{path} is not there, neither file nor folder; check the path")
    if card is None and (os.path.isfile(path) or _is_run(path)):
        beside = (path if path.is_dir() else path.parent) / CARD
        card = beside if beside.is_file() and path != beside else None
    if os.path.isdir(path) and card is not None:
        path = _checkpoint(path)
    if card is not None:
        return registry.resolve(path, card)
    return registry.resolve(model, None, lambda done, total: reporter.progress("download", done, total or 0))


def _is_run(path: Path) -> bool:
    """Return whether a folder is a training run's: its card names no weights, since they change while it goes on."""
    if not os.path.isfile(path / CARD):
        return False
    card = read_card(path / CARD)
    return not _names_files(card) and (card.source is None or any((path / name).is_file() for name in CHECKPOINTS))


def _names_files(card: ModelCard) -> bool:
    return card.weights is not None or card.onnx is not None


def _checkpoint(run: Path) -> Path:
    for name in CHECKPOINTS:
        if (run / name).is_file():
            return run / name
    raise ModelError(f"{run} holds neither {' nor '.join(CHECKPOINTS)}; name a checkpoint, or train first")


def _fetch(url: str, card: str | Path | None, reporter: Reporter) -> tuple[Path, str | Path | None]:
    """Return local copies of a remote model and of the card that belongs to it, None for a package's own."""
    url = url.rstrip("/")
    if card is not None and is_remote(card):
        card = fetch(str(card), reporter=reporter)
    if PurePosixPath(url).suffix in registry.MODEL_FILES:
        if card is None:
            card = fetch(f"{url.rpartition('/')[0]}/{CARD}", reporter=reporter)
        return fetch(url, reporter=reporter), card
    own = fetch(f"{url}/{CARD}", reporter=reporter)
    described = read_card(own)
    if _names_files(described):
        for file in filter(None, (getattr(described, role) for role in FILES)):
            fetch(f"{url}/{file.file}", reporter=reporter)
        return own.parent, None
    best, last = CHECKPOINTS
    try:
        return fetch(f"{url}/{best}", reporter=reporter), card or own
    except DownloadError as error:
        reporter.note(f"{last} is taken, since {error}")
        return fetch(f"{url}/{last}", reporter=reporter), card or own
