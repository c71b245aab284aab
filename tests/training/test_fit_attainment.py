"""What an attainment model's first verdict and figures say of past quarters, on forecasts written out by hand."""

import pandas as pd
import pytest

from training.fit_attainment import first_verdict, per_cut
from training.verdicts import Sentence

MORE = Sentence("More.", "另。")

DATES = [pd.Timestamp(day, tz="UTC") for day in ("2025-11-15", "2026-02-15")]
REPS = [f"r{k}" for k in range(12)]


def past(ours, run_rate, redrawn):
    """Twelve reps on two dates, each of whom brought 100; a way says the same three quantiles of each."""
    ways = {"simulation": ours, "run_rate": run_rate, "redrawn_weeks": redrawn}
    rows = [
        {"as_of": at, "age": 0.5, "way": way, "level": "rep", "who": rep, "actual": 100.0,
         **dict(zip(("q10", "q50", "q90"), said, strict=True))}
        for way, said in ways.items() for at in DATES for rep in REPS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_first_model_is_held_against_the_run_rate_and_redrawn_weeks():
    """Pinball losses of 100 by hand.

    Ours 90, 100, 120: (.1 x 10 + 0 + .1 x 20) / 3 = 1. Run-rate 80 three times: 20 x (.1 + .5 + .9) / 3 = 10.
    Redrawn weeks 80, 100, 120: (.1 x 20 + 0 + .1 x 20) / 3 = 4/3.
    """
    found = first_verdict(past((90.0, 100.0, 120.0), (80.0, 80.0, 80.0), (80.0, 100.0, 120.0)), MORE)
    assert (found.promote, found.outcome) == (True, "first")
    assert found.text == (
        "Promoted: the first model of its kind, better than the run-rate and redrawn weeks, on 2 past dates, 12 reps: "
        "pinball loss 90.0% below that of the run-rate (90% interval 90.0% to 90.0%); "
        "pinball loss 25.0% below that of redrawn weeks (90% interval 25.0% to 25.0%). More."
    )
    assert found.said.zh == (
        "已启用：该类的第一个模型，优于按当前进度推算和按周重抽样，在2个过去的时点、12名销售上："
        "分位数损失比按当前进度推算低90.0%（90%区间90.0%至90.0%）；"
        "分位数损失比按周重抽样低25.0%（90%区间25.0%至25.0%）。另。"
    )


def test_one_that_does_not_beat_the_run_rate_says_so():
    same = (80.0, 80.0, 80.0)
    found = first_verdict(past(same, same, same), Sentence("", ""))
    assert (found.promote, found.outcome) == (True, "rate")
    assert found.text.startswith(
        "Installed as no better than the run-rate, on 2 past dates, 12 reps: pinball loss 0.0%"
    )


def test_each_past_date_has_its_saving_with_an_interval_and_its_coverage():
    table = past((90.0, 100.0, 120.0), (80.0, 80.0, 80.0), (80.0, 100.0, 120.0))
    ours = (table["way"] == "simulation") & (table["as_of"] == DATES[1]) & table["who"].isin(REPS[:3])
    table.loc[ours, "actual"] = 130.0  # above the range: three of twelve are not held
    found = per_cut(table).set_index("as_of")
    assert found["coverage"].tolist() == [1.0, 0.75]
    assert found.loc[DATES[0], ["skill", "low", "high"]].tolist() == pytest.approx([0.9, 0.9, 0.9])
    # 9 reps lose 1, three lose (.1 x 40 + .5 x 30 + .9 x 10) / 3 = 28/3: 37 in all; the run-rate's are 12 x 10.
    assert found.loc[DATES[1], "skill"] == pytest.approx(1 - 37 / 120)
    assert (found["low"] <= found["skill"]).all()
    assert (found["skill"] <= found["high"]).all()


def test_without_a_past_quarter_nothing_is_claimed():
    found = first_verdict(pd.DataFrame(), Sentence("Too short.", "太短。"))
    assert found.text == "Promoted: the first model of its kind. Too short."
    assert found.said.zh == "已启用：该类的第一个模型。太短。"
