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


def point_names(
    named: pd.DataFrame, x: alt.X, y: alt.Y, at: Sequence[tuple[float, float]], room: int, limit: int
) -> list[alt.Chart]:
    """Names beside points, none over another.

    Parameters
    ----------
    named : DataFrame
        The points with their `name`.
    at : sequence of (float, float)
        Where each is drawn, in pixels from the left and the top.
    room : int
        Width of the drawing in pixels.
    limit : int
        Longest name in pixels; a longer one is cut.
    """
    placed = named.assign(place=places([_length(n, limit) for n in named["name"]], at, room))
    found = []
    for (side, lower), part in placed.groupby("place"):
        mark: dict[str, Any] = {"align": side, "dx": -7 if side == "right" else 7, "dy": lower, "fontSize": 11}
        shown = alt.Chart(part.drop(columns="place")).mark_text(color=COLOURS["text-2"], limit=limit, **mark)
        found.append(shown.encode(x=x, y=y, text="name:N"))
    return found


def places(lengths: Sequence[float], at: Sequence[tuple[float, float]], room: int) -> list[tuple[str, int]]:
    """For each text beside a point: which end of it is at the point, and by how much it stands lower, in pixels.

    The first place is taken where it is inside the drawing and covers no text placed before and no point.
    """
    taken = [(x - 5, x + 5, y) for x, y in at]
    found = []
    for n, (length, (x, y)) in enumerate(zip(lengths, at, strict=True)):
        others = [box for i, box in enumerate(taken) if i != n]
        tried = [(side, lower) for lower in (0, -13, 13, -26, 26, -39, 39) for side in ("left", "right")]
        free = (p for p in tried if _is_free(_box(p, length, x, y), others, room))
        place = next(free, tried[0])
        taken.append(_box(place, length, x, y))
        found.append(place)
    return found


def _box(place: tuple[str, int], length: float, x: float, y: float) -> tuple[float, float, float]:
    first = x + 7 if place[0] == "left" else x - 7 - length
    return first, first + length, y + place[1]


def _is_free(box: tuple[float, float, float], others: Sequence[tuple[float, float, float]], room: int) -> bool:
    first, last, y = box
    return (
        first >= 0
        and last <= room + 20
        and not any(first < b and a < last and abs(y - other) < 12 for a, b, other in others)
    )


def _length(text: str, limit: int) -> float:
    """About how wide a text of 11 px is."""
    return min(float(limit), sum(11.0 if ord(sign) > 0x2E80 else 6.5 for sign in text))


def iso_days(days: Sequence[date]) -> list[str]:
    """Days as Vega reads them."""
    return [f"{day:%Y-%m-%d}T00:00:00Z" for day in days]


def milliseconds(day: date) -> int:
    """A day as milliseconds since 1970, as Vega counts."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
