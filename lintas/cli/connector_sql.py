"""``lintas connector sql``: what an agency installs in its PostgreSQL."""

import click

from lintas.errors import UnknownName


@click.command()
@click.argument("name", required=False)
@click.option("--schema", help="Install it in this schema instead.")
def sql(*, name: str | None, schema: str | None) -> None:
    """Print the SQL that a connector needs in its database: outbox, replication or sink; without a name, list them.

    For psql: lintas connector sql outbox | psql -v ON_ERROR_STOP=1 DATABASE
    """
    from connectors.plugins.postgres.statements import installable, installation

    if name is None:
        click.echo("\n".join(installable()))
        return
    if name not in installable():
        raise UnknownName(kind="SQL", name=name, suggestion=f"There are {', '.join(installable())}.")
    try:
        click.echo(installation(name, schema), nl=False)
    except ValueError:
        raise click.BadParameter("use letters, digits and underscores", param_hint="--schema") from None
