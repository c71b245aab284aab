"""Verbs on persons' data: export, erase, tidy; what it may be used for: purposes, agree, withdraw."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from crm.errors import BadInput
from serving.cli.common import HomeDir, echo_table, home_that_is, store_of

people = typer.Typer(no_args_is_help=True, help="Persons' data: names, figures, uses agreed to.")

Key = Annotated[str, typer.Argument(help="person_key, rep_id or contact_id.")]
PurposeName = Annotated[str, typer.Argument(help="coaching, appraisal, pay or contests.")]


class BadDay(BadInput):
    """A day is written in a way that is not known."""

    def __init__(self, text: str) -> None:
        super().__init__(f"--on is '{text}'. Give a day such as 2026-02-28.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(people, name="people")


@people.command("export")
def export(
    key: Key,
    out: Annotated[Path | None, typer.Option("--out", help="ZIP to write; unset: person-KEY.zip.")] = None,
    home: HomeDir = None,
) -> None:
    """Write all that store and data hold on a person into a ZIP, to be handed to that person.

    Example: bellwether people export U0005 --out u0005.zip
    """
    from serving.people_data.exporting import export_person
    from serving.people_data.subjects import subject_by_key
    from serving.people_data.views import BY_COMMAND, note_looks
    from serving.scores import ScoreBook

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    subject = subject_by_key(view, key)
    path = out or Path(f"person-{subject.person_key}.zip")
    with store_of(place) as store:
        scores = ScoreBook(place.scores, place.lake).newest(company)
        made = export_person(subject, view=view, company=company, store=store, scores=scores)
        store.audit("cli", "export person", person_key=subject.person_key)
        note_looks(store, BY_COMMAND, [subject.ident], {subject.ident: subject.person_key}, what="export")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made)
    typer.echo(f"{path}: {len(made):,} bytes on {subject.person_key}. It names a person: keep it safe.")


@people.command("erase")
def erase_person(key: Key, home: HomeDir = None) -> None:
    """Delete a person's name, addresses, sign-in and words; the next import does not bring them back.

    Example: bellwether people erase p_0123456789abcdef
    """
    from serving.people_data.erasing import erase_person as erase
    from serving.people_data.subjects import subject_by_key

    place = home_that_is(home)
    subject = subject_by_key(place.lake.view(), key)
    with store_of(place) as store:
        erase(store, subject, who="cli")
    typer.echo(f"Nothing personal of {subject.person_key} is left.")


@people.command("tidy")
def tidy_people(home: HomeDir = None) -> None:
    """Take out figures and logs on persons that are older than people.keep_months; run it every night.

    Example: bellwether people tidy
    """
    from serving.people_data.tidying import tidy

    place = home_that_is(home)
    company = place.company()
    with store_of(place) as store:
        found = asdict(tidy(store, company))
    months = f"older than {company.people.keep_months} months"
    if not any(found.values()):
        typer.echo(f"Nothing on persons is {months}.")
        return
    for name, rows in found.items():
        typer.echo(f"{name}: {rows:,} {months}, taken out")


@people.command("purposes")
def show_purposes(home: HomeDir = None) -> None:
    """Show what figures on persons may be used for, and who agreed to it.

    Example: bellwether people purposes
    """
    from serving.people_data.purposes import Purposes

    place = home_that_is(home)
    with store_of(place) as store:
        states = Purposes(store, place.company()).all()
    rows = []
    for state in states:
        agreed = state.agreements[0] if state.on else None
        said = f"{agreed.agreed_by}, {agreed.agreed_on}" if agreed else state.why_off
        rows.append([state.purpose, "on" if state.on else "off", said])
    echo_table(["purpose", "", "agreed by"], rows)


@people.command("agree")
def agree(
    purpose: PurposeName,
    by: Annotated[str, typer.Option("--by", help="Who agreed, such as 'works council'.")],
    on: Annotated[str, typer.Option("--on", help="Day on which they agreed, such as 2026-02-28.")],
    note: Annotated[str, typer.Option("--note", help="What was agreed.")] = "",
    home: HomeDir = None,
) -> None:
    """Record who agreed that figures on persons are used for a purpose; it is on from then.

    Example: bellwether people agree coaching --by council --on 2026-02-20
    """
    from serving.people_data.purposes import Purposes

    place = home_that_is(home)
    with store_of(place) as store:
        Purposes(store, place.company()).record(purpose, agreed_by=by, agreed_on=_day(on), note=note, who="cli")
    typer.echo(f"Figures on persons may be used for {purpose}.")


@people.command("withdraw")
def withdraw(
    purpose: PurposeName,
    why: Annotated[str, typer.Option("--why", help="Why it ends.")] = "",
    home: HomeDir = None,
) -> None:
    """Withdraw a purpose: it is off from now, and that it was on stays recorded.

    Example: bellwether people withdraw coaching --why ended
    """
    from serving.people_data.purposes import Purposes

    place = home_that_is(home)
    with store_of(place) as store:
        Purposes(store, place.company()).withdraw(purpose, why=why, who="cli")
    typer.echo(f"Figures on persons are no longer used for {purpose}.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadDay(text) from None
