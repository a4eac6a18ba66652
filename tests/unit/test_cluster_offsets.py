"""Offsets are asked for again where a partition has no leader yet that knows that it is one; other errors are told."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas import cluster
from schemas.cluster import Cluster

PLACE, OTHER = ("events.a", 0), ("events.a", 1)


class Admin:
    """Answers each question about a partition with the next of its answers: an offset, or the code of an error."""

    def __init__(self, answers: dict[int, list[int | KafkaException]]) -> None:
        self._answers: dict[int, Iterator[int | KafkaException]] = {one: iter(told) for one, told in answers.items()}
        self.asked: list[list[int]] = []

    def list_offsets(self, wanted: dict[Any, Any], **_: Any) -> dict[Any, Any]:
        self.asked.append([place.partition for place in wanted])
        return {place: self._future(next(self._answers[place.partition])) for place in wanted}

    def _future(self, answer: int | KafkaException) -> Any:
        future: Any = Future()
        if isinstance(answer, KafkaException):
            future.set_exception(answer)
        else:
            future.set_result(type("Found", (), {"offset": answer}))
        return future


def moving() -> KafkaException:
    return KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(cluster, "SETTLING_SECONDS", 0.5)
    asks: Any = Cluster.__new__(Cluster)
    asks._settings = Settings(bootstrap_servers="here:9092")
    return asks


def test_a_partition_whose_leader_moves_is_asked_for_again(asked: Any) -> None:
    asked._admin = Admin({0: [7], 1: [moving(), moving(), 9]})
    assert asked.ends([PLACE, OTHER]) == {PLACE: 7, OTHER: 9}
    assert asked._admin.asked == [[0, 1], [1], [1]]


def test_a_partition_that_stays_without_a_leader_is_told(asked: Any) -> None:
    asked._admin = Admin({0: [moving() for _ in range(1_000)]})
    with pytest.raises(BusUnavailable):
        asked.ends([PLACE])


def test_another_error_is_told_at_once(asked: Any) -> None:
    asked._admin = Admin({0: [KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))]})
    with pytest.raises(BusUnavailable):
        asked.ends([PLACE])
    assert len(asked._admin.asked) == 1
