"""The folder of the data set: what may be put into it, and what says that it is whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

from geodetect.errors import OutputError
from training.prepare import journal, sheet
from training.prepare.dataset import SPLITS, annotations_path
from training.prepare.settings import PrepareSettings

REPORT = "report.json"
_TILE = re.compile(r".+__[\d.]+__\d+___\d+\.(png|jpg)")  # whatever else lies there is the user's


def check_output(settings: PrepareSettings) -> None:
    """Raise OutputError where the folder holds something else, or a data set that was made with other settings."""
    out = Path(settings.out)
    for path in map(Path, settings.data):
        if path.is_dir() and path.resolve() in (out.resolve(), *out.resolve().parents):
            raise OutputError(
                f"the output {out} lies in {path}, whose images it would be taken for; give another folder"
            )
    if not out.exists():
        return
    before, _ = journal.read_journal(out)
    if before is None:
        others = not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())
        if others:
            raise OutputError(f"the output {out} exists and is no data set of this command; give another folder")
        return
    now = _plain(settings)
    name = next((name for name in now if before.get(name) != now[name]), None)
    if name is not None and not settings.overwrite:
        raise OutputError(
            f"the output {out} was made with {name} {before.get(name)}, not {now[name]}; give another folder, or "
            "--overwrite to replace it"
        )


def open_output(settings: PrepareSettings) -> tuple[dict[str, list[str]], set[str]]:
    """Make the folder where it does not exist, and return its finished jobs and the tiles in it, by their names.

    Raises:
        OutputError: it cannot be made.
    """
    out = Path(settings.out)
    try:
        for split in SPLITS:
            (out / split).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {out} cannot be made ({error.strerror}); give another one") from error
    before, done = journal.read_journal(out)
    if before != _plain(settings):
        remove_results(out)
        journal.write_journal(out, _plain(settings), done)
    names = ((split, path.name) for split in SPLITS for path in (out / split).iterdir())
    return done, {f"{split}/{name}" for split, name in names if _TILE.fullmatch(name)}


def remove_results(out: Path) -> None:
    """Remove what says that the data set is whole: its tiles are about to change."""
    for path in (*(annotations_path(out, split) for split in SPLITS), out / REPORT, out / sheet.NAME):
        path.unlink(missing_ok=True)


def _plain(settings: PrepareSettings) -> dict:
    """Return the settings as a journal has them."""
    plain: dict = json.loads(json.dumps(settings.recorded()))
    return plain
