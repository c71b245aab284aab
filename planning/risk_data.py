"""Data gone quiet: a table without news for longer than usual, a person of whom nothing is written down any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

from crm.lake import connect
from planning.risks import Risk, Situation

QUIET_DAYS = 5
"""Working days without a record after which a person is named."""
_TIMES = 3
_CLOCKS = {
    "activities": "occurred_at", "deals": "created_at", "deal_changes": "changed_at", "orders": "ordered_at",
    "payments": "paid_at", "tickets": "opened_at",
}  # fmt: skip
_SPAN = timedelta(days=180)


def quiet_tables(s: Situation) -> Iterator[Risk]:
    """Tables silent for three times their usual gap, in working days."""
    today = s.sales.today
    with connect() as con:
        s.plan.view.attach(con)
        for table, clock in _CLOCKS.items():
            if table not in s.plan.view.present:
                continue
            days = [
                row[0]
                for row in con.execute(
                    f"select distinct ({clock} at time zone $zone)::date as day from {table} "
                    f"where {clock} <= $moment and {clock} > $moment - interval 180 days order by day",
                    {"zone": s.plan.company.time_zone, "moment": s.sales.moment},
                ).fetchall()
            ]
            gap = usual_gap_of(days, s)
            if gap is None:
                continue
            silent = s.plan.workdays.count(days[-1] + timedelta(days=1), today + timedelta(days=1))
            if silent > _TIMES * gap:
                yield Risk("data_quiet", "source", table, 1.0, None, None, None, s.rest(),
                           {"days": silent, "usual": gap, "last": days[-1]})  # fmt: skip


def usual_gap_of(days: list[date], s: Situation) -> float | None:
    """Median working days from one day with news to the next, at least 1; None with fewer than four such days."""
    count = s.plan.workdays.count
    gaps = [count(a + timedelta(days=1), b + timedelta(days=1)) for a, b in pairwise(days)]
    return max(1.0, float(median(gaps))) if len(gaps) >= 3 else None


def quiet_people(s: Situation) -> Iterator[Risk]:
    """People with open deals of whom nothing was written down for five working days on which they were there."""
    with connect() as con:
        s.plan.view.attach(con)
        last = dict(
            con.execute(
                "select rep_id, max((occurred_at at time zone $zone)::date) from activities "
                "where occurred_at <= $moment and occurred_at > $moment - interval 180 days and rep_id is not null "
                "group by 1",
                {"zone": s.plan.company.time_zone, "moment": s.sales.moment},
            ).fetchall()
        )
    owners = set(s.open["owner_id"].dropna())
    for person in s.plan.people:
        since = last.get(person.rep_id)
        if since is None or person.rep_id not in owners or (person.left_on and person.left_on <= s.sales.today):
            continue
        days = [d for d in s.plan.workdays.days(since + timedelta(days=1), s.sales.today + timedelta(days=1))
                if person.present(d)]  # fmt: skip
        if len(days) >= QUIET_DAYS:
            yield Risk("data_quiet", "rep", person.rep_id, 1.0, None, None, s.manager_of("rep", person.rep_id),
                       s.rest(), {"days": len(days), "last": since})  # fmt: skip
