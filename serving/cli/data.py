"""Verbs about data: simulate, import, sync."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crm.errors import BadInput
from serving.cli.common import HomeDir, Seed, home_of, home_option, progress, store_of

if TYPE_CHECKING:
    from crm.report import ImportReport
    from serving.home import Home


OwnMapping = Annotated[
    str | None, typer.Option("--mapping", help="YAML that tells which of the CRM's fields fill what; unset: as sold.")
]


class Setting(StrEnum):
    """Kinds of sample companies."""

    default = "default"
    no_signal = "no_signal"
    drifting = "drifting"


class Kept(BadInput):
    """A file that someone may have worked on would be written over."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"--guess is '{path}', which is there already. Give another name, or move it away.")


class NoSuchPath(BadInput):
    """There is nothing to import."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"There is no file or folder {path}. Check the name.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("simulate")(simulate)
    app.command("import")(import_)
    sync = typer.Typer(help="Bring the lake up to a CRM.", no_args_is_help=True)
    sync.command("zoho")(sync_zoho)
    sync.command("fxiaoke")(sync_fxiaoke)
    sync.command("salesforce")(sync_salesforce)
    sync.command("hubspot")(sync_hubspot)
    sync.command("tryton")(sync_tryton)
    app.add_typer(sync, name="sync")


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the files; the truth goes to OUT-truth beside it.")],
    reps: Annotated[int, typer.Option(help="How many people sell.")] = 60,
    months: Annotated[int, typer.Option(help="How long the history is.")] = 24,
    seed: Seed = 0,
    setting: Annotated[Setting, typer.Option(help="Usual, almost no signal, or drifting.")] = Setting.default,
) -> None:
    """Write the sample company as canonical CSV files.

    Example: bellwether simulate sample --reps 60 --months 24
    """
    from crm.simulate import simulate as make
    from crm.simulate import write

    with progress("Simulating") as tell:
        tell(f"{reps} reps, {months} months", None)
        sample = make(reps=reps, months=months, seed=seed, setting=setting.value)
        tell("Writing files", None)
        truth = write(sample, out)
    typer.echo(f"{sum(t.num_rows for t in sample.tables.values()):,} rows in {out}; the truth in {truth}")
    typer.echo(f"Next: bellwether import {out} --home my-sample")


def import_(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of files.")],
    home: HomeDir = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            "--mapping",
            help="YAML that tells which columns fill what, or a shipped one: bpi2012, maven, uci_online_retail.",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write the whole report here, as JSON.")] = None,
    guess: Annotated[
        Path | None,
        typer.Option("--guess", help="Import nothing: write a mapping proposed from the files here, to look through."),
    ] = None,
) -> None:
    """Read CSV, Excel, JSON Lines, Parquet or zip into the lake; bad rows go to the quarantine, each with its reason.

    A folder of files named after the canonical tables needs no mapping; a company.yaml in it sets up a new home. For an
    export of Zoho CRM, Fxiaoke, Salesforce, HubSpot, Dynamics, Odoo, Pipedrive or any other, --guess proposes one.

    Example: bellwether import exports/2026-02 --mapping my-crm.yaml
    """
    if not path.exists():
        raise NoSuchPath(path)
    if guess is not None:
        _propose(path, guess)
        return
    place = home_of(home)
    place.prepare_import(path)
    found = run_import(place, path, mapping)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(found.to_dict(), indent=1, ensure_ascii=False, default=str), encoding="utf-8")
    for line in found.lines():
        typer.echo(line)
    what = "" if "deals" in place.lake.view().present else " churn"
    typer.echo(f"{found.taken:,} rows taken into {place.root}. Next: bellwether train{what}{home_option(home)}")


def _propose(path: Path, out: Path) -> None:
    """Write a proposed mapping, and say of each column how sure it is."""
    from crm.guessing import as_yaml, propose

    if out.exists():
        raise Kept(out)
    found = propose(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(as_yaml(found), encoding="utf-8")
    typer.echo(f"Looks like an export of {found.crm}." if found.crm else "Looks like no CRM that is known by name.")
    for table in found.tables:
        by_sure = {sure: [p.column for p in table.columns if p.sure == sure] for sure in ("known", "likely", "unsure")}
        said = "; ".join(f"{sure}: {', '.join(names)}" for sure, names in by_sure.items() if names)
        typer.echo(f"{table.file} fills {table.table}. {said}")
    for file in found.unknown:
        typer.echo(f"{file} fits no table that is known.")
    typer.echo(f"Look through {out}. Next: bellwether import {path} --mapping {out}")


def run_import(home: Home, path: Path, mapping: str | None) -> ImportReport:
    """Import into a home, names to its people book."""
    from crm.mapping import load
    from serving.jobs.leases import held
    from serving.jobs.tasks import take_files

    how = load(mapping) if mapping else None
    with store_of(home) as store, held(store, "lake"), progress("Importing") as tell:
        found = take_files(home, store, path, how, tell)
        store.audit("cli", "import", path=str(path), taken=found.taken)
    home.keep_stages(found.stages)
    return found


def sync_zoho(
    home: HomeDir = None,
    mapping: OwnMapping = None,
    calls: Annotated[int, typer.Option(min=1, help="Calls that this run may spend of the company's credits.")] = 20_000,
) -> None:
    """Take what changed in Zoho CRM since the last sync: records, deals' stages, users, deletions.

    Keys come from BELLWETHER_ZOHO_CLIENT_ID, _CLIENT_SECRET, _REFRESH_TOKEN and _DATA_CENTRE, or from a file that
    BELLWETHER_KEYS names. A run that ends early loses nothing: the next one goes on.

    Example: bellwether sync zoho --home ours
    """
    _sync("zoho", home, mapping, calls)


def sync_fxiaoke(
    home: HomeDir = None,
    mapping: OwnMapping = None,
    calls: Annotated[int, typer.Option(min=1, help="Calls that this run may spend of the day's quota.")] = 20_000,
) -> None:
    """Take what changed in 纷享销客 (Fxiaoke) since the last sync: people, customers, leads, deals, follow-ups, orders.

    Keys come from BELLWETHER_FXIAOKE_APP_ID, _APP_SECRET, _PERMANENT_CODE, _USER_ID and _CLOUD, or from a file that
    BELLWETHER_KEYS names. A run that ends early loses nothing: the next one goes on.

    Example: bellwether sync fxiaoke --home ours
    """
    _sync("fxiaoke", home, mapping, calls)


def sync_salesforce(
    home: HomeDir = None,
    mapping: OwnMapping = None,
    calls: Annotated[int, typer.Option(min=1, help="Calls that this run may spend of the day's.")] = 20_000,
) -> None:
    """Take what changed in Salesforce since the last sync: records, opportunities' history, deletions and merges.

    Keys come from BELLWETHER_SALESFORCE_LOGIN, _CLIENT_ID, _CLIENT_SECRET and, where it is used, _REFRESH_TOKEN, or
    from a file that BELLWETHER_KEYS names. A run that ends early loses nothing: the next one goes on.

    Example: bellwether sync salesforce --home ours
    """
    _sync("salesforce", home, mapping, calls)


def sync_hubspot(
    home: HomeDir = None,
    mapping: OwnMapping = None,
    calls: Annotated[int, typer.Option(min=1, help="Calls that this run may spend of the day's.")] = 20_000,
) -> None:
    """Take what changed in HubSpot since the last sync: owners, records, deals' histories, deletions and merges.

    The key comes from BELLWETHER_HUBSPOT_TOKEN (a private app's), or _CLIENT_ID, _CLIENT_SECRET and _REFRESH_TOKEN, or
    from a file that BELLWETHER_KEYS names. A run that ends early loses nothing: the next one goes on.

    Example: bellwether sync hubspot --home ours
    """
    _sync("hubspot", home, mapping, calls)


def sync_tryton(home: HomeDir = None, mapping: OwnMapping = None) -> None:
    """Take what changed in Tryton since the last sync: employees, parties, opportunities with their whole past.

    Keys come from BELLWETHER_TRYTON_URL, _DATABASE, _USER and _PASSWORD, or from a file that BELLWETHER_KEYS names.

    Example: bellwether sync tryton --home ours
    """
    _sync("tryton", home, mapping)


def _sync(crm: str, home: Path | None, mapping: str | None, calls: int | None = None) -> None:
    """Sync into a home that holds no sample company, names to its people book."""
    from serving.crms import connector_of
    from serving.jobs.leases import held
    from serving.jobs.tasks import sync_home
    from serving.settings import Settings

    place = home_of(home)
    connector = connector_of(crm, Settings(), place, calls)
    place.prepare_sync()
    with store_of(place) as store, held(store, "lake"), progress(f"Syncing {connector.declaration.title}") as tell:
        found, _ = sync_home(place, store, connector, tell, mapping)
        store.audit("cli", "sync", crm=crm, taken=found.taken)
    for line in found.lines():
        typer.echo(line)
    typer.echo(f"{found.taken:,} rows read into {place.root}. Next: bellwether train{home_option(home)}")
