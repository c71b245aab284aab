"""The sentence on a backtest says what the intervals say, in both languages."""

import numpy as np
import pandas as pd
import pytest

from training.verdicts import Sentence, differences, verdict

OF, UNIT = Sentence("a win within 90 days", "90天内赢单"), Sentence("deals", "个商机")
MEASURE = Sentence("log loss", "对数损失")


def told(losses, dates=6):
    n = len(losses["forecast"])
    table = differences(losses, pd.Series(range(n)))
    return table.set_index("rival"), verdict(table, of=OF, unit=UNIT, measure=MEASURE, dates=dates)


def losses():
    rng = np.random.default_rng(0)
    ours = rng.random(1_000)
    noise = rng.normal(0, 0.5, 1_000)
    return {
        "forecast": ours, "base_rate": ours + 0.2, "stage_rate": ours + 0.1, "logistic": ours + noise - noise.mean(),
        "catboost": ours - 0.05,
    }  # fmt: skip


def test_figures_are_paired_means():
    table, _ = told(losses())
    mean = losses()["forecast"].mean()
    assert table.loc["base_rate", "difference"] == pytest.approx(0.2)
    assert table.loc["base_rate", "share"] == pytest.approx(0.2 / (mean + 0.2))
    # The same .2 in every row: whatever deals are drawn, the mean is that.
    assert table.loc["base_rate", ["low", "high"]].tolist() == pytest.approx([0.2, 0.2])
    assert (table["units"] == 1_000).all()


def test_each_rival_stands_where_its_interval_puts_it():
    _, said = told(losses())
    assert (
        "better than the base rate and the stage rate; no different beyond chance from logistic regression" in said.en
    )
    assert "worse than CatBoost" in said.en
    assert "优于基准率和阶段赢单率" in said.zh
    assert "与逻辑回归的差异未超出偶然范围" in said.zh
    assert "不如CatBoost" in said.zh


def test_figures_are_those_of_the_first_rival():
    _, said = told({"forecast": np.full(50, 0.45), "base_rate": np.full(50, 0.5)})
    assert "log loss 10.0% lower than the base rate (90% interval of the saving 10.0% to 10.0%)" in said.en
    assert "对数损失比基准率低10.0%" in said.zh
    _, worse = told({"forecast": np.full(50, 0.55), "base_rate": np.full(50, 0.5)})
    assert "log loss 10.0% higher than the base rate" in worse.en
    assert "高10.0%" in worse.zh


def test_few_past_dates_are_said_so():
    _, few = told(losses(), dates=4)
    assert "On 4 past dates (6 are wanted), 1,000 forecasts of a win within 90 days for 1,000 deals" in few.en
    assert "宜有6个" in few.zh
    _, enough = told(losses(), dates=6)
    assert "wanted" not in enough.en
