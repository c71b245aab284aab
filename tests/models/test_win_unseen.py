"""A company none of whose deals was won, lost, or closed: plain rates instead of an error."""

import numpy as np
import pandas as pd
import pytest

from models.rolling import Gain
from models.win import WinModel
from models.win_errors import OneOutcomeOnly
from models.win_note import note_of
from models.win_params import WinParams
from models.win_past import Choice
from tests.models.snapshot_company import END, snapshots


def open_deals(deals, weeks):
    """Deals opened so many weeks before the end, none closed."""
    dates = [END - pd.Timedelta(weeks=week) for week in range(weeks, -1, -1)]
    rows = pd.DataFrame([(f"D{d}", date) for d in range(deals) for date in dates], columns=["deal_id", "as_of"])
    never = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")
    return rows.assign(stage="talk", kind="new", amount=1_000.0, _closed_at=never, _outcome="open")


@pytest.mark.parametrize(("deals", "weeks"), [(20, 3), (50, 20)])
def test_where_no_deal_has_closed_half_an_event_a_kind_is_spread_over_the_weeks_that_deals_were_open(deals, weeks):
    """Two constant rates r = .5 / (deal-weeks): half of all that ends by week 60 is won, (1 - exp(-120 r)) / 2."""
    rows = open_deals(deals, weeks)
    model = WinModel(replicates=20).fit_plain(rows, until=END)
    expected = (1 - np.exp(-120 * 0.5 / (deals * weeks))) / 2
    now = rows[rows["as_of"] == END]
    p = model.predict_proba_won(now)
    assert p == pytest.approx(np.full(len(now), expected), rel=0.05)  # of a wide bin wins come before losses
    low, high = model.interval(now)
    assert (low < 0.5 * p).all()  # half an event is as good as nothing known
    assert (high > 1.5 * p).all()
    scored = model.score(now, period_end=END + pd.Timedelta(days=30))
    assert scored.notna().all(axis=None)
    three = scored[["p_win_in_period", "p_lose_in_period", "p_slip"]].sum(axis=1)
    np.testing.assert_allclose(three, 1, atol=1e-12)


@pytest.mark.parametrize("kept", ["won", "lost"])
def test_where_all_ended_alike_nearly_all_is_forecast_to_end_so_and_it_is_said(kept):
    rows = snapshots(60, seed=3)
    rows = rows[rows["_outcome"].isin([kept, "open"])].reset_index(drop=True)
    with pytest.raises(OneOutcomeOnly):
        WinModel().fit(rows, until=END)
    model = WinModel(replicates=4).fit_plain(rows, until=END)
    p = model.predict_proba_won(rows)
    assert (p > 0.9).all() if kept == "won" else (p < 0.1).all()
    assert ((p > 0) & (p < 1)).all()
    assert np.ptp(p) == 0
    assert model.note["quality"] == "untried"
    assert "An end that no deal had counts as half a deal. Import deals" in model.note["sentence_en"]
    assert "从未出现的结果按半笔商机计" in model.note["sentence_zh"]
    assert model.explain(rows.head(3)).values.shape == (3, 0)
    margin, middle = model.won_deals().beside(rows.head(3))
    assert margin.shape == middle.shape == (3, 0)


def test_a_loss_is_not_called_lower_by_less_than_nothing():
    tried = Gain(skill=-0.004, low=-0.01, high=0.002, mean=-0.002, se=0.002, rows=90, deals=70)
    note = note_of(Choice(tried=tried), n_won=400, n_lost=700, base_rate=0.4, small=False, params=WinParams())
    assert "the log loss was higher by 0.4% (90% interval -0.2% to 1.0%, 70 deals)" in note.sentence_en
    assert "对数损失升高0.4%（90%区间-0.2%至1.0%" in note.sentence_zh
