"""Promise 7: with few closed deals a forecast leans on rates, as far as the docs say, and says so."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.errors import NotReady
from crm.simulate import lake_view, simulate
from models.learners import probability, safe_logit
from models.win import WinModel
from models.win_errors import OneOutcomeOnly
from tests.models.snapshot_company import END, snapshots
from training.snapshots import deal_snapshots


def fitted(rows, until=END):
    return WinModel(replicates=2).fit(rows, until=until)


def open_now(rows):
    return rows[rows["as_of"] == rows["as_of"].max()].reset_index(drop=True)


def closed_deals(rows):
    return rows.loc[rows["_outcome"] != "open", "deal_id"].nunique()


@pytest.fixture(scope="module")
def few():
    """Some 250 closed deals of a made-up funnel in which a field tells much: enough to be heard, too few to rule."""
    rows = snapshots(300, seed=5)
    return fitted(rows), rows


def test_the_note_counts_the_closed_deals_and_names_them(few):
    model, rows = few
    n = closed_deals(rows)
    note = model.note
    assert note["small_data"]
    assert note["n_closed"] == n
    assert f"With only {n} closed deals, forecasts lean on the {note['leans_on']}." in note["sentence_en"]
    assert f"仅有{n}笔" in note["sentence_zh"]


def test_the_fields_weigh_no_more_than_the_number_of_deals_allows(few):
    """logit p = (1 - k) logit q + k logit m, q the rate, m the ridge's, k at most n / (n + 80)."""
    model, rows = few
    n = closed_deals(rows)
    deals = open_now(rows)
    k = model.note["strength"]
    assert 0 < k <= n / (n + 80)
    rate, ridge = safe_logit(model.rate_.curves(deals).ever), model.fields_.logits(deals)
    p = model.predict_proba_won(deals)
    np.testing.assert_allclose(p, probability((1 - k) * rate + k * ridge), rtol=0, atol=1e-9)
    assert (
        (p >= probability(np.minimum(rate, ridge)) - 1e-9) & (p <= probability(np.maximum(rate, ridge)) + 1e-9)
    ).all()


def test_many_closed_deals_are_not_called_few():
    rows = snapshots(1_400, weeks=60, seed=1)
    assert closed_deals(rows) >= 1_000
    model = WinModel(trees=5, rows=3_000, replicates=0, cuts=0).fit(rows, until=END)
    assert not model.note["small_data"]


def test_a_stage_seen_once_gets_nearly_the_rate_of_all():
    """One deal against ten that count as the company's: in each week it moves the rate by a tenth at most."""
    rows = snapshots(200, seed=8, effect=0.0)
    won = rows[rows["_outcome"] == "won"]["deal_id"].iloc[0]
    last = rows.index[rows["deal_id"] == won][-1]
    rows["stage"] = rows["stage"].astype(object)
    rows.loc[last, "stage"] = "signed in blood"  # all deals of this stage were won: the one
    model = fitted(rows)
    assert model.note["leans_on"] == "stage rate"
    strange = open_now(rows).head(1).assign(stage="signed in blood")
    rate = model.rate_.curves(strange).ever[0]
    assert model.note["base_rate"] < rate <= model.note["base_rate"] + 0.1


def test_a_handful_of_deals_gets_rates_of_stages_and_a_sentence_on_it():
    """A young company of two reps, through the true features: no past date has enough to try a model on."""
    sample = simulate(reps=2, months=6, seed=0)
    until = pd.Timestamp("2026-08-20", tz="UTC")
    rows = deal_snapshots(lake_view(sample), Company.parse(sample.settings), until=until)
    model = fitted(rows, until)
    n = closed_deals(rows)
    assert 2 <= n < 60
    assert (model.note["small_data"], model.note["strength"], model.note["n_closed"]) == (True, 0, n)
    assert f"With {n} closed deals the forecasts could not be tried on past dates" in model.note["sentence_en"]
    deals = open_now(rows)
    p = pd.Series(model.predict_proba_won(deals)).groupby(deals["stage"], observed=True)
    np.testing.assert_allclose(p.min(), p.max(), rtol=0, atol=1e-12)  # nothing but the stage counts


@pytest.mark.parametrize("kept", ["won", "lost"])
def test_one_outcome_only_is_said_with_the_mend(kept):
    rows = snapshots(60, seed=3)
    rows = rows[rows["_outcome"].isin([kept, "open"])]
    n = closed_deals(rows)
    won, lost = (n, 0) if kept == "won" else (0, n)
    with pytest.raises(OneOutcomeOnly) as caught:
        fitted(rows)
    said = str(caught.value)
    assert f"{won} were won and {lost} lost" in said
    assert "Import deals with outcomes won and lost, or check the outcome words in the mapping." in said
    assert isinstance(caught.value, NotReady)
