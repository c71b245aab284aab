"""The company's history: people, market, customers and deals lived through week by week."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

from crm.simulation.calendar import Calendar, whole_weeks
from crm.simulation.customers import Customers
from crm.simulation.deals import LEAD, NEW, RENEWAL, Births, births, join
from crm.simulation.market import Market, open_market
from crm.simulation.pipeline import LOST, WON, Pipeline, Rows
from crm.simulation.policy import Policy
from crm.simulation.process import Process
from crm.simulation.randomness import Dice, Ints
from crm.simulation.staff import Staff, hire_staff

_STOCK_STAGES = np.array([0.35, 0.25, 0.20, 0.12, 0.08])


@dataclass(frozen=True)
class History:
    """Everything that happened, hidden states included."""

    seed: int
    calendar: Calendar
    process: Process
    staff: Staff
    market: Market
    customers: Customers
    pipeline: Pipeline
    keeper: Ints
    """(accounts, weeks): who looks after an account."""


def live_through(*, reps: int, months: int, seed: int, setting: str, policy: Policy | None, end: date) -> History:
    """Run the whole company from its first to its last week."""
    start, weeks = whole_weeks(end, months)
    calendar = Calendar(start, weeks, drifting=setting == "drifting")
    process = Process(setting, calendar)
    staff = hire_staff(seed, reps, calendar)
    market = open_market(seed, staff, calendar)
    customers = Customers(seed, process, market)
    pipeline = Pipeline(seed, process, market, staff, policy)
    keeper = _keepers(staff)[market.seat]
    arrivals = _arrivals(seed, staff, market, calendar)
    for week in range(weeks):
        born = [arrivals[week], customers.step(week, keeper[:, week], staff.present[:, week])]
        if pipeline.open:
            pipeline.hand_over(week)
            pipeline.remember(week)
            over, children = pipeline.step(week)
            _settle(customers, week, over)
            born.append(children)
        pipeline.begin(week, join(born))
    pipeline.remember(weeks)
    pipeline.finish()
    return History(seed, calendar, process, staff, market, customers, pipeline, keeper)


def gather(parts: Iterable[Rows]) -> Rows:
    """Put logged parts behind one another."""
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]} if listed else {}


def _settle(customers: Customers, week: int, over: Rows) -> None:
    won = (over["outcome"] == WON) & (over["kind"] != LEAD)
    sold = {n: over[n][won] for n in ("account", "kind", "product", "family", "owner")}
    customers.won(week, sold | {"gid": over["key"][won], "time": over["closed"][won]}, over["amount"][won])
    customers.lost_renewals(week, over["account"][(over["outcome"] == LOST) & (over["kind"] == RENEWAL)])


def _keepers(staff: Staff) -> Ints:
    """(seats, weeks): the holder, or while a seat is vacant a colleague of the team, or of any team."""
    keeper = staff.holder.copy()
    for seat, week in np.argwhere(staff.holder < 0).tolist():
        now = staff.holder[:, week]
        mates = now[(staff.seat_team == staff.seat_team[seat]) & (now >= 0)]
        mates = mates if len(mates) else now[now >= 0]
        keeper[seat, week] = mates[seat % len(mates)] if len(mates) else 0
    return keeper


def _arrivals(seed: int, staff: Staff, market: Market, calendar: Calendar) -> list[Births]:
    """Deals and leads that come by themselves, by week."""
    table = market.arrivals
    week, seat = table["week"].to_numpy(np.int64), table["seat"].to_numpy(np.int64)
    lead, stock = table["lead"].to_numpy(bool), table["stock"].to_numpy(bool)
    key = np.arange(len(table)) + 1
    stage = np.where(stock, Dice(seed, "stock", key, 0).pick("stage", _STOCK_STAGES), 0)
    moment = calendar.working_time(week, table["offset"].to_numpy(np.float64))
    account, owner = table["account"].to_numpy(np.int64), staff.holder[seat, week]
    cuts = np.searchsorted(week, np.arange(calendar.weeks + 1))
    kind = np.where(lead, LEAD, NEW)
    return [
        births(stop - first, kind=kind[first:stop], account=account[first:stop], owner=owner[first:stop],
               created=moment[first:stop], key=key[first:stop], stage=stage[first:stop])
        for first, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
    ]  # fmt: skip
