"""`geodetect:detect` where it cannot go on: no engine, no file, no room, no patience."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from detecting import ALGORITHM, HALF, Listening, in_qgis_process, run
from host import children
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"MODEL": "zeppelins"}, "zeppelins"),
        ({"CLASSES": "plain"}, "did you mean 'plane'"),
        ({"SCORES": "plane=high"}, "give a number or pairs"),
    ],
)
def test_the_engines_errors_are_told_with_what_to_do(provider, scene, given, said, left):
    with pytest.raises(QgsProcessingException, match=said):
        run({"INPUT": scene, "OUTPUT": "TEMPORARY_OUTPUT", **given})


def test_layers_that_are_no_files_are_refused_with_what_to_do(provider, scene_file, left):
    address = "crs=EPSG:3857&format&type=xyz&url=http://localhost/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=3&zmin=0"
    with pytest.raises(QgsProcessingException, match=r"web map service.*export.*GeoTIFF"):
        run({"INPUT": QgsRasterLayer(address, "tiles", "wms"), "OUTPUT": "TEMPORARY_OUTPUT"})


def test_without_an_engine(provider, scene, monkeypatch, tmp_path):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    assert algorithm.canExecute()[0]
    monkeypatch.setenv("GEODETECT_PYTHON", str(tmp_path / "none"))
    usable, why = algorithm.canExecute()
    assert not usable
    assert "none does not exist" in why
    with pytest.raises(QgsProcessingException, match="none does not exist"):
        run({"INPUT": scene, "OUTPUT": "TEMPORARY_OUTPUT"})
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho No module named geodetect >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GEODETECT_PYTHON", str(broken))
    with pytest.raises(QgsProcessingException, match=r"does not start in .*No module named geodetect.*Repair"):
        run({"INPUT": scene, "OUTPUT": "TEMPORARY_OUTPUT"})


def test_cancel_ends_at_once_and_leaves_nothing(provider, scene, tmp_path, left):
    class Impatient(Listening):
        stamp = 0.0

        def setProgress(self, percent):
            if percent > 0 and not self.stamp:
                self.stamp = time.monotonic()
                self.cancel()

    path, heard = tmp_path / "o.gpkg", Impatient()
    heard.progressChanged.connect(heard.setProgress)
    result = run({"INPUT": scene, "TILE_SIZE": 64, "THREADS": 1, "OUTPUT": str(path)}, heard)
    assert heard.stamp
    assert time.monotonic() - heard.stamp < 1.5
    assert not result
    assert not path.exists()
    assert not children()


def test_an_output_that_is_being_edited_is_refused(provider, scene, tmp_path):
    path = str(tmp_path / "o.gpkg")
    run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": path})
    layer = QgsVectorLayer(path, "mine")
    QgsProject.instance().addMapLayer(layer)
    count = layer.featureCount()
    layer.startEditing()
    layer.deleteFeature(next(layer.getFeatures()).id())
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    with pytest.raises(QgsProcessingException, match="“mine” is being edited"):
        run({"INPUT": scene, "OUTPUT": path}, context=context)
    assert layer.commitChanges()
    assert layer.featureCount() == count - 1


def test_less_in_the_file_than_was_found_is_an_error(provider, scene, tmp_path):
    """What a disk that fills while the sink is written comes to; the engine's own file lies on another."""
    from qgis_plugin.processing.sinks import _lacking

    path = str(tmp_path / "o.gpkg")
    count = run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": path})["COUNT"]
    assert not _lacking(path, count)
    assert _lacking(path, count + 1).startswith(f"Only {count} of {count + 1} objects")


def test_an_engine_that_is_killed_is_told(provider, scene, left):
    class Deadly(Listening):
        pid = 0

        def hear(self, message):
            self.pid = message.get("pid", self.pid)
            if message["type"] == "progress" and message["done"]:
                os.kill(self.pid, signal.SIGKILL)

    heard = Deadly()
    with pytest.raises(QgsProcessingException, match=r"ended unexpectedly \(signal 9\)\. If memory was short"):
        run({"INPUT": scene, "TILE_SIZE": 64, "THREADS": 1, "OUTPUT": "TEMPORARY_OUTPUT"}, heard)
    assert heard.pid


def test_a_limit_on_files_is_told(provider, scene, tmp_path, qgis_app):
    """As where a user has a quota; see test_processing_disk.py for a disk that is full."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))\n"
        "import os\nos.execv('/usr/bin/qgis_process.bin', ['qgis_process.bin', *sys.argv[2:]])\n"
    )
    done = in_qgis_process(
        tmp_path, ["run", ALGORITHM, "--", f"INPUT={scene.source()}", f"OUTPUT={tmp_path / 'o.gpkg'}"],
        [sys.executable, "-c", script, "60000"],
    )  # fmt: skip
    assert done.returncode != 0
    assert "could not be written" in done.stderr + done.stdout  # no disk is full: the text is not of that
    assert not (tmp_path / "o.gpkg").exists()
