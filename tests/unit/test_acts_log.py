"""The log of acts: what it says about who did what, and what it leaves open."""

import datetime as dt
import json
import logging

import pytest

from lintas.errors import BusUnavailable, NoLanes
from lintas.settings import Settings
from streams import acts
from streams.acts_log import DISCARD, DONE, FAILED, MOST_CHARACTERS, REDRIVE, UNFINISHED, Act, Actor, Acts

WHO = Actor("rina", "operator", "10.0.0.7", "a browser")
AT = dt.datetime(2026, 11, 26, 6, 0, tzinfo=dt.UTC)
Record = tuple[bytes, bytes | None]


def act(name: str = "one", **changed: str) -> Act:
    return Act(name, AT, WHO, changed.get("act", REDRIVE), "dead.b.strict: 4", "b", changed.get("reason", "mended"))


def ended(one: Act, outcome: str = DONE) -> Record:
    return Act(one.id, AT, WHO, one.act, one.target, outcome=outcome, detail="1 letter(s)", ended=AT).ending()


def read(*records: Record) -> list[Act]:
    log = Acts()
    for number, (key, value) in enumerate(records):
        log.add(number, key, value)
    return list(log.newest_first())


def test_an_act_that_ended_is_read_back_whole() -> None:
    (found,) = read(act().begun(), ended(act()))
    assert (found.actor, found.act, found.target, found.reason) == (WHO, REDRIVE, "dead.b.strict: 4", "mended")
    assert (found.at, found.ended, found.outcome, found.detail) == (AT, AT, DONE, "1 letter(s)")


def test_an_act_without_an_end_is_unfinished() -> None:
    (found,) = read(act().begun())
    assert (found.outcome, found.ended) == (UNFINISHED, None)


def test_the_first_word_about_an_act_and_about_its_end_counts() -> None:
    (found,) = read(act().begun(), act(reason="other").begun(), ended(act(), FAILED), ended(act()))
    assert (found.reason, found.outcome) == ("mended", FAILED)


def test_the_act_that_began_last_comes_first_whichever_ended_first() -> None:
    found = read(act("one").begun(), act("two").begun(), ended(act("one")))
    assert [one.id for one in found] == ["two", "one"]


@pytest.mark.parametrize(
    "record",
    [
        (b"one", None),
        (b"one", b"[]"),
        (b"one", b"no JSON"),
        (b"\xff", b"{}"),
        (b"one", b'{"kind": "begun"}'),
        (b"unheard of", b'{"kind": "ended", "at": "2026-11-26T06:00:00+00:00", "outcome": "done", "detail": ""}'),
    ],
)
def test_a_record_that_is_no_act_is_told_of_and_hides_no_other(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        assert [one.id for one in read(act("two").begun(), record, ended(act("two")))] == ["two"]
    assert "record 1 of lintas.acts is no act" in caplog.text


def test_what_people_write_stands_on_one_line_and_is_not_too_long() -> None:
    _, value = act(reason="a\nb\x1b[31m" + "x" * 2 * MOST_CHARACTERS).begun()
    reason = json.loads(value)["reason"]
    assert reason.startswith("a b [31mx")
    assert len(reason) == MOST_CHARACTERS


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """What is written to Kafka, in order."""
    written: list[Record] = []
    monkeypatch.setattr(acts, "append", lambda _, __, *records: written.extend(records))
    return written


def test_it_is_begun_before_the_act_and_ended_behind_it(log: list[Record]) -> None:
    with acts.recorded(Settings(), WHO, DISCARD, "dead.b.strict: 4", agency="b", reason="a copy") as under:
        assert [one.outcome for one in read(*log)] == [UNFINISHED]
        under.detail = "1 letter(s)"
    (found,) = read(*log)
    assert (found.act, found.agency, found.reason, found.detail) == (DISCARD, "b", "a copy", "1 letter(s)")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (NoLanes(), "NoLanes"),
        (ValueError("3201 a value"), "ValueError: see the log"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_an_act_that_failed_says_so_without_values(log: list[Record], error: BaseException, detail: str) -> None:
    with pytest.raises(type(error)), acts.recorded(Settings(), WHO, REDRIVE, "dead.b.strict: 4"):
        raise error
    (found,) = read(*log)
    assert (found.outcome, found.detail) == (FAILED, detail)


def test_nothing_is_done_if_its_begin_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BusUnavailable(part="Kafka", address="here", reason="away")

    monkeypatch.setattr(acts, "append", refuse)
    with pytest.raises(BusUnavailable), acts.recorded(Settings(), WHO, REDRIVE, "dead.b.strict: 4"):
        pytest.fail("it was done")


def test_an_act_whose_end_cannot_be_recorded_is_done_and_seen_as_unfinished(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[Record] = []

    def once(_: Settings, __: str, record: Record) -> None:
        if written:
            raise BusUnavailable(part="Kafka", address="here", reason="away")
        written.append(record)

    monkeypatch.setattr(acts, "append", once)
    with acts.recorded(Settings(), WHO, REDRIVE, "dead.b.strict: 4"):
        pass
    assert [one.outcome for one in read(*written)] == [UNFINISHED]
    assert "could not be recorded" in caplog.text
