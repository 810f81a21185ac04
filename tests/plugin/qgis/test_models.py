"""What the plugin knows of models, from the real engine."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from qgis_plugin import models
from qgis_plugin.core.engine_process import EngineCancelled, EngineError, run_engine


@pytest.fixture(autouse=True)
def nothing_known(qgis_app):
    models.forget_models()
    yield
    models.forget_models()


def test_models_with_their_licences(engine):
    assert models.cached_models(engine) is None
    found = {model.name: model for model in models.known_models(engine)}
    ours = found[models.DEFAULT]
    assert ours.classes == ("plane", "ship")
    assert ours.colours == ("#e6194b", "#4363d8")
    assert ours.scores == {"plane": 0.5, "ship": 0.65}
    assert ours.gsd == (0.3, 3.0)
    assert "non-commercial" in ours.licence
    assert "Airbus" in ours.attribution
    assert ours.state == "bundled"
    assert ours.size > 1e6
    assert ours.summary
    assert ours.limitations
    other = found["yolov4-dota15"]
    assert other.state == "not downloaded"
    assert len(other.colours) == len(other.classes) == 16  # its card states no colours, the engine's are taken
    assert set(other.scores) == set(other.classes)
    assert other.gsd is None


def test_they_are_asked_for_once(engine):
    models.known_models(engine)
    started = time.monotonic()
    assert models.known_models(engine) == models.cached_models(engine)
    assert models.model_info(engine, models.DEFAULT).name == models.DEFAULT
    assert time.monotonic() - started < 0.05


def test_another_engine_in_the_same_place_is_asked(engine, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {engine} "$@"\n')
    python.chmod(0o755)
    assert models.known_models(str(python)) == models.cached_models(str(python))
    os.utime(python, (1, 1))
    assert models.cached_models(str(python)) is None


def test_names_and_licences_are_remembered_for_dialogs(engine):
    assert list(models.licences()) == [models.DEFAULT]
    assert "non-commercial" in models.licences()[models.DEFAULT]
    known = models.known_models(engine)
    models.forget_models()
    assert models.licences() == {model.name: model.licence for model in known}
    assert list(models.licences()) == [models.DEFAULT, "yolov3-dota15", "yolov4-dota15"]


def test_a_model_of_a_folder(engine, tmp_path):
    home = tmp_path / "modèle 船"
    told = json.loads(run_engine(engine, ["models", "info", models.DEFAULT, "--json"]).text)
    shutil.copytree(told["folder"], home)
    found = models.model_info(engine, str(home))
    assert found.classes == ("plane", "ship")
    assert "non-commercial" in found.licence


def test_errors_and_cancel(engine, tmp_path):
    with pytest.raises(EngineError, match="zeppelins"):
        models.model_info(engine, "zeppelins")
    with pytest.raises(EngineError) as caught:
        models.known_models(str(tmp_path / "none"))
    assert caught.value.kind == "missing"
    with pytest.raises(EngineCancelled):
        models.known_models(engine, lambda: True)
    assert models.cached_models(engine) is None
