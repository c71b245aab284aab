"""Amounts in the base currency: at the rate of the day, missing where there is none."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.company import Company
from crm.lake import connect
from crm.money import attach_rates, to_base
from tests.builders import a_rate, view_of

EURO = Company(base_currency="EUR")
RATES = [a_rate("USD", "2026-01-10", 0.9), a_rate("USD", "2026-01-20", 0.8), a_rate("CNY", "2026-01-01", 0.13)]
VIEW = view_of(fx_rates=RATES)


def one(amount, currency, day, view=VIEW):
    return to_base([amount], [currency], [day], view=view, company=EURO)[0]


def test_a_rate_holds_from_its_day_to_the_next():
    assert one(100, "USD", "2026-01-10T00:00Z") == 90
    assert one(100, "USD", "2026-01-19T23:59:59Z") == 90
    assert one(100, "USD", "2026-01-20T00:00Z") == 80
    assert one(100, "USD", "2036-01-20") == 80


def test_the_first_rate_also_holds_before_it():
    assert one(100, "USD", "2001-01-01") == 90


def test_the_base_currency_and_no_currency_are_taken_as_they_are():
    for currency in ("EUR", None, np.nan, pd.NA):
        assert one(7.25, currency, "2026-01-10") == 7.25


def test_a_rate_of_the_base_currency_itself_is_not_used():
    assert one(100, "EUR", "2026-02-01", view_of(fx_rates=[a_rate("EUR", "2026-01-01", 3.0)])) == 100


def test_without_amount_rate_or_day_nothing_is_known():
    assert np.isnan(one(None, "USD", "2026-01-10"))
    assert np.isnan(one(100, "CHF", "2026-01-10"))
    assert np.isnan(one(100, "USD", None))
    assert np.isnan(one(100, "USD", "2026-01-10", view_of()))


def test_rows_keep_their_order_and_none_is_doubled():
    out = to_base([1, 2, 3, None], ["USD", "EUR", "CHF", "EUR"], ["2026-01-10"] * 4, view=VIEW, company=EURO)
    np.testing.assert_allclose(out, [0.9, 2, np.nan, np.nan])
    assert to_base([], [], [], view=VIEW, company=EURO).shape == (0,)


def test_every_moment_of_a_currency_has_just_one_rate():
    with connect() as con:
        VIEW.attach(con)
        attach_rates(con, EURO)
        rows = con.sql("select currency, rate, valid_from < valid_to from fx order by currency, valid_from").fetchall()
    assert rows == [
        ("", 1.0, True),
        ("CNY", 0.13, True),
        ("EUR", 1.0, True),
        ("USD", 0.9, True),
        ("USD", 0.8, True),
    ]


@settings(max_examples=25)
@given(
    rates=st.dictionaries(
        st.dates(pd.Timestamp("2025-01-01").date(), pd.Timestamp("2025-12-31").date()), st.floats(0.1, 9), max_size=5
    ),
    day=st.dates(pd.Timestamp("2024-06-01").date(), pd.Timestamp("2026-06-01").date()),
)
def test_the_rate_is_the_newest_of_that_day_or_else_the_first(rates, day):
    view = view_of(fx_rates=[a_rate("USD", d.isoformat(), r) for d, r in rates.items()])
    past = [d for d in rates if d <= day]
    expected = rates[max(past) if past else min(rates)] if rates else np.nan
    np.testing.assert_allclose(one(1, "USD", day.isoformat(), view), expected)
