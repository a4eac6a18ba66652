"""Numbered events: what number n is, whose key, which kind; and the catalogue that they are published under."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.load import Catalogue, load
from schemas.wire import envelope, framing
from schemas.wire.codec import Codec

PUBLISHERS: Final = 3
KEYS: Final = 96 * PUBLISHERS  # number n has key n % KEYS, so a key belongs to one publisher
COUNTED, MARKED, RARE = "id.go.a.counted.v1", "id.go.a.marked.v1", "id.go.a.rare.v1"
PARTITIONS: Final = {COUNTED: 6, MARKED: 3, RARE: 2}
TOPICS: Final = {name: f"events.a.{name.removeprefix('id.go.a.')}" for name in PARTITIONS}
INPUTS: Final = [(TOPICS[event_type], one) for event_type, count in PARTITIONS.items() for one in range(count)]
INBOX_PARTITIONS: Final = 3

GOOD, NAMELESS, REPEATED, STRANGER, CUT_SHORT, UNKNOWN_SCHEMA = range(6)
MALFORMED: Final = frozenset({STRANGER, CUT_SHORT, UNKNOWN_SCHEMA})
_KINDS: Final = {5: REPEATED, 9: NAMELESS, 13: STRANGER, 17: CUT_SHORT, 21: UNKNOWN_SCHEMA}  # of 25 in a row of a key

# agreement -> event type; `reduced` is suspended and resumed, others come for consumers that cannot take records
ALL_COUNTED, ALL_MARKED, ALL_RARE, EVEN, REDUCED = "all.counted", "all.marked", "all.rare", "even", "reduced"
LATE: Final = "late-"


def publisher_of(number: int) -> str:
    return f"a.p{number % PUBLISHERS}"


def key_of(number: int) -> int:
    return number % KEYS


def event_type_of(number: int) -> str:
    return MARKED if key_of(number) // PUBLISHERS % 3 == 0 else COUNTED


def kind_of(number: int) -> int:
    return _KINDS.get(number // KEYS % 25, GOOD)


Record = tuple[str, bytes, bytes, list[tuple[str, bytes]]]  # topic, key, value, headers


class Maker:
    """Makes the record of a number."""

    def __init__(self, schema_id: Mapping[str, int]) -> None:
        """``schema_id`` is the registered schema's, by event type."""
        self._ids = schema_id
        self._codec = Codec(_SCHEMA)

    def record(self, number: int, event_type: str) -> Record:
        kind, who = kind_of(number), f"person-{key_of(number)}"
        source = "urn:lintas:x.y" if kind == STRANGER else f"urn:lintas:{publisher_of(number)}"
        attributes = {
            "specversion": "1.0",
            "id": f"event-{number}",
            "type": event_type,
            "source": source,
            "subject": who,
            "time": "2026-11-24T01:02:03.004Z",
        }
        name = "" if kind == NAMELESS else "Siti Rahayu"
        data = self._codec.encode({"n": number, "who": who, "name": name, "amount": number % 1_000})
        schema = 999_999 if kind == UNKNOWN_SCHEMA else self._ids[event_type]
        value = framing.frame(schema, data[:-1] if kind == CUT_SHORT else data)
        return TOPICS[event_type], who.encode(), value, envelope.binary_headers(attributes)


def number_of(headers: list[tuple[str, bytes]]) -> int:
    """The number of a published record, also of a malformed one."""
    return next(int(value.removeprefix(b"event-")) for name, value in headers if name == "ce_id")


def released_number(value: bytes) -> int:
    """The number in a delivered payload: every agreement keeps it, as its first field."""
    zigzag = shift = 0
    for byte in value[5:]:
        zigzag |= (byte & 0x7F) << shift
        if byte < 0x80:
            return zigzag >> 1 ^ -(zigzag & 1)
        shift += 7
    raise ValueError("the payload ends within its first field")


_SCHEMA: Final = {
    "type": "record",
    "name": "Numbered",
    "namespace": "id.go.a",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "who", "type": "string"},
        {"name": "name", "type": "string"},
        {"name": "amount", "type": "int"},
    ],
}


def catalogue(folder: Path, *, suspended: bool, refusing: int, late: int) -> Catalogue:
    """The deployment.

    Args:
        folder: where it is written.
        suspended: whether `reduced` is.
        refusing: how many consumers take no records.
        late: how many consumers came later and get everything from the beginning.
    """
    agreements: dict[str, dict[str, Any]] = {
        ALL_COUNTED: _terms("all", COUNTED, who="pseudonym", name={"mask": {"keep_last": 1}}, amount="keep"),
        ALL_MARKED: _terms("all", MARKED, who="keep", name="keep", amount="keep"),
        ALL_RARE: _terms("all", RARE, who="keep"),
        EVEN: _terms("even", COUNTED, who="pseudonym")
        | {"when": "data.n % 2 == 0", "require": {"name-there": 'data.name != ""'}},
        REDUCED: _terms("reduced", COUNTED, amount={"generalise": {"band": 50}}) | {"suspended": suspended},
        **{f"refusing-{one}": _terms(f"refusing-{one}", MARKED, who="keep") for one in range(refusing)},
        **{
            f"{LATE}{one}": _terms(f"{LATE}{one}", MARKED, who="keep")
            | {"backfill": {"from": "2026-01-01T00:00:00+07:00"}}
            for one in range(late)
        },
    }
    consumers = {terms["consumer"].removeprefix("b.") for terms in agreements.values()}
    government = {"kind": "government"}
    _write(
        folder / "agencies/a",
        {
            "agency": "a",
            "name": "Agency A",
            "domain": "id.go.a",
            "systems": {f"p{one}": {"name": f"Publisher {one}", **government} for one in range(PUBLISHERS)},
        },
    )
    systems = {
        name: {"name": f"System {name}", **government, "inbox_partitions": INBOX_PARTITIONS} for name in consumers
    }
    _write(folder / "agencies/b", {"agency": "b", "name": "Agency B", "domain": "id.go.b", "systems": systems})
    for event_type, partitions in PARTITIONS.items():
        personal = {"classification": "personal", "personal_fields": ["who", "name"]}
        _write(
            folder / f"events/{event_type}",
            {
                "event_type": event_type,
                "owner": "a",
                "title": "Numbered",
                "summary": "Something was counted",
                "publishers": [f"a.p{one}" for one in range(PUBLISHERS)],
                "subject": "who",
                "partitions": partitions,
                **(personal if event_type == COUNTED else {"classification": "internal"}),
            },
        )
        (folder / f"events/{event_type}.avsc").write_text(json.dumps(_SCHEMA))
    for name, terms in agreements.items():
        _write(folder / f"agreements/{name}", {"agreement": name, **terms})
    read, problems = load(folder)
    assert not problems, problems
    return read


def _terms(consumer: str, event_type: str, **release: Any) -> dict[str, Any]:
    return {
        "provider": "a",
        "consumer": f"b.{consumer}",
        "event_type": event_type,
        "legal_basis": "UU 1/2026",
        "purpose": "tests",
        "valid": {"from": "2026-01-01", "until": "2099-12-31"},
        "release": {"n": "keep", **release},
    }


def _write(name: Path, content: Mapping[str, Any]) -> None:
    path = name.with_name(f"{name.name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
