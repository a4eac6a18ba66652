"""The bench is worth something only if what it expects, what it hands to peers and what it writes are right."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import fastavro
import pytest

from bench import report
from bench.contender import Failed
from bench.jobs import (
    FAN_OUT,
    JOBS,
    PARTITIONS,
    REGIONS,
    RELEASE,
    ROUTE,
    SCHEMA,
    Desk,
    Job,
    data_of,
    headers_of,
    region_of,
)
from bench.measure import Round, Sample, of_samples
from bench.peers.rules import Rules
from bench.work import Inbox, Work
from schemas.wire import framing

EVENTS = 4_000
TOKEN_KEY = "00" * 32


def encoded(n: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(SCHEMA)), data_of(n))
    return framing.frame(1, out.getvalue())


def work(desks: Sequence[Desk]) -> Work:
    inboxes = [
        Inbox(
            desk.name,
            f"inbox.{desk.name}",
            desk.region,
            desk.least_severity,
            {**SCHEMA, "fields": [field for field in SCHEMA["fields"] if field["name"] in desk.release]}
            if desk.reduced
            else None,
            7,
            [name for name, rule in desk.release.items() if rule == "pseudonym"],
            TOKEN_KEY,
        )
        for desk in desks
    ]
    return Work("broker", "user", "password", "group", "events", "audit", SCHEMA, inboxes, 100)


def test_an_event_is_as_large_as_the_page_says() -> None:
    sizes = {len(encoded(n)) - 5 for n in range(1_000)}
    assert sizes <= {148, 149}


def test_routing_gives_every_event_to_one_inbox() -> None:
    assert sum(ROUTE.expected(0, EVENTS).values()) == EVENTS


def test_the_decision_on_the_payload_lets_about_half_pass() -> None:
    assert sum(RELEASE.expected(0, EVENTS).values()) == pytest.approx(EVENTS / 2, rel=0.05)


def test_the_releases_of_the_fan_out_all_differ() -> None:
    assert len({tuple(sorted(desk.release.items())) for desk in FAN_OUT.desks}) == len(FAN_OUT.desks) == 10


@pytest.mark.parametrize("partition", range(PARTITIONS))
def test_every_region_comes_in_every_partition(partition: int) -> None:
    of_partition = range(partition, EVENTS, PARTITIONS)
    for region in REGIONS:
        assert sum(region_of(n) == region for n in of_partition) == pytest.approx(len(of_partition) / 3, rel=0.01)


@pytest.mark.parametrize("job", JOBS.values(), ids=lambda job: job.name)
def test_the_python_peers_give_what_a_job_expects(job: Job) -> None:
    rules = Rules(work(job.desks))
    found = dict.fromkeys((desk.name for desk in job.desks), 0)
    for n in range(400):
        for inbox, _ in rules.outputs(headers_of(n, "id", job.event_type), encoded(n)):
            found[inbox.name] += 1
    assert found == job.expected(0, 400)


def test_a_peer_releases_only_what_the_job_releases() -> None:
    rules = Rules(work(RELEASE.desks))
    n = next(n for n in range(100) if any(desk.takes(n) for desk in RELEASE.desks))
    [(inbox, value)] = rules.outputs(headers_of(n, "id", RELEASE.event_type), encoded(n))
    assert inbox.schema is not None
    schema_id, body = framing.unframe(value)
    released = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(dict(inbox.schema)), None)
    assert isinstance(released, dict)
    assert schema_id == 7
    assert released["inspector"].startswith("p1-")
    kept = {name: value for name, value in data_of(n).items() if name not in ("place", "remarks", "inspector")}
    assert {name: value for name, value in released.items() if name != "inspector"} == kept


def test_work_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = work(RELEASE.desks)
    written.write(tmp_path / "work.json")
    assert dataclasses.asdict(Work.read(tmp_path / "work.json")) == dataclasses.asdict(written)
    assert (tmp_path / "work.json").stat().st_mode & 0o077 == 0


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- bench:E -->\nold\n<!-- /bench:E -->\n\nprose\n")
    report.write_section("E", "new", page)
    report.write_section("C", "another", page)
    report.write_section("E", "newer", page)
    text = page.read_text()
    assert text.count("bench:E -->") == 2
    assert "old" not in text
    assert "newer" in text
    assert "prose" in text
    assert "another" in text


def test_a_failed_contender_stands_in_the_table_with_its_reason() -> None:
    rounds = [Round(100, 50_000, 20, 10), Round(100, 60_000, 20, 12)]
    text = report.contest({"Lintas": rounds, "other": "FAILED: it ended"}, {"Lintas": "", "other": ""})
    assert "50,000 / 55,000 / 60,000" in text
    assert "FAILED: it ended" in text


def test_the_steady_part_leaves_out_start_up_and_the_last_commits() -> None:
    samples = [Sample(at=10 + second, done=second * 10, cpu=5 + second * 0.5) for second in range(11)]
    measured = of_samples(100, [Sample(0, 0, 0), *samples])
    assert measured.rate == pytest.approx(10)
    assert measured.steady_cpu_us == pytest.approx(0.5 / 10 * 1e6)
    assert measured.cpu_us == pytest.approx(10 / 100 * 1e6)


def test_a_run_in_two_commits_is_not_measured() -> None:
    with pytest.raises(Failed, match="too few"):
        of_samples(100, [Sample(0, 0, 0), Sample(1, 50, 1), Sample(2, 100, 2)])
