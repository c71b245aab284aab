"""Figures for pages, notebooks and reports: one definition each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from serving.drawing import COLOURS, Drawing, Figure, made_once, make_figure
from serving.format import Formats

__all__ = [
    "Figure",
    "at_risk",
    "calibration",
    "fan",
    "pace",
    "score_history",
    "supposed_curve",
    "track_record",
    "waterfall",
    "win_curve",
]
WIDE, NARROW = 650, 330
MAX_MARKS = 250
_LABEL_GAP = 15  # px between two labels at line ends


@made_once
def fan(
    f: Formats,
    *,
    title: str,
    booked: pd.Series,
    start: date,
    end: date,
    p10: float,
    p50: float,
    p90: float,
    target: float | None,
    naive: float | None = None,
    money: bool = True,
) -> Figure:
    """Booked so far, then the range to the period's end against the goal.

    Parameters
    ----------
    booked : Series, index of dates, ascending
        Cumulative actual at the end of each day from the period's start to the data's newest day.
    start, end : date
        The period `[start, end)`.
    p10, p50, p90 : float
        Quantiles of the result at the period's end.
    target, naive : float or None
        The goal, and where today's pace would end.
    """
    say = f.language.say
    value = f.money if money else f.number
    today, now = booked.index[-1], float(booked.iloc[-1])
    last = end - timedelta(days=1)
    cone = pd.DataFrame({"day": _iso([today, last]), "low": [now, p10], "mid": [now, p50], "high": [now, p90]})
    past = pd.DataFrame({"day": _iso([start, *booked.index]), "value": [0.0, *booked.to_numpy(float)]})
    ends = [("forecast", p50, say("Forecast {value}", value=value(p50)))]
    if target is not None:
        ends.append(("text", target, say("Goal {value}", value=value(target))))
    if naive is not None:
        ends.append(("text-3", naive, say("Today's pace {value}", value=value(naive))))
    top = max(p90, now, target or 0.0, naive or 0.0) * 1.04 or 1.0
    ticks = nice_ticks(0.0, top)

    def draw(width: int, height: int) -> Drawing:
        y_scale = alt.Scale(domain=[0, max(top, ticks[-1])], nice=False)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=_iso([start, last])), axis=_time_axis(f, start, last))
        y = alt.Y("value:Q", scale=y_scale, axis=_value_axis(ticks, [value(t) for t in ticks]))
        layers = [
            alt.Chart(cone).mark_area(color=COLOURS["band-80"]).encode(x=x, y=alt.Y("low:Q", scale=y_scale), y2="high"),
            _line(cone, x, "mid", y_scale, COLOURS["surface"], width=4),
            _line(cone, x, "mid", y_scale, COLOURS["forecast"]),
        ]
        if target is not None:
            layers.append(_level(start, last, target, x, y_scale, COLOURS["text"], [6, 4]))
        if naive is not None:
            pace = pd.DataFrame({"day": _iso([today, last]), "value": [now, naive]})
            layers.append(_line(pace, x, "value", y_scale, COLOURS["naive"], dash=[2, 3], width=1.5))
        layers.append(alt.Chart(past).mark_line(color=COLOURS["text"], strokeWidth=2).encode(x=x, y=y))
        layers.append(_today(f, today, x))
        labels = _end_labels(ends, max(top, ticks[-1]), height)
        labels["day"] = _iso([last])[0]
        layers += _label_layers(labels, x, y_scale)
        return alt.layer(*layers).properties(width=width, height=height)

    rows = [
        (f.date(today), say("Closed so far"), now),
        (f.date(last), say("Forecast, low end of the 80% range"), p10),
        (f.date(last), say("Forecast, middle"), p50),
        (f.date(last), say("Forecast, high end of the 80% range"), p90),
    ]
    rows += [(f.date(last), say("Goal"), target)] if target is not None else []
    rows += [(f.date(last), say("At today's pace"), naive)] if naive is not None else []
    full = f.money_full if money else f.number
    return make_figure(
        title,
        say("Cumulative, {unit}; shaded: 80% range at the period's end, the way there drawn straight", unit=f.currency)
        if money
        else say("Cumulative number; shaded: 80% range at the period's end, the way there drawn straight"),
        lambda wide: draw(*((WIDE - 190, 240) if wide else (NARROW - 75, 220))),
        (say("Date"), say("What"), say("Amount") if money else say("Number")),
        [(day, what, full(x)) for day, what, x in rows],
        rows,
    )


@made_once
def pace(f: Formats, *, title: str, course: pd.DataFrame, target: float, today: date, money: bool) -> Figure:
    """What was reached against what the season's curve asks for by each day, up to the goal.

    Parameters
    ----------
    course : DataFrame, ascending
        day, due, reached (missing after today); both cumulative.
    """
    say = f.language.say
    value = f.money if money else f.number
    days = list(course["day"])
    data = pd.DataFrame({"day": _iso(days), "due": course["due"], "value": course["reached"]})
    past = data[data["value"].notna()]
    top = max(target, float(course["reached"].max()), float(course["due"].max())) * 1.04 or 1.0
    ticks = nice_ticks(0.0, top)
    ends = [("text", target, say("Goal {value}", value=value(target)))]

    def draw(wide: bool) -> Drawing:
        width, height = (WIDE - 190, 240) if wide else (NARROW - 75, 220)
        y_scale = alt.Scale(domain=[0, max(top, ticks[-1])], nice=False)
        axis = _time_axis(f, days[0], days[-1], most=6 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=_iso([days[0], days[-1]])), axis=axis)
        y = alt.Y("value:Q", scale=y_scale, axis=_value_axis(ticks, [value(t) for t in ticks]))
        layers = [
            _line(data, x, "due", y_scale, COLOURS["naive"], dash=[2, 3]),
            _level(days[0], days[-1], target, x, y_scale, COLOURS["text"], [6, 4]),
            alt.Chart(past).mark_line(color=COLOURS["text"], strokeWidth=2).encode(x=x, y=y),
            _today(f, today, x),
        ]
        labels = _end_labels(ends, max(top, ticks[-1]), height)
        labels["day"] = _iso([days[-1]])[0]
        layers += _label_layers(labels, x, y_scale)
        return alt.layer(*layers).properties(width=width, height=height)

    full = f.money_full if money else f.number
    rows = [(d, float(a), float(b)) for d, a, b in zip(days, course["due"], course["reached"], strict=True)]
    return make_figure(
        title,
        say("Cumulative; solid: reached, dotted: due by the season's curve, dashed: the goal"),
        draw,
        (say("Date"), say("Due by then"), say("Reached so far")),
        [(f.date(d), full(a), full(b)) for d, a, b in rows],
        [(d.isoformat(), a, None if b != b else b) for d, a, b in rows],
    )


@made_once
def win_curve(f: Formats, *, title: str, curve: pd.DataFrame, as_of: date, period_end: date | None) -> Figure:
    """The chance that a deal is won by each date, and the chance that it is lost by then.

    Parameters
    ----------
    curve : DataFrame, ascending
        day (days from as_of), won, lost (probabilities by then).
    """
    say = f.language.say
    days = [as_of + timedelta(days=int(d)) for d in curve["day"]]
    data = pd.DataFrame({"day": _iso(days), "won": curve["won"].to_numpy(), "lost": curve["lost"].to_numpy()})
    top = max(0.2, float(curve[["won", "lost"]].to_numpy().max()) * 1.08)
    ticks = nice_ticks(0.0, min(top, 1.0))
    ends = [
        ("forecast", float(curve["won"].iloc[-1]), say("Won {value}", value=f.chance(float(curve["won"].iloc[-1])))),
        ("down", float(curve["lost"].iloc[-1]), say("Lost {value}", value=f.chance(float(curve["lost"].iloc[-1])))),
    ]

    def draw(wide: bool) -> Drawing:
        width, height = (290, 220) if wide else (NARROW - 90, 220)
        y_top = max(top, ticks[-1])
        y_scale = alt.Scale(domain=[0, y_top], nice=False)
        axis = _time_axis(f, days[0], days[-1], most=5 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=_iso([days[0], days[-1]])), axis=axis)
        y = alt.Y("won:Q", scale=y_scale, axis=_value_axis(ticks, [f.percent(t) for t in ticks]))
        layers = [
            alt.Chart(data).mark_line(color=COLOURS["forecast"], strokeWidth=2).encode(x=x, y=y),
            _line(data, x, "lost", y_scale, COLOURS["down"], dash=[6, 3]),
        ]
        if period_end and days[0] < period_end < days[-1]:
            layers.append(_mark_day(period_end, say("Period ends"), x))
        labels = _end_labels(ends, y_top, height)
        labels["day"] = _iso([days[-1]])[0]
        layers += _label_layers(labels, x, y_scale)
        return alt.layer(*layers).properties(width=width, height=height)

    rows = list(zip(days, curve["won"].astype(float), curve["lost"].astype(float), strict=True))
    return make_figure(
        title,
        say("Chance to be won (solid) and lost (dashed) by each date"),
        draw,
        (say("By"), say("Won"), say("Lost")),
        [(f.date(d), f.chance(w), f.chance(x)) for d, w, x in rows],
        [(d.isoformat(), w, x) for d, w, x in rows],
    )


@made_once
def supposed_curve(f: Formats, *, title: str, curve: pd.DataFrame, as_of: date) -> Figure:
    """The chance that a deal is won by each date: as it is (grey, dotted), and with a supposed change.

    Parameters
    ----------
    curve : DataFrame, ascending
        day (days from as_of), before, after (probabilities by then).
    """
    say = f.language.say
    days = [as_of + timedelta(days=int(d)) for d in curve["day"]]
    data = pd.DataFrame({"day": _iso(days), **{name: curve[name].to_numpy(float) for name in ("before", "after")}})
    ticks = nice_ticks(0.0, min(1.0, max(0.2, float(data[["before", "after"]].to_numpy().max()) * 1.08)))
    y_top = max(ticks[-1], float(data[["before", "after"]].to_numpy().max()) * 1.05)
    last = {name: float(data[name].iloc[-1]) for name in ("before", "after")}
    ends = [
        ("text-3", last["before"], say("As it is {value}", value=f.chance(last["before"]))),
        ("forecast", last["after"], say("Changed {value}", value=f.chance(last["after"]))),
    ]

    def draw(wide: bool) -> Drawing:
        width, height = (290, 160) if wide else (NARROW - 110, 160)
        scale = alt.Scale(domain=[0, y_top], nice=False)
        axis = _time_axis(f, days[0], days[-1], most=4 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=_iso([days[0], days[-1]])), axis=axis)
        y = alt.Y("after:Q", scale=scale, axis=_value_axis(ticks, [f.percent(t) for t in ticks]))
        labels = _end_labels(ends, y_top, height)
        labels["day"] = _iso([days[-1]])[0]
        return alt.layer(
            _line(data, x, "before", scale, COLOURS["naive"], dash=[2, 3], width=1.5),
            alt.Chart(data).mark_line(color=COLOURS["forecast"], strokeWidth=2).encode(x=x, y=y),
            *_label_layers(labels, x, scale),
        ).properties(width=width, height=height)

    rows = list(zip(days, data["before"], data["after"], strict=True))
    return make_figure(
        title,
        say("Dotted: as it is; solid: with the change. The model's view, not a promise."),
        draw,
        (say("By"), say("As it is"), say("Changed")),
        [(f.date(d), f.chance(b), f.chance(a)) for d, b, a in rows],
        [(d.isoformat(), b, a) for d, b, a in rows],
    )


@made_once
def score_history(f: Formats, *, title: str, scores: pd.DataFrame, events: Sequence[date] = ()) -> Figure:
    """The chance of a deal over time: dots where it was issued, rings where it was reconstructed afterwards.

    Parameters
    ----------
    scores : DataFrame, ascending
        day (date), chance (probability), kind (issued or reconstructed).
    events : sequence of date
        Days on which something happened, drawn as ticks at the foot.
    """
    say = f.language.say
    data = pd.DataFrame(
        {"day": _iso(list(scores["day"])), "chance": scores["chance"].to_numpy(float), "kind": scores["kind"]}
    )
    days = list(scores["day"])
    ticks = nice_ticks(0.0, min(1.0, max(0.2, float(data["chance"].max()) * 1.08)))

    def draw(wide: bool) -> Drawing:
        width, height = (440, 160) if wide else (NARROW - 60, 160)
        scale = alt.Scale(domain=[0, max(ticks[-1], float(data["chance"].max()) * 1.05)], nice=False)
        axis = _time_axis(f, days[0], days[-1], most=4 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=_iso([days[0], days[-1]])), axis=axis)
        y = alt.Y("chance:Q", scale=scale, axis=_value_axis(ticks, [f.percent(t) for t in ticks]))
        dots = alt.Chart(data).encode(x=x, y=y)
        return alt.layer(
            alt.Chart(data).mark_line(color=COLOURS["forecast"], strokeWidth=1.5).encode(x=x, y=y),
            dots.transform_filter("datum.kind == 'issued'").mark_circle(color=COLOURS["forecast"], size=40, opacity=1),
            dots.transform_filter("datum.kind != 'issued'").mark_circle(
                color=COLOURS["surface"], stroke=COLOURS["forecast"], strokeWidth=1.5, size=40, opacity=1
            ),
            *_foot_ticks([day for day in events if days[0] <= day <= days[-1]], x, height),
        ).properties(width=width, height=height)

    kinds = {"issued": say("issued"), "reconstructed": say("reconstructed")}
    rows = list(zip(days, data["chance"], scores["kind"], strict=True))
    return make_figure(
        title,
        say("Chance to be won as it was forecast; rings were reconstructed afterwards, ticks at the foot are events"),
        draw,
        (say("Date"), say("Chance to be won"), say("Kind")),
        [(f.date(d), f.chance(c), kinds[k]) for d, c, k in rows],
        [(d.isoformat(), c, k) for d, c, k in rows],
    )


@made_once
def calibration(f: Formats, *, title: str, bins: pd.DataFrame) -> Figure:
    """What was said against what came true; the diagonal is perfection.

    Parameters
    ----------
    bins : DataFrame
        forecast, realised (shares), low, high (where 90 % of results would lie if the forecasts were exact), rows;
        as `training.reliability.reliability` gives.
    """
    say = f.language.say
    top = min(1.0, max(0.1, float(bins[["forecast", "realised", "high"]].to_numpy().max()) * 1.1))
    ticks = nice_ticks(0.0, top)
    labels = [f.percent(t, 0 if ticks[1] >= 0.01 else 1) for t in ticks]
    scale = alt.Scale(domain=[0, top], nice=False)

    def draw(wide: bool) -> Drawing:
        side = 260 if wide else 230
        x = alt.X("forecast:Q", scale=scale, axis=_value_axis(ticks, labels, title=say("Said"), grid=False))
        y = alt.Y("realised:Q", scale=scale, axis=_value_axis(ticks, labels, title=say("Came true")))
        low = alt.Y("low:Q", scale=scale)
        diagonal = pd.DataFrame({"forecast": [0, top], "realised": [0, top]})
        return alt.layer(
            alt.Chart(diagonal).mark_line(color=COLOURS["naive"], strokeDash=[2, 3], strokeWidth=1).encode(x=x, y=y),
            alt.Chart(bins).mark_rule(color=COLOURS["band-50"], strokeWidth=6).encode(x=x, y=low, y2="high"),
            alt.Chart(bins)
            .mark_circle(color=COLOURS["forecast"], opacity=1, size=50, stroke=COLOURS["surface"])
            .encode(x=x, y=y),
        ).properties(width=side + 80 if wide else side, height=side)

    rows = list(bins[["forecast", "realised", "low", "high", "rows"]].itertuples(index=False, name=None))
    return make_figure(
        title,
        say("Dots: share that came true, by what was said; bars: where 90% of results would lie if exact"),
        draw,
        (say("Said"), say("Came true"), say("Low end"), say("High end"), say("Forecasts")),
        [(f.percent(p, 1), f.percent(o, 1), f.percent(a, 1), f.percent(b, 1), f.number(n)) for p, o, a, b, n in rows],
        rows,
    )


@made_once
def at_risk(f: Formats, *, title: str, accounts: pd.DataFrame, horizon_days: int) -> Figure:
    """Each customer's chance to leave against its yearly value; the ones with most at risk carry names.

    Parameters
    ----------
    accounts : DataFrame
        name, churn_probability, yearly_value, value_at_risk; the largest `MAX_MARKS` by value at risk are drawn.
    """
    say = f.language.say
    data = accounts.nlargest(MAX_MARKS, "value_at_risk").reset_index(drop=True)
    x_top = min(1.0, max(0.2, float(data["churn_probability"].max()) * 1.15))
    y_top = float(data["yearly_value"].max()) * 1.1 or 1.0
    # A name stands on the side of its dot where there is room.
    named = data.head(5).assign(side=np.where(data["churn_probability"].head(5) > x_top / 2, "right", "left"))
    x_ticks, y_ticks = nice_ticks(0.0, x_top), nice_ticks(0.0, y_top)

    def draw(wide: bool) -> Drawing:
        width, height = (WIDE - 130, 250) if wide else (NARROW - 70, 220)
        x_title = say("Chance to leave within {days} days", days=horizon_days)
        x = alt.X(
            "churn_probability:Q",
            scale=alt.Scale(domain=[0, x_top], nice=False),
            axis=_value_axis(x_ticks, [f.percent(t) for t in x_ticks], title=x_title, grid=False),
        )
        y = alt.Y(
            "yearly_value:Q",
            scale=alt.Scale(domain=[0, y_top], nice=False),
            axis=_value_axis(y_ticks, [f.money(t) for t in y_ticks]),
        )
        return alt.layer(
            alt.Chart(data).mark_circle(color=COLOURS["naive"], opacity=0.55, size=28).encode(x=x, y=y),
            alt.Chart(named).mark_circle(color=COLOURS["down"], opacity=1, size=60).encode(x=x, y=y),
            *(_point_names(part, x, y, side, 170 if wide else 110) for side, part in named.groupby("side")),
        ).properties(width=width, height=height)

    rows = list(data[["name", "churn_probability", "yearly_value", "value_at_risk"]].itertuples(index=False, name=None))
    return make_figure(
        title,
        say("Yearly value of the {n} customers with most at risk, {unit}", n=len(data), unit=f.currency),
        draw,
        (say("Customer"), say("Chance to leave"), say("Yearly value"), say("Value at risk")),
        [(n, f.chance(p), f.money_full(v), f.money_full(r)) for n, p, v, r in rows[:50]],
        rows,
    )


@made_once
def track_record(f: Formats, *, title: str, subtitle: str, forecasts: pd.DataFrame) -> Figure:
    """Forecasts of past periods against what came: a dot in its 80% range, the result a bar of ink.

    Parameters
    ----------
    forecasts : DataFrame, in the order to show
        label, p10, p50, p90, actual (money).
    """
    say = f.language.say
    data = forecasts.assign(row=[f"{i:03d} {n}" for i, n in enumerate(forecasts["label"])])
    top = float(data[["p90", "actual"]].to_numpy().max()) * 1.05 or 1.0
    ticks = nice_ticks(0.0, top)

    def draw(wide: bool) -> Drawing:
        width, label = (WIDE - 230, 150) if wide else (NARROW - 110, 92)
        scale = alt.Scale(domain=[0, top], nice=False)
        every = ticks if wide else ticks[::2]
        y = alt.Y("row:N", sort=None, title=None, axis=_name_axis(label, "slice(datum.value, 4)"))
        axis = _value_axis(every, [f.money(t) for t in every], orient="top")
        x = alt.X("p10:Q", scale=scale, axis=axis)
        mid, actual = alt.X("p50:Q", scale=scale), alt.X("actual:Q", scale=scale)
        return alt.layer(
            alt.Chart(data).mark_bar(color=COLOURS["band-80"], height=10, cornerRadius=3).encode(y=y, x=x, x2="p90"),
            alt.Chart(data)
            .mark_circle(color=COLOURS["forecast"], size=54, opacity=1, stroke=COLOURS["surface"], strokeWidth=1)
            .encode(y=y, x=mid),
            alt.Chart(data).mark_tick(color=COLOURS["text"], thickness=2.5, size=16).encode(y=y, x=actual),
        ).properties(width=width, height=26 * len(data))

    rows = list(data[["label", "p10", "p50", "p90", "actual"]].itertuples(index=False, name=None))
    return make_figure(
        title,
        subtitle,
        draw,
        (say("Forecast"), say("Low end"), say("Middle"), say("High end"), say("Result")),
        [(n, *(f.money_full(x) for x in values)) for n, *values in rows],
        rows,
    )


@made_once
def waterfall(
    f: Formats, *, title: str, first: tuple[str, float], steps: pd.DataFrame, last: tuple[str, float]
) -> Figure:
    """From one total to another: each step from where the one before it ended.

    Parameters
    ----------
    first, last : (str, float)
        Names and values of the totals.
    steps : DataFrame, in the order to show
        name, amount; the amounts add up to the difference of the totals.
    """
    say = f.language.say
    data = _floating(first, steps, last)
    low = float(data[["start", "end"]].to_numpy().min())
    high = float(data[["start", "end"]].to_numpy().max())
    room = (high - low or abs(high) or 1.0) * 0.25
    # The steps would be slivers on a scale from zero, so the totals are cut, and the subtitle says so.
    cut = low - room if low - room > 0.2 * high else min(0.0, low - room)
    data["bottom"] = np.where(data["kind"] == "total", cut, data["start"])
    data["said"] = [
        f.money(v) if k == "total" else _plus(f, v) for k, v in zip(data["kind"], data["value"], strict=True)
    ]
    scale = alt.Scale(domain=[cut, high + room * 0.6], nice=False)
    colours = alt.Scale(domain=["total", "up", "down"], range=[COLOURS[c] for c in ("forecast", "up", "down")])

    def draw(wide: bool) -> Drawing:
        # Names are measured in one font and drawn in another: room is kept for the wider one.
        names = _name_axis(150 if wide else 108, "slice(datum.value, 3)", room=150 if wide else 124)
        y = alt.Y("row:N", sort=None, title=None, axis=names)
        bars = alt.Chart(data).encode(y=y)
        x = alt.X("bottom:Q", scale=scale, axis=None)
        ends = bars.transform_calculate(right="max(datum.bottom, datum.end)")
        return alt.layer(
            bars.mark_bar(height=16).encode(x=x, x2="end:Q", color=alt.Color("kind:N", scale=colours, legend=None)),
            ends.mark_text(align="left", dx=6, color=COLOURS["text"], fontSize=12).encode(
                x=alt.X("right:Q", scale=scale, axis=None), text="said:N"
            ),
        ).properties(width=WIDE - 230 if wide else NARROW - 165, height=26 * len(data))

    rows = list(data[["name", "value"]].itertuples(index=False, name=None))
    subtitle = (
        say("Expected total of the period, {unit}; the scale does not start at 0", unit=f.currency)
        if cut > 0
        else say("Expected total of the period, {unit}", unit=f.currency)
    )
    full = [
        f.money_full(v) if k == "total" else _plus(f, v, full=True)
        for k, v in zip(data["kind"], data["value"], strict=True)
    ]
    table = [(name, said) for (name, _), said in zip(rows, full, strict=True)]
    return make_figure(title, subtitle, draw, (say("Step"), say("Amount")), table, rows)


def _floating(first: tuple[str, float], steps: pd.DataFrame, last: tuple[str, float]) -> pd.DataFrame:
    """Rows of a waterfall: name, value, kind, and where its bar starts and ends."""
    ends = first[1] + np.cumsum(steps["amount"].to_numpy(float))
    starts = [first[1], *ends[:-1]] if len(ends) else []
    kinds = np.where(steps["amount"].to_numpy(float) >= 0, "up", "down")
    data = pd.DataFrame(
        {
            "name": [first[0], *steps["name"], last[0]],
            "value": [first[1], *steps["amount"], last[1]],
            "kind": ["total", *kinds, "total"],
            "start": [first[1], *starts, last[1]],
            "end": [first[1], *ends, last[1]],
        }
    )
    return data.assign(row=[f"{i:02d} {name}" for i, name in enumerate(data["name"])])


def _plus(f: Formats, value: float, *, full: bool = False) -> str:
    said = f.money_full(value) if full else f.money(value)
    return f"+{said}" if value > 0 and round(value) else said


# -- parts of figures


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round tick values from low to at most high: 3 to `most` + 1, in steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [float(low + i * step) for i in range(int((high - low) / step + 1e-9) + 1)]


def time_ticks(first: date, last: date, most: int) -> list[date]:
    """Month starts between two days, or Mondays where fewer than two months start; thinned evenly to `most`."""
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    months = [d for d in days if d.day == 1]
    ticks = months if len(months) >= 2 else [d for d in days if d.weekday() == 0]
    every = -(-len(ticks) // most) or 1
    return ticks[::every]


def _time_axis(f: Formats, first: date, last: date, most: int = 6) -> alt.Axis:
    ticks = time_ticks(first, last, most)
    labels = [f.date(d, year=d.month == 1 and d != ticks[0] and d.day == 1) for d in ticks]
    stamps = [_milliseconds(d) for d in ticks]
    expression = f"{json.dumps(labels, ensure_ascii=False)}[indexof({stamps}, toNumber(datum.value))]"
    return alt.Axis(values=_iso(ticks), labelExpr=expression, grid=False, title=None, labelFlush=True)


def _value_axis(ticks: Sequence[float], labels: Sequence[str], **kind: Any) -> alt.Axis:
    expression = f"{json.dumps(list(labels), ensure_ascii=False)}[indexof({list(ticks)}, datum.value)]"
    return alt.Axis(
        values=list(ticks), labelExpr=expression, **{"title": None, "domain": False, "ticks": False, **kind}
    )


def _name_axis(limit: int, expression: str, *, room: int = 0) -> alt.Axis:
    return alt.Axis(
        labelExpr=expression,
        labelLimit=limit,
        grid=False,
        domain=False,
        ticks=False,
        labelColor=COLOURS["text"],
        minExtent=room,
    )


def _line(
    data: pd.DataFrame,
    x: alt.X,
    y: str,
    scale: alt.Scale,
    colour: str,
    *,
    dash: list[int] | None = None,
    width: float = 2,
) -> alt.Chart:
    mark: dict[str, Any] = {"strokeDash": dash} if dash else {}
    return (
        alt.Chart(data).mark_line(color=colour, strokeWidth=width, **mark).encode(x=x, y=alt.Y(f"{y}:Q", scale=scale))
    )


def _level(first: date, last: date, at: float, x: alt.X, scale: alt.Scale, colour: str, dash: list[int]) -> alt.Chart:
    data = pd.DataFrame({"day": _iso([first, last]), "value": [at, at]})
    return _line(data, x, "value", scale, colour, dash=dash, width=1.5)


def _today(f: Formats, day: date, x: alt.X) -> Drawing:
    return _mark_day(day, f.language.say("Today"), x)


def _mark_day(day: date, word: str, x: alt.X) -> Drawing:
    base = alt.Chart(pd.DataFrame({"day": _iso([day]), "word": [word]}))
    return alt.layer(
        base.mark_rule(color=COLOURS["text-3"], strokeWidth=1).encode(x=x),
        # Above the plot, where no line can cross it.
        base.mark_text(color=COLOURS["text-3"], baseline="bottom", fontSize=12).encode(
            x=x, y=alt.value(-3), text="word:N"
        ),
    )


def _foot_ticks(days: list[date], x: alt.X, height: int) -> list[alt.Chart]:
    if not days:
        return []
    data = pd.DataFrame({"day": _iso(days)})
    tick: dict[str, Any] = {"color": COLOURS["text-3"], "thickness": 1.5, "size": 8, "orient": "vertical"}
    return [alt.Chart(data).mark_tick(**tick).encode(x=x, y=alt.value(height - 4))]


def _end_labels(ends: list[tuple[str, float, str]], top: float, height: int) -> pd.DataFrame:
    """Labels at line ends, moved apart by at least `_LABEL_GAP` px and kept inside the figure."""
    labels = pd.DataFrame(ends, columns=["colour", "value", "text"]).sort_values("value", ignore_index=True)
    at = labels["value"].to_numpy(float) * height / top
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + _LABEL_GAP)
    at -= max(0.0, at[-1] - height)
    for i in range(len(at) - 2, -1, -1):
        at[i] = min(at[i], at[i + 1] - _LABEL_GAP)
    return labels.assign(at=at * top / height)


def _label_layers(labels: pd.DataFrame, x: alt.X, scale: alt.Scale) -> list[alt.Chart]:
    return [
        alt.Chart(rows)
        .mark_text(align="left", dx=8, color=COLOURS[str(colour)], fontSize=12, clip=False)
        .encode(x=x, y=alt.Y("at:Q", scale=scale), text="text:N")
        for colour, rows in labels.groupby("colour")
    ]


def _point_names(named: pd.DataFrame, x: alt.X, y: alt.Y, side: str, limit: int) -> alt.Chart:
    mark: dict[str, Any] = {"align": side, "dx": -7 if side == "right" else 7, "fontSize": 11, "limit": limit}
    return alt.Chart(named).mark_text(color=COLOURS["text-2"], **mark).encode(x=x, y=y, text="name:N")


def _iso(days: Sequence[date]) -> list[str]:
    return [f"{day:%Y-%m-%d}T00:00:00Z" for day in days]


def _milliseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
