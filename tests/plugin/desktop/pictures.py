"""Makes the pictures of qgis_plugin/README.md from what the screen showed during the tests.

`python tests/plugin/desktop/pictures.py [FOLDER]`, where FOLDER holds the tests' screenshots, by default build/qgis;
writes docs/images/qgis/. Needs Pillow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
LARGEST = 200_000  # bytes
EDGE = (160, 160, 160)  # around windows, which have no frame on a screen without a window manager


PICTURES: dict[str, tuple[str, tuple[int, int, int, int] | None]] = {  # screenshot; left, top, right, bottom of it, px
    "engine": ("02-install-window", None),
    "settings": ("03-settings-window", (0, 0, 1029, 392)),
    "detect": ("05-running", (600, 100, 1400, 870)),
    "result": ("06-result", (0, 100, 1400, 640)),
    "correct": ("10-selected", (300, 100, 1400, 680)),
    "processing": ("13-processing-window", None),
}


def main() -> None:
    """Cut, reduce to a palette and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "qgis")
    folder: Path = parser.parse_args().folder
    into = ROOT / "docs" / "images" / "qgis"
    into.mkdir(parents=True, exist_ok=True)
    for name, (screenshot, box) in PICTURES.items():
        path = into / f"{name}.png"
        image = Image.open(folder / f"{screenshot}.png").convert("RGB")
        image = image.crop(box) if box else image
        write(framed(image) if screenshot.endswith("-window") else image, path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def framed(image: Image.Image) -> Image.Image:
    """Return a window with an edge."""
    whole = Image.new("RGB", (image.width + 2, image.height + 2), EDGE)
    whole.paste(image, (1, 1))
    return whole


def write(image: Image.Image, path: Path) -> None:
    """Write a picture with the colours of a palette, which keeps those that few pixels have."""
    image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST} bytes: cut out less")


if __name__ == "__main__":
    main()
