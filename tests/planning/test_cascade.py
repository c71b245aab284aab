"""A target split over people and months, with sums that stay exact."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.company import Company
from planning.capacity import (
    NoSuchMethod,
    Person,
    blend,
    capacity,
    history_weights,
    people_of,
    potential_of_accounts,
    without_target,
)
from planning.cascade import Node, PinsDoNotFit, cascade, fairness, over_months, rate_is_covered, season, split, tree_of
from planning.workdays import Workdays
from tests.builders import a_rep, an_account, an_order, at, view_of

START, END = date(2026, 4, 1), date(2026, 7, 1)
DAYS = Workdays()
MILLION = Decimal(1_000_000)
A = Person("A", date(2020, 1, 1))
B = Person("B", date(2026, 3, 1))
C = Person("C", date(2020, 1, 1), fte=0.8, away=((date(2026, 5, 4), date(2026, 5, 16)),))
TEAM = (A, B, C)
CAPACITY = {p.rep_id: capacity(p, START, END, DAYS) for p in TEAM}
HISTORY = history_weights({"A": [300, 280, 260, 240], "B": [200, 180, 220, 160], "C": [250]})
POTENTIAL = {"A": 420.0, "B": 180.0, "C": 300.0}

WEIGHTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.floats(0.01, 1e4), min_size=2, max_size=9)
MONEY = st.decimals(0, 100_000_000, places=2)
UNITS = st.sampled_from([Decimal("0.01"), Decimal(1), Decimal(1000)])


def thousands(parts):
    return [int(parts[who] / 1000) for who in sorted(parts)]


def test_e2_1_equal():
    assert thousands(split(MILLION, dict.fromkeys("ABC", 1))) == [334, 333, 333]


def test_e2_2_history():
    # A 0.4·300 + 0.3·280 + 0.2·260 + 0.1·240 = 280; B 194; C, with one period, their median 237. Mean 237.
    assert pytest.approx({"A": 271.4, "B": 202.6, "C": 237.0}) == HISTORY
    assert thousands(split(MILLION, HISTORY)) == [382, 285, 333]


def test_e2_3_capacity():
    # B: 22 days at 0.25, 21 at 0.5, 22 at 0.75. C: away 10 of 65 working days, at 0.8.
    assert pytest.approx({"A": 65, "B": 32.5, "C": 44}) == CAPACITY
    assert thousands(split(MILLION, CAPACITY)) == [459, 230, 311]


def test_e2_4_potential():
    assert thousands(split(MILLION, POTENTIAL)) == [467, 200, 333]


def test_e2_5_blend():
    mixed = blend(
        {"history": 0.3, "capacity": 0.4, "potential": 0.3},
        {"history": HISTORY, "capacity": CAPACITY, "potential": POTENTIAL},
    )
    assert [float(mixed[who]) for who in "ABC"] == pytest.approx([0.438260, 0.237358, 0.324382], abs=1e-6)
    assert thousands(split(MILLION, mixed)) == [438, 237, 325]


def test_a_blend_of_what_is_not_there_is_refused():
    with pytest.raises(NoSuchMethod, match="'luck' is no way to split"):
        blend({"luck": 1.0}, {"equal": {"A": 1.0}})


def test_e2_6_a_fixed_number_stays():
    assert thousands(split(MILLION, CAPACITY, {"A": Decimal(450_000)})) == [450, 234, 316]


@pytest.mark.parametrize("pins", [{"A": 1_000_001}, {"A": 400_000, "B": 300_000, "C": 299_999}])
def test_fixed_numbers_that_do_not_fit_are_refused_with_the_difference(pins):
    with pytest.raises(PinsDoNotFit, match=r"\b1 (more|less) than the target"):
        split(MILLION, CAPACITY, {who: Decimal(value) for who, value in pins.items()})


def test_more_may_be_handed_out_than_the_target():
    assert sum(split(MILLION, CAPACITY, over_assign=Decimal("0.05")).values()) == 1_050_000


def test_e2_7_months():
    days = [22, 21, 22]
    shares = season(days, [(0.25, 0.30, 0.45), (0.27, 0.33, 0.40)])
    assert shares == pytest.approx([0.299231, 0.319038, 0.381731], abs=1e-6)
    assert over_months(Decimal(230_000), shares) == [69_000, 73_000, 88_000]


def test_without_history_months_weigh_by_working_days():
    assert season([22, 21, 22]) == pytest.approx([22 / 65, 21 / 65, 22 / 65])


def test_e2_9_fairness():
    by_capacity = fairness(POTENTIAL, {"A": Decimal(459), "B": Decimal(230), "C": Decimal(311)})
    assert [by_capacity.expected[who] for who in "ABC"] == pytest.approx([0.915, 0.783, 0.965], abs=5e-4)
    assert (by_capacity.overall, by_capacity.value) == pytest.approx((0.9, 0.927), abs=5e-4)
    assert (by_capacity.word, by_capacity.lowest, by_capacity.highest) == ("good", "B", "C")
    equal = fairness(POTENTIAL, {"A": Decimal(334), "B": Decimal(333), "C": Decimal(333)})
    assert [equal.expected[who] for who in "ABC"] == pytest.approx([1.257, 0.541, 0.901], abs=5e-4)
    assert (round(equal.value, 3), equal.word) == (0.734, "uneven")


def test_rates_are_not_split_but_must_together_reach_the_one_above():
    # (40·0.3 + 60·0.2) / 100 = 0.24.
    assert rate_is_covered(0.24, [(40, 0.3), (60, 0.2)])
    assert not rate_is_covered(0.25, [(40, 0.3), (60, 0.2)])


def test_a_team_weighs_what_its_people_weigh():
    # North A 65 + C 44 = 109, South B 32.5 of 141.5: 770,318 and 229,682; in thousands 770 and 230.
    tree = tree_of({"N": "ALL", "S": "ALL", "ALL": None}, {"A": "N", "C": "N", "B": "S"})
    parts = cascade(MILLION, tree, CAPACITY)
    assert (parts["ALL"], parts["N"], parts["S"]) == (MILLION, 770_000, 230_000)
    # 770 · 65/109 = 459.17, 770 · 44/109 = 310.83.
    assert (parts["A"], parts["C"], parts["B"]) == (459_000, 311_000, 230_000)


def test_a_team_s_number_may_be_fixed_and_so_may_one_of_its_people():
    # South keeps 300, North gets the other 700; in it A keeps 400, so C has 300.
    tree = tree_of({"N": None, "S": None}, {"A": "N", "C": "N", "B": "S"})
    pins = {"S": Decimal(300_000), "A": Decimal(400_000)}
    parts = cascade(MILLION, tree, CAPACITY, pins)
    assert parts == {"N": 700_000, "S": 300_000, "A": 400_000, "C": 300_000, "B": 300_000}


def test_who_has_no_target_gets_no_goal():
    manager, gone = Person("M", role="manager"), Person("G", left_on=START)
    assert [without_target(p, START, ["manager"]) for p in (manager, gone, A)] == [True, True, False]
    assert split(MILLION, {"A": 1.0, "M": 0.0}) == {"A": MILLION}


def test_capacity_ends_when_a_person_leaves_and_begins_when_hired():
    # 4 to 8 May 2026 are five working days; hired on the 6th: still in the first month, so 0; left on the 6th: two.
    week = (date(2026, 5, 4), date(2026, 5, 11))
    assert capacity(Person("x", date(2026, 5, 6)), *week, DAYS) == 0
    assert capacity(Person("x", date(2020, 1, 1), date(2026, 5, 6)), *week, DAYS) == 2
    # Hired on the 31st: the first month is complete on the 1st of the month after next.
    assert [Person("x", date(2026, 1, 31)).ramp(date(2026, 3, day)) for day in (1, 30, 31)] == [0.25, 0.25, 0.5]


def test_people_come_with_their_absences():
    view = view_of(
        reps=[a_rep("r1", fte=0.5, role=None), a_rep("r2")],
        absences=[{"rep_id": "r1", "from": "2026-05-04", "to": "2026-05-06"}],
    )
    first, second = people_of(view, {"r1": "T1"})
    assert (first.fte, first.team_id, first.role, second.fte) == (0.5, "T1", "rep", 1.0)
    # Five working days less two away, at half time.
    assert capacity(first, date(2026, 5, 4), date(2026, 5, 11), DAYS) == 1.5


def test_potential_without_a_forecast_is_what_accounts_of_that_segment_spend():
    # small: 100 and 300, median 200; mid: 1,000. r1 owns two small (one bought nothing yet), r2 a mid and a small.
    accounts = [
        an_account("a1", segment="small", owner_id="r1"), an_account("a2", segment="small", owner_id="r2"),
        an_account("a3", segment="small", owner_id="r1"), an_account("a4", segment="mid", owner_id="r2"),
    ]  # fmt: skip
    orders = [
        an_order("o1", account_id="a1", amount="100"), an_order("o2", account_id="a2", amount="300"),
        an_order("o3", account_id="a4", amount="1000"), an_order("o4", account_id="a4", amount="5", kind="return"),
        an_order("o5", account_id="a1", amount="7", ordered_at="2024-01-01"),  # too long ago
    ]  # fmt: skip
    found = potential_of_accounts(view_of(accounts=accounts, orders=orders), Company(), at("2026-03-01"))
    assert found == pytest.approx({"r1": 400.0, "r2": 1200.0})


@given(MONEY, WEIGHTS, UNITS, st.decimals(0, "0.5", places=2))
def test_sums_are_exact_and_fixed_numbers_stay(total, weights, unit, share):
    fixed = min(weights)
    pins = {fixed: (total * share).quantize(Decimal("0.01"))}
    parts = split(total, weights, pins, unit)
    assert sum(parts.values()) == total
    assert parts[fixed] == pins[fixed]


@given(MONEY, WEIGHTS, UNITS, st.randoms(use_true_random=False))
def test_the_order_of_people_does_not_matter(total, weights, unit, random):
    names = list(weights)
    random.shuffle(names)
    shuffled = {name: weights[name] for name in names}
    assert split(total, shuffled, unit=unit) == split(total, weights, unit=unit)


@given(MONEY, WEIGHTS, UNITS, st.integers(1, 8))
def test_each_level_of_a_tree_sums_to_the_one_above(total, weights, unit, cut):
    names = sorted(weights)
    teams = [Node(team, tuple(part)) for team, part in (("X", names[:cut]), ("Y", names[cut:])) if part]
    parts = cascade(total, Node("company", (), tuple(teams)), weights, unit=unit)
    assert sum(parts.get(team.team_id, 0) for team in teams) == total
    for team in teams:
        assert sum(parts.get(rep, 0) for rep in team.people) == parts[team.team_id]


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.floats(0, 1e6), max_size=5), min_size=1))
def test_history_weights_do_not_depend_on_the_order(past):
    assert history_weights(dict(reversed(past.items()))) == history_weights(past)


@given(MONEY, st.lists(st.lists(st.floats(0.1, 1), min_size=3, max_size=3), max_size=4), UNITS)
def test_months_sum_to_the_target(total, years, unit):
    shares = season([22, 21, 22], [[value / sum(year) for value in year] for year in years])
    assert sum(over_months(total, shares, unit)) == total
    assert sum(shares) == pytest.approx(1)


def test_a_number_fixed_deep_in_the_tree_stays_within_its_team():
    # 100 on two teams of two: a has 70 by hand, so the other three share 30: 10 each, and team x carries 80.
    tree = Node("all", (), (Node("x", ("a", "b")), Node("y", ("c", "d"))))
    found = cascade(Decimal(100), tree, dict.fromkeys("abcd", 1.0), {"a": Decimal(70)}, Decimal(1))
    assert found == {"x": 80, "y": 20, "a": 70, "b": 10, "c": 10, "d": 10}
    with pytest.raises(PinsDoNotFit, match="1 more than the target"):
        cascade(Decimal(100), tree, dict.fromkeys("abcd", 1.0), {"a": Decimal(70), "c": Decimal(31)}, Decimal(1))


def test_a_team_of_fixed_numbers_alone_carries_their_sum():
    tree = Node("all", (), (Node("x", ("a",)), Node("y", ("c", "d"))))
    found = cascade(Decimal(100), tree, dict.fromkeys("acd", 1.0), {"a": Decimal(40)}, Decimal(1))
    assert found == {"x": 40, "y": 60, "a": 40, "c": 30, "d": 30}
