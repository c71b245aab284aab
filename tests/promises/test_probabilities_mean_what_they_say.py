"""Promise 3: what a forecast calls 60 % comes true in 60 of 100 cases, judged on later data than the model had seen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.simulate import lake_view, simulate
from models.learners import probability, safe_logit
from models.win import WinModel
from training.snapshots import deal_snapshots

END = pd.Timestamp("2026-11-15", tz="UTC")
THEN = END - pd.Timedelta(weeks=26)  # what the model knows ends here
LAST = END - pd.Timedelta(weeks=6)  # the youngest forecast that is judged
GROUPS = 3


@dataclass(frozen=True)
class Judged:
    """A model of the past, the deals that it speaks of (each once, as first seen), and what came by the end."""

    model: WinModel
    deals: pd.DataFrame
    scores: pd.DataFrame
    won: np.ndarray
    lost: np.ndarray


def company(setting="default", reps=30, months=18):
    sample = simulate(reps=reps, months=months, seed=1, setting=setting)
    return deal_snapshots(lake_view(sample), Company.parse(sample.settings), until=END, cadence_days=14)


@pytest.fixture(scope="module")
def judged():
    rows = company()
    model = WinModel(trees=40, rows=12_000, replicates=5, cuts=2).fit(rows, until=THEN)
    deals = rows[rows["as_of"].between(THEN, LAST)].drop_duplicates("deal_id").reset_index(drop=True)
    by_end = deals["_closed_at"] <= END
    won, lost = ((deals["_outcome"] == word) & by_end for word in ("won", "lost"))
    return Judged(model, deals, model.score(deals, period_end=END), won.to_numpy(), lost.to_numpy())


def thirds(forecast):
    """The lowest, middle and highest third of the forecasts, as masks."""
    place = np.argsort(np.argsort(forecast, kind="stable")) * GROUPS // len(forecast)
    return [place == group for group in range(GROUPS)]


def errors(forecast, came, n_closed):
    """Mean forecast less realised share in each third, in standard errors.

    Two chances part them where the forecast is right: n outcomes of chance p vary by p (1 - p) / n; and a group's
    rate was learnt from past deals, a third of those closed being like it: it varies by p (1 - p) / (n_closed / 3).
    """
    found = []
    for group in thirds(forecast):
        spread = (forecast[group] * (1 - forecast[group])).mean()
        error = np.sqrt(spread * (1 / group.sum() + GROUPS / n_closed))
        found.append((forecast[group].mean() - came[group].mean()) / error)
    return np.array(found)


@pytest.mark.parametrize("column", ["p_win_in_period", "p_lose_in_period"])
def test_forecasts_come_true_as_often_as_they_say(judged, column):
    came = judged.won if column == "p_win_in_period" else judged.lost
    off = errors(judged.scores[column].to_numpy(), came, judged.model.n_closed_)
    assert np.abs(off).max() < 3
    assert len(came) > 1_000


def test_thirds_differ_in_what_came(judged):
    """Else the test above would be passed by one rate for all."""
    forecast = judged.scores["p_win_in_period"].to_numpy()
    low, _, high = (judged.won[group].mean() for group in thirds(forecast))
    assert high - low > 0.2


def test_a_forecast_that_is_too_sure_or_too_high_is_found_out(judged):
    logit = safe_logit(judged.scores["p_win_in_period"].to_numpy())
    for wrong in (probability(logit * 2.5), probability(logit + 0.7)):
        assert np.abs(errors(wrong, judged.won, judged.model.n_closed_)).max() > 3


def test_groups_end_within_their_intervals(judged):
    """Of deals open at the first snapshot after the fit, whose ends are mostly known after half a year.

    An interval says how far other past deals would have moved the forecast; the chance of n new outcomes comes on top,
    and as both are independent their squares add up. Half-widths are those of 90 %, 1.645 standard errors.
    """
    now = (judged.deals["as_of"] == judged.deals["as_of"].min()).to_numpy()
    scores, won, still_open = judged.scores[now], judged.won[now], ~(judged.won | judged.lost)[now]
    assert still_open.mean() < 0.1
    for group in thirds(scores["win_probability"].to_numpy()):
        said = scores[group]
        p = said["win_probability"].mean()
        half = (said["win_probability_high"] - said["win_probability_low"]).mean() / 2
        half = np.hypot(half, 1.645 * np.sqrt(p * (1 - p) / group.sum()))
        least, most = won[group].mean(), (won | still_open)[group].mean()  # an open deal may end either way
        assert least - half * 3 / 1.645 <= p <= most + half * 3 / 1.645
        assert half < 0.15


def test_reasons_add_up_to_the_probability(judged):
    told = judged.model.explain(judged.deals.head(40))
    total = told.base_values + told.values.sum(axis=1)
    np.testing.assert_allclose(total, judged.scores["win_probability"].head(40), rtol=0, atol=1e-6)


def test_where_fields_say_nothing_the_rate_is_forecast():
    """A company whose closings hardly depend on anything known: all deals of a kind of stage get one probability."""
    rows = company("no_signal", reps=10, months=12)
    model = WinModel(replicates=3).fit(rows, until=END)
    deals = rows[rows["as_of"] == END].reset_index(drop=True)
    p = pd.Series(model.predict_proba_won(deals))
    assert model.note["strength"] == 0
    by_stage = p.groupby(deals["stage"], observed=True).agg(["min", "max"])
    np.testing.assert_allclose(by_stage["min"], by_stage["max"], rtol=0, atol=1e-12)
    # The rate by counting: what came of the deals that were open half a year ago, most of which have ended. A
    # count of n deals at rate p is off by sqrt(p (1 - p) / n), and so is what the model learnt from the same deals.
    before = rows[rows["as_of"] == rows["as_of"][rows["as_of"] <= THEN].max()]
    share = (before["_outcome"] == "won").mean()
    assert p.mean() == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / len(before)))
    told = model.explain(deals)
    np.testing.assert_allclose(told.base_values + told.values.sum(axis=1), p, rtol=0, atol=1e-6)
