"""What a backtest found, in one sentence: better than which rivals beyond chance, worse than which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.learners import Floats
from training.metrics import difference

WANTED_DATES = 6
_INTERVAL = ("difference", "low", "high")

NAMES = {
    "base_rate": ("the base rate", "基准率"),
    "stage_rate": ("the stage rate", "阶段赢单率"),
    "own_call": ("the owner's own call", "负责人自己的判断"),
    "odoo_bayes": ("Odoo's recipe", "Odoo的评分方法"),
    "logistic": ("logistic regression", "逻辑回归"),
    "catboost": ("CatBoost", "CatBoost"),
    "churn_rate": ("the base rate", "基准流失率"),
    "silence_rate": ("the rate by silence", "按静默时长的流失率"),
    "run_rate": ("the run-rate", "按当前进度推算"),
    "pipeline_rate": ("pipeline times stage rate plus new business", "阶段赢单率乘管道加新业务"),
    "redrawn_weeks": ("redrawn weeks", "按周重抽样"),
    "last_year": ("the same period last year", "去年同期"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same sentence in English and in Chinese, with `{named}` places for values where it has any."""

    en: str
    zh: str

    def given(self, **values: object) -> Sentence:
        """With values in its places; one that is a sentence stands in its own language."""
        return Sentence(self.en.format(**_said(values, "en")), self.zh.format(**_said(values, "zh")))


def _said(values: Mapping[str, object], language: str) -> dict[str, object]:
    return {name: getattr(v, language) if isinstance(v, Sentence) else v for name, v in values.items()}


def joined(sentences: Iterable[Sentence], en: str = " ", zh: str = "") -> Sentence:
    """Sentences one behind the other, parted as each language does; what says nothing is left out."""
    every = [s for s in sentences if s.en]
    return Sentence(en.join(s.en for s in every), zh.join(s.zh for s in every))


def differences(losses: Mapping[str, Floats], unit: pd.Series, *, seed: int = 0) -> pd.DataFrame:
    """Each rival's mean loss less the forecast's on the same rows, with its 90 % interval over whole units.

    Parameters
    ----------
    losses : mapping of str to shape (n,)
        Loss of each row by way of forecasting; 'forecast' is compared with all others.
    unit : shape (n,)
        Deal, customer or rep of each row: these are drawn with replacement.

    Returns
    -------
    pd.DataFrame
        `rival`, `loss` (the forecast's mean), `rival_loss`, `difference` (above 0: the forecast is better), `low`,
        `high`, `share` (of the rival's loss that is saved), `rows`, `units`.
    """
    ours = losses["forecast"]
    rows = []
    for name, rival in losses.items():
        if name == "forecast":
            continue
        found = difference(ours, rival, unit, seed=seed)
        mean, theirs = float(np.mean(ours)), float(np.mean(rival))
        rows.append((name, mean, theirs, found.mean, found.low, found.high, found.mean / max(theirs, 1e-12),
                     len(ours), found.units))  # fmt: skip
    return pd.DataFrame(rows, columns="rival loss rival_loss difference low high share rows units".split())


def verdict(
    table: pd.DataFrame, *, of: Sentence, unit: Sentence, measure: Sentence, dates: int, wanted: int = WANTED_DATES
) -> Sentence:
    """One sentence on `differences`, the first rival's with figures.

    Parameters
    ----------
    of, unit, measure : Sentence
        What was forecast, such as 'a win within 90 days'; of whom, such as 'deals'; what is lower where forecasts are
        better, such as 'log loss'.
    dates, wanted : int
        Past dates there were, and how many there should be.
    """
    said = [
        (table["low"] > 0, "better than {}", "优于{}"),
        ((table["low"] <= 0) & (table["high"] >= 0), "no different beyond chance from {}", "与{}的差异未超出偶然范围"),
        (table["high"] < 0, "worse than {}", "不如{}"),
    ]
    english = "; ".join(en.format(_listed(table[held], 0)) for held, en, _ in said if held.any())
    chinese = "；".join(zh.format(_listed(table[held], 1)) for held, _, zh in said if held.any())
    rows, units = int(table["rows"].iloc[0]), int(table["units"].iloc[0])
    few_en, few_zh = (f" ({wanted} are wanted)", f"（宜有{wanted}个）") if dates < wanted else ("", "")
    gain_en, gain_zh = _gain(table.iloc[0], measure)
    past = "date" if dates == 1 else "dates"
    return Sentence(
        f"On {dates} past {past}{few_en}, {rows:,} forecasts of {of.en} for {units:,} {unit.en} were {english}; "
        f"{gain_en}.",
        f"在{dates}个过去的时点上{few_zh}，对{units:,}{unit.zh}的{rows:,}次{of.zh}预测{chinese}；{gain_zh}。",
    )


def _gain(row: pd.Series, measure: Sentence) -> tuple[str, str]:
    share, low, high = (100 * float(row[name]) / max(float(row["rival_loss"]), 1e-12) for name in _INTERVAL)
    en, zh = _name(row["rival"])
    lower, less = ("lower", "低") if share >= 0 else ("higher", "高")
    return (
        f"{measure.en} {abs(share):.1f}% {lower} than {en} (90% interval of the saving {low:.1f}% to {high:.1f}%)",
        f"{measure.zh}比{zh}{less}{abs(share):.1f}%（降幅的90%区间为{low:.1f}%至{high:.1f}%）",
    )


def _listed(part: pd.DataFrame, language: int) -> str:
    names = [_name(rival)[language] for rival in part["rival"]]
    comma, last = ((", ", " and "), ("、", "和"))[language]
    return comma.join(names[:-1]) + last + names[-1] if len(names) > 1 else names[0]


def _name(rival: Any) -> tuple[str, str]:
    return NAMES.get(str(rival), (str(rival), str(rival)))
