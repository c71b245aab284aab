"""Deals put beside a view for one question are described as if they had been imported."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from crm.company import Company
from crm.lake import TableView
from crm.quality import late_filled
from crm.schema import TABLES
from crm.simulate import lake_view, simulate
from features.build import build
from features.online import Online

AS_OF = pd.Timestamp("2026-12-01", tz="UTC")
OWN = ("deals", "deal_changes", "activities")


@pytest.fixture(scope="module")
def company():
    sample = simulate(reps=5, months=14, seed=4)
    return lake_view(sample), Company.parse(sample.settings)


def rows_of(view, keep):
    """The tables of a view with the deals' rows that `keep` takes."""
    found = {}
    for name in TABLES:
        if name in view.present:
            table = view.arrow(name)
            found[name] = table.filter(keep(table["deal_id"])) if name in OWN else table
    return found


def alike(one, other):
    for column in other:
        if isinstance(other[column].dtype, pd.CategoricalDtype):
            assert one[column].astype(object).tolist() == other[column].astype(object).tolist(), column
        else:
            pd.testing.assert_series_equal(one[column], other[column], rtol=1e-9, atol=1e-9)


def open_ones(view, n):
    deals = view.arrow("deals").to_pandas()
    deals = deals[(deals["outcome"] == "open") & (deals["created_at"] <= AS_OF)]
    return np.random.default_rng(1).choice(deals["deal_id"], n, replace=False).tolist()


def test_posted_deals_are_described_as_if_imported(company):
    view, settings = company
    chosen, late = open_ones(view, 6), late_filled(view)
    spine = pd.DataFrame({"deal_id": chosen, "as_of": AS_OF}).astype({"as_of": "datetime64[us, UTC]"})
    wanted = build(view, spine, "deal", company=settings, late=late)
    without = TableView(rows_of(view, lambda ids: pc.invert(pc.fill_null(pc.is_in(ids, chosen_array(chosen)), False))))
    added = {n: t for n, t in rows_of(view, lambda ids: pc.is_in(ids, chosen_array(chosen))).items() if n in OWN}
    with Online(without, settings, late=late) as online:
        before = online.describe(other_rows(without))
        alike(online.describe_with(added, spine), wanted)
        alike(online.describe(other_rows(without)), before)  # and nothing stays behind


def chosen_array(chosen):
    return pa.array(chosen, pa.string())


def other_rows(view):
    rows = pd.DataFrame({"deal_id": open_ones(view, 4), "as_of": AS_OF})
    return rows.astype({"as_of": "datetime64[us, UTC]"})


def test_a_deal_that_is_there_can_be_given_again_without_effect(company):
    view, settings = company
    chosen = open_ones(view, 3)
    spine = pd.DataFrame({"deal_id": chosen, "as_of": AS_OF}).astype({"as_of": "datetime64[us, UTC]"})
    same = {n: t for n, t in rows_of(view, lambda ids: pc.is_in(ids, chosen_array(chosen))).items() if n in OWN}
    with Online(view, settings) as online:
        alike(online.describe_with(same, spine), online.describe(spine))
