"""Risks in how the team works: calls always too high or low, overdue actions, approvals that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd

from planning.goals import Goal, actual
from planning.risks import Risk, Situation

PERIODS = 4


@dataclass(frozen=True)
class Bias:
    """How far calls lie off on average.

    Attributes
    ----------
    share : float
        Sum of call less result over the sum of results; above 0 where too much was called.
    """

    share: float
    periods: int


def forecast_biases(s: Situation) -> Iterator[Risk]:
    """People and teams whose last four calls were all too high, or all too low, by more than 15 % together."""
    rows = s.written.calls
    for (kind, owner, user), own in rows.groupby(["entity", "entity_id", "user_id"]):
        over = own[own["period_end"] <= s.sales.today].sort_values("period_start").tail(PERIODS)
        came = [_came(s, str(kind), str(owner), row) for row in over.to_dict("records")]
        bias = bias_of(list(over["value"]), came, s.limits.call_bias)
        if bias is None:
            continue
        running = own[(own["period_start"] <= s.sales.today) & (own["period_end"] > s.sales.today)]["value"]
        following = float(running.iloc[-1]) if len(running) else None
        money = None if following is None else min(abs(bias.share), 1.0) * following
        yield Risk("forecast_bias", str(kind), str(owner), 1.0, money, following, s.manager_of(str(kind), str(owner)),
                   s.rest(str(kind), str(owner)),
                   {"bias": bias.share, "periods": bias.periods, "call": following, "user_id": int(user)})  # fmt: skip


def bias_of(calls: Sequence[float], results: Sequence[float | None], limit: float) -> Bias | None:
    """The bias of four calls against what came; None where they are fewer, differ in sign, or lie near.

    Parameters
    ----------
    results : sequence of float or None
        None where it is not known.
    """
    known = [(call, came) for call, came in zip(calls, results, strict=True) if came is not None]
    whole = sum(came for _, came in known)
    if len(known) < PERIODS or whole <= 0:
        return None
    off = [call - came for call, came in known]
    share = sum(off) / whole
    same = all(x > 0 for x in off) or all(x < 0 for x in off)
    return Bias(share, len(known)) if same and abs(share) > limit else None


def held_up_work(s: Situation) -> Iterator[Risk]:
    """Teams whose people have more than five overdue actions between them, or deals whose approval waits too long."""
    late, waiting = _overdue(s), _unapproved(s)
    for team in sorted({*late, *waiting}):
        actions, asked = late.get(team), waiting.get(team)
        about = [*([] if actions is None else actions["deal_id"].dropna()), *([] if asked is None else asked.index)]
        deals = s.open[s.open.index.isin(about)].dropna(subset=["amount"])
        amount = deals["amount"].clip(lower=0)
        money = float((amount * deals["win_probability"].fillna(0.0)).sum())
        days = [*([] if actions is None else actions["due"]), *([] if asked is None else asked)]
        facts = {"actions": 0 if actions is None else len(actions), "approvals": 0 if asked is None else len(asked),
                 "deals": len(deals), "oldest": min(days)}  # fmt: skip
        yield Risk("process", "team", team, 1.0, money or None, float(amount.sum()) or None,
                   s.manager_of("team", team), s.rest("team", team), facts)  # fmt: skip


def _overdue(s: Situation) -> dict[str, pd.DataFrame]:
    """Overdue actions by team, where they are too many."""
    rows = s.written.actions
    late = rows[rows["due"] < s.sales.today] if len(rows) else rows
    teams = late["rep_id"].map(lambda rep: s.plan.facts.team_of.get(str(rep))) if len(late) else late["rep_id"]
    return {str(team): own for team, own in late.groupby(teams) if len(own) > s.limits.overdue}


def _unapproved(s: Situation) -> dict[str, pd.Series]:
    """The day an approval was asked for, of open deals where it waits for too long: by team, then deal_id."""
    column, deals = s.limits.approval_asked, s.plan.view.arrow("deals")
    if column is None or column not in deals.column_names:
        return {}
    rows = deals.select(["deal_id", column]).to_pandas().drop_duplicates("deal_id").set_index("deal_id")[column]
    asked = pd.to_datetime(rows[rows.index.isin(s.open.index)], errors="coerce", utc=True).dropna().dt.date
    late = asked[asked < s.sales.today - timedelta(days=s.limits.approval_days)]
    teams = s.open["owner_id"].reindex(late.index).map(s.plan.facts.team_of)
    return {str(team): own for team, own in late.groupby(teams)}


def _came(s: Situation, kind: str, owner: str, row: Any) -> float | None:
    goal = Goal("", kind, owner, "bookings", row["period_start"], row["period_end"], None)
    return actual(goal, s.plan.facts).value
