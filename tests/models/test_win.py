"""The win model on companies whose true probabilities are known by linear algebra."""

import pickle

import numpy as np
import pandas as pd
import pytest

from models.learners import safe_logit
from models.rolling import gain, log_loss
from models.win import WinModel
from models.win_errors import NoSnapshots, NotImpartial, OneOutcomeOnly
from models.win_params import WinParams
from models.win_steps import STEPS, sentences
from tests.models.snapshot_company import END, snapshots

LIGHT = {"trees": 60, "rows": 30_000, "replicates": 6, "cuts": 2}
AT_30_DAYS = END + pd.Timedelta(days=30)


def open_now(rows):
    return rows[rows["as_of"] == END].reset_index(drop=True)


@pytest.fixture(scope="module")
def rows():
    return snapshots(2_000, seed=1)


@pytest.fixture(scope="module")
def model(rows):
    return WinModel(**LIGHT).fit(rows, until=END)


@pytest.fixture(scope="module")
def small():
    """120 deals: the ridge's and the prior's business."""
    rows = snapshots(300, seed=5)
    return WinModel(replicates=6).fit(rows, until=END), open_now(rows)


def test_forecasts_follow_the_truth_and_hold_on_the_mean(model, rows):
    deals = open_now(rows)
    p = model.predict_proba_won(deals)
    assert np.corrcoef(p, deals["_p"])[0, 1] > 0.9
    # Half a year's closings tell the mean to about 2 points (sqrt(.25 / 700)); 3 of those are allowed.
    assert p.mean() == pytest.approx(deals["_p"].mean(), abs=0.06)
    assert log_loss_against(deals["_p"], p) < log_loss_against(deals["_p"], np.full(len(deals), deals["_p"].mean()))


def log_loss_against(truth, p):
    """Expected log loss when outcomes follow the truth."""
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


def test_the_three_ways_a_period_can_end_add_up_to_one(model, rows):
    scored = model.score(open_now(rows), as_of=END, period_end=AT_30_DAYS)
    total = scored["p_win_in_period"] + scored["p_lose_in_period"] + scored["p_slip"]
    np.testing.assert_allclose(total, 1, atol=1e-12)
    assert (scored["p_win_in_period"] <= scored["win_probability"] + 1e-12).all()


def test_curves_rise_and_end_at_the_win_probability(model, rows):
    deals = open_now(rows)
    edges, won, lost = model.curve(deals)
    assert len(edges) == won.shape[1] == lost.shape[1]
    assert edges[-1] == 60 * 7
    assert (np.diff(won, axis=1) >= 0).all()
    assert (np.diff(lost, axis=1) >= 0).all()
    np.testing.assert_allclose(won[:, -1], model.predict_proba_won(deals))


def test_wins_within_thirty_days_come_as_often_as_forecast(model):
    # Another company of the same process: its outcomes within 30 days were not seen by the model.
    later = snapshots(1_500, seed=77)
    deals = later[later["as_of"] == END - pd.Timedelta(days=35)].reset_index(drop=True)
    scored = model.score(deals, period_end=END - pd.Timedelta(days=5))
    came = (deals["_outcome"] == "won") & (deals["_closed_at"] <= END - pd.Timedelta(days=5))
    error = np.sqrt((scored["p_win_in_period"] * (1 - scored["p_win_in_period"])).sum()) / len(deals)
    assert scored["p_win_in_period"].mean() == pytest.approx(came.mean(), abs=3 * error)


def test_a_period_that_is_over_leaves_nothing_to_happen(model, rows):
    scored = model.score(open_now(rows), as_of=END, period_end=END - pd.Timedelta(days=1))
    assert (scored["p_win_in_period"] == 0).all()
    assert (scored["p_slip"] == 1).all()


def test_intervals_hold_the_forecast_and_are_wider_with_less_data(model, small, rows):
    deals = open_now(rows)
    low, high = model.interval(deals)
    p = model.predict_proba_won(deals)
    assert ((low <= p) & (p <= high)).all()
    few, few_deals = small
    few_low, few_high = few.interval(few_deals)
    spread = np.log(high / (1 - high)) - np.log(low / (1 - low))
    few_spread = np.log(few_high / (1 - few_high)) - np.log(few_low / (1 - few_low))
    assert few_spread.mean() / max(few.choice_.strength, 0.1) > spread.mean() / 2


def test_reasons_add_up_to_the_forecast(model, small, rows):
    for fitted, deals in ((model, open_now(rows)), small):
        told = fitted.explain(deals)
        total = told.base_values + told.values.sum(axis=1)
        np.testing.assert_allclose(total, fitted.predict_proba_won(deals), atol=1e-6)
        assert told.values.shape == (len(deals), len(told.feature_names))


def test_the_field_that_decides_stands_first_among_the_reasons(model, rows):
    deals = open_now(rows)
    told = model.explain(deals)
    size = dict(zip(told.feature_names, np.abs(told.values).mean(axis=0), strict=True))
    assert max(size, key=size.get) == "fit"
    moved = told.values[:, told.feature_names.index("fit")]
    assert np.corrcoef(moved, deals["fit"])[0, 1] > 0.9


def test_the_note_tells_of_a_real_gain(model):
    assert model.note["signal"]
    assert model.note["skill_low"] > 0
    assert model.note["sentence_en"].startswith("Better than the base rate")
    assert model.note["sentence_zh"].startswith("优于基准率")


def test_where_nothing_tells_deals_apart_all_get_the_base_rate():
    rows = snapshots(1_300, seed=9, flat=True)
    fitted = WinModel(**LIGHT).fit(rows, until=END)
    assert not fitted.note["signal"]
    assert fitted.note["sentence_en"].startswith("No better than the base rate")
    np.testing.assert_allclose(fitted.predict_proba_won(open_now(rows)), fitted.note["base_rate"])
    # The truth is 6 in 13; over a dozen seeds the rate spreads by 2.4 points, and 3 of these are allowed.
    assert fitted.note["base_rate"] == pytest.approx(6 / 13, abs=0.072)


def test_where_only_the_stage_tells_deals_apart_all_of_a_stage_get_its_rate():
    rows = snapshots(1_300, seed=9, effect=0.0)
    fitted = WinModel(**LIGHT).fit(rows, until=END)
    deals = open_now(rows)
    p = pd.Series(fitted.predict_proba_won(deals)).groupby(deals["stage"], observed=True)
    truth = deals.groupby("stage", observed=True)["_p"].first()
    assert fitted.note["leans_on"] == "stage rate"
    pd.testing.assert_series_equal(p.mean(), truth, atol=0.06, rtol=0, check_names=False)


def test_few_deals_use_the_prior_and_say_so(small):
    fitted, deals = small
    assert fitted.small_
    assert fitted.note["small_data"]
    steps = sentences(fitted.n_won_, fitted.n_lost_)
    assert fitted.note["sentence_en"].endswith(steps[0])
    assert fitted.note["sentence_zh"].endswith(steps[1])
    assert fitted.note["data_step"] < len(STEPS) - 1
    assert fitted.choice_.strength < 300 / 380
    p = fitted.predict_proba_won(deals)
    assert p.std() < deals["_p"].std()


def test_a_dozen_deals_give_rates_not_an_error():
    rows = snapshots(14, seed=2)
    fitted = WinModel(replicates=3).fit(rows, until=END)
    assert fitted.choice_.strength == 0
    assert "could not be tried on past dates" in fitted.note["sentence_en"]
    low, high = fitted.interval(rows)
    assert ((low >= 0) & (high <= 1)).all()


def test_deals_that_all_ended_alike_are_refused_with_the_mend():
    rows = snapshots(60, seed=3)
    won_only = rows[rows["_outcome"] != "lost"]
    with pytest.raises(OneOutcomeOnly, match=r"were won and 0 lost.*outcome words"):
        WinModel().fit(won_only, until=END)


def test_no_rows_are_refused_with_the_mend():
    with pytest.raises(NoSnapshots, match="Import deals"):
        WinModel().fit(snapshots(20).iloc[:0], until=END)


def test_what_lies_after_until_is_not_looked_at():
    rows = snapshots(400, seed=6)
    then = END - pd.Timedelta(weeks=20)
    changed = rows.copy()
    later = changed["_closed_at"] > then
    changed.loc[later, "_outcome"] = "lost"
    deals = rows[rows["as_of"] == then].reset_index(drop=True)
    said = [WinModel(replicates=2).fit(r, until=then).predict_proba_won(deals) for r in (rows, changed)]
    np.testing.assert_array_equal(*said)


def test_unseen_levels_and_missing_columns_are_scored(model, rows):
    deals = open_now(rows).head(20)
    strange = deals.drop(columns="days_open").assign(stage="signing", kind=None, fit=np.nan)
    p = model.predict_proba_won(strange)
    assert np.isfinite(p).all()
    assert np.isfinite(model.explain(strange).values).all()


def test_no_deals_give_an_empty_table(model, rows):
    scored = model.score(rows.iloc[:0], period_end=AT_30_DAYS)
    assert len(scored) == 0
    assert "win_probability" in scored


def test_deals_with_no_field_but_their_age_are_forecast():
    rows = snapshots(1_300, seed=4)[["deal_id", "as_of", "days_open", "_closed_at", "_outcome", "_observed_until"]]
    fitted = WinModel(**LIGHT).fit(rows, until=END)
    assert np.isfinite(fitted.predict_proba_won(open_now(rows))).all()


def test_a_model_survives_pickling_and_the_same_seed_gives_the_same_model(model, rows, small):
    deals = open_now(rows).head(50)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba_won(deals), model.predict_proba_won(deals))
    fitted, few = small
    twin = WinModel(replicates=6).fit(snapshots(300, seed=5), until=END)
    np.testing.assert_array_equal(twin.predict_proba_won(few), fitted.predict_proba_won(few))


def test_given_what_another_was_made_with_nothing_is_decided_anew(model, rows):
    assert None not in (model.params_.trees_share, model.params_.ever_share, model.params_.calibrator)
    again = WinModel(**LIGHT, params=model.params_).fit(rows, until=END)
    assert again.params_ == model.params_
    deals = open_now(rows)
    np.testing.assert_array_equal(again.predict_proba_won(deals), model.predict_proba_won(deals))
    told = WinModel(**LIGHT, params=WinParams(trees_share=0.25, ever_share=0.0, calibrator="none")).fit(rows, until=END)
    assert (told.choice_.mix.trees, told.choice_.mix.ever, told.calibrator_name_) == (0.25, 0.0, "none")


def test_a_gain_is_told_with_an_interval_over_deals_not_rows():
    # One deal seen a hundred times is one piece of evidence: the interval then holds everything.
    rng = np.random.default_rng(0)
    y = rng.random(200) < 0.5
    good, bad = np.where(y, 0.7, 0.3), np.full(200, 0.5)
    by_deal = gain(log_loss(y, good), log_loss(y, bad), np.arange(200))
    assert by_deal.low > 0
    # By closed form: 1 - log(.7) / log(.5) of the loss is saved on every row.
    assert by_deal.skill == pytest.approx(1 - np.log(0.7) / np.log(0.5))
    one_deal = gain(log_loss(y, good), log_loss(y, bad), np.zeros(200))
    assert one_deal.se == np.inf


def test_fewer_trees_are_not_timid_ones(rows):
    """A fifth of the trees, in steps four times as long: their forecasts spread about as far as the truth.

    Trees as they come would stop half-way: 30 steps of .05 leave .95^30 = .21 of the way to the data undone, and two
    penalties on top of it (with them the spread is .64 of the truth's).
    """
    params = WinParams(trees_share=1.0, ever_share=0.5, calibrator="none")
    capped = WinModel(trees=30, rows=30_000, replicates=0, cuts=0, params=params).fit(rows, until=END)
    deals = open_now(rows)
    spread = safe_logit(capped.predict_proba_won(deals)).std() / safe_logit(deals["_p"].to_numpy()).std()
    assert 0.85 < spread < 1.25


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_learner_without_a_share_is_not_kept(rows, share):
    params = WinParams(trees_share=share, ever_share=0.0, calibrator="none")
    fitted = WinModel(trees=30, rows=5_000, replicates=1, cuts=0, params=params).fit(rows, until=END)
    for core in (fitted.fields_, fitted.replicates_[0].fields):
        assert (core.won_.booster_ is None, core.won_.line_ is None) == (share == 0, share == 1)
        assert core.ever_.booster_ is None
        assert core.ever_.line_ is None
    told = fitted.explain(open_now(rows).head(5))
    total = told.base_values + told.values.sum(axis=1)
    np.testing.assert_allclose(total, fitted.predict_proba_won(open_now(rows).head(5)), rtol=0, atol=1e-6)


def with_owners(rows):
    """Four owners, who get deals by how well they fit; the fit itself is not on record: only the owner tells."""
    owner = pd.cut(rows["fit"], [-9, -1, 0, 1, 9], labels=list("abcd")).astype(str)
    return rows.assign(owner_id=owner).drop(columns="fit")


# The best owner's deals fit by 1 to 2 more on the log odds a week; a small company's ridge keeps some of that.
@pytest.mark.parametrize(("deals", "least"), [(300, 0.02), (1_300, 0.05)])
def test_what_deals_come_to_whoever_works_on_them(deals, least):
    rows = with_owners(snapshots(deals, seed=11))
    fitted = WinModel(trees=30, rows=12_000, replicates=1, cuts=0).fit(rows, until=END)
    now = open_now(rows)
    said, expected = (
        fitted.score(now, period_end=AT_30_DAYS, identity=way)["win_probability"] for way in (True, False)
    )
    best = (now["owner_id"] == "d").to_numpy()
    assert said[best].mean() > expected[best].mean() + least
    # Another owner changes nothing, and on the mean over all deals both ways say the same.
    other = fitted.score(now.assign(owner_id="a"), period_end=AT_30_DAYS, identity=False)
    np.testing.assert_array_equal(other["win_probability"], expected)
    assert other["win_probability_low"].isna().all()
    assert expected.mean() == pytest.approx(said.mean(), abs=0.04)


@pytest.mark.parametrize("deals", [300, 1_300])
def test_the_same_model_without_people_sees_no_owner_and_is_what_a_fit_without_them_gives(deals):
    rows = with_owners(snapshots(deals, seed=11))
    fitted = WinModel(trees=30, rows=12_000, replicates=0, cuts=0).fit(rows, until=END)
    other = fitted.without_people(rows)
    now = open_now(rows)
    said = other.predict_proba_won(now)
    assert np.abs(said - fitted.predict_proba_won(now)).max() > 0.02
    np.testing.assert_array_equal(other.predict_proba_won(now.assign(owner_id="a")), said)
    # Nothing was decided on past dates, so a model told from the start to leave them out is the same.
    told = WinModel(trees=30, rows=12_000, replicates=0, cuts=0, params=WinParams(identity=False))
    alone = told.fit(rows.drop(columns="owner_id") if fitted.small_ else rows, until=END)
    np.testing.assert_allclose(alone.predict_proba_won(now), said)


def test_a_light_model_that_looks_at_owners_cannot_be_impartial():
    rows = with_owners(snapshots(300, seed=11))
    fitted = WinModel(replicates=0, cuts=0).fit(rows, until=END)
    with pytest.raises(NotImpartial, match="bellwether train win"):
        fitted.score(open_now(rows), period_end=AT_30_DAYS, identity=False)


def test_a_model_that_knows_no_owner_is_impartial_as_it_is(model, rows):
    deals = open_now(rows)
    np.testing.assert_array_equal(model.curves(deals, identity=False).ever, model.predict_proba_won(deals))
