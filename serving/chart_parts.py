"""Axes, ticks, lines and labels that figures are put together from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from serving.drawing import COLOURS, Drawing
from serving.format import Formats

WIDE, NARROW = 650, 330
MAX_MARKS = 250
_LABEL_GAP = 15  # px between two labels at line ends


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


def time_axis(f: Formats, first: date, last: date, most: int = 6) -> alt.Axis:
    """The axis of days, with names of months or days by language."""
    ticks = time_ticks(first, last, most)
    labels = [f.date(d, year=d.month == 1 and d != ticks[0] and d.day == 1) for d in ticks]
    stamps = [milliseconds(d) for d in ticks]
    expression = f"{json.dumps(labels, ensure_ascii=False)}[indexof({stamps}, toNumber(datum.value))]"
    return alt.Axis(values=iso_days(ticks), labelExpr=expression, grid=False, title=None, labelFlush=True)


def value_axis(ticks: Sequence[float], labels: Sequence[str], **kind: Any) -> alt.Axis:
    """An axis of values with labels written out for each tick."""
    expression = f"{json.dumps(list(labels), ensure_ascii=False)}[indexof({list(ticks)}, datum.value)]"
    return alt.Axis(
        values=list(ticks), labelExpr=expression, **{"title": None, "domain": False, "ticks": False, **kind}
    )


def name_axis(limit: int, expression: str, *, room: int = 0) -> alt.Axis:
    """An axis of names, cut at a limit of pixels."""
    return alt.Axis(
        labelExpr=expression,
        labelLimit=limit,
        grid=False,
        domain=False,
        ticks=False,
        labelColor=COLOURS["text"],
        minExtent=room,
    )


def line_layer(
    data: pd.DataFrame,
    x: alt.X,
    y: str,
    scale: alt.Scale,
    colour: str,
    *,
    dash: list[int] | None = None,
    width: float = 2,
) -> alt.Chart:
    """A line over days."""
    mark: dict[str, Any] = {"strokeDash": dash} if dash else {}
    return (
        alt.Chart(data).mark_line(color=colour, strokeWidth=width, **mark).encode(x=x, y=alt.Y(f"{y}:Q", scale=scale))
    )


def level_line(
    first: date, last: date, at: float, x: alt.X, scale: alt.Scale, colour: str, dash: list[int]
) -> alt.Chart:
    """A level line between two days, such as a goal."""
    data = pd.DataFrame({"day": iso_days([first, last]), "value": [at, at]})
    return line_layer(data, x, "value", scale, colour, dash=dash, width=1.5)


def today_mark(f: Formats, day: date, x: alt.X) -> Drawing:
    """The upright that marks the day of the data."""
    return day_mark(day, f.language.say("Today"), x)


def day_mark(day: date, word: str, x: alt.X) -> Drawing:
    """An upright with a word at one day."""
    base = alt.Chart(pd.DataFrame({"day": iso_days([day]), "word": [word]}))
    return alt.layer(
        base.mark_rule(color=COLOURS["text-3"], strokeWidth=1).encode(x=x),
        # Above the plot, where no line can cross it.
        base.mark_text(color=COLOURS["text-3"], baseline="bottom", fontSize=12).encode(
            x=x, y=alt.value(-3), text="word:N"
        ),
    )


def foot_ticks(days: list[date], x: alt.X, height: int) -> list[alt.Chart]:
    """Small marks at the foot of a figure, one a day."""
    if not days:
        return []
    data = pd.DataFrame({"day": iso_days(days)})
    tick: dict[str, Any] = {"color": COLOURS["text-3"], "thickness": 1.5, "size": 8, "orient": "vertical"}
    return [alt.Chart(data).mark_tick(**tick).encode(x=x, y=alt.value(height - 4))]


def end_labels(ends: list[tuple[str, float, str]], top: float, height: int) -> pd.DataFrame:
    """Labels at line ends, moved apart by at least `_LABEL_GAP` px and kept inside the figure."""
    labels = pd.DataFrame(ends, columns=["colour", "value", "text"]).sort_values("value", ignore_index=True)
    at = labels["value"].to_numpy(float) * height / top
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + _LABEL_GAP)
    at -= max(0.0, at[-1] - height)
    for i in range(len(at) - 2, -1, -1):
        at[i] = min(at[i], at[i + 1] - _LABEL_GAP)
    return labels.assign(at=at * top / height)


def label_layers(labels: pd.DataFrame, x: alt.X, scale: alt.Scale) -> list[alt.Chart]:
    """Labels at lines' ends."""
    return [
        alt.Chart(rows)
        .mark_text(align="left", dx=8, color=COLOURS[str(colour)], fontSize=12, clip=False)
        .encode(x=x, y=alt.Y("at:Q", scale=scale), text="text:N")
        for colour, rows in labels.groupby("colour")
    ]


def point_names(named: pd.DataFrame, x: alt.X, y: alt.Y, side: str, limit: int) -> alt.Chart:
    """Names beside points."""
    mark: dict[str, Any] = {"align": side, "dx": -7 if side == "right" else 7, "fontSize": 11, "limit": limit}
    return alt.Chart(named).mark_text(color=COLOURS["text-2"], **mark).encode(x=x, y=y, text="name:N")


def iso_days(days: Sequence[date]) -> list[str]:
    """Days as Vega reads them."""
    return [f"{day:%Y-%m-%d}T00:00:00Z" for day in days]


def milliseconds(day: date) -> int:
    """A day as milliseconds since 1970, as Vega counts."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
