"""Levers and scenarios: worked numbers, and that nothing moves without a reason."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from models.amounts import AmountModel
from models.attainment_draw import PeriodInputs
from models.attainment_errors import Errors, Level
from models.attainment_new import NewBusiness
from models.rollup import COMPANY, People
from models.simulation import Spread
from planning.levers import (
    BadLever,
    HandOver,
    Hire,
    Leave,
    MoveCapacity,
    OddsRatio,
    Promotion,
    Resplit,
    Retarget,
    break_even,
    campaign_effect,
    capacity_factor,
    odds_moved,
    retargeted,
)
from planning.scenarios import Base, NewMix, compare, new_mix, run

TODAY = date(2026, 5, 15)
NO_LEVEL = Level(np.zeros(0), np.zeros(0), np.zeros(0), 0.0)


def a_base(draws=400, seed=0):
    """Reps a, b in west, c in east; six deals of products P1 and P2 in segments s and m, two of each rep."""
    reps = ["a", "b", "c", ""]
    people = People(reps, {"east": [2], "west": [0, 1], COMPANY: [0, 1, 2, 3]}, frozenset("abc"), {})
    deals = pd.DataFrame({"deal_id": [f"d{n}" for n in range(6)], "product_id": ["P1", "P2"] * 3})
    credit = np.zeros((4, 6))
    credit[[0, 0, 1, 1, 2, 2], range(6)] = 1.0
    new = NewBusiness(np.full((4, 1), 2.0), np.full((4, 1), 1.0), [np.ones(1)], np.ones(4))
    spread = Spread(0.1, 0.1)
    inputs = PeriodInputs(
        date(2026, 4, 1), date(2026, 7, 1), "won_deals", people, deals, csr_array(credit),
        {"bookings": np.zeros(4), "won_deals": np.array([1.0, 2.0, 3.0, 0.0]), "lost_deals": np.zeros(4)},
        (np.array([0.1, 0.3, 0.5, 0.7, 0.2, 0.9]), np.full(6, 0.05)), new, Errors(NO_LEVEL, spread, spread),
        AmountModel(), seed, draws,
    )  # fmt: skip
    mix = NewMix({("P1", "s"): 0.6, ("P2", "m"): 0.4}, {"s": 0.5, "m": 0.5}, 0.25)
    return Base(
        inputs, TODAY, {f"d{n}": "s" if n % 2 == 0 else "m" for n in range(6)}, mix,
        {"a": 1.0, "b": 1.0, "c": 1.0}, {COMPANY: 14.0, "a": 4.0},
    )  # fmt: skip


def test_e6_1_a_promotion_of_one_deal():
    # Odds 3:7 times 1.5 are 4.5:7, so 4.5/11.5 = 0.391304; times 20,000 less 5 %: 7,434.78 against 6,000.
    moved = float(odds_moved(np.array([0.3]), 1.5)[0])
    assert moved == pytest.approx(0.391304, abs=5e-7)
    assert moved * 20_000 * 0.95 == pytest.approx(7_434.78, abs=0.005)
    # x(1 - 0.05)/(0.7 + 0.3x) = 1 gives x = 0.7/0.65.
    assert break_even(0.3, 0.05) == pytest.approx(1.0769, abs=5e-5)
    odds = OddsRatio(1.2, 1.9)
    assert (odds.median, odds.sigma) == (pytest.approx(1.510, abs=5e-4), pytest.approx(0.1397, abs=5e-5))


def test_e6_2_one_person_moves_to_the_smaller_team():
    first, second = 500 * capacity_factor(10, 9), 240 * capacity_factor(4, 5)
    assert (first, second) == (pytest.approx(464.45, abs=0.005), pytest.approx(280.57, abs=0.005))
    assert first + second - 740 == pytest.approx(5.03, abs=0.006)


def test_e6_3_before_and_after_draw_by_draw():
    found = compare("x", np.array([90.0, 100, 110, 120, 130]), np.array([96.0, 106, 118, 121, 139]), 105.0)
    assert (found.before["p_attain"], found.after["p_attain"]) == (0.6, 0.8)
    assert found.gain == pytest.approx(6.0)
    assert (found.better, found.worse) == (1.0, 0.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), which=st.integers(0, 5))
def test_a_scenario_with_no_change_changes_nothing(seed, which):
    neutral = [
        [], [Promotion(OddsRatio(1, 1))], [MoveCapacity(0, "west", "east")], [Hire(0, "west", TODAY)],
        [Retarget("s", 0.5)], [Resplit({})],
    ][which]  # fmt: skip
    found = run(a_base(60, seed), neutral)
    assert np.array_equal(found.before.reps, found.after.reps)
    assert all(total.unchanged for total in found.totals.values())
    assert found.net == 0.0


@settings(max_examples=15, deadline=None)
@given(
    low=st.floats(0.3, 2), width=st.floats(1, 2), people=st.floats(0, 1), share=st.floats(0, 1), seed=st.integers(0, 99)
)
def test_parts_add_up_draw_by_draw(low, width, people, share, seed):
    levers = [
        Promotion(OddsRatio(low, low * width), "P1"), MoveCapacity(people, "west", "east"), Retarget("s", share),
        Leave("b"),
    ]  # fmt: skip
    found = run(a_base(60, seed), levers)
    everyone = found.after.reps
    west = found.after.of([0, 1])
    assert np.allclose(west + everyone[2] + everyone[3], everyone.sum(axis=0))
    gains = [found.totals[owner].gain for owner in ("west", "east")]
    assert sum(gains) + (everyone[3] - found.before.reps[3]).mean() == pytest.approx(found.totals[COMPANY].gain)


def test_better_odds_never_lose_a_deal_that_was_won():
    found = run(a_base(), [Promotion(OddsRatio(1.5, 1.5), segment="s")])
    assert (found.after.deals >= found.before.deals).all()
    # Deals 1, 3, 5 are in the other segment: not one draw of theirs moves.
    assert np.array_equal(found.after.deals[1::2], found.before.deals[1::2])
    assert found.basis == ("assumption",)


def test_the_mean_of_a_promotion_is_that_of_its_odds():
    # Deal d2 (chance .5) with odds times 2 is won with 2/3; 20,000 draws: standard error .0033.
    base = a_base(20_000)
    found = run(base, [Promotion(OddsRatio(2, 2))])
    before, after = found.before.deals[2].mean(), found.after.deals[2].mean()
    assert before == pytest.approx(0.5, abs=0.02)
    assert after == pytest.approx(2 / 3, abs=0.02)


def test_who_leaves_hands_every_deal_over_and_makes_no_new_ones():
    found = run(a_base(), [Leave("a")])
    assert found.after.new[0].max() == 0.0
    credit = found.after.credit.toarray()
    assert credit.sum() == 6.0  # no deal is lost on the way
    assert credit[0].sum() == 0.0
    assert credit[1].sum() == 4.0  # the only colleague in west has them all
    # Without any fit, a deal keeps 0.7 of its chance.
    assert found.after.deals[1].mean() == pytest.approx(0.7 * found.before.deals[1].mean(), abs=0.05)


def test_a_deal_that_is_handed_over_counts_for_the_new_owner():
    found = run(a_base(), [HandOver("d5", "a")])
    assert found.totals["a"].gain > 0 > found.totals["c"].gain


def test_new_targets_move_no_draw():
    found = run(a_base(), [Resplit({"a": Decimal(1)})])
    assert np.array_equal(found.before.reps, found.after.reps)
    assert found.totals["a"].after["p_attain"] == 1.0  # one deal is closed already
    assert found.totals["a"].before["p_attain"] < 1.0


def test_time_that_has_gone_counts_no_more():
    # From 1 July on nothing of the quarter is left; of 16 May to 30 June, 46 days, 1 June leaves 30.
    base = a_base()
    assert base.weight(date(2026, 7, 1)) == 0.0
    assert base.weight(date(2026, 6, 1)) == pytest.approx(30 / 46)
    assert run(base, [MoveCapacity(1, "west", "east", date(2026, 7, 1))]).totals[COMPANY].unchanged


def test_retargeting_keeps_the_effort():
    # Half of the deals bring 60 % of the money; all effort there: 0.6 / 0.5 = 1.2 times.
    assert retargeted(0.6, 0.5, 1.0) == pytest.approx(1.2)
    assert retargeted(0.6, 0.5, 0.5) == 1.0


@pytest.mark.parametrize(
    ("lever", "said"),
    [
        (MoveCapacity(5, "west", "east"), "has 2"),
        (MoveCapacity(1, "north", "east"), "no team 'north'"),
        (HandOver("d9", "a"), "no open deal 'd9'"),
        (Retarget("x", 0.5), "Known: m, s"),
        (Promotion(OddsRatio(1, 2), discount=1.0), "from 0 to below 1"),
    ],
)
def test_a_lever_that_cannot_be_says_the_mend(lever, said):
    with pytest.raises(BadLever, match=said):
        run(a_base(10), [lever])


def campaigns_and_deals(n, during, before):
    """n campaigns of ten days, each with 40 deals closed in it and 40 before, of which so many won."""
    starts = [pd.Timestamp("2024-01-01") + pd.Timedelta(days=60 * k) for k in range(n)]
    campaigns = pd.DataFrame(
        {
            "product_id": None,
            "segment": None,
            "starts_on": starts,
            "ends_on": [s + pd.Timedelta(days=9) for s in starts],
        }
    )
    rows = [
        (s + pd.Timedelta(days=k % 10 - shift), k < won)
        for s in starts for won, shift in ((during, 0), (before, 10)) for k in range(40)
    ]  # fmt: skip
    deals = pd.DataFrame(rows, columns=["day", "won"])
    return campaigns, deals.assign(product_id="P1", segment="s", won=deals["won"].astype(bool))


def test_with_under_eight_campaigns_nothing_is_told_of_their_effect():
    assert campaign_effect(*campaigns_and_deals(7, 20, 10), date(2026, 1, 1)) is None


def test_eight_campaigns_give_an_association_with_its_range():
    found = campaign_effect(*campaigns_and_deals(8, 20, 10), date(2026, 1, 1))
    # Odds 20.5/20.5 against 10.5/30.5: ratio 2.905; all alike, so nothing is added for their own differences.
    assert found.basis == "association"
    assert found.median == pytest.approx(30.5 / 10.5, rel=1e-6)
    assert found.low == pytest.approx(np.exp(np.log(30.5 / 10.5) - 1.6449 * np.sqrt(
        (2 / 20.5 + 1 / 10.5 + 1 / 30.5) / 8)), rel=1e-4)  # fmt: skip


def test_what_new_business_is_made_of():
    rows = pd.DataFrame({
        "product_id": ["P1", "P1", "P2", "P2"], "segment": ["s", "m", "s", ""],
        "outcome": ["won", "won", "lost", "open"], "amount": [30.0, 10.0, 5.0, 7.0],
    })  # fmt: skip
    found = new_mix(rows)
    assert found.share("P1", None) == 1.0
    assert found.share(None, "s") == 0.75
    assert found.made == {"s": 0.5, "m": 0.25}
    assert found.conversion == pytest.approx(7 / 23)  # 2 of 3 with 5 of 20 behind
