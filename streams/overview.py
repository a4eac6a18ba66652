"""Who runs which lane and how far it is, read from Kafka by an operator."""

import dataclasses

from lintas import names
from lintas.errors import NoLanes
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.generations import read_plans
from schemas.lane_plans import LanePlan
from schemas.publication import read_current
from schemas.snapshot import Snapshot
from streams.slots import Partition, SetAside, Slot
from streams.status import LanesStatus, status_now


@dataclasses.dataclass(frozen=True, slots=True)
class LaneView:
    """One lane as an operator sees it."""

    lane: int
    worker: str | None  # who reported last
    catalogue: str | None  # the digest it runs
    reported_at: str | None
    inputs: int  # partitions that belong to it
    behind: int  # records not yet decided, transaction markers included
    aside: int  # agreements set aside, counted by input partition
    lost: tuple[Partition, ...]  # input partitions without a position: the lane does not start


@dataclasses.dataclass(frozen=True, slots=True)
class Overview:
    """All lanes, and which agreements wait."""

    plan: LanePlan  # the newest generation
    open: bool  # whether its lanes may run; if not, a resize is under way
    lanes: tuple[LaneView, ...]
    workers: int  # members of the group at this moment
    aside: dict[Slot, SetAside]


def overview(settings: Settings) -> Overview:
    """Read who runs which lane and how far it is.

    Raises:
        NoLanes: the bus has none yet.
        BusUnavailable: Kafka does not answer.
    """
    cluster = Cluster(settings)
    plans = read_plans(settings)
    plan = plans.latest
    if plan is None:
        raise NoLanes
    current = read_current(settings)
    inputs = [] if current is None else input_partitions(current[1])
    committed = cluster.committed(names.LANES_OFFSETS_GROUP, inputs)
    ends = cluster.ends(inputs)
    status = status_now(settings)
    lanes = tuple(_view(number, plan, inputs, committed, ends, status) for number in range(plan.lanes))
    return Overview(plan, plans.unfinished is None, lanes, cluster.members(plan.group), dict(status.aside))


def input_partitions(snapshot: Snapshot) -> list[Partition]:
    """Every partition of every event topic of a catalogue."""
    return [
        (event_type.topic, partition)
        for event_type in snapshot.event_types.values()
        for partition in range(event_type.contract.partitions)
    ]


def _view(
    number: int,
    plan: LanePlan,
    inputs: list[Partition],
    committed: dict[Partition, int],
    ends: dict[Partition, int],
    status: LanesStatus,
) -> LaneView:
    mine = [partition for partition in inputs if names.lane_of(*partition, plan.lanes) == number]
    report = status.lanes.get(number)
    if report is not None and report.generation != plan.generation:
        report = None  # a lane of that number in an earlier generation
    return LaneView(
        number,
        report.worker if report else None,
        report.catalogue if report else None,
        report.at if report else None,
        len(mine),
        sum(max(0, ends[partition] - committed[partition]) for partition in mine if partition in committed),
        sum(slot[1:] in mine for slot in status.aside),
        tuple(partition for partition in mine if partition not in committed),
    )
