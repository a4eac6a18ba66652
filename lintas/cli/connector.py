"""``lintas connector``: what joins systems to the bus that do not speak Kafka."""

from typing import Any

import click

from lintas.cli.connector_acts import ACTS
from lintas.cli.connector_files import create, validate
from lintas.cli.connector_logs import logs
from lintas.cli.connector_run import run
from lintas.cli.connector_sql import sql
from lintas.cli.connector_states import found, states_of, system_option
from lintas.cli.connector_undelivered import discard, redeliver, undelivered
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import UnknownName
from lintas.settings import Settings


@click.group()
def connector() -> None:
    """Run connectors, and see to them.

    A connector makes events of a database, a folder or a feed, or gives a system's inbox to something else. All verbs
    but run, logs and sql work through the system's own topic, with its credentials from the folder of secrets: a
    runtime need not be near, and does what was asked for once it runs.
    """


for command in (run, logs, create, validate, sql, *ACTS, undelivered, redeliver, discard):
    connector.add_command(command)


@connector.command("list")
@system_option
@output_option
def list_(*, system: str | None, output: str) -> None:
    """List connectors: what each is, and how it is."""
    from connectors.runtime import control
    from connectors.runtime.ownership import owned_of

    settings = Settings()
    states = states_of(settings, system)
    owned = owned_of(settings, (own for own, state in states.items() if state.configs))
    rows = []
    for own, state in states.items():
        for name, config in sorted(state.configs.items()):
            status = state.statuses.get(name)
            rows.append(
                {
                    "connector": name,
                    "system": own,
                    "plugin": config.plugin,
                    "kind": _kind(config.plugin),
                    "state": control.shown(state, name, owned=own in owned).value,
                    "since": status.since if status else None,
                    "worker": status.worker if status else None,
                    "origin": config.origin,
                }
            )
    if output == "json":
        print_json(rows)
    else:
        columns = ("connector", "system", "plugin", "kind", "state", "since", "worker", "from")
        print_table(columns, [list(row.values()) for row in rows])


@connector.command()
@click.argument("name")
@system_option
@output_option
def show(*, name: str, system: str | None, output: str) -> None:
    """Show a connector: its settings, how it is, how far it is, and why it failed if it did."""
    from connectors.runtime import control
    from connectors.runtime.ownership import is_owned

    settings = Settings()
    own, state = found(settings, name, system)
    config, status, kept = state.configs[name], state.statuses.get(name), state.kept.get(name)
    about = {
        "connector": name,
        "system": own,
        "plugin": config.plugin,
        "kind": _kind(config.plugin),
        "from": config.origin,
        "state": control.shown(state, name, owned=is_owned(settings, own)).value,
        "since": status.since if status else None,
        "worker": status.worker if status else None,
    }
    positions = dict(sorted((kept.positions if kept else {}).items()))
    if output == "json":
        more = {"config": config.settings, "positions": positions, "progress": state.progress(name)}
        print_json({**about, **more, "trace": status.trace if status else None})
        return
    print_table(("connector", name), [(field, value) for field, value in about.items() if field != "connector"])
    click.echo()
    print_table(("setting", "value"), [(key, _told(value)) for key, value in config.settings.items()])
    if positions or state.progress(name):
        click.echo()
        rows = [(f"inbox partition {number}", str(offset)) for number, offset in positions.items()]
        print_table(
            ("progress", "is at"), [*rows, *((key, _told(value)) for key, value in state.progress(name).items())]
        )
    if status and status.trace:
        click.echo(f"\n{status.trace}")


@connector.command()
@click.argument("plugin", required=False)
@output_option
def plugins(*, plugin: str | None, output: str) -> None:
    """List the kinds of connectors, or show the settings of one, with an example."""
    from connectors.plugins import known
    from connectors.runtime.reference import settings_of
    from connectors.runtime.rest.answers import definitions
    from connectors.runtime.rest.answers import plugin as described
    from connectors.runtime.validation import by_name

    kinds = by_name(known.PLUGINS)
    if plugin is None:
        rows = [described(one) for _, one in sorted(kinds.items())]
        if output == "json":
            print_json(rows)
        else:
            shown = [(row["class"], row["type"], row["guarantee"], row["summary"]) for row in rows]
            print_table(("plugin", "kind", "promises", "summary"), shown)
        return
    if plugin not in kinds:
        raise UnknownName(kind="kind of connector", name=plugin, suggestion="`lintas connector plugins` lists them.")
    one = kinds[plugin]
    if output == "json":
        print_json({**described(one), "settings": definitions(one), "example": one.example})
        return
    about = (("summary", one.summary), ("kind", one.kind), ("promises", f"{one.guarantee}: {one.guarantee_because}"))
    print_table(("plugin", plugin), about)
    click.echo()
    print_table(
        ("setting", "type", "default", "meaning"),
        [
            (
                setting.path,
                setting.type,
                "(required)" if setting.required else "" if setting.default is None else _told(setting.default),
                setting.meaning,
            )
            for setting in settings_of(one)
        ],
    )
    click.echo(f"\nexample of config:\n{one.example.rstrip()}")


def _told(value: Any) -> str:
    from connectors.runtime.reference import readable

    return readable(value, "; -o json shows everything")


def _kind(plugin: str) -> str:
    from connectors.plugins import known
    from connectors.runtime.rest.answers import kind_of
    from connectors.runtime.validation import by_name

    return kind_of(by_name(known.PLUGINS), plugin)
