"""Customers whose satisfaction falls: grades of their tickets, and severe tickets that stay open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from planning.risk_deals import largest, text
from planning.risks import Risk, Situation

LEAST = 5
"""Grades in each of the two times that are compared."""
LATE = 3  # working days
_NOW, _BEFORE = timedelta(days=90), timedelta(days=365)
_SEVERE = ("severe", "critical", "urgent", "high", "blocker")


def unhappy_customers(s: Situation) -> Iterator[Risk]:
    """Customers whose mean grade of the last 90 days fell, or with a severe ticket open for over three working days."""
    tickets = _tickets(s)
    if tickets.empty:
        return
    fell, waiting = _fallen(tickets, s), _waiting(tickets, s)
    scores = s.accounts.set_index("account_id") if len(s.accounts) else pd.DataFrame()
    usual = float(scores["churn_probability"].mean()) if len(scores) else 0.0
    owners = s.plan.view.arrow("accounts").select(["account_id", "owner_id"]).to_pydict()
    owner = dict(zip(owners["account_id"], owners["owner_id"], strict=True))
    risks = []
    for account in sorted({*fell, *waiting}):
        chance = yearly = None
        if account in scores.index:
            p = float(scores.at[account, "churn_probability"])
            chance, yearly = max(p - usual, 0.0), float(scores.at[account, "value_at_risk"]) / p if p > 0 else 0.0
        was, now = fell.get(account, (None, None))
        facts = {"was": was, "now": now, "severe_days": waiting.get(account)}
        risks.append(Risk("satisfaction_fall", "account", account, chance, yearly, yearly, text(owner.get(account)),
                          s.rest(), facts))  # fmt: skip
    yield from largest(risks)


def _tickets(s: Situation) -> pd.DataFrame:
    """Tickets opened by the moment: account_id, opened, closed (missing while open), grade, severe."""
    names = ["account_id", "opened_at", "closed_at", "severity", "satisfaction"]
    rows = s.plan.view.arrow("tickets").select(names).to_pandas()
    moment = pd.Timestamp(s.sales.moment)
    rows = rows[rows["account_id"].notna() & (rows["opened_at"] <= moment)]
    closed = rows["closed_at"].where(rows["closed_at"] <= moment)
    grade = rows["satisfaction"].astype(float).where(closed.notna())
    severe = rows["severity"].astype(object).map(lambda word: isinstance(word, str) and word.lower() in _SEVERE)
    return rows.assign(opened=rows["opened_at"], closed=closed, grade=grade, severe=severe.astype(bool))


def _fallen(tickets: pd.DataFrame, s: Situation) -> dict[str, tuple[float, float]]:
    """Mean grade before and now, of those that fell by the company's limit."""
    rows = tickets[tickets["grade"].notna()]
    age = pd.Timestamp(s.sales.moment) - rows["closed"]
    now, before = rows[age < _NOW], rows[(age >= _NOW) & (age < _NOW + _BEFORE)]
    pairs = pd.concat(
        {"now": now.groupby("account_id")["grade"].agg(["mean", "size"]),
         "was": before.groupby("account_id")["grade"].agg(["mean", "size"])}, axis=1, join="inner",
    )  # fmt: skip
    enough = pairs[(pairs["now", "size"] >= LEAST) & (pairs["was", "size"] >= LEAST)]
    fell = enough[enough["was", "mean"] - enough["now", "mean"] >= s.limits.satisfaction]
    return {str(a): (float(row["was", "mean"]), float(row["now", "mean"])) for a, row in fell.iterrows()}


def _waiting(tickets: pd.DataFrame, s: Situation) -> dict[str, int]:
    """Working days for which a customer's oldest severe ticket has been open, of those above the limit."""
    zone, found = s.plan.company.time_zone, dict[str, int]()
    for row in tickets[tickets["severe"] & tickets["closed"].isna()].to_dict("records"):
        day = row["opened"].tz_convert(zone).date()
        days = s.plan.workdays.count(day + timedelta(days=1), s.sales.today + timedelta(days=1))
        if days > LATE:
            found[str(row["account_id"])] = max(days, found.get(str(row["account_id"]), 0))
    return found
