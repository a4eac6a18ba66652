"""``lintas event-type list | show``: what is published, by whom, and who receives it."""

from pathlib import Path
from typing import Any

import click

from lintas.cli.catalogue import folder_argument
from lintas.cli.catalogue_folder import (
    read_folder,
    require_name,
    standing_today,
)
from lintas.cli.output import output_option, print_json, print_table
from schemas.model import as_json
from schemas.paths import leaves, type_text


@click.group("event-type")
def event_type() -> None:
    """Look at the event types of a catalogue folder."""


@event_type.command("list")
@folder_argument
@output_option
def list_(*, directory: Path, output: str) -> None:
    """List the event types of a catalogue; DIR defaults to the example deployment."""
    _, snapshot = read_folder(directory)
    rows = [
        {
            "event_type": name,
            "title": published.contract.title,
            "owner": published.contract.owner,
            "classification": published.contract.classification.value,
            "consumers": len(snapshot.agreements_on(name)),
        }
        for name, published in sorted(snapshot.event_types.items())
    ]
    if output == "json":
        print_json(rows)
    else:
        columns = ("event type", "title", "owner", "classification", "consumers")
        print_table(columns, [list(row.values()) for row in rows])


@event_type.command()
@click.argument("name", metavar="NAME")
@folder_argument
@output_option
def show(*, name: str, directory: Path, output: str) -> None:
    """Show an event type: its fields, which of them are personal, its publishers and its consumers."""
    catalogue, snapshot = read_folder(directory)
    require_name("event type", name, catalogue.event_types, "lintas event-type list")
    contract, topic = catalogue.event_types[name], snapshot.event_types[name].topic
    fields: list[dict[str, Any]] = [
        {
            "field": field.path,
            "type": type_text(field.type),
            "optional": field.nullable,
            "personal": contract.is_personal(field.path),
            "meaning": field.doc,
        }
        for field in leaves(catalogue.schemas[name])
    ]
    consumers = [
        {
            "consumer": published.contract.consumer,
            "channel": snapshot.channel_of(published.contract),
            "agreement": published.contract.agreement,
            "standing": standing_today(published.contract),
        }
        for published in snapshot.agreements_on(name)
    ]
    if output == "json":
        print_json({"event_type": as_json(contract), "topic": topic, "fields": fields, "consumers": consumers})
        return
    print_table(
        ("event type", name),
        [
            ("title", contract.title),
            ("summary", contract.summary),
            ("owner", contract.owner),
            ("publishers", ", ".join(contract.publishers)),
            ("classification", contract.classification.value),
            ("subject", contract.subject or "none"),
            ("topic", topic),
            ("partitions", str(contract.partitions)),
            ("kept for", f"{contract.retention_days} days"),
        ],
    )
    click.echo()
    print_table(
        ("field", "type", "optional", "personal", "meaning"),
        [
            (
                row["field"],
                row["type"],
                "optional" if row["optional"] else "",
                "personal" if row["personal"] else "",
                row["meaning"],
            )
            for row in fields
        ],
    )
    click.echo()
    print_table(("consumer", "channel", "agreement", "standing"), [list(row.values()) for row in consumers])
