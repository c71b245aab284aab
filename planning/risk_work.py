"""Risks in how the team works, from what people wrote down here: calls always too high or low, overdue actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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


def overdue_work(s: Situation) -> Iterator[Risk]:
    """Teams whose people have more than five overdue actions between them."""
    rows = s.written.actions
    late = rows[rows["due"] < s.sales.today] if len(rows) else rows
    teams = late["rep_id"].map(lambda rep: s.plan.facts.team_of.get(str(rep))) if len(late) else late["rep_id"]
    for team, own in late.groupby(teams):
        if len(own) <= s.limits.overdue:
            continue
        waiting = s.open[s.open.index.isin(own["deal_id"].dropna())].dropna(subset=["amount"])
        amount = waiting["amount"].clip(lower=0)
        money = float((amount * waiting["win_probability"].fillna(0.0)).sum())
        yield Risk("process", "team", str(team), 1.0, money or None, float(amount.sum()) or None,
                   s.manager_of("team", str(team)), s.rest("team", str(team)),
                   {"actions": len(own), "deals": len(waiting), "oldest": min(own["due"])})  # fmt: skip


def _came(s: Situation, kind: str, owner: str, row: Any) -> float | None:
    goal = Goal("", kind, owner, "bookings", row["period_start"], row["period_end"], None)
    return actual(goal, s.plan.facts).value
