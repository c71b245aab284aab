"""What knows the end is found, with its evidence; what an honest CRM has is not."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crm.lake import TableView
from crm.quality import late_filled
from training import registry
from training.fit import train
from training.leaks import _auc, _half_way, _rates, leaks
from training.snapshots import deal_snapshots


def with_column(tiny, name, values):
    """The tiny company with a column more of its deals, given for each by its outcome (an array)."""
    deals = tiny.view.arrow("deals")
    outcome = deals["outcome"].to_pandas().to_numpy(object)
    tables = {n: tiny.view.arrow(n) for n in tiny.view.present}
    tables["deals"] = deals.append_column(name, pa.array(values(outcome, np.random.default_rng(0))))
    view = TableView(tables)
    assert name not in late_filled(view)  # else models do without it anyway
    return view


def planted(tiny, name, values):
    """Its snapshots."""
    return deal_snapshots(with_column(tiny, name, values), tiny.company, until=tiny.until)


def test_the_sample_company_raises_no_alarm(tiny_rows):
    assert leaks(tiny_rows) == []


def test_a_number_that_follows_from_the_outcome_is_found(tiny, tiny_rows):
    rows = planted(tiny, "x_margin", lambda y, rng: (y == "won") + rng.normal(0, 0.2, len(y)))
    [found] = leaks(rows)
    assert (found.column, found.value) == ("x_margin", None)
    # Won deals lie at 1, lost ones at 0, each with a spread of 0.2: of two, the won one is higher in
    # P(N(1, 0.08) > 0) = Phi(1 / 0.283) = 0.9998 of all cases. Bins and few deals take a little off.
    assert found.auc == pytest.approx(0.9998, abs=0.01)
    deals = len(_half_way(tiny_rows))
    assert found.deals == deals
    assert "x_margin alone tells 100% of all pairs" in found.text
    assert f"({deals:,} deals); the best other column, {found.honest}, {found.honest_auc:.0%}." in found.text
    assert found.honest_auc < 0.85
    assert "log its changes in deal_changes" in found.mend


def test_a_field_that_is_filled_in_at_closing_if_won_is_found(tiny):
    """Half of the open deals have it too, so that filling it in is not seen by the check on late filling."""
    rows = planted(
        tiny,
        "x_contract",
        lambda y, rng: [f"K{i}" if o == "won" or (o == "open" and i % 2) else None for i, o in enumerate(y)],
    )
    [found] = leaks(rows)
    assert found.column == "x_contract"
    assert found.value is None


def test_a_value_given_to_lost_deals_alone_is_found(tiny):
    def reason(outcome, rng):
        lost = (outcome == "lost") & (rng.random(len(outcome)) < 0.2)
        return np.where(lost, "Gone cold", np.where(rng.random(len(outcome)) < 0.5, "Mail", "Fair"))

    rows = planted(tiny, "x_note", reason)
    [found] = leaks(rows)
    assert (found.column, found.value) == ("x_note", "'Gone cold'")
    half = _half_way(rows)
    cold = (half["x_note"] == "Gone cold").sum()
    assert found.text.startswith(
        f"Of {cold} deals whose x_note was 'Gone cold' half-way through their lives, 100% were"
    )
    assert found.auc < 0.8  # the column as a whole would not have shown it


def test_honest_columns_of_ones_own_raise_no_alarm(tiny):
    """A good hint, a name for each deal, a word at random, a number that is seldom there."""
    for name, values in {
        "x_score": lambda y, rng: (y == "won") + rng.normal(0, 1.0, len(y)),
        "x_name": lambda y, rng: [f"Deal {i}" for i in range(len(y))],
        "x_word": lambda y, rng: rng.choice(["a", "b", "c"], len(y)),
        "x_rare": lambda y, rng: np.where(rng.random(len(y)) < 0.05, 1.0, np.nan),
    }.items():
        assert leaks(planted(tiny, name, values)) == [], name


def test_each_deal_counts_once_half_way_and_open_ones_do_not():
    days = pd.date_range("2026-01-05", periods=3, freq="7D", tz="UTC")
    rows = pd.DataFrame({"deal_id": [*list("aaab"), "c"], "as_of": [*days, days[0], days[0]]})
    rows["_outcome"] = ["won"] * 3 + ["lost", "open"]
    half = _half_way(rows)
    assert list(zip(half["deal_id"], half["as_of"], strict=True)) == [("a", days[1]), ("b", days[0])]
    assert leaks(rows) == []  # too few to say


def test_pairs_told_apart_are_counted_as_by_hand():
    # Won: 0.9, 0.4; lost: 0.5, 0.4, 0.1. Of six pairs the won one is higher in 3 + 1, and once they are equal: 4.5 / 6.
    score, won = np.array([0.9, 0.4, 0.5, 0.4, 0.1]), np.array([True, True, False, False, False])
    assert _auc(score, won) == pytest.approx(4.5 / 6)


def test_a_value_says_nothing_about_its_own_deal():
    """Each deal with a value of its own: what is said of it is the rate of the others, not its own outcome."""
    won = np.arange(100) % 2 == 0
    said = _rates(np.arange(100), won)
    assert np.abs(said - 0.5).max() < 0.1


def test_training_warns_and_keeps_the_evidence_with_the_model(tiny, tmp_path):
    view = with_column(tiny, "x_margin", lambda y, rng: (y == "won") + rng.normal(0, 0.2, len(y)))
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = train(
        "win", view=view, company=tiny.company, tracking=tracking, snapshots=None, as_of=tiny.until, trials=0
    )
    [warning] = result.warnings
    assert warning.startswith("x_margin alone tells 100% of all pairs")
    assert registry.champion("win", tracking=tracking).meta["leaks"] == "x_margin"
    kept = registry.table_of(result.run_id, "leaks", tracking=tracking)
    assert kept["column"].tolist() == ["x_margin"]
