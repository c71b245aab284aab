"""Who is live, who left, and a model that finds a planted reason, finds none where there is none, and says so."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.churn import ChurnModel, TooFewLeft
from models.churn_core import ChurnMix
from models.churn_rows import NoCustomers, customers
from tests.builders import a_rate, an_account, an_order, view_of

UNTIL = pd.Timestamp("2026-06-01", tz="UTC")


def at(day):
    return pd.Timestamp(day, tz="UTC")


def contract(number, account, started, ended=None, **values):
    row = {"subscription_id": f"s{number}", "account_id": account, "started_on": started, "ended_on": ended}
    return {**row, "mrr": "100", **values}


def orders(account, *days):
    return [an_order(f"{account}-{day}", account_id=account, ordered_at=f"{day}T10:00:00Z") for day in days]


def known(company=None, **tables):
    return customers(view_of(**tables), company or Company(), UNTIL)


def left(found, moment, days):
    live = found.live(at(moment))
    return dict(zip(live["account_id"], found.left(live, at(moment), days).tolist(), strict=True))


def test_under_contract_one_is_lost_when_no_contract_runs_any_more():
    rows = [
        contract(1, "stays", "2025-01-01"),
        contract(2, "ends", "2025-01-01", "2026-02-15"),
        contract(3, "renews", "2025-01-01", "2026-02-15"),
        contract(4, "renews", "2026-02-15"),
        contract(5, "ended before", "2025-01-01", "2025-12-01"),
        contract(6, "starts later", "2026-02-01"),
    ]
    found = known(subscriptions=rows)
    assert left(found, "2026-01-01", 90) == {"stays": False, "ends": True, "renews": False}
    assert left(found, "2026-01-01", 30) == {"stays": False, "ends": False, "renews": False}


def test_without_contract_one_is_lost_after_the_days_the_company_names():
    company = Company.parse({"churn": {"silent_days": 60}})
    rows = orders("quiet", "2025-12-20") + orders("back", "2025-12-20", "2026-02-25") + orders("gone", "2025-10-01")
    found = known(company, orders=rows)
    # On 2026-03-01 quiet has been silent for 71 days, back for 4; gone was lost before 2026-01-01.
    assert left(found, "2026-01-01", 59) == {"quiet": True, "back": False}


def test_without_a_rule_the_own_rhythm_counts():
    weekly = [f"2026-01-{day:02d}" for day in (1, 8, 15, 22, 29)]
    yearly = ["2024-01-29", "2025-01-29", "2026-01-29"]
    found = known(orders=orders("weekly", *weekly) + orders("yearly", *yearly))
    live = found.live(at("2026-02-01")).set_index("account_id")["limit"]
    # Usual gap of all: (28 + 731) days / (4 + 2) gaps = 126.5; each own span plus three such gaps over gaps plus three.
    assert live["weekly"] == pytest.approx(3 * (28 + 3 * 126.5) / 7)
    assert live["yearly"] == 365  # 3 x 222 days, kept within a year


def test_returns_and_cancelled_orders_are_no_sign_of_life():
    company = Company.parse({"churn": {"silent_days": 60}})
    rows = [
        *orders("a", "2025-12-20"),
        an_order("r", account_id="a", ordered_at="2026-02-20T00:00:00Z", kind="return"),
        an_order("c", account_id="a", ordered_at="2026-02-21T00:00:00Z", cancelled_at="2026-02-22T00:00:00Z"),
    ]
    assert left(known(company, orders=rows), "2026-01-01", 59) == {"a": True}


def test_value_at_risk_rests_on_the_fee_or_on_last_year_orders():
    rows = [contract(1, "fee", "2025-01-01", mrr="50", currency="EUR")]
    bought = orders("buyer", "2026-01-10", "2026-02-10", "2024-01-01") + orders("fee", "2026-01-10")
    found = known(subscriptions=rows, orders=bought, fx_rates=[a_rate("EUR", "2024-01-01", 2.0)])
    live = found.live(at("2026-03-01"))
    worth = dict(zip(live["account_id"], found.yearly_value(live, at("2026-03-01")), strict=True))
    assert worth == {"fee": 50 * 12 * 2.0, "buyer": 1000.0}  # two orders of 500 in the last year


def test_with_neither_orders_nor_contracts_the_error_says_the_mend():
    with pytest.raises(NoCustomers, match="Import one of these tables"):
        ChurnModel().fit(view_of(accounts=[an_account()]), Company(), until=UNTIL)


def test_where_nobody_left_the_error_says_so():
    rows = [contract(i, f"a{i}", "2025-01-01") for i in range(20)]
    with pytest.raises(TooFewLeft, match="0 left within 90 days and 20 did not"):
        ChurnModel().fit(view_of(accounts=[], subscriptions=rows), Company(), until=UNTIL)


@cache
def company_view(effect, n=400, seed=0):
    """Contracts over 70 weeks: a customer with an open ticket leaves `effect` times as often as one without."""
    rng, start = np.random.default_rng(seed), at("2025-01-20")
    accounts, contracts, tickets = [], [], []
    for k in range(n):
        name, trouble = f"a{k:03d}", rng.random() < 0.3
        week = int(rng.geometric(0.008 * (effect if trouble else 1)))
        day = (start + pd.Timedelta(weeks=week)).date()
        accounts.append(an_account(name, created_at="2025-01-01T00:00:00Z", segment=str(rng.choice(["x", "y"]))))
        contracts.append(contract(k, name, "2025-01-01", str(day) if at(day) < UNTIL else None))
        if trouble:
            row = {"ticket_id": f"t{k}", "account_id": name, "opened_at": "2025-01-10T00:00:00Z", "severity": "high"}
            tickets.append({**row, "closed_at": None})
    return view_of(accounts=accounts, subscriptions=contracts, tickets=tickets)


@pytest.fixture(scope="module")
def planted():
    return ChurnModel().fit(company_view(5.0), Company(), until=UNTIL)


def test_a_planted_reason_is_found_and_the_odds_are_about_right(planted):
    view = company_view(5.0)
    scored = planted.score(view, Company(), as_of=UNTIL).set_index("account_id")
    troubled = scored.index.isin(set(view.arrow("tickets").column("account_id").to_pylist()))
    p = scored["churn_probability"]
    # Within 90 days (12.9 weeks): 1 - .992^12.9 = 10 % without a ticket and 1 - .96^12.9 = 41 % with one.
    assert p[~troubled].mean() == pytest.approx(0.10, abs=0.04)
    assert p[troubled].mean() == pytest.approx(0.41, abs=0.12)
    assert planted.note["signal"]
    assert planted.note["quality"] == "tested"
    assert (scored["value_at_risk"] - p * 1200).abs().max() < 1e-6
    assert (scored["horizon_days"] == 90).all()


def test_reasons_add_up_to_the_probability(planted):
    X = planted.accounts(company_view(5.0), Company(), as_of=UNTIL)
    told = planted.explain(X)
    np.testing.assert_allclose(told.base_values + told.values.sum(axis=1), planted.predict_proba_left(X), atol=1e-6)


def test_more_open_tickets_never_lower_the_chance_in_the_trees(planted):
    core, X = planted.core_, planted.accounts(company_view(5.0), Company(), as_of=UNTIL)
    few, many = (core.encoder_.trees(X.assign(open_tickets=k)) for k in (0.0, 3.0))
    assert (core.booster_.predict(many) >= core.booster_.predict(few) - 1e-12).all()


def test_where_nothing_tells_all_get_the_base_rate_and_the_note_says_it():
    view = company_view(1.0)
    model = ChurnModel().fit(view, Company(), until=UNTIL)
    assert not model.note["signal"]
    assert model.note["sentence_en"].startswith("No better than the base rate")
    assert model.score(view, Company(), as_of=UNTIL)["churn_probability"].nunique() == 1


def test_a_mix_decided_before_that_is_no_longer_better_leaves_everybody_the_base_rate():
    view = company_view(1.0)
    model = ChurnModel(mix=ChurnMix(True, 0.75, 1.0)).fit(view, Company(), until=UNTIL)
    assert model.trial_.low <= 0
    assert model.note["quality"] == "no_signal"
    assert model.note["sentence_en"].startswith("No better than the base rate")
    np.testing.assert_array_equal(model.score(view, Company(), as_of=UNTIL)["churn_probability"], model.base_)


def test_what_comes_later_changes_no_score_of_a_past_date():
    view, cut = company_view(5.0), at("2026-01-12")
    known_then = []
    for row in view.arrow("subscriptions").to_pylist():
        over = row["ended_on"] is not None and pd.Timestamp(row["ended_on"], tz="UTC") <= cut
        known_then.append({**row, "ended_on": row["ended_on"] if over else None})
    tables = {name: view.arrow(name).to_pylist() for name in ("accounts", "tickets")}
    then = view_of(subscriptions=known_then, **tables)
    both = [ChurnModel().fit(v, Company(), until=cut).score(v, Company(), as_of=cut) for v in (view, then)]
    pd.testing.assert_frame_equal(*both)
