"""Serving a program's metrics and health from the command line."""

import contextlib
import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from monitoring.endpoints import Health

log = logging.getLogger(__name__)


def serve_or_misuse(program: str, registry: "CollectorRegistry", health: "Health", listen: tuple[str, int]) -> None:
    """Serve in a thread of its own and say where; misuse if nothing can listen there."""
    from monitoring.endpoints import serve

    host, port = listen
    try:
        port = serve(program, registry, health, listen)
    except OSError as error:
        raise click.BadParameter(
            f"nothing can listen on {host}:{port}: {error.strerror}", param_hint="--listen"
        ) from error
    log.info("metrics are at http://%s:%d/metrics", host, port)


def serve_near(
    program: str,
    registry: "CollectorRegistry",
    health: "Health",
    listen: tuple[str, int] | None,
    usual: tuple[str, int],
) -> None:
    """As ``serve_or_misuse``; where nobody said, at the usual address, or at another port if that is taken."""
    from monitoring.endpoints import serve

    if listen is None:
        with contextlib.suppress(OSError):
            serve(program, registry, health, usual)
            log.info("metrics are at http://%s:%d/metrics", *usual)
            return
    serve_or_misuse(program, registry, health, listen or (usual[0], 0))
