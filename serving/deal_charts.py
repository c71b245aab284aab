"""Figures of one deal: its chance by date, what if, and how it has moved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import altair as alt
import pandas as pd

from serving.chart_parts import (
    NARROW,
    day_mark,
    end_labels,
    foot_ticks,
    iso_days,
    label_layers,
    line_layer,
    nice_ticks,
    time_axis,
    value_axis,
)
from serving.drawing import COLOURS, Drawing, Figure, made_once, make_figure
from serving.format import Formats


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
    data = pd.DataFrame({"day": iso_days(days), "won": curve["won"].to_numpy(), "lost": curve["lost"].to_numpy()})
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
        axis = time_axis(f, days[0], days[-1], most=5 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=iso_days([days[0], days[-1]])), axis=axis)
        y = alt.Y("won:Q", scale=y_scale, axis=value_axis(ticks, [f.percent(t) for t in ticks]))
        layers = [
            alt.Chart(data).mark_line(color=COLOURS["forecast"], strokeWidth=2).encode(x=x, y=y),
            line_layer(data, x, "lost", y_scale, COLOURS["down"], dash=[6, 3]),
        ]
        if period_end and days[0] < period_end < days[-1]:
            layers.append(day_mark(period_end, say("Period ends"), x))
        labels = end_labels(ends, y_top, height)
        labels["day"] = iso_days([days[-1]])[0]
        layers += label_layers(labels, x, y_scale)
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
    data = pd.DataFrame({"day": iso_days(days), **{name: curve[name].to_numpy(float) for name in ("before", "after")}})
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
        axis = time_axis(f, days[0], days[-1], most=4 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=iso_days([days[0], days[-1]])), axis=axis)
        y = alt.Y("after:Q", scale=scale, axis=value_axis(ticks, [f.percent(t) for t in ticks]))
        labels = end_labels(ends, y_top, height)
        labels["day"] = iso_days([days[-1]])[0]
        return alt.layer(
            line_layer(data, x, "before", scale, COLOURS["naive"], dash=[2, 3], width=1.5),
            alt.Chart(data).mark_line(color=COLOURS["forecast"], strokeWidth=2).encode(x=x, y=y),
            *label_layers(labels, x, scale),
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
        {"day": iso_days(list(scores["day"])), "chance": scores["chance"].to_numpy(float), "kind": scores["kind"]}
    )
    days = list(scores["day"])
    ticks = nice_ticks(0.0, min(1.0, max(0.2, float(data["chance"].max()) * 1.08)))

    def draw(wide: bool) -> Drawing:
        width, height = (440, 160) if wide else (NARROW - 60, 160)
        scale = alt.Scale(domain=[0, max(ticks[-1], float(data["chance"].max()) * 1.05)], nice=False)
        axis = time_axis(f, days[0], days[-1], most=4 if wide else 3)
        x = alt.X("day:T", scale=alt.Scale(type="utc", domain=iso_days([days[0], days[-1]])), axis=axis)
        y = alt.Y("chance:Q", scale=scale, axis=value_axis(ticks, [f.percent(t) for t in ticks]))
        dots = alt.Chart(data).encode(x=x, y=y)
        return alt.layer(
            alt.Chart(data).mark_line(color=COLOURS["forecast"], strokeWidth=1.5).encode(x=x, y=y),
            dots.transform_filter("datum.kind == 'issued'").mark_circle(color=COLOURS["forecast"], size=40, opacity=1),
            dots.transform_filter("datum.kind != 'issued'").mark_circle(
                color=COLOURS["surface"], stroke=COLOURS["forecast"], strokeWidth=1.5, size=40, opacity=1
            ),
            *foot_ticks([day for day in events if days[0] <= day <= days[-1]], x, height),
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
