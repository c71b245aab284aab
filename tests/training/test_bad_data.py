"""Histories that teach little: each ends in a sentence that says the mend, or in a plain forecast; never in NaN."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from crm.company import Company
from crm.errors import NotReady
from crm.lake import TableView, newest_event
from crm.simulate import lake_view, simulate
from models.attainment import AttainmentModel
from models.win_errors import OneOutcomeOnly
from training import registry
from training.backtest import backtest, light_model
from training.backtest_attainment import backtest_attainment
from training.backtest_result import TooShort
from training.baselines import SIMPLE
from training.fit import train
from training.snapshots import deal_snapshots, open_snapshots


@pytest.fixture(scope="module")
def whole():
    sample = simulate(reps=4, months=9, seed=2)
    view = lake_view(sample)
    return {name: view.arrow(name) for name in view.present}, Company.parse(sample.settings), newest_event(view)


def with_deals(whole, **columns):
    """The view with columns of `deals` replaced: a value for all, or a function of the table."""
    tables, company, until = whole
    deals = tables["deals"]
    for name, value in columns.items():
        made = value(deals) if callable(value) else pa.array([value] * len(deals), deals.schema.field(name).type)
        deals = deals.set_column(deals.schema.get_field_index(name), name, made)
    return TableView({**tables, "deals": deals}), company, until


def only(outcome):
    """A column of outcomes in which every closed deal ended alike."""

    def made(deals):
        still_open = pc.equal(deals["outcome"], "open")
        return pc.if_else(still_open, deals["outcome"], pa.scalar(outcome, deals["outcome"].type))

    return made


def all_open(whole):
    none = {"closed_at": lambda deals: pa.nulls(len(deals), deals.schema.field("closed_at").type)}
    return with_deals(whole, outcome="open", **none)


def forecasts(view, company, until):
    """Probabilities of the open deals by a model of all that is known."""
    model = light_model(company).fit(deal_snapshots(view, company, until=until), until=pd.Timestamp(until))
    deals = open_snapshots(view, company, as_of=until)
    return model, deals, model.score(deals, period_end=pd.Timestamp(until) + pd.Timedelta(days=40))


def judged(view, company, until):
    return backtest(view, company, until=until, dates=1, rivals=SIMPLE)


def fit(view, company, until, tmp_path, what="win"):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    return train(what, view=view, company=company, tracking=tracking, snapshots=None, as_of=until)


def test_no_closed_deal_gives_plain_rates_until_there_is_a_model(whole, tmp_path):
    view, company, until = all_open(whole)
    found = fit(view, company, until, tmp_path)
    assert found.promoted
    assert "With 0 closed deals the forecasts could not be tried on past dates: they are plain rates." in found.note
    with pytest.raises(TooShort, match="Import more history"):
        judged(view, company, until)
    with pytest.raises(NotReady, match="Import"):
        backtest_attainment(view, company, until=until, dates=1)
    # A model whose history is too short to be compared with them takes their place.
    first = fit(with_deals(whole)[0], company, until - pd.Timedelta(weeks=20), tmp_path)
    assert first.promoted
    assert first.verdict.startswith("Promoted: the first model of its kind")


def test_deals_without_amounts_are_no_bookings_of_nothing(whole):
    """Sums of no amounts would say 0 for sure, and that no goal is reached."""
    view, company, until = with_deals(whole, amount=None)
    win = light_model(company)  # not asked for anything
    with pytest.raises(NotReady, match=r"None of \d+ deals won has an amount.*Import deals with amount"):
        AttainmentModel().fit(view, company, until=pd.Timestamp(until), win=win)


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_deals_that_all_ended_alike_cannot_be_judged(outcome, whole):
    view, company, until = with_deals(whole, outcome=only(outcome))
    with pytest.raises(TooShort, match="Import more history"):
        judged(view, company, until)


def test_plain_rates_replace_no_model_that_saw_both_ends(whole, tmp_path):
    view, company, until = with_deals(whole)
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    kept = light_model(company).fit(deal_snapshots(view, company, until=until), until=pd.Timestamp(until))
    logged = registry.log_model("win", kept, tracking=tracking, params={}, metrics={}, tags={}, tables={})
    registry.promote("win", logged.version, tracking=tracking)
    with pytest.raises(OneOutcomeOnly, match="check the outcome words in the mapping"):
        fit(*with_deals(whole, outcome=only("won")), tmp_path)
    assert registry.champion_version("win", tracking=tracking) == logged.version


def test_no_deals_at_all(whole, tmp_path):
    tables, company, until = whole
    view = TableView({**tables, "deals": tables["deals"].slice(0, 0)})
    with pytest.raises(NotReady, match="Import"):
        fit(view, company, until, tmp_path)
    with pytest.raises(NotReady, match="Import"):
        judged(view, company, until)


FLAT = {
    "a single rep": {"owner_id": lambda deals: pa.repeat(deals["owner_id"].drop_null()[0], len(deals))},
    "equal amounts": {"amount": 1_000, "list_amount": 1_000},
    "nothing filled in": dict.fromkeys(
        ["amount", "list_amount", "owner_id", "account_id", "product_id", "source", "pipeline", "kind", "close_date",
         "forecast_category", "currency"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FLAT)
def test_flat_histories_give_plain_forecasts_and_figures(what, whole):
    view, company, until = with_deals(whole, **FLAT[what])
    _, deals, scored = forecasts(view, company, until)
    assert len(deals)
    numbers = scored[["win_probability", "p_win_in_period", "p_lose_in_period", "p_slip"]]
    assert np.isfinite(numbers.to_numpy()).all()
    assert ((numbers >= 0) & (numbers <= 1)).all(axis=None)
    found = judged(view, company, until)
    assert np.isfinite(found.table[["forecast", *SIMPLE]].to_numpy(np.float64)).all()
    assert np.isfinite(found.differences.drop(columns="rival").to_numpy(np.float64)).all()
    assert "nan" not in f"{found.verdict.en} {found.verdict.zh}"


def test_words_never_seen_and_numbers_all_missing_are_still_forecast(whole):
    view, company, until = with_deals(whole)
    model, deals, _ = forecasts(view, company, until)
    features = [name for name in deals.columns if name not in ("deal_id", "as_of")]
    numbers = [name for name in features if pd.api.types.is_numeric_dtype(deals[name])]
    odd = deals.assign(**{n: np.nan if n in numbers else "never seen" for n in features})
    missing = deals.assign(**{n: np.nan if n in numbers else None for n in features})
    for table in (odd, missing):
        said = model.predict_proba_won(table)
        assert np.isfinite(said).all()
        assert np.ptp(said) == pytest.approx(0, abs=1e-12)  # all deals look alike now
