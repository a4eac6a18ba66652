"""A broken catalogue is refused with one report of all its problems, and changes nothing on the bus."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)
from deployment import Deployment

from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT

PROBLEM = re.compile(r"(?P<file>/\S+):(?P<line>\d+): (?P<rule>[a-z-]+): (?P<message>.+)")
QUAKES = "agreements/bnpb.early-warning.earthquake-measured.yaml"
OPEN_QUAKES = "agreements/ina-digital.open-data.earthquake-measured.yaml"
QUAKE = "events/id.go.bmkg.earthquake.measured.v1"
BIRTH = "events/id.go.dukcapil.birth.registered.v1"
CORRECTION = "events/id.go.dukcapil.birth.corrected.v1"
DEATHS = "agreements/djp.coretax.death-registered.yaml"
THEFTS = "agreements/jabar.samsat.vehicle-theft-reported.yaml"
VALID = "valid: {from: 2026-01-01, until: 2030-12-31}"

THEFTS_AGAIN = f"""agreement: jabar.samsat.theft
provider: polri
consumer: jabar.samsat
event_type: id.go.polri.vehicle-theft.reported.v1
legal_basis: UU 22/2009
purpose: The same for a second time.
{VALID}
release: {{vehicle.kind: keep}}"""
ARCHIVE = """agency: arsip
name: National Archives
domain: id.go.arsip
systems:
  vault: {name: The vault, kind: government}"""

# A text that stands once in a file, and what replaces it; without the text, the end of the file (or a new file).
Edit = tuple[str, str, str]

# What would change if anything did: a new agency with a user, an inbox and rights, and a longer retention.
GOOD_EDITS: Sequence[Edit] = [
    ("agencies/arsip.yaml", "", ARCHIVE),
    ("agreements/arsip.vault.earthquake-measured.yaml", "", "(a copy)"),
    (f"{QUAKE}.yaml", "retention_days: 90", "retention_days: 91"),
]


@dataclass(frozen=True)
class Broken:
    """A catalogue with several problems: how it comes about, and every problem as file and rule."""

    edits: Sequence[Edit]
    problems: set[tuple[str, str]]


BROKEN: Mapping[str, Broken] = {
    "names that are not there": Broken(
        [
            (QUAKES, "provider: bmkg", "provider: bmkgg"),
            (QUAKES, "consumer: bnpb.early-warning", "consumer: bnpb.late-warning"),
            (DEATHS, "death.registered.v1", "death.registered.v9"),
            (f"{BIRTH}.yaml", "[dukcapil.siak]", "[dukcapil.siakk]"),
        ],
        {
            (QUAKES, "unknown-agency"),
            (QUAKES, "unknown-system"),
            (DEATHS, "unknown-event-type"),
            (f"{BIRTH}.yaml", "unknown-system"),
        },
    ),
    "fields too many, too few, of the wrong kind": Broken(
        [
            (QUAKES, "", "relase: {region: keep}"),
            (DEATHS, VALID, "valid: {from: 2026-01-01}"),
            (THEFTS, "purpose: >-", "purpos: >-"),
            ("agencies/dukcapil.yaml", "kind: government", "kind: goverment"),
            (f"{QUAKE}.yaml", "partitions: 8", "partitions: many"),
        ],
        {
            (QUAKES, "unknown-field"),
            (DEATHS, "missing-field"),
            (THEFTS, "unknown-field"),
            (THEFTS, "missing-field"),
            ("agencies/dukcapil.yaml", "bad-value"),
            (f"{QUAKE}.yaml", "bad-value"),
        },
    ),
    "files that cannot be read": Broken(
        [
            (QUAKES, "provider: bmkg", "provider: [bmkg"),
            (DEATHS, "provider: dukcapil", "provider: dukcapil\nprovider: dukcapil"),
            (f"{QUAKE}.avsc", '"type": "record",', '"type": "record"'),
            ("events/notes.txt", "", "to do"),
            ("events/id.go.bmkg.volcano.erupted.v1.avsc", "", '{"type": "record", "name": "V", "fields": []}'),
        ],
        {
            (QUAKES, "yaml-syntax"),
            (DEATHS, "duplicate-key"),
            (f"{QUAKE}.avsc", "schema-json"),
            ("events/notes.txt", "stray-file"),
            ("events/id.go.bmkg.volcano.erupted.v1.avsc", "schema-alone"),
        },
    ),
    "conditions that do not type-check": Broken(
        [
            (QUAKES, "data.magnitude_tenths >= 50", 'data.magnitude_tenths >= "5"'),
            (QUAKES, "data.magnitude_tenths <= 100 && data.depth_km >= 0", "data.dept_km >= 0"),
            (THEFTS, 'data.vehicle.register_province == "32"', "data.vehicle.register_province"),
            (DEATHS, VALID, f'{VALID}\nwhen: data.province == "32" &&'),
        ],
        {(QUAKES, "condition"), (THEFTS, "condition"), (DEATHS, "condition")},
    ),
    "releases of what is not there": Broken(
        [
            (QUAKES, "  region: keep", "  regoin: keep\n  latitude: keep"),
            (OPEN_QUAKES, "  magnitude: keep", "  magnitude: {mask: {keep_last: 1}}"),
            (THEFTS, "  vehicle.kind: keep", "  vehicle.kinds: keep"),
            (DEATHS, "  province: keep", "  province: {generalise: {to: galaxy}}\n  cause: blur"),
        ],
        {
            (QUAKES, "duplicate-key"),
            (QUAKES, "release"),
            (OPEN_QUAKES, "release"),
            (THEFTS, "release"),
            (DEATHS, "bad-value"),
        },
    ),
    "out of date, or without legal basis": Broken(
        [
            (QUAKES, VALID, "valid: {from: 2020-01-01, until: 2024-12-31}"),
            (DEATHS, VALID, "valid: {from: 2031-01-01, until: 2030-12-31}"),
            (THEFTS, "UU 22/2009 on traffic art. 64 and 74; Perpres 5/2015 on Samsat; Perkap 7/2021", ""),
            (OPEN_QUAKES, "legal_basis: >-", "basis: >-"),
        ],
        {
            (QUAKES, "expired"),
            (DEATHS, "validity"),
            (THEFTS, "bad-value"),
            (OPEN_QUAKES, "unknown-field"),
            (OPEN_QUAKES, "missing-field"),
        },
    ),
    "schemas that cannot read what was published": Broken(
        [
            (f"{BIRTH}.avsc", '"symbols": ["MALE", "FEMALE"]', '"symbols": ["MALE"]'),
            (f"{QUAKE}.avsc", '{"name": "latitude", "type": "double"', '{"name": "latitude", "type": "int"'),
            (f"{QUAKE}.avsc", '{"name": "depth_km"', '{"name": "felt", "type": "int"}, {"name": "depth_km"'),
        ],
        {
            (f"{BIRTH}.avsc", "schema-incompatible"),
            (f"{QUAKE}.avsc", "schema-incompatible"),
            ("agreements/jabar.disaster-office.earthquake-measured.yaml", "condition"),
        },
    ),
    "personal data in clear that nobody owns up to": Broken(
        [
            (DEATHS, "  - deceased.nik\n", ""),
            (THEFTS, "  - vehicle.plate\n", "  - vehicle.colour\n"),
            (
                "agreements/jabar.child-welfare.birth-registered.yaml",
                "child.name: {mask: {keep_last: 0}}",
                "child.name: keep",
            ),
        ],
        {
            (DEATHS, "personal-in-clear"),
            (THEFTS, "personal-in-clear"),
            (THEFTS, "personal-needless"),
            ("agreements/jabar.child-welfare.birth-registered.yaml", "personal-in-clear"),
        },
    ),
    "what is not theirs": Broken(
        [
            (f"{QUAKE}.yaml", "publishers: [bmkg.inatews]", "publishers: [bnpb.operations]"),
            (DEATHS, "provider: dukcapil", "provider: kemenkes"),
            ("agencies/bps.yaml", "domain: id.go.bps", "domain: id.go.bkn"),
            (
                "agreements/jabar.samsat.theft.yaml",
                "",
                THEFTS_AGAIN,
            ),
        ],
        {
            (f"{QUAKE}.yaml", "foreign-publisher"),
            (DEATHS, "foreign-provider"),
            ("agencies/bps.yaml", "duplicate-domain"),
            ("events/id.go.bps.vital-statistics.computed.v1.yaml", "foreign-domain"),
            ("agreements/jabar.samsat.vehicle-theft-reported.yaml", "same-consumer"),
        },
    ),
    "contracts that do not fit their schemas": Broken(
        [
            (f"{BIRTH}.yaml", "classification: personal", "classification: internal"),
            (f"{QUAKE}.yaml", "subject: region", "subject: depth_km"),
            (f"{CORRECTION}.yaml", "before: before", "before: father"),
            (QUAKES, "", "envelope: {id: drop, specversion: keep, Trace: keep}"),
            (DEATHS, "agreement: djp.coretax.death-registered", "agreement: djp.coretax.deaths"),
        ],
        {
            (f"{BIRTH}.yaml", "classification"),
            (f"{QUAKE}.yaml", "subject-type"),
            (f"{CORRECTION}.yaml", "before-shape"),
            ("agreements/kemenkes.satusehat.birth-registered.yaml", "personal-needless"),
            (QUAKES, "envelope"),
            (DEATHS, "file-name"),
        },
    ),
}


def copy_with(edits: Sequence[Edit], folder: Path) -> Path:
    """A copy of the example deployment, edited."""
    shutil.copytree(EXAMPLE_DEPLOYMENT, folder)
    for name, old, new in [*GOOD_EDITS, *edits]:
        file = folder / name
        text = file.read_text() if file.exists() else ""
        assert not old or text.count(old) == 1, (name, old)
        file.write_text(text.replace(old, new) if old else f"{text}{new}\n")
    archive = (EXAMPLE_DEPLOYMENT / OPEN_QUAKES).read_text().replace("ina-digital.open-data", "arsip.vault")
    (folder / "agreements/arsip.vault.earthquake-measured.yaml").write_text(archive)
    return folder


def state_of(deployment: Deployment) -> dict[str, Any]:
    """Everything on the bus that an apply could change, asked of Kafka and the registry themselves."""
    admin = AdminClient(deployment.librdkafka("admin"))
    topics = {name: len(topic.partitions) for name, topic in admin.list_topics(timeout=20).topics.items()}
    configs = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics])
    every = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    log = TopicPartition("lintas.catalogue", 0)
    ends = admin.list_offsets({log: OffsetSpec.latest()})
    with httpx.Client(base_url=deployment.settings.registry) as registry:
        subjects = registry.get("/subjects").json()
        versions = {subject: registry.get(f"/subjects/{subject}/versions").json() for subject in subjects}
    return {
        "topics": topics,
        "configs": {
            resource.name: {name: entry.value for name, entry in future.result().items()}
            for resource, future in configs.items()
        },
        "rights": sorted(map(str, admin.describe_acls(every).result())),
        "users": sorted(admin.describe_user_scram_credentials().result()),
        "secrets": sorted(path.name for path in (deployment.settings.home / "secrets").rglob("*")),
        "subjects": versions,
        "catalogue log": ends[log].result().offset,
    }


@dataclass(frozen=True)
class Refused:
    """What became of the broken catalogues, and of the bus."""

    folders: Mapping[str, Path]
    answers: Mapping[str, subprocess.CompletedProcess[str]]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@pytest.fixture(scope="module")
def refused(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    root = tmp_path_factory.mktemp("catalogues")
    folders = {
        name: copy_with(broken.edits, root / str(number)) for number, (name, broken) in enumerate(BROKEN.items())
    }
    before = state_of(deployment)
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda folder: deployment.lintas("catalogue", "apply", folder), folders.values())
        by_name = dict(zip(folders, answers, strict=True))
    return Refused(folders, by_name, before, state_of(deployment))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_catalogue_is_refused_with_all_its_problems_at_once(refused: Refused, name: str) -> None:
    answer, folder = refused.answers[name], refused.folders[name]
    found = [match for line in answer.stderr.splitlines() if (match := PROBLEM.search(line))]
    assert {(str(Path(one["file"]).relative_to(folder)), one["rule"]) for one in found} == BROKEN[name].problems
    assert (answer.returncode, answer.stdout) == (1, "")
    assert re.search(rf"\b{len(found)} problem\(s\); nothing was changed", answer.stderr)


@pytest.mark.parametrize("name", BROKEN)
def test_every_problem_names_a_line_of_its_file(refused: Refused, name: str) -> None:
    for match in PROBLEM.finditer(refused.answers[name].stderr):
        assert 1 <= int(match["line"]) <= len(Path(match["file"]).read_text().splitlines())


@pytest.mark.parametrize("part", ["topics", "configs", "rights", "users", "secrets", "subjects", "catalogue log"])
def test_ten_broken_catalogues_change_nothing_on_the_bus(refused: Refused, part: str) -> None:
    assert len(refused.answers) >= 10
    assert refused.before[part]
    assert refused.after[part] == refused.before[part]


def test_the_same_copies_without_their_faults_would_have_changed_something(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Without this, the test above would pass on catalogues that ask for nothing."""
    done = deployment.lintas("catalogue", "diff", copy_with([], tmp_path / "good"))
    assert done.returncode == 3, done.stderr
    for name in ("inbox.arsip.vault", "arsip.vault", "events.bmkg.earthquake.measured.v1"):
        assert name in done.stdout
