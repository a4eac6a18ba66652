"""``lintas demo``: a day in the life of the state, from an empty folder to books that balance."""

import contextlib
import datetime as dt
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from lintas.cli.output import output_option
from lintas.errors import BusAlreadyRunning, BusNotRunning, LintasError, LocalBusError
from lintas.settings import Settings

if TYPE_CHECKING:
    from lintas.demo.report import Report
    from lintas.local.bus import LocalBus

DATE: Final = dt.date(2026, 11, 24)  # on which every agreement of the example deployment is in force
OWN: Final = "demo"
MARK: Final = "demo.home"  # in a folder that the demo made and may empty
_KEPT: Final = ("LINTAS_HOME", "LINTAS_CACHE")
_SETTLE_SECONDS: Final = 90.0
_LANES_SECONDS: Final = 60.0
_STOP_PAUSE_SECONDS: Final = 0.2


@click.command()
@click.option("--events", type=click.IntRange(1, 100_000), default=3_000, show_default=True, help="published that day")
@click.option("--seed", type=int, default=1, show_default=True, help="another number gives another day")
@click.option("--keep", is_flag=True, help="leave the bus running")
@output_option
@click.pass_context
def demo(ctx: click.Context, *, events: int, seed: int, keep: bool, output: str) -> None:
    """Show the whole bus at work, in under a minute.

    Starts a bus of its own in LINTAS_HOME/demo, applies the example deployment, publishes a day in the life of the
    state (repeats, late, broken and unentitled events among it), waits until every event is decided, and shows who
    received what, which fields were withheld and why, what was refused, and that the counts add up. Everything is
    counted from Kafka's topics and the audit records. Then the bus stops; its data stay until the next demo.

    Exit 0 if everything adds up, 1 if not.
    """
    _be_deaf_to_the_environment()
    home = Settings().home / OWN
    _empty(home)
    say = _Progress()
    with _bus(home, say, keep=keep) as settings:
        report, about = _run(settings, say, events, seed)
    from lintas.cli import demo_tables

    if output == "json":
        demo_tables.show_json(report, about)
    else:
        demo_tables.show(report)
    for difference in report.differences:
        click.echo(f"{click.style('difference:', fg='red', bold=True)} {difference}", err=True)
    if report.differences:
        click.echo(f"{len(report.differences)} things do not add up; the bus's logs are in {home / 'logs'}", err=True)
        ctx.exit(1)
    if output == "table":
        _farewell(home, report, say, keep=keep)


def _run(settings: Settings, say: "_Progress", events: int, seed: int) -> tuple["Report", dict[str, Any]]:
    from connectors.generator.day import DERIVED, day
    from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT
    from lintas.cli.catalogue_folder import read_folder
    from lintas.demo.day import publish
    from lintas.demo.report import examine
    from lintas.demo.settled import Settling
    from schemas.cluster import Cluster
    from schemas.provision import apply
    from schemas.publication import read_log

    catalogue, _ = read_folder(EXAMPLE_DEPLOYMENT)
    with say.step(
        f"applying the example deployment: {len(catalogue.agencies)} agencies, "
        f"{len(catalogue.event_types)} event types, {len(catalogue.agreements)} agreements"
    ):
        apply(settings, catalogue, author="lintas demo", wait_seconds=_LANES_SECONDS)
    log = read_log(settings)
    assert log.current is not None, "a catalogue has just been applied"
    snapshot = log.snapshot(log.current.manifest)
    with say.step(f"publishing {events:,} events, each as the system it comes from") as tell:
        count = 0

        def advance(more: int) -> None:
            nonlocal count
            count += more
            if count % 100 == 0:
                tell(f"{count:,} sent")

        published = publish(settings, snapshot, day(seed, DATE, events), advance)
    with say.step("waiting until every event is decided") as tell:
        processors = {snapshot.event_types[name].contract.publishers[0] for name in DERIVED}
        Settling(settings, snapshot, processors).wait(_SETTLE_SECONDS, lambda left: tell(f"{left:,} to go"))
    with say.step("reading every topic and audit record"):
        report = examine(settings, snapshot, log, Cluster(settings).partitions(), published)
    return report, {"seed": seed, "date": DATE, "home": settings.home, "catalogue": snapshot.digest}


def _be_deaf_to_the_environment() -> None:
    """Settings that point at another bus must not lead the demo there."""
    for name in [name for name in os.environ if name.startswith("LINTAS_") and name not in _KEPT]:
        del os.environ[name]


def _empty(home: Path) -> None:
    """Begin anew: remove what the last demo left.

    Raises:
        LocalBusError: the folder is not the demo's, or its bus still runs.
    """
    from lintas.local import state
    from lintas.local.home import Home

    if home.exists() and any(home.iterdir()):
        if not (home / MARK).exists():
            raise LocalBusError(
                reason=f"{home} was not made by a demo", remedy="choose another folder (LINTAS_HOME), or remove it."
            )
        if state.is_owned(Home.of(home)):
            raise LocalBusError(
                reason=f"the bus of an earlier demo runs in {home}", remedy=f"LINTAS_HOME={home} lintas down"
            )
        state.clean(Home.of(home))
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).touch()


@contextlib.contextmanager
def _bus(home: Path, say: "_Progress", *, keep: bool) -> Iterator[Settings]:
    """A running bus; stopped at the end unless it is to be kept, and whenever something goes wrong."""
    from lintas.cli.local import downloads
    from lintas.local.bus import LocalBus
    from lintas.local.programs import CARRYING, PROGRAMS

    bus = LocalBus(home, programs=PROGRAMS if keep else CARRYING, fast_start=True)
    with downloads(say.console) as progress:
        bus.download(progress)
    try:
        with say.step(f"starting Kafka, registry, PostgreSQL and the bus's programs in {home}"):
            settings = _started(bus, keep=keep)
        yield settings
    except BaseException:
        _stop(bus)
        raise
    if not keep:
        with say.step("stopping the bus"):
            _stop(bus)


def _started(bus: "LocalBus", *, keep: bool) -> Settings:
    """Start a bus so that Ctrl-C meanwhile leaves nothing behind."""
    outcome: list[Settings | LintasError] = []
    done = threading.Event()

    def start() -> None:
        try:
            outcome.append(bus.start(outlive=keep))
        except LintasError as error:
            outcome.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=start, name="start", daemon=True).start()
        done.wait()  # an event: an interrupted join takes a thread that still runs for dead (bpo-45274)
    except KeyboardInterrupt:
        while not done.wait(_STOP_PAUSE_SECONDS):
            _stop(bus)  # as soon as there is a supervisor to be told
        raise
    if not outcome:
        raise LocalBusError(reason="the supervisor could not be started", remedy="`lintas doctor` may know why.")
    if isinstance(outcome[0], LintasError):
        raise outcome[0]
    return outcome[0]


def _stop(bus: "LocalBus") -> None:
    with contextlib.suppress(BusNotRunning, BusAlreadyRunning):  # not any more, or not so far that it can be told
        bus.stop()


def _farewell(home: Path, report: "Report", say: "_Progress", *, keep: bool) -> None:
    lintas = _how_called()
    here = f"LINTAS_HOME={home} {lintas}"
    commands = [
        (f"{here} read --as bps.vital-statistics -n 5", "what the statisticians see of births, deaths and moves"),
        (f"{here} read --as kemenkes.satusehat -n 5", "what the health ministry sees"),
        (f"{here} balance", "whether what went in equals what came out"),
        (f"{here} down", "stop it"),
        (f"{lintas} agreement show jabar.child-welfare.birth-registered", "who decided that, on which basis"),
        (f"{lintas} up", "a bus of your own"),
    ]
    if not keep:
        commands.insert(0, (f"{here} up --detach", "this bus again, with this day in it"))
    click.echo(
        f"\n{click.style('Everything adds up', fg='green', bold=True)}: {report.published:,} events, "
        f"{report.deliveries:,} deliveries, in {say.seconds():.0f} s. "
        f"{'The bus is running.' if keep else 'The bus has stopped.'} What to try next:\n"
    )
    width = max(len(command) for command, _ in commands)
    for command, purpose in commands:
        click.echo(f"  {command:{width}}  {click.style(purpose, dim=True)}")


def _how_called() -> str:
    """What to type for `lintas`, where this was started."""
    if shutil.which("lintas"):
        return "lintas"
    called = Path(sys.argv[0])
    return str(called) if called.name == "lintas" else f"{Path(sys.executable).name} -m lintas"


class _Progress:
    """A line for each step on stderr, with the moment at which it began; how far it is where a person watches."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a step until it is done; yields a function that tells how far it is."""
        click.echo(f"{click.style(f'{self.seconds():5.1f} s', dim=True)}  {text}", err=True)
        if not self.console.is_terminal:
            yield lambda _: None
            return
        with self.console.status("") as status:
            yield status.update
