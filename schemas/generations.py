"""The topic of lane plans on Kafka: reading it, and the generation that a bus begins with."""

import datetime as dt

from lintas import names
from lintas.errors import LanePlansBroken, NoLanes
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.desired import control_topic
from schemas.lane_plans import LanePlan, LanePlans
from schemas.topic_reader import read_to_end
from schemas.topic_writer import append

BUS = "lintas"  # who asks for the generation that a bus begins with


def read_plans(settings: Settings, principal: str = names.ADMIN) -> LanePlans:
    """The topic of lane plans, whole.

    Raises:
        LanePlansBroken: a record is not what it should be.
        BusUnavailable: Kafka does not answer.
    """
    plans = LanePlans()
    for key, value in read_to_end(settings, principal, names.LANES_PLANS):
        plans.add(key, value)
    return plans


def latest_plan(settings: Settings) -> LanePlan:
    """The newest generation, open or not.

    Raises:
        NoLanes: the bus has none yet.
        BusUnavailable: Kafka does not answer.
    """
    latest = read_plans(settings).latest
    if latest is None:
        raise NoLanes
    return latest


def now() -> str:
    """The present moment as plans carry it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def ensure_lanes(settings: Settings, cluster: Cluster) -> None:
    """Give a bus its first generation; where there is one, see to it that its control topic is there.

    Raises:
        LanePlansBroken: the plans are gone, though the bus has had lanes.
        BusUnavailable: Kafka does not answer.
    """
    topics = cluster.partitions()
    plans = read_plans(settings)
    if plans.latest is None:
        if any(names.is_control_topic(topic) for topic in topics):
            raise LanePlansBroken(reason="it is empty, though this bus has had lanes")
        append(settings, names.LANES_PLANS, plans.next(settings.lanes, BUS, now()).as_record())
        plans = read_plans(settings)
    latest = plans.latest
    assert latest is not None, "a plan was appended"
    if latest.control_topic not in topics:
        cluster.create_topics([control_topic(settings, latest.generation, latest.lanes)])
    if plans.unfinished is not None and latest.generation == 1:  # nobody came before: there is nobody to fence
        append(settings, names.LANES_PLANS, latest.opening())
