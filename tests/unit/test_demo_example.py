"""Which event the demo shows side by side: one that tells much, with every field there, and always the same one."""

import datetime as dt
import functools
from collections.abc import Iterable

import pytest
from message_intake import CATALOGUE

from connectors.generator.day import day
from connectors.generator.records import to_record
from lintas.demo.example import TOLD, choose
from schemas.compose import compose, numbering
from schemas.load import load
from schemas.snapshot import Snapshot
from schemas.wire.codec import Codec
from streams.decisions import Decided, Place, Verdict
from streams.records import InputRecord

AGREEMENTS = ("kemenkes.satusehat.birth-registered", "jabar.child-welfare.birth-registered")


@functools.cache
def snapshot() -> Snapshot:
    catalogue, problems = load(CATALOGUE)
    assert problems == []
    return compose(catalogue, numbering())


def births(*weights: int | None) -> tuple[list[Decided], list[InputRecord]]:
    """Births that both consumers were given, of such weights and with all else, as they lie in one partition."""
    event_type = snapshot().event_types[TOLD]
    born = next(event for event in day(1, dt.date(2026, 11, 24), 1_000) if is_whole_birth(event.event_type, event.data))
    decided, records = [], []
    for offset, weight in enumerate(weights):
        place = Place(event_type.topic, 0, offset)
        verdicts = tuple(Verdict(name, "delivered") for name in AGREEMENTS)
        decided.append(Decided(place, TOLD, 0, "routed", None, verdicts))
        data = {**born.data, "child": {**born.data["child"], "weight_grams": weight}}
        made = to_record(
            type(born)(born.system, TOLD, born.attributes, data),
            Codec(event_type.current.schema),
            event_type.current.id,
        )
        records.append(InputRecord(*place, 0, made.key, made.value, made.headers))
    return decided, records


def is_whole_birth(event_type: str, data: object) -> bool:
    return event_type == TOLD and "None" not in str(data)


@pytest.mark.parametrize(
    ("weights", "offset"),
    [
        ((None, 3100, 2900), 1),
        ((3100, None, 2900), 0),
        ((None, None), 0),  # none is whole: the first
    ],
)
def test_the_first_event_is_shown_in_which_every_field_is_there(weights: tuple[int | None, ...], offset: int) -> None:
    decided, records = births(*weights)

    def held(topic: str) -> Iterable[InputRecord]:
        return [record for record in records if record.topic == topic]

    for order in (decided, decided[::-1]):
        chosen = choose(snapshot(), order, held)
        assert chosen is not None
        assert chosen.place.offset == offset
        assert [verdict.agreement for verdict in chosen.verdicts] == list(AGREEMENTS)


def test_nothing_is_shown_of_a_day_in_which_nobody_was_given_anything() -> None:
    assert choose(snapshot(), [], lambda _: []) is None
