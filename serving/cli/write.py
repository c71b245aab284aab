"""Verbs that reach into a CRM: forecasts into its deals, its messages on changes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from crm.errors import BadInput
from serving.cli.common import HomeDir, home_that_is, progress, store_of


class BadAddress(BadInput):
    """Messages cannot be sent there."""

    def __init__(self, address: str) -> None:
        super().__init__(f"--address is '{address}'. Give the address of this server as the CRM reaches it, by https.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("write-back")(write_back)
    app.command("listen")(listen)


def write_back(
    name: Annotated[str, typer.Argument(help="The CRM: zoho, fxiaoke, salesforce, hubspot or tryton.")],
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
    with store_of(place) as store, held(store, "write-back"), progress(f"Writing into {name}") as tell:
        report = write(place, store, name, writer, dry_run=dry_run, tell=tell)
        if not dry_run:
            store.audit("cli", "write back", crm=name, written=report.written, refused=len(report.refused))
    for line in report.lines(dry_run):
        typer.echo(line)


def listen(
    name: Annotated[str, typer.Argument(help="The CRM: zoho or hubspot.")],
    address: Annotated[
        str | None, typer.Option("--address", help="This server as the CRM reaches it: https://forecasts.example.com")
    ] = None,
    home: HomeDir = None,
    stop: Annotated[bool, typer.Option("--stop", help="End it: close the channels.")] = False,
) -> None:
    """Have the CRM tell each change, so that forecasts follow within a minute; the worker prolongs it.

    Without --address or --stop it shows what there is.

    Example: bellwether listen zoho --address https://forecasts.example.com --home ours
    """
    from crm.connectors.hubspot.webhooks import NO_END
    from serving import messages
    from serving.crms import channels_of
    from serving.settings import Settings

    if address is not None and (urlsplit(address).scheme != "https" or not urlsplit(address).hostname):
        raise BadAddress(address)
    place = home_that_is(home)
    channels = channels_of(name, Settings(), place)
    with store_of(place) as store:
        if stop:
            typer.echo(f"{messages.stop_listening(store, name, channels)} channels closed")
            return
        if address is not None:
            to = f"{address.rstrip('/')}/api/v1/crms/{name}/messages"
            messages.listen(store, name, channels, to)
            store.audit("cli", "listen", crm=name, address=to)
        found = [c for c in messages.open_channels(store) if c.crm == name]
    for channel in found:
        until = f" until {channel.expires_at:%Y-%m-%d %H:%M} UTC" if channel.expires_at < NO_END else ""
        typer.echo(f"{name} tells changes to {channel.address}{until}")
    if found and name == "hubspot":
        typer.echo(
            "In HubSpot give the app that target URL under Webhooks, and subscribe it to creation, deletion, merge"
        )
        typer.echo("and property changes of deals, companies and contacts.")
    if not found:
        typer.echo(f"{name} tells nothing. Begin: bellwether listen {name} --address ADDRESS")
