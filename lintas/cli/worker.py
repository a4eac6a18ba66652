"""``lintas worker``: one lane worker, as production runs it."""

import click

from lintas import logs
from lintas.cli import service_options
from lintas.cli.address import Address
from lintas.settings import Settings


@click.command()
@click.option(
    "--listen",
    type=Address(),
    help="where /metrics, /live, /ready and /startup are served; 127.0.0.1:9464, or another port if that is taken",
)
@service_options.log_level
def worker(*, listen: tuple[str, int] | None, log_level: str) -> None:
    """Run lanes: route, release and audit events.

    Any number of workers share the lanes of a bus; one that dies is replaced by the others within seconds. SIGTERM
    finishes the batch under way and hands the lanes over. A lane that needs a person says so in the log, and `lintas
    lanes show` tells which. Exit 0 stopped, 1 something went wrong (see the log), 2 misuse.
    """
    from faust import Worker
    from prometheus_client import CollectorRegistry

    from lintas.cli.endpoints import serve_near
    from monitoring import spans
    from monitoring.worker_health import WorkerWatch
    from streams.app import lane_app

    logs.set_up("worker", log_level)
    exported = spans.start("worker")
    watch, registry = WorkerWatch(exported), CollectorRegistry()
    registry.register(watch)
    app = lane_app(Settings(), watch)
    serve_near("worker", registry, watch.health, listen, ("127.0.0.1", 9464))
    program = Worker(app, loglevel=log_level, redirect_stdouts=False, override_logging=False, quiet=True)
    program.spinner = None  # it is for terminals, and ends by writing to what is none
    try:
        program.execute_from_commandline()
    finally:
        exported.close()
