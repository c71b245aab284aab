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


def ranges_svg(past: pd.DataFrame) -> str:
    """Ranges of past periods and what came, as SVG text: those that held it in one colour, the others in another.

    Parameters
    ----------
    past : shape (n, p)
        `as_of`, `actual`, `q10`, `q50`, `q90`, a row a rep and date.
    """
    held = (past["actual"] >= past["q10"]) & (past["actual"] <= past["q90"])
    shown = past.assign(
        held=np.where(held, "in the 80 % range", "outside"), as_of=past["as_of"].dt.strftime("%Y-%m-%d")
    )[["as_of", "held", "actual", "q50"]]
    most = float(max(shown["actual"].max(), shown["q50"].max(), 1.0))
    ideal = alt.Chart(pd.DataFrame({"x": [0.0, most]})).mark_line(strokeDash=[4, 4], color="#888").encode(x="x", y="x")
    points = (
        alt.Chart(shown)
        .mark_point(filled=True, size=40)
        .encode(
            x=alt.X("q50:Q", title="Middle forecast", axis=alt.Axis(format="~s")),
            y=alt.Y("actual:Q", title="Came", axis=alt.Axis(format="~s")),
            color=alt.Color("held:N", title=None, scale=alt.Scale(range=["#1f4e79", "#c0504d"])),
        )
    )
    chart = (ideal + points).properties(
        width=320, height=320, title=f"{100 * float(held.mean()):.0f}% of {len(past)} results lay in their 80 % range"
    )
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))
