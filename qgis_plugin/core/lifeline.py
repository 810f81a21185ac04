"""Runs a program, and kills it with all its children when stdin is closed: so that it never outlives QGIS.

    python lifeline.py PROGRAM ARGUMENT ...

Run by the Python that an engine is installed with, never imported; nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess  # nosec B404
import sys
import threading


def main() -> None:
    """Run the program and end with its exit code."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # nosec B603
    threading.Thread(target=_watch, args=(process,), daemon=True).start()
    code = process.wait()
    os._exit(code if code >= 0 else 128 - code)  # the thread waits for stdin for ever


def _watch(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        continue
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    process.kill()
    os._exit(1)


if __name__ == "__main__":
    main()
