"""Workers of a Dask cluster that is there already."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from geodetect.batch.workers import Lost
from geodetect.errors import EngineError

_PATIENCE = 15  # s for a scheduler to answer
_ASK_EVERY = 2.0  # s between two questions after the workers, whose answer is long where there are thousands


class Cluster:
    """A cluster's workers, each of whose threads is a slot. Close it; the cluster stays."""

    patience = 300.0  # s; a scene, or a block of one, that a thread is amid cannot be taken from it

    def __init__(self, address: str) -> None:
        """Connect to a scheduler, such as `tcp://10.0.0.1:8786`.

        Raises:
            EngineError: dask.distributed is not installed, or no scheduler answers.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise EngineError(
                f"a cluster needs dask.distributed ({error}); pip install geodetect[distributed]"
            ) from error
        for name in ("distributed", "distributed.client"):  # what they say of a lost scheduler, we say
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._address, self._slots, self._asked = address, 0, -_ASK_EVERY
        try:
            self._client = Client(address, timeout=_PATIENCE, set_as_default=False, direct_to_workers=False)
        except (OSError, ValueError, TypeError) as error:
            raise EngineError(
                f"no Dask scheduler answers at {address} ({' '.join(str(error).split())[:200]}); check the address"
            ) from error
        with contextlib.suppress(TimeoutError):  # they take some seconds to start
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        if not self.slots:
            self.close()
            raise EngineError(
                f"the Dask scheduler at {address} has no workers; start some with `dask worker {address}`"
            )

    @property
    def slots(self) -> int:
        """How many jobs can be worked on at once; workers come and go."""
        if time.monotonic() > self._asked + _ASK_EVERY:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._slots = sum(worker["nthreads"] for worker in workers.values())
            self._asked = time.monotonic()
        return self._slots

    def threads(self, tasks: int) -> int:
        """Return how many cores each of so many tasks may take: those of others are not ours to give."""
        return 1

    def submit(self, work: Callable[..., Any], *words: Any) -> Future:
        """Start work. The result raises `Lost` where worker after worker died of it.

        Raises:
            EngineError: the scheduler has gone.
        """
        told: Future = Future()
        running = self._client.submit(work, *words, pure=False)
        running.add_done_callback(lambda ended: self._ended(told, ended))
        return told

    def _ended(self, told: Future, ended: Any) -> None:
        from distributed import KilledWorker

        try:
            told.set_result(ended.result())  # which waits where it is computed anew, its worker having died
        except KilledWorker:
            told.set_exception(Lost("the workers that had it died, perhaps because their machines had no memory left"))
        except (CancelledError, OSError):
            reason = f"the Dask scheduler at {self._address} has gone; start it and go on with --continue"
            told.set_exception(EngineError(reason))
        except BaseException as error:
            told.set_exception(error)

    def close(self) -> None:
        """Let go of the cluster: what it works on for us is cancelled."""
        self._client.close(timeout=5)
