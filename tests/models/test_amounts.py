"""What a deal is worth when won, on deals whose amounts moved in a known way."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.amounts import AmountModel
from tests.builders import a_change, a_deal, a_rate, view_of

UNTIL = pd.Timestamp("2026-06-01", tz="UTC")


def won(number, amount, **values):
    return a_deal(f"w{number}", outcome="won", closed_at="2026-03-10T12:00:00Z", amount=amount, kind="new", **values)


def deals(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"deal_id": [f"d{i}" for i in range(n)], "kind": ["new"] * n, **columns})


def fit(rows, changes=(), **tables):
    view = view_of(deals=rows, deal_changes=list(changes), **tables)
    return AmountModel().fit(view, Company(), until=UNTIL)


def test_an_amount_moves_as_those_of_past_wins_did():
    # Half of the wins ended at half of what they stood at, half at the same: 0.75 on average.
    rows = [won(i, "500" if i % 2 else "1000") for i in range(10)]
    changes = [a_change(f"w{i}", "amount", "1000", "500", "2026-03-10T11:00:00Z") for i in range(1, 10, 2)]
    # From this first change on amounts count as logged, so that what they were can be told.
    changes.append(a_change("other", "amount", "7", "8", "2026-01-06T11:00:00Z"))
    rows.append(a_deal("other"))
    model = fit(rows, changes)
    X = deals(amount=[2000.0, 100.0])
    np.testing.assert_allclose(model.when_won(X), [1500.0, 75.0])
    drawn = model.draw(X, np.random.default_rng(0), 4000)
    assert set(np.unique(drawn[0])) == {1000.0, 2000.0}
    # Standard error of a mean of 4,000 draws of 1000 or 2000: 500 / sqrt(4000) = 8.
    assert drawn[0].mean() == pytest.approx(1500, abs=32)


def test_without_any_amount_the_product_usual_stands_in_drawn_to_the_kind():
    rows = [won(i, "300", product_id="big") for i in range(10)] + [
        won(i + 10, "100", product_id="small") for i in range(10)
    ]
    model = fit(rows)
    X = deals(amount=[np.nan, np.nan, np.nan], product_id=["big", "small", "unheard of"])
    # The kind's mean is 200; ten wins of a product weigh as much as ten pseudo-wins at 200.
    np.testing.assert_allclose(model.when_won(X), [250.0, 150.0, 200.0])


def test_a_kind_that_never_had_an_amount_is_not_known():
    X = deals(amount=[np.nan]).assign(kind="lead")
    assert np.isnan(fit([won(1, "300")]).when_won(X)).all()


def test_amounts_are_in_base_currency_at_the_day_of_closing():
    rates = [a_rate("EUR", "2026-01-01", 1.0), a_rate("EUR", "2026-03-01", 2.0)]
    model = fit([won(1, "300", currency="EUR")], fx_rates=rates)
    np.testing.assert_allclose(model.when_won(deals(amount=[np.nan])), [600.0])


def test_wins_after_the_cut_are_not_looked_at():
    late = a_deal("late", outcome="won", closed_at="2026-07-01T00:00:00Z", amount="99999", kind="new")
    np.testing.assert_allclose(fit([won(1, "300"), late]).when_won(deals(amount=[np.nan])), [300.0])
