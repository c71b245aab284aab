"""Figures of reports: bars beside last period's, months beside the year before."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import pandas as pd

from serving.chart_parts import NARROW, name_axis, nice_ticks, value_axis
from serving.drawing import COLOURS, Drawing, Figure, made_once, make_figure
from serving.format import MISSING, Formats

_MOST = 12
_NAME, _BREAK = "slice(datum.value, 4)", ": |："  # on a phone a long name breaks after its colon
_FULL = 960  # these figures stand in a card over the whole width


@made_once
def bars(
    f: Formats, *, title: str, subtitle: str, rows: pd.DataFrame, kind: str, names: tuple[str, str, str]
) -> Figure:
    """Horizontal bars, each with the period before as a tick.

    Parameters
    ----------
    rows : DataFrame, in the order to show
        label, value, before (missing where there was none).
    kind : str
        `money`, `share` or `number`.
    names : tuple of str
        Heads of the table: of the labels, the values, the values before.
    """
    shown = rows.head(_MOST).reset_index(drop=True)
    data = shown.assign(row=[f"{i:03d} {n}" for i, n in enumerate(shown["label"])])
    data = data.astype({"value": float, "before": float})
    said = writer(f, kind)
    low = min(0.0, float(data[["value", "before"]].min().min()))
    top = max(float(data[["value", "before"]].max().max()), 0.0) * 1.05 or 1.0
    ticks = nice_ticks(low, top) if low == 0 else [low, 0.0, top]

    def draw(wide: bool) -> Drawing:
        two_lines = not wide and data["label"].str.contains(_BREAK).any()
        width, label = (_FULL - 330, 212) if wide else (NARROW - 146, 128) if two_lines else (NARROW - 110, 92)
        scale = alt.Scale(domain=[low, top], nice=False)
        every = ticks if wide else ticks[::2]
        y = alt.Y(
            "row:N", sort=None, title=None, axis=name_axis(label, f"split({_NAME}, /{_BREAK}/)" if two_lines else _NAME)
        )
        x = alt.X("value:Q", scale=scale, axis=value_axis(every, [said(t) for t in every], orient="top"))
        before = data.dropna(subset=["before"])
        layers = [alt.Chart(data).mark_bar(color=COLOURS["forecast"], height=12).encode(y=y, x=x)]
        if len(before):
            mark = alt.Chart(before).mark_tick(color=COLOURS["text"], thickness=2.5, size=18)
            layers.append(mark.encode(y=y, x=alt.X("before:Q", scale=scale)))
        return alt.layer(*layers).properties(width=width, height=(36 if two_lines else 26) * max(len(data), 1))

    table = list(rows[["label", "value", "before"]].itertuples(index=False, name=None))
    return make_figure(
        title, subtitle, draw, names, [(str(n), said(v), said(b)) for n, v, b in table[:50]], table
    )  # fmt: skip


@made_once
def months(f: Formats, *, title: str, subtitle: str, rows: pd.DataFrame, names: tuple[str, str, str]) -> Figure:
    """A column a month, the year before as a tick.

    Parameters
    ----------
    rows : DataFrame, oldest first
        label, value, before (money; missing where the data do not reach back).
    """
    data = rows.tail(18).reset_index(drop=True).astype({"value": float, "before": float})
    data = data.assign(row=[f"{i:03d} {n}" for i, n in enumerate(data["label"])])
    top = float(data[["value", "before"]].max().max()) * 1.05 or 1.0
    ticks = nice_ticks(0.0, top)

    def draw(wide: bool) -> Drawing:
        width, height = (_FULL - 110, 260) if wide else (NARROW - 70, 220)
        part = data if wide else data.tail(7)
        axis = alt.Axis(labelExpr="slice(datum.value, 4)", labelAngle=0, grid=False, title=None, ticks=False,
                        labelOverlap=True)  # fmt: skip
        scale = alt.Scale(domain=[0, max(top, ticks[-1])], nice=False)
        x = alt.X("row:N", sort=None, axis=axis)
        y = alt.Y("value:Q", scale=scale, axis=value_axis(ticks, [f.money(t) for t in ticks]))
        layers = [alt.Chart(part).mark_bar(color=COLOURS["forecast"]).encode(x=x, y=y)]
        before = part.dropna(subset=["before"])
        if len(before):
            mark = alt.Chart(before).mark_tick(color=COLOURS["text"], thickness=2.5)
            layers.append(mark.encode(x=x, y=alt.Y("before:Q", scale=scale)))
        return alt.layer(*layers).properties(width=width, height=height)

    table = list(rows[["label", "value", "before"]].itertuples(index=False, name=None))
    return make_figure(
        title, subtitle, draw, names, [(str(n), f.money_full(v), f.money_full(b)) for n, v, b in table], table
    )  # fmt: skip


def writer(f: Formats, kind: str) -> Callable[[float | None], str]:
    """How values of a kind are written in a figure."""
    if kind == "money":
        return f.money
    if kind == "share":
        return f.percent
    if kind == "log":
        return lambda value: f.points(value, 1) if value is not None and value == value else MISSING
    return f.number
