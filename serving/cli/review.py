"""The verb that writes a review pack."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.common import HomeDir, home_that_is, progress, store_of


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
    """Add the verb of this module."""
    app.command("review")(review)


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
