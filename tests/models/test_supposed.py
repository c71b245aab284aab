"""Deals as they would look right after a step, against a history in which the step was taken."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from features.build import build
from models.actions import CATALOGUE, named
from models.supposed import Step, after_steps
from tests.features.rows import COMPANY, STAGES, a_change, a_deal, a_touch, day, spine, view

# A mail on 1 March, a call from c1 on 2 March, and dates that are logged; as of 20 March. The rest is not known yet.
HISTORY = [
    a_touch(1, "2026-03-01", "email", "out"),
    a_touch(2, "2026-03-02", "call", "in", contact_id="c1"),
    a_touch(9, "2026-03-25", "meeting", "out", contact_id="c3"),
]
PEOPLE = [
    {"contact_id": "c1", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "c2", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "c3", "account_id": "a1", "seniority": "c-level"},
]
LOG = [
    a_change("2026-01-05", "close_date", "2026-02-01", "2026-03-15"),
    a_change("2026-02-10", "stage", "Qualify", "Demo"),
    a_change("2026-03-28", "stage", "Demo", "Quote"),
    a_change("2026-03-28", "close_date", "2026-03-15", "2026-05-01"),
]
WITH = {"involve_decision_maker": "c3", "add_contact": "c2"}
AT = pd.Timestamp("2026-03-20", tz="UTC")
OWN = {"name": "warm", "block": "deal_activity", "unit": "count", "en": "Warm", "can_act": True,
       "sql": "count(*) filter (where direction = 'out' and age < days(3))"}  # fmt: skip
WITH_OWN = Company.parse({"base_currency": "EUR", "stages": {"*": STAGES}, "features": [OWN]})


def history(touches=(), changes=()):
    """The deal, and others of the same owner and customer that are no part of what is asked."""
    others = [a_deal(f"o{i}", stage="Demo", close_date=day("2026-04-15").date()) for i in range(3)]
    done = [a_deal("w1", stage="Quote", closed="2026-02-20", outcome="won", amount=900.0)]
    return view(
        deals=[a_deal(stage="Quote", amount=500.0, close_date=day("2026-05-01").date()), *others, *done],
        activities=[*HISTORY, *touches, a_touch(5, "2026-03-10", "call", "out", deal_id="o1")],
        contacts=PEOPLE,
        deal_changes=[*LOG, *changes],
        reps=[{"rep_id": "r1", "hired_on": day("2024-01-01").date()}],
        accounts=[{"account_id": "a1", "created_at": day("2025-01-01")}],
    )


def described(tables, *deals, company=COMPANY):
    points = [(deal, "2026-03-20") for deal in deals or ("d1",)]
    return build(tables, spine("deal_id", *points), "deal", company=company, late=frozenset())


def step(action, rows=(0,), n=1):
    contact = np.full(n, None, dtype=object)
    contact[list(rows)] = WITH.get(action.name)
    return Step(action, np.array(rows, dtype=np.intp), contact)


def after(X, *steps, tables=None, company=COMPANY):
    return after_steps(X, steps, view=tables or history(), company=company, as_of=AT)


@pytest.fixture(scope="module")
def before():
    return described(history())


@pytest.fixture(scope="module")
def supposed(before):
    """The deal after each step of the catalogue."""
    return dict(zip((a.name for a in CATALOGUE), after(before, *map(step, CATALOGUE)), strict=True))


@pytest.mark.parametrize("action", [a for a in CATALOGUE if a.kind], ids=lambda a: a.name)
def test_a_deal_looks_after_a_step_as_if_the_step_had_been_recorded(action, supposed):
    who = {"contact_id": WITH.get(action.name, "c1")}
    truth = described(history([a_touch(3, "2026-03-20", action.kind, "out", **who)]))
    pd.testing.assert_frame_equal(supposed[action.name], truth, check_categorical=False)
    assert truth["touches"].item() == 3


def test_a_deal_looks_after_a_new_close_date_as_if_it_had_been_logged(supposed):
    # 30 days from 20 March; the push of 28 March is not known yet.
    truth = described(history(changes=[a_change("2026-03-20", "close_date", "2026-03-15", "2026-04-19")]))
    found = supposed["reset_close_date"]
    pd.testing.assert_frame_equal(found, truth, check_categorical=False)
    assert found["close_date_pushed_days"].item() == 42 + 35  # 1 February to 15 March to 19 April
    assert found["close_date_days"].item() == 30


def test_a_step_that_is_in_no_history_changes_nothing(before, supposed):
    pd.testing.assert_frame_equal(supposed["requalify"], before, check_categorical=False)


def test_no_step_changes_what_the_customer_does(before, supposed):
    inbound = [name for name in before if "inbound" in name or "emails_in" in name]
    assert len(inbound) > 3
    for found in supposed.values():
        pd.testing.assert_frame_equal(found[inbound], before[inbound])


def test_many_deals_and_steps_at_once_do_not_see_each_other():
    X = described(history(), "d1", "o1", "o2")
    steps = [step(named("call"), (0, 1, 2), 3), step(named("demo"), (1,), 3)]
    calls, demos = after(X, *steps)
    assert (calls["deal_id"].tolist(), demos["deal_id"].tolist()) == (["d1", "o1", "o2"], ["o1"])
    alone = after(X.iloc[[1]].reset_index(drop=True), step(named("call")))[0]
    pd.testing.assert_frame_equal(calls.iloc[[1]].reset_index(drop=True), alone, check_categorical=False)
    assert calls["touches"].tolist() == [3, 2, 1]
    # What rests on the owner's other deals stays: a copy is no deal more on the desk.
    assert calls["owner_open_deals"].tolist() == X["owner_open_deals"].tolist()


def test_a_company_without_activities_sees_no_change():
    tables = view(deals=[a_deal()], deal_changes=LOG)
    X = described(tables)
    (found,) = after(X, step(named("call")), tables=tables)
    assert np.isnan(found["touches"].item())
    pd.testing.assert_frame_equal(found, X, check_categorical=False)


def test_a_feature_of_the_companys_own_moves_too():
    X = described(history(), company=WITH_OWN)
    (found,) = after(X, step(named("call")), company=WITH_OWN)
    assert (X["warm"].item(), found["warm"].item()) == (0, 1)
