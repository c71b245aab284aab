"""Promise 1, for scores: cutting every table at T changes neither what is learnt until T nor what is said as of T."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from crm.lake import TableView
from models.win import WinModel
from tests.features.history import as_it_was
from tests.features.small_company import small_company
from training.reconstruct import reconstruct
from training.snapshots import deal_snapshots, open_snapshots

# Four weeks before the history ends; by then the model has found fields that add something certain.
MOMENT = pd.Timestamp(datetime(2026, 10, 18, 15, 30, tzinfo=UTC))
QUARTER_END = pd.Timestamp(datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def whole():
    """A company that writes much down late, but the changes of deals at once.

    Changes written down in another order than they happened are the one thing in which a cut history knows less of its
    own past: what stood before a change that is missing can't be told from the changes that came after it.
    """
    view, company = small_company()
    changes = view.arrow("deal_changes")
    at_once = changes.set_column(
        changes.schema.get_field_index("recorded_at"), "recorded_at", changes.column("changed_at")
    )
    return TableView({name: view.arrow(name) for name in view.present} | {"deal_changes": at_once}), company


@pytest.fixture(scope="module")
def cut(whole):
    return as_it_was(whole[0], MOMENT)


@pytest.fixture(scope="module")
def learnt(whole, cut):
    """Snapshots until the moment: from all that is known today, and from what was known then."""
    return [deal_snapshots(view, whole[1], until=MOMENT) for view in (whole[0], cut)]


@pytest.fixture(scope="module")
def models(learnt):
    return [WinModel(replicates=2).fit(rows, until=MOMENT) for rows in learnt]


@pytest.fixture(scope="module")
def deals(whole, cut):
    """What is scored: deals open at the moment, with what is told of them now and what was then."""
    return [open_snapshots(view, whole[1], as_of=MOMENT) for view in (whole[0], cut)]


@pytest.fixture(scope="module")
def scores(deals, models):
    """Scores as of the moment: by what was learnt from today's view, and by what was learnt from that of then."""
    return [m.score(rows, as_of=MOMENT, period_end=QUARTER_END) for m, rows in zip(models, deals, strict=True)]


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Equal to twelve digits (sums of floats may come in another order); categories by their words."""
    words = [c for c in left if isinstance(left[c].dtype, pd.CategoricalDtype)]
    pd.testing.assert_frame_equal(
        left.astype(dict.fromkeys(words, object)), right.astype(dict.fromkeys(words, object)), rtol=1e-12, atol=1e-9
    )


def test_what_is_learnt_until_a_day_is_the_same_whatever_came_later(learnt):
    same(*learnt)


def test_scores_as_of_a_day_are_the_same_whatever_came_later(scores):
    # The fit goes on until its steps are small, so a last digit of the data may move it by more than that digit.
    pd.testing.assert_frame_equal(*scores, rtol=0, atol=1e-9)


def test_reasons_as_of_a_day_are_the_same_whatever_came_later(deals, models):
    told = [m.explain(rows) for m, rows in zip(models, deals, strict=True)]
    assert told[0].feature_names == told[1].feature_names
    assert abs(told[0].values - told[1].values).max() < 1e-9


def test_the_comparison_says_something(whole, cut, models, scores):
    """The model listens to fields, its scores differ by deal, and the deals it scored have gone on since."""
    assert models[0].choice_.strength > 0
    assert scores[0]["win_probability"].std() > 0.05
    today = whole[0].arrow("deals").to_pandas().set_index("deal_id").loc[scores[0]["deal_id"]]
    assert (today["outcome"] != "open").mean() > 0.3
    assert cut.arrow("activities").num_rows < whole[0].arrow("activities").num_rows


def test_outcomes_that_came_later_are_hidden_from_what_is_learnt(whole, learnt):
    today = whole[0].arrow("deals").to_pandas().set_index("deal_id")
    closed_later = set(today.index[today["closed_at"] > MOMENT])
    rows = learnt[0][learnt[0]["deal_id"].isin(closed_later)]
    assert rows["deal_id"].nunique() > 20
    assert set(rows["_outcome"]) == {"open"}
    assert rows["_closed_at"].isna().all()


def test_reconstructed_forecasts_of_deals_reps_and_teams_do_not_know_what_came_later(whole, cut):
    """Nor do they learn from a later date that is reconstructed beside them."""
    view, settings = whole
    both = reconstruct(view, settings, as_ofs=[MOMENT, MOMENT + pd.Timedelta(weeks=3)])
    then = reconstruct(cut, settings, as_ofs=[MOMENT])
    assert set(then) == {"deals", "reps", "teams"}
    for name, table in then.items():
        assert len(table), name
        beside = both[name]
        same(beside[beside["as_of"] == MOMENT].reset_index(drop=True), table)
