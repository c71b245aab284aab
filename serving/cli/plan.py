"""Verbs about the plan: its goals, a target split over people, and where everybody stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crm.errors import BadInput
from serving.cli.common import AsOf, HomeDir, echo_table, home_that_is, moment_of, store_of

if TYPE_CHECKING:
    import pandas as pd

    from planning.overview import Plan

    Shown = Callable[[pd.DataFrame], pd.DataFrame]

plan = typer.Typer(no_args_is_help=True, help="Goals, how they are split, and where everybody stands.")

Out = Annotated[Path | None, typer.Option("--out", help="File to write all columns to: .csv or .json.")]

_SHOWN = {
    "goals": "owner_id metric period target actual attainment p_attain letters finding",
    "pace": "owner_id metric period target actual due gap pace status deals opportunities activities",
}
_SHARES = ("attainment", "p_attain", "due", "expected", "rate_needed")


class Way(StrEnum):
    """How a target is split."""

    equal = "equal"
    history = "history"
    capacity = "capacity"
    potential = "potential"
    blend = "blend"


class BadPair(BadInput):
    """An option of the form NAME=NUMBER cannot be read."""

    def __init__(self, option: str, text: str) -> None:
        super().__init__(f"{option} is '{text}'. Give a name and a number of 0 or more, such as {option} U0001=450000.")


class BadFile(BadInput):
    """A table is to be written to a file of a kind that is not known."""

    def __init__(self, out: Path) -> None:
        super().__init__(f"--out is '{out}'. Give a name that ends in .csv or .json.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(plan, name="plan")


@plan.command("goals")
def show_goals(home: HomeDir = None, as_of: AsOf = None, out: Out = None) -> None:
    """Show the goals that run: what is reached, the chance to get there, and what a check of each finds.

    Example: bellwether plan goals --out goals.csv
    """
    from planning.overview import goals_table

    found, shown = _plan_of(home, as_of)
    _show(shown(goals_table(found)), _SHOWN["goals"].split(), out)


@plan.command("pace")
def show_pace(home: HomeDir = None, as_of: AsOf = None, out: Out = None) -> None:
    """Show where each goal should be today by the season, the gap, and the deals and activities that would close it.

    Example: bellwether plan pace --as-of 2026-02-28
    """
    from planning.overview import pace_table

    found, shown = _plan_of(home, as_of)
    _show(shown(pace_table(found)), _SHOWN["pace"].split(), out)


@plan.command("cascade")
def show_cascade(
    goal: Annotated[
        str | None, typer.Option("--goal", help="Goal of company or team; unset: the company's that runs.")
    ] = None,
    method: Annotated[Way, typer.Option("--method", help="How to weigh people.")] = Way.capacity,
    share: Annotated[
        list[str] | None, typer.Option("--share", help="For blend, METHOD=SHARE; may be given several times.")
    ] = None,
    pin: Annotated[
        list[str] | None, typer.Option("--pin", help="OWNER=NUMBER stays as it is; may be given several times.")
    ] = None,
    over_assign: Annotated[float, typer.Option(min=0, max=1, help="Handed out above the target, such as 0.05.")] = 0,
    home: HomeDir = None,
    as_of: AsOf = None,
    out: Out = None,
) -> None:
    """Split a goal over teams, people and months; sums stay exact. Nothing is stored.

    Example: bellwether plan cascade --method blend --share capacity=0.7 --share history=0.3 --pin U0003=450000
    """
    from planning.splitting import cascade_table

    shares = {name: float(value) for name, value in _pairs("--share", share).items()}
    table, fair = cascade_table(
        _plan_of(home, as_of)[0], goal, method.value, shares=shares, pins=_pairs("--pin", pin),
        over_assign=Decimal(str(over_assign)),
    )  # fmt: skip
    _show(table, [name for name in table.columns if name not in ("owner_kind", "weight")], out)
    if fair:
        typer.echo(f"fairness {fair.value:.2f} ({fair.word}): expected to reach {fair.overall:.0%} together, "
                   f"least {fair.lowest} {fair.expected[fair.lowest]:.0%}, "
                   f"most {fair.highest} {fair.expected[fair.highest]:.0%}")  # fmt: skip
    else:
        typer.echo("No forecast of this period to judge fairness by: bellwether score")


def _plan_of(home: Path | None, as_of: str | None) -> tuple[Plan, Shown]:
    """The plan at a moment, and what takes out of its tables the persons and teams that are not shown."""
    from crm.lake import newest_event
    from planning.overview import Plan, forecasts_of
    from serving.goals import WithGoals
    from serving.scores import ScoreBook, Scores

    place = home_that_is(home)
    company = place.company()
    with store_of(place) as store:
        view = WithGoals(place.lake.view(), store)  # goals set since the last scoring too
    # Scores tell of the newest moment alone.
    scores = ScoreBook(place.scores, place.lake).newest(company) if as_of is None else Scores()
    frames = scores.seen_at_machine(company.people).frames
    known = {"reps", "teams"} <= frames.keys()
    forecasts = forecasts_of(frames["reps"], frames["teams"]) if known else {}
    moment = moment_of(as_of)
    # A goal is mostly set after the newest event; asked for a moment, what was set later was not known.
    found = Plan(view, company, moment or newest_event(view), forecasts, None if moment else datetime.now(UTC))
    if company.people.level == "person":
        return found, lambda table: table
    return found, partial(_without_persons, teams=frozenset(frames["teams"]["team_id"]) if known else frozenset())


def _without_persons(table: pd.DataFrame, *, teams: frozenset[str]) -> pd.DataFrame:
    """Goals of the company and of teams whose figures are shown."""
    if table.empty:
        return table
    kind = table["owner_kind"]
    return table[(kind == "company") | ((kind == "team") & table["owner_id"].isin(teams))]


def _pairs(option: str, given: list[str] | None) -> dict[str, Decimal]:
    found = {}
    for text in given or ():
        name, _, number = text.partition("=")
        try:
            found[name] = Decimal(number)
        except InvalidOperation:
            raise BadPair(option, text) from None
        if not name or not found[name].is_finite() or found[name] < 0:
            raise BadPair(option, text)
    return found


def _show(table: pd.DataFrame, columns: list[str], out: Path | None) -> None:
    if table.empty:
        typer.echo("No goal runs at that moment. Import the table goals, or give another --as-of.")
        return
    if out is not None:
        _write(table, out)
        return
    there = [name for name in columns if name in table.columns]
    rows = [[_cell(name, value) for name, value in zip(there, row, strict=True)] for row in table[there].to_numpy()]
    echo_table(there, rows)


def _write(table: pd.DataFrame, out: Path) -> None:
    numbers = {name: column for name in table if (column := table[name]).map(lambda v: isinstance(v, Decimal)).any()}
    table = table.assign(**{name: column.astype(float) for name, column in numbers.items()})
    writers = {
        ".csv": lambda: table.to_csv(out, index=False),
        ".json": lambda: table.to_json(out, orient="records", force_ascii=False, indent=1),
    }
    write = writers.get(out.suffix.lower())
    if write is None:
        raise BadFile(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    write()
    typer.echo(f"{len(table):,} rows in {out}")


def _cell(name: str, value: Any) -> str:
    if value is None or value != value:  # a missing number
        return ""
    if isinstance(value, (str, date)):
        return str(value)
    if name in _SHARES:
        return f"{value:.0%}"
    if name == "pace" or (abs(value) < 10 and value % 1):  # rates and marks
        return f"{value:.2f}"
    return f"{value:,.0f}"
