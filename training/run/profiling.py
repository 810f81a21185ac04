"""A profile of a few steps, by MindSpore's profiler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.devices.quiet import hushed

_FIRST, _STEPS = 3, 5  # the first steps compile, and are of no interest


class Profiler:
    """Profiles steps 3 to 7 of what it is told of, into a folder; MindStudio Insight or chrome://tracing shows them."""

    def __init__(self, folder: Path | None, note: Callable[[str], None] = lambda _: None) -> None:
        """Profile into a folder; None: do nothing. `note` is told where there was nothing to profile."""
        self._folder, self._seen, self._note = folder, 0, note
        self._profile: Any = None

    def step(self) -> None:
        """Receive that a step begins."""
        self._seen += 1
        if self._folder is None:
            return
        if self._seen == _FIRST:
            from mindspore import profiler

            self._folder.mkdir(parents=True, exist_ok=True)
            ready = profiler.tensorboard_trace_handler(str(self._folder))
            with hushed():  # it warns that there is no warm-up, which the steps before were
                plan = profiler.schedule(wait=0, warmup=0, active=_STEPS, repeat=1, skip_first=0)
                self._profile = profiler.profile(start_profile=False, schedule=plan, on_trace_ready=ready)
                self._profile.start()
        elif self._profile is not None:
            self._profile.step()
            if self._seen == _FIRST + _STEPS:
                self.stop()

    def stop(self) -> None:
        """Write what there is, or note that there is nothing."""
        if self._profile is not None:
            with hushed():  # it warns of fewer steps than planned
                self._profile.stop()
            self._profile = None
        elif self._folder is not None and self._seen < _FIRST:
            self._note(f"No profile was made: it begins with step {_FIRST}, since the first ones compile; train longer")
