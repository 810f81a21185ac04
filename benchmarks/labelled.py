"""Images to measure on: labelled ones, whole, as tiles or at a part of their resolution, and some without an object."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from geodetect.demo.canvas import Frame, noise
from geodetect.demo.coast import draw_sea
from geodetect.demo.ground import draw_ground
from geodetect.progress import SILENT
from training.data.index import Index, read_index
from training.prepare import PrepareSettings, prepare
from training.scoring.images import open_images

TILE = 640  # px
DRAWN = ("sea", "sea under clouds", "noise", "ground")  # without planes and ships


@contextlib.contextmanager
def tiles(data: Path, split: str, doubles: str, side: int = TILE, overlap: float = 0.2) -> Iterator[Index]:
    """Yield the tiles of a folder in DOTA's layout."""
    own = str(_own(data, split))
    with tempfile.TemporaryDirectory(prefix="geodetect-") as folder:
        settings = PrepareSettings(
            (own,), folder, tile=side, overlap=overlap, empty_rate=1.0, val_share=0.0, doubles=doubles
        )
        prepare(settings, SILENT)
        yield read_index(folder, "train")  # what has no splits is called so


def _own(data: Path, split: str) -> Path:
    """Return a split's own folder, `data` itself where it has no splits."""
    return data / split if (data / split).is_dir() else data


@contextlib.contextmanager
def shrunk(data: Path, split: str, times: int) -> Iterator[Path]:
    """Yield a folder with a split's images and labels at a part of their resolution; whole pixels are averaged."""
    if times == 1:
        yield data
        return
    source = _own(data, split)
    with tempfile.TemporaryDirectory(prefix="geodetect-") as folder:
        for kind in ("images", "labelTxt"):
            (Path(folder) / split / kind).mkdir(parents=True)
        for path in sorted((source / "images").iterdir()):
            image = Image.open(path).convert("RGB")
            small = image.reduce(times)
            small.save(Path(folder) / split / "images" / f"{path.stem}.png")
            label = source / "labelTxt" / f"{path.stem}.txt"
            lines = [_shrunk_label(line, times) for line in label.read_text("utf-8").splitlines()]
            (Path(folder) / split / "labelTxt" / label.name).write_text("\n".join(lines) + "\n", "utf-8")
        yield Path(folder)


def _shrunk_label(line: str, times: int) -> str:
    words = line.split()
    return " ".join([*(f"{float(word) / times:.2f}" for word in words[:8]), *words[8:]]) if len(words) > 8 else line


@contextlib.contextmanager
def empty_parts(data: Path, split: str, side: int) -> Iterator[Index]:
    """Yield the tiles that lie side by side and show no part of an object, not even of a difficult one."""
    with tiles(data, split, "keep", side, 0.0) as index:
        yield index.select(np.diff(index.offsets) == 0)


@contextlib.contextmanager
def drawn_empty(count: int = 32) -> Iterator[Index]:
    """Yield `count` drawn images of each of DRAWN, named `KIND_NUMBER`."""
    with tempfile.TemporaryDirectory(prefix="geodetect-") as folder:
        for kind in DRAWN:
            for number, pixels in enumerate(itertools.islice(_draw_empty(kind), count)):
                Image.fromarray(pixels).save(Path(folder) / f"{kind}_{number}.png")
        yield open_images(Path(folder), "val")


def _draw_empty(kind: str) -> Iterator[np.ndarray]:
    """Yield images without a plane or ship, (TILE, TILE, 3) uint8."""
    for rng in map(np.random.default_rng, itertools.count()):
        if kind == "ground":  # an airport, fields, a town and a quay, of which each tile has a part
            pixels = draw_ground(Frame(4 * TILE, 0.5), rng)
            yield from (part for row in np.split(pixels, 4) for part in np.split(row, 4, axis=1))
        elif kind == "noise":
            yield rng.integers(0, 256, (TILE, TILE, 3), np.uint8)
        else:
            sea = draw_sea(Frame(TILE, 0.5), np.full((TILE, TILE), 255, np.uint8), rng) * rng.uniform(0.6, 2.5)
            cover = _clouds(rng) if kind == "sea under clouds" else 0.0
            pixels = sea * (1 - cover) + rng.uniform(190, 250) * cover + rng.normal(0, 2.5, sea.shape)
            yield np.clip(pixels, 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Return what share of the light comes from clouds, (TILE, TILE, 1) 0..1."""
    layers = ((320, 0.75), (90, 0.5), (24, 0.3), (7, 0.12))  # width in px and weight
    height = sum(weight * noise(TILE, width, rng) for width, weight in layers)
    return np.clip(height + rng.uniform(-0.3, 0.6), 0, 1)[..., None]
