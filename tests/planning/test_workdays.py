"""Working days, and totals that are split without a cent lost."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.company import Company
from planning.workdays import NoWeight, Workdays, split_exactly

NAMES = st.text("abcdef", min_size=1, max_size=3)
MONEY = st.decimals(0, 10_000_000, places=2)
WEIGHTS = st.dictionaries(NAMES, st.floats(0.001, 1000), min_size=1, max_size=8)


def test_a_quarter_has_22_21_and_22_working_days():
    # April 2026 starts on a Wednesday: 30 days less 8 Saturdays and Sundays; May 31 - 10; June 30 - 8.
    days = Workdays()
    bounds = [date(2026, month, 1) for month in (4, 5, 6, 7)]
    assert [days.count(a, b) for a, b in pairwise(bounds)] == [22, 21, 22]


def test_holidays_are_off_and_moved_weekends_are_on():
    # Week of Monday 2026-05-04: five days, less the Monday, plus Saturday the 9th.
    days = Workdays(holidays=frozenset({date(2026, 5, 4)}), extra=frozenset({date(2026, 5, 9)}))
    assert list(days.days(date(2026, 5, 4), date(2026, 5, 11))) == [date(2026, 5, d) for d in (5, 6, 7, 8, 9)]


def test_the_company_s_settings_say_what_is_worked():
    # Sunday to Thursday: of Monday 4 to Sunday 10 May five days, less the holiday on Tuesday.
    plan = {"workweek": [7, 1, 2, 3, 4], "holidays": ["2026-05-05"]}
    days = Workdays.of(Company.parse({"plan": plan}))
    assert list(days.days(date(2026, 5, 4), date(2026, 5, 11))) == [date(2026, 5, d) for d in (4, 6, 7, 10)]


def test_e0_1_what_is_over_goes_to_the_first():
    # 1,000.50 in hundreds over three alike: 3.335 each; one hundred over and the 0.50 go to the smallest name.
    parts = split_exactly(Decimal("1000.50"), {"b": 1, "a": 1, "c": 1}, Decimal(100))
    assert parts == {"a": Decimal("400.50"), "b": Decimal(300), "c": Decimal(300)}


@given(MONEY, WEIGHTS, st.sampled_from(["0.01", "1", "1000"]))
def test_parts_sum_to_the_total_exactly_and_are_within_a_unit_of_their_share(total, weights, unit):
    parts = split_exactly(total, weights, Decimal(unit))
    assert sum(parts.values()) == total
    whole = sum(weights.values())
    for name, part in parts.items():
        # Largest remainder moves no part by a unit or more from its share; the first may hold what is over besides.
        assert abs(float(part) - float(total) * weights[name] / whole) < 2 * float(unit) + 1e-6


@given(MONEY, WEIGHTS, st.randoms(use_true_random=False))
def test_the_order_of_people_does_not_matter(total, weights, random):
    names = list(weights)
    random.shuffle(names)
    assert split_exactly(total, {n: weights[n] for n in names}, Decimal(1)) == split_exactly(total, weights, Decimal(1))


def test_a_total_without_any_weight_is_refused():
    with pytest.raises(NoWeight, match="100 cannot be split over a, b"):
        split_exactly(Decimal(100), {"a": 0, "b": 0})
    assert split_exactly(Decimal(0), {"a": 0}) == {"a": Decimal(0)}
