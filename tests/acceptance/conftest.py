"""The deployment that acceptance tests share: started once, the example catalogue in force, one worker."""

from collections.abc import Iterator

import pytest
from deployment import Deployment
from marked_day import MarkedDay, publish_marked_day

from lintas.local.bus import LocalBus
from lintas.local.programs import Program


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A running bus with the example deployment; what tests publish stays until the session ends."""
    worker = Program("worker", ("worker",))
    local = LocalBus(tmp_path_factory.mktemp("deployment"), fast_start=True, programs=[worker])
    made = Deployment(local.start(outlive=False))
    try:
        applied = made.lintas("catalogue", "apply", "--wait")
        assert applied.returncode == 0, applied.stderr
        yield made
    finally:
        local.stop()


@pytest.fixture(scope="session")
def marked_day(deployment: Deployment) -> MarkedDay:
    """Marked events of every type, published and decided about."""
    return publish_marked_day(deployment)
