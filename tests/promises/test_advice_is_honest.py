"""Advice is honest: a suggestion shows what it rests on and never calls an association a cause."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.actions import CATALOGUE, PAUSE
from models.coaching import advise, shrunk
from models.win import WinModel
from tests.models import snapshot_company
from tests.models.sold_company import sold

CAUSAL_EN = re.compile(r"\b(will|causes?|leads? to|increases?|raises?|improves?|boosts?|because|effect|due to)\b", re.I)
CAUSAL_ZH = re.compile("导致|因为|使得|提高|提升|促使|效果")


@pytest.fixture(scope="module")
def advice():
    s = sold()
    return advise(s.deals, s.win, view=s.view, company=s.company, as_of=s.as_of)


def test_every_line_says_what_it_rests_on(advice):
    assert len(advice)
    assert set(advice["basis"]) == {"association"}
    for said in advice.loc[~advice["action"].isin(["pause", "requalify", "hand_over"]), "reasons"].map(json.loads):
        assert any("Seen together" in reason["en"] and "not proof" in reason["en"] for reason in said)
        assert any("同时出现" in reason["zh"] and "不证明" in reason["zh"] for reason in said)


def test_no_sentence_claims_a_cause(advice):
    sentences = [reason for reasons in advice["reasons"].map(json.loads) for reason in reasons]
    catalogue = [{"en": action.why_en, "zh": action.why_zh} for action in (*CATALOGUE, PAUSE)]
    for said in [*sentences, *catalogue]:
        assert not CAUSAL_EN.search(said["en"]), said["en"]
        assert not CAUSAL_ZH.search(said["zh"]), said["zh"]


def test_the_interval_of_an_association_holds_zero(advice):
    assert (advice["uplift_low"] < 0).all()
    assert (advice["uplift_high"] > 0).all()
    assert (advice["expected_uplift"] < 0.03).all()


@given(st.floats(-1, 1))
def test_however_large_the_difference_its_interval_holds_zero(difference):
    middle, low, high = (float(v[0]) for v in shrunk(np.array([difference])))
    assert low < 0 < high
    assert low < middle < high
    assert abs(middle) <= abs(difference)


def test_nothing_is_called_harmful(advice):
    # Contact that follows trouble looks harmful; so a step with a lower chance is left out, not warned of.
    assert (advice["expected_uplift"] >= 0).all()


def test_a_model_no_better_than_the_base_rate_gives_no_advice():
    rows = snapshot_company.snapshots(deals=500, weeks=50, flat=True)
    rows = rows.assign(demos=0.0)
    model = WinModel(horizon_weeks=26, replicates=0, cuts=2).fit(rows, until=snapshot_company.END)
    assert not model.note["signal"]
    s = sold()
    X = pd.DataFrame({"deal_id": s.deals["deal_id"], "as_of": s.as_of, "stage": "lead", "fit": 0.0, "demos": 0.0})
    assert not len(advise(X, model, view=s.view, company=s.company, as_of=s.as_of))
