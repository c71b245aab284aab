"""The product that a customer is likely to buy next, learnt once a data cut; None where nothing better is known."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from typing import NamedTuple

import pandas as pd

from crm.lake import LakeView, View, connect

_MOST = 2  # data cuts that are kept


class NextProduct(NamedTuple):
    """A product that a customer does not have, and the chance that its next new product is this one."""

    product_id: str
    name: str
    chance: float


_kept: OrderedDict[tuple[object, ...], Mapping[str, NextProduct]] = OrderedDict()
_lock = Lock()


def next_product(view: View, account_id: str, *, at: datetime) -> NextProduct | None:
    """What a customer is likely to buy next; None where naming the most sold product is as good, or all is bought."""
    if not isinstance(view, LakeView):
        return _learnt(view, at).get(account_id)
    key = (repr(view.cut), at)
    with _lock:
        if key not in _kept:
            _kept[key] = _learnt(view, at)
            while len(_kept) > _MOST:
                _kept.popitem(last=False)
        return _kept[key].get(account_id)


def _learnt(view: View, at: datetime) -> Mapping[str, NextProduct]:
    from models.next_product import NextProduct as Model  # scikit-learn, which few requests need

    if not {"deals", "accounts"} <= set(view.present):
        return {}
    moment = pd.Timestamp(at)
    named = Model().fit(view, until=moment).suggest(view, at=moment)
    with connect() as con:
        view.attach(con)
        names = dict(con.sql("select product_id, coalesce(name, product_id) from products").fetchall())
    return {
        str(account): NextProduct(str(product), str(names.get(product, product)), float(chance))
        for account, product, chance in named.itertuples(index=False)
    }
