"""Figures on one person against colleagues."""

from __future__ import annotations

import altair as alt
import pandas as pd

from serving.chart_parts import NARROW, WIDE, name_axis, nice_ticks, value_axis
from serving.drawing import COLOURS, Drawing, Figure, made_once, make_figure
from serving.format import Formats

__all__ = ["against_colleagues"]


@made_once
def against_colleagues(f: Formats, *, title: str, gaps: pd.DataFrame) -> Figure:
    """Each habit's gap to colleagues with its range; to the right is better.

    Parameters
    ----------
    gaps : DataFrame
        name, gap, low, high (shares, above 0 the better), said (`up`, `down` or `same`), and the texts own, colleagues,
        range.
    """
    say = f.language.say
    far = max(0.05, float(gaps[["low", "high"]].abs().to_numpy().max()) * 1.05)
    up = nice_ticks(0.0, far, most=2)
    ticks = [-t for t in up[:0:-1]] + up
    data = gaps.reset_index(names="place")
    colour = alt.Color(
        "said:N",
        scale=alt.Scale(domain=["up", "down", "same"], range=[COLOURS["up"], COLOURS["down"], COLOURS["naive"]]),
        legend=None,
    )

    def draw(wide: bool) -> Drawing:
        width, room = (WIDE - 270, 230) if wide else (NARROW - 160, 140)
        x_axis = value_axis(ticks, [f.points(t) if wide else f.percent(t) for t in ticks], grid=True)
        x = alt.X("gap:Q", scale=alt.Scale(domain=[-far, far], nice=False), axis=x_axis)
        y = alt.Y("name:N", sort=list(data["name"]), title=None, axis=name_axis(room, "datum.value", room=room))
        zero = alt.Chart(pd.DataFrame({"gap": [0.0]})).mark_rule(color=COLOURS["text-3"]).encode(x="gap:Q")
        low = alt.X("low:Q", scale=alt.Scale(domain=[-far, far], nice=False))
        return alt.layer(
            zero,
            alt.Chart(data).mark_rule(strokeWidth=4, opacity=0.45).encode(x=low, x2="high", y=y, color=colour),
            alt.Chart(data).mark_circle(opacity=1, size=60).encode(x=x, y=y, color=colour),
        ).properties(width=width, height=26 * len(data) + 10)

    columns = ["name", "deals", "own", "colleagues", "range"]
    return make_figure(
        title,
        say("Points: the gap to colleagues on like deals, to the right the better; bars: its 90% range"),
        draw,
        (say("Habit"), say("Deals"), say("Own"), say("Colleagues on like deals"), say("Gap (90% range)")),
        [(n, f.number(d), o, c, r) for n, d, o, c, r in data[columns].itertuples(index=False, name=None)],
        [
            (name, int(deals), float(gap), float(low), float(high))
            for name, deals, gap, low, high in data[["name", "deals", "gap", "low", "high"]].itertuples(
                index=False, name=None
            )
        ],
    )
