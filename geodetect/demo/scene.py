"""Drawing the demo scene and writing it with its truth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.crs
import rasterio.errors
from PIL import Image, ImageFilter

from geodetect.demo.canvas import Frame
from geodetect.demo.ground import draw_ground
from geodetect.demo.layout import Placed, place_objects
from geodetect.demo.sprites import SHADOW_PER_METRE, SUN, Sprite
from geodetect.files import replacing
from geodetect.geopackage import write_layer

CLASSES = ("plane", "ship")
VERSION = 1  # of the drawing; a scene of another version is drawn anew
TAG = "GEODETECT_DEMO"
EPSG = 32631
ORIGIN = (431_000.0, 4_598_000.0)  # easting, northing of the upper left corner, metres
SHADOW = 0.62  # how much of the light a shadow takes


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What was drawn, one row an object.

    Attributes:
        scene: the GeoTIFF.
        layer: the GeoPackage with the layer `truth`.
        boxes: (N, 4) float64, x1, y1, x2, y2 in px, scene frame.
        labels: (N,) int32, index into CLASSES.
        polygons: (N, 5, 2) float64, closed rings of the boxes in map units.
    """

    scene: Path
    layer: Path
    boxes: np.ndarray
    labels: np.ndarray
    polygons: np.ndarray

    @property
    def classes(self) -> list[str]:
        """The class name of each object."""
        return [CLASSES[label] for label in self.labels]


def make_scene(path: str | os.PathLike[str], size: int = 4096, seed: int = 0, gsd: float = 0.5) -> Truth:
    """Draw an airport by the sea, write it as a GeoTIFF and what it holds as `<stem>-truth.gpkg` beside it.

    The same arguments give the same pixels.

    Args:
        path: of the GeoTIFF, overwritten.
        size: side, px.
        seed: of everything that is random.
        gsd: metres a pixel.
    """
    if size < 256:
        raise ValueError(f"a demo scene of {size} px is too small, 256 are needed")
    pixels, placed = draw_scene(size, seed, gsd)
    objects = [(item.sprite.box, CLASSES.index(item.name)) for item in placed if item.name is not None]
    boxes = np.array([box for box, _ in objects], np.float64).reshape(-1, 4)
    labels = np.array([label for _, label in objects], np.int32)
    scene = Path(path)
    truth = Truth(scene, _layer(scene), boxes, labels, _polygons(boxes, gsd))
    _write_scene(scene, pixels, gsd, _recipe(size, seed, gsd))
    _write_truth(truth)
    return truth


def find_scene(path: str | os.PathLike[str], size: int, seed: int, gsd: float = 0.5) -> Truth | None:
    """Return the truth of a scene that `make_scene` wrote with these arguments, None where there is none."""
    scene = Path(path)
    layer = _layer(scene)
    if not (scene.is_file() and layer.is_file()):
        return None
    import pyogrio.raw
    import shapely

    try:
        with rasterio.open(scene) as source:
            if source.tags().get(TAG) != _recipe(size, seed, gsd):
                return None
        _, _, geometry, (names,) = pyogrio.raw.read(layer, layer="truth", columns=["class"])
    except (rasterio.errors.RasterioError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return None
    polygons = shapely.get_coordinates(shapely.from_wkb(geometry)).reshape(-1, 5, 2)
    corners = (polygons[:, [0, 2]] - ORIGIN) / (gsd, -gsd)
    labels = np.array([CLASSES.index(name) for name in names], np.int32)
    return Truth(scene, layer, corners.reshape(-1, 4), labels, polygons)


def draw_scene(size: int, seed: int, gsd: float) -> tuple[np.ndarray, list[Placed]]:
    """Return the pixels (size, size, 3) uint8 and what was placed on the ground."""
    frame = Frame(size, gsd)
    objects, land, sensor = np.random.default_rng(seed).spawn(3)
    placed = place_objects(frame, objects)
    pixels = draw_ground(frame, land)
    for item in placed:
        if item.wake is not None:
            _stamp(pixels, item.wake)
    for item in placed:
        _cast_shadow(pixels, item.sprite, gsd)
        _stamp(pixels, item.sprite)
    return _sensor(pixels, sensor), placed


def _common(pixels: np.ndarray, left: int, top: int, image: Image.Image) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return where an image lies in the scene, and its part that lies there, float32 0..255."""
    height, width = pixels.shape[:2]
    rows = slice(min(max(top, 0), height), max(min(top + image.height, height), 0))
    columns = slice(min(max(left, 0), width), max(min(left + image.width, width), 0))
    inner = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    return (rows, columns), np.asarray(image, np.float32)[inner]


def _stamp(pixels: np.ndarray, sprite: Sprite) -> None:
    """Put a sprite on the ground."""
    where, colour = _common(pixels, sprite.left, sprite.top, sprite.colour)
    _, cover = _common(pixels, sprite.left, sprite.top, sprite.cover)
    pixels[where] = pixels[where] * (1 - cover[..., None] / 255) + colour


def _cast_shadow(pixels: np.ndarray, sprite: Sprite, gsd: float) -> None:
    """Darken the ground on the side away from the sun."""
    reach = round(sprite.height * SHADOW_PER_METRE / gsd)
    shadow = Image.new("L", (sprite.cover.width + 2 * reach + 4, sprite.cover.height + 2 * reach + 4))
    for step in (0.4, 0.6, 0.8, 1.0):  # an object is no flat sheet: its lower parts throw shorter shadows
        at = round(2 + reach * (1 - SUN[0] * step)), round(2 + reach * (1 - SUN[1] * step))
        shadow.paste(255, at, sprite.cover)
    blurred = shadow.filter(ImageFilter.GaussianBlur(0.8))
    where, cover = _common(pixels, sprite.left - reach - 2, sprite.top - reach - 2, blurred)
    pixels[where] = pixels[where] * (1 - SHADOW * cover[..., None] / 255)


def _sensor(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the scene as a satellite would see it: a little blurred, hazy and noisy."""
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.6)))
    seen = np.empty_like(blurred)
    for top in range(0, len(blurred), 512):  # by strips: float32 copies of a whole scene would take 800 MB
        strip = blurred[top : top + 512].astype(np.float32)
        grain = rng.standard_normal(strip.shape[:2], np.float32)[..., None] * 2.2
        colour = rng.standard_normal(strip.shape, np.float32) * 1.2
        seen[top : top + 512] = np.clip(strip * 0.97 + (5, 7, 9) + grain + colour, 0, 255)
    return seen


def _polygons(boxes: np.ndarray, gsd: float) -> np.ndarray:
    ring = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].reshape(-1, 5, 2)
    return ring * (gsd, -gsd) + ORIGIN


def _layer(scene: Path) -> Path:
    return scene.with_name(f"{scene.stem}-truth.gpkg")


def _recipe(size: int, seed: int, gsd: float) -> str:
    return f"version {VERSION}, {size} px, seed {seed}, {gsd:g} m"


def _write_scene(path: Path, pixels: np.ndarray, gsd: float, recipe: str) -> None:
    profile = {
        "driver": "GTiff", "width": pixels.shape[1], "height": pixels.shape[0], "count": 3, "dtype": "uint8",
        "crs": rasterio.crs.CRS.from_epsg(EPSG), "transform": rasterio.Affine(gsd, 0, ORIGIN[0], 0, -gsd, ORIGIN[1]),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel", "photometric": "RGB",
        "compress": "deflate", "zlevel": 1, "predictor": 2, "num_threads": "all_cpus",
    }  # fmt: skip
    with replacing(path) as temporary, rasterio.open(temporary, "w", **profile) as target:
        target.write(pixels.transpose(2, 0, 1))
        target.update_tags(**{TAG: recipe})


def _write_truth(truth: Truth) -> None:
    import shapely

    with replacing(truth.layer) as temporary:
        polygons = shapely.polygons(truth.polygons)
        write_layer(temporary, "truth", polygons, {"class": np.array(truth.classes, object)}, f"EPSG:{EPSG}")
