"""The engine's environment as the user meets it: state, page of options, dialog, jobs. Real QGIS, pip and engine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from desk import Gaps, events, until
from host import children
from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDialogButtonBox

from qgis_plugin import engine as engines
from qgis_plugin.core.installer import MARKER, installed
from qgis_plugin.engine import CHOSEN, engine_python, engine_state, forget_state, known_state
from qgis_plugin.gui.engine_jobs import end_engine_jobs, engine_jobs
from qgis_plugin.gui.install_dialog import InstallDialog
from qgis_plugin.gui.options import PAGE, OptionsFactory, OptionsPage
from qgis_plugin.gui.proxy import qgis_proxy
from qgis_plugin.models import cached_models, known_models
from qgis_plugin.settings import data_folder, recall, remember
from tests.plugin.stand_in import make_wheel


@pytest.fixture(autouse=True)
def bare(qgis_app, monkeypatch, tmp_path):
    """A user who has no engine; their data folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "Daten 数据"))
    monkeypatch.delenv("GEODETECT_PYTHON", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    forget_state()
    yield
    end_engine_jobs()
    assert until(lambda: not QgsApplication.taskManager().activeTasks(), 10)


@pytest.fixture
def wheels(tmp_path):
    """A folder of wheel files with the stand-in, chosen as the source of packages."""
    folder = tmp_path / "wheels"
    make_wheel(folder)
    remember("engine/source", "folder")
    remember("engine/source_path", str(folder))
    return folder


@pytest.fixture
def page(qgis_app):
    """The page, as QGIS's options show it."""
    factory = OptionsFactory()
    made = factory.createWidget(None)
    made.resize(700, 600)
    made.show()
    yield made
    made.close()
    made.deleteLater()
    events(0.05)


@pytest.fixture
def dialog(qgis_app):
    made = InstallDialog()
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    made.show()
    yield made
    made.close()
    made.deleteLater()
    events(0.05)


def press(button):
    events()  # so that it lies where it will be seen
    assert button.isVisible(), button.text()
    assert button.isEnabled(), button.text()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def done(seconds=90):
    """Wait for the job's end; return how it ended."""
    assert until(lambda: not engine_jobs().busy, seconds), engine_jobs().log
    return engine_jobs().outcome


def stand_in(path: Path, lines: str) -> str:
    path.write_text("#!/bin/sh\n" + lines)
    path.chmod(0o755)
    return str(path)


# -- state ------------------------------------------------------------------------------------------------------------


def test_the_engine_is_the_variables_then_the_users_then_the_private_one(monkeypatch):
    assert engine_python() == ""
    assert known_state("").kind == "missing"
    home = Path(data_folder()) / "engine-0.1"
    home.mkdir(parents=True)
    marker = '{"geodetect": "0.1", "extra": "", "origin": "index", "maker": "pip", "bytes": 1, "made": "2025-01-01"}'
    (home / MARKER).write_text(marker)
    assert engine_python().startswith(str(home))
    assert known_state(engine_python()).kind == "missing", "its Python was taken away"
    remember(CHOSEN, "/some/python")
    assert engine_python() == "/some/python"
    monkeypatch.setenv("GEODETECT_PYTHON", "/other/python")
    assert engine_python() == "/other/python"


def test_an_engine_is_asked_once(engine):
    assert known_state(engine) is None
    state = engine_state(engine)
    assert state.ready
    assert state.version.startswith("0.")
    started = time.monotonic()
    assert engine_state(engine) is state is known_state(engine)
    assert time.monotonic() - started < 0.05
    forget_state()
    assert known_state(engine) is None


def test_an_engine_that_does_not_start_is_asked_again_when_it_changed(tmp_path):
    python = stand_in(tmp_path / "python", "echo no module named geodetect >&2; exit 1\n")
    state = engine_state(python)
    assert (state.kind, state.ready) == ("broken", False)
    assert "no module named geodetect" in state.message
    assert state.hint
    assert known_state(python) is state
    hello = '{"type": "hello", "protocol": 99, "geodetect": "9.9"}'
    stand_in(Path(python), f"echo '{hello}'; sleep 5\n")
    os.utime(python, (1, 1))
    assert known_state(python) is None
    state = engine_state(python)
    assert (state.kind, state.version) == ("protocol", "9.9")
    assert "protocol 99" in state.message


# -- page -------------------------------------------------------------------------------------------------------------


def test_install_and_remove_on_the_page(wheels, page):
    assert page.objectName() == PAGE
    assert (page.state.mood, page.test.isEnabled()) == ("bad", False)
    assert "no engine" in page.state.text
    assert not page.jobs.bar.isVisible()
    gaps, heard = Gaps(), []
    engine_jobs().engine_changed.connect(lambda: heard.append(engine_python()))
    press(page.install)
    assert until(lambda: page.jobs.bar.isVisible() and page.jobs.cancel.isEnabled(), 5)
    assert not page.install.isEnabled()
    assert done().kind == "installed"
    assert gaps.worst < 0.2
    assert until(lambda: page.state.mood == "good", 20)
    assert "0.1.7" in page.state.text
    assert page.install.text().replace("&", "").startswith("Repair")
    assert heard == [engine_python()] == [installed(data_folder()).python]
    assert "Successfully installed geodetect-0.1.7" in "\n".join(engine_jobs().log)

    press(page.remove)
    assert installed(data_folder()), "once is not enough"
    assert "again" in page.remove.text()
    press(page.remove)
    assert done().kind == "removed"
    assert engine_python() == ""
    assert "no engine" in page.state.text
    assert not page.remove.isEnabled()


def test_installing_makes_the_private_environment_the_engines(wheels, page, tmp_path):
    remember(CHOSEN, str(tmp_path / "python"))
    page.existing.setChecked(True)
    assert not page.install.isEnabled()
    page.private.setChecked(True)
    press(page.install)
    assert done().kind == "installed"
    assert engine_python() == installed(data_folder()).python
    page.apply()
    assert engine_python() == installed(data_folder()).python


def test_an_existing_python_is_tested(page, engine):
    page.existing.setChecked(True)
    page.path.setFilePath(engine)
    assert until(lambda: page.state.mood == "good", 30), page.state.text
    assert engine in page.state.text
    assert engine_python() == "", "nothing is kept before OK"
    known_models(engine)
    gaps = Gaps()
    press(page.test)
    assert cached_models(engine) is None, "there may be others since"
    outcome = done()
    assert outcome.kind == "tested", outcome
    assert "ms a tile" in page.jobs.outcome.text
    assert gaps.worst < 0.2
    log = page.jobs.log.toPlainText()
    assert "rasterio" in log
    assert "Python 3." in log
    page.jobs.folded.setCollapsed(False)
    press(page.jobs.copy)
    assert QgsApplication.clipboard().text().strip() == log.strip()
    page.apply()
    assert engine_python() == engine


def test_a_folder_stands_for_the_python_in_it(page, engine):
    page.existing.setChecked(True)
    page.path.setFilePath(str(Path(engine).parents[1]))
    page.apply()
    assert Path(engine_python()).parent == Path(engine).parent
    page.private.setChecked(True)
    page.apply()
    assert engine_python() == ""


def test_a_python_without_geodetect_is_told_by_state_and_test(page, tmp_path):
    python = stand_in(tmp_path / "python", "echo no module named geodetect >&2; exit 1\n")
    page.existing.setChecked(True)
    page.path.setFilePath(python)
    assert until(lambda: page.state.mood == "bad" and "no module" in page.state.text, 20), page.state.text
    press(page.test)
    outcome = done()
    assert outcome.kind == "failed"
    assert "no module named geodetect" in page.jobs.outcome.text
    assert outcome.hint in page.jobs.outcome.text


def test_the_variable_wins_and_the_page_says_so(qgis_app, engine, monkeypatch):
    monkeypatch.setenv("GEODETECT_PYTHON", engine)
    page = OptionsPage()
    page.show()
    assert until(lambda: page.state.mood == "good", 30), page.state.text
    assert "GEODETECT_PYTHON" in page.state.text
    assert not page.group.isEnabled()
    page.apply()
    assert recall(CHOSEN, "nothing") == "nothing"
    page.close()
    dialog = InstallDialog()
    assert not dialog.install.isEnabled()
    assert "GEODETECT_PYTHON" in dialog.install.toolTip()
    dialog.show()
    assert dialog.why.isVisible()
    assert engine in dialog.why.text
    dialog.close()


# -- dialog -----------------------------------------------------------------------------------------------------------


def test_the_dialog_says_what_and_where_and_installs(wheels, dialog):
    assert not dialog.isModal()
    assert data_folder() in dialog.where.text()
    assert "MB" in dialog.room.text()
    assert "non-commercial" in dialog.licence.text()
    assert not Path(data_folder()).exists(), "nothing is made unasked"
    press(dialog.install)
    assert done().kind == "installed"
    assert "0.1.7" in dialog.jobs.outcome.text
    assert dialog.buttons.button(QDialogButtonBox.StandardButton.Close).isDefault()


def test_cancelled_at_once_and_nothing_left(wheels, dialog):
    before = children()
    press(dialog.install)
    assert until(lambda: engine_jobs().step == "packages", 60)
    started = time.monotonic()
    press(dialog.jobs.cancel)
    outcome = done(5)
    assert time.monotonic() - started < 1
    assert outcome.kind == "cancelled"
    assert "nothing of it is left" in dialog.jobs.outcome.text
    assert until(lambda: os.listdir(data_folder()) == ["engine.lock"], 10)
    assert children() == before
    assert dialog.install.isEnabled()


def test_installing_goes_on_when_the_dialog_is_closed(wheels, dialog, page):
    press(dialog.install)
    assert until(lambda: engine_jobs().step == "environment", 30)
    dialog.close()
    again = InstallDialog()
    again.show()
    assert again.jobs.bar.isVisible()
    assert again.jobs.log.toPlainText()
    assert not again.install.isEnabled()
    assert done().kind == "installed"
    assert "0.1.7" in again.jobs.outcome.text
    assert until(lambda: page.state.mood == "good", 20)
    again.close()


def test_a_failure_says_why_and_what_to_do(wheels, dialog):
    for file in wheels.iterdir():
        file.unlink()
    press(dialog.install)
    outcome = done()
    assert outcome.kind == "failed"
    assert str(wheels) in outcome.message
    assert "pip download" in outcome.hint
    assert outcome.hint in dialog.jobs.outcome.text
    assert dialog.jobs.outcome.mood == "bad"
    assert dialog.install.isEnabled()


def test_a_source_must_be_chosen(dialog):
    dialog.choice.source.setCurrentIndex(dialog.choice.source.findData("folder"))
    assert not dialog.install.isEnabled()
    assert "folder" in dialog.install.toolTip()
    assert dialog.why.isVisible()
    assert dialog.why.text == dialog.install.toolTip()
    dialog.choice.source.setCurrentIndex(dialog.choice.source.findData("index"))
    assert dialog.install.isEnabled()
    assert not dialog.why.isVisible()
    assert dialog.choice.order().requirement == "geodetect>=0.1,<0.2"


def test_the_plugins_end_ends_the_installation(wheels, dialog):
    before = children()
    press(dialog.install)
    assert until(lambda: engine_jobs().step == "environment", 30)
    started = time.monotonic()
    end_engine_jobs()
    assert time.monotonic() - started < 3
    assert until(lambda: children() == before, 5)
    assert until(lambda: os.listdir(data_folder()) == ["engine.lock"], 5)


# -- proxy ------------------------------------------------------------------------------------------------------------


def test_the_proxy_of_qgis(qgis_app, dialog):
    assert qgis_proxy() == ("", "")
    values = {
        "proxyEnabled": True,
        "proxyType": "HttpProxy",
        "proxyHost": "proxy.example",
        "proxyPort": "3128",
        "proxyUser": "anna",
        "proxyPassword": "p@ss:1",
        "noProxyUrls": ["http://intern.example/x"],
    }
    settings = QgsSettings()
    manager = QgsNetworkAccessManager.instance()
    try:
        for name, value in values.items():
            settings.setValue("proxy/" + name, value)
        manager.setupDefaultProxyAndCache()
        assert qgis_proxy() == ("http://anna:p%40ss%3A1@proxy.example:3128", "intern.example")
        assert dialog.choice.order().proxy == qgis_proxy()[0]
        settings.setValue("proxy/proxyType", "Socks5Proxy")
        manager.setupDefaultProxyAndCache()
        assert qgis_proxy()[0].startswith("socks5h://")
    finally:
        settings.remove("proxy")
        manager.setupDefaultProxyAndCache()
    assert qgis_proxy() == ("", "")


def test_texts_of_the_core_are_translated_by_qt():
    assert engines.texts.translate("Installer", "Make room, then try again.") == "Make room, then try again."
