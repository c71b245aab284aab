"""Rates by stage, shrunk, and how far few deals are trusted."""

import numpy as np
import pandas as pd
import pytest

from models.learners import probability
from models.prior import RateCurves, SmallModel, pooled_logits, trust
from models.win_curve import edges_of, fate
from tests.models.snapshot_company import END, snapshots

EDGES = edges_of(60)
DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2024-01-01", tz="UTC")


def deals(stage, won, lost, prefix):
    """Deals seen once, two years ago, that ended three days later."""
    rows = pd.DataFrame({"deal_id": [f"{prefix}{i}" for i in range(won + lost)], "as_of": START, "stage": stage})
    rows["_outcome"] = ["won"] * won + ["lost"] * lost
    rows["_closed_at"] = START + 3 * DAY
    return rows


def test_the_base_rate_counts_deals():
    rows = deals("a", 30, 70, "x")
    found = RateCurves(EDGES, by_stage=False).fit(rows, fate(rows, END)).curves(rows.head(1))
    assert found.ever == pytest.approx([0.3])


def test_a_stage_rate_is_shrunk_to_the_base_rate_by_ten_deals():
    rows = pd.concat([deals("a", 40, 0, "x"), deals("b", 10, 50, "y")], ignore_index=True)
    rates = RateCurves(EDGES, by_stage=True).fit(rows, fate(rows, END))
    found = rates.curves(pd.DataFrame({"stage": ["a", "b", "never seen", None]})).ever
    # Base rate 50 of 100. a: (40 + 5) / (40 + 10) = .9; b: (10 + 5) / (60 + 10) = .2143; within the first bin all end.
    assert found[2:] == pytest.approx([0.5, 0.5])
    assert found[0] == pytest.approx(0.9, abs=1e-6)
    # b's losers: .5 of the rest in pooled terms, so a little of b stays open past the first bin and may be won there.
    assert found[1] == pytest.approx(15 / 70, abs=0.02)


def test_open_deals_count_too_so_slow_losers_do_not_lift_the_rate():
    # 50 won at once, 50 lost after 20 weeks. Of closed deals seen a week after the start alone, all are won.
    rows = deals("a", 50, 50, "x")
    slow = rows["_outcome"] == "lost"
    rows.loc[slow, "_closed_at"] = START + 140 * DAY
    known_early = RateCurves(EDGES, by_stage=False).fit(rows, fate(rows, START + 30 * DAY))
    assert known_early.won_[0, 0] == pytest.approx(0.5)
    assert known_early.won_[0, 1] == 0


def test_trust_grows_with_closed_deals_and_is_half_at_eighty():
    assert trust(80) == 0.5
    assert trust(0) == 0
    assert 0.99 < trust(10_000) < 1


def test_pooling_is_on_the_log_odds():
    # Halfway between .5 and odds of 9 to 1 are odds of 3 to 1.
    pooled = pooled_logits(np.array([0.5]), np.array([np.log(9)]), 0.5)
    assert probability(pooled) == pytest.approx([0.75])


def test_reasons_of_the_ridge_add_up_to_its_log_odds():
    rows = snapshots(200, seed=1)
    model = SmallModel().fit(rows, fate(rows, END))
    np.testing.assert_allclose(model.contributions(rows).sum(axis=1), model.logits(rows))
