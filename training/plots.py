"""Figures kept beside a model or a backtest: forecast against what came, skill by date, as SVG."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from training.reliability import reliability


def reliability_chart(table: pd.DataFrame, *, forecast: str = "forecast") -> Any:
    """Mean forecast against realised share in ten bins, with the range that exact forecasts would give.

    Parameters
    ----------
    table : shape (n, p)
        `won` and a column of probabilities, as `WinModel.choice_.table` has them.
    """
    bins = reliability(table[forecast].to_numpy(np.float64), table["won"], deal=table.get("deal_id"))
    base = alt.Chart(bins).encode(x=alt.X("forecast:Q", title="Forecast", scale=alt.Scale(domain=[0, 1])))
    ideal = alt.Chart(pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})).mark_line(strokeDash=[4, 4], color="#888")
    return (
        ideal.encode(x="x:Q", y="y:Q")
        + base.mark_rule(color="#9ab", strokeWidth=4, opacity=0.6).encode(y="low:Q", y2="high:Q")
        + base.mark_point(filled=True, size=70, color="#1f4e79").encode(
            y=alt.Y("realised:Q", title="Came true", scale=alt.Scale(domain=[0, 1]))
        )
    ).properties(width=320, height=320, title="Forecast against what came; bars: chance alone, 90 %")


def reliability_svg(table: pd.DataFrame, *, forecast: str = "forecast") -> str:
    """The same as SVG text."""
    return str(vl_convert.vegalite_to_svg(reliability_chart(table, forecast=forecast).to_dict()))


def dates_svg(past: pd.DataFrame, *, measure: str = "Share of the base rate's log loss that is saved") -> str:
    """Skill at each past date with its 90 % interval, as SVG text.

    Parameters
    ----------
    past : DataFrame
        `as_of`, `skill`, `low`, `high`.
    """
    shown = past.assign(as_of=past["as_of"].dt.strftime("%Y-%m-%d"))
    base = alt.Chart(shown).encode(x=alt.X("as_of:O", title="Forecast as of"))
    nothing = alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(strokeDash=[4, 4], color="#888").encode(y="y:Q")
    chart = (
        nothing
        + base.mark_rule(color="#9ab", strokeWidth=4, opacity=0.6).encode(y="low:Q", y2="high:Q")
        + base.mark_point(filled=True, size=70, color="#1f4e79").encode(
            y=alt.Y("skill:Q", title=measure, axis=alt.Axis(format="%"))
        )
    ).properties(width=420, height=240, title="Gain at each past date; bars: 90 % interval")
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))
