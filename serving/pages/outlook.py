"""What the forecast pages say: sentence, parts and tables, from score rows to words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from crm.fiscal import Period
from serving.charts import Figure, fan
from serving.format import MISSING, Formats

COMPANY = "company"
PACE_FROM = 0.1  # of the period must have passed before today's pace means anything


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where one person, team or the company is likely to end a period; missing figures are None."""

    start: date
    end: date
    metric: str
    target: float | None
    closed: float
    p10: float
    p50: float
    p90: float
    p_attain: float | None
    expected_open: float
    expected_new: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Outcome:
        """From a row of reps.parquet or teams.parquet."""
        return cls(
            as_day(row["period_start"]),
            as_day(row["period_end"]),
            str(row["metric"]),
            number(row["target"]) or None,
            number(row["actual_to_date"]) or 0.0,
            float(row["p10"]),
            float(row["p50"]),
            float(row["p90"]),
            number(row["p_attain"]),
            number(row["expected_open"]) or 0.0,
            number(row["expected_new"]) or 0.0,
        )

    @property
    def money(self) -> bool:
        """Whether the figures are money, not numbers of deals."""
        return self.metric == "bookings"

    def pace(self, today: date) -> float | None:
        """Where the period would end if the rest went like the days so far (today counts as passed)."""
        passed = ((today - self.start).days + 1) / (self.end - self.start).days
        return self.closed / passed if PACE_FROM <= passed <= 1 else None


def primary(rows: pd.DataFrame, period: Period) -> pd.DataFrame:
    """Of several periods and metrics, what the pages lead with: this period's, bookings where there are any."""
    days = pd.to_datetime(rows["period_start"]).dt.date, pd.to_datetime(rows["period_end"]).dt.date
    now = rows[(days[0] == period.start) & (days[1] == period.end)]
    bookings = now[now["metric"] == "bookings"]
    if len(bookings) or now.empty:
        return bookings
    return now[now["metric"] == now["metric"].iloc[0]]


def sentence(f: Formats, name: str, outcome: Outcome) -> str:
    """The answer first: where it will end, in which range, against the goal."""
    say = f.language.say
    value = f.money if outcome.money else f.number
    middle = value(outcome.p50)
    if outcome.target is None:
        return say(
            "{name} is likely to end the quarter at {middle} (80% range {range}). No goal is set for it.",
            name=name,
            middle=middle,
            range=f"{value(outcome.p10)}–{value(outcome.p90)}",
        )
    low, mid, high = (x / outcome.target for x in (outcome.p10, outcome.p50, outcome.p90))
    return say(
        "{name} is likely to end the quarter at {middle}, {share} of goal (80% range {range}). "
        "Chance to reach the goal: {chance}.",
        name=name,
        middle=middle,
        share=f.percent(mid),
        range=f.percent_range(low, high),
        chance=f.chance(outcome.p_attain),
    )


class Part(NamedTuple):
    """A part of the expected total: words, value, and its place on a bar 100 wide; the sum has no bar."""

    kind: str
    text: str
    said: str
    x: float
    width: float


class Parts(NamedTuple):
    """Closed, from open deals, from deals not yet created, and their sum."""

    rows: list[Part]
    note: str


def made_of(f: Formats, outcome: Outcome) -> Parts:
    """The expected total in its three parts, each written so that they add up as read."""
    say = f.language.say
    full = f.money_full if outcome.money else (lambda x: f.number(x, 1))
    digits = 0 if outcome.money else 1
    named = [
        ("closed", say("Closed so far"), outcome.closed),
        ("open", say("From open deals"), outcome.expected_open),
        ("new", say("From deals not yet created"), outcome.expected_new),
    ]
    # Differences of rounded sums, so that what one reads adds up, and to the same total as elsewhere.
    sums = [0.0, *np.cumsum([value for *_, value in named]).round(digits).tolist()]
    rows, x = [], 0.0
    for (kind, text, _), low, high in zip(named, sums, sums[1:], strict=False):
        width = max(high - low, 0.0) / (sums[-1] or 1.0) * 100
        rows.append(Part(kind, text, full(high - low), round(x, 2), round(width, 2)))
        x += width
    rows.append(Part("", say("Expected on average"), full(sums[-1]), 0, 0))
    value = f.money if outcome.money else f.number
    note = say("Half of the simulated periods end below {middle}, half above.", middle=value(outcome.p50))
    return Parts(rows, note)


def fan_of(f: Formats, outcome: Outcome, booked: pd.DataFrame, today: date) -> Figure:
    """The fan of an outcome; its title says how pace stands to the forecast.

    Parameters
    ----------
    booked : DataFrame
        day, amount, won: credit of those the outcome is about.
    """
    say = f.language.say
    value = f.money if outcome.money else f.number
    if outcome.target is None:
        title = say("Between {low} and {high} by the end", low=value(outcome.p10), high=value(outcome.p90))
    elif (gap := outcome.target - outcome.closed) > 0:
        title = say("{gap} to go to the goal of {goal}", gap=value(gap), goal=value(outcome.target))
    else:
        title = say("The goal of {goal} is reached", goal=value(outcome.target))
    credit = booked["amount" if outcome.money else "won"].groupby(pd.to_datetime(booked["day"])).sum()
    days = pd.date_range(outcome.start, max(today, outcome.start))
    so_far = np.array(credit.reindex(days, fill_value=0.0).cumsum(), dtype=float)
    so_far[-1] = outcome.closed
    past = pd.Series(so_far, index=pd.Index([day.date() for day in days], dtype=object))
    return fan(
        f,
        title=title,
        booked=past,
        start=outcome.start,
        end=outcome.end,
        p10=outcome.p10,
        p50=outcome.p50,
        p90=outcome.p90,
        target=outcome.target,
        naive=outcome.pace(today),
        money=outcome.money,
    )


class Row(NamedTuple):
    """One line of a table of people or teams."""

    name: str
    under: str
    address: str | None
    target: str
    closed: str
    middle: str
    range: str
    share: str
    chance: str
    low: float | None
    mid: float | None
    high: float | None
    goal: float | None
    top: float


class Table(NamedTuple):
    """A table of people or teams with what is known about all of them."""

    title: str
    kind: str
    rows: list[Row]
    note: str


def rows_of(
    f: Formats, frame: pd.DataFrame, key: str, names: Mapping[str, str], address: str, *, under: Mapping[str, str]
) -> list[Row]:
    """Lines by name, `under` a name that two share; bars are shares of the goal, or amounts where nobody has one."""
    outcomes = [(str(r[key]), Outcome.of(r)) for r in frame.to_dict("records")]
    goals = any(o.target for _, o in outcomes)
    # One far outlier must not squeeze all other bars: what lies past the scale's end is cut there.
    top = 1.6 if goals else float(np.nanquantile([o.p90 for _, o in outcomes], 0.95)) if outcomes else 0.0
    doubles = Counter(names.get(ident, ident) for ident, _ in outcomes)
    rows = []
    for ident, outcome in outcomes:
        name = names.get(ident, ident)
        below = under.get(ident, "") if doubles[name] > 1 else ""
        rows.append(_row(f, outcome, name, below, f"{address}/{quote(ident, safe='')}", goals=goals, top=top))
    return sorted(rows, key=lambda row: row.name)


def _row(f: Formats, o: Outcome, name: str, under: str, address: str, *, goals: bool, top: float) -> Row:
    full, short = (f.money_full, f.money) if o.money else (f.number, f.number)
    scale = o.target if goals else 1.0
    low, mid, high = (min(x / scale, top) if scale else None for x in (o.p10, o.p50, o.p90))
    return Row(
        name,
        under,
        address,
        full(o.target),
        full(o.closed),
        full(o.p50),
        f"{short(o.p10)}–{short(o.p90)}",
        f.percent(o.p50 / o.target) if o.target else MISSING,
        f.chance(o.p_attain),
        low,
        mid,
        high,
        1.0 if goals and o.target else None,
        top if scale else 0.0,
    )


def number(value: object) -> float | None:
    """A figure as float; None where it is missing."""
    x = float("nan") if value is None or value is pd.NA else float(value)  # type: ignore[arg-type]
    return x if np.isfinite(x) else None


def as_day(value: Any) -> date:
    """A date from what Parquet gives back for one."""
    return pd.Timestamp(value).date()
