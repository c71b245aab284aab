"""Is the plan working: goal against result of a period that is over, by owner, product and segment; what people say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pandas as pd

from crm.company import Company
from crm.fiscal import Period
from crm.lake import View
from planning.goals import COMPANY, Facts, Goal, actual, wilson


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one goal, or of a part of the business that had none.

    Attributes
    ----------
    part : str
        'goal', 'product' or 'segment'.
    before : float or None
        The same of the like period before.
    """

    part: str
    owner_kind: str
    owner_id: str
    metric: str
    scope: str
    target: float | None
    result: float | None
    before: float | None

    @property
    def attainment(self) -> float | None:
        """Share of the target."""
        return self.result / self.target if self.target and self.result is not None else None


@dataclass(frozen=True, slots=True)
class Rival:
    """Closed deals of a period that name a competitor ('' where none is recorded)."""

    name: str
    won: int
    lost: int

    @property
    def rate(self) -> tuple[float, float, float] | None:
        """Win rate with its 90 % interval; None under 5 deals."""
        n = self.won + self.lost
        return (self.won / n, *wilson(self.won, n)) if n >= 5 else None


@dataclass(frozen=True, slots=True)
class Voice:
    """What customers said in a period: answers, their mean and that of the period before, by scale."""

    scale: str
    answers: int
    mean: float
    before: float | None


def last_quarter(facts: Facts, company: Company) -> Period | None:
    """The newest quarter that is over and wholly on record."""
    found = company.period_of(company.period_of(facts.today).start - timedelta(days=1))
    return found if found.start >= facts.first_day else None


def results(facts: Facts, goals: list[Goal], company: Company, period: Period) -> list[Result]:
    """Goals of a quarter against what came, then bookings by product and by segment with the quarter before.

    Parameters
    ----------
    goals : list of Goal
        All that were set; those of people are left out.
    """
    before = company.period_of(period.start - timedelta(days=1))
    mine = [g for g in goals if (g.start, g.end) == (period.start, period.end) and g.owner_kind != "rep" and g.target]
    found = [_of_goal(facts, goal, before) for goal in mine]
    for part, column in (("product", "product_id"), ("segment", "segment")):
        keys = sorted({str(key) for key in facts.events[column].dropna().unique()})
        for key in keys:
            goal = Goal("", COMPANY, COMPANY, "bookings", period.start, period.end, None, **{column: key})  # type: ignore[arg-type]
            line = _of_goal(facts, goal, before, part)
            if line.result or line.before:
                found.append(line)
    return found


def _of_goal(facts: Facts, goal: Goal, before: Period, part: str = "goal") -> Result:
    from dataclasses import replace

    now, then = actual(goal, facts), actual(replace(goal, start=before.start, end=before.end), facts)
    target = float(goal.target) if isinstance(goal.target, Decimal) else None
    scope = ", ".join(goal.scope.values())
    return Result(part, goal.owner_kind, goal.owner_id, goal.metric, scope, target, now.value, then.value)


def market_share(facts: Facts, period: Period) -> tuple[float | None, str]:
    """The company's share of its market in a period, and why it is not known."""
    found = actual(Goal("", COMPANY, COMPANY, "market_share", period.start, period.end, None), facts)
    return found.value, "; ".join(found.notes)


def rivals(view: View, facts: Facts, period: Period) -> list[Rival]:
    """Won and lost by competitor, the most deals first; what is not recorded last."""
    closed = facts.events[facts.events["what"].isin(["won", "lost"])]
    closed = closed[(closed["day"] >= pd.Timestamp(period.start)) & (closed["day"] < pd.Timestamp(period.end))]
    closed = closed.drop_duplicates("ident")
    named = view.arrow("deals").select(["deal_id", "competitor"]).to_pandas().drop_duplicates("deal_id")
    rows = closed.merge(named, left_on="ident", right_on="deal_id", how="left")
    rows = rows.assign(key=rows["competitor"].astype(object).where(rows["competitor"].notna(), ""))
    found = [
        Rival(str(key), int((part["what"] == "won").sum()), int((part["what"] == "lost").sum()))
        for key, part in rows.groupby("key")
    ]
    return sorted(found, key=lambda r: (r.name == "", -(r.won + r.lost), r.name))


def voices(view: View, company: Company, today: date, period: Period) -> list[Voice]:
    """Surveys of customers in a period, by scale; answers that were not in by today do not count."""
    rows = view.arrow("surveys").to_pandas()
    if rows.empty:
        return []
    day = pd.to_datetime(rows["asked_at"], utc=True).dt.tz_convert(company.time_zone).dt.date
    rows = rows.assign(day=day, score=rows["score"].astype(float))
    rows = rows[rows["score"].notna() & (rows["day"] <= today)]
    before = company.period_of(period.start - timedelta(days=1))
    found = []
    for scale, part in rows.groupby("scale"):
        now = part[(part["day"] >= period.start) & (part["day"] < period.end)]["score"]
        then = part[(part["day"] >= before.start) & (part["day"] < before.end)]["score"]
        if len(now):
            found.append(Voice(str(scale), len(now), float(now.mean()), float(then.mean()) if len(then) else None))
    return found
