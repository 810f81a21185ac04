"""A package that stands for geodetect where only its being installed matters."""

import base64
import hashlib
import zipfile
from pathlib import Path

ANSWERS = """
import json, sys
print(json.dumps({"type": "hello", "protocol": PROTOCOL, "geodetect": "0.1.7"}), flush=True)
sys.stdin.readline()
print(json.dumps({"type": "end", "code": 0, "text": "[]"}), flush=True)
"""


def make_wheel(folder: Path, requires: str = "", protocol: int = 1, tag: str = "py3-none-any") -> Path:
    """Write a package named geodetect, which answers as an engine does and can do nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "geodetect-0.1.7.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        "geodetect/__init__.py": "",
        "geodetect/__main__.py": ANSWERS.replace("PROTOCOL", str(protocol)),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: geodetect\nVersion: 0.1.7\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    rows = [f"{name},{_digest(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"geodetect-0.1.7-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
