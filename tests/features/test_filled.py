"""A large table is described in parts of its keys: the same table, whatever the parts and whichever rows share."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.simulate import lake_view, simulate
from features import session
from features.build import KEYS, build
from tests.features.rows import COMPANY, a_deal, view


@pytest.fixture(scope="module")
def company():
    sample = simulate(reps=5, months=14, seed=6)
    return lake_view(sample), Company.parse(sample.settings)


# From sorted events: all parts; those that have some sixty rows or more; none.
@pytest.mark.parametrize(
    ("entity", "table", "running_from"), [("deal", "deals", 0), ("deal", "deals", 60), ("account", "accounts", 10**9)]
)
def test_parts_give_what_the_whole_gives(monkeypatch, company, entity, table, running_from):
    source, settings = company
    key, draw = KEYS[entity], np.random.default_rng(2)
    weeks = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(draw.integers(0, 6, 300) * 7, unit="D")
    rows = pd.DataFrame({key: draw.choice(source.arrow(table)[key].to_pylist(), 300), "as_of": weeks})
    rows = rows.astype({"as_of": "datetime64[us, UTC]"})
    monkeypatch.setattr(session, "RUNNING_FROM", running_from)
    whole = build(source, rows, entity, company=settings)
    monkeypatch.setattr(session, "PART_ROWS", 70)  # five parts, of some sixty rows each
    pd.testing.assert_frame_equal(build(source, rows, entity, company=settings), whole, rtol=1e-9, atol=1e-9)
    assert whole["as_of"].equals(rows["as_of"])


def test_each_row_stands_where_it_was_asked_for(monkeypatch):
    """Forty deals, each made on its own day, asked for out of order, twice, in ten parts: its age tells which it is."""
    monkeypatch.setattr(session, "PART_ROWS", 8)
    draw = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 2))
    made = pd.date_range("2025-12-01", periods=40).strftime("%Y-%m-%d")
    deals = [a_deal(f"d{k}", made=made[k], source=f"s{k}") for k in range(40)]
    rows = pd.DataFrame({"deal_id": [f"d{k}" for k in draw], "as_of": pd.Timestamp("2026-01-15", tz="UTC")})
    rows.index = np.arange(len(rows)) + 7  # the table counts its rows from 0 all the same
    rows = rows.astype({"as_of": "datetime64[us, UTC]"})
    built = build(view(deals=deals), rows, "deal", company=COMPANY, late=frozenset())
    assert built["days_open"].tolist() == [45 - k for k in draw]  # 45 days from 1 December to 15 January
    assert built["source"].tolist() == [f"s{k}" for k in draw]
    assert built["source"].cat.categories.tolist() == sorted(f"s{k}" for k in range(40))
    assert built.index.tolist() == list(range(80))
