"""What a command writes: to a local path as it is, to an object store by way of a folder on this machine.

`geodetect eval -o s3://bucket/scores` writes to `outputs/bucket-scores` beside the user's models and sends that. The
folder is new each time and goes when all has arrived, so what is left there is what a store did not take.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from geodetect.errors import Cancelled, OutputError
from geodetect.progress import SILENT, Reporter
from geodetect.registry import home
from training.storage.addresses import connect, is_remote, key_of, reason
from training.storage.mirror import Mirror, check_remote


def check_vacant(url: str | Path, names: Iterable[str] = ("",)) -> None:
    """Raise OutputError where an address is taken already; local paths are left to whoever writes them.

    Args:
        url: of the file or folder to be.
        names: of the files in the folder that must not be there; by default nothing may be.
    """
    if not is_remote(url):
        return
    store, key = connect(str(url)), key_of(str(url))
    for name in names:
        try:
            found = store.ls(f"{key}/{name}" if name else key)
        except FileNotFoundError:
            continue
        except Exception as error:  # botocore, aiohttp and s3fs have no base in common
            raise OutputError(f"nothing can be written to {url} ({reason(error)})") from error
        if found:
            taken = f"{str(url).rstrip('/')}/{name}" if name else url
            raise OutputError(f"the output {taken} exists; give another name, or --overwrite to replace it")


@contextlib.contextmanager
def sent(url: str | Path, reporter: Reporter = SILENT, last: str = "", keep: Path | None = None) -> Iterator[Path]:
    """Yield a local path to write a file or folder to, and send it when the block has ended well.

    A local path comes back as it is. That something can be written to an address is seen before the block begins.

    Args:
        url: `s3://BUCKET/KEY`, `obs://BUCKET/KEY` or a local path.
        reporter: is told when it is sent, and when that fails.
        last: file or folder in what is sent that follows the others, since it tells that they are whole.
        keep: folder below which the local files stay, by the address's key, to be gone on with; None: they are new
            each time, and removed when they are sent.

    Raises:
        OutputError: nothing can be written to the address.
        TrainingError: what was written could not be sent; it is in the local folder that the message names.
        Cancelled: Ctrl-C while it was sent; it names the folder as well.
    """
    if not is_remote(url):
        yield Path(url)
        return
    url = str(url).rstrip("/")
    check_remote(url)
    path = _place(url, keep)
    try:
        yield path
    except BaseException:
        if keep is None:
            shutil.rmtree(path.parent, ignore_errors=True)
        raise
    reporter.note(f"sending the files to {url}")
    try:
        _send(path, url, reporter, last)
    except KeyboardInterrupt:
        raise Cancelled(f"Stopped while files were sent to {url}; they are all in {path}.") from None
    if keep is None:
        shutil.rmtree(path.parent, ignore_errors=True)


def _place(url: str, keep: Path | None) -> Path:
    """Return the path on this machine; where it is not to be kept, in a folder of its own."""
    key = key_of(url)
    if keep is not None:
        return keep / key
    name = key.replace("/", "-")[-100:]  # no folder within another's, which is removed in the end
    base = home() / "outputs" / name
    try:
        for number in itertools.count(1):
            folder = base if number == 1 else base.with_name(f"{name}-{number}")
            with contextlib.suppress(FileExistsError):
                os.makedirs(folder)
                return folder / key.rpartition("/")[2]
    except OSError as error:
        raise OutputError(f"the folder {base} cannot be made ({error.strerror}); set GEODETECT_HOME") from error
    raise AssertionError("numbers do not end")


def _send(path: Path, url: str, reporter: Reporter, last: str) -> None:
    """Upload a file to the address, or a folder's files to below it."""
    if path.is_file():
        parent = url.rpartition("/")[0] if "/" in key_of(url) else url
        with Mirror(path.parent, parent, reporter) as mirror:
            mirror.push(path.resolve())
        return
    with Mirror(path, url, reporter) as mirror:
        for entry in sorted(path.resolve().iterdir(), key=lambda entry: entry.name == last):
            mirror.push(entry)
