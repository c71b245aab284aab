"""The learnt part of the win model, on companies whose deals end by simple rules."""

import numpy as np
import pandas as pd
import pytest

from models.learners import TreeShape
from models.win_calendar import ClosingCalendar
from models.win_core import Effort, Mix, WinCore
from models.win_curve import edges_of, fate

END = pd.Timestamp("2026-03-02", tz="UTC")
TREES = Mix(trees=1.0, ever=0.0)


def ends_at_nine_weeks(deals=600, weeks=60, seed=0):
    """Weekly snapshots of deals that all end 63 days after they began, half of them won; nothing else is known."""
    rng = np.random.default_rng(seed)
    began = END - pd.to_timedelta(rng.integers(0, weeks * 7, deals), unit="D")
    table = pd.DataFrame({"deal_id": [f"D{i}" for i in range(deals)], "began": began})
    table["_closed_at"] = table["began"] + pd.Timedelta(days=63, hours=12)
    table["_outcome"] = np.where(rng.random(deals) < 0.5, "won", "lost")
    table = table.merge(pd.DataFrame({"as_of": END - pd.to_timedelta(np.arange(weeks) * 7, unit="D")}), how="cross")
    table = table[(table["as_of"] >= table["began"]) & (table["as_of"] < table["_closed_at"])].reset_index(drop=True)
    table["days_open"] = (table["as_of"] - table["began"]).dt.days.astype(float)
    return table


@pytest.fixture(scope="module")
def core():
    rows = ends_at_nine_weeks()
    effort = Effort(trees=60, rows=20_000, linear_rows=5_000)
    return WinCore(edges_of(26), effort=effort, calendar=ClosingCalendar().fit(rows, END)).fit(rows, fate(rows, END))


@pytest.mark.parametrize("age", [3, 17, 31, 45])
def test_an_age_at_which_deals_end_is_found_from_any_age_before(core, age):
    # The deal ends 63 - age days ahead. A bin earlier nothing has ended, a bin later half are won: ages and lags
    # only tell this by their sum.
    deal = pd.DataFrame({"deal_id": ["x"], "as_of": [END], "days_open": [float(age)]})
    curves = core.parts(deal).curves(core.edges, TREES)
    assert curves.by(63.0 - age - 8)[0][0] < 0.1
    assert curves.by(63.0 - age + 8)[0][0] == pytest.approx(0.5, abs=0.12)


def test_fewer_trees_take_longer_steps_up_to_a_bound():
    shape = TreeShape(rate=0.05)
    assert shape.for_fewer(2.0).rate == pytest.approx(0.1)
    assert shape.for_fewer(10.0).rate == 0.2
    # More trees than were asked for, or steps that are longer already, change nothing.
    assert shape.for_fewer(0.5) == shape
    assert TreeShape(rate=0.3).for_fewer(2.0) == TreeShape(rate=0.3)


def test_only_learners_with_a_share_are_fitted():
    effort = Effort(trees=90, linear_rows=500)
    assert effort.only(Mix(0.5, 0.5)) == effort
    assert effort.only(Mix(0.0, 0.5)).trees == 0
    assert effort.only(Mix(1.0, 0.5)).linear_rows == 0
    assert not effort.only(Mix(0.5, 0.0)).ever
