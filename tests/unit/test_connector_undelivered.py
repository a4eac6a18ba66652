import json

import pytest
from click.testing import CliRunner

from connectors.plugins.webhook.lanes import Lanes, Pointer
from connectors.runtime.state import ConnectorsState, State, Target, progress_records
from connectors.runtime.undelivered import DISCARD, REDELIVER, Undelivered, asking, undelivered, waiting
from lintas.cli import connector_undelivered
from lintas.cli.main import main
from lintas.errors import UnknownName
from schemas.connector_configs import Configured

NOW = 1_800_000_000_000


def given_up(*offsets: int) -> dict[str, object]:
    """The progress of a webhook that has given up events of one partition."""
    lanes = Lanes({}, NOW)
    for offset in offsets:
        lanes.add(Pointer(0, offset, f"k{offset}"), NOW)
        pointer = lanes.take(NOW, retries=True)
        assert pointer is not None
        lanes.failed(pointer, "http-422", 422, NOW)
        lanes.give_up(pointer, NOW + 1)
    return lanes.changes()


def state(*offsets: int, target: State = State.RUNNING) -> ConnectorsState:
    return ConnectorsState().of(
        [
            Configured("webhook", {}, "rest").record("hook"),
            Target(target, 4).record("hook"),
            *progress_records("hook", given_up(*offsets)),
        ]
    )


def test_what_a_webhook_gives_up_is_listed_in_the_inboxs_order() -> None:
    found = undelivered(state(10, 9), "hook")
    assert [one.event for one in found] == ["0/9", "0/10"]
    assert found[0] == Undelivered("0/9", "http-422", 422, 1, NOW, NOW + 1, asked_for=None)


def test_what_waits_for_another_attempt_is_counted_by_why_the_last_one_failed() -> None:
    lanes = Lanes({}, NOW)
    for offset, key in ((1, "one"), (2, "one"), (3, "other")):
        lanes.add(Pointer(0, offset, key), NOW)
    for _ in range(2):
        pointer = lanes.take(NOW, retries=True)
        assert pointer is not None
        lanes.failed(pointer, "http-401", 401, NOW)
        lanes.wait(pointer, NOW + 1_000)
    records = [Configured("webhook", {}, "rest").record("hook"), *progress_records("hook", told(lanes))]
    assert waiting(ConnectorsState().of(records), "hook") == {"http-401": 2, "behind": 1}


def test_what_behind_means_is_told_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = Lanes({}, NOW)
    for offset in (1, 2):
        lanes.add(Pointer(0, offset, "one"), NOW)
    records = [Configured("webhook", {}, "rest").record("hook"), *progress_records("hook", told(lanes))]
    monkeypatch.setattr(connector_undelivered, "found", lambda *_: ("office.desk", ConnectorsState().of(records)))
    shown = CliRunner().invoke(main, ["connector", "undelivered", "hook"]).output
    assert shown.endswith("2 wait for another attempt: behind 2 (behind: for an earlier event of their key)\n")


def told(lanes: Lanes) -> dict[str, object]:
    """What lanes note, as it is read again."""
    return {name: value for name, value in lanes.changes().items() if value is not None}


def test_what_is_asked_for_is_noted_and_the_connector_begun_anew() -> None:
    before = state(9, 10)
    records = asking(before, "hook", REDELIVER, ["0/9"], NOW)
    after = before.of(records)
    assert after.target("hook") == Target(State.RUNNING, 5)
    assert [(one.event, one.asked_for) for one in undelivered(after, "hook")] == [("0/9", "redeliver"), ("0/10", None)]
    lanes = Lanes(after.progress("hook"), NOW)
    assert (lanes.waiting, lanes.undelivered) == (1, 1)


def test_what_is_discarded_is_forgotten_and_of_two_wishes_the_later_counts() -> None:
    before = state(9, 10)
    wanted = before.of(asking(before, "hook", REDELIVER, ["0/9", "0/10"], NOW))
    after = wanted.of(asking(wanted, "hook", DISCARD, ["0/9"], NOW + 1))
    assert [(one.event, one.asked_for) for one in undelivered(after, "hook")] == [
        ("0/9", "discard"),
        ("0/10", "redeliver"),
    ]
    lanes = Lanes(after.progress("hook"), NOW)
    assert (lanes.waiting, lanes.undelivered) == (1, 0)
    assert not undelivered(after.of(progress_records("hook", lanes.changes())), "hook")


def test_all_may_be_asked_for_and_of_nothing_nothing_is() -> None:
    assert len(asking(state(1, 2, 3), "hook", REDELIVER, None, NOW)) == 4
    assert asking(state(), "hook", DISCARD, None, NOW) == []


def test_a_paused_connector_stays_paused() -> None:
    (record,) = asking(state(1, target=State.PAUSED), "hook", REDELIVER, ["0/1"], NOW)
    assert (record[0], json.loads(record[1] or b"")) == (b"progress/hook/redeliver/0/1", {"asked_ms": NOW})


def test_what_was_not_given_up_cannot_be_asked_for() -> None:
    with pytest.raises(UnknownName, match="0/2"):
        asking(state(1), "hook", DISCARD, ["0/2"], NOW)
    with pytest.raises(UnknownName, match="nohook"):
        undelivered(state(1), "nohook")
