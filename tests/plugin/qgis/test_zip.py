"""The built package in a QGIS that has never seen it: a fresh profile, a fresh plugin folder, English and Chinese."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from qgis_plugin.core.environment import clean_environment
from tools.build_plugin import FOLDER, build

ALGORITHMS = {"geodetect:detect", "geodetect:evaluate", "geodetect:trainingdata"}
CHINESE = range(0x4E00, 0xA000)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of plugins, with the package unpacked as QGIS's plugin manager does it."""
    place = tmp_path_factory.mktemp("plugins ü")
    with zipfile.ZipFile(build(tmp_path_factory.mktemp("dist"))) as package:
        package.extractall(place)
    return place


class Qgis:
    """qgis_process with a profile of its own."""

    def __init__(self, plugins: Path, profile: Path, python: str) -> None:
        self._profile = profile
        self._variables = {
            **clean_environment(),
            "PATH": "/usr/bin:/bin",
            "QT_QPA_PLATFORM": "offscreen",
            "LANG": "C.UTF-8",
            "QGIS_PLUGINPATH": str(plugins),
            "QGIS_CUSTOM_CONFIG_PATH": str(profile),
            "GEODETECT_PYTHON": python,
        }

    def speak(self, locale: str) -> None:
        """Choose QGIS's language, as its options do."""
        settings = self._profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
        with settings.open("a") as file:
            file.write(f"\n[locale]\noverrideFlag=true\nuserLocale={locale}\n")

    def __call__(self, *words: str) -> str:
        # Debian's wrapper passes an option that qgis_process does not know
        run = subprocess.run(
            ["/usr/bin/qgis_process.bin", *words],
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert "Traceback" not in run.stdout + run.stderr
        return run.stdout


@pytest.fixture
def qgis(installed, tmp_path, engine) -> Qgis:
    process = Qgis(installed, tmp_path / "profile ü", engine)
    process("plugins", "enable", FOLDER)
    return process


def test_the_package_gives_its_algorithms(qgis):
    listed = json.loads(qgis("list", "--json"))["providers"]["geodetect"]
    assert set(listed["algorithms"]) == ALGORITHMS
    assert listed["version"]
    assert listed["is_active"]


def test_an_unpacked_package_runs(qgis, scene_file, tmp_path):
    found = tmp_path / "found.gpkg"
    told = json.loads(qgis("run", "--json", "geodetect:detect", "--", f"INPUT={scene_file}", f"OUTPUT={found}"))
    assert told["results"]["COUNT"] > 0
    assert Path(told["results"]["OUTPUT"]) == found
    assert found.stat().st_size > 0


@pytest.mark.parametrize("locale", ["zh-Hans", "zh_CN"])
def test_the_package_speaks_chinese(qgis, locale):
    english = json.loads(qgis("help", "--json", "geodetect:detect"))
    qgis.speak(locale)
    chinese = json.loads(qgis("help", "--json", "geodetect:detect"))
    assert not _chinese(english["algorithm_details"]["name"])
    assert _chinese(chinese["algorithm_details"]["name"])
    for name, parameter in chinese["parameters"].items():
        assert _chinese(parameter["description"]), (name, parameter["description"])


def test_every_algorithm_has_a_chinese_name(qgis):
    qgis.speak("zh-Hans")
    listed = json.loads(qgis("list", "--json"))["providers"]["geodetect"]["algorithms"]
    assert all(_chinese(algorithm["name"]) for algorithm in listed.values())


def _chinese(text: str) -> bool:
    return any(ord(letter) in CHINESE for letter in text)
