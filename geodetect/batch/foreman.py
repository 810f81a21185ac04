"""Who gives the workers their work, and takes down what became of it."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from geodetect.batch.record import Record
from geodetect.batch.state import State
from geodetect.batch.work import Block, Done, Failed, Job, Outside, Split, detect_block, detect_scene
from geodetect.batch.workers import Lost
from geodetect.errors import BusyError, EngineError, OutputError
from geodetect.journal import Journal
from geodetect.prediction import NOTHING_VALID
from geodetect.progress import Caution, Reporter

_BUSY = 2.0  # s between two looks at an output that another run writes
_BEAT = 0.5  # s: progress is told, and a Ctrl-C heard, at least so often
_PAUSE = 1.0  # s before the second attempt, twice as long before each further one


class Workers(Protocol):
    """Whoever does the work.

    Attributes:
        slots: how many jobs can be worked on at once; may change.
    """

    @property
    def slots(self) -> int:
        """See above."""

    @property
    def patience(self) -> float:
        """Seconds in which work that an earlier run left to them ends."""

    def threads(self, tasks: int) -> int:
        """Return how many cores each of so many tasks may take."""

    def submit(self, work: Callable[..., Any], *words: Any) -> Future:
        """Start work; its result raises `Lost` where the worker died."""

    def close(self) -> None:
        """Stop."""


@dataclass(eq=False)
class _Order:
    """A scene that is worked on."""

    record: Record
    begun: float
    job: Job = field(init=False)
    journal: Journal | None = None  # of a scene that is looked at in blocks
    identity: dict[str, str] = field(default_factory=dict)
    left: int = 0  # blocks that are not done
    looked: int = 1  # tiles that hold a valid pixel, of those that were looked at in blocks
    over: bool = False  # settled: what is still worked on for it is of no use


@dataclass(frozen=True, eq=False)
class _Task:
    """What one worker does for an order: all of it, its end, or a block."""

    order: _Order
    span: range | None = None
    split: bool = True
    attempt: int = 1


class Foreman:
    """Works through the scenes of a state that wait. Call `turn` until it returns False, then `close`."""

    def __init__(
        self, state: State, workers: Workers, job: Callable[[Record], Job], retries: int, reporter: Reporter
    ) -> None:
        """Take the scenes that wait.

        Args:
            state: is told what becomes of them.
            workers: do the work.
            job: what is to be done for a scene.
            retries: how often a task is tried again that failed for no fault of its scene.
            reporter: is told progress and failures.
        """
        records = state.records()
        self._state, self._workers, self._job, self._retries, self._reporter = state, workers, job, retries, reporter
        self._waiting = deque(record for record in records if record.state == "waiting")
        self._tasks: deque[_Task] = deque()  # parts of scenes that are begun: they go first
        self._later: list[tuple[float, int, _Task]] = []
        self._running: dict[Future, _Task] = {}
        self._orders: set[_Order] = set()
        self._changed: list[Record] = []
        self._total = len(records)
        self._settled = self._total - len(self._waiting)
        self._scenes = len(self._waiting)
        self._found = sum(record.count for record in records if record.state == "done")
        self._told: set[str] = set()
        self._number = itertools.count()
        self._idle = False

    def turn(self) -> bool:
        """Give out work, wait for some of it to end and take that down; returns whether there is more."""
        while self._later and self._later[0][0] <= time.monotonic():
            self._tasks.append(heapq.heappop(self._later)[2])
        self._give()
        self._save()
        self._reporter.progress("batch", self._settled, self._total, self._found)
        if self._running:
            for future in wait(self._running, timeout=_BEAT, return_when=FIRST_COMPLETED).done:
                self._take(self._running.pop(future), future)
            self._save()
        elif self._later or self._tasks or self._waiting:
            time.sleep(_BEAT / 5)
        more = bool(self._running or self._tasks or self._later or self._waiting)
        if not more:
            self._reporter.progress("batch", self._settled, self._total, self._found)
        return more

    def close(self) -> None:
        """Leave what is not done to the next run."""
        for order in self._orders:
            if order.journal:
                order.journal.close(keep=True)
            self._changed.append(replace(order.record, state="waiting"))
        self._orders.clear()
        self._save()

    def _give(self) -> None:
        slots = self._workers.slots
        if not slots and not self._idle:
            self._reporter.note(Caution("no worker is left; waiting for one to come"))
        self._idle = not slots
        while len(self._running) < slots and (self._tasks or self._waiting):
            task = self._tasks.popleft() if self._tasks else self._begun(self._waiting.popleft())
            if task.order.over:
                continue
            job = task.order.job
            if task.span is None:
                future = self._workers.submit(detect_scene, job, task.split)
            else:
                future = self._workers.submit(detect_block, job, task.order.identity, task.span)
            self._running[future] = task

    def _begun(self, record: Record) -> _Task:
        record = replace(record, state="running", reason="", attempts=record.attempts + 1)
        order = _Order(record, time.monotonic())
        self._orders.add(order)
        self._share(order)
        self._changed.append(record)
        return _Task(order)

    def _share(self, order: _Order) -> None:
        """Give a scene's work its share of the cores: where tasks are fewer than workers, each gets more.

        Not the last ones of many: an engine with other threads would have to be opened first.
        """
        tasks = max(self._scenes, len(self._waiting) + sum(max(1, one.left) for one in self._orders))
        job = self._job(order.record)
        threads = job.config.threads or self._workers.threads(tasks)
        order.job = replace(job, config=replace(job.config, threads=threads))

    def _take(self, task: _Task, future: Future) -> None:
        """Take down what became of a task."""
        try:
            result = future.result()
        except Lost as lost:
            result = Failed(f"the worker was lost: {lost}", True)
        except EngineError:  # the cluster has gone
            raise
        except Exception as error:  # a worker of another make, or without geodetect
            result = Failed(f"a worker failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})", True)
        order = task.order
        if order.over:
            return
        if isinstance(result, Failed):
            self._missed(task, result)
        elif isinstance(result, Split):
            self._split(task, result)
        elif isinstance(result, Done):
            self._finish(order, result)
        elif isinstance(result, Outside):
            self._end(order, state="outside", reason=result.reason)
        else:
            self._block(task, result)

    def _split(self, task: _Task, split: Split) -> None:
        """Share out a scene's blocks, but for what an earlier run finished."""
        order = task.order
        try:
            journal = Journal(Path(order.job.output))
        except OutputError as error:
            return self._missed(task, Failed(str(error), True, isinstance(error, BusyError)))
        try:
            why = journal.recall(split.identity, split.tiles, split.n_classes)
        except OutputError as error:
            journal.close(keep=True)
            return self._missed(task, Failed(str(error), True))
        if why:
            self._reporter.note(f"{order.record.output}: {why}, so the scene starts anew")
        spans = [span for block in split.blocks for span in journal.missing(block)]
        if journal.lacking or not spans:  # blocks could not be handed over, or all are there
            journal.close(keep=True)
            self._tasks.append(_Task(order, split=False))
            return None
        order.journal, order.identity, order.left = journal, split.identity, len(spans)
        order.looked = journal.done
        self._share(order)
        self._tasks.extend(_Task(order, span) for span in spans)
        return None

    def _block(self, task: _Task, block: Block) -> None:
        """Write down a block; after the last one the scene is merged and written by a worker."""
        order, span = task.order, task.span
        assert order.journal is not None
        assert span is not None
        try:
            order.journal.add(span, block.found)
        except OutputError as error:
            self._missed(task, Failed(str(error), False))
            return
        order.left, order.looked = order.left - 1, order.looked + block.looked
        if not order.left:
            order.journal.close(keep=True)
            order.journal = None
            self._tasks.appendleft(_Task(order, split=False))

    def _finish(self, order: _Order, done: Done) -> None:
        """Take down a scene's result; each caution is told when it is first met."""
        notes = done.notes if order.looked else (*done.notes, NOTHING_VALID)
        for note in notes:
            if isinstance(note, Caution) and note not in self._told:
                self._told.add(note)
                self._reporter.note(Caution(f"{order.record.output}: {note}"))
        self._end(order, state="done", counts=done.counts, tiles=done.tiles, footprint=done.footprint, notes=notes)

    def _missed(self, task: _Task, failed: Failed) -> None:
        """Try a task again where that may help, after a while; else give up its scene."""
        order = task.order
        if failed.busy and time.monotonic() < order.begun + self._workers.patience:
            self._put_off(task, _BUSY)
            if failed.reason not in self._told:
                self._told.add(failed.reason)
                self._reporter.note(f"{failed.reason}; it is waited for")
            return
        if failed.again and task.attempt <= self._retries:
            self._put_off(replace(task, attempt=task.attempt + 1), _PAUSE * 2 ** (task.attempt - 1))
            order.record = replace(order.record, attempts=order.record.attempts + 1, reason=failed.reason)
            self._changed.append(order.record)
            self._reporter.note(f"{order.record.output}: {failed.reason}; it is tried again")
            return
        self._end(order, state="failed", reason=failed.reason)
        self._reporter.note(Caution(f"failed: {failed.reason}"))

    def _put_off(self, task: _Task, pause: float) -> None:
        heapq.heappush(self._later, (time.monotonic() + pause, next(self._number), task))

    def _end(self, order: _Order, **what: Any) -> None:
        if order.journal:
            order.journal.close(keep=True)
        order.over = True
        self._orders.discard(order)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        seconds = round(time.monotonic() - order.begun, 3)
        values: dict[str, Any] = {"reason": "", "seconds": seconds, "ended": now} | what
        record = replace(order.record, **values)
        self._changed.append(record)
        self._settled += 1
        self._found += record.count

    def _save(self) -> None:
        """Write down what changed since the last time, in one transaction."""
        self._state.update(self._changed)
        self._changed = []
