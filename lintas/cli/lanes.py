"""``lintas lanes show | restore``: who runs which lane, and lanes that lost their position."""

import dataclasses

import click

from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import NoCatalogue
from lintas.settings import Settings

DIGEST_SHOWN = 12


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
            {"workers": found.workers, "lanes": [dataclasses.asdict(lane) for lane in found.lanes], "aside": aside}
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
    click.echo(f"{found.workers} worker(s) in the group", err=True)
    if found.aside:
        click.echo("\nset aside: events wait in their topic from this offset on", err=True)
        print_table(
            ("agreement", "topic", "partition", "from offset", "since", "reason"),
            [
                (agreement, topic, partition, why.from_offset, why.since, why.reason)
                for (agreement, topic, partition), why in sorted(found.aside.items())
            ],
        )


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
