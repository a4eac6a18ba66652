"""Opening a generation of lanes: only once every lane of the one before is fenced."""

from typing import Any

import pytest

from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.lane_plans import LanePlan, LanePlans
from streams import generations
from streams.generations import finish

FIRST, SECOND = LanePlan(1, 3, "bus", ""), LanePlan(2, 5, "ani", "")
SETTINGS = Settings(bootstrap_servers="127.0.0.1:1")


def planned(*records: tuple[bytes, bytes]) -> LanePlans:
    plans = LanePlans()
    for key, value in records:
        plans.add(key, value)
    return plans


class Kafka:
    """What is done to Kafka, in order: ids that are initialised, keys that are appended."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.silent_about: str | None = None

    async def initialise(self, _: Settings, __: Any, transactional_id: str) -> None:
        if transactional_id == self.silent_about:
            raise BusUnavailable(part="Kafka", address="here", reason="silent")
        self.done.append(transactional_id)

    def append(self, _: Settings, __: str, record: tuple[bytes, bytes], *, principal: str) -> None:
        assert principal
        self.done.append(record[0].decode())


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    monkeypatch.setattr(generations, "_initialise", kafka.initialise)
    monkeypatch.setattr(generations, "append", kafka.append)
    monkeypatch.setattr(generations, "aiokafka_options", lambda *_: {})
    return kafka


async def test_every_old_lane_is_fenced_and_then_the_new_ones_are_opened(kafka: Kafka) -> None:
    await finish(SETTINGS, planned(FIRST.as_record(), FIRST.opening(), SECOND.as_record()))
    assert sorted(kafka.done[:-1]) == FIRST.transactional_ids
    assert kafka.done[-1] == "open/2"


async def test_nothing_is_opened_while_an_old_lane_is_not_fenced(kafka: Kafka) -> None:
    kafka.silent_about = "lintas.lane.g1.1"
    with pytest.raises(BusUnavailable):
        await finish(SETTINGS, planned(FIRST.as_record(), FIRST.opening(), SECOND.as_record()))
    assert sorted(kafka.done) == ["lintas.lane.g1.0", "lintas.lane.g1.2"]


async def test_the_first_generation_has_nobody_to_fence(kafka: Kafka) -> None:
    await finish(SETTINGS, planned(FIRST.as_record()))
    assert kafka.done == ["open/1"]


async def test_what_is_open_is_left_alone(kafka: Kafka) -> None:
    await finish(SETTINGS, planned(FIRST.as_record(), FIRST.opening()))
    assert kafka.done == []
