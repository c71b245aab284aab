"""The catalogue: names, when a step fits, and that it moves only what a rep does."""

import numpy as np
import pandas as pd
import pytest

from features.build import build
from features.catalogue import features
from models.actions import CATALOGUE, PAUSE, named
from tests.features.rows import COMPANY, a_change, a_deal, a_touch, day, spine, view

WANTED = (
    "email call meeting demo proposal visit involve_decision_maker add_contact requalify reset_close_date "
    "hand_over pause"
).split()


def fits(action, **row):
    return bool(named(action).fits(pd.DataFrame({"deal_id": ["d1"], **{k: [v] for k, v in row.items()}}))[0])


def test_all_steps_that_coach_may_name_are_there():
    assert sorted(action.name for action in (*CATALOGUE, PAUSE)) == sorted(WANTED)


def test_each_step_moves_known_features_and_none_that_the_customer_makes():
    there = {f.name for f in features("deal")}
    for action in CATALOGUE:
        assert action.features <= there
        assert not [f for f in action.features if "inbound" in f or "emails_in" in f or "reply" in f]


@pytest.mark.parametrize("action", CATALOGUE, ids=lambda a: a.name)
def test_each_step_is_said_in_both_languages(action):
    assert action.why_en.endswith(".")
    assert action.why_zh.endswith("。")
    assert action.due_in_days > 0


def test_a_mail_fits_after_a_week_of_silence_or_where_there_never_was_contact():
    assert fits("email", days_silent=7.0)
    assert fits("email", days_silent=np.nan)
    assert not fits("email", days_silent=3.0)


def test_a_step_that_was_taken_does_not_fit_again():
    assert fits("demo", demos=0.0)
    assert not fits("demo", demos=1.0)
    assert not fits("involve_decision_maker", decision_makers_met=1.0)


def test_what_is_not_known_is_not_suggested():
    # The company logs no activities: nobody can say that a demo is missing.
    assert not fits("demo", demos=np.nan)
    assert not fits("reset_close_date", close_date_days=np.nan)


def test_a_step_changes_its_features_and_nothing_else():
    X = pd.DataFrame({"deal_id": ["d1"], "touches": [3.0], "days_silent": [20.0], "calls_30d": [1.0], "amount": [5.0]})
    moved = named("call").applied(X)
    assert moved.iloc[0].to_dict() == {
        "deal_id": "d1", "touches": 4.0, "days_silent": 0.0, "calls_30d": 2.0, "amount": 5.0,
    }  # fmt: skip
    assert X["touches"].item() == 3.0


# A contact on 1 March, a call on 2 March with c1, and dates that are logged; as of 20 March.
HISTORY = [a_touch(1, "2026-03-01", "email", "out"), a_touch(2, "2026-03-02", "call", "in", contact_id="c1")]
PEOPLE = [
    {"contact_id": "c1", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "c2", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "c3", "account_id": "a1", "seniority": "vp"},
]
LOG = [a_change("2026-01-05", "close_date", "2026-02-01", "2026-03-15")]
WITH = {"involve_decision_maker": "c3", "add_contact": "c2"}
# Answers for each contact of ours: a step tells nothing of how the customer answers.
NOT_MOVED = ["reply_ratio"]


def described(touches, log, close_date):
    tables = view(
        deals=[a_deal(close_date=day(close_date).date())], activities=touches, contacts=PEOPLE, deal_changes=log
    )
    return build(tables, spine("deal_id", ("d1", "2026-03-20")), "deal", company=COMPANY, late=frozenset())


@pytest.mark.parametrize("action", [a for a in CATALOGUE if a.kind], ids=lambda a: a.name)
def test_a_deal_looks_after_a_step_as_if_the_step_had_been_recorded(action):
    """Moved by hand, or built from a history in which the rep has just done it: the same features."""
    before = described(HISTORY, LOG, "2026-03-15")
    who = {"contact_id": WITH.get(action.name, "c1")}
    truth = described([*HISTORY, a_touch(3, "2026-03-20", action.kind, "out", **who)], LOG, "2026-03-15")
    pd.testing.assert_frame_equal(action.applied(before).drop(columns=NOT_MOVED), truth.drop(columns=NOT_MOVED))


def test_a_deal_looks_after_a_new_close_date_as_if_it_had_been_logged():
    before = described(HISTORY, LOG, "2026-03-15")
    pushed = [*LOG, a_change("2026-03-20", "close_date", "2026-03-15", "2026-04-19")]  # 30 days from 20 March
    truth = described(HISTORY, pushed, "2026-04-19")
    pd.testing.assert_frame_equal(named("reset_close_date").applied(before), truth)
    assert truth["close_date_pushed_days"].item() == 42 + 35  # 1 February to 15 March to 19 April
