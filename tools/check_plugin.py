"""Check the QGIS plugin's package against the rules of plugins.qgis.org and our own: `python -m tools.check_plugin`.

The rules are those of the site's own source, made stricter: all that it warns of is a fault here. URLs are checked for
their form alone, since nothing here needs the network. Ends with 1 where a rule is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tools.build_plugin import FOLDER, ROOT, version
from tools.package_rules import OLDEST, RULES, Package

QGIS_PYTHON = os.environ.get("QGIS_PYTHON", "/usr/bin/python3")  # the Python that has QGIS's modules


class Skipped(Exception):  # noqa: N818 - it is no error
    """The check cannot be made here; says why."""


def main() -> int:
    """Check a package, tell rule by rule, and return the exit code."""
    parser = argparse.ArgumentParser(prog="tools.check_plugin", description=__doc__.split("\n")[0])
    built = ROOT / "dist" / f"{FOLDER}-{version()}.zip"
    parser.add_argument("package", type=Path, nargs="?", default=built, help="zip file, by default the one in dist/")
    parser.add_argument("--all", action="store_true", help="a check that cannot be made here is a fault")
    arguments = parser.parse_args()
    package = Package.open(arguments.package)
    faulty = False
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(arguments.package) as archive:
            archive.extractall(folder, members=list(package.files))
        checks = {name: _on(rule, package) for name, rule in RULES.items()}
        checks |= {name: _on(scan, Path(folder)) for name, scan in SCANS.items()}
        for name, check in checks.items():
            try:
                faults, sign = check(), "ok"
            except Skipped as reason:
                faults, sign = ([str(reason)], "FAIL") if arguments.all else ([], f"skipped: {reason}")
            faulty = faulty or bool(faults)
            print(f"{name:10}", f"FAIL: {len(faults)}" if faults else sign)
            print("".join(f"    {fault}\n" for fault in faults), end="")
    size = sum(len(data) for data in package.files.values())
    print(f"{arguments.package.name}: {len(package.files)} files, {size / 1e6:.2f} MB, {'FAIL' if faulty else 'ok'}")
    return 1 if faulty else 0


def bandit(folder: Path) -> list[str]:
    """Return what Bandit finds with all its rules, the least severe too."""
    report = json.loads(_output("bandit", ["-m", "bandit", "-r", "-q", "-f", "json", "."], folder))
    findings = [
        f"{found['filename'].removeprefix('./')}:{found['line_number']}: {found['test_id']} {found['issue_text']}"
        for found in report["results"]
    ]
    return findings + [f"{error['filename']}: {error['reason']}" for error in report["errors"]]


def secrets(folder: Path) -> list[str]:
    """Return what detect-secrets takes for a secret; metadata.txt is left out, as the site does."""
    command = ["-m", "detect_secrets", "scan", "--all-files", "--exclude-files", r"metadata\.txt", "."]
    found = json.loads(_output("detect-secrets", command, folder))["results"]
    return [f"{path}:{one['line_number']}: {one['type']}" for path, ones in sorted(found.items()) for one in ones]


def library(folder: Path) -> list[str]:
    """Return what the standard library of the oldest Python lacks, as Vermin finds it."""
    target = f"-t={OLDEST[0]}.{OLDEST[1]}-"
    command = ["-c", "import vermin; vermin.main()", "--format", "parsable", "--violations", "--no-tips", target, "."]
    # path:line:column:least Python 2:least Python 3:what; lines without the last are sums
    found = [line.rsplit(":", 5) for line in _output("vermin", command, folder).splitlines() if line.count(":") == 5]
    named = [(os.path.relpath(path, folder), *rest) for path, *rest in found if path]
    return [f"{path}:{line}: {what} came with Python {least}" for path, line, _, _, least, what in named if what]


def qt6(folder: Path) -> list[str]:
    """Return what would break under Qt 6 or in QGIS 3.22, as tools/qt6_scan.py finds it in QGIS's Python."""
    # a Python before /usr/bin on PATH would be taken for QGIS's own
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    clean |= {"PATH": os.pathsep.join((str(Path(QGIS_PYTHON).parent), "/usr/bin", "/bin"))}
    try:
        subprocess.run([QGIS_PYTHON, "-c", "import qgis.core"], check=True, capture_output=True, env=clean)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped(f"{QGIS_PYTHON} has no QGIS; install python3-qgis or set QGIS_PYTHON") from error
    command = [QGIS_PYTHON, str(ROOT / "tools" / "qt6_scan.py"), str(folder)]
    scan = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    if scan.returncode not in (0, 1) or (scan.returncode and not scan.stdout):
        return [f"the scan itself failed: {scan.stderr.strip()[-500:]}"]
    return scan.stdout.splitlines()


SCANS: dict[str, Callable[[Path], list[str]]] = {
    "bandit": bandit,
    "secrets": secrets,
    "library": library,
    "qt6": qt6,
}


def _on(check: Callable[..., list[str]], what: object) -> Callable[[], list[str]]:
    return lambda: check(what)


def _output(tool: str, words: list[str], folder: Path) -> str:
    """Return what a scanner prints; it ends with 1 where it finds something."""
    scan = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    if not scan.stdout.strip():
        raise Skipped(f"no {tool} here; pip install -e '.[dev]' brings it ({scan.stderr.strip()[-200:]})")
    return scan.stdout


if __name__ == "__main__":
    sys.exit(main())
