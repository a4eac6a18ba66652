"""Webhooks on a real bus: a receiver that fails for a while, and runtimes that are killed all the while."""

import asyncio
import http.server
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from connector_bus import ConnectorBus
from lane_bus import wait_until
from own_systems import OwnSystems, permit
from standardwebhooks import Webhook

from connectors.runtime.state import State
from lintas.settings import Settings

SECRET = "whsec_" + "c2VjcmV0" * 5 + "ISE="
KEYS = 12
EVENTS = 240


class Receiver(http.server.ThreadingHTTPServer):
    """Verifies by the standard's own library, fails when told, and writes down what it takes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failing = False
        self.taken: list[tuple[str, str, int]] = []  # webhook-id, key, number: every attempt that was answered 2xx
        self.failed = 0
        self.refused: list[str] = []  # what is not signed rightly


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_OPTIONS(self) -> None:
        self._answer(500 if self.server.failing else 200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            data = Webhook(SECRET).verify(body, dict(self.headers.items()))
        except Exception as error:  # noqa: BLE001  the library raises many kinds
            self.server.refused.append(str(error))
            self._answer(401)
            return
        if self.server.failing:
            self.server.failed += 1
            self._answer(500)
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
def systems(catalogue_bus: Settings) -> OwnSystems:
    return OwnSystems.create(catalogue_bus).with_connectors()


@pytest.fixture
def bus(systems: OwnSystems, tmp_path: Path) -> Iterator[ConnectorBus]:
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
    for number in range(first, last):
        key = number % KEYS
        data = permit(0, number=f"P-{key}-{number}")
        await systems.deliver(data, partition=key % 2, id=f"e-{number}", key=f"key-{key}")


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.long)])
def test_a_receiver_that_fails_for_a_while_gets_everything_in_order_per_key_whatever_is_killed(
    systems: OwnSystems, bus: ConnectorBus, receiver: Receiver, tmp_path: Path, kills: int
) -> None:
    bus.configure("hook", "webhook", settings(receiver, tmp_path))
    bus.start()
    bus.wait_for("hook", State.RUNNING)
    asyncio.run(deliver(systems, 0, EVENTS // 4))
    wait_until(lambda: len(receiver.taken) >= EVENTS // 8, "the first events are taken", 60)

    receiver.failing = True
    written = threading.Thread(target=lambda: asyncio.run(deliver(systems, EVENTS // 4, EVENTS)))
    written.start()
    for _ in range(kills):
        before = receiver.failed
        wait_until(lambda: receiver.failed >= before + 3, "the runtime has tried, in vain", 60)  # noqa: B023
        bus.kill()
        bus.start()
    written.join()
    receiver.failing = False
    for _ in range(kills):
        taken = len(receiver.taken)
        wait_until(lambda: len(receiver.taken) > taken, "the runtime catches up", 60)  # noqa: B023
        bus.kill()
        bus.start()

    wait_until(lambda: len({number for *_, number in receiver.taken}) == EVENTS, "every event is taken", 90)
    assert receiver.refused == []
    ids: dict[int, set[str]] = defaultdict(set)
    first_taken: dict[str, list[int]] = defaultdict(list)
    for webhook_id, key, number in receiver.taken:
        ids[number].add(webhook_id)
        if number not in first_taken[key]:
            first_taken[key].append(number)
    assert all(len(found) == 1 for found in ids.values()), "repeats have the webhook-id that they had before"
    assert len({one for found in ids.values() for one in found}) == EVENTS
    assert all(numbers == sorted(numbers) for numbers in first_taken.values())
    wait_until(
        lambda: not [name for name in bus.progress("hook") if name.startswith(("waiting/", "undelivered/"))],
        "nothing waits any more",
        30,
    )
    assert bus.status("hook") is not None
    assert json.dumps(dict(bus.progress("hook"))).count("P-") == 0
