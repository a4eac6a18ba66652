"""The webhook sink with a receiver that does as it is told and a clock that is set."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from webhook_world import START_MS, Told, World, delivery, secret_file, symmetric

from connectors.plugins.webhook import sink as sink_module
from connectors.plugins.webhook.answers import Answer, NoAnswer
from connectors.runtime.contract import Bounded, Holding
from lintas.errors import ConnectorDisabled, ConnectorFailed


def refusing(*keys: str, status: int = 500) -> Told:
    """A receiver that takes all but the events of some keys."""
    return Told(lambda _, body: Answer(status if json.loads(body)["key"] in keys else 204))


def mended(receiver: Told) -> None:
    receiver.answers = lambda _headers, _body: Answer(204)


async def test_a_delivery_is_sent_signed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    secret, token = symmetric(), tmp_path / "token"
    token.write_text("t0ken\n")
    file = secret_file(tmp_path, "s", secret)
    world = World(tmp_path, secret_files=[str(file)], bearer_token_file=str(token))
    world.clock.ms = int(time.time() * 1000)
    await world.start()
    await world.deliver(delivery(1))
    ((headers, body),) = world.receiver.posted
    assert Webhook(secret).verify(body, headers) == {"n": 1, "key": "k"}
    assert headers["WebHook-Request-Origin"] == "bus.example"
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["ce-id"] == "e1"
    assert world.kept("waiting/") == {}
    await world.sink.stop()
    assert world.receiver.closed


async def test_a_receiver_that_answers_500_for_an_hour_receives_everything_in_order_per_key(tmp_path: Path) -> None:
    world = World(tmp_path, Told(lambda _headers, _body: Answer(500)))
    await world.start()
    sent, last = 0, 0
    for minute in range(60):
        if world.sink.room():
            batch = [delivery(sent + n, f"k{(sent + n) % 7}") for n in range(5)]
            sent += 5
            await world.deliver(*batch)
        await world.idle(60)
        if minute % 20 == 19:
            await world.restart()  # a crash forgets nothing
    mended(world.receiver)
    while world.receiver.numbers() == [] or len(world.receiver.taken) < sent:
        last += 1
        assert last < 3600 * 24
        await world.idle(1)
    assert last < 900 * 1.2 + 60, "the first one waits for its time, the others do not"
    assert sorted(world.receiver.numbers()) == list(range(sent))
    for key in range(7):
        assert world.receiver.numbers(f"k{key}") == [n for n in range(sent) if n % 7 == key]
    assert world.kept("waiting/") == world.kept("undelivered/") == {}
    assert sent > 30
    await world.sink.stop()


async def test_the_log_says_why_nothing_is_taken_and_does_not_repeat_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, Told(lambda _, body: Answer(401 + json.loads(body)["n"] % 2)))
    await world.start()
    await world.deliver(*(delivery(n, f"k{n}") for n in range(6)))
    told = [record.getMessage() for record in caplog.records if "does not take events" in record.getMessage()]
    assert len(told) == 2
    assert "http-401" in told[0]
    await world.sink.stop()


async def test_a_key_whose_event_fails_holds_up_no_other_key_and_keeps_its_order(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("bad"))
    await world.start()
    await world.deliver(*(delivery(n, "bad" if n % 3 == 0 else f"good{n % 3}") for n in range(30)))
    assert sorted(world.receiver.numbers()) == [n for n in range(30) if n % 3]
    assert len(world.receiver.posted) == 21  # what is behind the failed one is not even tried
    assert len(world.kept("waiting/")) == 10
    await world.deliver(delivery(30, "bad"), delivery(31, "good1"))
    assert 31 in world.receiver.numbers()
    mended(world.receiver)
    for _ in range(3):
        await world.idle(3600)
    assert world.receiver.numbers("bad") == [*range(0, 31, 3)]
    await world.sink.stop()


async def test_attempts_of_an_event_share_one_webhook_id_and_have_the_time_of_the_attempt(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("k"))
    await world.start()
    await world.deliver(delivery(1))
    await world.restart()
    mended(world.receiver)
    await world.idle(10)
    (first, _), (second, _) = world.receiver.posted
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 10
    assert int(first["webhook-timestamp"]) == START_MS // 1000
    await world.sink.stop()


async def test_after_a_day_an_event_is_a_persons_and_the_next_of_its_key_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, Told(lambda _, body: Answer(422 if json.loads(body)["n"] == 1 else 204)))
    await world.start()
    await world.deliver(delivery(1), delivery(2))
    for _ in range(23):
        await world.idle(3600)
    assert world.receiver.numbers() == []
    await world.idle(3600)
    await world.idle()
    assert world.receiver.numbers() == [2]
    (note,) = world.kept("undelivered/").values()
    assert (note["reason"], note["status"], note["first_failed_ms"]) == ("http-422", 422, START_MS)
    assert note["attempts"] == len(world.receiver.posted) - 1
    assert world.sink.holding() == {"retry": 0, "person": 1}
    await world.sink.stop()


async def test_progress_and_logs_hold_nothing_of_an_event(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, refusing("3210142211266547", status=422), give_up_after_seconds=1)
    await world.start()
    await world.deliver(delivery(1, "3210142211266547", subject="Siti Rahayu"), delivery(2, "3210142211266547"))
    await world.idle(10)
    await world.deliver(delivery(3, "3210142211266547"))
    for told in (json.dumps(world.progress), caplog.text):
        assert "3210142211266547" not in told
        assert "Siti" not in told
        assert "e1" not in told.replace("retry", "")
    assert (len(world.kept("undelivered/")), len(world.kept("waiting/"))) == (2, 1)
    await world.sink.stop()


async def test_what_a_person_asks_to_be_redelivered_is_read_again_from_the_inbox(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("k", status=422), give_up_after_seconds=1)
    await world.start()
    await world.deliver(delivery(1))
    await world.idle(10)
    assert list(world.kept("undelivered/")) == ["undelivered/0/1"]
    mended(world.receiver)
    world.progress["redeliver/0/1"] = {"asked_ms": world.clock()}
    await world.restart()
    await world.idle()
    assert world.receiver.numbers() == [1]
    assert [name for name in world.progress if name != "permission"] == []
    await world.sink.stop()


async def test_an_event_that_the_inbox_no_longer_holds_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("k"))
    await world.start()
    await world.deliver(delivery(1), delivery(2))
    del world.inbox[0, 1]
    mended(world.receiver)
    await world.idle(10)
    assert world.receiver.numbers() == [2]
    assert world.kept("undelivered/")["undelivered/0/1"]["reason"] == "no-longer-in-the-inbox"
    await world.sink.stop()


async def test_too_large_an_event_is_set_aside_and_not_sent(tmp_path: Path) -> None:
    world = World(tmp_path, largest_bytes=20)
    await world.start()
    await world.deliver(delivery(1, "k" * 30), delivery(2, "k"))
    assert world.receiver.numbers() == [2]
    assert world.kept("undelivered/")["undelivered/0/1"]["reason"] == "too-large"
    await world.sink.stop()


async def test_an_event_type_that_the_bus_does_not_have_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, event_types=["id.go.a.other.v1", "id.go.a.othr.v1"])
    await world.start()
    [told] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "nothing is sent of id.go.a.othr.v1" in told
    assert "id.go.a.other.v1" in told


async def test_only_the_event_types_that_are_named_are_sent(tmp_path: Path) -> None:
    world = World(tmp_path, event_types=["id.go.a.other.v1"])
    await world.start()
    await world.deliver(delivery(1), delivery(2, type="id.go.a.other.v1"))
    assert world.receiver.numbers() == [2]
    assert world.kept("waiting/") == {}
    await world.sink.stop()


async def test_retry_after_is_obeyed_for_everything(tmp_path: Path) -> None:
    world = World(tmp_path, Told(lambda _headers, _body: Answer(429, {"retry-after": "100"})), concurrency=1)
    await world.start()
    await world.deliver(delivery(1, "a"), delivery(2, "b"))
    assert len(world.receiver.posted) == 1
    assert world.sink.room() == 0
    mended(world.receiver)
    await world.idle(98)
    await world.restart()  # also by the next life, which does not ask for permission before
    await world.idle(1)
    assert (len(world.receiver.asked), len(world.receiver.posted)) == (1, 1)
    await world.idle(1)
    assert len(world.receiver.asked) == 2
    assert sorted(world.receiver.numbers()) == [1, 2]
    assert world.sink.room() > 0
    await world.sink.stop()


async def test_a_receiver_that_is_gone_disables_the_connector_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, Told(lambda _headers, _body: Answer(410)), concurrency=1)
    await world.start()
    await world.deliver(delivery(1, "a"), delivery(2, "b"))
    assert len(world.receiver.posted) == 1
    assert set(world.kept("waiting/")) == {"waiting/0/1", "waiting/0/2"}
    with pytest.raises(ConnectorDisabled, match="410"):
        await world.idle()
    mended(world.receiver)
    await world.restart()
    await world.idle()
    assert sorted(world.receiver.numbers()) == [1, 2]
    await world.sink.stop()


async def test_the_allowed_rate_is_kept(tmp_path: Path) -> None:
    receiver = Told()
    receiver.permits = lambda _: Answer(204, {"webhook-allowed-origin": "bus.example", "webhook-allowed-rate": "2"})
    world = World(tmp_path, receiver, rate_per_minute=600)
    await world.start()
    assert receiver.asked == [{"WebHook-Request-Origin": "bus.example", "WebHook-Request-Rate": "600"}]
    await world.deliver(*(delivery(n, f"k{n}") for n in range(6)))
    sent_after = []
    for _ in range(6):
        sent_after.append(len(receiver.posted))
        await world.idle(30)
    assert sent_after == [0, 1, 2, 3, 4, 5]
    await world.sink.stop()


async def test_permission_is_asked_for_at_start_and_daily(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    await world.idle(3600)
    await world.restart()
    assert len(world.receiver.asked) == 2
    await world.idle(24 * 3600 - 1)
    assert len(world.receiver.asked) == 2
    await world.idle(1)
    assert len(world.receiver.asked) == 3
    await world.sink.stop()


async def test_without_permission_nothing_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.permits = lambda _: Answer(200)
    with pytest.raises(ConnectorFailed, match="without WebHook-Allowed-Origin"):
        await world.start()
    await world.sink.stop()
    assert world.receiver.closed


async def test_permission_that_is_withdrawn_stops_the_connector(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    world.receiver.permits = lambda _: Answer(200, {"webhook-allowed-origin": "someone.else"})
    with pytest.raises(ConnectorFailed, match="does not permit"):
        await world.idle(24 * 3600)
    await world.sink.stop()


async def test_a_receiver_that_cannot_be_asked_is_trusted_for_another_day(tmp_path: Path) -> None:
    def down(_headers: Mapping[str, str]) -> Answer:
        raise NoAnswer("timeout", "it did not answer within 15 s")

    world = World(tmp_path)
    await world.start()
    await world.deliver(delivery(1))
    world.receiver.permits = down
    await world.restart()
    await world.deliver(delivery(2))
    assert world.receiver.numbers() == [1, 2]
    await world.idle(47 * 3600)
    with pytest.raises(ConnectorFailed, match="did not answer within 15 s"):
        await world.idle(3600)
    await world.sink.stop()
    world.progress = {}
    with pytest.raises(ConnectorFailed, match="cannot be asked"):
        await world.restart()
    await world.sink.stop()


async def test_a_permission_for_another_url_counts_for_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    await world.idle()
    world.config = world.config.model_copy(update={"url": "https://elsewhere.example/hook"})
    world.receiver.permits = lambda _: Answer(503)
    with pytest.raises(ConnectorFailed, match="503"):
        await world.restart()
    await world.sink.stop()


async def test_a_receiver_that_answers_410_to_options_disables_the_connector(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.permits = lambda _: Answer(410)
    with pytest.raises(ConnectorDisabled):
        await world.start()
    await world.sink.stop()


async def test_without_a_handshake_nobody_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path, handshake=False)
    await world.start()
    await world.deliver(delivery(1))
    assert (world.receiver.asked, world.receiver.numbers()) == ([], [1])
    await world.sink.stop()


async def test_files_that_cannot_be_used_are_all_told_at_once(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        secret_files=[str(tmp_path / "absent")],
        bearer_token_file=str(tmp_path / "no-token"),
        ca_file=str(tmp_path / "no-ca"),
    )
    with pytest.raises(ConnectorFailed) as refused:
        await world.start()
    await world.sink.stop()
    assert all(name in str(refused.value) for name in ("absent", "no-token", "ca_file"))


class Slow(Told):
    """A receiver that does not answer events of one key until told."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key, self.go_on = key, asyncio.Event()

    async def request(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        if method == "POST" and json.loads(body)["key"] == self.key:
            await self.go_on.wait()
        return await super().request(method, headers, body)


async def test_a_request_that_hangs_holds_up_its_own_key_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "_PATIENCE_SECONDS", 0.5)
    slow = Slow("slow")
    world = World(tmp_path, slow)
    await world.start()
    await world.deliver(delivery(1, "slow"), delivery(2, "slow"), delivery(3, "quick"))
    assert slow.numbers() == [3]
    assert set(world.kept("waiting/")) == {"waiting/0/1", "waiting/0/2"}  # a crash now would send them again
    await world.deliver(delivery(4, "quick"), delivery(5, "slow"))
    assert slow.numbers() == [3, 4]
    slow.go_on.set()
    async with asyncio.timeout(10):
        while world.sink.holding()["retry"]:
            await world.idle()
            await asyncio.sleep(0.01)
    assert slow.numbers("slow") == [1, 2, 5]
    assert world.kept("waiting/") == {}
    await world.sink.stop()


async def test_an_inbox_that_cannot_be_read_stops_the_connector(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("k"))
    await world.start()
    await world.deliver(delivery(1))

    class Broken:
        async def read_again(self, *_: object) -> None:
            raise OSError("Kafka does not answer")

    world.sink._inbox = Broken()
    with pytest.raises(OSError, match="Kafka"):
        await world.idle(10)
    await world.sink.stop()


async def test_it_takes_no_more_than_may_wait_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, refusing("k", status=422), most_waiting=10)
    await world.start()
    assert isinstance(world.sink, Bounded)
    assert isinstance(world.sink, Holding)
    assert world.sink.room() == 8
    await world.deliver(*(delivery(n) for n in range(8)))
    assert world.sink.room() == 2
    await world.deliver(*(delivery(n) for n in range(8, 10)))
    assert world.sink.room() == 0
    for _ in range(3):
        await world.idle()
    assert caplog.text.count("no more are taken") == 1
    mended(world.receiver)
    await world.idle(10)
    assert world.sink.room() > 0
    await world.sink.stop()


async def test_it_takes_more_at_a_time_from_a_quick_receiver(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    taken, number = [], 0
    for _ in range(9):
        room = world.sink.room()
        taken.append(room)
        await world.deliver(*(delivery(number + n, f"k{n}") for n in range(room)))
        number += room
    assert taken == [8, 16, 32, 64, 128, 256, 500, 500, 500]
    assert len(world.receiver.taken) == number
    await world.sink.stop()


async def test_events_that_fail_again_and_again_do_not_hold_up_others(tmp_path: Path) -> None:
    class Ticking(Told):
        """A receiver whose answers take a second of the clock, so that something is due all the while."""

        async def request(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
            await asyncio.sleep(0.01)
            world.clock.forward(1)
            return await super().request(method, headers, body)

    bad = [f"bad{n}" for n in range(50)]
    receiver = Ticking(refusing(*bad, status=422).answers)
    world = World(tmp_path, receiver, retry_delays_seconds=[1])
    await world.start()
    await world.deliver(*(delivery(n, key) for n, key in enumerate(bad)))
    began = time.monotonic()
    await world.deliver(*(delivery(100 + n, f"good{n}") for n in range(8)))
    assert time.monotonic() - began < 5
    assert sorted(receiver.numbers()) == list(range(100, 108))
    await world.idle()
    assert time.monotonic() - began < 8
    await world.sink.stop()


async def test_what_the_rate_does_not_permit_yet_stays_in_the_inbox(tmp_path: Path) -> None:
    world = World(tmp_path, rate_per_minute=2)
    await world.start()
    assert world.sink.room() == 0
    world.clock.forward(30)
    assert world.sink.room() == 1
    await world.deliver(delivery(1))
    assert (world.receiver.numbers(), world.sink.room()) == ([1], 0)
    await world.sink.stop()


@pytest.mark.parametrize("answers", [Told(lambda *_: Answer(500)), Told(lambda *_: Answer(429, {"retry-after": "0"}))])
async def test_while_a_receiver_is_out_of_order_the_inbox_waits_though_all_keys_wait_already(
    tmp_path: Path, answers: Told
) -> None:
    world, number, seconds = World(tmp_path, answers), 0, 24 * 3600
    await world.start()
    for _ in range(seconds // 5):
        if room := world.sink.room():
            await world.deliver(*(delivery(number + n, f"k{(number + n) % 12}") for n in range(room)))
            number += room
        await world.idle(5)
    assert number < 100 + seconds / 30
    assert len(answers.posted) < 100 + seconds / 30  # and it is left alone
    mended(answers)
    await world.idle(30)
    assert world.sink.room() > 1
    await world.sink.stop()


async def test_while_one_request_shows_how_the_receiver_is_no_other_event_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "_PATIENCE_SECONDS", 0.1)
    slow = Slow("slow")
    slow.answers = lambda *_: Answer(500)
    world = World(tmp_path, slow)
    await world.start()
    await world.deliver(*(delivery(n, f"k{n}") for n in range(10)))
    world.clock.forward(30)
    assert world.sink.room() == 1
    await world.deliver(delivery(10, "slow"))
    assert world.sink.room() == 0
    await world.sink.stop()


async def test_a_receiver_that_says_what_is_wrong_with_an_event_is_in_order(tmp_path: Path) -> None:
    receiver = Told(lambda *_: Answer(500))
    world = World(tmp_path, receiver)
    await world.start()
    await world.deliver(*(delivery(n, f"k{n}") for n in range(10)))
    world.clock.forward(30)
    receiver.answers = lambda *_: Answer(422)
    await world.deliver(delivery(10, "k10"))
    assert world.sink.room() > 1
    await world.sink.stop()


async def test_a_key_that_always_fails_keeps_a_days_events_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("bad", status=422))
    await world.start()
    for hour in range(4 * 24):
        await world.deliver(delivery(hour, "bad"))
        for _ in range(4):
            await world.idle(900)
    assert 20 <= len(world.kept("waiting/")) <= 24
    waited = [
        note["given_up_ms"] - START_MS - int(name.rpartition("/")[2]) * 3_600_000
        for name, note in world.kept("undelivered/").items()
    ]
    assert len(waited) >= 72
    assert all(24 * 3_600_000 <= one <= 25 * 3_600_000 for one in waited)
    await world.sink.stop()


async def test_what_waits_of_event_types_that_are_wanted_no_longer_is_not_sent(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("k"))
    await world.start()
    await world.deliver(delivery(1), delivery(2, type="id.go.a.other.v1"))
    mended(world.receiver)
    world.config = world.config.model_copy(update={"event_types": ("id.go.a.other.v1",)})
    await world.restart()
    await world.idle(10)
    assert world.receiver.numbers() == [2]
    assert world.kept("waiting/") == {}
    await world.sink.stop()


async def test_values_are_not_kept_between_deliveries(tmp_path: Path) -> None:
    world = World(tmp_path, refusing("k"))
    await world.start()
    await world.deliver(delivery(1))
    assert world.read_again_count == 0
    assert world.sink._fresh == {}
    mended(world.receiver)
    await world.idle(10)
    assert world.read_again_count == 1
    await world.sink.stop()
