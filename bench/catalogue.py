"""The catalogue of the bench: written as YAML and read back, as a steward's would be."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.jobs import CONSUMER, DOMAIN, PARTITIONS, PROVIDER, PUBLISHER, SCHEMA, Desk, Job
from schemas.load import Catalogue, load


@dataclasses.dataclass(frozen=True)
class EventTypes:
    """How event types and inboxes are laid out."""

    partitions: int = PARTITIONS
    inbox_partitions: int = PARTITIONS


def write(folder: Path, jobs: Sequence[Job], layout: EventTypes | None = None) -> Catalogue:
    """One event type for each job, one consumer system and agreement for each of its desks.

    Raises:
        ValueError: the catalogue is not valid; the text says why.
    """
    layout = layout or EventTypes()
    _provider(folder)
    _consumers(folder, {desk.name for job in jobs for desk in job.desks}, layout.inbox_partitions)
    for job in jobs:
        _event_type(folder, job, layout.partitions)
        for desk in job.desks:
            _agreement(folder, job, desk)
    catalogue, problems = load(folder)
    if problems:
        raise ValueError("\n".join(map(str, problems)))
    return catalogue


def _provider(folder: Path) -> None:
    system = PUBLISHER.partition(".")[2]
    _write(
        folder,
        f"agencies/{PROVIDER}",
        {
            "agency": PROVIDER,
            "name": "Inspections",
            "domain": DOMAIN,
            "systems": {system: {"name": "Inspections", "kind": "government"}},
        },
    )


def _consumers(folder: Path, names: Iterable[str], partitions: int) -> None:
    systems = {
        name: {"name": f"Desk {name}", "kind": "government", "inbox_partitions": partitions} for name in sorted(names)
    }
    _write(
        folder,
        f"agencies/{CONSUMER}",
        {"agency": CONSUMER, "name": "Desks", "domain": f"{DOMAIN}.desk", "systems": systems},
    )


def _event_type(folder: Path, job: Job, partitions: int) -> None:
    _write(
        folder,
        f"events/{job.event_type}",
        {
            "event_type": job.event_type,
            "owner": PROVIDER,
            "title": "Inspection",
            "summary": "A container was inspected",
            "publishers": [PUBLISHER],
            "classification": "internal",
            "subject": "region",
            "partitions": partitions,
        },
    )
    (folder / f"events/{job.event_type}.avsc").write_text(json.dumps(SCHEMA))


def _agreement(folder: Path, job: Job, desk: Desk) -> None:
    condition = {} if desk.when is None else {"when": desk.when}
    _write(
        folder,
        f"agreements/{agreement_of(job, desk)}",
        {
            "agreement": agreement_of(job, desk),
            "provider": PROVIDER,
            "consumer": desk.system,
            "event_type": job.event_type,
            "legal_basis": "UU 1/2026",
            "purpose": "measuring",
            "valid": {"from": "2026-01-01", "until": "2099-12-31"},
            "release": dict(desk.release),
            **condition,
        },
    )


def agreement_of(job: Job, desk: Desk) -> str:
    """The agreement under which a desk gets a job's events."""
    return f"{job.name.lower()}.{desk.name}"


def _write(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(content)))
