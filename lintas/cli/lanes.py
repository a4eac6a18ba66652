"""``lintas lanes show | resize | restore``: who runs which lane, how many there are, and lost positions."""

import dataclasses

import click
from rich.console import Console

from lintas.cli.author import as_actor, author_option
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import NoCatalogue
from lintas.settings import Settings

DIGEST_SHOWN = 12
MOST_LANES = 1_000  # a typing error would cost the brokers as many producers


@click.group()
def lanes() -> None:
    """Lanes carry events exactly once; workers share them."""


@lanes.command()
@output_option
def show(output: str) -> None:
    """Show who runs which lane, how far it is, and which agreements are set aside.

    BEHIND counts records that are not decided yet. A lane whose positions are LOST does not start: see `lanes restore`.
    """
    from streams.overview import overview

    found = overview(Settings())
    if output == "json":
        aside = [
            {"agreement": agreement, "topic": topic, "partition": partition, **why.as_json()}
            for (agreement, topic, partition), why in sorted(found.aside.items())
        ]
        print_json(
            {
                "plan": dataclasses.asdict(found.plan),
                "open": found.open,
                "workers": found.workers,
                "lanes": [dataclasses.asdict(lane) for lane in found.lanes],
                "aside": aside,
            }
        )
        return
    print_table(
        ("lane", "worker", "catalogue", "inputs", "behind", "set aside", "lost", "last report"),
        [
            (
                lane.lane,
                lane.worker or "-",
                (lane.catalogue or "-")[:DIGEST_SHOWN],
                lane.inputs,
                lane.behind,
                lane.aside,
                len(lane.lost),
                lane.reported_at or "-",
            )
            for lane in found.lanes
        ],
    )
    plan = found.plan
    click.echo(f"generation {plan.generation}, {plan.lanes} lanes, {found.workers} worker(s)", err=True)
    if not found.open:
        click.echo(
            f"a resize by {plan.author} of {plan.at} is under way; if its command has died, workers finish it, "
            f"or at once `lintas lanes resize {plan.lanes}`",
            err=True,
        )
    if found.aside:
        click.echo("\nset aside: events wait from here on; mend the cause, then `lintas agreement resume`", err=True)
        print_table(
            ("agreement", "topic", "partition", "from offset", "since", "reason"),
            [
                (agreement, topic, partition, why.from_offset, why.since, why.reason)
                for (agreement, topic, partition), why in sorted(found.aside.items())
            ],
        )


@lanes.command()
@click.argument("number", metavar="N", type=click.IntRange(1, MOST_LANES))
@click.option("--wait/--no-wait", default=True, show_default=True, help="return when every lane runs")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="seconds to wait")
@author_option
@output_option
def resize(*, number: int, wait: bool, timeout: float, author: str, output: str) -> None:
    """Change the number of lanes to N while events flow: nothing is lost, doubled or put out of order.

    Lanes pause for a few seconds while the old ones are fenced and workers join the new ones. More lanes share the
    input partitions among more workers; more of them than input partitions are idle. Interrupted, the same command
    goes on where it was left; if nobody calls it, workers finish within LINTAS_UNFINISHED_RESIZE_SECONDS or twice
    that.
    """
    from streams.acts import recorded
    from streams.acts_log import RESIZE
    from streams.resize import resize as change

    settings = Settings()
    with (
        Console(stderr=True).status("looking at the lanes") as status,
        recorded(settings, as_actor(author), RESIZE, "lanes") as under,
    ):
        done = change(
            settings,
            number,
            author=author,
            wait_seconds=timeout if wait else None,
            progress=status.update,
        )
        under.detail = f"{done.plan.lanes} lanes, generation {done.plan.generation}"
    if output == "json":
        print_json(dataclasses.asdict(done))
        return
    if done.finished is not None:
        earlier = done.finished
        click.echo(f"finished what {earlier.author} began: generation {earlier.generation}, {earlier.lanes} lanes")
    if done.before is None:
        click.echo(f"nothing to do: there are {done.plan.lanes} lanes (generation {done.plan.generation})")
    else:
        click.echo(f"{done.before} lanes became {done.plan.lanes} (generation {done.plan.generation})")


@lanes.command()
@click.argument("topic", required=False)
@click.argument("partition", type=click.IntRange(min=0), required=False)
@click.option("--all", "every", is_flag=True, help="every input partition whose position is lost")
@click.option(
    "--skip-deleted",
    is_flag=True,
    help="where events were deleted before a lane read them, go on behind them: those events are lost",
)
@output_option
def restore(*, topic: str | None, partition: int | None, every: bool, skip_deleted: bool, output: str) -> None:
    """Set the position of TOPIC PARTITION again where the brokers forgot it, from the audit log.

    The audit log holds how far every input partition was decided, so the lane goes on exactly there: nothing is
    delivered twice, nothing is lost. Positions that exist stay, but with --skip-deleted those that lie before the first
    event that the topic still holds. The lane goes on by itself, within LINTAS_STOPPED_LANE_SECONDS.
    """
    from schemas.publication import read_current
    from streams.overview import input_partitions
    from streams.restore import lost_positions, positions_behind_deleted, positions_from_audit, set_again

    settings = Settings()
    current = read_current(settings)
    if current is None:
        raise NoCatalogue
    wanted = input_partitions(current[1])
    if not every:
        if topic is None or partition is None:
            raise click.UsageError("name a TOPIC and a PARTITION, or --all")
        wanted = [each for each in wanted if each == (topic, partition)]
    lost = lost_positions(settings, wanted)
    restored = positions_from_audit(settings, lost) if lost else []
    if skip_deleted:
        restored += positions_behind_deleted(settings, wanted)
    set_again(settings, restored)
    if output == "json":
        print_json([dataclasses.asdict(position) for position in restored])
    elif restored:
        print_table(
            ("topic", "partition", "position"),
            [(*position.partition, position.offset) for position in restored],
        )
    else:
        click.echo("no position is lost" if every else f"the position of {topic} [{partition}] is not lost")
