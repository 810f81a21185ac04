"""A split read as columns, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_dataset import annotation, edit_labels, write_dataset
from PIL import Image

from geodetect.errors import LabelError
from training.data.images import ImageStore, check_images, read_image
from training.data.index import read_index


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "set")


def test_columns_are_what_the_file_says(dataset):
    index = read_index(dataset, "train")
    assert len(index) == 6
    assert index.classes == ("plane", "ship")
    assert index.category_ids == (1, 2)
    assert index.ids.tolist() == [10, 11, 12, 13, 14, 15]
    assert index.path(2) == dataset / "train" / "2.png"
    assert index.path(2).is_file()
    assert index.sizes.tolist() == [[80, 80]] * 6
    boxes, labels, ignored = index.objects(5)
    assert boxes.tolist() == [[5, 12, 25, 26], [35, 16, 55, 30]]
    assert boxes.dtype == np.float32
    assert labels.tolist() == [0, 1]
    assert not ignored.any()
    assert [len(index.objects(i)[0]) for i in range(6)] == [0, 1, 2, 0, 1, 2]
    assert index.notes == ()


def test_order_of_annotations_does_not_matter_between_images(dataset):
    before = read_index(dataset, "train")
    edit_labels(dataset, lambda coco: coco["annotations"].sort(key=lambda a: (a["id"] % 2, a["id"])))
    after = read_index(dataset, "train")
    assert after.offsets.tolist() == before.offsets.tolist()
    assert sorted(map(tuple, after.boxes)) == sorted(map(tuple, before.boxes))


def test_coco_names_are_known(dataset):
    (dataset / "annotations" / "train.json").rename(dataset / "annotations" / "instances_train2017.json")
    (dataset / "train").rename(dataset / "train2017")
    assert read_index(dataset, "train").files[0] == "train2017/0.png"


def test_labels_follow_the_classes_that_are_asked_for(dataset):
    index = read_index(dataset, "train", ("ship", "tank", "plane"))
    assert index.labels.tolist() == [2, 2, 0, 2, 2, 0]
    assert index.category_ids == (2, 3, 1)  # "tank" has none in the file: a free one


def test_categories_are_ranked_by_their_number(dataset):
    edit_labels(dataset, lambda coco: coco["categories"].reverse())
    assert read_index(dataset, "train").classes == ("plane", "ship")


def test_boxes_outside_are_cut_or_left_out_and_told(dataset):
    more = [
        annotation(90, 10, 1, [-10, 70, 30, 40]),
        annotation(91, 10, 1, [85, 0, 10, 10]),
        annotation(92, 10, 1, [20, 20, 0, 5]),
        annotation(93, 10, 1, [20, 20, -8, 5]),
    ]
    edit_labels(dataset, lambda coco: coco["annotations"].extend(more))
    index = read_index(dataset, "train")
    assert index.objects(0)[0].tolist() == [[0, 70, 20, 80]]
    assert index.notes == (
        "1 of 10 boxes reach over their image's border and are cut there",
        "3 of 10 boxes have no area inside their image and are left out",
    )


@pytest.mark.parametrize("flag", [{"iscrowd": 1}, {"ignore": 1}])
def test_crowds_and_difficult_ones_are_ignored(dataset, flag):
    edit_labels(dataset, lambda coco: coco["annotations"][0].update(flag))
    assert read_index(dataset, "train").ignored.tolist() == [True] + [False] * 5


def test_images_without_an_object_can_be_left_out(dataset):
    edit_labels(dataset, lambda coco: coco["annotations"][0].update(iscrowd=1))  # image 1 has only an ignored one
    index = read_index(dataset, "train", keep_empty=False)
    assert index.files == ("train/2.png", "train/4.png", "train/5.png")
    assert [len(index.objects(i)[0]) for i in range(3)] == [2, 1, 2]
    assert index.objects(2)[0].tolist() == read_index(dataset, "train").objects(5)[0].tolist()
    assert index.notes == ("3 of 6 images have no object and are left out",)


def _cut_file(dataset):
    path = dataset / "train" / "3.png"
    path.write_bytes(path.read_bytes()[:-2000])


def _deep_image(dataset):
    Image.fromarray(np.zeros((80, 80), np.uint16)).save(dataset / "train" / "3.png")


DAMAGES = {
    "missing": (lambda d: (d / "train" / "3.png").unlink(), r"image \S+3\.png is missing; restore"),
    "no image": (lambda d: (d / "train" / "3.png").write_text("hello"), r"3\.png cannot be read \(cannot identify"),
    "empty file": (lambda d: (d / "train" / "3.png").write_bytes(b""), r"3\.png cannot be read"),
    "cut off": (_cut_file, r"3\.png cannot be read \(.*truncated.*copy it again"),
    "16 bits": (_deep_image, r"3\.png has pixels of the kind I;16; make 8-bit"),
    "other size": (lambda d: Image.new("RGB", (80, 70)).save(d / "train" / "3.png"), "80 x 70 px, but .* 80 x 80"),
    "no labels": (lambda d: (d / "annotations" / "train.json").unlink(), r"holds no train\.json or instances_train"),
    "no JSON": (lambda d: (d / "annotations" / "train.json").write_text("{"), "train.json"),
    "a list": (lambda d: (d / "annotations" / "train.json").write_text("[]"), "train.json"),
    "no image listed": (lambda d: edit_labels(d, lambda c: c.update(images=[], annotations=[])), "lists no image"),
    "dots only": (
        lambda d: edit_labels(d, lambda c: [a.update(bbox=[3, 3, 1, 1]) for a in c["annotations"]]),
        "no object to learn from",
    ),
    "no object": (lambda d: edit_labels(d, lambda c: c.update(annotations=[])), "no object to learn from"),
    "image twice": (lambda d: edit_labels(d, lambda c: c["images"][1].update(id=10)), "image id 10 twice"),
    "unknown image": (lambda d: edit_labels(d, lambda c: c["annotations"][2].update(image_id=99)), "99.*no image"),
    "unknown category": (lambda d: edit_labels(d, lambda c: c["annotations"][2].update(category_id=7)), "id 7 is used"),
    "no box": (lambda d: edit_labels(d, lambda c: c["annotations"][2].pop("bbox")), "bbox is None"),
    "short box": (lambda d: edit_labels(d, lambda c: c["annotations"][2].update(bbox=[1, 2])), r"bbox is \[1, 2\]"),
    "box of text": (lambda d: edit_labels(d, lambda c: c["annotations"][2].update(bbox=["a"] * 4)), "four numbers"),
    "box without end": (
        lambda d: edit_labels(d, lambda c: c["annotations"][2].update(bbox=[0, 0, float("nan"), 1])),
        "four numbers",
    ),
    "no file name": (lambda d: edit_labels(d, lambda c: c["images"][0].pop("file_name")), "file_name is None"),
    "class twice": (lambda d: edit_labels(d, lambda c: c["categories"][1].update(name="plane")), "one twice"),
    "number twice": (lambda d: edit_labels(d, lambda c: c["categories"][1].update(id=1)), "category id 1 twice"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_is_told_in_one_line(dataset, name):
    damage, message = DAMAGES[name]
    damage(dataset)
    with pytest.raises(LabelError, match=message) as caught:
        read_index(dataset, "train")
    assert "\n" not in str(caught.value)


def test_several_missing_images_are_counted(dataset):
    for i in (1, 3, 4):
        (dataset / "train" / f"{i}.png").unlink()
    with pytest.raises(LabelError, match=r"1\.png, and 2 more are missing"):
        read_index(dataset, "train")


def test_an_unknown_class_is_named_with_the_nearest(dataset):
    with pytest.raises(LabelError, match="'ship', which the model does not; did you mean 'ships'"):
        read_index(dataset, "train", ("plane", "ships"))
    with pytest.raises(LabelError, match="the classes are plane, harbour"):
        read_index(dataset, "train", ("plane", "harbour"))


def test_a_validation_split_may_hold_no_object(dataset):
    write_dataset(dataset, 1, split="val")
    index = read_index(dataset, "val")
    assert (len(index), len(index.boxes), index.offsets.tolist()) == (1, 0, [0, 0])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LabelError, match="does not exist"):
        read_index(tmp_path / "nothing", "train")


def test_an_appended_file_is_still_whole(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (40, 30)).save(path)
    path.write_bytes(path.read_bytes() + bytes(10_000))
    assert check_images(tmp_path, ["a.jpg"]).tolist() == [[40, 30]]
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(LabelError, match=r"(?i)truncated"):
        check_images(tmp_path, ["a.jpg"])


def test_rasters_that_are_only_evaluated_may_have_any_depth(write_raster, tmp_path):
    write_raster(np.zeros((4, 30, 40), np.uint16))
    assert check_images(tmp_path, ["scene.tif"]).tolist() == [[40, 30]]
    with pytest.raises(LabelError, match=r"scene\.tif"):
        check_images(tmp_path, ["scene.tif"], to_train=True)


def test_transparent_pixels_become_grey_and_grey_images_coloured(tmp_path):
    pixels = np.full((4, 6, 4), 200, np.uint8)
    pixels[:, :2, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", 114)
    assert (image[:, :2] == 114).all()
    assert (image[:, 2:] == 200).all()
    Image.fromarray(pixels[..., 0]).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png", 114).shape == (4, 6, 3)


def test_reading_labels_needs_no_mindspore():
    script = (
        "import sys, training.data.index, training.data.examples, training.data.canvas; "
        "assert 'mindspore' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


def test_the_store_keeps_images_up_to_its_limit(tmp_path):
    for name in "abc":
        Image.new("RGB", (10, 10)).save(tmp_path / f"{name}.png")
    store = ImageStore(limit=650)  # two of 300 bytes
    first = [store.read(tmp_path / f"{name}.png", 0) for name in "abc"]
    again = [store.read(tmp_path / f"{name}.png", 0) for name in "abc"]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False]


def test_areas_are_those_of_the_file_where_it_tells_all(dataset):
    def tell(coco):
        for item in coco["annotations"]:
            item["area"] = 101 + item["id"]

    edit_labels(dataset, tell)
    index = read_index(dataset, "train")
    keep = np.arange(len(index)) > 2
    assert sorted(index.areas.tolist()) == [101 + i for i in range(len(index.boxes))]
    assert index.select(keep).areas.tolist() == index.areas[index.offsets[3] :].tolist()
    edit_labels(dataset, lambda coco: coco["annotations"][0].pop("area"))
    assert read_index(dataset, "train").areas is None
