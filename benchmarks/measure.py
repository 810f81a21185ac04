"""How the benchmarks measure and print."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
MODEL = "planes-ships-yolov3-tiny"


@dataclass(frozen=True)
class Cost:
    """What something took.

    Attributes:
        seconds: on the clock.
        cpu: seconds of all cores; unlike those on the clock they hardly change when others use the machine.
        peak: resident memory, MB.
        answer: what the measured process reported besides.
    """

    seconds: float
    cpu: float
    peak: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)


def median(costs: Iterable[Cost]) -> Cost:
    """Return the medians of several runs, with the last one's answer."""
    costs = list(costs)
    middle = (statistics.median(getattr(cost, name) for cost in costs) for name in ("seconds", "cpu", "peak"))
    return Cost(*middle, costs[-1].answer)


def timed(run: Callable[[], Any]) -> Cost:
    """Return what a call takes in this process."""
    clock, cpu = time.perf_counter(), time.process_time()
    run()
    return Cost(time.perf_counter() - clock, time.process_time() - cpu)


def in_turn(runs: Mapping[str, Callable[[], Cost]], repeats: int) -> dict[str, Cost]:
    """Return the medians of runs made A B A B, so that whatever else the machine does meets all of them alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            costs[name].append(run())
    return {name: median(found) for name, found in costs.items()}


def process(command: Sequence[str | Path], **environment: str) -> Cost:
    """Return what a process takes. A JSON object on its last line is its answer; `seconds` and `cpu` there count.

    Raises:
        RuntimeError: it failed.
    """
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    clock = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths} | environment
    )
    assert child.stdout is not None
    with ThreadPoolExecutor(1) as pool:
        peak = pool.submit(_peak, child.pid)
        lines = child.stdout.read().decode().strip().splitlines()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - clock
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed")
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        answer = {}
    cpu = answer.pop("cpu", usage.ru_utime + usage.ru_stime)
    return Cost(answer.pop("seconds", seconds), cpu, peak.result(), answer)


def _peak(pid: int) -> float:
    """Return the most resident memory (MB) that a process has had, once it has ended.

    Looked up all the time, since what the system tells afterwards includes that of the process which started it.
    """
    peak = 0
    while True:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return peak / 1024
        found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
        if not found:  # it has ended
            return peak / 1024
        peak = found[0]
        time.sleep(0.01)


def own_process(module: str, *arguments: str | Path) -> Cost:
    """Return what `python -m benchmarks.MODULE ARGUMENTS` takes."""
    return process([sys.executable, "-m", f"benchmarks.{module}", *arguments])


def report(**answer: Any) -> None:
    """Print the last line of a measured process."""
    print(json.dumps(answer))


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; its first column is text, the others are figures."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=not index)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
