"""Measured effects in place of associations: where they hold, how they rank, what is said."""

import json

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.actions import CATALOGUE
from models.coaching import advise
from models.coaching_evidence import Randomised, evidence_for
from models.effects import SEGMENT_COLUMNS, Effects
from tests.builders import a_deal, an_activity, view_of
from tests.models.demo_wins import demo_wins

AS_OF = pd.Timestamp("2026-03-02", tz="UTC")
PARTS = pd.DataFrame(columns=SEGMENT_COLUMNS)


def claim(action="call", part="first", corrected=0.06, **values):
    return {
        "action": action, "part": part, "basis": "adjusted", "corrected": corrected, "corrected_se": 0.02, "bias": 0.0,
        "treated_deals": 300, "stages": json.dumps(["Qualify"]), **values,
    }  # fmt: skip


def effects(*claims, parts=PARTS):
    return Effects(pd.DataFrame(list(claims)), parts)


def deals(n=2, **columns):
    row = {"deal_id": [f"d{i + 1}" for i in range(n)], "as_of": AS_OF, "stage": "Qualify", "days_silent": 20.0}
    return pd.DataFrame({**row, "amount": 1000.0, "demos": 0.0, "calls_30d": 0.0, **columns})


def evidence(found=None, X=None, chance=None, activities=(), **randomised):
    X = deals() if X is None else X
    view = view_of(deals=[a_deal("d1"), a_deal("d2")], activities=list(activities))
    chance = np.full(len(X), 0.3) if chance is None else np.asarray(chance)
    return evidence_for(
        X, chance, CATALOGUE, effects=found, randomised=randomised, view=view, company=Company(), as_of=AS_OF
    )


def test_an_adjusted_effect_is_drawn_towards_the_prior():
    call = evidence(effects(claim()))["call"]
    # .06 with variance .02^2 + .02^2 against N(0, .03^2): .06 * 1250 / (1250 + 1111.1).
    expected = 0.06 * 1250 / (1250 + 1 / 0.0009)
    assert call.uplift == pytest.approx([expected] * 2)
    half = 1.645 / np.sqrt(1250 + 1 / 0.0009)
    assert call.low == pytest.approx([expected - half] * 2)
    assert call.deals.tolist() == [300, 300]
    assert not call.measured


def test_what_the_placebos_took_off_is_in_the_range_and_not_a_second_time_in_the_order():
    looked = {"placebo_now": 0.05, "answers_now": 0.08}
    found = effects(
        claim("meeting", corrected=0.04, corrected_se=0.03, bias=0.06, **looked),  # of .10 the placebos took .06
        claim("call", corrected=0.01, corrected_se=0.02, basis="association", placebo_now=np.nan, answers_now=np.nan),
    )
    told = evidence(found, deals(meetings_30d=0.0))
    meeting, call = told["meeting"], told["call"]
    # .04 with variance .03^2 + .02^2 against N(0, .03^2).
    weight = 1 / 0.0013
    assert meeting.uplift == pytest.approx([0.04 * weight / (weight + 1 / 0.0009)] * 2)
    assert (meeting.high - meeting.low)[0] == pytest.approx(2 * 1.645 * np.sqrt(1 / (weight + 1 / 0.0009) + 0.06**2))
    # At the call nothing was looked at: all of its .01 may be hidden interest.
    doubtful = 1 / (0.02**2 + 0.01**2 + 0.02**2)
    assert call.uplift == pytest.approx([0.01 * doubtful / (doubtful + 1 / 0.0009)] * 2)
    assert (meeting.uplift > call.uplift).all()


def test_it_holds_in_the_stages_it_was_measured_in():
    call = evidence(effects(claim()), deals(stage=["Qualify", "Propose"]))["call"]
    assert call.holds.tolist() == [True, False]


def test_a_part_of_the_business_where_it_did_not_help_is_left_to_association():
    part = ["call", "first", "kind"]
    rows = [[*part, "new", 500, 90, 0.09, 0.02, 0.08, 0.001], [*part, "renewal", 500, 90, -0.01, 0.02, 0.02, 0.001]]
    parts = pd.DataFrame(rows, columns=SEGMENT_COLUMNS)
    X = deals(3, kind=["new", "renewal", "other"])
    call = evidence(effects(claim(), parts=parts), X)["call"]
    assert call.holds.tolist() == [True, False, True]
    # Parts lie .03 to either side of their mean; the variance between them, .001, widens a deal's interval.
    weight = 1250 / (1250 + 1 / 0.0009)
    assert call.uplift[[0, 2]] == pytest.approx(np.array([0.09, 0.06]) * weight * np.ones(2))
    assert (call.high - call.low)[0] == pytest.approx(2 * 1.645 * np.sqrt(1 / (1250 + 1 / 0.0009) + 0.001))


def test_what_helped_the_first_time_is_not_suggested_again():
    before = an_activity(kind="call", deal_id="d1", occurred_at="2026-02-01T10:00:00Z")
    call = evidence(effects(claim()), activities=[before])["call"]
    assert call.holds.tolist() == [False, True]
    assert call.barred.tolist() == [True, False]
    both = evidence(effects(claim(), claim(part="again", corrected=0.03)), activities=[before])["call"]
    assert both.barred.tolist() == [False, False]
    assert both.uplift[0] == pytest.approx(both.uplift[1] / 2)


def test_a_deal_in_doubt_has_more_to_gain_than_one_as_good_as_won():
    # p (1 - p): .25 and .09, whose mean is .17.
    call = evidence(effects(claim()), chance=[0.5, 0.9])["call"]
    assert call.uplift[0] / call.uplift[1] == pytest.approx(0.25 / 0.09)
    assert call.uplift.mean() == pytest.approx(0.06 * 1250 / (1250 + 1 / 0.0009))


def test_chance_alone_measures_and_outweighs_history_that_it_contradicts():
    # No history: .04 with variance .01^2 against N(0, .03^2).
    alone = evidence(demo=Randomised(0.04, 0.0001, proved=True))["demo"]
    assert alone.measured
    assert alone.uplift == pytest.approx([0.04 * 10000 / (10000 + 1 / 0.0009)] * 2)
    # .20 - .02 is more than 2 sqrt(.0008 + .0001): history is dropped.
    found = effects(claim(corrected=0.20))
    against = evidence(found, call=Randomised(0.02, 0.0001, proved=True))["call"]
    assert against.uplift == pytest.approx([0.02 * 10000 / (10000 + 1 / 0.0009)] * 2)
    assert evidence(demo=Randomised(0.04, 0.0001, proved=False)) == {}


@pytest.fixture(scope="module")
def win():
    return demo_wins(AS_OF)


def coach(win, **values):
    view = view_of(deals=[a_deal("d1"), a_deal("d2")], activities=[])
    return advise(deals(), win, view=view, company=Company(), as_of=AS_OF, **values)


def test_what_was_measured_comes_before_what_is_only_seen_together(win):
    assert coach(win)["action"].iloc[0] == "demo"
    table = coach(win, effects=effects(claim(corrected=0.02)))
    first, second = table[table["deal_id"] == "d1"].iloc[:2].to_dict("records")
    assert (first["action"], first["basis"]) == ("call", "adjusted")
    assert (second["action"], second["basis"]) == ("demo", "association")
    said = json.loads(first["reasons"])[-1]
    assert said["en"].startswith("300 past deals with this step were won more often within 26 weeks than like deals")
    assert "300" in said["zh"]


def test_a_proved_step_says_that_chance_decided(win):
    table = coach(win, randomised={"call": Randomised(0.04, 0.0001, proved=True)})
    first = table.iloc[0]
    assert (first["action"], first["basis"]) == ("call", "measured")
    assert "chance" in json.loads(first["reasons"])[-1]["en"].lower()


def test_chance_that_proves_nothing_pulls_an_association_but_its_interval_holds_zero(win):
    plain = coach(win).set_index(["deal_id", "action"]).loc[("d1", "demo")]
    pulled = coach(win, randomised={"demo": Randomised(0.0, 0.001, proved=False)})
    line = pulled.set_index(["deal_id", "action"]).loc[("d1", "demo")]
    assert line["basis"] == "association"
    assert line["expected_uplift"] < plain["expected_uplift"]
    assert line["uplift_low"] < 0 < line["uplift_high"]


def test_history_that_proves_nothing_still_speaks_for_a_step_where_helping_is_fairly_sure():
    # .06 with variance .02^2 + .02^2: mean .0318 and sd .0206, so helping is .94 likely; .015 gives .0079 and .65.
    unproven = claim(basis="association", reason="holds_zero")
    call = evidence(effects(unproven))["call"]
    assert (call.holds.tolist(), call.speaks.tolist()) == ([False, False], [True, True])
    assert (call.low < 0).all()
    assert (call.high > 0).all()
    assert call.uplift == pytest.approx([0.06 * 1250 / (1250 + 1 / 0.0009)] * 2)
    assert not evidence(effects({**unproven, "corrected": 0.015}))["call"].speaks.any()
    # Nothing shows soon how customers take it: all of it may be hidden interest, .02^2 + .02^2 + .06^2 of variance.
    blind = {**unproven, "placebo_now": float("nan"), "answers_now": float("nan")}
    doubtful = evidence(effects(blind))["call"]
    assert (doubtful.speaks.tolist(), doubtful.leans.tolist()) == ([False, False], [True, True])
    assert evidence(effects({**unproven, "reason": "near_stage"})) == {}


def test_stages_in_which_a_step_was_not_taken_ask_for_more():
    X = deals(stage=["Qualify", "Propose"])
    call = evidence(effects(claim()), X)["call"]
    assert (call.holds.tolist(), call.speaks.tolist()) == ([True, False], [False, True])
    # There the prior's .03^2 is added to the variance of .0008.
    assert call.uplift[1] / call.uplift[0] == pytest.approx((1 / (1 + 0.0017 / 0.0009)) / (1 / (1 + 0.0008 / 0.0009)))
    # .03 gives .0159 with sd .0206, which is .78 likely: too little to speak for it where it is not claimed.
    weak = evidence(effects(claim(corrected=0.03)), X)["call"]
    assert (weak.holds.tolist(), weak.speaks.tolist()) == ([True, False], [False, False])


def test_where_history_speaks_for_a_step_no_other_leads(win):
    spoken = effects(claim(basis="association", reason="holds_zero"))
    table = coach(win, effects=spoken)
    lines = table[table["deal_id"] == "d1"]
    assert lines["action"].tolist()[:2] == ["call", "demo"]
    assert set(lines["basis"]) == {"association"}
    assert "chance or the customers' own interest may explain that" in lines["reasons"].iloc[0]
    assert (lines["uplift_low"] < 0).all()
    # d2 was called before: history speaks for nothing there, and a demo that is only seen together does not lead.
    before = an_activity(kind="call", deal_id="d2", occurred_at="2026-01-02T10:00:00Z")
    view = view_of(deals=[a_deal("d1"), a_deal("d2")], activities=[before])
    found = advise(deals(), win, view=view, company=Company(), as_of=AS_OF, effects=spoken)
    assert set(found["deal_id"]) == {"d1"}
    # Where it only leans to a step, that one leads; where it does not, what is seen together is all there is.
    leaning = effects(claim(basis="association", reason="holds_zero", corrected=0.01))
    assert coach(win, effects=leaning)["action"].iloc[0] == "call"
    silent = effects(claim(basis="association", reason="holds_zero", corrected=0.0))
    assert coach(win, effects=silent)["action"].iloc[0] == "demo"
