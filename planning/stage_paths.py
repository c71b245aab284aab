"""How deals went through their stages: first visits, when each was passed or lost, and rates of it over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.lake import View, connect
from crm.stages import ANY, stage_order

COLUMNS = ("deal_id", "pipeline", "stage", "place", "entered", "left", "passed", "lost", "skipped")
_DAY = pd.Timedelta(days=1)

# As in features.as_of: what is no open stage says how a deal ended, and a deal whose stage was never logged was in the
# pipeline's first stage all along.
_ENTRIES = """
with d as (
    select deal_id, coalesce(pipeline, '*') as pipeline, stage, created_at,
           case when closed_at <= $moment then outcome else 'open' end as outcome,
           case when closed_at <= $moment then closed_at end as closed_at
    from deals where created_at <= $moment and coalesce(kind, '') <> 'lead'
), moves as (
    select c.deal_id, c.changed_at, c._seq, c.old_value, c.new_value
    from deal_changes c join d using (deal_id)
    where c.field = 'stage' and greatest(c.changed_at, coalesce(c.recorded_at, c.changed_at)) <= $moment
), entries as (
    select d.deal_id, d.created_at as entered, -1 as seq, coalesce(m.old, d.stage) as stage
    from d left join (select deal_id, arg_min(old_value, (changed_at, _seq)) as old from moves group by 1) m
         using (deal_id)
    union all
    select deal_id, changed_at, _seq, new_value from moves
)
select d.deal_id, d.pipeline, d.outcome, epoch_us(d.closed_at), epoch_us(e.entered), e.stage
from d join entries e using (deal_id) where d.closed_at is null or e.entered <= d.closed_at or e.seq < 0
order by d.deal_id, e.entered, e.seq
"""


@dataclass(frozen=True, slots=True)
class Passing:
    """What became of first visits to a stage.

    Attributes
    ----------
    entered : int
        Visits looked at.
    advance, loss : float
        Aalen-Johansen share passed, or lost, within the horizon.
    decided : float or None
        Share passed of those decided: flattering while many are open.
    median_days : float or None
        Kaplan-Meier median of leaving in any way; None where the curve never reaches half.
    longest : float
        Days that the longest visit has been watched.
    """

    entered: int
    advance: float
    loss: float
    decided: float | None
    median_days: float | None
    longest: float


def visits(view: View, company: Company, moment: datetime) -> pd.DataFrame:
    """The first visit of each deal to each stage, as known at a moment.

    Columns: `COLUMNS`. `left` is when the deal next left the stage in any way, `passed` when it first reached a later
    stage or was won, `lost` when it was lost before that; missing where it has not happened. A stage that was jumped
    over counts as passed on that day (`skipped`). Deals that are leads count nowhere.
    """
    order = stage_order(view, company)
    places = {(pipeline, stage): n for pipeline, stages in order.items() for n, stage in enumerate(stages)}
    with connect() as con:
        view.attach(con)
        rows = con.execute(_ENTRIES, {"moment": moment}).fetchall()
    found: list[tuple[Any, ...]] = []
    for deal, entries in groupby(rows, key=itemgetter(0)):
        part = list(entries)
        _, pipeline, outcome, closed, _, _ = part[0]
        known = order.get(pipeline) or order.get(ANY) or []
        path = [(places.get((pipeline, e[5]), places.get((ANY, e[5]))), e[4]) for e in part]
        found += _of_deal(deal, pipeline, outcome, closed, known, path)
    table = pd.DataFrame(found, columns=list(COLUMNS))
    moments = {name: _as_moments(table[name]) for name in ("entered", "left", "passed", "lost")}
    return table.assign(**moments, skipped=table["skipped"].astype(bool))


def passing(rows: pd.DataFrame, moment: datetime, horizon: float) -> Passing:
    """What became of visits that a moment sees, within so many days of each.

    References
    ----------
    Aalen and Johansen (1978), for the share passed where a deal may be lost instead; Kaplan and Meier (1958).
    """
    days, status = times(rows, moment)
    stay, ended = _stays(rows, moment)
    decided = int((status > 0).sum())
    return Passing(
        len(rows),
        incidence(days, status, 1, horizon),
        incidence(days, status, 2, horizon),
        float((status == 1).sum()) / decided if decided else None,
        median_time(stay, ended),
        float(stay.max()) if len(stay) else 0.0,
    )


def times(rows: pd.DataFrame, moment: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Days watched of each visit, and what ended it: 1 passed, 2 lost, 0 still there."""
    end = rows["passed"].fillna(rows["lost"])
    status = np.where(rows["passed"].notna(), 1, np.where(rows["lost"].notna(), 2, 0))
    return _days(rows, end, moment), status


def incidence(days: np.ndarray, status: np.ndarray, cause: int, horizon: float) -> float:
    """Share of visits ended by a cause within a horizon, where another cause may come first."""
    if not (status == cause).any():
        return 0.0
    from statsmodels.duration.survfunc import CumIncidenceRight

    with np.errstate(divide="ignore", invalid="ignore"):  # in its standard errors, once nobody is left
        curve = CumIncidenceRight(days, status)
    by_then = np.asarray(curve.times) <= horizon
    return float(curve.cinc[cause - 1][by_then][-1]) if by_then.any() else 0.0


def median_time(days: np.ndarray, ended: np.ndarray) -> float | None:
    """Kaplan-Meier median; None where fewer than half are seen to end."""
    if not ended.any():
        return None
    from statsmodels.duration.survfunc import SurvfuncRight

    with np.errstate(divide="ignore", invalid="ignore"):
        curve = SurvfuncRight(days, ended.astype(int))
    below = np.asarray(curve.surv_prob) <= 0.5 + 1e-12
    return float(np.asarray(curve.surv_times)[below][0]) if below.any() else None


def slower(rows: pd.DataFrame, before: pd.DataFrame, moment: datetime) -> float | None:
    """P-value of a log-rank test that visits last as long as before; None where too little ended."""
    (days, ended), (days_before, ended_before) = _stays(rows, moment), _stays(before, moment)
    if ended.sum() < 2 or ended_before.sum() < 2:
        return None
    from statsmodels.duration.survfunc import survdiff

    group = np.r_[np.ones(len(days)), np.zeros(len(days_before))]
    return float(survdiff(np.r_[days, days_before], np.r_[ended, ended_before].astype(int), group)[1])


def _stays(rows: pd.DataFrame, moment: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Days in the stage of visits that were no jumps, and whether each has ended."""
    rows = rows[~rows["skipped"].astype(bool)]
    return _days(rows, rows["left"], moment), rows["left"].notna().to_numpy()


def _days(rows: pd.DataFrame, end: pd.Series, moment: datetime) -> np.ndarray:
    spans = (end.fillna(pd.Timestamp(moment)) - rows["entered"]) / _DAY
    return np.maximum(spans.to_numpy(np.float64), 0.0)


def _as_moments(column: pd.Series) -> pd.Series:
    return pd.to_datetime(column.astype("Int64"), unit="us", utc=True).astype("datetime64[us, UTC]")


def _of_deal(
    deal: str,
    pipeline: str,
    outcome: str,
    closed: int | None,
    stages: Sequence[str],
    path: Sequence[tuple[int | None, int]],
) -> list[tuple[Any, ...]]:
    """First visits of one deal; `path` has the place of each stage entered (None: none of the open ones), in order."""
    open_ = [(place, when) for place, when in path if place is not None]
    if not open_ and stages:
        open_ = [(0, path[0][1])]
    ended = closed if outcome != "open" else None
    won, lost = (ended if outcome == what else None for what in ("won", "lost"))
    found = list[tuple[Any, ...]]()
    seen, highest = set[int](), -1
    for number, (place, when) in enumerate(open_):
        if place in seen:
            continue
        for jumped in range(highest + 1, place) if number else ():
            if jumped not in seen:
                seen.add(jumped)
                found.append((deal, pipeline, stages[jumped], jumped, when, when, when, None, True))
        later = open_[number + 1 :]
        left = next((w for p, w in later if p != place), ended)
        passed = next((w for p, w in later if p > place), won)
        gone = lost if passed is None else None
        found.append((deal, pipeline, stages[place], place, when, left, passed, gone, False))
        seen.add(place)
        highest = max(highest, place)
    return found
