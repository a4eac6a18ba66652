import json
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from lintas.local import ports
from lintas.local.ports import LOOPBACK, Ports, Reservation, choose

LISTENERS = len(Ports().all())


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    """Ports of last time that are free now, so that the machine's own servers do not matter."""
    file = tmp_path / "ports.json"
    spare = [port for port in range(31_000, 31_900) if ports.is_free(port)][:LISTENERS]
    file.write_text(json.dumps(asdict(Ports(*spare))))
    return file


@pytest.fixture
def reservation() -> Iterator[Reservation]:
    with Reservation() as held:
        yield held


def test_the_ports_of_last_time_are_kept(remembered: Path, reservation: Reservation) -> None:
    last = json.loads(remembered.read_text())
    assert asdict(choose(remembered, reservation)) == last


def test_a_port_that_is_taken_is_replaced_and_the_new_one_remembered(
    remembered: Path, reservation: Reservation
) -> None:
    last = json.loads(remembered.read_text())
    with socket.socket() as server:
        server.bind((LOOPBACK, last["kafka"]))
        server.listen()
        chosen = choose(remembered, reservation)
    assert chosen.kafka != last["kafka"]
    assert chosen.registry == last["registry"]
    assert json.loads(remembered.read_text()) == asdict(chosen)


def test_two_buses_that_choose_at_the_same_time_share_no_port(remembered: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(remembered.read_text())
    with Reservation() as one, Reservation() as two:
        assert not set(choose(remembered, one).all()) & set(choose(other, two).all())


def test_a_closed_reservation_frees_its_ports(remembered: Path) -> None:
    with Reservation() as one:
        first = choose(remembered, one)
    with Reservation() as two:
        assert choose(remembered, two) == first


def test_what_was_remembered_may_be_damaged(tmp_path: Path, reservation: Reservation) -> None:
    file = tmp_path / "ports.json"
    file.write_text("{")
    assert len(set(choose(file, reservation).all())) == LISTENERS
