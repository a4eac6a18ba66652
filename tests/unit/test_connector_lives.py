"""What the runtime does around a connector: in which order, and what it does when one fails."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from connector_kinds import KINDS
from lintas_client import Connection, MalformedEvent, Problem
from lintas_client.preparation import Prepared
from prometheus_client import CollectorRegistry, generate_latest

from connectors.runtime import making, runner, sink_life, source_life
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal
from connectors.runtime.journal import Opened
from connectors.runtime.life import Given, until
from connectors.runtime.observer import UNWATCHED, Who
from connectors.runtime.runner import Runner, Shared, Wanted
from connectors.runtime.source_life import run_source
from connectors.runtime.state import State, Status, Target
from lintas.errors import ConnectorDisabled, ConnectorFailed
from monitoring.connector_metrics import ConnectorMetrics
from schemas.connector_configs import Configured

CONNECTION = Connection(
    bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system="office.desk", password="none"
)
WHO = Who("office.desk", "permits", "counting", "source")


EVENT_TYPE, TOPIC = "id.go.office.permit.issued.v1", "events.office.permit.issued.v1"


class Journal:
    """Notes what is written."""

    def __init__(self, noted: list[Any]) -> None:
        self.noted = noted

    async def open(self, worker: str) -> Opened:
        self.noted.append(("open", worker))
        return Opened({"next": 3}, None)

    async def may_publish(self, topic: str) -> bool:
        return topic == TOPIC

    async def write(self, events: Sequence[Prepared], progress: Progress) -> None:
        self.noted.append(("write", [event.id for event in events], dict(progress)))


class Source:
    """Gives what it was made with, portion by portion, and then nothing."""

    def __init__(self, noted: list[Any], portions: list[Portion], stopping: asyncio.Event, *, spares: bool) -> None:
        self.noted, self.portions, self.stopping, self.spares = noted, portions, stopping, spares

    async def start(self, progress: Progress) -> None:
        self.noted.append(("start", dict(progress)))

    async def poll(self) -> Portion | None:
        if self.portions:
            return self.portions.pop(0)
        self.stopping.set()
        await asyncio.Event().wait()
        return None

    async def refused(self, refusals: Sequence[Refusal]) -> bool:
        self.noted.append(("refused", [refusal.event.id for refusal in refusals]))
        return self.spares

    async def written(self, portion: Portion) -> None:
        self.noted.append(("written", dict(portion.progress)))

    async def stop(self) -> None:
        self.noted.append(("stop",))


def event(number: int, event_type: str = EVENT_TYPE) -> Outgoing:
    return Outgoing(event_type, {"fee": "Siti"}, id=f"permit-{number}", origin=f"row {number}")


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events with an odd number are well; others lack a fee."""

    async def made(_: Context, one: Outgoing) -> Prepared:
        if int(one.id[-1]) % 2:
            topic = TOPIC if one.event_type == EVENT_TYPE else "events.other.birth.registered.v1"
            return Prepared(topic, one.id, b"", b"", [])
        raise MalformedEvent([Problem("data.fee", "missing-field", "is missing")])

    monkeypatch.setattr(source_life, "made", made)


async def live(portions: list[Portion], *, spares: bool, observer: Any = UNWATCHED) -> list[Any]:
    """Run a source to the end of its portions; what happened, in order."""
    noted: list[Any] = []
    stopping = asyncio.Event()
    source = Source(noted, portions, stopping, spares=spares)
    context = Context("permits", CONNECTION, None, logging.getLogger("test"))  # type: ignore[arg-type]  # not asked
    journal: Any = Journal(noted)
    given = Given(WHO, "here:8083", context, journal, stopping, lambda: noted.append(("running",)), observer)
    try:
        await run_source(source, given)
    except ConnectorFailed as error:
        noted.append(error)
    return noted


@pytest.mark.usefixtures("prepared")
async def test_a_source_goes_on_from_what_was_committed_and_tidies_after_each_commit() -> None:
    noted = await live([Portion([event(1)], {"next": 2}), Portion([], {"next": 4})], spares=True)
    assert noted == [
        ("open", "here:8083"),
        ("start", {"next": 3}),
        ("running",),
        ("write", ["permit-1"], {"next": 2}),
        ("written", {"next": 2}),
        ("write", [], {"next": 4}),
        ("written", {"next": 4}),
        ("stop",),
    ]


@pytest.mark.usefixtures("prepared")
async def test_what_the_bus_would_not_take_is_set_aside_before_the_rest_is_written() -> None:
    registry = CollectorRegistry()
    noted = await live(
        [Portion([event(1), event(2), event(3)], {"next": 4})], spares=True, observer=ConnectorMetrics(registry)
    )
    assert noted[3:6] == [
        ("refused", ["permit-2"]),
        ("write", ["permit-1", "permit-3"], {"next": 4}),
        ("written", {"next": 4}),
    ]
    text = generate_latest(registry).decode()
    assert 'lintas_connector_refused_events_total{connector="permits",system="office.desk"} 1.0' in text
    assert "lintas_connector_events_total{" in text


@pytest.mark.usefixtures("prepared")
async def test_an_event_that_the_system_may_not_publish_is_set_aside() -> None:
    noted = await live([Portion([event(1, "id.go.other.birth.registered.v1"), event(3)], {"next": 4})], spares=True)
    assert noted[3:5] == [("refused", ["permit-1"]), ("write", ["permit-3"], {"next": 4})]


@pytest.mark.usefixtures("prepared")
async def test_a_source_that_sets_nothing_aside_fails_and_nothing_of_the_portion_is_written() -> None:
    noted = await live([Portion([event(1), event(2)], {"next": 3})], spares=False)
    assert [one[0] for one in noted[:-1]] == ["open", "start", "running", "refused", "stop"]
    assert "row 2: data.fee: is missing" in str(noted[-1])
    assert "Siti" not in str(noted[-1])


async def test_reasons_of_refusals_hold_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Prepared:
        raise MalformedEvent([Problem("data.fee", "type", "must be a decimal")])

    class Registry:
        async def event_type(self, _: str) -> None:
            return None

    monkeypatch.setattr(making, "prepare", refuse)
    registry: Any = Registry()
    found = await source_life._made(Context("permits", CONNECTION, registry, logging.getLogger()), event(1))
    assert isinstance(found, Refusal)
    assert "must be a decimal" in found.reasons[0]
    assert "Siti" not in repr(found)


INBOX = [TopicPartition("inbox.office.desk", number) for number in range(4)]


class Held:
    """An inbox whose partitions hold what lies from 10 on and before 20."""

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 10)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 20)


def of_a_sink(log: logging.Logger) -> Given:
    context = Context("permits", CONNECTION, None, log)  # type: ignore[arg-type]  # no schema is asked for
    journal: Any = Journal([])
    return Given(WHO, "here:8083", context, journal, asyncio.Event(), lambda: None, UNWATCHED)


async def test_a_sink_begins_where_it_was_and_tells_what_was_emptied_before_it_came(
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer: Any = Held()
    was = {INBOX[0]: 15, INBOX[1]: 20, INBOX[2]: 7}  # it has never had anything of the last one
    begin = await sink_life._begin(consumer, of_a_sink(logging.getLogger("test")), INBOX, was)
    assert [begin[place] for place in INBOX] == [15, 20, 10, 10]
    (told,) = caplog.messages
    assert told.startswith("inbox.office.desk [2] was emptied from offset 7 to 10 before they were given")


async def test_a_sink_does_not_begin_in_an_inbox_that_was_made_anew() -> None:
    consumer: Any = Held()
    with pytest.raises(ConnectorFailed, match=r"at offset 21 of inbox\.office\.desk \[0\], which ends at 20"):
        await sink_life._begin(consumer, of_a_sink(logging.getLogger("test")), INBOX, {INBOX[0]: 21})


async def test_a_sink_that_cannot_be_stopped_leaves_no_consumer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sink:
        async def start(self, *_: Any) -> None:
            raise ConnectionError("the database is away")

        async def stop(self) -> None:
            raise ConnectionResetError("the database is still away")

    async def partitions(_: str) -> list[int]:
        return [0]

    async def stop_quietly(consumer: Any) -> None:
        stopped.append(consumer)

    stopped: list[Any] = []
    monkeypatch.setattr(sink_life, "_consumer", lambda _: "its consumer")
    monkeypatch.setattr(sink_life, "stop_quietly", stop_quietly)
    given = of_a_sink(logging.getLogger("test"))
    monkeypatch.setattr(given.journal, "partitions", partitions, raising=False)
    with pytest.raises(ConnectionResetError):
        await sink_life.run_sink(Sink(), given)  # type: ignore[arg-type]  # it is never given anything
    assert stopped == ["its consumer"]


async def test_work_is_left_when_it_is_to_stop() -> None:
    stopping = asyncio.Event()
    ended: list[str] = []

    async def work() -> bool:
        try:
            return await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    asyncio.get_running_loop().call_later(0.01, stopping.set)
    assert await until(stopping, work()) is None
    assert ended == ["cancelled"]


Life = Callable[[Any, Given], Awaitable[None]]


class Kept:
    """A runner whose lives are what a test says; it is asked until something holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, life: Life, last: Status | None = None) -> None:
        kind = KINDS["counting"]
        monkeypatch.setattr(runner, "run_source", life)
        self.closed: list[str] = []
        monkeypatch.setattr(runner, "Journal", lambda *_, **__: _Closing(self.closed))
        monkeypatch.setattr(runner, "FIRST_PAUSE_SECONDS", 0.01)
        built = {kind.name: type(kind)(**{**_fields(kind), "build": lambda *_: None})}
        shared = Shared(CONNECTION, None, built, "here:8083", 15.0, UNWATCHED)  # type: ignore[arg-type]  # no log is asked
        self.told: list[State] = []
        self._event = asyncio.Event()
        self.runner = Runner("permits", shared, self._changed, last=last)

    def _changed(self) -> None:
        assert self.runner.status is not None
        self.told.append(self.runner.status.state)
        self._event.set()

    async def until(self, *expected: State) -> None:
        async with asyncio.timeout(5):
            while self.told[: len(expected)] != list(expected):
                self._event.clear()
                await self._event.wait()


class _Closing:
    def __init__(self, closed: list[str]) -> None:
        self._closed = closed

    async def close(self) -> None:
        self._closed.append("closed")


def _fields(kind: Any) -> Mapping[str, Any]:
    return {name: getattr(kind, name) for name in kind.__dataclass_fields__}


def wanted(state: State = State.RUNNING, restarts: int = 0, until: int = 10) -> Wanted:
    settings = {"event_type": "id.go.office.permit.issued.v1", "until": until}
    return Wanted(Configured("counting", settings, "rest"), Target(state, restarts))


async def goes_on(_: Any, given: Given) -> None:
    given.running()
    await given.stopping.wait()


async def ended(kept: Kept, running: asyncio.Task[None]) -> None:
    kept.runner.want(None)
    async with asyncio.timeout(5):
        await running


async def test_a_connector_is_paused_resumed_and_begun_anew_as_people_want(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(monkeypatch, goes_on)
    kept.runner.want(wanted())
    running = asyncio.create_task(kept.runner.run())
    await kept.until(State.RUNNING)
    kept.runner.want(wanted(State.PAUSED))
    await kept.until(State.RUNNING, State.PAUSED)
    kept.runner.want(wanted(State.RUNNING))
    await kept.until(State.RUNNING, State.PAUSED, State.RUNNING)
    kept.runner.want(wanted(State.RUNNING, restarts=1))
    await kept.until(State.RUNNING, State.PAUSED, State.RUNNING, State.RUNNING)
    assert kept.runner.status is not None
    assert kept.runner.status.restarts == 1
    await ended(kept, running)


async def test_a_failed_connector_is_begun_anew_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    lives: list[int] = []

    async def fails_twice(_: Any, given: Given) -> None:
        lives.append(len(lives))
        if len(lives) <= 2:
            raise ConnectionError("Siti Rahayu")
        await goes_on(_, given)

    kept = Kept(monkeypatch, fails_twice)
    kept.runner.want(wanted())
    running = asyncio.create_task(kept.runner.run())
    await kept.until(State.FAILED, State.FAILED, State.RUNNING)
    assert kept.runner.status is not None
    assert kept.runner.status.trace is None
    await ended(kept, running)


async def test_a_trace_names_the_failure_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_: Any, __: Given) -> None:
        raise KeyError("Siti Rahayu")

    kept = Kept(monkeypatch, fails)
    kept.runner.want(wanted())
    running = asyncio.create_task(kept.runner.run())
    await kept.until(State.FAILED)
    assert kept.runner.status is not None
    assert kept.runner.status.trace is not None
    assert kept.runner.status.trace.startswith("KeyError\n")
    assert "Siti" not in kept.runner.status.trace
    await ended(kept, running)


async def test_one_that_may_not_go_on_by_itself_waits_for_a_person_in_another_process_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lives: list[int] = []

    async def gone(_: Any, __: Given) -> None:
        lives.append(1)
        raise ConnectorDisabled(connector="permits", reason="the receiver is gone for good", remedy="ask it.")

    first = Kept(monkeypatch, gone)
    first.runner.want(wanted())
    running = asyncio.create_task(first.runner.run())
    await first.until(State.FAILED)
    await asyncio.sleep(0.05)  # several pauses long: nothing may follow
    assert (first.told, len(lives)) == ([State.FAILED], 1)
    said = first.runner.status
    await ended(first, running)

    second = Kept(monkeypatch, gone, last=said)
    second.runner.want(wanted())
    running = asyncio.create_task(second.runner.run())
    await asyncio.sleep(0.05)
    assert (second.runner.status, len(lives)) == (said, 1)
    second.runner.want(wanted(restarts=1))
    await second.until(State.FAILED)
    assert len(lives) == 2
    await ended(second, running)


async def test_settings_that_are_not_right_are_told_in_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(monkeypatch, goes_on)
    kept.runner.want(wanted(until=-1))
    running = asyncio.create_task(kept.runner.run())
    await kept.until(State.FAILED)
    assert kept.runner.status is not None
    assert "until: " in str(kept.runner.status.trace)
    await ended(kept, running)


async def test_what_goes_wrong_at_the_end_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_at_the_end(_: Any, given: Given) -> None:
        await goes_on(_, given)
        raise ConnectionError("Siti Rahayu")

    kept = Kept(monkeypatch, fails_at_the_end)
    kept.runner.want(wanted())
    running = asyncio.create_task(kept.runner.run())
    await kept.until(State.RUNNING)
    kept.runner.want(wanted(State.PAUSED))
    await kept.until(State.RUNNING, State.PAUSED)
    assert [record.__dict__["connector"] for record in caplog.records if record.exc_info] == ["permits"]
    await ended(kept, running)


async def test_one_that_does_not_stop_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = asyncio.Event()

    async def hangs(_: Any, given: Given) -> None:
        given.running()
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    kept = Kept(monkeypatch, hangs)
    monkeypatch.setattr(runner, "STOP_SECONDS", 0.02)
    kept.runner.want(wanted())
    running = asyncio.create_task(kept.runner.run())
    await kept.until(State.RUNNING)
    kept.runner.want(wanted(State.PAUSED))
    await kept.until(State.RUNNING, State.PAUSED)
    assert kept.closed == ["closed"], "it can commit nothing more"
    released.set()
    await ended(kept, running)
