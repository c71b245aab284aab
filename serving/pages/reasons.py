"""Reasons as a list whose steps, as shown, add up from the base to the prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from features.catalogue import OTHERS
from serving.format import Formats

WIDTH = 180.0  # of the strip each step is drawn on
MOST = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a step lies on its strip."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Step:
    """One reason in words, its size as said, and its bar."""

    text: str
    said: str
    raises: bool
    can_act: bool
    bar: Bar


@dataclass(frozen=True, slots=True)
class ReasonList:
    """From the base, step by step, to the prediction."""

    base_text: str
    base_said: str
    base: Bar
    steps: tuple[Step, ...]
    total_text: str
    total_said: str
    total: Bar
    change_said: str  # from base to total, with its sign, as the steps add up
    zero: float


Name = Callable[[str, object, object], tuple[str, bool]]
Theme = Callable[[str], str]


def in_points(
    f: Formats, rows: pd.DataFrame, *, name: Name, theme: Theme, base_text: str, total_text: str
) -> ReasonList:
    """Reasons of a probability, in percentage points.

    Parameters
    ----------
    rows : DataFrame, one row a feature
        feature, value, text, contribution, base_value, prediction (probabilities).
    name : callable
        (feature, value, text) to the reason's words and whether a person can change it.
    theme : callable
        A feature to what it tells about: the many small reasons are summed by that.
    """
    base, total = float(rows["base_value"].iloc[0]), float(rows["prediction"].iloc[0])
    digits = 1 if abs(total - base) < 0.05 else 0
    return _listed(
        f,
        rows,
        name=name,
        theme=theme,
        texts=(base_text, total_text),
        level=lambda value: f.percent(value, digits),
        unit=10.0 ** -(digits + 2),
        said=lambda step: f.points(step, digits),
    )


def in_money(f: Formats, rows: pd.DataFrame, *, name: Name, base_text: str, total_text: str) -> ReasonList:
    """Reasons of an expected amount, in base currency; columns as `in_points` has them."""
    return _listed(
        f,
        rows,
        name=name,
        theme=None,
        texts=(base_text, total_text),
        level=f.money_full,
        unit=1.0,
        said=lambda step: ("+" if step > 0 else "") + f.money_full(step),
    )


def _listed(
    f: Formats,
    rows: pd.DataFrame,
    *,
    name: Name,
    theme: Theme | None,
    texts: tuple[str, str],
    level: Callable[[float], str],
    unit: float,
    said: Callable[[float], str],
) -> ReasonList:
    ranked = rows.reindex(rows["contribution"].abs().sort_values(ascending=False, kind="stable").index)
    shown = ranked[ranked["feature"] != OTHERS.name].head(MOST)
    others = ranked.drop(index=shown.index)
    start = float(rows["base_value"].iloc[0])
    words = [(*name(r.feature, r.value, r.text), float(r.contribution)) for r in shown.itertuples()]
    words += _rest(f, others, theme)
    # Each step as said is the difference of two rounded levels, so that what one reads adds up exactly.
    levels = [start]
    for *_, contribution in words:
        levels.append(levels[-1] + contribution)
    rounded = [round(value / unit) * unit for value in levels]
    place = _scale(levels)
    steps = tuple(
        Step(
            text,
            said(rounded[i + 1] - rounded[i]),
            contribution > 0,
            can_act,
            place("up" if contribution > 0 else "down", levels[i], levels[i + 1]),
        )
        for i, (text, can_act, contribution) in enumerate(words)
    )
    return ReasonList(
        base_text=texts[0],
        base_said=level(rounded[0]),
        base=place("base", 0, start),
        steps=steps,
        total_text=texts[1],
        total_said=level(rounded[-1]),
        total=place("total", 0, levels[-1]),
        change_said=said(rounded[-1] - rounded[0]),
        zero=place("", 0, 0).x,
    )


def _rest(f: Formats, others: pd.DataFrame, theme: Theme | None) -> list[tuple[str, bool, float]]:
    """The many small reasons, summed by what they tell about, the largest first."""
    if others.empty:
        return []
    if theme is None:
        text = f.language.say_n("{n} other reason", "{n} other reasons", len(others))
        return [(text, False, float(others["contribution"].sum()))]
    sums = others.groupby(others["feature"].map(theme))["contribution"].agg(["sum", "size"])
    ranked = sums.reindex(sums["sum"].abs().sort_values(ascending=False, kind="stable").index)
    return [
        (f.language.say("{theme}: {n} more", theme=text, n=int(row["size"])), False, float(row["sum"]))
        for text, row in ranked.iterrows()
    ]


def _scale(levels: list[float]) -> Callable[[str, float, float], Bar]:
    low, high = min(0.0, *levels), max(0.0, *levels)
    span = (high - low) or 1.0

    def place(kind: str, a: float, b: float) -> Bar:
        x, width = (min(a, b) - low) / span * WIDTH, max(abs(b - a) / span * WIDTH, 1.0)
        return Bar(kind, round(min(x, WIDTH - width), 1), round(width, 1))

    return place
