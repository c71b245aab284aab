"""Is the plan working, as one viewer may see it: results of the last quarter, what was changed and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pandas as pd

from crm.fiscal import Period
from planning.goals import COMPANY, Goal, actual
from planning.record import Result, Rival, Voice, last_quarter, market_share, results, rivals, voices
from serving.goals import Goals
from serving.pages.outlook import as_day
from serving.reviews.desk import ReviewDesk

MOST = 40
_FIGURES = ("metric", "p10", "p50", "p90")


class Change(NamedTuple):
    """A decision of a review, or goals that were changed: the forecast before it, and what came.

    Attributes
    ----------
    owner : str
        'company', or the team that the forecast and the result are of.
    goals : int
        How many goals were changed in that one go; 0 for a decision.
    before, after : float or None
        Target of that owner's goal, where it was changed.
    forecast : mapping or None
        metric, p10, p50, p90, period_start, period_end of the last forecast before; None where there was none.
    result : float or None
        None while the period runs.
    """

    kind: Literal["decision", "goal"]
    at: datetime
    owner: str
    rhythm: str
    text: str
    metric: str
    goals: int
    before: float | None
    after: float | None
    forecast: Mapping[str, Any] | None
    over: bool
    result: float | None


@dataclass(frozen=True)
class PlanRecord:
    """Everything that the page tells.

    Attributes
    ----------
    period : Period, optional
        The last quarter that is over and wholly on record.
    whole : bool
        Whether the viewer sees the company's figures: surveys, market share and competitors are shown then.
    """

    period: Period | None
    whole: bool
    results: Sequence[Result]
    changes: Sequence[Change]
    voices: Sequence[Voice]
    rivals: Sequence[Rival]
    share: float | None
    share_note: str


def plan_record(meetings: ReviewDesk) -> PlanRecord:
    """The record as far as the viewer may see it."""
    material, whole = meetings.material, meetings.sees(COMPANY)
    period = last_quarter(material.reached, material.company)
    found = results(material.reached, material.plan.goals, material.company, period) if period else []
    share, note = market_share(material.reached, period) if period and whole else (None, "")
    shown = period if whole else None
    return PlanRecord(
        period, whole, [r for r in found if _sees_result(meetings, r)], changes(meetings),
        voices(material.view, material.company, material.today, shown) if shown else [],
        rivals(material.view, material.reached, shown) if shown else [], share, note,
    )  # fmt: skip


def changes(meetings: ReviewDesk) -> list[Change]:
    """Decisions of the viewer's meetings and changes of goals, the newest first."""
    every = [*_decisions(meetings), *_goal_changes(meetings)]
    return sorted(every, key=lambda c: c.at, reverse=True)[:MOST]


def _decisions(meetings: ReviewDesk) -> Iterator[Change]:
    for series, review in meetings.reviews()[:MOST]:
        for one in meetings.meetings.decisions(review.review_id):
            over, came = _came(meetings, series.team_id, one.forecast)
            metric = one.forecast["metric"] if one.forecast else ""
            yield Change("decision", one.made_at, series.team_id, series.rhythm, one.text, metric, 0, None, None,
                         one.forecast, over, came)  # fmt: skip


def _goal_changes(meetings: ReviewDesk) -> Iterator[Change]:
    """One a batch: told of its highest goal that the viewer sees as a whole."""
    goals = Goals(meetings.material.ledger.store)
    batches: dict[str, list[Any]] = {}
    for change in goals.newest(2000):
        batches.setdefault(change.batch or f"one {change.change_id}", []).append(change)
    for rows in list(batches.values())[:MOST]:
        told = [(row, row.after or row.before) for row in rows]
        wide = [(row, v) for row, v in told if v and v["owner_kind"] != "rep" and _sees_owner(meetings, v)]
        if not wide:
            continue
        row, values = min(wide, key=lambda pair: (pair[1]["owner_kind"] != COMPANY, pair[0].goal_number))
        owner = COMPANY if values["owner_kind"] == COMPANY else str(values["owner_id"])
        forecast = _forecast_before(meetings, owner, values, row.at)
        over, came = _came(meetings, owner, forecast or values)
        before, after = ((v or {}).get("target") for v in (row.before, row.after))
        yield Change("goal", row.at, owner, "", row.why, str(values["metric"]), len(rows), before, after, forecast,
                     over, came)  # fmt: skip


def _forecast_before(
    meetings: ReviewDesk, owner: str, values: Mapping[str, Any], at: datetime
) -> dict[str, Any] | None:
    """The last forecast of that period issued before a moment."""
    said = meetings.material.ledger.forecasts_of("issued", "team", owner)
    if said.empty:
        return None
    start, end = as_day(values["period_start"]), as_day(values["period_end"])
    same = (said["metric"] == values["metric"]) & (said["as_of"] <= pd.Timestamp(at))
    for name, day in (("period_start", start), ("period_end", end)):
        same &= pd.to_datetime(said[name]).dt.date == day
    rows = said[same].tail(1).to_dict("records")
    if not rows:
        return None
    return {name: rows[0][name] for name in _FIGURES} | {"period_start": start, "period_end": end}


def _came(meetings: ReviewDesk, owner: str, told: Mapping[str, Any] | None) -> tuple[bool, float | None]:
    """Whether a period is over, and its result then."""
    if not told:
        return False, None
    start, end = as_day(told["period_start"]), as_day(told["period_end"])
    if end > meetings.material.today:
        return False, None
    goal = Goal("", COMPANY if owner == COMPANY else "team", owner, told["metric"], start, end, None)
    return True, actual(goal, meetings.material.reached).value


def _sees_owner(meetings: ReviewDesk, values: Mapping[str, Any]) -> bool:
    kind, owner = values["owner_kind"], values["owner_id"]
    return meetings.sees(COMPANY) if kind == COMPANY else _sees_team(meetings, str(owner))


def _sees_result(meetings: ReviewDesk, one: Result) -> bool:
    """The company's figures for whoever sees it; teams' where they are shown and not withheld."""
    return meetings.sees(COMPANY) if one.owner_kind == COMPANY else _sees_team(meetings, one.owner_id)


def _sees_team(meetings: ReviewDesk, team: str) -> bool:
    teams = meetings.material.scores.frames.get("teams")
    return teams is not None and team in set(teams["team_id"]) and meetings.sees(team)
