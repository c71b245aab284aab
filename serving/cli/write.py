"""The verb that writes forecasts into a CRM's deals."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.cli.common import HomeDir, home_that_is, progress, store_of


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command("write-back")(write_back)


def write_back(
    name: Annotated[str, typer.Argument(help="The CRM: zoho, fxiaoke or tryton.")],
    home: HomeDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
) -> None:
    """Write win probability, reasons and next step into the CRM's deals, into the fields that company.yaml names.

    Off unless company.yaml has write_back for the CRM. Only what differs from the last time is written.

    Example: bellwether write-back zoho --home ours --dry-run
    """
    from serving.crms import writer_of
    from serving.jobs.leases import held
    from serving.settings import Settings
    from serving.write_back import write_back as write

    place = home_that_is(home)
    writer = writer_of(name, Settings(), place)
    with store_of(place) as store, held(store, f"write-back {name}"), progress(f"Writing into {name}") as tell:
        report = write(place, store, name, writer, dry_run=dry_run, tell=tell)
        if not dry_run:
            store.audit("cli", "write back", crm=name, written=report.written, refused=len(report.refused))
    for line in report.lines(dry_run):
        typer.echo(line)
