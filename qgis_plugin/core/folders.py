"""Folders as the installer needs them: claimed by one process, measured, deleted whatever lies in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterator

from .install_errors import InstallError, explain
from .texts import translate

LOCK = "engine.lock"
GONE = "-gone-"  # in the name of a folder that is being deleted


@contextlib.contextmanager
def claimed(folder: str) -> Iterator[None]:
    """Hold a folder, made where it is not there, against other processes. The system frees it when this one dies.

    Raises:
        InstallError: another has it, or it cannot be written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise denied(error) from error
    try:
        _lock(lock)
    except OSError as error:
        os.close(lock)
        message = _tr("Another QGIS installs or removes the engine at the moment.")
        raise InstallError("busy", message, _tr("Wait until it is done.")) from error
    try:
        yield
    finally:
        os.close(lock)


def delete(path: str) -> None:
    """Delete a folder or file, if it is there, with all in it.

    Raises:
        InstallError: something in it is in use, or may not be deleted.
    """
    if not os.path.lexists(path):
        return
    try:
        _delete(path)
    except OSError:
        for folder, _, names in os.walk(path):  # what is read-only hinders on Windows, or in a read-only folder
            for name in (os.curdir, *names):
                with contextlib.suppress(OSError):
                    os.chmod(os.path.join(folder, name), stat.S_IRWXU)
        try:
            _delete(path)
        except OSError as error:
            raise denied(error) from error


def discard(path: str) -> None:
    """Take a folder away at once and delete it in the background: hundreds of megabytes may take ten seconds.

    QGIS waits for it when it ends. Where it is killed, the rest lies there under a name with `GONE`, for `sweep`.

    Raises:
        InstallError: something in it is in use.
    """
    aside = f"{path}{GONE}{time.time_ns()}"
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    except OSError:  # Windows, while a file in it is open
        return delete(path)
    threading.Thread(target=shutil.rmtree, args=(aside, True), name="geodetect-delete").start()


def sweep(folder: str) -> None:
    """Delete what earlier sessions had no time to."""
    for name in os.listdir(folder):
        if GONE in name:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def folder_size(path: str) -> int:
    """Return the bytes of all files in a folder, 0 where it is not there."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def free_space(folder: str) -> int:
    """Return the bytes that are free where a folder is, or is to be."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def denied(error: OSError) -> InstallError:
    """Return an error of the file system in words."""
    said = f"{error.strerror or error}: {error.filename or ''}"
    found = explain([f"Errno {error.errno}", said])
    return InstallError(found.kind if found.kind in ("disk", "denied") else "denied", f"{found} ({said})", found.hint)


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":  # pragma: no cover
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _tr(text: str) -> str:
    return translate("Installer", text)
