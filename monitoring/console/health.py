"""Whether the console lives, serves and has started; for whoever restarts it or sends it people."""

from monitoring.console.bus import Bus
from monitoring.endpoints import Health


def health_of(bus: Bus) -> Health:
    """Live: it answers, or it would not. Ready: what it shows is read from a bus that answers. Started: it was once."""

    def ready() -> str:
        known = bus.catalogue
        if known.problem:
            return known.problem
        return "" if known.read_at else "the bus has not been read yet"

    return Health(ready=ready, startup=lambda: "" if bus.catalogue.read_at else "the bus has not been read yet")
