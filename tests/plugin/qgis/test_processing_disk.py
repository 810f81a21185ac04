"""Results that cannot be written: what is said, and that nothing is left."""

from __future__ import annotations

import gc
import os
import subprocess

import pytest
from detecting import ALGORITHM, HALF, Listening, in_qgis_process, run
from qgis.core import QgsProcessingException, QgsVectorLayer


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for 160 kB, 40 of them free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here; it takes root")
    (folder / "fill").write_bytes(b"x" * 120_000)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def layers():
    gc.collect()
    return [item for item in gc.get_objects() if isinstance(item, QgsVectorLayer)]


def open_files(folder):
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return [os.readlink(link) for link in links if os.path.lexists(link) and str(folder) in os.readlink(link)]


def test_a_full_disk_is_told_and_left_as_it_was(provider, scene, small_disk, left):
    with pytest.raises(QgsProcessingException, match=f"The disk is full: make room in {small_disk}"):
        run({"INPUT": scene, "OUTPUT": str(small_disk / "o.gpkg")})
    assert os.listdir(small_disk) == ["fill"]


def test_a_failed_run_holds_nothing(provider, scene, small_disk):
    """QGIS keeps the exception; what its frames hold would be closed after GDAL has gone, which is a crash."""
    before = len(layers())
    for _ in range(2):
        with pytest.raises(QgsProcessingException):
            run({"INPUT": scene, "OUTPUT": str(small_disk / "o.gpkg")})
    assert len(layers()) == before
    assert len([path for path in open_files(small_disk) if "detections.gpkg" in path]) == 0


def test_qgis_process_tells_it_too(provider, scene, small_disk, tmp_path):
    done = in_qgis_process(
        tmp_path, ["run", ALGORITHM, "--", f"INPUT={scene.source()}", f"OUTPUT={small_disk / 'o.gpkg'}"]
    )
    assert done.returncode == 1
    assert "The disk is full" in done.stdout + done.stderr
    assert os.listdir(small_disk) == ["fill"]


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson"])
def test_a_run_cancelled_while_it_writes_leaves_no_file(provider, scene, tmp_path, monkeypatch, ending):
    from qgis_plugin.processing import sinks

    feedback, pour = Listening(), sinks._pour

    def interrupted(layer, sink, fields, feedback):
        feedback.cancel()
        return pour(layer, sink, fields, feedback)

    monkeypatch.setattr(sinks, "_pour", interrupted)
    folder = tmp_path / "out"
    folder.mkdir()
    found = run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": str(folder / f"o.{ending}")}, feedback)
    assert "OUTPUT" not in found
    assert os.listdir(folder) == []


def test_of_a_file_with_other_layers_they_stay(provider, scene, tmp_path, monkeypatch):
    from qgis_plugin.processing import sinks

    path = tmp_path / "both.gpkg"
    first = run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": str(path)})
    monkeypatch.setattr(sinks, "_lacking", lambda *_: "not all of it was written")
    with pytest.raises(QgsProcessingException, match="not all of it"):
        run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": f"ogr:dbname='{path}' table=\"second\" (geom)"})
    layer = QgsVectorLayer(str(path), "first", "ogr")
    assert "second" not in {part.split("!!::!!")[1] for part in layer.dataProvider().subLayers()}
    assert layer.featureCount() == first["COUNT"] > 0


def test_what_a_user_should_know_is_a_warning(provider, scene_file, tmp_path):
    """At 40 m a pixel nothing can be found; the rest of the notes are for the log."""
    from qgis.core import QgsRasterLayer

    coarse = tmp_path / "coarse.vrt"
    command = ["gdal_translate", "-q", "-of", "VRT", "-a_ullr", "500000", "5000000", "551200", "4948800"]
    subprocess.run([*command, str(scene_file), str(coarse)], check=True)
    feedback = Listening()
    run({"INPUT": QgsRasterLayer(str(coarse), "coarse"), "OUTPUT": "TEMPORARY_OUTPUT"}, feedback)
    (warning,) = [text for text in feedback.warnings if "too coarse" in text]
    assert "little may be found" in warning
    assert any("bands 1, 2, 3" in text.lower() for text in feedback.infos)


def test_every_message_is_heard_once(provider, scene):
    class Hearing(Listening):
        def __init__(self):
            super().__init__()
            self.heard = []

        def hear(self, message):
            self.heard.append(message)

    feedback = Hearing()
    run({"INPUT": scene, "EXTENT": HALF, "OUTPUT": "TEMPORARY_OUTPUT"}, feedback)
    assert [message["type"] for message in feedback.heard].count("result") == 1
    assert [message["type"] for message in feedback.heard].count("hello") == 1
