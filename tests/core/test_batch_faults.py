"""An engine that fails and a clock that jumps: it is told, loses nothing, and is done in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import command, complete, ended, faulty
from running import features, write_scenes

from geodetect.batch.run import BatchOptions, run_batch, status
from geodetect.progress import Reporter

FAULTS = (
    "raise RuntimeError('the engine fell over')",
    "raise MemoryError()",
    "os.kill(os.getpid(), signal.SIGKILL)",
)
FAULTY = """
import os
import signal
from geodetect.engines import openvino

right = openvino.OpenVinoEngine.predict

def predict(self, images):
    for number in "123":
        try:
            os.unlink(os.path.join(os.environ["FAULT"], number))  # whoever comes third takes the last
        except OSError:
            continue
        if number == "3":
            {fault}
        break
    return right(self, images)

openvino.OpenVinoEngine.predict = predict
"""


@pytest.fixture(scope="module")
def scenes(pixels, tmp_path_factory) -> Path:
    """A folder of three scenes of four tiles."""
    return write_scenes(tmp_path_factory.mktemp("scenes"), pixels, 3)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_block_that_fails_once_is_tried_again(scenes, undisturbed, tmp_path, fault):
    """The third block: what was found in those before is kept, and that of the third is there once."""
    for number in (1, 2, 3):
        (tmp_path / str(number)).touch()
    environment = faulty(tmp_path, FAULTY.format(fault=fault), FAULT=tmp_path)
    words = command(scenes, "-o", tmp_path / "out", "--workers", "1", "--block", "1")
    assert ended(words, env=environment)[0] == 0
    assert not (tmp_path / "3").exists()
    complete(tmp_path / "out", undisturbed)
    assert sorted(record.attempts for record in status(tmp_path / "out")[0].records) == [1] * (len(undisturbed) - 1) + [
        2
    ]


def test_a_clock_that_jumps_harms_nothing(scenes, undisturbed, tmp_path):
    import time_machine

    class Jumping(Reporter):
        def progress(self, stage, done, total, found=0):
            traveller.move_to(4e9 if done % 2 else 1e6, tick=True)

    with time_machine.travel(1e9) as traveller:
        paths = [str(path) for path in sorted(scenes.iterdir())]
        options = BatchOptions(workers=1, block=1)
        result = run_batch(paths, tmp_path, options=options, reporter=Jumping(), precision="float32", score=0.3)
    assert {record.state for record in result.records} == {"done"}
    assert all(0 < record.seconds < 300 for record in result.records)
    assert features(tmp_path) == undisturbed
