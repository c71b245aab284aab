"""What deals that were won had at each stage: which of them count, how often, and what is kept of them."""

import numpy as np
import pandas as pd
import pytest

from models import at_rest
from models.win import WinModel
from models.win_curve import fate
from models.win_errors import NoWonDeals
from models.win_won import FEWEST, WonDeals, won_rows
from tests.models.snapshot_company import END, snapshots

UNTIL = pd.Timestamp("2026-06-01", tz="UTC")


def seen(deal, stage, kind="new", outcome="won", weeks=1, **values):
    """Snapshots of one deal in one stage, a week apart."""
    return pd.DataFrame(
        {
            "deal_id": deal,
            "as_of": pd.date_range("2026-01-05", periods=weeks, freq="7D", tz="UTC"),
            "kind": kind,
            "stage": stage,
            "_closed_at": pd.to_datetime(["2026-05-01" if outcome != "open" else None] * weeks, utc=True),
            "_outcome": outcome,
            **values,
        }
    )


def drawn(*parts):
    rows = pd.concat(parts, ignore_index=True)
    return won_rows(rows, fate(rows, UNTIL), seed=0)


def test_a_slow_deal_counts_like_a_quick_one_and_lost_and_open_ones_do_not():
    found = drawn(
        seen("slow", "Qualify", weeks=15),
        *(seen(f"w{i}", "Qualify") for i in range(FEWEST)),
        seen("lost", "Qualify", outcome="lost"),
        seen("open", "Qualify", outcome="open"),
    )
    deals = found.rows["deal_id"].to_numpy()
    for cell in [("new", "Qualify"), ("", "Qualify"), ("", "")]:
        # Each of the 31 won deals once, whichever of its weeks it is.
        assert sorted(deals[found.cells[cell]]) == sorted(["slow", *(f"w{i}" for i in range(FEWEST))])


def test_a_stage_with_too_few_won_deals_is_no_yardstick_of_its_own():
    found = drawn(
        *(seen(f"a{i}", "Qualify", kind="new") for i in range(FEWEST)),
        *(seen(f"b{i}", "Qualify", kind="renewal") for i in range(FEWEST - 1)),
        *(seen(f"c{i}", "Propose", kind="new") for i in range(FEWEST - 1)),
    )
    assert set(found.cells) == {("new", "Qualify"), ("", "Qualify"), ("", "")}


def test_a_deal_is_held_against_its_kind_then_its_stage_then_all():
    won = WonDeals(
        ["demos"],
        [("new", "Qualify"), ("", "Qualify"), ("", "")],
        np.array([[0.1], [0.2], [0.3]]),
        np.array([[1.0], [2.0], [3.0]]),
    )
    X = pd.DataFrame({"kind": ["new", "renewal", "new", None], "stage": ["Qualify", "Qualify", "Propose", None]})
    margin, middle = won.beside(X)
    assert margin[:, 0].tolist() == [0.1, 0.2, 0.3, 0.3]
    assert middle[:, 0].tolist() == [1.0, 2.0, 3.0, 3.0]


def test_where_no_deal_was_won_a_deal_is_held_against_the_typical_open_one():
    found = drawn(seen("lost", "Qualify", outcome="lost"), seen("open", "Qualify", outcome="open"))
    won = found.learnt(["demos"], lambda rows: np.zeros((len(rows), 1)))
    margin, middle = won.beside(pd.DataFrame({"stage": ["Qualify"]}))
    assert margin.tolist() == [[0.0]]  # the typical open deal, from which reasons start
    assert np.isnan(middle).all()


def test_means_and_medians_are_those_of_the_rows_that_count():
    values = {f"w{i}": float(i) for i in range(FEWEST)}
    found = drawn(*(seen(deal, "Qualify", demos=value, words="x") for deal, value in values.items()))
    won = found.learnt(["demos", "words"], lambda rows: np.column_stack([rows["demos"] ** 2, -rows["demos"]]))
    # 0 to 29: mean of squares 285.17 = 29 * 59 / 6, mean 14.5, median 14.5.
    assert won.margin[won.cells.index(("", ""))] == pytest.approx([29 * 59 / 6, -14.5])
    assert won.middle[0, 0] == 14.5
    assert np.isnan(won.middle[0, 1])


@pytest.fixture(scope="module")
def model():
    return WinModel(replicates=0, cuts=1).fit(snapshots(150, seed=3), until=END)


def test_the_model_keeps_contributions_to_the_log_odds_at_rest(model, tmp_path):
    rows = model.won_rows_
    explained = model.explain(rows.rows)
    won = model.won_deals()
    at_rest.save(model, tmp_path / "model")
    kept = at_rest.load(tmp_path / "model").won_deals()
    assert kept.cells == won.cells
    np.testing.assert_array_equal(kept.margin, won.margin)
    # Log odds add up: those of the mean deal are the mean of theirs.
    p = model.predict_proba_won(rows.rows)
    told = np.log(p / (1 - p)) - model.reference_logit_
    for cell, places in rows.cells.items():
        assert won.margin[won.cells.index(cell)].sum() == pytest.approx(told[places].mean(), abs=1e-9)
    assert explained.feature_names == won.names


def test_a_model_of_an_earlier_version_says_to_train_again(model):
    old = WinModel()
    vars(old).update({name: value for name, value in vars(model).items() if not name.startswith("won_")})
    old.won_rows_ = None
    with pytest.raises(NoWonDeals, match="bellwether train win"):
        old.won_deals()
