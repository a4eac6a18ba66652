"""What an agreement withholds is nowhere its consumer could look; two consumers cannot join what they were given."""

import datetime as dt
import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from marked_day import Delivered, MarkedDay
from markers import Marker

from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT
from schemas.bus_catalogue import FOLDER

FOLDERS = (EXAMPLE_DEPLOYMENT, FOLDER)  # the bus's own canary is held to its agreement as all others are
# What several consumers of an event about a person are told of offices, businesses and trades. It is no personal field
# of its event type and is the same for many in life; only our markers make it unique. Every entry is here on purpose.
OF_NO_PERSON = {
    "id.go.polri.missing-person.reported.v1": {"hotline"},
    "id.go.oss.business.licensed.v1": {"name", "activities[].kbli", "activities[].title", "activities[].location"},
    "id.go.kemendikdasmen.student.enrolled.v1": {"school.npsn"},
}
MOST_COMMON = 5  # digits that occur by chance
BYTES_OF_MARKER = re.compile(rb"zq[0-9]{6}k|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}|[0-9]{2}(?:[.][0-9]{2}){2}|[0-9]+")


def _files(part: str) -> dict[str, Any]:
    paths = sorted(path for folder in FOLDERS for path in (folder / part).glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text()) for path in paths if not path.stem.endswith(".cases")}


AGREEMENTS, EVENT_TYPES = _files("agreements"), _files("events")
CONSUMERS = sorted({agreement["consumer"] for agreement in AGREEMENTS.values()})


def in_force(agreement: dict[str, Any]) -> bool:
    today = dt.datetime.now(dt.timezone(dt.timedelta(hours=7))).date()
    return not agreement.get("suspended") and agreement["valid"]["from"] <= today <= agreement["valid"]["until"]


# What an agreement says, in this test's own words: it must not be the product that says what is released.


def rule(release: dict[str, Any], path: str) -> Any:
    """The rule of the most specific path that covers a field; `drop` where none does."""
    covering = [one for one in release if path == one or path.startswith((f"{one}.", f"{one}[]", f"{one}{{}}"))]
    return release[max(covering, key=len)] if covering else "drop"


def keeps(agreement: dict[str, Any], marker: Marker) -> bool:
    """Whether the consumer may see the marker as it is."""
    contract = EVENT_TYPES[agreement["event_type"]]
    envelope, release = agreement.get("envelope", {}), agreement["release"]
    place, _, attribute = marker.path.partition(".")
    if place == "header":
        return False
    if place == "envelope":
        by_default = contract["classification"] != "personal" and attribute in ("id", "source", "time", "key")
        return bool(envelope.get(attribute, "keep" if by_default else "drop") == "keep")
    if marker.path == contract.get("subject"):
        by_default = "keep" if contract["classification"] == "public" else "drop"
        if envelope.get("subject", by_default) == "keep":
            return True
    if any(one.startswith(f"{marker.path}{{}}") for one in release):
        return True  # keys of a map of which something is released
    found = rule(release, marker.path)
    coarse = found.get("generalise", {}).get("to") if isinstance(found, dict) else None
    return bool(found == "keep" or (coarse == "district" and len(marker.needles[0]) == len("32.73.01")))


@functools.cache
def _by_event(day: MarkedDay) -> dict[str, list[Marker]]:
    found: dict[str, list[Marker]] = {}
    for marker in day.markers:
        found.setdefault(marker.event, []).append(marker)
    return found


def seen(day: MarkedDay, content: bytes) -> Iterator[Marker]:
    """The markers in some bytes."""
    return (marker for marker in day.markers if any(needle in content for needle in marker.needles))


def seen_in_text(day: MarkedDay, content: bytes) -> list[Marker]:
    """The markers in a long text, found by their shapes."""
    tokens = set(BYTES_OF_MARKER.findall(content))

    def holds(needle: bytes) -> bool:
        token = max(BYTES_OF_MARKER.findall(needle), key=len, default=b"")
        return len(token) > MOST_COMMON and token in tokens and needle in content

    return [marker for marker in day.markers if any(map(holds, marker.needles))]


def test_every_agreement_in_force_delivered_a_marked_event_and_no_other_did(marked_day: MarkedDay) -> None:
    wanted = {name for name, agreement in AGREEMENTS.items() if in_force(agreement)}
    assert {one.agreement for one in marked_day.deliveries} == wanted
    assert len(AGREEMENTS) > len(wanted)  # one is suspended, one begins later


def test_every_field_that_can_be_told_from_others_is_marked(marked_day: MarkedDay) -> None:
    marked = {(marker.event_type, marker.path) for marker in marked_day.markers}
    for name, contract in EVENT_TYPES.items():
        if contract.get("subject") not in (None, "province"):
            assert (name, contract["subject"]) in marked
    assert len(marked) > 300


@pytest.mark.parametrize("system", CONSUMERS)
def test_no_withheld_value_is_in_an_inbox(marked_day: MarkedDay, system: str) -> None:
    for one in marked_day.to(system):
        agreement = AGREEMENTS[one.agreement]
        assert agreement["consumer"] == system
        withheld = [
            (one.agreement, marker.event_type, marker.path)
            for marker in seen(marked_day, one.bytes)
            if marker.event != one.event or not keeps(agreement, marker)
        ]
        assert withheld == []


@pytest.mark.parametrize("system", CONSUMERS)
def test_what_is_kept_does_arrive(marked_day: MarkedDay, system: str) -> None:
    """Without this, the test above would pass on empty inboxes."""
    for one in marked_day.to(system):
        agreement = AGREEMENTS[one.agreement]
        found = {marker.path for marker in seen(marked_day, one.bytes)}
        kept = {
            marker.path
            for marker in _by_event(marked_day)[one.event]
            if keeps(agreement, marker) and rule(agreement["release"], marker.path) == "keep"
        }
        assert kept <= found


def leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a payload with its path; the keys of maps too."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
            yield f"{path}{{}}", name
    elif isinstance(data, list):
        for item in data:
            yield from leaves(item, f"{path}[]")
    elif data is not None:
        yield path, data


def test_a_payload_holds_fields_with_a_rule_only_and_they_look_like_their_rule(marked_day: MarkedDay) -> None:
    shapes = {
        "mask": re.compile(r"\*+.{0,7}"),
        "pseudonym": re.compile(r"p1-[0-9a-f]{32}"),
        "generalise": re.compile(r"\d{4}(-\d\d(-\d\d)?)?|\d\d(\.\d\d){0,2}|-?\d+\.\.-?\d+"),
    }
    looked_at = set()
    for one in marked_day.deliveries:
        release = AGREEMENTS[one.agreement]["release"]
        for path, value in leaves(marked_day.deployment.decode(one.record)):
            if path.endswith("{}") or "{" in path:
                continue
            found = rule(release, path)
            name = found if isinstance(found, str) else next(iter(found))
            assert name != "drop", (one.agreement, path)
            if name in shapes:
                assert shapes[name].fullmatch(value), (one.agreement, path)
            looked_at.add(name)
    assert looked_at == {"keep", *shapes}


# Two consumers of one event about a person.


def coarse(value: Any) -> bool:
    """Whether thousands have the value: a flag, a small number, a day or coarser, a wide area, a name of an enum."""
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) < 1_000
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    whole_day = r"\d{4}-\d\d-\d\dT00:00:00(\.000)?Z?"
    return bool(re.fullmatch(rf"\d\d(\.\d\d)?|\d{{4}}(-\d\d(-\d\d)?)?|{whole_day}|-?\d+\.\.-?\d+|[A-Z_]+|\**", text))


def told(day: MarkedDay, one: Delivered) -> Iterator[tuple[str, Any]]:
    """Everything in a delivery, by where it stands."""
    for path, value in leaves(day.deployment.decode(one.record)):
        if not (path.endswith("{}") and not path.startswith(("allowances", "symptoms"))):
            yield path, value
    if one.record.key is not None:
        yield "envelope.key", one.record.key
    for name, value in one.record.headers:
        if name not in ("ce_type", "ce_specversion", "content-type", "ce_channel", "ce_source"):
            yield f"envelope.{name.removeprefix('ce_')}", value


def in_clear(agreement: dict[str, Any], path: str) -> bool:
    """Whether the agreement says that it knowingly gives a personal field in clear."""
    said = dict.fromkeys(agreement.get("personal_data_in_clear", ()), "keep")
    return bool(rule(said, path.removesuffix("{}")) == "keep")


def shared(day: MarkedDay, one: Delivered, other: Delivered) -> Iterable[tuple[str, str]]:
    """Where two deliveries hold the same value that neither agreement gives knowingly, nor thousands have."""
    first, second = AGREEMENTS[one.agreement], AGREEMENTS[other.agreement]
    allowed = OF_NO_PERSON.get(first["event_type"], set())
    others: dict[bytes, list[str]] = {}
    for path, value in told(day, other):
        others.setdefault(_comparable(value), []).append(path)
    for path, value in told(day, one):
        for elsewhere in others.get(_comparable(value), []):
            knowingly = in_clear(first, path) and in_clear(second, elsewhere)
            if not (coarse(value) or knowingly or {path, elsewhere} <= allowed):
                yield path, elsewhere


def _comparable(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def test_two_consumers_of_an_event_about_a_person_share_nothing_to_join_it_by(marked_day: MarkedDay) -> None:
    by_event: dict[str, list[Delivered]] = {}
    for one in marked_day.deliveries:
        if EVENT_TYPES[AGREEMENTS[one.agreement]["event_type"]]["classification"] == "personal":
            by_event.setdefault(one.event, []).append(one)
    found, pairs = set(), set()
    for deliveries in by_event.values():
        for one, other in itertools.combinations(deliveries, 2):
            if one.record.topic != other.record.topic:
                pairs.add((one.agreement, other.agreement))
                found |= {(one.agreement, other.agreement, *where) for where in shared(marked_day, one, other)}
    assert sorted(found) == []
    assert len(pairs) > 20


def test_what_is_said_to_be_of_no_person_is_no_personal_field() -> None:
    for event_type, paths in OF_NO_PERSON.items():
        personal = dict.fromkeys(EVENT_TYPES[event_type]["personal_fields"], "keep")
        assert {path for path in paths if rule(personal, path) == "keep"} == set()


def test_salts_ids_subjects_and_keys_of_the_deliveries_of_one_event_about_a_person_all_differ(
    marked_day: MarkedDay,
) -> None:
    for header in ("lintas-salt", "ce_id"):
        values = [dict(one.record.headers)[header] for one in marked_day.deliveries if _personal(one)]
        assert len(values) == len(set(values)) > 50
    for one in marked_day.deliveries:
        if _personal(one):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", one.record.text("ce_time"))
            assert "/" not in one.record.text("ce_source")


def _personal(one: Delivered) -> bool:
    return bool(EVENT_TYPES[AGREEMENTS[one.agreement]["event_type"]]["classification"] == "personal")


# Where nothing of an event may be.


def test_no_log_of_the_bus_holds_a_value_of_an_event(marked_day: MarkedDay) -> None:
    folder = marked_day.deployment.settings.home / "logs"
    logs = [path for path in folder.rglob("*") if path.is_file()]
    assert {"worker.log", "kafka.log", "registry.log"} <= {path.name for path in logs}
    found = {(path.name, marker.path) for path in logs for marker in seen_in_text(marked_day, path.read_bytes())}
    assert found == set()


def test_no_error_header_holds_a_value_of_an_event(marked_day: MarkedDay) -> None:
    agencies = {system.partition(".")[0] for one in EVENT_TYPES.values() for system in one["publishers"]}
    dead = marked_day.deployment.read(*(f"dead.{system}" for system in CONSUMERS))
    quarantined = marked_day.deployment.read(*(f"quarantine.{agency}" for agency in agencies))
    assert len({record.topic for record in dead}) > 10
    assert len(quarantined) >= marked_day.broken
    for record in dead + quarantined:
        errors = [value for name, value in record.headers if name.startswith("__lintas.errors.")]
        assert json.loads(record.text("__lintas.errors.problems")) != []
        assert [marker.path for marker in seen(marked_day, b"\n".join(errors))] == []


@pytest.mark.parametrize(
    "topic", ["audit.decisions", "audit.salts", "lintas.catalogue", "lintas.lanes.plans", "lintas.lanes.status"]
)
def test_the_bus_keeps_no_value_of_an_event_for_itself(marked_day: MarkedDay, topic: str) -> None:
    records = marked_day.deployment.read(topic)
    assert records
    for record in records:
        assert list(seen(marked_day, (record.value or b"") + (record.key or b""))) == []


def test_no_file_but_kafkas_data_holds_a_value_of_an_event(marked_day: MarkedDay) -> None:
    home = marked_day.deployment.settings.home
    for path in _small_files(home):
        assert seen_in_text(marked_day, path.read_bytes()) == [], path.relative_to(home)


def _small_files(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        if path.is_file() and home / "data" not in path.parents and path.stat().st_size < 50_000_000:
            yield path
