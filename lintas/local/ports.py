"""TCP ports of a local bus: the usual ones, others if those are taken, the same ones again next time."""

import contextlib
import json
import random
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"
# below the range from which systems take ports of outgoing connections, above the well-known ones
_SPARE = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Ports:
    """One port for each listener of the bus; the defaults are those that people expect."""

    kafka: int = 9092
    kafka_controller: int = 9093
    registry: int = 8081
    registry_management: int = 8082
    postgres: int = 5432
    bookkeeper: int = 9463
    worker: int = 9464
    exporter: int = 9465
    canary: int = 9466
    console: int = 8460
    connector: int = 8083
    gateway: int = 8090

    def all(self) -> tuple[int, ...]:
        """Every port of the bus."""
        return astuple(self)


class Reservation:
    """Ports claimed among all local buses of this machine, until closed.

    A claim is a name in Linux's abstract socket namespace: seen by all users, gone with the process, and
    without touching the port itself, so that the server can bind it.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def claim(self, port: int) -> bool:
        """Claim a port; False if something listens there or another local bus has claimed it."""
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if sys.platform == "linux":
                claim.bind(f"\0lintas-port-{port}")
        except OSError:
            claim.close()
            return False
        if not is_free(port):
            claim.close()
            return False
        self._claims.append(claim)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up all claims."""
        for claim in self._claims:
            claim.close()
        self._claims.clear()


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not matter
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(remembered: Path, reservation: Reservation) -> Ports:
    """Choose and claim a port for each listener: that of last time, else the usual one, else a spare."""
    last: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError, ValueError):
        last = json.loads(remembered.read_text())
    chosen = {
        field.name: next(
            port for port in _candidates(last.get(field.name), int(str(field.default))) if reservation.claim(port)
        )
        for field in fields(Ports)
    }
    ports = Ports(**chosen)
    remembered.write_text(json.dumps(asdict(ports)) + "\n")
    return ports


def _candidates(last: int | None, usual: int) -> Iterator[int]:
    if last is not None:
        yield last
    yield usual
    yield from random.sample(_SPARE, len(_SPARE))
