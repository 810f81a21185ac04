"""Labels of every kind become the same columns, and every wrong line is named."""

from __future__ import annotations

import json
import unicodedata

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from labels_made import dota, line, picture

from geodetect.errors import InputError, LabelError, SceneError
from geodetect.grid import GeoGrid
from training.labels import LayerOptions, read_labels
from training.labels.dota import parse_object

HEADER = "imagesource:GoogleEarth\ngsd:0.5\n"


def boxes(image) -> list[list[float]]:
    return np.concatenate([image.corners.min(1), image.corners.max(1)], 1).tolist()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("header", ["", HEADER, "gsd:null\n\n"])
def test_dota_with_any_line_ends_mark_and_header(tmp_path, end, mark, header):
    text = mark + (header + line(1, 2, 11, 22) + "\n\n" + line(3, 4, 5, 6, "plane", 1) + "\n").replace("\n", end)
    found = read_labels([dota(tmp_path, {"a": text})])
    (image,) = found.images
    assert (found.kind, image.name, image.split) == ("dota", "a", "")
    assert boxes(image) == [[1, 2, 11, 22], [3, 4, 5, 6]]
    assert image.names.tolist() == ["ship", "plane"]
    assert image.ignored.tolist() == [False, True]
    assert image.gsd == (0.5 if header == HEADER else None)


def test_dota_keeps_oriented_corners_and_the_flag_may_be_missing(tmp_path):
    found = read_labels([dota(tmp_path, {"a": "10 0 20 10 10 20 0 10 ship\n5 5 6 5 6 6 5 6 ship 2"})])
    assert found.images[0].corners[0].tolist() == [[10, 0], [20, 10], [10, 20], [0, 10]]
    assert found.images[0].ignored.tolist() == [False, True]


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8), st.sampled_from("012"))
def test_a_dota_line_reads_back(numbers, flag):
    corners, name, difficult = parse_object(" ".join(map(repr, numbers)) + f" small-vehicle {flag}")
    assert (corners, name, difficult) == (numbers, "small-vehicle", flag != "0")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("1 2 3 4 5 6 7 8", "8 fields where an object has 9 or 10"),
        ("1 2 3 4 5 6 7 8 a b c", "11 fields"),
        ("1 2 3 4 5 x 7 8 ship 0", "coordinate 6 is 'x'"),
        ("1 2 3 nan 5 6 7 8 ship 0", "coordinate 4 is 'nan'"),
        ("1 2 3 4 5 6 7 inf ship 0", "coordinate 8 is 'inf'"),
        ("1 2 3 4 5 6 7 8 0", "the class is '0'"),
        ("1 2 3 4 5 6 7 8 ship yes", "the difficult flag is 'yes'"),
        ("source:Google", "1 field where"),
    ],
)
def test_a_wrong_dota_line_is_refused_by_file_line_and_reason(tmp_path, wrong, reason):
    dota(tmp_path, {"a": f"{HEADER}{line(1, 2, 3, 4)}\n{wrong}\n"})
    with pytest.raises(LabelError, match=rf"a\.txt, line 4: .*{reason}"):
        read_labels([tmp_path])


def test_a_dota_class_that_is_not_listed_is_refused(tmp_path):
    dota(tmp_path, {"a": line(1, 2, 3, 4) + "\n" + line(1, 2, 3, 4, "shipp")})
    (tmp_path / "classes.txt").write_text("plane\nship\n")
    with pytest.raises(LabelError, match=r"a\.txt, line 2: the class 'shipp' is not in classes\.txt"):
        read_labels([tmp_path])


def test_text_that_is_no_utf8_is_refused_by_line(tmp_path):
    dota(tmp_path, {"a": ""})
    (tmp_path / "labelTxt" / "a.txt").write_bytes(line(1, 2, 3, 4).encode() + b"\n" + "Kähne".encode("cp1252"))
    with pytest.raises(LabelError, match=r"a\.txt, line 2: not UTF-8"):
        read_labels([tmp_path])


def test_dota_labels_need_their_image_and_unlabelled_images_are_left_out(tmp_path):
    dota(tmp_path, {"a": line(1, 2, 3, 4)})
    picture(tmp_path / "images" / "b.png")
    found = read_labels([tmp_path])
    assert [image.name for image in found.images] == ["a"]
    assert "b.png" in found.notes[0]
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(LabelError, match=r"no image for the labels .*a\.txt"):
        read_labels([tmp_path])


@pytest.mark.parametrize("name", ["labelTxt-v1.5", "labels"])
def test_dota_labels_in_a_folder_of_another_name(tmp_path, name):
    (dota(tmp_path, {"a": line(1, 2, 3, 4)}) / "labelTxt").rename(tmp_path / name)
    assert read_labels([tmp_path]).kind == "dota"
    (tmp_path / name).rename(tmp_path / "other")
    assert len(read_labels([tmp_path], tmp_path / "other").images[0]) == 1


def test_train_and_val_folders_are_splits(tmp_path):
    for split in ("train", "val"):
        dota(tmp_path / split, {f"{split} ü": line(1, 2, 3, 4)})
    assert [(i.split, i.name) for i in read_labels([tmp_path]).images] == [("train", "train ü"), ("val", "val ü")]


def test_an_umlaut_of_two_characters_finds_its_image(tmp_path):
    dota(tmp_path, {unicodedata.normalize("NFD", "Köln"): line(1, 2, 3, 4)})
    (tmp_path / "labelTxt" / unicodedata.normalize("NFD", "Köln.txt")).rename(tmp_path / "labelTxt" / "Köln.txt")
    assert read_labels([tmp_path]).images[0].name == "Köln"


def test_two_images_of_one_name_are_refused(tmp_path):
    dota(tmp_path, {"a": ""})
    picture(tmp_path / "images" / "a.jpg")
    with pytest.raises(LabelError, match="have the same name"):
        read_labels([tmp_path])


def coco(folder, **changes):
    picture(folder / "pictures" / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 200, "height": 150}],
        "categories": [{"id": 9, "name": "ship"}, {"id": 3, "name": "plane"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, 10, 20], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [3, 4, 5, 6], "iscrowd": 1},
        ],
    }
    content |= changes
    (folder / "labels.json").write_text(json.dumps(content))
    return folder / "labels.json"


def test_coco(tmp_path):
    found = read_labels([tmp_path / "pictures"], coco(tmp_path))
    (image,) = found.images
    assert (found.kind, found.classes, image.size) == ("coco", ("plane", "ship"), (200, 150))
    assert boxes(image) == [[1, 2, 11, 22], [3, 4, 8, 10]]
    assert image.names.tolist() == ["ship", "plane"]
    assert image.ignored.tolist() == [False, True]


def one(**fields):
    return {"annotations": [{"id": 5, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4]} | fields]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (one(category_id=1), "annotation 5: category_id is 1"),
        (one(image_id=1), "annotation 5: image_id is 1"),
        (one(bbox=[1, 2, 3]), r"annotation 5: bbox is \[1, 2, 3\]"),
        (one(bbox=[1, 2, float("nan"), 3]), "annotation 5: bbox is"),
        (one(bbox=[1, 2, -3, 3]), "annotation 5: .*negative"),
        ({"images": [{"id": 7, "file_name": "b.png"}]}, r"the image b\.png is missing"),
        ({"categories": None}, "no list 'categories'"),
        ({"categories": [{"id": 9, "name": "a"}, {"id": 3, "name": "a"}]}, "twice"),
    ],
)
def test_wrong_coco_is_refused(tmp_path, changes, reason):
    with pytest.raises(LabelError, match=rf"labels\.json.*{reason}"):
        read_labels([tmp_path / "pictures"], coco(tmp_path, **changes))


def test_json_that_is_cut_off_is_refused_by_line(tmp_path):
    path = coco(tmp_path)
    path.write_text('{"images": [],\n "anno')
    with pytest.raises(LabelError, match=r"labels\.json, line 2: no JSON"):
        read_labels([tmp_path / "pictures"], path)


def yolo(folder, text, split="train"):
    picture(folder / "images" / split / "a b.png")
    (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    (folder / "labels" / split / "a b.txt").write_text(text)
    (folder / "data.yaml").write_text("names: {0: plane, 1: ship}\n")
    return folder


def test_yolo(tmp_path):
    yolo(tmp_path, "1 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.3 0.1 0.2 0.4\n", "train")
    picture(yolo(tmp_path, "", "val") / "images" / "val" / "background.png")
    found = read_labels([tmp_path])
    assert (found.kind, found.classes) == ("yolo", ("plane", "ship"))
    assert [(i.split, i.name, len(i)) for i in found.images] == [
        ("train", "a b", 2), ("val", "a b", 0), ("val", "background", 0)
    ]  # fmt: skip
    assert found.images[0].relative
    assert np.allclose(boxes(found.images[0]), [[0.4, 0.3, 0.6, 0.7], [0.1, 0.1, 0.3, 0.4]])
    assert found.images[0].names.tolist() == ["ship", "plane"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("2 .5 .5 .1 .1", "the class is '2', a number from 0 to 1"),
        ("ship .5 .5 .1 .1", "the class is 'ship'"),
        ("1 .5 .5 .1", "4 fields"),
        ("1 300 .5 .1 .1", "number 1 after the class is '300'"),
        ("1 .5 nan .1 .1", "number 2 after the class is 'nan'"),
        ("1 .5 .5 -.1 .1", "negative"),
    ],
)
def test_a_wrong_yolo_line_is_refused(tmp_path, wrong, reason):
    with pytest.raises(LabelError, match=rf"a b\.txt, line 2: .*{reason}"):
        read_labels([yolo(tmp_path, f"0 .5 .5 .1 .1\n{wrong}\n")])


def test_one_folder_for_train_and_val_is_taken_once(tmp_path):
    yolo(tmp_path, "1 0.5 0.5 0.2 0.4\n", "train")
    path = tmp_path / "data.yaml"
    path.write_text("names: [plane, ship]\ntrain: images/train\nval: ./images/train\n")
    found = read_labels([path])
    assert [image.split for image in found.images] == ["train"]
    assert "for both train and val, and taken once; --val-share" in found.notes[0]


def test_yolo_without_names_takes_the_chosen_classes(tmp_path):
    (yolo(tmp_path, "1 .5 .5 .1 .1") / "data.yaml").unlink()
    with pytest.raises(LabelError, match="--classes"):
        read_labels([tmp_path])
    assert read_labels([tmp_path], classes=("a", "b")).images[0].names.tolist() == ["b"]


def layer(path, shapes, crs="EPSG:32631", **columns):
    columns = {"class": ["ship"] * len(shapes)} | columns
    geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(path)
    return path


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".shp"])
@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3857"])
def test_a_layer_in_any_crs_over_a_scene(tmp_path, write_raster, ending, crs):
    if ending == ".geojson" and crs == "EPSG:3857":
        crs = "EPSG:4326"
    scene = write_raster(np.zeros((3, 100, 200), np.uint8))
    shape = shapely.box(500_010, 4_999_970, 500_020, 4_999_990)  # px 20..40, 20..60
    frame = geopandas.GeoSeries([shape], crs="EPSG:32631").to_crs(crs)
    found = read_labels([scene], layer(tmp_path / f"ships{ending}", list(frame), crs))
    assert found.kind == "layer"
    assert np.allclose(boxes(found.images[0]), [[20, 20, 40, 60]], atol=0.05)
    assert found.images[0].gsd == pytest.approx(0.5, rel=0.01)


def test_a_layer_over_a_rotated_scene_keeps_four_corners(tmp_path, write_raster):
    turned = Affine(0.4, -0.3, 500_000, -0.3, -0.4, 5_000_000)
    scene = write_raster(np.zeros((3, 100, 200), np.uint8), transform=turned)
    shape = shapely.Polygon(GeoGrid(200, 100, turned).rings(np.array([[20, 20, 40, 60]]))[0])
    image = read_labels([scene], layer(tmp_path / "a.gpkg", [shape])).images[0]
    assert np.allclose(sorted(image.corners[0].round(6).tolist()), [[20, 20], [20, 60], [40, 20], [40, 60]])


def test_points_need_a_size_in_metres(tmp_path, write_raster):
    scene = write_raster(np.zeros((3, 100, 200), np.uint8))
    path = layer(tmp_path / "a.gpkg", [shapely.Point(500_010, 4_999_990)])
    with pytest.raises(LabelError, match="--point-size"):
        read_labels([scene], path)
    image = read_labels([scene], path, options=LayerOptions(point_size=5)).images[0]
    assert np.allclose(boxes(image), [[15, 15, 25, 25]], atol=0.02)


def test_a_layer_is_told_its_errors(tmp_path, write_raster):
    scene = write_raster(np.zeros((3, 100, 200), np.uint8))
    with pytest.raises(LabelError, match=r"empty\.gpkg holds no object"):
        read_labels([scene], layer(tmp_path / "empty.gpkg", []))
    inside, away = shapely.box(500_010, 4_999_970, 500_020, 4_999_990), shapely.box(0, 0, 1, 1)
    with pytest.raises(LabelError, match=r"no object of .* lies in"):
        read_labels([scene], layer(tmp_path / "away.gpkg", [away]))
    with pytest.raises(LabelError, match="object 2: its class is empty"):
        read_labels([scene], layer(tmp_path / "empty.gpkg", [inside, inside], **{"class": ["ship", None]}))
    with pytest.raises(InputError, match="--class-field"):
        read_labels([scene], layer(tmp_path / "field.gpkg", [inside], **{"class": ["a"]}),
                    options=LayerOptions(class_field="sort"))  # fmt: skip
    found = read_labels([scene], layer(tmp_path / "some.gpkg", [inside, away], difficult=[1, 0]))
    assert found.notes == ("1 object of some.gpkg lies in no scene",)
    assert found.images[0].ignored.tolist() == [True]
    bare = write_raster(np.zeros((3, 100, 200), np.uint8), "bare.tif", crs=None)
    with pytest.raises(LabelError, match=r"bare\.tif has no CRS"):
        read_labels([bare], layer(tmp_path / "b.gpkg", [inside]))
    with pytest.raises(SceneError, match="cannot be opened"):
        read_labels([tmp_path / "some.gpkg"], tmp_path / "b.gpkg")


def test_data_without_known_labels_is_refused(tmp_path):
    picture(tmp_path / "a.png")
    for path in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(LabelError, match="--labels"):
            read_labels([path])
    with pytest.raises(LabelError, match="does not exist"):
        read_labels([tmp_path / "no"])
