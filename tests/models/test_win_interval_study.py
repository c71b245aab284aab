"""Intervals of the win probability on groups of deals of several sample companies, against the simulator's truth."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from models.intervals import moved_around
from models.win import WinModel
from models.win_params import WinParams
from training.segments import SEGMENTS, deal_segments, team_of
from training.snapshots import deal_snapshots

LEAST = 100  # deals of a group: the truth of fewer is moved by who happens to be in it
ENDS = (("group_low", "group_high"), ("low", "high"))
COMPANIES = (21, 22, 23, 24)
GIVEN = WinParams(trees_share=0.5, ever_share=0.5, calibrator="none")


def groups_of(seed) -> pd.DataFrame:
    """A row a group of deals open on the last Monday: mean forecast, interval and truth."""
    sample = simulate(reps=50, months=24, seed=seed)
    view, company = lake_view(sample), Company.parse(sample.settings)
    until = pd.Timestamp(newest_event(view))
    rows = deal_snapshots(view, company, until=until)
    monday = rows.loc[rows["as_of"] < until, "as_of"].max()
    model = WinModel(seed, rows=60_000, cuts=1, params=GIVEN).fit(rows[rows["as_of"] <= monday], until=monday)
    deals = rows[rows["as_of"] == monday].reset_index(drop=True)
    said = model.score(deals, period_end=monday).set_index("deal_id").drop(columns="as_of")
    truth = sample.truth["deals"]
    truth = truth[truth["as_of"] == monday].set_index("deal_id")[["p_won", "p_won_given_record"]]
    table = deal_segments(deals, team_of(view, deals)).assign(deal_id=deals["deal_id"], all="all")
    table["third"] = pd.qcut(said["win_probability"].to_numpy(), 3, labels=False)
    table = table.join(said, on="deal_id").join(truth, on="deal_id")
    moved = moved_around(said["win_probability"].to_numpy(), model.redrawn(deals))  # a row a model, deals as in table
    found = [
        {
            "seed": seed, "by": by, "value": value, "deals": len(part), "forecast": part["win_probability"].mean(),
            "low": part["win_probability_low"].mean(), "high": part["win_probability_high"].mean(),
            "group_low": np.quantile(moved[:, part.index].mean(axis=1), 0.05),
            "group_high": np.quantile(moved[:, part.index].mean(axis=1), 0.95),
            "truth": part["p_won_given_record"].mean(), "hidden_truth": part["p_won"].mean(),
        }
        for by in ("all", "third", *SEGMENTS) for value, part in table.groupby(by, observed=True) if len(part) >= LEAST
    ]  # fmt: skip
    return pd.DataFrame(found)


@pytest.mark.slow_study
def test_the_mean_truth_of_groups_lies_in_the_interval_of_their_mean_and_deals_have_wider_ones():
    found = pd.concat([groups_of(seed) for seed in COMPANIES], ignore_index=True)
    # What moves single deals evens out in a group: its mean has a narrower interval than its deals have on the mean.
    held, single = (found["truth"].between(found[low], found[high]) for low, high in ENDS)
    print(found.assign(held=held, single=single).round(3).to_string())  # noqa: T201 - a study is run for its figures
    width, wide = ((found[high] - found[low]).mean() for low, high in ENDS)
    print(f"{held.mean():.3f} of {len(found)} groups hold the truth, width {width:.3f}")  # noqa: T201
    print(f"{single.mean():.3f} in the mean of their deals' intervals, width {wide:.3f}")  # noqa: T201
    print(held.groupby(found["by"]).mean().to_string())  # noqa: T201
    assert found["truth"].notna().all()
    assert len(found) >= 40
    assert 0.80 <= held.mean() <= 0.95
    assert single.mean() >= 0.80
    assert np.isfinite(wide)
