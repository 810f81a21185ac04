"""The engine as the dock sees it: asked in the background, asked again when something may have changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from desk import events, until
from qgis.PyQt.QtCore import QObject

from qgis_plugin import models
from qgis_plugin.core.environment import clean_environment
from qgis_plugin.engine import CHOSEN, known_state
from qgis_plugin.gui.engine_banner import EngineBanner
from qgis_plugin.gui.engine_watch import EngineWatch
from qgis_plugin.settings import remember


@pytest.fixture(autouse=True)
def own_models(monkeypatch, tmp_path):
    """A user without models of their own."""
    monkeypatch.setenv("GEODETECT_HOME", str(tmp_path / "home"))
    models.forget_models()
    yield
    models.forget_models()


def import_model(engine, folder):
    """Add the bundled model under another name, as a user would in a terminal."""
    bundled = models.model_info(engine, models.DEFAULT)
    listed = subprocess.run(
        [engine, "-m", "geodetect", "models", "info", bundled.name, "--json"],
        env=clean_environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    home = Path(models.json.loads(listed.stdout)["folder"])
    shutil.copytree(home, folder)
    card = folder / "model.yaml"
    card.write_text(card.read_text("utf-8").replace(bundled.name, "harbour-cranes"), "utf-8")
    command = [engine, "-m", "geodetect", "models", "import", str(folder)]
    subprocess.run(command, env=clean_environment(), check=True, capture_output=True)


def test_a_model_that_was_imported_later_is_seen_when_the_dock_is_shown_again(dock, engine, tmp_path, monkeypatch):
    box = dock.run.model.combo
    names = {box.itemText(row) for row in range(box.count())}
    import_model(engine, tmp_path / "cranes")
    dock.hide()
    dock.show()
    assert not dock.watch._background.busy, "what is known since a moment is not asked for again"
    dock.hide()
    monkeypatch.setattr(models, "OLD", 0.0)
    dock.show()
    assert dock.run.model.value == models.DEFAULT, "the old list stays until there is another"
    assert dock.footer.detect.isEnabled()
    assert until(lambda: box.findText("harbour-cranes") >= 0, 20)
    assert {box.itemText(row) for row in range(box.count())} == names | {"harbour-cranes"}
    assert box.currentText() == models.DEFAULT


def test_an_engine_that_is_being_asked_is_asked_anew(qgis_app, tmp_path, monkeypatch):
    python, asked = tmp_path / "python", tmp_path / "asked"
    python.write_text(f"#!/bin/sh\necho x >> '{asked}'\nexec sleep 30\n")
    python.chmod(0o755)
    monkeypatch.setenv("GEODETECT_PYTHON", str(python))
    owner = QObject()
    watch = EngineWatch(owner)

    def times():
        return len(asked.read_text()) // 2 if asked.exists() else 0

    try:
        watch.refresh()
        assert until(lambda: times() == 1, 10)
        watch.refresh()
        events(0.3)
        assert times() == 1
        watch.refresh(anew=True)
        assert until(lambda: times() == 2, 10)
    finally:
        watch.shutdown()


@pytest.fixture
def banner(qgis_app, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("GEODETECT_PYTHON", raising=False)
    made = EngineBanner(lambda: None)
    yield made
    made.deleteLater()


def test_a_chosen_python_that_is_gone_is_named(banner):
    banner.show_state(known_state(""))
    assert banner.text.text() == "GeoDetect looks for objects with an engine that is not installed yet."
    remember(CHOSEN, "/gone/python")
    banner.show_state(known_state("/gone/python"))
    assert banner.text.text().startswith("/gone/python does not exist. Install the engine, or choose")


def test_a_variable_that_names_no_python_is_named(banner, monkeypatch):
    monkeypatch.setenv("GEODETECT_PYTHON", "/gone/python")
    banner.show_state(known_state(os.environ["GEODETECT_PYTHON"]))
    assert banner.text.text().startswith("/gone/python does not exist. Correct or remove the environment variable")
    assert "GEODETECT_PYTHON" in banner.text.text()
