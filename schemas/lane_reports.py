"""Waiting for every lane to run a catalogue, by what lanes report on their status topic."""

import json
import time
from typing import Final

from lintas import names
from lintas.errors import LanesBehind
from lintas.settings import Settings
from schemas.cluster import Cluster
from schemas.desired import GENERATION
from schemas.topic_reader import read_to_end

POLL_SECONDS: Final = 0.3


def wait_for_lanes(settings: Settings, digest: str, seconds: float) -> None:
    """Wait until every lane reports a catalogue.

    Raises:
        LanesBehind: some do not within ``seconds``.
    """
    lanes = Cluster(settings).partitions()[names.control_topic(GENERATION)]
    deadline = time.monotonic() + seconds
    while True:
        reported: dict[int, str] = {}
        for key, value in read_to_end(settings, names.ADMIN, names.LANES_STATUS):
            if key.startswith(b"lane/") and value is not None:
                report = json.loads(value)
                reported[report["lane"]] = report["catalogue"]
        behind = [lane for lane in range(lanes) if reported.get(lane) != digest]
        if not behind:
            return
        if time.monotonic() > deadline:
            raise LanesBehind(digest=digest, seconds=f"{seconds:g}", behind=", ".join(map(str, behind)), lanes=lanes)
        time.sleep(POLL_SECONDS)
