"""Models by name: bundled with geodetect, installed in the user's folder, or known and not yet downloaded."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geodetect.card import FAMILIES, ModelCard, WeightsFile
from geodetect.checksum import file_sha256
from geodetect.download import MOST_BYTES, Progress, fetch
from geodetect.errors import DownloadError, ModelError
from geodetect.networks.graphs import shapes_of
from geodetect.networks.parameters import read_parameters
from geodetect.package import (
    CARD,
    PARAMETER_FORMATS,
    WEIGHTS_FORMATS,
    ModelPackage,
    check_package,
    convert_weights,
    open_package,
    read_card,
    write_package,
)

BUILT_IN = Path(__file__).parent / "models"
MODEL_FILES = (*WEIGHTS_FORMATS, ".onnx")
IMPORTED_FILES = (*MODEL_FILES, ".weights")  # Darknet's are converted
_STATES = ("installed", "bundled", "not downloaded", "broken")  # the order in which an alias prefers them


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that geodetect knows by name."""

    name: str
    state: str  # "bundled", "installed", "not downloaded" or "broken"
    root: Path
    card: ModelCard | None  # None where it is broken
    problem: str = ""  # why it is broken
    size: int = 0  # bytes on this disk, or to be downloaded

    @property
    def family(self) -> str:
        """The network's family, empty where the model is broken."""
        return self.card.network.family if self.card else ""


def home() -> Path:
    """Return the folder for the user's models: `GEODETECT_HOME`, else the system's place for a user's data."""
    import platformdirs

    return Path(os.environ.get("GEODETECT_HOME") or platformdirs.user_data_dir("geodetect", appauthor=False))


def catalogue() -> tuple[Entry, ...]:
    """Return every known model, sorted by name; an installed one hides a built-in one of the same name."""
    entries = {entry.name: entry for entry in _scan(BUILT_IN, "bundled")}
    entries |= {entry.name: entry for entry in _scan(home() / "models", "installed")}
    return tuple(entries[name] for name in sorted(entries))


def resolve(model: str | Path, card: str | Path | None = None, progress: Progress | None = None) -> ModelPackage:
    """Return the package that `model` means, verified; a built-in one is downloaded on its first use.

    Args:
        model: a name of the catalogue; a family, which means its best model here: installed before bundled before
            not downloaded, then the higher version (the package's card tells which it is); a package's folder; or,
            together with `card`, a file (.safetensors, .npz, .ckpt, .mindir, .onnx). A name wins over a folder of
            that name; write ./NAME for the folder.
        card: the `model.yaml` that describes such a file.
        progress: told (bytes so far, bytes in all) of a download.

    Raises:
        ModelError: no such model, or it is wrong.
        DownloadError: the model could not be fetched.
    """
    if card is not None:
        return _open_file(Path(model), read_card(card))
    entry = _named(model)
    return pull(entry.name, progress) if entry.state == "not downloaded" else open_package(entry.root)


def card_of(model: str | Path, card: str | Path | None = None) -> ModelCard:
    """Return the card of the package that `resolve` would give, but fetch and check nothing else.

    So that a scene, an area or an option that cannot be used is found before half a gigabyte is downloaded.

    Raises ModelError when there is no such model, or its card is wrong.
    """
    if card is not None:
        return read_card(card)
    entry = _named(model)
    if entry.card is None:
        raise ModelError(entry.problem)
    return entry.card


def lookup(model: str | Path) -> Entry:
    """Return what a name, a family or a package's folder stands for, as `resolve` has it, but fetch and check nothing.

    Raises ModelError when there is no such model.
    """
    entries = {entry.name: entry for entry in catalogue()}
    entry = entries.get(str(model)) or _best_of_family(str(model), entries.values())
    if entry is not None:
        return entry
    root = Path(model).parent if Path(model).name == CARD else Path(model)
    if os.path.isfile(root / CARD):  # where pathlib would raise on a name too long
        return _entry(root, "installed")
    if os.path.isdir(root):
        raise ModelError(f"{root} is no model package: it has no {CARD}")
    raise ModelError(f"{_unknown(str(model), entries)}, or give the folder of a model package")


def pull(name: str, progress: Progress | None = None, keep_original: bool = False) -> ModelPackage:
    """Download a built-in model, convert its weights once, install the package and return it.

    Nothing is done where it is here already. The checksum of a file whose publisher states none is recorded in the
    installed card (`source.sha256`).

    Raises:
        ModelError: no model of this name has a source.
        DownloadError: the file cannot be had; the message says how to import one fetched by other means.
    """
    entry = lookup(name)
    if entry.state in ("bundled", "installed"):
        return open_package(entry.root)
    name, card = entry.name, built_in_card(entry.name)
    if card.source is None:
        raise ModelError(f"{name} has no address to fetch it from; install geodetect again")
    target = home() / "downloads" / name / card.source.file
    try:
        most = 2 * card.source.size or MOST_BYTES  # the card tells about how much it is
        original = fetch(card.source.url, target, card.source.sha256 or None, progress, most_bytes=most)
    except DownloadError as error:
        raise DownloadError(
            f"{card.source.file}, the weights of {name}, cannot be downloaded: {error}; get the file in another way "
            f"and run: geodetect models import {card.source.file} --as {name}"
        ) from error
    package = import_file(original, card)
    if not keep_original:
        original.unlink()
    return package


def built_in_card(name: str) -> ModelCard:
    """Return the card of a model that geodetect comes with; raises ModelError where there is none."""
    if not os.path.isfile(BUILT_IN / name / CARD) or Path(name).name != name:
        raise ModelError(_unknown(name, [path.parent.name for path in BUILT_IN.glob(f"*/{CARD}")]))
    return read_card(BUILT_IN / name / CARD)


def import_file(
    file: str | Path, card: ModelCard, folder: str | Path | None = None, dtype: str = "float32"
) -> ModelPackage:
    """Make a package from a card and a file of weights, or of the network as ONNX, and return it.

    Parameters (.safetensors, .npz, .ckpt, Darknet's .weights) are stored as safetensors without what a training run
    left beside them, .onnx and .mindir as they are. With `card.source` the file's checksum and size are recorded
    there. A self-test is stored where an engine is installed. A package that is there already is replaced.

    Args:
        file: the weights.
        card: what they are; its `weights` and `onnx` entries are replaced.
        folder: where to write, the user's folder under the card's name if None.
        dtype: "float32", or "float16" for half the size.

    Raises:
        ModelError: the file cannot be read, or does not fit the card.
    """
    file, folder = Path(file), Path(folder) if folder else home() / "models" / card.name
    _check_kind(file, IMPORTED_FILES)
    if card.source is not None:
        source = dataclasses.replace(card.source, sha256=file_sha256(file), size=file.stat().st_size)
        card = dataclasses.replace(card, source=source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        parameters = file.suffix in (*PARAMETER_FORMATS, ".weights")
        weights = convert_weights(file, card, Path(scratch), dtype) if parameters else file
        selftest = _record(_open_file(weights, card), Path(scratch) / "selftest.npz")
        if file.suffix == ".onnx":
            return write_package(folder, card, onnx=file, selftest=selftest)
        return write_package(folder, card, weights=weights, selftest=selftest)


def import_package(folder: str | Path) -> ModelPackage:
    """Copy a package's folder into the user's folder and return the copy; raises ModelError when it is wrong."""
    package = open_package(folder)
    target = home() / "models" / package.card.name
    return write_package(
        target, package.card, package.weights_path, package.onnx_path, package.int8_path, package.selftest_path
    )


def recognise(file: str | Path) -> ModelCard:
    """Return the card of the built-in model, not here yet, that a file is: by its name, else by its shapes.

    Raises ModelError, saying which card the file would fit, where that is not one model.
    """
    file = Path(file)
    _check_kind(file, IMPORTED_FILES)
    built_in = [read_card(path) for path in sorted(BUILT_IN.glob(f"*/{CARD}"))]
    wanted = [card for card in built_in if lookup(card.name).state in ("not downloaded", "broken")]
    named = [card for card in wanted if card.source is not None and card.source.file == file.name]
    if named:
        return named[0]
    parameters = read_parameters(file) if file.suffix in PARAMETER_FORMATS else {}
    fitting = [card for card in built_in if _fits(parameters, card)]
    if len(fitting) == 1 and fitting[0] in wanted:
        return fitting[0]
    like = f"its parameters have the shapes of {' and '.join(card.name for card in fitting)}; " if fitting else ""
    hint = f", or --as {fitting[0].name} if it is that very model" if fitting else ", or --as NAME for a built-in model"
    raise ModelError(f"{file} does not say what it detects; {like}give --card {CARD}{hint}")


def _fits(parameters: Mapping[str, np.ndarray], card: ModelCard) -> bool:
    return {name: array.shape for name, array in parameters.items()} == shapes_of(card)


def _record(package: ModelPackage, path: Path) -> Path | None:
    """Write a self-test where an engine is installed that takes the file."""
    from geodetect import engines, selftest

    if package.card.weights is not None and package.card.weights.file.endswith(".mindir"):
        return None  # a MindIR file has a canvas of one size
    if not engines.available():
        return None
    try:
        selftest.record_selftest(package, path)
    except ModelError:  # an ONNX file may take canvases of its own size only
        selftest.record_selftest(package, path, side=package.card.input.size)
    return path


def _named(model: str | Path) -> Entry:
    path = Path(model)
    if os.path.isfile(path) and path.suffix in IMPORTED_FILES:
        raise ModelError(f"{path} does not say what it detects; give its card with --card {CARD}")
    return lookup(model)


def _scan(folder: Path, state: str) -> Iterator[Entry]:
    for path in folder.glob(f"*/{CARD}"):
        if not path.parent.name.startswith("."):  # that is a package being written
            yield _entry(path.parent, state)


def _entry(root: Path, state: str) -> Entry:
    """Return the entry of a package's folder; `state` is what it is if its files are there."""
    try:
        card = read_card(root / CARD)
        if card.weights is None and card.onnx is None and card.source is not None:
            return Entry(root.name, "not downloaded", root, card, size=card.source.size)
        check_package(ModelPackage(card, root), checksums=False, parameters=False)
    except ModelError as error:
        return Entry(root.name, "broken", root, None, str(error))
    size = sum(file.stat().st_size for file in root.iterdir() if file.is_file())
    return Entry(root.name, state, root, card, size=size)


def _best_of_family(family: str, entries: Iterable[Entry]) -> Entry | None:
    """Return the entry that a family's name stands for, None where it is no family or has no model."""
    found = [entry for entry in entries if entry.card is not None and entry.family == family]
    found.sort(key=lambda entry: _version(entry.card.version if entry.card else ""), reverse=True)
    return min(found, key=lambda entry: _STATES.index(entry.state), default=None)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _open_file(file: Path, card: ModelCard) -> ModelPackage:
    """Return a file as a package of its own, without copying it."""
    _check_kind(file)
    entry = WeightsFile(file.name, file_sha256(file))
    is_onnx = file.suffix == ".onnx"
    package = ModelPackage(card.holding(**{"onnx" if is_onnx else "weights": entry}), file.parent)
    check_package(package, checksums=False)
    return package


def _check_kind(file: Path, kinds: tuple[str, ...] = MODEL_FILES) -> None:
    if not os.path.isfile(file):
        raise ModelError(f"{file} is not there, a file of {', '.join(kinds)} is needed")
    if file.suffix not in kinds:
        convert = "; `geodetect models import` converts it" if file.suffix in IMPORTED_FILES else ""
        raise ModelError(f"{file} is of a kind that is not read, one of {', '.join(kinds)} is needed{convert}")


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [*known, *FAMILIES], 3, 0.5)
    guess = f", did you mean {' or '.join(near)}?" if near else ";"
    return f"no model is called {name}{guess} `geodetect models list` shows all"
