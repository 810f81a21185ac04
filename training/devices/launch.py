"""Starting a run on many devices: MindSpore's `msrun`, watched.

    geodetect train --device_num 8 ...

is the short way on one machine: it starts `msrun` with a free port, keeps the processes' logs in the run's folder,
shows what the first one says, and sees to it that a Ctrl-C or a process that dies ends them all within seconds.
(`msrun` alone ends half a minute after a process has died, when its scheduler gives up.) The same, typed by hand:

    msrun --worker_num=8 --local_worker_num=8 --join=True python -m geodetect train ...

`msrun` wants a script or the word `python`; `$(which geodetect)` in place of `python -m geodetect` works as well. On
several machines, on each one with its own --node_rank, data and run folder being shared or s3:// addresses:

    msrun --worker_num=16 --local_worker_num=8 --master_addr=10.0.0.1 --master_port=8118 --node_rank=0 --join=True \\
        python -m geodetect train ...

**No rank table is needed.** MindSpore 2.10's `communication.init` asks for one (RANK_TABLE_FILE) only on Ascend, and
only where neither `msrun` nor MPI started the process; `msrun --rank_table_file` "is not used to initialize" the run
but for other features. So there are no scripts for one here.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from geodetect.errors import Cancelled, InputError, TrainingError
from training.devices.parallel import is_worker

_POLL = 0.2  # s between two looks at the processes
_PATIENCE = 30.0  # s that a stopped run has to end its step and write a checkpoint; a second Ctrl-C spares them
_MSRUN_FAILED = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")
_LAST_WORD = re.compile(r"^(?:Error: |(?=Stopped ))(.+)$", re.MULTILINE)  # of geodetect's command line
# MindSpore's log lines; and last words, which become our own
_NOISE = re.compile(rb"^(?:\[(?:INFO|WARNING)\] [A-Z_]+\(|Error: |Stopped ).*\n", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """What to run, and where its logs go.

    Attributes:
        devices: processes.
        program: what each of them runs, after the word `python`.
        run_folder: of the run; logs go to its `logs`.
        bind_cpu: give each process cores of its own.
    """

    devices: int
    program: tuple[str, ...]
    run_folder: Path
    bind_cpu: bool = False

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.run_folder / "logs"

    @property
    def messages(self) -> Path:
        """The log of `msrun` itself."""
        return self.logs / "msrun.log"

    def log(self, rank: int) -> Path:
        """Return the log of one process."""
        return self.logs / f"worker_{rank}.log"


def launch(devices: int, argv: Sequence[str], run_folder: Path, bind_cpu: bool = False) -> None:
    """Run `geodetect ARGV` in as many processes as there are devices, and return when all have ended well.

    Raises:
        TrainingError: a process died; the message names its rank, its log and the checkpoint that is left.
        InputError: a process refused its input.
        Cancelled: Ctrl-C.
    """
    run(Job(devices, ("-m", "geodetect", *argv), run_folder, bind_cpu))


def run(job: Job) -> None:
    """Run a job; see `launch`."""
    if is_worker():
        raise TrainingError("msrun started this process already: leave --device_num out, or start it without msrun")
    job.logs.mkdir(parents=True, exist_ok=True)
    for rank in range(job.devices):
        job.log(rank).write_bytes(b"")  # not the last word of an earlier run
    with job.messages.open("wb") as log:
        # A session of its own, so that the terminal's Ctrl-C reaches this process alone.
        msrun = subprocess.Popen(
            _command(job), stdout=log, stderr=subprocess.STDOUT, env=_environment(job), start_new_session=True
        )
    crew, echo = _Crew(msrun, job.devices), _Echo(job.log(0))
    try:
        failed = _watch(job, msrun, crew, echo)
    except KeyboardInterrupt:
        crew.stop(echo)
        raise _cancelled(job) from None
    finally:
        crew.kill()
        echo.close()
    if failed or msrun.returncode:
        raise _failure(job, failed, crew)


def _command(job: Job) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "worker_num": job.devices,
        "local_worker_num": job.devices,
        "master_port": port,
        "join": True,
        "log_dir": job.logs,
        "tail_worker_log": job.devices,  # nobody's: we show the first one's ourselves
        "bind_core": job.bind_cpu,
    }
    python = "python" if shutil.which("python", path=os.path.dirname(sys.executable)) else "python3"
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "mindspore.parallel.cluster.run", *words, python, *job.program]


def _environment(job: Job) -> dict[str, str]:
    """Return the processes' environment: this Python first, each process its share of threads, quiet logs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // job.devices))
    libraries = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict.fromkeys(libraries, threads) | {"GLOG_v": "3", "PYTHONUNBUFFERED": "1"}
    if sys.stdout.isatty():  # for the first process's progress bar, which sees a file
        environment |= {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    return environment | os.environ | {"PATH": path}


def _watch(job: Job, msrun: subprocess.Popen, crew: _Crew, echo: _Echo) -> tuple[int, int] | None:
    """Wait until all is over or one has failed; return (process id, exit code) of the one."""
    while True:
        ended = msrun.poll() is not None
        crew.look()
        echo.copy()
        if found := _MSRUN_FAILED.search(job.messages.read_text(errors="replace")):
            return int(found[1]), int(found[2])
        if ended:
            return None
        time.sleep(_POLL if crew.is_complete() else _POLL / 10)


@dataclass
class _Crew:
    """The processes of a run, by process id: (handle, rank); the scheduler and workers' own children have none."""

    msrun: subprocess.Popen
    devices: int
    seen: dict[int, tuple[Any, int | None]] = field(default_factory=dict)

    def look(self) -> None:
        """Note processes that have come up."""
        import psutil

        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.msrun.pid).children(recursive=True):
                if child.pid not in self.seen or not self.is_complete():  # a fork has its parent's environment at first
                    with contextlib.suppress(psutil.Error):
                        self.seen[child.pid] = child, _rank(child, self.msrun.pid)

    def workers(self) -> dict[int, Any]:
        """Return the workers that have been seen, by rank."""
        return {rank: process for process, rank in self.seen.values() if rank is not None}

    def is_complete(self) -> bool:
        """Return whether all workers have been seen."""
        return len(self.workers()) == self.devices

    def stop(self, echo: _Echo) -> None:
        """Ask the workers to stop, and give the first one, which writes the files, time to do so."""
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: at once
            if self.msrun.poll() is None:
                self.msrun.send_signal(signal.SIGSTOP)  # it would kill the others as soon as one has ended
            self.look()
            workers = self.workers()
            for process in workers.values():
                _signal(process, signal.SIGINT)
            until = time.monotonic() + _PATIENCE
            while 0 in workers and _lives(workers[0]) and time.monotonic() < until:
                echo.copy()
                time.sleep(_POLL)

    def kill(self) -> None:
        """Leave none of them."""
        self.look()
        if self.msrun.poll() is None:
            self.msrun.kill()
        for pid, (process, rank) in self.seen.items():
            _signal(process, signal.SIGKILL)
            if rank is not None:
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)  # a worker leads a group, with those that read its images
        self.msrun.wait()
        until = time.monotonic() + _PATIENCE
        while any(_lives(process) for process, _ in self.seen.values()) and time.monotonic() < until:
            time.sleep(_POLL / 10)


def _rank(process: Any, msrun: int) -> int | None:
    environment = process.environ()
    is_own = environment.get("MS_ROLE") == "MS_WORKER" and process.ppid() == msrun
    return int(environment["MS_NODE_ID"]) if is_own and "MS_NODE_ID" in environment else None


def _lives(process: Any) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: Any, number: int) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


class _Echo:
    """Shows on our output what is written to a log, without MindSpore's own lines."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def copy(self) -> None:
        """Show what has come since the last time; a line that may become one of MindSpore's waits for its end."""
        text = _NOISE.sub(b"", self._held + self._file.read())
        start = text.rfind(b"\n") + 1
        self._held = text[start:] if text[start : start + 1] in (b"[", b"E", b"S") else b""
        self._show(text[: len(text) - len(self._held)])

    def close(self) -> None:
        """Show the rest."""
        with contextlib.suppress(BrokenPipeError):
            self.copy()
            self._show(self._held)
        self._file.close()

    def _show(self, text: bytes) -> None:
        if text:
            sys.stdout.write(self._decoder.decode(text))
            sys.stdout.flush()


def _failure(job: Job, failed: tuple[int, int] | None, crew: _Crew) -> Exception:
    """Return the error that tells which process ended how, and what is left."""
    if failed is None:
        lines = job.messages.read_text(errors="replace").strip().splitlines() or ["no message"]
        return TrainingError(f"msrun failed ({lines[-1][:200]}); see {job.messages}")
    pid, code = failed
    if code == Cancelled.exit_code:
        return _cancelled(job)
    ranks = [rank for rank, process in crew.workers().items() if process.pid == pid]
    ranks += [rank for rank in range(job.devices) if _last_word(job, rank)]  # it was gone before it was seen
    if not ranks:
        return TrainingError(f"one of {job.devices} processes ended with code {code}; see {job.logs}; {_left(job)}")
    rank = ranks[0]
    said = _last_word(job, rank)
    if code == InputError.exit_code and said:
        return InputError(said)
    ending = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    reason = f": {said.rstrip('.')}" if said else ""
    return TrainingError(f"rank {rank} of {job.devices} {ending}{reason}; see {job.log(rank)}; {_left(job)}")


def _cancelled(job: Job) -> Cancelled:
    return Cancelled(_last_word(job, 0) or f"Stopped; {_left(job)}.")


def _last_word(job: Job, rank: int) -> str:
    log = job.log(rank)
    said = _LAST_WORD.findall(log.read_text(errors="replace")) if log.is_file() else []
    return said[-1] if said else ""


def _left(job: Job) -> str:
    """Return what can be done with what the run has written."""
    checkpoint = job.run_folder / "last.ckpt"
    if not checkpoint.is_file():
        return "no checkpoint was written yet"
    return f"the same command with --resume goes on from {checkpoint}"
