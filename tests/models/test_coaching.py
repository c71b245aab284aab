"""Next steps: which are named, in which order, with which contact."""

import json

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.coaching import COLUMNS, ENDS, advise, shrunk
from tests.builders import a_change, a_deal, an_activity, view_of
from tests.models.demo_wins import demo_wins

AS_OF = pd.Timestamp("2026-03-02", tz="UTC")
CONTACTS = [
    {"contact_id": "k1", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "k2", "account_id": "a1", "seniority": "vp"},
    {"contact_id": "k3", "account_id": "a1", "seniority": "c-level", "left_at": "2026-01-01T00:00:00Z"},
]


@pytest.fixture(scope="module")
def win():
    return demo_wins(AS_OF)


def deals(**columns):
    row = {"deal_id": ["d1"], "as_of": [AS_OF], "amount": [1000.0], "demos": [0.0], "calls_30d": [0.0]}
    return pd.DataFrame({**row, "days_silent": [20.0], **columns})


def coach(X, win, **tables):
    view = view_of(**{"deals": [a_deal("d1"), a_deal("d2")], "contacts": CONTACTS, "activities": [], **tables})
    return advise(X, win, view=view, company=Company(), as_of=AS_OF)


def test_the_step_that_went_together_with_winning_comes_first(win):
    table = coach(deals(), win)
    assert list(table.columns) == [*COLUMNS, ENDS]
    first = table.iloc[0]
    assert (first["action"], first["rank"], first["due_in_days"]) == ("demo", 1, 7)
    difference = win.predict_proba_won(deals(demos=[1.0])) - win.predict_proba_won(deals())
    # N(0, .03^2) combined with the difference, whose variance is .03 |d| + .02^2.
    doubt = 0.03 * abs(difference[0]) + 0.02**2
    expected = difference[0] * 0.03**2 / (0.03**2 + doubt)
    assert first["expected_uplift"] == pytest.approx(expected)
    assert first["expected_value"] == pytest.approx(expected * 1000)


def test_reasons_are_said_in_both_languages_and_name_the_horizon(win):
    said = json.loads(coach(deals(), win)["reasons"].iloc[0])
    assert said[0] == {"en": "No demo yet.", "zh": "尚未演示。"}
    assert "20 weeks" in said[-1]["en"]
    assert "20周" in said[-1]["zh"]


def test_a_step_says_which_others_no_longer_fit_once_it_is_done(win):
    found = coach(deals(meetings_30d=[0.0]), win).set_index("action")[ENDS].map(json.loads)
    # A demo is a contact, so a call or a mail after five or seven days of silence is not due; a meeting still is.
    assert {"call", "email"} <= set(found["demo"])
    assert "meeting" not in found["demo"]
    assert "demo" not in found["demo"]


def test_at_most_three_steps_a_deal_ranked_by_uplift(win):
    table = coach(deals(deal_id=["d1"]), win)
    assert len(table) <= 3
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert table["expected_uplift"].is_monotonic_decreasing


def test_what_was_turned_down_is_not_named_for_that_deal_again(win):
    both = deals(
        deal_id=["d1", "d2"],
        as_of=[AS_OF] * 2,
        amount=[1000.0] * 2,
        demos=[0.0] * 2,
        calls_30d=[0.0] * 2,
        days_silent=[20.0] * 2,
    )
    view = view_of(deals=[a_deal("d1"), a_deal("d2")], contacts=CONTACTS, activities=[])
    known = {"view": view, "company": Company(), "as_of": AS_OF}
    before = advise(both, win, **known)
    after = advise(both, win, **known, not_again={("d1", "demo")})
    steps = {deal: set(part["action"]) for deal, part in after.groupby("deal_id")}
    assert "demo" in set(before.loc[before["deal_id"] == "d1", "action"])
    assert "demo" not in steps.get("d1", set())
    assert "demo" in steps["d2"]
    assert after.groupby("deal_id")["rank"].min().eq(1).all()


def test_a_step_that_is_a_stage_move_is_never_named(win):
    # 120 demos, each on the day of a move to the next stage.
    activities = [an_activity(kind="demo", deal_id=f"p{i}", occurred_at="2026-01-10T11:20:00Z") for i in range(120)]
    moves = [a_change(f"p{i}", "stage", "Qualify", "Propose", "2026-01-10T15:00:00Z") for i in range(120)]
    past = [a_deal("d1"), *(a_deal(f"p{i}") for i in range(120))]
    table = coach(deals(), win, deals=past, activities=activities, deal_changes=moves)
    assert "demo" not in set(table["action"])
    # Without the moves the same demos are a choice.
    other = [a_change(f"p{i}", "amount", "1", "2", "2026-01-10T15:00:00Z") for i in range(120)]
    assert "demo" in set(coach(deals(), win, deals=past, activities=activities, deal_changes=other)["action"])


def test_the_decision_maker_who_is_still_there_and_was_not_met_is_named():
    table = pd.DataFrame({"deal_id": ["d1", "d2"]})
    from models.coaching import _unmet

    met = an_activity(kind="meeting", deal_id="d2", contact_id="k2")
    later = an_activity(kind="meeting", deal_id="d1", contact_id="k2", occurred_at="2026-03-20T00:00:00Z")
    view = view_of(deals=[a_deal("d1"), a_deal("d2")], contacts=CONTACTS, activities=[met, later])
    found = _unmet(view, table, AS_OF)
    assert found["decision_maker"].tolist() == ["k2", None]
    assert found["anyone"].tolist() == ["k1", "k1"]


def test_a_hopeless_deal_without_a_step_that_helps_is_to_be_paused(win):
    # The first had its demo and a contact today; the others stand far better.
    X = pd.DataFrame(
        {
            "deal_id": ["d1", "d2", "d3"], "as_of": AS_OF, "amount": 1000.0, "demos": [-6.0, 1.0, 1.0],
            "calls_30d": 0.0, "days_silent": 0.0,
        }
    )  # fmt: skip
    X.loc[0, "demos"] = np.nan  # not known: no demo can be suggested
    chance = win.predict_proba_won(X)
    table = coach(X, win)
    paused = set(table.loc[table["action"] == "pause", "deal_id"])
    assert paused == ({"d1"} if chance[0] < 0.5 * np.median(chance) else set())
    assert "d2" not in set(table["deal_id"])


def test_no_deals_give_an_empty_table_with_all_columns(win):
    assert list(coach(deals().iloc[:0], win).columns) == [*COLUMNS, ENDS]


def test_the_uplift_rises_with_the_difference_and_stays_below_the_prior():
    middle, _, _ = shrunk(np.linspace(0, 1, 200))
    assert (np.diff(middle) > 0).all()
    assert middle[0] == 0
    assert middle[-1] < 0.03
