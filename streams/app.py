"""The Faust app of the lane workers: it carries the lanes as a service and leaves events to them."""

import os
import socket

import faust
from faust.app import BootStrategy

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.settings import Settings
from streams.keeper import LaneKeeper
from streams.observer import UNWATCHED, LaneObserver


class LaneBootStrategy(BootStrategy):  # type: ignore[misc]  # faust ships no types
    """Faust's own consumer and producer stay off: what may not be lost is not theirs to carry (FACTS.md)."""

    enable_kafka = False
    enable_web = False


class LaneApp(faust.App):  # type: ignore[misc]  # faust ships no types
    """A Faust app that boots with LaneBootStrategy."""

    BootStrategy = LaneBootStrategy


def worker_id() -> str:
    """The name of this process in reports: host and process id."""
    return f"{socket.gethostname()}-{os.getpid()}"


def lane_app(settings: Settings, observer: LaneObserver = UNWATCHED) -> faust.App:
    """The app that runs lanes with the bus's own credentials; ``observer`` is told what they do.

    Raises:
        BadSettings, MissingCredentials: the bus cannot be reached with what is configured.
    """
    options = aiokafka_options(settings, names.WORKER)
    settings.home.mkdir(parents=True, exist_ok=True)  # of its folder Faust makes the last part only
    app = LaneApp(
        "lintas-lanes",
        broker=f"kafka://{settings.brokers}",
        web_enabled=False,
        topic_disable_leader=True,
        store="memory://",
        worker_redirect_stdouts=False,
        datadir=str(settings.home / "faust"),
    )

    @app.service
    class Lanes(LaneKeeper):
        """This worker's lanes."""

        def __init__(self, **kwargs: object) -> None:
            super().__init__(settings, options, worker_id(), observer, **kwargs)

    return app
