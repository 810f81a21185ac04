"""A data set is the same whatever the workers and interruptions, and wrong input ends in one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from labels_made import dota, fleet, line, picture
from PIL import Image

from geodetect.errors import Cancelled, ConfigError, LabelError, OutputError
from geodetect.progress import Reporter
from training.prepare import PrepareSettings, prepare
from training.prepare.anchors import fit_anchors
from training.prepare.plan import assign_splits, share

SMALL = {"tile": 128, "overlap": 0.25, "workers": 1, "empty_rate": 0.5, "val_share": 0.3}


def settings(data, out, **changes) -> PrepareSettings:
    data = data if isinstance(data, tuple) else (data,)
    return PrepareSettings(tuple(map(str, data)), str(out), **(SMALL | changes))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def coco(folder: Path, split: str) -> dict:
    return json.loads((folder / "annotations" / f"{split}.json").read_text("utf-8"))


class Stop(Reporter):
    """Cancels when the first tiles are written."""

    def progress(self, stage, done, total, found=0):
        if stage == "prepare":
            raise Cancelled("stopped")


def test_tiles_are_the_pixels_under_their_boxes(tmp_path):
    fleet(tmp_path / "data")
    report = prepare(settings(tmp_path / "data", tmp_path / "out"))
    assert report.classes == ("plane", "ship")
    seen = 0
    for split in ("train", "val"):
        found = coco(tmp_path / "out", split)
        assert [entry["id"] for entry in found["images"]] == list(range(1, len(found["images"]) + 1))
        assert found["categories"] == [{"id": 1, "name": "plane"}, {"id": 2, "name": "ship"}]
        for entry in found["images"]:
            name, scale, place = entry["file_name"].removesuffix(".png").split("__", 2)
            left, top = map(int, place.split("___"))
            with Image.open(tmp_path / "data" / "images" / f"{name}.png") as image:
                expected = np.asarray(image)[top : top + entry["height"], left : left + entry["width"]]
            assert scale == "1"
            assert (np.asarray(Image.open(tmp_path / "out" / split / entry["file_name"])) == expected).all()
            seen += 1
        counted = sum(not item["iscrowd"] for item in found["annotations"])
        assert counted == sum(report.splits[split].boxes.values())
    assert seen == sum(split.tiles for split in report.splits.values())
    assert report.unseen == 0
    assert sum(report.objects.values()) == 48


def test_workers_do_not_change_a_byte(tmp_path):
    fleet(tmp_path / "data")
    for workers in (1, 2):
        prepare(settings(tmp_path / "data", tmp_path / f"out{workers}", workers=workers, scales=(1, 0.5)))
    assert content(tmp_path / "out1") == content(tmp_path / "out2")


def test_a_stopped_run_goes_on_and_gives_the_same(tmp_path, monkeypatch):
    fleet(tmp_path / "data")
    prepare(settings(tmp_path / "data", tmp_path / "whole"))
    with pytest.raises(Cancelled):
        prepare(settings(tmp_path / "data", tmp_path / "out"), Stop())
    left = set(content(tmp_path / "out"))
    assert any(name.startswith("train/") for name in left)
    assert not any(name.startswith("annotations") for name in left)
    from training.prepare import run

    jobs = []
    write = run.write_tiles
    monkeypatch.setattr(run, "write_tiles", lambda job: jobs.append(job) or write(job))
    prepare(settings(tmp_path / "data", tmp_path / "out"))
    assert 0 < len(jobs) < 4
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    jobs.clear()
    prepare(settings(tmp_path / "data", tmp_path / "out", anchors=3))
    assert not jobs


def test_a_killed_run_goes_on_and_gives_the_same(tmp_path):
    fleet(tmp_path / "data", images=12, side=600)
    prepare(settings(tmp_path / "data", tmp_path / "whole", empty_rate=1))
    (tmp_path / "run.py").write_text(
        "from training.prepare import PrepareSettings, prepare\n"
        "if __name__ == '__main__':\n"
        f"    prepare(PrepareSettings(({str(tmp_path / 'data')!r},), {str(tmp_path / 'out')!r}, "
        f"**{SMALL | {'workers': 2, 'empty_rate': 1}!r}))\n"
    )
    process = subprocess.Popen([sys.executable, tmp_path / "run.py"], start_new_session=True)
    while len(list((tmp_path / "out").glob("*/*.png"))) < 60 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "annotations").exists()
    for _ in range(500):  # the workers end with their parent
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("workers outlive their parent")
    prepare(settings(tmp_path / "data", tmp_path / "out", empty_rate=1))
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_changed_labels_and_images_change_what_they_must(tmp_path):
    fleet(tmp_path / "data")
    prepare(settings(tmp_path / "data", tmp_path / "out"))
    text = next((tmp_path / "data" / "labelTxt").iterdir())
    text.write_text(line(10, 10, 30, 30))
    picture(tmp_path / "data" / "images" / "scene 2 ä.png", 300, 300, seed=99)
    prepare(settings(tmp_path / "data", tmp_path / "out"))
    prepare(settings(tmp_path / "data", tmp_path / "new"))
    assert content(tmp_path / "out") == content(tmp_path / "new")


def test_other_settings_are_refused_or_replace_all(tmp_path):
    fleet(tmp_path / "data")
    prepare(settings(tmp_path / "data", tmp_path / "out"))
    (tmp_path / "out" / "train" / "notes.txt").write_text("mine")
    other = {"tile": 96, "classes": ("ship",)}
    with pytest.raises(OutputError, match="was made with tile 128, not 96"):
        prepare(settings(tmp_path / "data", tmp_path / "out", **other))
    prepare(settings(tmp_path / "data", tmp_path / "out", overwrite=True, **other))
    prepare(settings(tmp_path / "data", tmp_path / "new", **other))
    assert content(tmp_path / "out") == content(tmp_path / "new") | {"train/notes.txt": b"mine"}


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    fleet(tmp_path / "data")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="no data set of this command"):
            prepare(settings(tmp_path / "data", tmp_path / "out", overwrite=overwrite))
    with pytest.raises(OutputError, match="lies in"):
        prepare(settings(tmp_path / "data", tmp_path / "data" / "out"))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": "", "b": ""}, "have no object"),
        ({"a": line(1, 1, 20, 20), "b": line(900, 900, 950, 950)}, r"(train|val) has no object .*1 outside the image"),
        ({"a": line(1, 1, 20, 20), "b": line(5, 5, 5, 50)}, r"(train|val) has no object .*1 no size"),
        ({"a": line(1, 1, 20, 20)}, "less than two objects"),
    ],
)
def test_labels_that_teach_nothing_are_refused(tmp_path, texts, message):
    dota(tmp_path / "data", texts)
    with pytest.raises(LabelError, match=message):
        prepare(settings(tmp_path / "data", tmp_path / "out"))


def test_what_is_dropped_is_counted(tmp_path):
    text = [
        line(1, 1, 20, 20),
        line(900, 900, 950, 950),
        line(5, 5, 5, 50),
        line(-5, 5, 15, 50),
        line(1, 60, 9, 70, "car"),
    ]
    dota(tmp_path / "data", {"a": "\n".join(text), "b": line(1, 1, 20, 20, flag=1) + "\n" + line(50, 50, 70, 70)})
    report = prepare(settings(tmp_path / "data", tmp_path / "out", classes=("ship",), tile=256))
    assert report.dropped == {"class not chosen": 1, "no size": 1, "outside the image": 1}
    assert report.ignored == {"difficult or crowd": 1}
    assert report.objects == {"ship": 3}
    dropped = prepare(settings(tmp_path / "data", tmp_path / "drop", classes=("ship",), tile=256, difficult="drop"))
    assert dropped.dropped["difficult"] == 1
    kept = prepare(settings(tmp_path / "data", tmp_path / "keep", classes=("ship",), tile=256, difficult="keep"))
    assert kept.objects == {"ship": 4}


def test_classes_are_joined_chosen_and_ordered(tmp_path):
    names = ("small-vehicle", "large-vehicle", "plane", "yacht", "ferry")
    text = "\n".join(line(10, 20 * i, 25, 20 * i + 15, name) for i, name in enumerate(names))
    dota(tmp_path / "data", {"a": text, "b": text})
    assert prepare(settings(tmp_path / "data", tmp_path / "all")).classes == (
        "plane", "small-vehicle", "large-vehicle", "ferry", "yacht"
    )  # fmt: skip
    joined = {"small-vehicle": "vehicle", "large-vehicle": "vehicle"}
    report = prepare(settings(tmp_path / "data", tmp_path / "some", class_map=joined, classes=("vehicle", "plane")))
    assert report.classes == ("vehicle", "plane")
    assert report.objects == {"vehicle": 4, "plane": 2}
    for wrong in ({"classes": ("planes",)}, {"class_map": {"planes": "x"}}):
        with pytest.raises(ConfigError, match="did you mean 'plane'"):
            prepare(settings(tmp_path / "data", tmp_path / "wrong", **wrong))


def test_a_truncated_or_missing_image_is_refused(tmp_path):
    fleet(tmp_path / "data", ending=".jpg")
    image = next((tmp_path / "data" / "images").iterdir())
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    for workers in (1, 2):
        with pytest.raises(LabelError, match=f"{image.stem}.*damaged or cut off"):
            prepare(settings(tmp_path / "data", tmp_path / "out", empty_rate=1, workers=workers))
    assert not (tmp_path / "out" / "annotations").exists()
    image.write_bytes(b"")
    with pytest.raises(LabelError, match=f"{image.stem}.*cannot be opened"):
        prepare(settings(tmp_path / "data", tmp_path / "new"))
    image.unlink()
    with pytest.raises(LabelError, match="no image for the labels"):
        prepare(settings(tmp_path / "data", tmp_path / "new"))


@pytest.mark.parametrize("bands", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_scenes_of_any_bands_and_depth_are_stretched_as_one(tmp_path, write_raster, bands, dtype):
    ramp = np.linspace(0, 200 if dtype == np.uint8 else 3000, 400).astype(dtype)
    pixels = np.broadcast_to(ramp, (bands, 100, 400)).copy()
    (tmp_path / "images").mkdir()
    (tmp_path / "labelTxt").mkdir()
    for name in "ab":
        write_raster(pixels, f"images/{name}.tif", **({} if bands == 3 else {"photometric": "MINISBLACK"}))
        (tmp_path / "labelTxt" / f"{name}.txt").write_text(line(10, 10, 40, 40) + "\n" + line(300, 10, 340, 40))
    prepare(settings(tmp_path, tmp_path.parent / f"{tmp_path.name}-out", tile=128, empty_rate=1))
    out = tmp_path.parent / f"{tmp_path.name}-out"
    tiles = {p.name: np.asarray(Image.open(p)) for p in out.glob("*/a__*.png")}
    left, right = tiles["a__1__0___0.png"], tiles["a__1__272___0.png"]
    assert left.shape == (100, 128, 3)
    assert left.max() < right.min() + 120 < 376  # the ramp goes on from tile to tile: no stretch of its own
    if dtype == np.uint8:
        assert (left == pixels[0, :, :128, None]).all()


def test_a_guess_at_bands_is_told(tmp_path, write_raster):
    (tmp_path / "images").mkdir()
    (tmp_path / "labelTxt").mkdir()
    for name, bands in (("a", 1), ("b", 1), ("c", 5), ("d", 3)):
        write_raster(np.ones((bands, 50, 50), np.uint16), f"images/{name}.tif")
        (tmp_path / "labelTxt" / f"{name}.txt").write_text(line(10, 10, 40, 40))
    heard = []
    reporter = Reporter()
    reporter.note = heard.append
    prepare(settings(tmp_path, tmp_path.parent / f"{tmp_path.name}-out"), reporter)
    assert [note.split(",")[0] for note in heard] == ["2 images: bands 1", "1 image: bands 1"]
    assert "--bands" in heard[1]


def test_pixels_without_data_are_grey_and_tiles_without_any_left_out(tmp_path, write_raster):
    pixels = np.full((3, 128, 512), 50, np.uint8)
    pixels[:, :, 100:] = 0
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "labelTxt").mkdir()
    for name in "ab":
        write_raster(pixels, f"data/images/{name}.tif", nodata=0)
        (tmp_path / "data" / "labelTxt" / f"{name}.txt").write_text(
            line(10, 10, 40, 40) + "\n" + line(400, 10, 440, 40)
        )
    report = prepare(settings(tmp_path / "data", tmp_path / "out", empty_rate=1, overlap=0))
    assert report.without_data == 6
    assert report.unseen == 2
    (tile,) = (np.asarray(Image.open(p)) for p in (tmp_path / "out").glob("*/a__*.png"))
    assert (tile[:, :100] == 50).all()
    assert (tile[:, 100:] == 114).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 40), (129, 1)])
def test_tiny_images(tmp_path, width, height):
    dota(tmp_path / "data", dict.fromkeys("ab", line(0, 0, width, height)), width=width, height=height)
    report = prepare(settings(tmp_path / "data", tmp_path / "out", min_size=0, scales=(1, 0.5)))
    assert report.splits["train"].tiles > 0
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_reduced_copies_hold_the_reduced_boxes(tmp_path):
    text = line(40, 20, 80, 60)
    dota(tmp_path / "data", {"a": text, "b": text})
    prepare(settings(tmp_path / "data", tmp_path / "out", scales=(0.5, 0.25), tile=256))
    for split in ("train", "val"):
        found = coco(tmp_path / "out", split)
        assert [entry["file_name"].split("__")[1] for entry in found["images"]] == ["0.5", "0.25"]
        assert [(entry["width"], entry["height"]) for entry in found["images"]] == [(100, 75), (50, 37)]
        assert [item["bbox"] for item in found["annotations"]] == [[20, 10, 20, 20], [10, 5, 10, 10]]


def test_a_lone_scene_is_divided_without_common_pixels(tmp_path, write_raster):
    rng = np.random.default_rng(0)
    scene = write_raster(rng.integers(0, 255, (3, 200, 900), dtype=np.uint8))
    left = np.sort(rng.uniform(0, 880, 40))
    shapes = [shapely.box(500_000 + x / 2, 4_999_950, 500_000 + (x + 15) / 2, 4_999_960) for x in left]
    import geopandas

    frame = geopandas.GeoDataFrame({"class": ["ship"] * 40}, geometry=shapes, crs="EPSG:32631")
    frame.to_file(tmp_path / "ships.gpkg")
    report = prepare(settings(scene, tmp_path / "out", labels=str(tmp_path / "ships.gpkg")))
    spans = {}
    for split in ("train", "val"):
        entries = coco(tmp_path / "out", split)["images"]
        lefts = [int(entry["file_name"].split("__")[2].strip("_").split("___")[0]) for entry in entries]
        spans[split] = min(lefts), max(x + entry["width"] for x, entry in zip(lefts, entries, strict=True))
    assert spans["train"][1] <= spans["val"][0]
    assert report.gsd == pytest.approx((0.5, 0.5, 0.5), rel=0.01)
    assert all(split.boxes["ship"] for split in report.splits.values())


def test_splits_depend_on_names_alone():
    from training.labels.labelled import Rows

    def named(count):
        return [Rows().image(f"image {i}", Path("a"), Path("a"), "") for i in range(count)]

    few, many = assign_splits(named(50), 0.2), assign_splits(named(100), 0.2)
    assert many[:50] == few
    assert 0.1 < many.count("val") / 100 < 0.3
    assert sorted(assign_splits(named(2), 0.01)) == ["train", "val"]
    assert all(assign_splits(named(n), 0.3).count("val") == round(0.3 * n) for n in range(2, 30))
    assert assign_splits(named(10)[::-1], 0.3) == assign_splits(named(10), 0.3)[::-1]
    assert 0.45 < np.mean([share(str(i)) for i in range(2000)]) < 0.55


def test_a_prepared_data_set_can_be_prepared_again(tmp_path):
    fleet(tmp_path / "data")
    first = prepare(settings(tmp_path / "data", tmp_path / "out"))
    again = prepare(settings(tmp_path / "out", tmp_path / "again", empty_rate=1))
    assert again.kind == "coco"
    assert {name: split.boxes for name, split in again.splits.items()} == {
        name: split.boxes for name, split in first.splits.items()
    }


@pytest.mark.parametrize("kind", ["dota", "jpeg"])
def test_round_trip_to_the_index(tmp_path, kind):
    index = pytest.importorskip("training.data.index")
    fleet(tmp_path / "data")
    report = prepare(settings(tmp_path / "data", tmp_path / "out", jpeg=90 if kind == "jpeg" else None))
    for split in ("train", "val"):
        found = index.read_index(tmp_path / "out", split)
        assert found.classes == report.classes
        assert len(found) == report.splits[split].tiles
        assert int((~found.ignored).sum()) == sum(report.splits[split].boxes.values())
        assert int(found.ignored.sum()) == report.splits[split].ignored
        assert all(found.path(i).is_file() for i in range(len(found)))


def test_anchors_fit_and_depend_on_nothing_but_the_boxes():
    rng = np.random.default_rng(0)
    true = np.array([[10, 12], [30, 16], [20, 40], [60, 60], [120, 70], [90, 160]])
    sides = np.repeat(true, 200, 0) * rng.uniform(0.9, 1.1, (1200, 2))
    found = fit_anchors(sides, 6, 416)
    flat = np.array(found.sizes[1] + found.sizes[0])
    assert np.allclose(flat, true[np.argsort(true.prod(1))], rtol=0.05)
    assert found.mean_iou > 0.88
    assert fit_anchors(rng.permutation(sides), 6, 416) == found
    with pytest.raises(ConfigError, match="more than there are"):
        fit_anchors(sides[:2], 3, 416)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile": 5}, {"overlap": 1}, {"scales": (0.7,)}, {"scales": (2,)}, {"scales": (0.5, 0.5)}, {"jpeg": 0},
        {"min_inside": 0}, {"min_size": -1}, {"val_share": 1}, {"empty_rate": 2}, {"anchors": 4}, {"network_size": 100},
        {"point_size": 0}, {"kind": "voc"}, {"stretch": "x"}, {"workers": 0}, {"difficult": "keepp"}, {"data": ()},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    name = next(iter(wrong))
    with pytest.raises(ConfigError, match=name):
        PrepareSettings(**({"data": ("a",), "out": "b"} | wrong))
