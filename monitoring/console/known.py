"""What is known of the bus: the newest that was read, since when, and why there is nothing newer."""

import dataclasses
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from lintas.errors import LintasError
from streams.crashes import problem_of

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """The last that was read of something.

    Attributes:
        value: None until it was read for the first time.
        read_at: when reading it began.
        problem: why the newest attempt failed, without personal data; "" if it did not.
        failing_since: when the first of the attempts that failed in a row began.
    """

    value: T | None = None
    read_at: dt.datetime | None = None
    problem: str = ""
    failing_since: dt.datetime | None = None

    def read(self, value: T, at: dt.datetime) -> "Known[T]":
        """It was read."""
        return Known(value, at)

    def failed(self, problem: str, at: dt.datetime) -> "Known[T]":
        """It could not be read; what was known before stays."""
        return Known(self.value, self.read_at, problem, self.failing_since or at)


class Watch(Generic[T]):
    """Reads something of the bus again and again, in a thread of its own: no page waits for it."""

    def __init__(self, what: str, read: Callable[[], T], every_seconds: float, changed: Callable[[], None]) -> None:
        """Begin with :meth:`start`.

        Args:
            what: for the log.
            read: may take its time; what it raises is told and it is asked again.
            every_seconds: from the end of one reading to the beginning of the next.
            changed: called after each reading, in the thread.
        """
        self._what, self._read, self._every, self._changed = what, read, every_seconds, changed
        self._known: Known[T] = Known()
        self._stopping = threading.Event()
        self._beaten = time.monotonic()

    @property
    def known(self) -> Known[T]:
        """What is known now; at once."""
        return self._known

    def start(self) -> None:
        """Read on until :meth:`stop`."""
        threading.Thread(target=self._run, name=f"console {self._what}", daemon=True).start()

    def stop(self) -> None:
        """Read no more after this time."""
        self._stopping.set()

    def once(self) -> None:
        """One reading."""
        began = dt.datetime.now(dt.UTC)
        try:
            self._known = self._known.read(self._read(), began)
        except LintasError as error:
            self._fail(str(error).splitlines()[0], began)
        except Exception as error:  # noqa: BLE001  the page says so; a defect here must not end the watching
            self._fail(f"{type(error).__name__}: {problem_of(error).rule}", began)
        self._changed()

    def _fail(self, problem: str, began: dt.datetime) -> None:
        if problem != self._known.problem:
            log.warning("%s cannot be read: %s", self._what, problem)
        self._known = self._known.failed(problem, began)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.once()
            self._stopping.wait(self._every)
