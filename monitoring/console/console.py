"""What all pages of one console share."""

import dataclasses
from collections.abc import Callable

from lintas.settings import Settings
from monitoring.console.bus import Bus
from monitoring.console.jobs import Jobs
from monitoring.console.login import Login
from monitoring.console.measures import Measures
from monitoring.console.sessions import Sessions
from monitoring.console.templates import Templates


def never() -> bool:
    """A console that nobody stops."""
    return False


@dataclasses.dataclass(slots=True)
class Console:
    """The parts of a console.

    Attributes:
        url: where browsers find it, without a slash at the end.
        bus: what is known of the bus.
        stopping: whether the server ends; streams end with it.
        jobs: what takes longer than a page may.
    """

    settings: Settings
    url: str
    bus: Bus
    login: Login
    sessions: Sessions
    templates: Templates
    measures: Measures
    stopping: Callable[[], bool] = never
    jobs: Jobs = dataclasses.field(default_factory=Jobs)
