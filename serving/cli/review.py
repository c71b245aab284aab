"""Verbs about reviews: the pack as files, meetings that were held, actions with who and by when."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.common import HomeDir, echo_table, home_that_is, progress, store_of

reviews = typer.Typer(no_args_is_help=True, help="Review meetings: what was held, who does what by when.")


class Period(StrEnum):
    """How often a review is held."""

    weekly = "weekly"
    monthly = "monthly"
    quarterly = "quarterly"


class Tongue(StrEnum):
    """A language of the pack."""

    en = "en"
    zh = "zh"


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("review")(review)
    app.add_typer(reviews, name="reviews")


def review(
    period: Annotated[Period, typer.Option("--period", help="How often the review is held.")] = Period.weekly,
    team: Annotated[str | None, typer.Option("--team", help="Key of a team; unset: the whole company.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("review"),
    language: Annotated[Tongue | None, typer.Option("--language", help="One language alone; unset: both.")] = None,
    home: HomeDir = None,
) -> None:
    """Write the pack of a review meeting as HTML, PDF and Excel, from the newest scores.

    Example: bellwether review --period weekly --team T-EUROPE --out packs
    """
    from serving.reviews.writing import write_packs

    place = home_that_is(home)
    with store_of(place) as store, progress("Writing the pack") as tell:
        tongues = [language.value] if language else [tongue.value for tongue in Tongue]
        written = write_packs(place, store, period.value, team, out, tongues, tell)
    for path in written.files:
        typer.echo(str(path))
    for sentence in written.left_out:
        typer.echo(sentence)


@reviews.command("list")
def list_reviews(home: HomeDir = None) -> None:
    """List the meetings that were held, the newest first.

    Example: bellwether reviews list --home var
    """
    from serving.reviews.meetings import Meetings

    with store_of(home_that_is(home)) as store:
        meetings = Meetings(store)
        series = {one.series_id: one for one in meetings.series(ended=True)}
        rows = [
            [r.review_id, series[r.series_id].rhythm, series[r.series_id].team_id, r.day,
             "sent" if r.sent_at else "written" if r.closed_at else "going on"]
            for r in meetings.reviews()
        ]  # fmt: skip
    if rows:
        echo_table(["review", "period", "team", "day", "minutes"], rows)
    else:
        typer.echo("No meeting was held yet. Plan one on the page Reviews, or by POST /api/v1/reviews/series.")


@reviews.command("actions")
def list_actions(
    every: Annotated[bool, typer.Option("--all", help="Done and dropped ones too.")] = False, home: HomeDir = None
) -> None:
    """List actions with who does them by when, and how often each was carried over.

    Example: bellwether reviews actions --all
    """
    from serving.reviews.meetings import Meetings

    with store_of(home_that_is(home)) as store:
        found = [a for a in Meetings(store).actions() if every or a.state in ("open", "doing")]
    if found:
        rows = [[a.action_id, a.text, a.rep_id, a.due, a.state, a.carried] for a in found]
        echo_table(["action", "what", "who", "by", "state", "carried"], rows)
    else:
        typer.echo("No action is open.")


@reviews.command("minutes")
def show_minutes(number: Annotated[int, typer.Argument(help="Of the meeting.")], home: HomeDir = None) -> None:
    """Print the minutes of a meeting as they were written.

    Example: bellwether reviews minutes 5
    """
    from serving.reviews.meetings import Meetings

    with store_of(home_that_is(home)) as store:
        found = Meetings(store).review(number)
    typer.echo(found.minutes or f"The review of {found.day} is still going on; close it to write its minutes.")


@reviews.command("remind")
def send_reminders(
    show: Annotated[bool, typer.Option("--show", help="Only show who would be reminded of what.")] = False,
    home: HomeDir = None,
) -> None:
    """Mail each person the actions that are due or overdue; once a working day, however often it is called.

    Example: bellwether reviews remind --show
    """
    from datetime import UTC, datetime

    from serving.mail import Mail, NoMail
    from serving.reviews.reminders import due, remind
    from serving.settings import Settings

    place, mail, now = home_that_is(home), Mail(Settings()), datetime.now(UTC)
    company = place.company()
    with store_of(place) as store:
        view = place.lake.view()
        if show:
            found = due(store, view, company, now.astimezone(company.zone).date())
            for rep, one in sorted(found.items()):
                for text, day in one.own:
                    typer.echo(f"{rep}: {text}, due {day}")
                for text, who, times in one.stuck:
                    typer.echo(f"{rep}: {text} of {who}, carried over {times} times")
            typer.echo(f"{len(found)} people would be reminded")
            return
        if not mail.ready:
            raise NoMail
        done = remind(store, view, company, mail, now)
    typer.echo(f"{done.sent} reminders sent, {len(done.failed)} not taken by the mail server")
    for why in done.failed[:1]:
        typer.echo(why)
