"""The bookkeeper's metrics say 0 while events flow, at last what `lintas balance` says, and more after a defect."""

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lane_bus
import pytest
from confluent_kafka import Producer
from lane_bus import EVENT_TYPE, Worker, mixed, publish, put_in_force, running_bus, wait_until
from prometheus_client.parser import text_string_to_metric_families

from lintas import credentials, names
from lintas.settings import Settings

EVENTS = 3_000
CONSUMERS = {name: {"release": {"n": "keep"}} for name in ("all", "even", "late")}  # the third comes while events flow
INBOX = names.inbox_topic("b.all")
LINTAS_BOOKKEEPER = ("-m", "lintas", "bookkeeper", "--every", "0.5", "--listen", "127.0.0.1:0")
Samples = dict[tuple[str, str, str], float]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with running_bus(tmp_path) as settings:
        worker = Worker(settings, tmp_path / "worker.log", LINTAS_BATCH_EVENTS="100")
        try:
            yield settings
        finally:
            worker.end()


class Bookkeeper(Worker):
    """``lintas bookkeeper`` as a subprocess."""

    def __init__(self, settings: Settings, log: Path) -> None:
        super().__init__(settings, log, LINTAS_BOOKKEEPER)
        wait_until(lambda: "/metrics" in self.text, "the bookkeeper listens")
        (self._url,) = re.findall(r"http://\S+/metrics", self.text)
        wait_until(lambda: self.scrape()["lintas_bookkeeper_up", "", ""] == 1, "a first round is complete")

    def scrape(self) -> Samples:
        """Values by name, first label and last label."""
        with urllib.request.urlopen(self._url, timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        assert len({(sample.name, *sorted(sample.labels.items())) for sample in samples}) == len(samples)
        return {_key(sample.name, list(sample.labels.values())): sample.value for sample in samples}

    def differences(self) -> Samples:
        return {key: value for key, value in self.scrape().items() if key[0] == "lintas_books_differences" and value}


def _key(name: str, labels: list[str]) -> tuple[str, str, str]:
    return name, labels[0] if labels else "", labels[-1] if len(labels) > 1 else ""


def balance(settings: Settings) -> dict[str, Any]:
    found = subprocess.run(
        [sys.executable, "-m", "lintas", "balance", "-o", "json"],
        env={"LINTAS_HOME": str(settings.home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    told: dict[str, Any] = json.loads(found.stdout)
    return told


def is_balance(samples: Samples, told: dict[str, Any]) -> bool:
    """Whether the metrics say what `lintas balance` says."""
    (row,) = told["event_types"]
    counts = {("lintas_books_published_events", EVENT_TYPE, ""): row["published"]}
    counts["lintas_books_in_flight_events", EVENT_TYPE, ""] = row["in_flight"]
    for outcome in ("routed", "duplicate", "quarantined"):
        counts["lintas_books_decided_events", EVENT_TYPE, outcome] = row[outcome]
    for agreement in told["agreements"]:
        counts["lintas_books_routed_events", agreement["agreement"], EVENT_TYPE] = agreement["routed"]
        for outcome in ("delivered", "filtered", "dead", "waiting"):
            counts["lintas_books_agreement_events", agreement["agreement"], outcome] = agreement[outcome]
    differences = [(one["about"], one["kind"], len(one["places"])) for one in told["differences"]]
    found = [
        (key[1], key[2], value) for key, value in samples.items() if key[0] == "lintas_books_differences" and value
    ]
    return found == differences and {key: samples.get(key) for key in counts} == counts


def put_beside_the_audit(settings: Settings) -> None:
    producer = Producer(dict(credentials.confluent_options(settings, names.ADMIN)))
    headers: list[tuple[str, bytes]] = [("ce_agreement", b"all"), (names.HEADER_SALT, b"s" * 32)]
    producer.produce(INBOX, b"invented", b"key", 0, headers=headers)
    assert producer.flush(30) == 0


def test_the_metrics_say_whether_the_books_balance(settings: Settings, tmp_path: Path) -> None:
    keeper = Bookkeeper(settings, tmp_path / "bookkeeper.log")
    assert keeper.scrape()["lintas_books_differences", "even", "missing"] == 0  # known, though nothing has flowed
    scrapes = 0
    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(lambda: asyncio.run(publish(settings, slowly())))
        put_in_force(settings, lane_bus.catalogue(tmp_path / "another", consumers=CONSUMERS))
        while not publishing.done() or in_flight(keeper):
            assert keeper.differences() == {}
            scrapes += 1
        assert publishing.result() == EVENTS
    assert scrapes > 10
    told = balance(settings)
    assert {agreement["agreement"] for agreement in told["agreements"]} == set(CONSUMERS)
    wait_until(lambda: is_balance(keeper.scrape(), told), "the metrics say what the balance says")
    assert told["differences"] == []
    assert "difference" not in keeper.text

    put_beside_the_audit(settings)
    stray = {("lintas_books_differences", "all", "unexplained"): 1.0}
    wait_until(lambda: keeper.differences() == stray, "the defect is seen")
    assert keeper.differences() == stray
    assert keeper.text.count("difference: all: 1 records in the inbox without a decision, or there twice") == 1

    keeper.kill()
    again = Bookkeeper(settings, tmp_path / "again.log")
    assert is_balance(again.scrape(), balance(settings))
    assert again.differences() == stray
    assert again.end() == 0


def slowly() -> Iterator[lane_bus.Sent]:
    for one in mixed(0, EVENTS):
        if one.n % 50 == 0:
            time.sleep(0.1)
        yield one


def in_flight(keeper: Bookkeeper) -> bool:
    samples = keeper.scrape()
    return (
        samples["lintas_books_published_events", EVENT_TYPE, ""] < EVENTS
        or samples["lintas_books_in_flight_events", EVENT_TYPE, ""] > 0
    )
