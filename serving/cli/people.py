"""Verbs on persons' data: export, erase, tidy; what it may be used for: purposes, agree, withdraw."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from crm.errors import BadInput
from serving.cli.common import AsOf, HomeDir, echo_table, home_that_is, moment_of, store_of

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


@people.command("coaching")
def show_coaching(
    key: Annotated[str, typer.Argument(help="rep_id.")],
    home: HomeDir = None,
    as_of: AsOf = None,
) -> None:
    """Show a person's strengths and themes against colleagues on like deals; needs the agreement to coaching.

    Example: bellwether people coaching U0005
    """
    from crm.lake import newest_event
    from planning.habits import LEAST_DEALS
    from serving.format import Formats
    from serving.i18n import language
    from serving.pages.habit_words import became, habit_name, sentence
    from serving.people_data.purposes import PurposeOff, Purposes
    from serving.people_data.subjects import subject_of
    from serving.people_data.views import BY_COMMAND, note_looks
    from serving.rep_coaching import HabitBook
    from serving.reports import SalesBook

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    subject = subject_of(view, key)
    with store_of(place) as store:
        if company.people.level != "person" or not Purposes(store, company).allowed("coaching"):
            raise PurposeOff("coaching")
        note_looks(store, BY_COMMAND, [subject.ident], {subject.ident: subject.person_key}, what="coaching")
    moment = moment_of(as_of) or newest_event(view)
    found = HabitBook(SalesBook()).read(view, view.cut.number, company, moment).of(subject.ident)
    english = language("en")
    formats = Formats(english, company.base_currency, company.zone, moment)
    if not found.gaps:
        typer.echo(f"Too few deals to compare: {found.deals}. A habit is compared from {LEAST_DEALS} on.")
    rows = [("strength", gap) for gap in found.strengths] + [("theme", gap) for gap in found.themes]
    lines = [[word, habit_name(english, gap.habit), sentence(formats, gap)] for word, gap in rows]
    echo_table(["", "habit", "what was found"], lines)
    for one in found.since:
        typer.echo(f"theme of 90 days ago: {habit_name(english, one.then.habit)}. {became(formats, one)}")


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
