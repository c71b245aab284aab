"""People: who is on pace, what did each do this week, who carries too much? As far as the company shows persons."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from serving.format import MISSING
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import Outcome
from serving.pages.rail import Rail
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.people_data.week import GROUPS, week_of

router = APIRouter(include_in_schema=False)
RAIL = Rail("people", "people", 1, lambda say: say("People"), "/people")
_BEHIND = 0.9  # of the share of the goal that the days gone ask for


class Done(NamedTuple):
    """What was done in the week, and in a usual one; `more` or `less` than that, or neither."""

    done: str
    usual: str
    kind: str


class Row(NamedTuple):
    """One person."""

    name: str
    team: str
    address: str
    closed: str
    share: str
    pace: str
    behind: bool
    chance: str
    week: list[Done]
    deals: str
    amount: str


@router.get("/people")
def show_people(desk: DeskDep) -> HTMLResponse:
    """Each person that the visitor may see figures of, by team."""
    if (missing := desk.without("reps", "people")) is not None:
        return missing
    reps = desk.outcomes(desk.frame("reps"))
    reps = reps[reps["target"].notna() | (reps["p90"] > 0)]  # most managers have neither goal nor business
    shown = [str(rep) for rep in reps["rep_id"]]
    note_looks(desk.store, desk.viewer, shown, keys_of(desk.view), what="page people")
    rows = _rows(desk, reps, shown) if shown else []
    return desk.show(
        "people.html",
        "people",
        rows=rows,
        finding=_finding(desk, rows),
        level=desk.company.people.level,
        kinds=[_kind(desk, group) for group in GROUPS],
    )


def _rows(desk: Desk, reps: pd.DataFrame, shown: list[str]) -> list[Row]:
    week = week_of(desk.view, shown, now=desk.as_of).set_index(["rep_id", "group"])
    deals = desk.facts.deals
    opened = deals[(deals["outcome"] == "open") & (deals["kind"].fillna("new") != "lead")]
    load = opened[opened["owner_id"].isin(shown)].groupby("owner_id")["amount"].agg(["size", "sum"])
    rows = [_row(desk, str(r["rep_id"]), Outcome.of(r), week, load) for r in reps.to_dict("records")]
    return sorted(rows, key=lambda row: (row.team, row.name))


def _row(desk: Desk, rep: str, outcome: Outcome, week: pd.DataFrame, load: pd.DataFrame) -> Row:
    f, pace = desk.formats, _pace(outcome, desk)
    size, amount = (load.loc[rep, "size"], load.loc[rep, "sum"]) if rep in load.index else (0, 0.0)
    return Row(
        desk.names.get(rep, rep),
        desk.team_name_of.get(rep, ""),
        f"/people/{quote(rep, safe='')}",
        f.money(outcome.closed) if outcome.money else f.number(outcome.closed),
        f.percent(outcome.closed / outcome.target) if outcome.target else MISSING,
        f.percent(pace) if pace is not None else MISSING,
        pace is not None and pace < _BEHIND,
        f.chance(outcome.p_attain),
        [_done(desk, week.loc[(rep, group)]) for group in GROUPS],
        f.number(float(size)),
        f.money(float(amount)),
    )


def _pace(outcome: Outcome, desk: Desk) -> float | None:
    """What is closed against the share of the goal that the days gone ask for."""
    end = outcome.pace(desk.today)
    return end / outcome.target if end is not None and outcome.target else None


def _done(desk: Desk, row: pd.Series) -> Done:
    done, usual = float(row["done"]), float(row["usual"])
    if pd.isna(usual):
        return Done(desk.formats.number(done), MISSING, "")
    kind = "more" if done > usual else "less" if done < usual else ""
    return Done(desk.formats.number(done), desk.formats.number(usual, 1 if usual % 1 else 0), kind)


def _finding(desk: Desk, rows: list[Row]) -> str:
    say, paced = desk.language.say, [row for row in rows if row.pace != MISSING]
    if not rows:
        return say("There are no figures on persons that you may see.")
    if not paced:
        return say("The period has just begun, or nobody here has a goal.")
    return say(
        "{behind} of {all} with a goal are clearly behind its pace.",
        behind=desk.formats.number(sum(row.behind for row in paced)),
        all=desk.formats.number(len(paced)),
    )


def _kind(desk: Desk, group: str) -> str:
    say = desk.language.say
    return {"calls": say("Calls"), "emails": say("E-mails")}.get(group, say("Meetings"))
