"""The command line as a user meets it: real processes, exit codes, messages."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from geodetect.cli.main import cli
from geodetect.demo.scene import draw_scene


@pytest.fixture(scope="module")
def pixels():
    return np.ascontiguousarray(np.moveaxis(np.asarray(draw_scene(768, seed=3, gsd=0.5)[0]), -1, 0))


@pytest.fixture
def scene(write_raster, pixels):
    return write_raster(pixels)


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def test_a_scene_alone_is_enough(scene):
    result = call(scene)
    assert (scene.parent / "scene_detections.gpkg").exists()
    for words in ("plane", "tiles in", "openvino on CPU", "non-commercial", "scene_detections.gpkg"):
        assert words in result.output


def test_json_lines_tell_a_program_all(scene, tmp_path):
    lines = call(scene, "-o", tmp_path / "o.gpkg", "--progress", "json").stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    assert {"note", "progress", "result"} == {message["type"] for message in messages}
    done = [m["done"] for m in messages if m["type"] == "progress" and m["stage"] == "detect"]
    assert done == sorted(done)
    result = messages[-1]
    assert result["type"] == "result"
    assert result["count"] == sum(result["counts"].values()) > 0
    assert result["output"].endswith("o.gpkg")


def test_errors_are_one_sentence_and_a_json_line(tmp_path):
    result = call(tmp_path / "none.tif", "--progress", "json", code=3)
    assert json.loads(result.stdout) == {
        "type": "error",
        "code": 3,
        "message": f"{tmp_path}/none.tif does not exist; check the path",
    }
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--score", "1.5"], 3, "score is 1.5"),
        (["--score", "plane"], 3, "score is 'plane'"),
        (["--model", "yolov9"], 3, "yolov9"),
        (["--iou", "nan"], 3, "iou is nan"),
        (["--engine", "abacus"], 2, "abacus"),
        (["--area", "0,0,1,1"], 3, "does not meet the scene"),
        (["--bands", "7,8,9"], 3, "no band 7"),
        (["--config", "none.yaml"], 3, "none.yaml"),
        (["--overlap", "0.999999"], 3, "leaves no step from tile to tile"),
        (["--tile", "99999999"], 3, "tile is 99999999"),
        (["--batch-size", "100000000"], 3, "batch_size is 100000000"),
        (["--stretch", "1%,98"], 3, "stretch is '1%,98'"),
        (["--score", "plane=0.3,plane=0.9"], 3, "names a class twice"),
        (["--classes", ","], 3, "classes is empty"),
        (["--area", ""], 3, "area is empty"),
        (["--card", "card.yaml"], 3, "give the weights file"),
    ],
)
def test_bad_options_end_with_their_code(scene, arguments, code, message):
    result = call(scene, *arguments, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert [path.name for path in scene.parent.iterdir()] == ["scene.tif"]


def test_settings_come_from_a_file_and_the_line_wins(scene, tmp_path):
    settings = tmp_path / "run.yaml"
    settings.write_text("score: 0.99\nclasses: [plane]\n")
    few = json.loads(call(scene, "--config", settings, "--progress", "json").stdout.splitlines()[-1])
    many = json.loads(
        call(scene, "--config", settings, "--score", "0.2", "--overwrite", "--progress", "json").stdout.splitlines()[-1]
    )
    assert few["scores"] == {"plane": 0.99}
    assert many["scores"] == {"plane": 0.2}
    assert few["count"] < many["count"]


def test_many_scenes_go_to_a_folder(write_raster, pixels, tmp_path):
    scenes = [write_raster(pixels, f"{name}.tif") for name in "ab"]
    out = tmp_path / "out"
    out.mkdir()
    call(*scenes, "-o", out, "--format", "geojson")
    assert sorted(path.name for path in out.iterdir()) == ["a_detections.geojson", "b_detections.geojson"]
    assert "give a folder" in call(*scenes, "-o", tmp_path / "one.gpkg", code=3).stderr


def test_a_folder_is_made_and_one_bad_scene_does_not_stop_the_others(write_raster, pixels, tmp_path):
    good, other = (write_raster(pixels, f"{name}.tif") for name in "ab")
    result = call(good, tmp_path / "none.tif", other, "-o", f"{tmp_path}/new/", code=3)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a_detections.gpkg", "b_detections.gpkg"}
    assert "1 of 3 scenes could not be done" in result.stderr
    assert "none.tif does not exist" in result.stderr


def test_outputs_that_would_collide_are_told_before_any_work(write_raster, pixels, tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    for folder in (one, two):
        folder.mkdir()
        write_raster(pixels).rename(folder / "x.tif")
    result = call(one / "x.tif", two / "x.tif", "-o", f"{tmp_path}/out/", "--overwrite", code=3)
    assert "would both be written to" in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_many_scenes_go_on_where_they_were_stopped(write_raster, pixels, tmp_path):
    scenes = [write_raster(pixels, f"{name}.tif") for name in "ab"]
    call(scenes[0])
    first = (tmp_path / "a_detections.gpkg").read_bytes()
    assert "exists" in call(*scenes, code=3).stderr
    assert not (tmp_path / "b_detections.gpkg").exists()
    call(*scenes, "--skip-existing")
    assert (tmp_path / "a_detections.gpkg").read_bytes() == first
    assert (tmp_path / "b_detections.gpkg").exists()


def test_scene_info_says_what_would_happen(scene):
    result = call("scene", "info", scene)
    for words in ("768 x 768 px", "EPSG:32631", "0.5", "by colour interpretation", "tiles/s", "MB"):
        assert words in result.output
    report = json.loads(call("scene", "info", scene, "--json").stdout)
    assert {"tiles", "stretch", "gsd", "memory", "time"} <= set(report)
    assert "does not exist" in call("scene", "info", "none.tif", code=3).stderr


def test_help_lists_every_command():
    text = call("--help").output
    for name in ("detect", "scene", "models", "evaluate", "demo"):
        assert name in text
        assert call(name, "--help").output.startswith("Usage:")
    assert "geodetect, version" in call("--version").output


def process(*arguments, **options):
    command = [sys.executable, "-m", "geodetect", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_ctrl_c_ends_within_a_second_and_leaves_what_is_done(write_raster, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3, 6000, 6000), dtype=np.uint8)
    path = write_raster(noise, "large.tif")
    running = process(path, "--progress", "json", "--threads", "1")
    for line in running.stdout:
        message = json.loads(line)
        if message["type"] == "progress" and message["done"] > 0:
            break
    interrupted = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    assert time.monotonic() - interrupted < 1.0 + 0.5 * (os.getloadavg()[0] > 2)
    assert running.returncode == 130
    assert '{"type": "cancelled"}' in out
    assert "tiles; the same command goes on from there" in err
    assert "Traceback" not in err
    assert sorted(file.name for file in tmp_path.iterdir()) == [".large_detections.gpkg.journal", "large.tif"]


def test_importing_is_light():
    code = (
        "import time, sys; start = time.perf_counter(); import geodetect; used = time.perf_counter() - start; "
        "heavy = {'mindspore', 'onnxruntime', 'openvino', 'geopandas', 'rasterio', 'numpy'} & set(sys.modules); "
        "print(used, heavy); assert used < 0.5 and not heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_loads_no_engine():
    code = "import sys; from geodetect.cli.main import cli; sys.argv = ['geodetect', 'detect', '--help']\ntry: cli()\nexcept SystemExit: pass\nassert not {'mindspore', 'onnxruntime', 'openvino'} & set(sys.modules)"  # noqa: E501
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_reader_that_goes_away_is_no_error(scene):
    command = f"{sys.executable} -m geodetect models list | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=Path(scene).parent)
    assert "Traceback" not in result.stderr
