"""What a batch asks of the runs that go on with it: settings, model, and what would fail for every scene."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import Telling

from geodetect import registry
from geodetect.batch.run import BatchOptions, run_batch, status
from geodetect.errors import AreaError, Cancelled, ConfigError, InputError, OutputError
from geodetect.networks.safetensors import write_safetensors
from geodetect.package import write_package

SETTINGS = {"precision": "float32", "score": 0.3}


@pytest.fixture
def bundled_copy(tmp_path):
    """Return a function that writes a copy of the bundled model, with weights that depend on a word."""

    def write(word: str) -> str:
        package = registry.resolve("planes-ships-yolov3-tiny")
        parameters = dict(package.parameters())
        name = next(name for name in parameters if name.endswith("bias"))
        parameters[name] = parameters[name] + len(word) / 1e4
        write_safetensors(tmp_path / "mine.safetensors", parameters)
        write_package(tmp_path / "model", package.card, tmp_path / "mine.safetensors")
        return str(tmp_path / "model")

    return write


def test_other_settings_may_not_go_on(scenes, tmp_path):
    with pytest.raises(Cancelled):
        run_batch(scenes[:2], tmp_path, options=BatchOptions(workers=1), reporter=Telling(stop=1), **SETTINGS)
    with pytest.raises(ConfigError, match="score differs from what the batch was begun with"):
        run_batch([], tmp_path, go_on=True, precision="float32", score=0.4)
    result = run_batch(
        scenes[1:3], tmp_path, go_on=True, options=BatchOptions(workers=1), threads=1, **SETTINGS
    )  # one more scene
    assert [Path(record.scene).stem for record in result.records] == ["scene0", "scene1", "scene2"]
    assert {record.state for record in result.records} == {"done"}


def test_only_what_is_given_is_compared_and_the_format_is_kept(scenes, tmp_path):
    run_batch(scenes[:1], tmp_path, ending=".csv", options=BatchOptions(workers=1), **SETTINGS)
    result = run_batch(scenes[1:2], tmp_path, go_on=True, options=BatchOptions(workers=1), max_gigapixels=5)
    assert [record.output for record in result.records] == ["scene0_detections.csv", "scene1_detections.csv"]
    assert {record.state for record in result.records} == {"done"}
    with pytest.raises(ConfigError, match=r"the batch's results are \.csv"):
        run_batch([], tmp_path, go_on=True, ending=".gpkg")


def test_another_model_may_not_go_on(scenes, tmp_path, bundled_copy):
    run_batch(scenes[:1], tmp_path / "out", model=bundled_copy("0.2"), options=BatchOptions(workers=1), **SETTINGS)
    bundled_copy("other weights")
    with pytest.raises(ConfigError, match="the model's weights changed since the batch was begun"):
        run_batch(scenes[1:2], tmp_path / "out", go_on=True)


def test_what_fails_before_the_first_scene_loses_no_state(scenes, tmp_path):
    run_batch(scenes[:1], tmp_path, options=BatchOptions(workers=1), **SETTINGS)
    with pytest.raises(InputError, match="no model is called"):
        run_batch(scenes, tmp_path, overwrite=True, model="no-such-model")
    assert [record.state for record in status(tmp_path)[0].records] == ["done"]
    (tmp_path / "scene1_detections.gpkg").write_text("mine")
    with pytest.raises(OutputError, match="1 output exists"):
        run_batch(scenes[1:2], tmp_path, go_on=True)
    assert (tmp_path / "scene1_detections.gpkg").read_text() == "mine"
    with pytest.raises(OutputError, match="no batch is in"):
        run_batch([], tmp_path / "typo", go_on=True)
    assert not (tmp_path / "typo").exists()


def test_a_name_of_a_model_wins_over_a_folder_called_so(scenes, tmp_path, monkeypatch):
    (tmp_path / "yolov3-tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    result = run_batch(scenes[:1], "out", model="yolov3-tiny", options=BatchOptions(workers=1))
    assert result.records[0].state == "done"


def test_what_would_fail_for_every_scene_fails_at_once(scenes, tmp_path):
    with pytest.raises(ConfigError, match="classes names 'car'"):
        run_batch(scenes, tmp_path / "a", classes=("car",))
    with pytest.raises(InputError, match="no model is called"):
        run_batch(scenes, tmp_path / "b", model="no-such-model")
    for area, crs in (("none.gpkg", None), ("2,0,1,1", None), ("0,0,1,1", "EPSG:nonsense")):
        with pytest.raises(AreaError, match=r"does not exist|is empty|is not known"):
            run_batch(scenes, tmp_path / "b", area=area, area_crs=crs)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "scene1_detections.gpkg").touch()
    with pytest.raises(OutputError, match=r"1 output exists in .*, such as scene1_detections.gpkg"):
        run_batch(scenes, tmp_path / "c")


def test_a_batch_that_took_no_scenes_is_told(scenes, tmp_path):
    with pytest.raises(InputError, match="no model is called"):
        run_batch(scenes[:1], tmp_path, model="no-such-model")
    with pytest.raises(OutputError, match="has no scenes yet; give them"):
        run_batch([], tmp_path, go_on=True)
    with pytest.raises(OutputError, match="has no scenes yet"):
        status(tmp_path)
    result = run_batch(scenes[:1], tmp_path, go_on=True, options=BatchOptions(workers=1), **SETTINGS)
    assert result.records[0].state == "done"


def test_a_run_that_is_refused_drops_nothing(scenes, tmp_path):
    lost = tmp_path / "lost.tif"
    lost.write_text("no raster")
    before = run_batch([str(lost), scenes[0]], tmp_path / "out", options=BatchOptions(workers=1), **SETTINGS).records
    (tmp_path / "out" / "scene1_detections.gpkg").touch()
    with pytest.raises(OutputError, match="1 output exists"):
        run_batch(scenes[:2], tmp_path / "out", go_on=True)
    assert status(tmp_path / "out")[0].records == before
