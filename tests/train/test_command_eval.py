"""`geodetect eval` and `geodetect test` as a user meets them."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from made_dataset import edit_labels, write_dataset, write_labels
from PIL import Image
from scored import MODEL
from test_scoring_images import write_dota

import geodetect
from geodetect.cli.main import cli
from geodetect.demo.scene import CLASSES, draw_scene
from geodetect.engines import available
from geodetect.networks.graphs import to_onnx
from geodetect.package import CARD, dump_card
from training.scoring import ScoreSettings
from training.scoring.job import EngineChoice, Job, evaluate_model

SIDE = 256


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three drawn tiles in COCO's layout, named as DOTA's splitter would, the ids not from 1 on."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "annotations").mkdir()
    (root / "val").mkdir()
    pixels, placed = draw_scene(512, seed=1, gsd=0.5)
    images, annotations = [], []
    for number, (left, top) in enumerate([(0, 0), (256, 0), (0, 256)]):
        name = f"P7__1__{left}___{top}.png"
        Image.fromarray(pixels[top : top + SIDE, left : left + SIDE]).save(root / "val" / name)
        images.append({"id": 40 + number, "file_name": name, "width": SIDE, "height": SIDE})
        for item in placed:
            if item.name is None:
                continue
            box = np.clip(np.array(item.sprite.box) - [left, top, left, top], 0, SIDE)
            width, height = (box[2:] - box[:2]).tolist()
            if min(width, height) > 8:
                row = {"id": len(annotations), "image_id": 40 + number, "bbox": [*box[:2].tolist(), width, height]}
                annotations.append(row | {"category_id": CLASSES.index(item.name) + 1, "iscrowd": 0})
    write_labels(root, images, annotations, CLASSES, "val")
    return root


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    """The bundled model as an ONNX file with a card that makes small canvases."""
    folder, package = tmp_path_factory.mktemp("onnx"), geodetect.resolve(MODEL)
    network = package.card.network
    to_onnx(network.family, network.variant, package.parameters(), folder / "m.onnx")
    (folder / CARD).write_text(dump_card(package.card))
    return folder / "m.onnx"


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def evaluate(data, *more, code=0, model=MODEL):
    return call("eval", "-m", model, "--data", data, "--size", SIDE, "--precision", "float32", *more, code=code)


def test_figures_are_printed_and_written(data, tmp_path):
    result = evaluate(data, "-o", tmp_path / "out")
    lines = result.stdout.splitlines()
    assert sum(line.startswith(" Average") for line in lines) == 12
    assert any(line.startswith("plane") for line in lines)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "confusion.png", "precision-recall.png", "scores.json",
    ]  # fmt: skip
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert written["coco"]["AP50"] > 0.4
    assert written["run"]["model"] == MODEL
    assert written["run"]["engine"] == "openvino"
    assert written["run"]["size"] == SIDE
    assert f"{written['coco']['AP']:.3f}" in lines[0]
    again = evaluate(data, "-o", tmp_path / "out", code=3)
    assert "--overwrite" in again.output
    evaluate(data, "-o", tmp_path / "out", "--overwrite")


def test_every_engine_and_kind_of_file_gives_the_same_figures(data, onnx, tmp_path):
    seen = {}
    for name in set(available()) - {"mindspore"}:  # which the next test runs
        job = Job(MODEL, data, size=SIDE, choice=EngineChoice(name, precision="float32"))
        seen[name] = evaluate_model(job).coco
    seen["file"] = evaluate_model(Job(onnx, data, size=SIDE, choice=EngineChoice("openvino", precision="float32"))).coco
    assert len(seen) >= 2
    for figures in seen.values():
        np.testing.assert_allclose(figures, seen["openvino"], atol=2e-3)


def test_a_mindir_file_and_a_checkpoint_of_a_run(data, tmp_path):
    pytest.importorskip("mindspore")
    from geodetect.networks import build, load_parameters
    from geodetect.networks.export import export_mindir
    from geodetect.networks.runtime import mindspore

    package = geodetect.resolve(MODEL)
    card = dataclasses.replace(package.card, weights=None, input=dataclasses.replace(package.card.input, size=SIDE))
    network = build(card.network.family, len(card.classes), card.network.variant)
    load_parameters(network, package.weights_path)
    mindspore.save_checkpoint(network, str(tmp_path / "last.ckpt"))
    export_mindir(network, tmp_path / "m.mindir", SIDE, batch=2)
    (tmp_path / CARD).write_text(dump_card(card))
    expected = evaluate_model(Job(MODEL, data, size=SIDE, choice=EngineChoice("openvino", precision="float32")))
    for model in (tmp_path, tmp_path / "m.mindir"):
        scores = evaluate_model(Job(model, data, choice=EngineChoice("mindspore")))
        np.testing.assert_allclose(scores.coco, expected.coco, atol=2e-3)


def test_the_model_zoo_s_way(data):
    words = "--progress", "json", "--postprocess", "upstream"
    every = json.loads(evaluate(data, *words).stdout.splitlines()[-1])
    message = json.loads(evaluate(data, *words, "--drop-last", 2).stdout.splitlines()[-1])
    assert message["type"] == "result"
    assert 0 < message["coco"]["AR_100"] < every["coco"]["AR_100"]  # one image of three had no turn


def test_dota_s_layout_is_evaluated_on_whole_images(tmp_path):
    pixels, placed = draw_scene(512, seed=1, gsd=0.5)
    lines = []
    for item in placed:
        if item.name is not None:
            x1, y1, x2, y2 = item.sprite.box
            lines.append(f"{x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {item.name} 0")
    write_dota(tmp_path, {"P7": lines})
    Image.fromarray(pixels).save(tmp_path / "images" / "P7.png")
    common = {"size": SIDE, "choice": EngineChoice("openvino", precision="float32")}
    scene = evaluate_model(Job(MODEL, tmp_path, settings=ScoreSettings(floor=0.05), **common))
    tile = evaluate_model(Job(MODEL, tmp_path, level="tile", settings=ScoreSettings(floor=0.05), **common))
    assert scene.ap50 > 0.7
    assert scene.ap > tile.ap  # reduced to one canvas, objects are half as large
    run = geodetect.detect(tmp_path / "images" / "P7.png", model=MODEL, tile=SIDE, score=0.05, precision="float32")
    assert sum(row.detections for row in scene.per_class) == len(run.detections)


def test_result_files_of_labelled_tiles(data, tmp_path):
    common = ("test", "-m", MODEL, "--data", data, "--size", SIDE, "--floor", 0.3, "--precision", "float32")
    call(*common, "-o", tmp_path / "a")
    rows = json.loads((tmp_path / "a" / "detections-coco.json").read_text())
    assert {row["image_id"] for row in rows} <= {40, 41, 42}
    assert {row["category_id"] for row in rows} <= {1, 2}
    with zipfile.ZipFile(tmp_path / "a" / "detections-dota-task2.zip") as archive:
        assert archive.namelist() == ["Task2_plane.txt", "Task2_ship.txt"]
        lines = [line.split() for name in archive.namelist() for line in archive.read(name).decode().splitlines()]
    assert {line[0] for line in lines} == {"P7"}
    assert max(max(map(float, line[4:])) for line in lines) > SIDE  # in px of the whole image
    call(*common, "-o", tmp_path / "b", "--keep-tiles")
    with zipfile.ZipFile(tmp_path / "b" / "detections-dota-task2.zip") as archive:
        text = b"".join(map(archive.read, archive.namelist())).decode()
    assert len(text.splitlines()) == len(rows)
    assert "P7__1__" in text
    assert "Wrote" in call(*common, "-o", tmp_path / "b", "--overwrite").output


def test_figures_and_result_files_go_to_a_bucket(data, bucket, tmp_path):
    result = evaluate(data, "-o", "s3://bucket/scores", "--progress", "json")
    assert json.loads(result.stdout.splitlines()[-1])["output"] == "s3://bucket/scores"
    common = ("test", "-m", MODEL, "--data", data, "--size", SIDE, "--floor", 0.3, "--precision", "float32")
    result = call(*common, "-o", "s3://bucket/scores/")
    files = ["detections-coco.json", "detections-dota-task2.zip"]
    assert result.output.splitlines()[-2:] == [f"Wrote s3://bucket/scores/{name}" for name in files]
    names = {*files, "confusion.png", "precision-recall.png", "scores.json"}
    assert {item.key for item in bucket.objects.all()} == {f"scores/{name}" for name in names}
    assert json.loads(bucket.Object("scores/scores.json").get()["Body"].read())["coco"]["AP50"] > 0.4
    assert not (tmp_path / "s3:").exists()
    again = evaluate(data, "-o", "s3://bucket/scores", code=3)
    assert "s3://bucket/scores/scores.json exists; give another name, or --overwrite" in again.output
    evaluate(data, "-o", "s3://bucket/scores", "--overwrite")
    assert "nothing can be written to s3://none/scores" in evaluate(data, "-o", "s3://none/scores", code=3).output


def test_result_files_of_images_without_labels(data, tmp_path):
    call(
        "test", "-m", MODEL, "--data", data / "val", "--size", SIDE, "--floor", 0.3, "-o", tmp_path, "--level", "scene"
    )
    rows = json.loads((tmp_path / "detections-coco.json").read_text())
    assert {row["image_id"] for row in rows} <= {1, 2, 3}
    assert evaluate(data / "val", code=3).output.count("no labels") == 1


def _break(kind, root):
    if kind == "no such split":
        return ["--split", "test"]
    if kind == "empty split":
        edit_labels(root, lambda coco: coco.update(images=[], annotations=[]), "val")
    elif kind == "image missing":
        (root / "val" / "1.png").unlink()
    elif kind == "image cut off":
        path = root / "val" / "1.png"
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "no common class":
        edit_labels(root, lambda coco: [c.update(name=f"car {c['id']}") for c in coco["categories"]], "val")
    elif kind == "no JSON":
        (root / "annotations" / "val.json").write_text("{")
    elif kind == "wrong size":
        return ["--size", "100"]
    elif kind == "wrong number":
        return ["--iou", "2"]
    elif kind == "wrong numbers":
        return ["--max-detections", "1,2"]
    elif kind == "level":
        return ["--level", "scene", "--postprocess", "upstream"]
    elif kind == "output":
        (root / "taken").write_text("")
        return ["-o", str(root / "taken")]
    return []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no such split", "test.json"), ("empty split", "no image"), ("image missing", "1.png"),
        ("image cut off", "1.png"), ("no common class", "none is in both"), ("no JSON", "val.json"),
        ("wrong size", "multiple of 32"), ("wrong number", "iou is 2"), ("wrong numbers", "three rising numbers"),
        ("level", "--level tile"), ("output", "taken"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(kind, words, tmp_path):
    root = write_dataset(tmp_path, split="val")
    arguments = ["eval", "-m", MODEL, "--data", root, "--size", "64", *_break(kind, root)]
    result = call(*arguments, code=3)
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert words in errors[0]


def test_a_model_is_needed(data):
    assert "-m" in call("eval", "--data", data, code=3).output
    assert "does not exist" in call("eval", "-m", MODEL, "--data", data / "none", code=3).output


def test_noise_without_objects_gives_figures_and_no_crash(tmp_path):
    root = write_dataset(tmp_path, split="val", count=3)
    edit_labels(root, lambda coco: coco.update(annotations=[]), "val")
    result = call("eval", "-m", MODEL, "--data", root, "--size", 64, "-o", tmp_path / "o")
    assert result.stdout.count("-1.000") == 12
    assert "(-1: no object of that area is labelled)" in result.stdout
    assert "no object" in result.stderr
    silent = call("eval", "-m", MODEL, "--data", write_dataset(tmp_path / "d", split="val"), "--size", 64, "--floor", 1)
    assert silent.stdout.count("= 0.000") >= 4


def test_real_images(shared, tmp_path):
    """On three images of Google Earth the model finds most ships, at either level."""
    folder = shared / "data" / "planes-ships" / "val"
    if not folder.is_dir():
        pytest.skip("no planes-ships data")
    (tmp_path / "images").mkdir()
    (tmp_path / "labelTxt").mkdir()
    for path in sorted((folder / "images").glob("gearth_*"))[:8]:
        (tmp_path / "images" / path.name).symlink_to(path)
        (tmp_path / "labelTxt" / f"{path.stem}.txt").symlink_to(folder / "labelTxt" / f"{path.stem}.txt")
    job = Job(MODEL, tmp_path, level="tile", choice=EngineChoice("openvino", precision="float32"))
    scores = evaluate_model(job)
    assert scores.ap50 > 0.3
