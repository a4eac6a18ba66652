"""Webhooks on a real bus: a receiver that fails for a while, and runtimes that are killed all the while."""

import asyncio
import http.server
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from connector_bus import ConnectorBus
from lane_bus import lintas, wait_until
from own_systems import OwnSystems, permit
from standardwebhooks import Webhook

from connectors.runtime.state import State
from lintas.settings import Settings

SECRET = "whsec_" + "c2VjcmV0" * 5 + "ISE="
KEYS = 12
PORTION = 60


class Receiver(http.server.ThreadingHTTPServer):
    """Verifies by the standard's own library, answers as it is told, and writes down what it takes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 204  # of answers to deliveries
        self.taken: list[tuple[str, str, int]] = []  # webhook-id, key, number: every attempt that was answered 2xx
        self.failed = 0
        self.gone = 0  # answers of 410
        self.refused: list[str] = []  # what is not signed rightly


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_OPTIONS(self) -> None:
        self._answer(500 if self.server.status == 500 else 200)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender was killed in the middle
            self.close_connection = True
            return
        try:
            data = Webhook(SECRET).verify(body, dict(self.headers.items()))
        except Exception as error:  # noqa: BLE001  the library raises many kinds
            self.server.refused.append(str(error))
            self._answer(401)
            return
        if self.server.status != 204:
            self.server.failed += 1
            self.server.gone += self.server.status == 410
            self._answer(self.server.status)
            return
        _, key, number = data["number"].split("-")
        self.server.taken.append((self.headers["webhook-id"], key, int(number)))
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 200:
            self.send_header("WebHook-Allowed-Origin", "bus.example")
            self.send_header("WebHook-Allowed-Rate", "*")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def systems(bus: Settings) -> OwnSystems:
    return OwnSystems.create(bus).with_connectors()


@pytest.fixture
def runtimes(systems: OwnSystems, tmp_path: Path) -> Iterator[ConnectorBus]:
    made = ConnectorBus(systems.settings, systems.consumer, tmp_path)
    yield made
    made.kill()


def settings(receiver: Receiver, folder: Path) -> dict[str, object]:
    secret = folder / "webhook.secret"
    secret.write_text(SECRET)
    return {
        "url": f"http://127.0.0.1:{receiver.server_address[1]}/hook",
        "origin": "bus.example",
        "secret_files": [str(secret)],
        "allow_http": True,
        "allow_private": True,
        "retry_delays_seconds": [0.5, 1, 2],
    }


async def deliver(systems: OwnSystems, first: int, last: int) -> None:
    """Permits whose keys take turns, each key in a partition of its own choice."""
    for begin in range(first, last, KEYS):
        await systems.deliver_together(*(_event(number) for number in range(begin, min(begin + KEYS, last))))


def _event(number: int) -> tuple[int, dict[str, Any], dict[str, str]]:
    key = number % KEYS
    data = permit(0, number=f"P-{key}-{number}")
    return key % 2, data, {"id": f"e-{number}", "key": f"key-{key}"}


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.long)])
def test_a_receiver_that_fails_for_a_while_gets_everything_in_order_per_key_whatever_is_killed(
    systems: OwnSystems, runtimes: ConnectorBus, receiver: Receiver, tmp_path: Path, kills: int
) -> None:
    runtimes.configure("hook", "webhook", settings(receiver, tmp_path))
    runtimes.start()
    runtimes.wait_for("hook", State.RUNNING)
    asyncio.run(deliver(systems, 0, PORTION))
    wait_until(lambda: len(receiver.taken) > 0, "the first events are taken", 60)
    wait_until(lambda: "permission" in runtimes.progress("hook"), "the permission outlives a kill", 30)
    delivered = PORTION
    for status in [500] * kills + [204] * kills:  # while it fails, and while it catches up
        receiver.status = status
        before = receiver.failed, len(receiver.taken)
        asyncio.run(deliver(systems, delivered, delivered + PORTION))
        delivered += PORTION
        wait_until(lambda: (receiver.failed, len(receiver.taken)) > before, "it is asked again", 60)  # noqa: B023
        runtimes.kill()
        runtimes.start()

    wait_until(lambda: len({number for *_, number in receiver.taken}) == delivered, "every event is taken", 90)
    assert receiver.refused == []
    ids: dict[int, set[str]] = defaultdict(set)
    first_taken: dict[str, list[int]] = defaultdict(list)
    for webhook_id, key, number in receiver.taken:
        ids[number].add(webhook_id)
        if number not in first_taken[key]:
            first_taken[key].append(number)
    assert all(len(found) == 1 for found in ids.values()), "repeats have the webhook-id that they had before"
    assert len({one for found in ids.values() for one in found}) == delivered
    assert all(numbers == sorted(numbers) for numbers in first_taken.values())
    wait_until(
        lambda: not [name for name in runtimes.progress("hook") if name.startswith(("waiting/", "undelivered/"))],
        "nothing waits any more",
        30,
    )
    assert runtimes.status("hook") is not None
    assert json.dumps(dict(runtimes.progress("hook"))).count("P-") == 0


def test_what_is_given_up_is_listed_and_sent_once_more_and_a_receiver_that_is_gone_is_left_alone(
    systems: OwnSystems, runtimes: ConnectorBus, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.status = 422
    runtimes.configure("hook", "webhook", {**settings(receiver, tmp_path), "give_up_after_seconds": 1})
    runtimes.start()
    asyncio.run(deliver(systems, 0, 2))
    wait_until(lambda: len(verb(systems, "undelivered", "-o", "json")) == 2, "both events are given up", 60)
    given_up = verb(systems, "undelivered", "-o", "json")
    assert {one["reason"] for one in given_up} == {"http-422"}
    assert all(one["attempts"] > 1 for one in given_up)

    receiver.status = 204
    assert verb(systems, "redeliver", given_up[0]["event"], "-o", "json")["events"] == 1
    wait_until(lambda: len(receiver.taken) == 1, "one event is taken", 60)
    assert verb(systems, "redeliver", "--all", "-o", "json")["events"] == 1
    wait_until(lambda: len(receiver.taken) == 2, "the other is taken", 60)
    wait_until(lambda: verb(systems, "undelivered", "-o", "json") == [], "nothing is left", 60)

    receiver.status = 422
    asyncio.run(deliver(systems, 2, 3))
    wait_until(lambda: len(verb(systems, "undelivered", "-o", "json")) == 1, "the third is given up", 60)
    receiver.status = 204
    assert verb(systems, "discard", "--all", "-o", "json")["events"] == 1
    wait_until(lambda: verb(systems, "undelivered", "-o", "json") == [], "it is forgotten", 60)
    assert len(receiver.taken) == 2

    receiver.status = 410
    asyncio.run(deliver(systems, 3, 4))
    status = runtimes.wait_for("hook", State.FAILED)
    assert status.disabled
    assert "410" in (status.trace or "")
    receiver.status = 204
    assert verb(systems, "restart", "-o", "json")[0]["done"] == "restarts"
    wait_until(lambda: len(receiver.taken) == 3, "what it had not taken waited", 60)
    assert receiver.gone == 1, "after 410 it was not asked again"


def verb(systems: OwnSystems, name: str, *more: str) -> Any:
    """What ``lintas connector`` answers about the hook."""
    done = lintas(systems.settings, "connector", name, "hook", *more, "--system", systems.consumer)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
