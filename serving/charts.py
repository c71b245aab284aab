"""Figures for pages, notebooks and reports: one definition each; those of one deal stand in deal_charts."""

from __future__ import annotations

from datetime import date, timedelta

import altair as alt
import numpy as np
import pandas as pd

from serving.chart_parts import (
    MAX_MARKS,
    NARROW,
    WIDE,
    end_labels,
    iso_days,
    label_layers,
    level_line,
    line_layer,
    name_axis,
    nice_ticks,
    point_names,
    time_axis,
    today_mark,
    value_axis,
)
from serving.drawing import COLOURS, Drawing, Figure, made_once, make_figure
from serving.format import Formats

__all__ = ["Figure", "at_risk", "calibration", "fan", "pace", "track_record", "waterfall"]


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
    cone = pd.DataFrame({"day": iso_days([today, last]), "low": [now, p10], "mid": [now, p50], "high": [now, p90]})
    past = pd.DataFrame({"day": iso_days([start, *booked.index]), "value": [0.0, *booked.to_numpy(float)]})
    ends = [("forecast", p50, say("Forecast {value}", value=value(p50)))]
    if target is not None:
        ends.append(("text", target, say("Goal {value}", value=value(target))))
    if naive is not None:
        ends.append(("text-3", naive, say("Today's pace {value}", value=value(naive))))
    top = max(p90, now, target or 0.0, naive or 0.0) * 1.04 or 1.0
    ticks = nice_ticks(0.0, top)

    def draw(width: int, height: int) -> Drawing:
        y_scale = alt.Scale(domain=[0, max(top, ticks[-1])], nice=False)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=iso_days([start, last])), axis=time_axis(f, start, last))
        y = alt.Y("value:Q", scale=y_scale, axis=value_axis(ticks, [value(t) for t in ticks]))
        layers = [
            alt.Chart(cone).mark_area(color=COLOURS["band-80"]).encode(x=x, y=alt.Y("low:Q", scale=y_scale), y2="high"),
            line_layer(cone, x, "mid", y_scale, COLOURS["surface"], width=4),
            line_layer(cone, x, "mid", y_scale, COLOURS["forecast"]),
        ]
        if target is not None:
            layers.append(level_line(start, last, target, x, y_scale, COLOURS["text"], [6, 4]))
        if naive is not None:
            pace = pd.DataFrame({"day": iso_days([today, last]), "value": [now, naive]})
            layers.append(line_layer(pace, x, "value", y_scale, COLOURS["naive"], dash=[2, 3], width=1.5))
        layers.append(alt.Chart(past).mark_line(color=COLOURS["text"], strokeWidth=2).encode(x=x, y=y))
        layers.append(today_mark(f, today, x))
        labels = end_labels(ends, max(top, ticks[-1]), height)
        labels["day"] = iso_days([last])[0]
        layers += label_layers(labels, x, y_scale)
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
    data = pd.DataFrame({"day": iso_days(days), "due": course["due"], "value": course["reached"]})
    past = data[data["value"].notna()]
    top = max(target, float(course["reached"].max()), float(course["due"].max())) * 1.04 or 1.0
    ticks = nice_ticks(0.0, top)
    ends = [("text", target, say("Goal {value}", value=value(target)))]

    def draw(wide: bool) -> Drawing:
        width, height = (WIDE - 190, 240) if wide else (NARROW - 75, 220)
        y_scale = alt.Scale(domain=[0, max(top, ticks[-1])], nice=False)
        axis = time_axis(f, days[0], days[-1], most=6 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=iso_days([days[0], days[-1]])), axis=axis)
        y = alt.Y("value:Q", scale=y_scale, axis=value_axis(ticks, [value(t) for t in ticks]))
        layers = [
            line_layer(data, x, "due", y_scale, COLOURS["naive"], dash=[2, 3]),
            level_line(days[0], days[-1], target, x, y_scale, COLOURS["text"], [6, 4]),
            alt.Chart(past).mark_line(color=COLOURS["text"], strokeWidth=2).encode(x=x, y=y),
            today_mark(f, today, x),
        ]
        labels = end_labels(ends, max(top, ticks[-1]), height)
        labels["day"] = iso_days([days[-1]])[0]
        layers += label_layers(labels, x, y_scale)
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
        x = alt.X("forecast:Q", scale=scale, axis=value_axis(ticks, labels, title=say("Said"), grid=False))
        y = alt.Y("realised:Q", scale=scale, axis=value_axis(ticks, labels, title=say("Came true")))
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
    named = data.head(5)
    x_ticks, y_ticks = nice_ticks(0.0, x_top), nice_ticks(0.0, y_top)

    def draw(wide: bool) -> Drawing:
        width, height = (WIDE - 130, 250) if wide else (NARROW - 70, 220)
        x_title = say("Chance to leave within {days} days", days=horizon_days)
        x = alt.X(
            "churn_probability:Q",
            scale=alt.Scale(domain=[0, x_top], nice=False),
            axis=value_axis(x_ticks, [f.percent(t) for t in x_ticks], title=x_title, grid=False),
        )
        y = alt.Y(
            "yearly_value:Q",
            scale=alt.Scale(domain=[0, y_top], nice=False),
            axis=value_axis(y_ticks, [f.money(t) for t in y_ticks]),
        )
        at = [
            (p / x_top * width, height - v / y_top * height)
            for p, v in zip(named["churn_probability"], named["yearly_value"], strict=True)
        ]
        return alt.layer(
            alt.Chart(data).mark_circle(color=COLOURS["naive"], opacity=0.55, size=28).encode(x=x, y=y),
            alt.Chart(named).mark_circle(color=COLOURS["down"], opacity=1, size=60).encode(x=x, y=y),
            *point_names(named, x, y, at, width, 170 if wide else 110),
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
        y = alt.Y("row:N", sort=None, title=None, axis=name_axis(label, "slice(datum.value, 4)"))
        axis = value_axis(every, [f.money(t) for t in every], orient="top")
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
        names = name_axis(150 if wide else 108, "slice(datum.value, 3)", room=150 if wide else 124)
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
