"""What keeps a deal below deals that were won from where it stands."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.coaching import advise, on_track
from models.coaching_gaps import Gaps, gaps_of
from tests.builders import a_deal, view_of
from tests.models.demo_wins import demo_wins

AS_OF = pd.Timestamp("2026-03-02", tz="UTC")
NAMES = ["calls", "days_silent"]


def gaps(points, value, usual):
    return Gaps(NAMES, *(np.array([row], dtype=float) for row in (points, value, usual)))


def test_the_pull_is_the_sum_over_the_features_that_a_step_changes():
    found = gaps([-0.03, 0.01], [0, 20], [2, 4])
    both = {"calls": np.array([1.0]), "days_silent": np.array([0.0])}
    assert found.pull(both) == pytest.approx([-0.02])
    assert found.pull({"calls": np.array([1.0]), "days_silent": np.array([20.0])}) == pytest.approx([-0.03])
    assert found.pull({}) == [0.0]


def test_a_feature_that_is_missing_and_stays_so_is_not_changed():
    found = gaps([-0.03, 0.01], [0, np.nan], [2, 4])
    assert found.pull({"days_silent": np.array([np.nan])}) == [0.0]
    assert found.pull({"days_silent": np.array([0.0])}) == pytest.approx([0.01])


def test_the_largest_gap_is_one_that_the_step_makes_smaller():
    after = {"calls": np.array([1.0]), "days_silent": np.array([0.0])}
    assert gaps([-0.03, -0.05], [0, 20], [2, 4]).largest(0, after) == ("days_silent", 20, 4, -0.05)
    # The deal has more calls than those won: one more is not what it lacks.
    more = after | {"calls": np.array([8.0])}
    assert gaps([-0.09, -0.02], [7, 20], [2, 4]).largest(0, more) == ("days_silent", 20, 4, -0.02)
    assert gaps([-0.004, -0.004], [0, 20], [2, 4]).largest(0, after) is None  # under half a point
    assert gaps([-0.03, -0.05], [0, 20], [2, 4]).largest(0, {}) is None


def test_features_of_one_theme_are_added_up_to_see_whether_a_deal_lies_below():
    same, apart = {"calls": "contact", "days_silent": "contact"}, {}
    assert gaps([-0.01, 0.02], [0, 20], [2, 4]).none_below(same).tolist() == [True]
    assert gaps([-0.01, 0.02], [0, 20], [2, 4]).none_below(apart).tolist() == [False]
    assert gaps([-0.004, -0.004], [0, 20], [2, 4]).none_below(same).tolist() == [False]
    assert gaps([-0.004, 0.02], [0, 20], [2, 4]).none_below(apart).tolist() == [True]


@pytest.fixture(scope="module")
def win():
    return demo_wins(AS_OF)


def deals(demos, calls=1.0):
    demos = np.asarray(demos, dtype=float)
    ids = [f"d{i + 1}" for i in range(len(demos))]
    return pd.DataFrame({"deal_id": ids, "as_of": AS_OF, "demos": demos, "calls_30d": calls, "days_silent": 20.0})


def test_a_gap_is_what_a_feature_adds_less_what_it_added_to_deals_won(win):
    X = deals([0, 1])
    found = gaps_of(X, win, ["demos", "calls_30d"])
    explained, won = win.explain(X), win.won_deals()
    place, mine = list(explained.feature_names).index("demos"), found.names.index("demos")
    p, base = win.predict_proba_won(X), explained.base_values[0]
    # This deal's points for each unit of log odds, between the start of the reasons and its chance.
    slope = (p - base) / (np.log(p / (1 - p)) - np.log(base / (1 - base)))
    expected = explained.values[:, place] - slope * won.margin[won.cells.index(("", "")), place]
    assert found.points[:, mine] == pytest.approx(expected)
    # 7 of 9 won deals had a demo: without one a deal lies below them, with one above.
    assert found.points[0, mine] < 0 < found.points[1, mine]
    assert found.usual[:, mine].tolist() == [1.0, 1.0]


def test_reasons_that_are_known_give_the_same(win):
    X, names = deals([0, 1]), ["demos", "calls_30d"]
    explained = win.explain(X)
    rows = pd.DataFrame(explained.values, columns=explained.feature_names, index=X["deal_id"]).stack().reset_index()
    rows.columns = ["entity_id", "feature", "contribution"]
    told = rows[rows["contribution"] != 0].sample(frac=1, random_state=1)
    np.testing.assert_allclose(gaps_of(X, win, names, told).points, gaps_of(X, win, names).points, atol=1e-12)


def test_what_does_not_hold_a_deal_back_is_not_suggested_on_being_seen_together(win, monkeypatch):
    X = deals([0, 0])
    view = view_of(deals=[a_deal("d1"), a_deal("d2")], activities=[])
    known = {"view": view, "company": Company(), "as_of": AS_OF}
    before = advise(X, win, **known)
    assert set(before["action"]) >= {"demo"}
    # Were the deals that were won like these, a demo would still go together with a higher chance.
    won = win.won_deals()
    like = type(won)(won.names, won.cells, won.margin - 1.0, won.middle)
    monkeypatch.setattr(win, "won_deals", lambda: like)
    after = advise(X, win, **known)
    assert "demo" not in set(after["action"])
    assert set(on_track(X, win, after, company=Company())) == {"d1", "d2"} - set(after["deal_id"])


def test_where_no_feature_tells_deals_apart_none_stands_as_those_won():
    assert gaps([0.01, 0.0], [0, 20], [2, 4]).none_below({}).tolist() == [True]
    assert gaps([0.004, -0.004], [0, 20], [2, 4]).none_below({}).tolist() == [False]
    nothing = np.zeros((2, 0))
    assert Gaps([], nothing, nothing, nothing).none_below({}).tolist() == [False, False]


def test_a_deal_below_those_won_or_with_a_step_is_not_on_track(win):
    X = deals([0, 1, 1])
    none = pd.DataFrame({"deal_id": []})
    stand = set(on_track(X, win, none, company=Company()))
    assert "d1" not in stand
    assert {"d2", "d3"} <= stand
    assert set(on_track(X, win, pd.DataFrame({"deal_id": ["d2"]}), company=Company())) == {"d3"}
