"""A runtime's systems: each is run by itself, and what is wrong with one is told and tried again."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from connector_kinds import KINDS
from lintas_client import Connection
from prometheus_client import CollectorRegistry, generate_latest

from connectors.runtime import ownership, runtime, system
from connectors.runtime.log import SystemLog
from connectors.runtime.observer import UNWATCHED, _Nobody
from connectors.runtime.runner import Runner, Shared
from connectors.runtime.runtime import ConnectorRuntime
from connectors.runtime.state import ConnectorsState
from connectors.runtime.system import SystemConnectors
from lintas import credentials
from lintas.errors import BadSettings
from lintas.settings import Settings
from monitoring.connector_metrics import ConnectorMetrics
from schemas.connector_configs import Configured, Record

SYSTEM = "office.desk"
CONNECTION = Connection(
    bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system=SYSTEM, password="none"
)


class Reached(_Nobody):
    """Notes what is told of systems."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.well = asyncio.Event()

    def reached(self, system: str, problem: str) -> None:
        assert system == SYSTEM
        self.problems.append(problem)
        if not problem:
            self.well.set()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied"), "PermissionError: Permission denied"),  # of the credentials file
        (BadSettings(name="LINTAS_REGISTRY_URL", reason="it is not set", remedy="set it."), "LINTAS_REGISTRY_URL"),
        (AttributeError("Siti Rahayu"), "AttributeError"),
    ],
)
async def test_whatever_is_wrong_with_a_system_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, told: str
) -> None:
    answers: Iterator[Any] = iter([error, False])

    def has_topic(*_: object) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    monkeypatch.setattr(runtime, "has_topic", has_topic)
    monkeypatch.setattr(runtime, "ASK_SECONDS", 0.01)
    observer = Reached()
    running = ConnectorRuntime(Settings(home=tmp_path), KINDS, worker="here", systems=[SYSTEM], observer=observer)
    task = asyncio.create_task(running.run())
    async with asyncio.timeout(5):
        await observer.well.wait()
        running.stop()
        await task
    assert told in observer.problems[0]
    assert "Siti" not in observer.problems[0]


async def test_a_system_whose_credentials_are_taken_away_is_let_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    class Connectors:
        def stop(self) -> None:
            stopped.set()

        async def run(self) -> None:
            began.set()
            await stopped.wait()

    monkeypatch.setattr(runtime, "has_topic", lambda *_: True)
    monkeypatch.setattr(runtime, "SystemConnectors", lambda *_: Connectors())
    monkeypatch.setattr(runtime, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(runtime, "BEAT_SECONDS", 0.01)
    settings = Settings(home=tmp_path, bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1")
    credentials.create(settings, SYSTEM)
    running = ConnectorRuntime(settings, KINDS, worker="here")
    task = asyncio.create_task(running.run())
    async with asyncio.timeout(5):
        await began.wait()
        credentials.path_of(settings, SYSTEM).unlink()
        await stopped.wait()
        while running._tasks:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)
        running.stop()
        await task


class Log:
    """A topic that is kept here."""

    def __init__(self, *records: Record) -> None:
        self.state = ConnectorsState().of(records)

    def check(self) -> None:
        pass

    async def write(self, *records: Record) -> None:
        self.state.of(records)


async def test_a_broken_runner_is_told_of_and_not_made_anew_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[str] = []

    async def breaks(self: Runner) -> None:
        begun.append(self._name)
        raise AssertionError

    monkeypatch.setattr(Runner, "run", breaks)
    log: Any = Log(Configured("counting", {}, "rest").record("permits"))
    system_connectors = SystemConnectors(
        Settings(), lambda _: Shared(CONNECTION, log, KINDS, "here:8083", 15.0, UNWATCHED)
    )
    system_connectors._is_owner = True
    caplog.set_level(logging.ERROR, logger=system.__name__)
    keeping = asyncio.create_task(system_connectors._keep())
    for _ in range(50):
        await asyncio.sleep(0)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    assert begun == ["permits"]
    assert "the runner of permits is broken" in caplog.text


async def test_a_topic_that_is_followed_no_more_is_noticed() -> None:
    async def breaks() -> None:
        raise AssertionError("the follower has a fault")

    log = SystemLog(CONNECTION)
    try:
        log.check()
        log._task = asyncio.create_task(breaks())
        await asyncio.wait({log._task})
        with pytest.raises(AssertionError, match="has a fault"):
            log.check()
    finally:
        await log.stop()


async def test_a_topic_that_may_not_be_read_any_more_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Consumer:
        async def getmany(self, *_: object, **__: object) -> None:
            raise TopicAuthorizationFailedError

        async def stop(self) -> None:
            pass

    log = SystemLog(CONNECTION)
    await log._consumer.stop()
    monkeypatch.setattr(log, "_consumer", Consumer())
    log._task = asyncio.create_task(log._follow())
    try:
        await asyncio.wait({log._task}, timeout=5)
        with pytest.raises(TopicAuthorizationFailedError):
            log.check()
    finally:
        await log.stop()


async def test_nothing_is_told_of_who_runs_a_system_that_has_no_connectors(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    metrics = ConnectorMetrics(registry)
    metrics.owned(SYSTEM, owner=False)
    monkeypatch.setattr(runtime, "has_topic", lambda *_: False)
    running = ConnectorRuntime(Settings(), KINDS, worker="here", systems=[SYSTEM], observer=metrics)
    task = asyncio.create_task(running.run())
    async with asyncio.timeout(5):
        while f'owned{{system="{SYSTEM}"}}' in generate_latest(registry).decode():  # noqa: ASYNC110  in another thread
            await asyncio.sleep(0.01)
        running.stop()
        await task


def test_whether_systems_are_owned_is_asked_of_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = threading.Barrier(3, timeout=5)

    def is_owned(_: Settings, system: str, __: str | None) -> bool:
        at_once.wait()
        return system != "b.b"

    monkeypatch.setattr(ownership, "is_owned", is_owned)
    assert ownership.owned_of(Settings(), ["a.a", "b.b", "c.c"]) == {"a.a", "c.c"}
    assert ownership.owned_of(Settings(), []) == set()
