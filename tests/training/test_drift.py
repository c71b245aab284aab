"""Drift of inputs and of calibration, fields that stop being filled, and the policy of training again."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.lake import TableView
from tests.builders import an_activity, table_of
from training.drift import calibration_drift, input_drift, stability_index
from training.gaps import gaps
from training.policy import BadPolicy
from training.retrain import Retrain, by_calibration, by_inputs, retrain_policy
from training.then_and_now import Inputs, customer_inputs, deal_inputs, judged_customers, rep_inputs

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_the_stability_index_is_that_of_its_formula():
    # (.2 - .5) ln(.2 / .5) + (.8 - .5) ln(.8 / .5)
    assert stability_index(np.array([50.0, 50.0]), np.array([20.0, 80.0])) == pytest.approx(0.4159, abs=1e-4)
    assert stability_index(np.array([5.0, 5.0]), np.array([50.0, 50.0])) == 0


def columns(n, seed, **moved):
    rng = np.random.default_rng(seed)
    same = {f"f{k}": rng.normal(size=n) for k in range(40)}
    return pd.DataFrame({"deal_id": np.arange(n).astype(str), **same, **{k: v(rng, n) for k, v in moved.items()}})


def test_only_what_moved_is_named_among_many_inputs():
    before = columns(400, 1, days=lambda r, n: r.exponential(10, n), source=lambda r, n: r.choice(["web", "fair"], n))
    now = columns(300, 2, days=lambda r, n: r.exponential(25, n), source=lambda r, n: r.choice(["web", "call"], n))
    found = input_drift(before, now)
    assert set(found.loc[found["drifted"], "column"]) == {"days", "source"}
    source = found.set_index("column").loc["source"]
    assert "%" in source["before"]


def test_customers_then_and_now_and_who_left_beside_what_was_said():
    """Forty contracts; half as many seats are ordered since, and every fourth customer left."""
    start, since = NOW - timedelta(days=700), NOW - timedelta(days=200)
    contracts = [
        {
            "subscription_id": f"s{k}", "account_id": f"a{k}", "started_on": start.date(), "mrr": 100,
            "currency": "EUR", "ended_on": (since + timedelta(days=30)).date() if k % 4 == 0 else None,
        }
        for k in range(40)
    ]  # fmt: skip
    view = TableView({"subscriptions": table_of("subscriptions", contracts)})
    company = Company.parse({"base_currency": "EUR"})
    found = customer_inputs(view, company, pd.Timestamp(since), pd.Timestamp(NOW))
    assert (len(found.before), len(found.now), found.unit) == (40, 30, "customers")
    said = pd.DataFrame({"account_id": [f"a{k}" for k in range(40)], "as_of": pd.Timestamp(since)})
    said = said.assign(churn_probability=0.25, horizon_days=90)
    late = said.assign(as_of=pd.Timestamp(NOW) - pd.Timedelta(days=80))  # its horizon is not over
    judged = judged_customers(pd.concat([said, late]), view, company, until=pd.Timestamp(NOW))
    assert judged["came"].sum() == 10  # every fourth of 40
    assert len(judged) == 40
    # 10 of 40 left where a quarter was forecast: the walk stays below its bound. Had 2 % been said, it would not.
    assert not by_calibration("churn", judged, Retrain(), unit="account").due
    low = by_calibration("churn", judged.assign(forecast=0.02), Retrain(), unit="account")
    assert low.due
    assert "Issued forecasts are too low" in low.text


def test_reps_are_held_against_the_same_part_of_an_earlier_quarter():
    """31 of 90 days into the quarter stand against the same share of the 92 days of the one before."""
    reps = [{"rep_id": f"r{k}", "hired_on": date(2024, 1, 1)} for k in range(30)]
    view = TableView({"reps": table_of("reps", [*reps, {"rep_id": "new", "hired_on": date(2026, 1, 20)}])})
    at, since = pd.Timestamp("2026-02-01", tz="UTC"), pd.Timestamp("2026-01-05", tz="UTC")
    found = rep_inputs(view, Company.parse({"time_zone": "UTC"}), since, at)
    assert (len(found.before), len(found.now)) == (30, 31)
    assert found.now["as_of"].iloc[0] == at
    then = pd.Timestamp("2025-10-01", tz="UTC") + pd.Timedelta(days=92) * 31 / 90
    assert abs(found.before["as_of"].iloc[0] - then) < pd.Timedelta(seconds=1)
    trigger, _ = by_inputs("attainment", Inputs(found.before.head(8), found.now, "reps"), Retrain())
    assert (trigger.due, trigger.text) == (False, "8 reps to compare inputs with; 30 are needed.")


def test_what_hangs_on_the_date_alone_is_not_compared():
    """Days until the year ends go down for all deals together; what turned constant is compared."""
    rng = np.random.default_rng(0)
    dates = pd.date_range("2025-04-06", periods=40, freq="7D", tz="UTC").repeat(10)
    rows = pd.DataFrame({"deal_id": np.arange(400).astype(str), "as_of": dates, "amount": rng.normal(size=400)})
    rows["year_end_days"] = (pd.Timestamp("2026-01-04", tz="UTC") - rows["as_of"]).dt.days
    rows["source_open"] = np.where(rows["as_of"] < dates[300], rng.integers(0, 2, 400), 1)
    found = deal_inputs(rows, dates[299])
    assert (len(found.before), len(found.now)) == (300, 100)
    assert {"amount", "source_open"} <= set(found.before)
    assert "year_end_days" not in found.before
    trigger, table = by_inputs("win", found, Retrain())
    assert table.loc[table["drifted"], "column"].tolist() == ["source_open"]
    assert (trigger.value, trigger.due) == (1.0, False)


def test_a_few_rows_are_not_judged():
    assert not len(input_drift(columns(20, 1), columns(300, 2)))


def test_exact_forecasts_seldom_raise_the_alarm_and_high_ones_do():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(40):
        p = rng.uniform(0.1, 0.6, 300)
        alarms += calibration_drift(p, rng.random(300) < p)["drifted"]
    assert alarms <= 6  # two are expected of 40 at 5 %
    p = rng.uniform(0.1, 0.6, 600)
    truth = np.where(np.arange(600) < 300, p, p / 2)
    found = calibration_drift(p, rng.random(600) < truth)
    assert (found["drifted"], found["direction"]) == (True, "too high")
    assert 200 <= found["since"] <= 400


def test_few_forecasts_raise_none():
    assert not calibration_drift(np.full(10, 0.9), np.zeros(10, bool))["drifted"]


def activities(weeks, *, quiet_weeks=0, without=0):
    """Ten a week up to now; the last `quiet_weeks` have none, in the last `without` no direction is given."""
    rows = []
    for week in range(quiet_weeks, weeks):
        for k in range(10):
            at = NOW - timedelta(weeks=week, days=3, minutes=k)
            direction = None if week < without else "out"
            rows.append(an_activity(f"a{week}-{k}", occurred_at=at, direction=direction))
    return TableView({"activities": table_of("activities", rows)})


def test_a_field_that_stops_being_filled_is_named():
    (found,) = gaps(activities(30, without=4), as_of=NOW)
    assert (found.table, found.column, found.rows) == ("activities", "direction", 40)
    assert (
        "activities.direction stopped being filled: 0% of 40 rows of the last 4 weeks have it, 100% had it"
        in found.text
    )


def test_a_table_into_which_nothing_comes_is_named():
    (found,) = gaps(activities(30, quiet_weeks=4), as_of=NOW)
    assert (found.table, found.column) == ("activities", "")
    assert found.text.startswith("activities: 0 rows in the last 4 weeks, ")


def test_where_all_is_as_before_nothing_is_said():
    assert gaps(activities(30), as_of=NOW) == []


def test_the_policy_is_read_and_a_wrong_key_told(tmp_path):
    assert retrain_policy() == Retrain()
    file = tmp_path / "retrain.yaml"
    file.write_text("every_day: 3\n")
    with pytest.raises(BadPolicy, match=r"every_day is not a known key"):
        retrain_policy(file)
    file.write_text("automatic: 1\n")
    with pytest.raises(BadPolicy, match=r"automatic is 1. Give yes or no"):
        retrain_policy(file)
    file.write_text("psi: -1\n")
    with pytest.raises(BadPolicy, match=r"psi is -1"):
        retrain_policy(file)
