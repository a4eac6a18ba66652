"""What takes longer than a page may: done in a thread, looked at until it has ended. A console that ends forgets it."""

import dataclasses
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from lintas.errors import LintasError
from streams.crashes import problem_of

MOST_RUNNING: Final = 3
KEPT_SECONDS: Final = 3_600
MOST_SECONDS: Final = 300.0

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # done, of how many


class TooMany(Exception):
    """So many jobs run already that another one would have to wait."""


class _TooLong(Exception):
    pass


@dataclasses.dataclass(slots=True)
class Job:
    """One job.

    Attributes:
        subject: who asked for it; nobody else sees it.
        about: what was asked, for the page.
        done, total: how far it is.
        result: what came of it.
        failed: why nothing did; empty if it did, or may yet.
        too_long: whether it was ended for taking too long.
        ended: whether it is over.
    """

    id: str
    subject: str
    about: Mapping[str, Any]
    began: float
    done: int = 0
    total: int = 0
    result: Any = None
    failed: str = ""
    too_long: bool = False
    ended: bool = False


class Jobs:
    """The jobs of one console."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_seconds: float = MOST_SECONDS) -> None:
        """``most_seconds``: a job that has not ended by then is given up."""
        self._clock, self._most = clock, most_seconds
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, subject: str, about: Mapping[str, Any], work: Callable[[Progress], Any]) -> Job:
        """Begin a job.

        Args:
            subject: who asks.
            about: what is asked.
            work: changes nothing on the bus; tells how far it is at least every second.

        Raises:
            TooMany: of all people's jobs, so many run.
        """
        with self._lock:
            now = self._clock()
            self._jobs = {one.id: one for one in self._jobs.values() if now < one.began + KEPT_SECONDS}
            if sum(not one.ended for one in self._jobs.values()) >= MOST_RUNNING:
                raise TooMany
            job = Job(secrets.token_urlsafe(9), subject, about, now)
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, work), name="console job", daemon=True).start()
        return job

    def get(self, job: str, subject: str) -> Job | None:
        """A job of somebody; None if they have none of that id, or it was long ago."""
        found = self._jobs.get(job)
        return found if found is not None and found.subject == subject else None

    def _run(self, job: Job, work: Callable[[Progress], Any]) -> None:
        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total
            if self._clock() > job.began + self._most:
                raise _TooLong

        try:
            job.result = work(progress)
        except _TooLong:
            job.too_long = True
        except LintasError as error:
            job.failed = str(error)
        except Exception as error:  # noqa: BLE001  the page says so; the trace is in the log, without values
            job.failed = problem_of(error).message
        finally:
            job.ended = True
