"""From labels to a model that finds objects: prepare, train, eval, export, detect, each as a user would type it.

    python -m benchmarks.bench_fine_tune --data ../shared/data/planes-ships

Without `--data` it takes the labelled images that stand beside the checkout. Figures go to the terminal, everything
that was made to `--out`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from PIL import Image

from benchmarks.measure import ROOT, show

SHARED = Path(os.environ.get("GEODETECT_SHARED", ROOT.parent / "shared"))


def geodetect(*words: object) -> float:
    """Run a command as in a terminal and return the seconds that it took."""
    line = [str(word) for word in words]
    print("\n$ geodetect", *line, flush=True)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "geodetect", *line], check=True)
    return time.perf_counter() - begun


def wrap(image: Path, scene: Path) -> Path:
    """Write an image as a GeoTIFF with a place on the map, 0.5 m a pixel."""
    pixels = np.asarray(Image.open(image).convert("RGB")).transpose(2, 0, 1)
    place = {"crs": "EPSG:32631", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)}
    with rasterio.open(
        scene, "w", driver="GTiff", count=3, dtype="uint8", height=pixels.shape[1], width=pixels.shape[2], **place
    ) as file:
        file.write(pixels)
    return scene


def choose(data: Path, folder: Path, every: int) -> Path:
    """Return a DOTA folder with each `every`th training image and all validation images."""
    for split, step in (("train", every), ("val", 1)):
        for image in sorted((data / split / "images").iterdir())[::step]:
            label = data / split / "labelTxt" / f"{image.stem}.txt"
            for file in (image, label):
                target = folder / split / file.parent.name / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    return folder


def main() -> None:
    """Run all five commands and print what they took and gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "planes-ships", help="a DOTA folder")
    parser.add_argument("--out", type=Path, help="folder to be made; else a temporary one")
    parser.add_argument("--every", type=int, default=2, help="take each n-th training image")
    parser.add_argument("--epochs", type=int, default=6)
    backbone = SHARED / "weights" / "yolov3-tiny.coco.conv.9"
    parser.add_argument("--start", default=str(backbone), help="Darknet file of a backbone, checkpoint, model or none")
    parser.add_argument("--shape", type=int, default=320, help="side of the canvas in training, px")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--quick", action="store_true", help="few images, one epoch")
    options = parser.parse_args()
    if options.quick:
        options.every, options.epochs = 40, 1
    if not options.data.is_dir():
        sys.exit(f"no labelled images in {options.data}; give --data")
    out = options.out or Path(tempfile.mkdtemp(prefix="fine-tune-"))
    out.mkdir(parents=True, exist_ok=True)
    backbone = Path(options.start).is_file() and ".conv." in options.start
    start = ("--pretrained-backbone", options.start) if backbone else ("--pretrained-checkpoint", options.start)
    seconds = {}
    source = choose(options.data, out / "labels", options.every)
    seconds["prepare"] = geodetect("prepare", source, "-o", out / "data", "--tile", 640, "--progress", "none")
    seconds["train"] = geodetect(
        *("train", "--data-dir", out / "data", "--ckpt-path", out / "run", "--name", "planes-ships-fine-tuned"),
        *("--pretrained-checkpoint", "none") * backbone, *start,
        *("--training-shape", options.shape, "--input-size", 640, "--max-epoch", options.epochs, "--lr", options.lr),
        *("--device-num", options.processes, "--eval-interval", max(options.epochs - 1, 1), "--gsd", "0.3,3"),
    )  # fmt: skip
    seconds["eval"] = geodetect("eval", "-m", out / "run", "--data", out / "data", "-o", out / "scores")
    seconds["export"] = geodetect("export", out / "run", out / "model", "--float16")
    scene = wrap(sorted((options.data / "val" / "images").glob("airbus*"))[0], out / "scene.tif")
    found = out / "found.gpkg"
    seconds["detect"] = geodetect(scene, "-m", out / "model", "-o", found, "--preview", out / "found.png")

    with open(out / "run" / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = json.loads((out / "scores" / "scores.json").read_text("utf-8"))
    speeds = sorted(float(row["images_per_s"]) for row in rows[1:])
    first = next(float(row["AP50"]) for row in rows if row["AP50"])
    show("From labels to detections", ("step", "seconds"), [(name, f"{value:.0f}") for name, value in seconds.items()])
    print(f"loss {float(rows[0]['loss']):.1f} at first, {float(rows[-1]['loss']):.1f} at last")
    print(f"AP50 {first:.3f} after one epoch, {scores['coco']['AP50']:.3f} at last")
    print(f"{speeds[len(speeds) // 2]:.1f} images/s, median")
    print(f"all of it is in {out}")


if __name__ == "__main__":
    main()
