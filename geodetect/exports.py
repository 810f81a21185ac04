"""Results in other formats, chosen by the output's ending."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geodetect import geopackage
from geodetect.cells import plain_cell
from geodetect.errors import OutputError
from geodetect.features import Features
from geodetect.files import replacing
from geodetect.grid import GeoGrid
from geodetect.schema import LAYER


def check_format(path: Path) -> None:
    """Raise OutputError where the ending names no known format, or one whose library is missing."""
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"the output {path} has no known ending; give one of {', '.join(FORMATS)}")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise OutputError(
                f"the output {path} needs pyarrow ({error}); pip install geodetect[parquet], or choose .gpkg"
            ) from error


def write(
    path: Path,
    features: Features,
    run: Mapping[str, Any],
    classes: Sequence[str],
    colours: Sequence[str],
    grid: GeoGrid,
) -> None:
    """Write the results to `path` in the format of its ending; see `FORMATS` and `geopackage.write`."""
    if path.suffix.lower() == ".gpkg":
        geopackage.write(path, features, run, classes, colours)
        return
    with replacing(path) as temporary:
        if path.suffix.lower() == ".json":
            _coco(temporary, features, run, classes, grid)
        else:
            FORMATS[path.suffix.lower()](temporary, features)


def _geojson(path: Path, features: Features) -> None:
    # RFC 7946 is longitude and latitude: the one thing that every reader of GeoJSON expects.
    options = {"RFC7946": "YES"} if features.crs is not None else {}
    geometry = features.geometry
    if features.crs is not None and features.crs.is_geographic:
        # Scenes beyond the antimeridian count on to 360; GDAL would cut such polygons away.
        turns = np.floor((shapely.bounds(geometry)[:, 0] + 180) / 360) if len(geometry) else np.empty(0)
        moved, owner = shapely.get_coordinates(geometry, return_index=True)
        moved[:, 0] -= 360 * turns[owner]
        geometry = shapely.set_coordinates(geometry.copy(), moved)
    geopackage.write_layer(path, LAYER, geometry, features.columns, features.wkt, "GeoJSON", **options)


def _flatgeobuf(path: Path, features: Features) -> None:
    geopackage.write_layer(path, LAYER, features.geometry, features.columns, features.wkt, "FlatGeobuf")


def _parquet(path: Path, features: Features) -> None:
    features.to_geodataframe().to_parquet(path)


def _csv(path: Path, features: Features) -> None:
    """Write attributes, the box in scene px and the polygon as WKT in map units; no text is a formula."""
    header = [*features.columns, "xmin_px", "ymin_px", "xmax_px", "ymax_px", "wkt"]
    wkt = shapely.to_wkt(features.geometry, rounding_precision=-1)
    columns = [[_cell(value) for value in column.tolist()] for column in features.columns.values()]
    boxes = [["" if side != side else side for side in sides] for sides in features.boxes.round(3).T.tolist()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(zip(*columns, *boxes, wkt.tolist(), strict=True))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return plain_cell(value)
    return "" if value != value else value  # NaN: not known


def _coco(path: Path, features: Features, run: Mapping[str, Any], classes: Sequence[str], grid: GeoGrid) -> None:
    """Write COCO JSON: one image, boxes in scene px, category ids from 1 in the model's order."""
    image = {"id": 1, "file_name": run["scene"], "width": grid.width, "height": grid.height}
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": label + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            "score": score,
        }
        for number, label, score, (x1, y1, x2, y2) in zip(
            features.columns["id"].tolist(),
            features.columns["class_id"].tolist(),
            features.columns["score"].tolist(),
            features.boxes.tolist(),
            strict=True,
        )
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    content = {"info": dict(run), "images": [image], "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content), "utf-8")


FORMATS: dict[str, Callable[..., None]] = {
    ".gpkg": geopackage.write,
    ".geojson": _geojson,
    ".fgb": _flatgeobuf,
    ".parquet": _parquet,
    ".csv": _csv,
    ".json": _coco,
}
