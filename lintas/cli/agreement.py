"""``lintas agreement list | show | test | resume``: who receives what of which event, and whether it does."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lintas.cli.author import as_actor, author_option
from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT, folder_argument
from lintas.cli.catalogue_folder import (
    read_folder,
    refuse,
    require_name,
    standing_today,
)
from lintas.cli.output import output_option, print_json, print_table
from lintas.errors import NoCatalogue
from lintas.settings import Settings
from schemas.cases import load_cases
from schemas.envelope_release import rule_for
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, EventType, as_json
from schemas.paths import leaves, type_text
from schemas.released import deciding_rule
from schemas.rules import ReleaseRule
from streams.case_runner import CaseRunner


@click.group()
def agreement() -> None:
    """Look at the agreements of a catalogue folder, test them by their cases; resume one that was set aside."""


@agreement.command("list")
@folder_argument
@output_option
def list_(*, directory: Path, output: str) -> None:
    """List the agreements of a catalogue; DIR defaults to the example deployment."""
    _, snapshot = read_folder(directory)
    rows = [
        {
            "agreement": name,
            "channel": snapshot.channel_of(published.contract),
            "provider": published.contract.provider,
            "consumer": published.contract.consumer,
            "event_type": published.contract.event_type,
            "valid_until": published.contract.valid.until.isoformat(),
            "standing": standing_today(published.contract),
        }
        for name, published in sorted(snapshot.agreements.items())
    ]
    if output == "json":
        print_json(rows)
    else:
        columns = ("agreement", "channel", "provider", "consumer", "event type", "valid until", "standing")
        print_table(columns, [list(row.values()) for row in rows])


@agreement.command()
@click.argument("agreement_id", metavar="ID")
@folder_argument
@output_option
def show(*, agreement_id: str, directory: Path, output: str) -> None:
    """Show an agreement, with every field of the event: how it is released, or that it is withheld."""
    catalogue, snapshot = read_folder(directory)
    require_name("agreement", agreement_id, catalogue.agreements, "lintas agreement list")
    contract = catalogue.agreements[agreement_id]
    event_type = catalogue.event_types[contract.event_type]
    fields = [
        {
            "field": field.path,
            "type": type_text(field.type),
            "personal": event_type.is_personal(field.path),
            "released": _written(deciding_rule(field.path, contract.release)),
        }
        for field in leaves(catalogue.schemas[contract.event_type])
    ]
    fields += [_attribute(attribute, contract, event_type) for attribute in _attributes(contract)]
    about = {"channel": snapshot.channel_of(contract), "standing": standing_today(contract)}
    if output == "json":
        print_json({"agreement": as_json(contract), **about, "fields": fields})
        return
    print_table(("agreement", agreement_id), [*_properties(contract).items(), *about.items()])
    click.echo()
    print_table(
        ("field", "type", "personal", "released"),
        [(row["field"], row["type"], "personal" if row["personal"] else "", _text(row["released"])) for row in fields],
    )


@agreement.command()
@click.argument("agreement_id", metavar="[ID]", required=False)
@click.argument(
    "directory", metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False
)
@output_option
@click.pass_context
def test(ctx: click.Context, *, agreement_id: str | None, directory: Path | None, output: str) -> None:
    """Run the cases beside agreements (ID.cases.yaml), with the code that lanes decide with; no bus is needed.

    Without ID all agreements are tested; DIR (also alone) defaults to the example deployment. An agreement without
    cases has failed. Exit 0 if every case is as expected, 1 if not.
    """
    if agreement_id is not None and directory is None and Path(agreement_id).is_dir():
        directory = Path(agreement_id)
        agreement_id = None
    directory = directory or EXAMPLE_DEPLOYMENT
    catalogue, snapshot = read_folder(directory)
    if agreement_id is not None:
        require_name("agreement", agreement_id, catalogue.agreements, "lintas agreement list")
    chosen = sorted(catalogue.agreements) if agreement_id is None else [agreement_id]
    read = {name: load_cases(catalogue, name) for name in chosen}
    refuse(directory, [problem for _, problems in read.values() for problem in problems])
    runner = CaseRunner(snapshot)
    results: list[dict[str, Any]] = []
    for name, (cases, _) in read.items():
        failures = [{"case": case.case, "differences": found} for case in cases if (found := runner.run(name, case))]
        results.append(
            {"agreement": name, "cases": len(cases), "passed": len(cases) - len(failures), "failures": failures}
        )
    if output == "json":
        print_json(results)
    else:
        _print_results(results)
    ctx.exit(1 if any(row["failures"] or not row["cases"] for row in results) else 0)


@agreement.command()
@click.argument("agreement_id", metavar="ID")
@click.option("--wait/--no-wait", default=True, show_default=True, help="return when nothing waits any more")
@click.option("--timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, help="seconds to wait")
@author_option
@output_option
def resume(*, agreement_id: str, wait: bool, timeout: float, author: str, output: str) -> None:
    """Give an agreement that was set aside what waits for it, in order and exactly once; then it goes on live.

    An agreement is set aside when its consumer's topics refuse records (`lintas lanes show` tells which and why); mend
    that first. Events are decided under the agreement in force now: one that is suspended or expired goes on waiting.
    Interrupted, or called twice, the lanes go on with it all the same. Other consumers are not touched.
    """
    from schemas.publication import read_current
    from streams.acting import agency_of
    from streams.acts import recorded
    from streams.acts_log import RESUME
    from streams.resume import resume as give

    settings = Settings()
    current = read_current(settings)
    if current is None:
        raise NoCatalogue
    require_name("agreement", agreement_id, current[1].agreements, "lintas agreement list")
    consumer = current[1].agreements[agreement_id].contract.consumer
    with (
        Console(stderr=True).status(f"resuming {agreement_id}") as status,
        recorded(settings, as_actor(author), RESUME, agreement_id, agency=agency_of(consumer)) as under,
    ):
        resumed = give(
            settings,
            agreement_id,
            author=author,
            wait_seconds=timeout if wait else None,
            progress=lambda left: status.update(f"resuming {agreement_id}: {len(left)} input partition(s) to go"),
        )
        under.detail = f"{len(resumed)} input partition(s)"
    if output == "json":
        print_json(
            [
                {"agreement": agreement_id, "topic": topic, "partition": partition, **why.as_json()}
                for (_, topic, partition), why in sorted(resumed.items())
            ]
        )
    elif not resumed:
        click.echo(f"{agreement_id} is not set aside anywhere")
    else:
        done = "has everything that waited, and goes on live" if wait else "is to be given what waits for it"
        click.echo(f"{agreement_id} {done}: {len(resumed)} input partition(s)")


def _print_results(results: list[dict[str, Any]]) -> None:
    print_table(("agreement", "cases", "passed"), [(row["agreement"], row["cases"], row["passed"]) for row in results])
    for row in results:
        if not row["cases"]:
            click.echo(f"\n{row['agreement']}: there are no cases; write {row['agreement']}.cases.yaml beside it")
        for failure in row["failures"]:
            click.echo(f"\n{row['agreement']}: {failure['case']}")
            for line in failure["differences"]:
                click.echo(f"  {line}")
    cases, passed = sum(row["cases"] for row in results), sum(row["passed"] for row in results)
    without = sum(not row["cases"] for row in results)
    lacking = f", {without} agreement(s) without cases" if without else ""
    click.echo(f"\n{passed} of {cases} cases of {len(results)} agreement(s) are as expected{lacking}")


def _properties(contract: Agreement) -> dict[str, str]:
    """What an agreement says besides its release, for people."""
    return {
        "provider": contract.provider,
        "consumer": contract.consumer,
        "event type": contract.event_type,
        "legal basis": contract.legal_basis,
        "purpose": contract.purpose,
        "valid": f"{contract.valid.from_} to {contract.valid.until}" + (", suspended" if contract.suspended else ""),
        "backfill": "none" if contract.backfill is None else f"from {contract.backfill.from_.isoformat()}",
        "when": contract.when or "always",
        **{f"require {name}": text for name, text in contract.require.items()},
        "personal data in clear": ", ".join(contract.personal_data_in_clear) or "none",
        "pseudonym domain": contract.pseudonym_domain or "all of this consumer",
    }


def _attributes(contract: Agreement) -> list[str]:
    """The envelope's attributes about which there is something to say."""
    return list(dict.fromkeys([*ENVELOPE_ATTRIBUTES, *contract.envelope]))


def _attribute(attribute: str, contract: Agreement, event_type: EventType) -> dict[str, Any]:
    rule = rule_for(attribute, contract, event_type)
    released = "keep, without its path" if rule is None else _written(None if rule.name == "drop" else rule)
    return {"field": f"envelope.{attribute}", "type": "string", "personal": False, "released": released}


def _written(rule: ReleaseRule | None) -> Any:
    return None if rule is None else rule.as_written()


def _text(released: Any) -> str:
    """A rule as a steward writes it, for a table."""
    if released is None:
        return "withheld"
    if isinstance(released, str):
        return released
    ((name, settings),) = released.items()
    return f"{name} ({', '.join(f'{key}: {value}' for key, value in settings.items())})"
