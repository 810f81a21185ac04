"""The plugin's package: built the same everywhere, and each rule finds the fault it is for."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import geodetect
from tools import build_plugin, check_plugin
from tools.package_rules import LIMIT, RULES, Package

ROOT = Path(__file__).parents[2]
FOLDER = build_plugin.FOLDER


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return build_plugin.build(tmp_path_factory.mktemp("dist"))


def packed(path: Path, changes: dict[str, bytes | None], mode: int = 0o644) -> Path:
    """The real package with some files changed, added, or taken out by None."""
    files: dict[str, bytes | None] = {f"{FOLDER}/{name}": data for name, data in build_plugin.contents().items()}
    with zipfile.ZipFile(path, "w") as package:
        for name, data in {**files, **changes}.items():
            if data is not None:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (0o100000 | (mode if name in changes else 0o644)) << 16
                package.writestr(entry, data)
    return path


def metadata(old: str, new: str) -> dict[str, bytes | None]:
    text = (ROOT / "metadata.txt").read_text("utf-8")
    assert old in text
    return {f"{FOLDER}/metadata.txt": text.replace(old, new).encode()}


def test_version_is_the_engines():
    assert build_plugin.version() == geodetect.__version__


def test_package_holds_the_plugin(built):
    names = zipfile.ZipFile(built).namelist()
    assert built.name == f"{FOLDER}-{geodetect.__version__}.zip"
    assert names == sorted(names)
    for name in ("__init__.py", "metadata.txt", "LICENSE", "core/engine_process.py", "i18n/geodetect_zh.qm"):
        assert f"{FOLDER}/{name}" in names
    assert not [name for name in names if name.endswith((".ts", ".pyc", ".md"))]


def test_same_source_gives_same_bytes(tmp_path):
    sums = set()
    for number, umask in enumerate((0o022, 0o077)):
        place = tmp_path / f"checkout {number}"
        for name in ("tools", "qgis_plugin"):
            shutil.copytree(ROOT / name, place / name)
        for name in ("metadata.txt", "LICENSE"):
            shutil.copy(ROOT / name, place / name)
        for path in place.rglob("*"):
            os.utime(path, (1_000_000_000 + number * 10**7,) * 2)
            path.chmod(0o755 - number * 0o55)
        if number:  # what lies about in a checkout
            (place / "qgis_plugin" / ".hidden").write_text("x")
            (place / "qgis_plugin" / "core" / "__pycache__").mkdir(exist_ok=True)
            (place / "qgis_plugin" / "core" / "__pycache__" / "x.pyc").write_bytes(b"x")
        command = [sys.executable, "-m", "tools.build_plugin", "--into", str(tmp_path / f"out{number}")]
        environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONHASHSEED": str(number + 1)}
        built = subprocess.run(
            command,
            cwd=(tmp_path, place)[number],
            env=environment,
            umask=umask,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        sums.add(hashlib.sha256(Path(built).read_bytes()).hexdigest())
    assert len(sums) == 1


@pytest.mark.parametrize("rule", RULES)
def test_the_package_keeps_the_rule(built, rule):
    assert RULES[rule](Package.open(built)) == []


CORE = f"{FOLDER}/core/x.py"
FAULTS = {
    "two folders": ("archive", {"other/x.py": b""}, "other/x.py is not in"),
    "a way out": ("archive", {f"{FOLDER}/../x.py": b""}, "is not in"),
    "no init": ("files", {f"{FOLDER}/__init__.py": None}, "__init__.py is missing"),
    "no licence": ("files", {f"{FOLDER}/LICENSE": None}, "LICENSE is missing"),
    "hidden": ("files", {f"{FOLDER}/.env": b"x"}, ".env is hidden"),
    "cache": ("files", {f"{FOLDER}/__pycache__/x.py": b"x"}, "of a cache"),
    "compiled": ("files", {f"{FOLDER}/x.pyc": b"x"}, "does not belong"),
    "library": ("files", {f"{FOLDER}/x.so": b"x"}, "does not belong"),
    "translation source": ("files", {f"{FOLDER}/i18n/x.ts": b"x"}, "does not belong"),
    "false translation": ("files", {f"{FOLDER}/i18n/x.qm": b"MZ"}, "no compiled translation"),
    "key missing": ("metadata", metadata("tracker=", "trucker="), "tracker is missing"),
    "key empty": ("metadata", metadata("author=The geodetect developers", "author="), "author is missing or empty"),
    "no address": ("metadata", metadata("email=geodetect@", "email=geodetect-at-"), "email is no address"),
    "no URL": ("metadata", metadata("homepage=https://github.com/", "homepage=github/"), "homepage is no URL"),
    "no provider": ("metadata", metadata("Provider=yes", "Provider=no"), "hasProcessingProvider is no"),
    "Qt 5 only": ("metadata", metadata("4.99", "3.99"), "qgisMaximumVersion is 3.99"),
    "version": ("metadata", metadata("version=0", "version=v0"), "version is v0"),
    "icon": ("metadata", metadata("geodetect.svg", "none.svg"), "icon is not in the package"),
    "dependency untold": ("metadata", metadata("External dependency", "Works with"), "external dependency"),
    "per cent": ("metadata", metadata("Choose a", "5 % of a"), "cannot be read"),
    "slash": ("metadata", metadata("author=The", "author=A/B"), "slash"),
    "Qt 6 key": ("metadata", metadata("server=", "supportsQt6=True\nserver="), "deprecated"),
    "match": ("python", {CORE: b"match x:\n    case 1: pass\n"}, "not Python 3.9"),
    "groups": ("python", {CORE: b"try:\n    f()\nexcept* OSError:\n    pass\n"}, "not Python 3.9"),
    "numpy": ("imports", {f"{FOLDER}/gui/x.py": b"import numpy.linalg\n"}, "numpy may not"),
    "the engine": ("imports", {f"{FOLDER}/gui/x.py": b"from geodetect.api import x\n"}, "geodetect may not"),
    "PyQt5": ("imports", {f"{FOLDER}/gui/x.py": b"from PyQt5.QtCore import Qt\n"}, "PyQt5 may not"),
    "new module": ("imports", {f"{FOLDER}/gui/x.py": b"def f():\n    import tomllib\n"}, "tomllib may not"),
    "QGIS in core": ("imports", {CORE: b"from qgis.core import Qgis\n"}, "qgis may not"),
    "out of core": ("imports", {CORE: b"from ..settings import recall\n"}, "leaves core/"),
    "out of the package": ("imports", {f"{FOLDER}/x.py": b"from ..geodetect import x\n"}, "leaves the package"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_rule_finds_its_fault(name, tmp_path):
    rule, changes, told = FAULTS[name]
    found = RULES[rule](Package.open(packed(tmp_path / "p.zip", changes)))
    assert any(told in fault for fault in found), found


def test_executable_links_size_and_damage(tmp_path):
    script = {f"{FOLDER}/run.py": b"1"}
    assert "executable" in RULES["archive"](Package.open(packed(tmp_path / "p.zip", script, 0o755)))[0]
    assert "link" in RULES["archive"](Package.open(packed(tmp_path / "p.zip", script, 0o120644)))[0]
    big = packed(tmp_path / "big.zip", {f"{FOLDER}/big.png": bytes(LIMIT + 1)})
    assert "MB, the site takes 25" in RULES["archive"](Package.open(big))[0]
    damaged = packed(tmp_path / "damaged.zip", {f"{FOLDER}/x.py": b"a = 'unchanged'\n"})
    damaged.write_bytes(damaged.read_bytes().replace(b"unchanged", b"undamaged"))
    assert f"{FOLDER}/x.py is damaged" in RULES["archive"](Package.open(damaged))


SCANNED = {
    "assert": ("bandit", b"assert x\n", "B101"),
    "pass": ("bandit", b"try:\n    f()\nexcept Exception:\n    pass\n", "B110"),
    "process": ("bandit", b"import subprocess\n", "B404"),
    "key": ("secrets", b'x = "AKIAIOSFODNN7REALKEY"\n', "AWS Access Key"),  # pragma: allowlist secret
    "digest": (
        "secrets",
        b'x = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc71"\n',
        "High Entropy",
    ),  # pragma: allowlist secret
    "strict": ("library", b"x = zip(a, b, strict=True)\n", "zip(strict)' came with Python 3.10"),
    "member": ("qt6", b"from qgis.PyQt.QtCore import Qt\nQt.Horizontal\n", "Qt.Orientation.Horizontal"),
    "module": ("qt6", b"from qgis.PyQt import QtCore\nQtCore.Qt.Horizontal\n", "Qt.Orientation.Horizontal"),
    "inherited": (
        "qt6",
        b"from qgis.core import QgsTask\nclass A(QgsTask):\n    def f(self): return self.CanCancel\n",
        "self.CanCancel is QgsTask.Flag.CanCancel",
    ),
    "exec_": ("qt6", b"dialog.exec_()\n", "exec()"),
    "not in QGIS": ("qt6", b"from qgis.core import QgsNever\n", "qgis.core.QgsNever is not in QGIS"),
    "not in a class": ("qt6", b"from qgis.core import Qgis\nQgis.MessageLevel.Loud\n", "MessageLevel.Loud is not in"),
}


@pytest.mark.parametrize("name", SCANNED)
def test_each_scan_finds_its_fault(name, tmp_path):
    scan, source, told = SCANNED[name]
    (tmp_path / "good.py").write_text('"""Nothing."""\n\nx = 1\n')
    try:
        assert check_plugin.SCANS[scan](tmp_path) == []
    except check_plugin.Skipped as reason:
        pytest.skip(str(reason))
    (tmp_path / "bad.py").write_bytes(source)
    found = check_plugin.SCANS[scan](tmp_path)
    assert found
    assert all(fault.startswith("bad.py:") for fault in found)
    assert any(told in fault for fault in found), found


def test_the_check_as_a_command(built, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_plugin, "SCANS", {})
    monkeypatch.setattr(sys, "argv", ["check", str(built)])
    assert check_plugin.main() == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["archive", "ok"]
    monkeypatch.setattr(sys, "argv", ["check", str(packed(tmp_path / "p.zip", {CORE: b"import numpy\n"}))])
    assert check_plugin.main() == 1
    assert (
        "imports    FAIL: 1\n    geodetect_qgis/core/x.py:1: numpy may not be imported here" in capsys.readouterr().out
    )


def test_a_check_that_cannot_be_made_is_told(built, monkeypatch, capsys):
    monkeypatch.setattr(check_plugin, "SCANS", {"qt6": check_plugin.qt6})
    monkeypatch.setattr(check_plugin, "QGIS_PYTHON", "/nowhere/python3")
    monkeypatch.setattr(sys, "argv", ["check", str(built)])
    assert check_plugin.main() == 0
    assert "qt6        skipped: /nowhere/python3 has no QGIS" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["check", "--all", str(built)])
    assert check_plugin.main() == 1
