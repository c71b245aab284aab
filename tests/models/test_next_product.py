"""The next product: named where it beats the most sold one, silent where it does not; never what is there already."""

import numpy as np
import pandas as pd

from models.next_product import NextProduct
from tests.builders import view_of

START = pd.Timestamp("2024-01-01", tz="UTC")
UNTIL = pd.Timestamp("2026-06-01", tz="UTC")


def a_market(*, linked, seed=0, n=400):
    """Each customer buys A, then C or D half a year later; where linked, large ones take C and small ones D."""
    rng = np.random.default_rng(seed)
    accounts, orders = [], []
    for i in range(n):
        large = bool(rng.random() < 0.4)
        first = START + pd.Timedelta(days=float(rng.uniform(0, 650)))
        then = first + pd.Timedelta(days=float(rng.uniform(100, 220)))
        likes_c = large if linked else bool(rng.random() < 0.4)
        second = ("C" if likes_c else "D") if rng.random() < 0.9 else ("D" if likes_c else "C")
        accounts.append({"account_id": f"a{i}", "segment": "large" if large else "small"})
        orders.append(an_order(f"a{i}", "A", first))
        if then <= UNTIL:
            orders.append(an_order(f"a{i}", second, then))
    return accounts, orders


def an_order(account, product, at, **values):
    return {
        "order_id": f"{account}-{product}-{at:%Y%m%d}", "account_id": account, "product_id": product,
        "ordered_at": at.isoformat(), "amount": "10", "currency": "EUR", **values,
    }  # fmt: skip


def learnt(accounts, orders):
    view = view_of(accounts=accounts, orders=orders)
    return NextProduct().fit(view, until=UNTIL), view


def test_what_goes_with_the_kind_of_customer_is_named():
    accounts, orders = a_market(linked=True)
    new = [{"account_id": "n1", "segment": "large"}, {"account_id": "n2", "segment": "small"}]
    late = pd.Timestamp("2026-05-20", tz="UTC")
    model, view = learnt([*accounts, *new], [*orders, an_order("n1", "A", late), an_order("n2", "A", late)])
    assert model.better_
    # Nine of ten follow their segment; the most sold, D, is right for the six of ten that are small: .6 x .9 + .4 x .1.
    assert abs(model.hits_ - 0.9) < 0.08
    assert abs(model.base_hits_ - 0.58) < 0.1
    named = model.suggest(view, at=UNTIL).set_index("account_id")
    assert named.loc[["n1", "n2"], "product_id"].tolist() == ["C", "D"]
    assert named.loc["n1", "chance"] > 0.7


def test_where_nothing_goes_with_anything_it_is_silent():
    model, view = learnt(*a_market(linked=False))
    assert not model.better_
    assert model.suggest(view, at=UNTIL).empty


def test_what_a_customer_has_is_not_named_nor_is_anything_to_who_has_all():
    accounts, orders = a_market(linked=True)
    at = pd.Timestamp("2026-05-01", tz="UTC")
    more = [{"account_id": "m1", "segment": "large"}, {"account_id": "m2", "segment": "large"}]
    bought = [an_order("m1", p, at + pd.Timedelta(days=i)) for i, p in enumerate("AC")]
    bought += [an_order("m2", p, at + pd.Timedelta(days=i)) for i, p in enumerate("ACD")]
    model, view = learnt([*accounts, *more], [*orders, *bought])
    named = model.suggest(view, at=UNTIL).set_index("account_id")["product_id"]
    assert named["m1"] == "D"
    assert "m2" not in named.index


def test_few_purchases_name_nothing_and_returns_and_later_orders_are_no_purchases():
    orders = [an_order("a1", "A", START), an_order("a1", "B", START + pd.Timedelta(days=9), kind="return")]
    orders.append(an_order("a1", "C", UNTIL + pd.Timedelta(days=9)))
    model, view = learnt([{"account_id": "a1"}], orders)
    assert model.purchases_ == 0
    assert model.products_ == ["A"]
    assert not model.better_
    assert model.suggest(view, at=UNTIL).empty
