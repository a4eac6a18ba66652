"""What programs log: one line a message, fields beside words, and no value of an event."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lintas import logs
from lintas.errors import NoLanes

SECRET = "3210142211266547"
ROOT = Path(__file__).parent.parent.parent
OURS = logging.getLogger("streams.of_a_test")
THEIRS = logging.getLogger("aiokafka.of_a_test")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Set logging up as a program does; what has been heard since is parsed."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in logs.OWN}
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # basicConfig closes what it replaces
    logs.set_up("of-a-test", "debug")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


Heard = Callable[[], list[dict[str, Any]]]


def test_a_line_has_time_level_program_logger_message_and_the_fields(heard: Heard) -> None:
    OURS.warning("%s waits", "djp", extra={"event": "test_waits", "lane": "g1.n3", "offset": 7})
    (line,) = heard()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "warning",
        "program": "of-a-test",
        "logger": "streams.of_a_test",
        "message": "djp waits",
        "event": "test_waits",
        "lane": "g1.n3",
        "offset": 7,
    }


def test_only_listed_fields_are_shown(heard: Heard) -> None:
    OURS.info("hello", extra={"nik": SECRET})
    assert SECRET not in str(heard())


def test_an_exception_is_told_by_class_digest_and_places_and_not_by_its_text(heard: Heard) -> None:
    def fail() -> None:
        try:
            int(f"x{SECRET}")
        except ValueError as error:
            raise KeyError(SECRET) from error

    try:
        fail()
    except KeyError as error:
        OURS.exception("it failed: %s", error)
        THEIRS.exception("it failed: %r", error)
    ours, theirs = heard()
    assert ours["message"] == theirs["message"] == "it failed: KeyError"
    assert ours["error"] == "KeyError"
    assert ours["trace"] == theirs["trace"]
    assert re.fullmatch(r"unit/test_logs.py:\d+ fail", ours["frames"][-1])
    assert ours["causes"][0].startswith("ValueError < unit/test_logs.py:")
    assert SECRET not in str([ours, theirs])


def test_an_error_of_the_bus_is_told_in_its_own_words(heard: Heard) -> None:
    OURS.error("no: %s", NoLanes())
    OURS.error("no: %s", ConnectionRefusedError(111, "Connection refused", SECRET))
    words, system = (line["message"] for line in heard())
    assert words == f"no: {NoLanes()}"
    assert system == "no: ConnectionRefusedError: Connection refused"


class Record:
    """Something whose representation shows a value."""

    def __repr__(self) -> str:
        return SECRET


@pytest.mark.parametrize("value", [Record(), [Record()], SECRET.encode(), {"nik": Record()}])
def test_what_a_library_shows_of_its_objects_is_their_class(heard: Heard, value: object) -> None:
    THEIRS.warning("look at %r", value)
    THEIRS.warning("what follows\n%s" % "a trace with " + SECRET)  # noqa: UP031  as libraries do
    assert SECRET not in str(heard())
    assert len(heard()) == 2


def test_the_words_that_mode_speaks_under_our_names_count_as_a_librarys(heard: Heard) -> None:
    record = logging.LogRecord("streams.lane", logging.ERROR, "/x/mode/services.py", 1, "%r", (Record(),), None)
    logging.getLogger("streams.lane").handle(record)
    assert [line["message"] for line in heard()] == ["Record"]


def test_a_library_is_heard_from_warning_on_however_much_is_asked_of_the_bus(heard: Heard) -> None:
    for logger in (OURS, THEIRS):
        logger.debug("debug")
        logger.info("info")
        logger.warning("warning")
    assert [(line["logger"], line["level"]) for line in heard()] == [
        (OURS.name, "debug"),
        (OURS.name, "info"),
        (OURS.name, "warning"),
        (THEIRS.name, "warning"),
    ]


def test_a_task_that_nobody_waited_for_is_told_without_its_exceptions_text(heard: Heard) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task

    asyncio.run(main())
    (line,) = heard()
    assert (line["logger"], line["error"]) == ("asyncio", "ValueError")
    assert SECRET not in str(line)


def test_a_message_that_cannot_be_made_shows_no_argument(heard: Heard) -> None:
    record = logging.LogRecord(OURS.name, logging.INFO, "streams/lane.py", 7, "%d", (SECRET,), None)
    (ours,) = (one for one in logging.getLogger().handlers if type(one).__module__ == "lintas.logs")
    ours.handle(record)
    (line,) = heard()
    assert line["message"] == "no line could be written at streams/lane.py:7: TypeError"
    assert SECRET not in str(line)


PROGRAM = f"""
import logging, sys, threading
from lintas import logs
logs.set_up("of-a-test", "info")
thread = threading.Thread(target=int, args=("x{SECRET}",), name="reader")
thread.start()
thread.join()
raise KeyError("{SECRET}")
"""


@pytest.mark.parametrize("form", ["json", "text", ""])
def test_what_ends_a_program_or_a_thread_is_told_without_its_text(form: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"LINTAS_LOG_FORMAT": form} if form else {},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert SECRET not in ended.stdout + ended.stderr
    thread, program = ended.stderr.splitlines()
    if form == "text":
        assert re.fullmatch(r"\S+ CRITICAL lintas.logs: the thread reader ends: ValueError \[ValueError, .*\]", thread)
        assert re.search(r"the program ends: KeyError \[KeyError, trace [0-9a-f]{12}: .*<module>\]", program)
    else:
        assert [json.loads(line)["event"] for line in (thread, program)] == ["thread_crashed", "program_crashed"]


def test_every_field_that_the_code_gives_is_listed() -> None:
    given = set()
    for folder in ("lintas", "schemas", "streams", "monitoring"):
        for path in (ROOT / folder).rglob("*.py"):
            for fields in re.findall(r"extra=\{([^}]*)\}", path.read_text()):
                given |= set(re.findall(r'"([a-z_]+)":', fields))
    assert "event" in given
    assert given <= logs.FIELDS.keys()
