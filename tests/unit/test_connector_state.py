"""What a system's topic says of its connectors, and what people may do with them."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from connector_kinds import KINDS

from connectors.runtime import control
from connectors.runtime.runner import LONGEST_PAUSE_SECONDS, pause_before
from connectors.runtime.state import ConnectorsState, Kept, State, Status, Target, progress_records
from connectors.runtime.trace import trace_of
from connectors.runtime.validation import SettingProblem, problems, valid
from lintas.errors import ConnectorConflict, ConnectorFailed, UnknownName
from schemas.connector_configs import UNREADABLE, Configured, Record, configurations, forgotten, to_change

CONFIG = Configured("counting", {"until": 10}, "rest")


def state(*records: Record) -> ConnectorsState:
    return ConnectorsState().of(records)


def status(now: State, restarts: int = 0) -> Status:
    return Status(now, "2026-11-26T16:00:00.000+00:00", "here:8083", None, restarts)


def test_the_last_record_of_a_key_counts() -> None:
    read = state(
        CONFIG.record("a"),
        Target(State.PAUSED, 3).record("a"),
        status(State.PAUSED).record("a"),
        Kept("counting", {0: 4}).record("a"),
        *progress_records("a", {"table/births": {"row": 7}, "gone": 1}),
        *progress_records("a", {"gone": None}),
        Kept("counting", {0: 5, 11: 2}).record("a"),
        (b"owner", b'{"worker": "here:8083"}'),
    )
    assert read.configs == {"a": CONFIG}
    assert read.target("a") == Target(State.PAUSED, 3)
    assert read.statuses["a"].state is State.PAUSED
    assert read.progress("a") == {"table/births": {"row": 7}}
    assert read.kept["a"].positions == {0: 5, 11: 2}
    assert read.owner == "here:8083"


def test_one_connector_s_progress_is_not_another_s_whose_name_begins_alike() -> None:
    read = state(*progress_records("a", {"x": 1}), *progress_records("a-b", {"x": 2}))
    assert (read.progress("a"), read.progress("a-b")) == ({"x": 1}, {"x": 2})


def test_a_deleted_connector_keeps_its_progress_and_nothing_else() -> None:
    read = state(
        CONFIG.record("a"), status(State.RUNNING).record("a"), *progress_records("a", {"x": 1}), *forgotten("a")
    )
    assert (read.configs, read.statuses, read.progress("a")) == ({}, {}, {"x": 1})


@pytest.mark.parametrize(
    "record",
    [
        (b"config/a", b"no JSON"),
        (b"config/a", b'{"plugin": "counting"}'),
        (b"config/a", b'{"plugin": [], "settings": {}, "origin": "rest"}'),
        (b"config/a", b'{"plugin": "counting", "settings": [], "origin": "rest"}'),
        (b"config/a", b'{"plugin": "counting", "settings": {"a": "\\ud800"}, "origin": "rest"}'),  # no Unicode
        (b"config/a", b"[" * 200_000),
        (b"progress/a", b'{"plugin": "counting", "positions": [4], "topics": []}'),
        (b"progress/a", b'{"plugin": "counting", "positions": {"0": 1e999}, "topics": []}'),
        (b"status/a", b'{"state": "ASLEEP", "since": "", "worker": ""}'),
        (b"status/a", b'{"state": "RUNNING", "since": "now", "worker": "", "restarts": 0}'),
        (b"status/a", b'{"state": "RUNNING", "since": "2026-11-26T16:00:00Z", "worker": "", "restarts": "x"}'),
        (b"something/a", b"{}"),
        (b"\xff", b"{}"),
    ],
)
def test_what_cannot_be_understood_is_as_if_it_were_not_there(record: Record) -> None:
    read = state(CONFIG.record("b"), record)
    assert read.configs == configurations([CONFIG.record("b"), record]) == {"b": CONFIG}
    assert (read.kept, read.statuses) == ({}, {})
    with pytest.raises(UNREADABLE):
        read.add(*record)


def test_forgetting_leaves_no_progress() -> None:
    before = state(Kept("counting").record("a"), *progress_records("a", {"x": 1, "y": 2}))
    assert before.has_progress("a")
    after = before.of(list(before.forgetting("a")))
    assert not after.has_progress("a")


def test_a_catalogue_changes_its_own_connectors_and_leaves_others() -> None:
    ours = {"kept": Configured("counting", {}, "catalogue"), "new": Configured("writing", {}, "catalogue")}
    found = configurations(
        [ours["kept"].record("kept"), Configured("x", {}, "catalogue").record("dropped"), CONFIG.record("of-rest")]
    )
    assert to_change(ours, found) == {"new": ours["new"], "dropped": None}


def test_a_catalogue_takes_a_connector_back_that_was_configured_otherwise() -> None:
    ours = {"a": Configured("counting", {}, "catalogue")}
    assert to_change(ours, {"a": CONFIG}) == ours


@pytest.mark.parametrize(
    ("wanted", "was", "owned", "shown"),
    [
        (Target(), None, True, State.UNASSIGNED),
        (Target(), status(State.RUNNING), True, State.RUNNING),
        (Target(), status(State.RUNNING), False, State.UNASSIGNED),  # killed: nobody has said so
        (Target(State.PAUSED), status(State.RUNNING), True, State.RUNNING),  # it still runs
        (Target(State.PAUSED), status(State.UNASSIGNED), False, State.PAUSED),
        (Target(State.RUNNING, 2), status(State.FAILED, 1), True, State.RESTARTING),
        (Target(State.RUNNING, 2), status(State.FAILED, 2), True, State.FAILED),
    ],
)
def test_what_is_shown_is_what_is(wanted: Target, was: Status | None, owned: bool, shown: State) -> None:
    read = state(CONFIG.record("a"), wanted.record("a"), *([was.record("a")] if was else []))
    assert control.shown(read, "a", owned=owned) is shown


RUNNING = state(CONFIG.record("a"), status(State.RUNNING).record("a"), Kept("counting").record("a"))
OF_CATALOGUE = state(Configured("counting", {}, "catalogue").record("a"))
PAUSED = state(CONFIG.record("a"), Target(State.PAUSED).record("a"), status(State.PAUSED).record("a"))
RESUMED = state(CONFIG.record("a"), Target(State.RUNNING).record("a"), status(State.STOPPED).record("a"))


@pytest.mark.parametrize(
    "act",
    [
        lambda: control.configuring(OF_CATALOGUE, "a", "counting", {"until": 1}, "rest"),
        lambda: control.deleting(OF_CATALOGUE, "a"),
        lambda: control.configuring(RUNNING, "a", "writing", {}, "rest"),  # its progress is another kind's
        lambda: control.forgetting_progress(RUNNING, "a", KINDS, owned=True),
        lambda: control.forgetting_progress(RESUMED, "a", KINDS, owned=True),  # it may be at work before it says so
        lambda: control.restarting(PAUSED, "a", only_failed=False),
    ],
)
def test_what_does_not_go_with_how_a_connector_is_is_refused(act: Callable[[], Any]) -> None:
    with pytest.raises(ConnectorConflict):
        act()


@pytest.mark.parametrize(
    "act",
    [
        lambda: control.deleting(RUNNING, "b"),
        lambda: control.aiming(RUNNING, "b", State.PAUSED),
        lambda: control.restarting(RUNNING, "b", only_failed=False),
        lambda: control.forgetting_progress(RUNNING, "b", KINDS, owned=True),
    ],
)
def test_a_connector_that_is_not_there_is_unknown(act: Callable[[], Any]) -> None:
    with pytest.raises(UnknownName):
        act()


def test_progress_that_is_with_the_data_is_not_said_to_be_forgotten() -> None:
    kinds = {"writing": dataclasses.replace(KINDS["writing"], begins_anew="delete its rows.")}
    config = Configured("writing", {}, "rest").record("a")
    kept = state(config, Target(State.STOPPED).record("a"), Kept("writing", {0: 5}).record("a"))
    with pytest.raises(ConnectorConflict, match=r"with its data[^$]*stop it, delete its rows\."):
        control.forgetting_progress(kept, "a", kinds, owned=False)
    of_another_kind = state(config, Target(State.STOPPED).record("a"), Kept("counting", {0: 5}).record("a"))
    assert control.forgetting_progress(of_another_kind, "a", kinds, owned=False), "it hinders this kind"


def test_what_is_so_already_is_not_written_again() -> None:
    assert control.configuring(RUNNING, "a", "counting", {"until": 10}, "command line") == []
    assert control.aiming(RUNNING, "a", State.RUNNING) == []
    assert control.restarting(RUNNING, "a", only_failed=True) == []


def test_a_restart_raises_the_number_and_a_pause_keeps_it() -> None:
    read = state(CONFIG.record("a"), Target(State.RUNNING, 4).record("a"), status(State.FAILED, 4).record("a"))
    assert control.restarting(read, "a", only_failed=True) == [Target(State.RUNNING, 5).record("a")]
    assert control.aiming(read, "a", State.PAUSED) == [Target(State.PAUSED, 4).record("a")]


def test_every_problem_of_settings_is_told_at_once_and_without_values() -> None:
    found = problems(KINDS, "counting", {"until": -7, "pause_ms": "never", "event_typ": "secret"})
    assert {problem.path for problem in found} == {("until",), ("pause_ms",), ("event_typ",), ("event_type",)}
    told = " ".join(map(str, found))
    assert "did you mean event_type?" in told
    assert not [value for value in ("secret", "-7", "never") if value in told]


def test_what_needs_the_machine_is_checked_where_settings_are_right() -> None:
    assert problems(KINDS, "writing", {"file": "/nowhere/at/all"}) == [
        SettingProblem(("file",), "there is no folder /nowhere/at")
    ]
    with pytest.raises(ConnectorFailed, match="there is no folder /nowhere/at"):
        valid(KINDS, "a", "writing", {"file": "/nowhere/at/all"})


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    (problem,) = problems(KINDS, "countng", {})
    assert "did you mean counting?" in problem.message


def test_pauses_grow_to_a_limit_and_differ_by_chance() -> None:
    pauses = [pause_before(attempt, 0.5) for attempt in range(1, 9)]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert pause_before(10_000, 1.0) == 1.5 * LONGEST_PAUSE_SECONDS
    assert (pause_before(1, 0.0), pause_before(1, 1.0)) == (0.5, 1.5)


def test_a_trace_tells_places_and_own_words_and_no_word_of_others() -> None:
    def fail() -> None:
        try:
            json.loads("Siti Rahayu")
        except ValueError as error:
            raise ConnectorFailed(connector="a", reason="it is no JSON", remedy="mend it.") from error

    try:
        fail()
    except ConnectorFailed as error:
        trace = trace_of(error)
    assert "it is no JSON" in trace
    assert "test_connector_state.py" in trace
    assert "caused by JSONDecodeError" in trace
    assert "Siti" not in trace
