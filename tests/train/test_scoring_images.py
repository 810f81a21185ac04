"""Sets of images in the layouts that they come in."""

import numpy as np
import pytest
from made_dataset import write_dataset
from PIL import Image

from geodetect.errors import LabelError
from training.scoring.images import layout, open_images


def write_dota(root, files):
    """Write 60 x 40 px images with label lines in DOTA's layout."""
    for folder in ("images", "labelTxt"):
        (root / folder).mkdir(parents=True)
    for name, lines in files.items():
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(root / "images" / f"{name}.png")
        (root / "labelTxt" / f"{name}.txt").write_text("imagesource:x\ngsd:0.5\n" + "\n".join(lines))
    return root


FILES = {
    "b": ["10 10 20 10 20 30 10 30 ship 0", "50 30 80 30 80 50 50 50 plane 1"],
    "a": [],
    "c": ["30 5 40 15 30 25 20 15 zeppelin 0", "70 5 90 5 90 9 70 9 plane 0"],
}


def test_dota_labels_become_boxes_in_their_images(tmp_path):
    index = open_images(write_dota(tmp_path, FILES), "val")
    assert layout(tmp_path) == "dota"
    assert index.classes == ("plane", "ship", "zeppelin")
    assert [index.path(i).stem for i in range(3)] == ["a", "b", "c"]
    assert all(index.path(i).is_file() for i in range(3))
    np.testing.assert_array_equal(index.sizes, [[60, 40]] * 3)
    assert len(index.objects(0)[0]) == 0
    boxes, labels, ignored = index.objects(1)
    np.testing.assert_array_equal(boxes, [[10, 10, 20, 30], [50, 30, 60, 40]])
    assert labels.tolist() == [1, 0]
    assert ignored.tolist() == [False, True]
    np.testing.assert_array_equal(index.objects(2)[0], [[20, 5, 40, 25]])  # the plane lies outside
    assert index.ids.tolist() == [1, 2, 3]


def test_a_split_of_dota_s_layout(tmp_path):
    write_dota(tmp_path / "train", {"x": FILES["b"]})
    write_dota(tmp_path / "val", {"y": FILES["c"], "z": []})
    assert [path.name for path in map(open_images(tmp_path, "val").path, range(2))] == ["y.png", "z.png"]
    assert len(open_images(tmp_path, "train")) == 1
    with pytest.raises(LabelError, match="test"):
        open_images(tmp_path, "test")


def test_images_without_objects_at_all(tmp_path):
    index = open_images(write_dota(tmp_path, {"a": [], "b": []}), "val")
    assert (len(index), index.classes, index.boxes.shape) == (2, (), (0, 4))


def test_coco_s_layout_is_read_by_the_index(tmp_path):
    write_dataset(tmp_path, split="val")
    assert layout(tmp_path) == "coco"
    assert open_images(tmp_path, "val").category_ids == (1, 2)
    with pytest.raises(LabelError, match=r"no split test \(test\.json\); give --split val$"):
        open_images(tmp_path, "test")


def test_a_data_set_without_val_is_told_how_to_get_one(tmp_path):
    write_dataset(tmp_path, split="train")
    with pytest.raises(LabelError, match="give --split train, or prepare it with a --val-share above 0"):
        open_images(tmp_path, "val")


def test_a_folder_of_images_has_no_classes(tmp_path):
    write_dota(tmp_path, FILES)
    index = open_images(tmp_path / "images", "val")
    assert (len(index), index.classes) == (3, ())
    assert index.path(0).name == "a.png"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(LabelError, match="does not exist"):
        open_images(tmp_path / "none", "val")
    with pytest.raises(LabelError, match="no image"):
        open_images(tmp_path, "val")
