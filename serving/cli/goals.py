"""Verbs that set goals: one goal, the rest of a period split anew, and taking either back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from crm.errors import BadInput
from serving.cli.common import HomeDir, echo_table, home_that_is, store_of
from serving.cli.plan import plan

if TYPE_CHECKING:
    from pathlib import Path

    from planning.resplit import Resplit, StaffChange
    from serving.goal_changes import Desk

Why = Annotated[str, typer.Option("--why", help="The reason; kept in the history of each goal.")]
GoalId = Annotated[
    str | None, typer.Option("--goal", help="Goal of company or team; unset: the highest of bookings that runs.")
]


class Vacancy(StrEnum):
    """Who carries what a leaver leaves."""

    team = "team"
    redistribute = "redistribute"


class Weigh(StrEnum):
    """How stretches of a period weigh."""

    days = "days"
    season = "season"


class BadStaffText(BadInput):
    """A change of staff cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"--staff is '{text}'. Give a word of leaves, joins, moves, a rep_id, a day and where there is one a team, "
            "such as --staff 'leaves U0003 2026-05-16' or --staff 'moves U0003 2026-05-16 T-EUROPE'."
        )


class NoReason(BadInput):
    """Goals are changed without a reason."""

    def __init__(self) -> None:
        super().__init__("--why: give the reason, which is kept in the history of each goal.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module, among those of the plan."""
    plan.command("set")(set_goal)
    plan.command("resplit")(resplit_goal)
    plan.command("undo")(undo_goals)


def set_goal(
    owner: Annotated[str, typer.Argument(help="company, team:TEAM_ID or rep:REP_ID.")],
    metric: Annotated[str, typer.Argument(help="What is counted, such as bookings.")],
    start: Annotated[str, typer.Argument(help="First day, such as 2026-04-01.")],
    end: Annotated[str, typer.Argument(help="First day after, such as 2026-07-01.")],
    target: Annotated[float, typer.Argument(min=0, help="Money, a count, or a share for rates.")],
    why: Why,
    product: Annotated[str | None, typer.Option("--product", help="Narrowed to this product_id.")] = None,
    segment: Annotated[str | None, typer.Option("--segment", help="Narrowed to this segment of customers.")] = None,
    home: HomeDir = None,
) -> None:
    """Set a goal; the goal above it is found by itself.

    Example: bellwether plan set team:T-EUROPE bookings 2026-04-01 2026-07-01 900000 --why "agreed on 12 March"
    """
    from serving.goals import id_of

    kind, _, ident = owner.partition(":")
    fields = {
        "owner_kind": kind, "owner_id": ident or kind, "metric": metric, "product_id": product, "product_family": None,
        "segment": segment, "period_start": _day(start), "period_end": _day(end), "target": target, "currency": None,
        "parent_goal_id": None,
    }  # fmt: skip
    with _desk(home) as desk:
        made = desk.make(fields | {"parent_goal_id": desk.above(fields)}, _reason(why))
    typer.echo(f"goal {id_of(made.goal_number)} is set: {owner}, {metric}, {target:,.0f}")


def resplit_goal(
    goal: GoalId = None,
    staff: Annotated[
        list[str] | None,
        typer.Option("--staff", help="Somebody whom the data does not have: WHAT REP DAY [TEAM]; several times."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="A change in the data that is left out, as it is listed.")
    ] = None,
    vacancy: Annotated[
        Vacancy, typer.Option("--vacancy", help="What a leaver leaves: to the team's open seat, or the others.")
    ] = Vacancy.team,
    rebase: Annotated[
        bool, typer.Option("--rebase", help="Split the rest anew where a newcomer finds no open seat.")
    ] = False,
    by: Annotated[Weigh, typer.Option("--by", help="Stretches weigh by working days or by the season.")] = Weigh.days,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the numbers the goals; else they are only shown.")
    ] = False,
    why: Why = "",
    home: HomeDir = None,
) -> None:
    """Split the rest of a period anew for who joins, leaves or moves; each team's sum stays.

    Example: bellwether plan resplit --staff "leaves U0003 2026-05-16" --vacancy redistribute
    """
    from planning.resplit import ResplitWish, check_left_out
    from serving.resplit import apply as keep
    from serving.resplit import preview

    more = [_staff(text) for text in staff or ()]
    wish = ResplitWish(vacancy.value, rebase, by.value, more, frozenset(without or ()))
    with _desk(home) as desk:
        _, found = preview(desk, goal, wish)
        check_left_out(found, without or [])
        _echo(found)
        if apply:
            made, batch = keep(desk, found, _reason(why))
            typer.echo(f"{len(made)} goals set. To take it back: bellwether plan undo {batch}")


def undo_goals(
    batch: Annotated[str, typer.Argument(help="Name of what was done, as it was printed or a history has it.")],
    why: Why = "taken back",
    home: HomeDir = None,
) -> None:
    """Take back what was done to goals in one go, such as a split.

    Example: bellwether plan undo 5b0c6f0e8d7a4b1f9c2e3d4a5b6c7d8e
    """
    with _desk(home) as desk:
        typer.echo(f"{len(desk.undo(batch, why))} goals are as they were before.")


@contextmanager
def _desk(home: Path | None) -> Iterator[Desk]:
    """The goals as whoever works at the machine sets them."""
    from serving.access import Sight, Viewer
    from serving.dependencies import Server
    from serving.goal_changes import Desk
    from serving.settings import Settings

    place = home_that_is(home)
    with store_of(place) as store:
        server = Server(Settings(home=place.root), place, store)
        company = server.company()
        open_to_all = company.people.level == "person"
        sight = Sight() if open_to_all else Sight(persons=frozenset(), least=company.people.min_group)
        yield Desk(server, Viewer("admin", "command line"), sight, server.book.newest(company).as_of)


def _echo(found: Resplit) -> None:
    for one in found.found:
        settled = " (settled)" if one.key in found.done else ""
        where = " -> ".join(team for team in (one.team_id, one.to_team) if team)
        typer.echo(f"{one.key} {where}{settled}")
    rows = found.table()
    if rows.empty:
        typer.echo("Nobody's part changes.")
        return
    echo_table(
        ["owner", "team", "before", "after", "change", "parts"],
        [
            [r["owner_id"], r["team_id"], f"{r['before']:,.0f}", f"{r['after']:,.0f}", f"{r['change']:+,.0f}",
             "; ".join(f"{p.start}..{p.end} {p.target:,.0f}" for p in r["parts"])]
            for r in rows.to_dict("records")
        ],
    )  # fmt: skip


def _staff(text: str) -> StaffChange:
    from planning.resplit import WHATS, StaffChange

    words = text.split()
    what = next((one for one in WHATS if words and one == words[0]), None)
    try:
        day = date.fromisoformat(words[2])
    except (IndexError, ValueError):
        day = None
    if what is None or day is None or len(words) != (3 if what == "leaves" else 4):
        raise BadStaffText(text)
    return StaffChange(what, words[1], day, None, words[3] if len(words) == 4 else None)


def _day(text: str) -> date:
    from serving.cli.risks import BadDay

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadDay(text) from None


def _reason(why: str) -> str:
    if len(why.strip()) < 3:
        raise NoReason
    return why.strip()
