"""A period's simulation as rows of reps and teams, and what each rep's expected total is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from models.learners import Floats
from models.rollup import NOBODY, People
from models.simulation import Draws

_COLUMNS = (
    "period_start period_end metric target actual_to_date p10 p50 p90 p_attain "
    "expected_closed expected_open expected_new"
).split()
_REASONS = "entity entity_id feature value text contribution base_value prediction".split()


@dataclass(frozen=True, slots=True)
class PeriodForecast:
    """The simulation of one period and metric, with the expected parts behind it.

    Attributes
    ----------
    draws : Draws
        Closed, deals, new business; sums of them are reps, teams, company.
    open_deals : shape (deals,)
        Expected value of each open deal, in full; of a share won, expected wins.
    expected_new : shape (reps,)
    """

    start: date
    end: date
    metric: str
    people: People
    deals: pd.DataFrame
    draws: Draws
    open_deals: Floats
    expected_new: Floats

    @property
    def expected_open(self) -> Floats:
        """Expected from open deals by rep, shape (reps,)."""
        return np.asarray(self.draws.credit @ self.open_deals)


def rows_of(forecast: PeriodForecast, goals: pd.DataFrame, *, default: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of reps and teams; whoever has no goal is forecast for bookings of the fiscal quarter."""
    same = (
        (goals["period_start"] == forecast.start)
        & (goals["period_end"] == forecast.end)
        & (goals["metric"] == forecast.metric)
    )
    mine = goals[same]
    default = default and forecast.metric == "bookings"
    people, draws = forecast.people, forecast.draws
    totals = draws.reps
    target = {kind: dict(zip(g["owner_id"], g["target"], strict=True)) for kind, g in mine.groupby("owner_kind")}
    busy = (totals.max(axis=1) > 0) & (
        (draws.closed > 0) | (forecast.expected_open > 0) | np.array([r in people.working for r in people.reps])
    )
    reps = [
        {"rep_id": rep, **_line(forecast, totals, [i], target.get("rep", {}).get(rep))}
        for i, rep in enumerate(people.reps)
        if rep != NOBODY and (rep in target.get("rep", {}) or (default and busy[i]))
    ]
    named = target.get("team", {}) | target.get("company", {})
    teams = [
        {"team_id": team, **_line(forecast, totals, members, named.get(team))}
        for team, members in people.teams.items()
        if team in named or default
    ]
    return _told(reps, "rep_id"), _told(teams, "team_id")


def _told(rows: list[dict[str, Any]], key: str) -> pd.DataFrame:
    """Without those whose share won has nothing to be told from: no deal ended or ends."""
    return pd.DataFrame([row for row in rows if np.isfinite(row["p50"])], columns=[key, *_COLUMNS])


def _line(forecast: PeriodForecast, totals: Floats, members: list[int], target: float | None) -> dict[str, Any]:
    sums = forecast.draws.of(members, totals)
    sums = sums[np.isfinite(sums)]
    goal = np.nan if target is None else float(target)
    middle = np.quantile(sums, [0.1, 0.5, 0.9]) if len(sums) else np.full(3, np.nan)
    return {
        "period_start": forecast.start,
        "period_end": forecast.end,
        "metric": forecast.metric,
        "target": goal,
        "actual_to_date": forecast.draws.so_far(members),
        **dict(zip(("p10", "p50", "p90"), middle, strict=True)),
        "p_attain": (float((sums >= goal).sum()) + 1) / (len(sums) + 2) if np.isfinite(goal) else np.nan,
        **_expected(forecast, members),
    }


def _expected(forecast: PeriodForecast, members: list[int]) -> dict[str, float]:
    """What the expected total is made of; shares are no sums of parts."""
    parts = (forecast.draws.closed, forecast.expected_open, forecast.expected_new)
    sums = [np.nan if forecast.draws.against else float(part[members].sum()) for part in parts]
    return dict(zip(("expected_closed", "expected_open", "expected_new"), sums, strict=True))


def explained(forecast: PeriodForecast, wanted: pd.Series) -> pd.DataFrame:
    """What each rep's expected total is made of: closed, every open deal, new business."""
    people, draws = forecast.people, forecast.draws
    places = [people.place[rep] for rep in wanted]
    credit = draws.credit.tocoo()
    deal = np.asarray(forecast.deals["deal_id"], dtype=object)
    chosen = np.isin(credit.row, places) & (forecast.open_deals[credit.col] > 0)
    rows, columns = credit.row[chosen], credit.col[chosen]
    closed, new, worth = draws.closed[places], forecast.expected_new[places], forecast.open_deals[columns]
    parts = pd.DataFrame(
        {
            "place": np.concatenate([places, rows, places]).astype(np.intp),
            "feature": [*["closed"] * len(places), *("deal:" + deal[columns]), *["new business"] * len(places)],
            "value": np.concatenate([closed, worth, new]),
            "contribution": np.concatenate([closed, worth * credit.data[chosen], new]),
        }
    )
    total = draws.closed + forecast.expected_open + forecast.expected_new
    place = parts.pop("place").to_numpy()
    parts.insert(0, "entity", "rep")
    parts.insert(1, "entity_id", np.array(people.reps, dtype=object)[place])
    parts.insert(4, "text", parts["feature"].str.removeprefix("deal:"))
    return parts.assign(base_value=0.0, prediction=total[place], _period=f"{forecast.start} {forecast.end}")


def joined(tables: list[pd.DataFrame], key: str) -> pd.DataFrame:
    """Tables of several periods one below the other; the columns alone where none has a row."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=[key, *_COLUMNS])


def first_period(explained: list[pd.DataFrame]) -> pd.DataFrame:
    """Reasons of one period a rep: the fiscal quarter's if there is one."""
    if not explained:
        return pd.DataFrame(columns=_REASONS)
    reasons = pd.concat(explained, ignore_index=True)
    first = reasons.groupby("entity_id")["_period"].transform("first")
    return reasons.loc[reasons["_period"] == first, _REASONS].reset_index(drop=True)
