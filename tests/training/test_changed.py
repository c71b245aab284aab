"""From which moment on two views of the same data may differ, and that before it no feature does."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.company import Company
from crm.lake import TableView
from crm.quality import late_filled
from features.build import build, open_deals
from tests.builders import a_change, a_deal, a_rate, an_account, an_activity, an_order, at, table_of, view_of
from tests.features.history import as_it_was
from tests.features.small_company import small_company
from training.changed import BEGINNING, changed_since

COMPANY = Company.parse({"base_currency": "EUR", "stages": {"*": ["New", "Demo"]}})
OLD = {
    "deals": [a_deal("d1", stage="New"), a_deal("d2", stage="New", created_at="2026-02-01T08:00:00Z")],
    "deal_changes": [
        a_change("d1", "stage", None, "New", "2026-01-05T09:30:00Z"),
        a_change("d2", "close_date", "2026-05-01", "2026-06-01", "2026-02-03T10:00:00Z"),
    ],
    "activities": [an_activity("c1", occurred_at="2026-02-10T10:00:00Z")],
    "accounts": [an_account("a1", industry="steel", status="active")],
    "orders": [an_order("o1", ordered_at="2026-01-20T10:00:00Z")],
    "fx_rates": [a_rate("USD", "2026-01-01", 0.9), a_rate("USD", "2026-02-01", 0.8)],
}


def since(**changed):
    return changed_since(view_of(**OLD), view_of(**(OLD | changed)), COMPANY)


def with_row(table, row):
    return {table: [*OLD[table], row]}


def replaced(table, place, **values):
    rows = [dict(row) for row in OLD[table]]
    rows[place] |= values
    return {table: rows}


def test_the_same_data_never_differs():
    assert since() is None
    assert since(accounts=[an_account("a1", industry="steel", status="left")]) is None  # no feature reads the status


@pytest.mark.parametrize(
    ("change", "moment"),
    [
        (with_row("activities", an_activity("c2", occurred_at="2026-02-12T10:00:00Z")), "2026-02-12T10:00:00Z"),
        (
            with_row(
                "activities",
                an_activity("c2", occurred_at="2026-01-12T10:00:00Z", recorded_at="2026-03-01T09:00:00Z"),
            ),
            "2026-03-01T09:00:00Z",  # written down late: nobody knew before
        ),
        (replaced("activities", 0, kind="note"), "2026-02-10T10:00:00Z"),
        ({"activities": []}, "2026-02-10T10:00:00Z"),
        (with_row("deals", a_deal("d3", created_at="2026-02-20T08:00:00Z")), "2026-02-20T08:00:00Z"),
        (replaced("deals", 1, source="fair"), "2026-02-01T08:00:00Z"),
        (
            replaced("deals", 0, outcome="lost", closed_at="2026-03-05T08:00:00Z"),
            "2026-03-05T08:00:00Z",
        ),
        (replaced("deals", 0, outcome="lost"), "2026-01-05T09:30:00Z"),  # nobody knows when: left out throughout
        (
            # The stage moved on, and the log says so.
            replaced("deals", 0, stage="Demo")
            | with_row("deal_changes", a_change("d1", "stage", "New", "Demo", "2026-03-02T08:00:00Z")),
            "2026-03-02T08:00:00Z",
        ),
        # No stage of d2 was ever logged, so today's stands for all its past.
        (replaced("deals", 1, stage="Demo"), "2026-02-01T08:00:00Z"),
        (replaced("accounts", 0, industry="paper"), "2025-06-02T08:15:00Z"),
        (replaced("orders", 0, cancelled_at="2026-02-25T10:00:00Z"), "2026-02-25T10:00:00Z"),
        (replaced("orders", 0, amount="700"), "2026-01-20T10:00:00Z"),
        (with_row("fx_rates", a_rate("USD", "2026-03-01", 0.7)), "2026-02-28T00:00:00Z"),  # a day for the time zone
        (with_row("fx_rates", a_rate("GBP", "2026-03-01", 1.2)), BEGINNING),  # the first rate holds before it too
    ],
)
def test_what_differs_counts_from_when_it_was_known(change, moment):
    assert since(**change) == (at(moment) if isinstance(moment, str) else moment)


def test_facts_about_the_whole_data_count_from_the_beginning():
    assert since(tickets=[{"ticket_id": "t1", "account_id": "a1", "opened_at": "2026-03-01"}]) == BEGINNING
    logged = with_row("deal_changes", a_change("d1", "amount", "900", "1000", "2026-03-01T08:00:00Z"))
    assert since(**logged) == BEGINNING  # from now on the amount counts as logged
    deals = table_of("deals", OLD["deals"]).append_column("x_need", pa.array([1.0, 2.0]))
    tables = {name: table_of(name, rows) for name, rows in OLD.items()}
    assert changed_since(TableView(tables), TableView(tables | {"deals": deals}), COMPANY) == BEGINNING


def test_a_week_more_of_a_company_leaves_its_past_as_it_was():
    whole, company = small_company()
    last = at("2026-10-05T12:00:00Z")
    before, now = as_it_was(whole, last), as_it_was(whole, last + timedelta(days=7))
    assert before.arrow("activities").num_rows < now.arrow("activities").num_rows
    assert changed_since(before, now, company) > last - timedelta(days=1)


MOMENTS = [pd.Timestamp("2026-06-01", tz="UTC") + k * pd.Timedelta(days=40) for k in (0, 3)]
SPOILT = "activities.kind deal_changes.new_value deals.source deals.outcome deals.amount contacts.seniority".split()
SPOILT += "contacts.left_at orders.amount tickets.closed_at accounts.segment deals.closed_at reps.hired_on".split()


@settings(max_examples=3)
@given(column=st.sampled_from(SPOILT), seed=st.integers(0, 1_000))
def test_before_the_moment_no_feature_differs(column, seed):
    """A dozen values dealt out anew, and for every other seed a dozen rows left out."""
    whole, company = small_company()
    table, _, name = column.partition(".")
    rng = np.random.default_rng(seed)
    old = whole.arrow(table)
    rows = np.arange(old.num_rows)
    few = min(12, len(rows) // 2)
    some = rng.choice(rows, few, replace=False)
    rows[some] = rng.permutation(rows[some])
    place = old.schema.get_field_index(name)
    spoilt = old.set_column(place, old.schema.field(place), old[name].take(rows))
    spoilt = spoilt.take(np.sort(rng.choice(len(rows), len(rows) - few * (seed % 2), replace=False)))
    changed = TableView({n: whole.arrow(n) for n in whole.present} | {table: spoilt})
    moment = changed_since(whole, changed, company)
    late = late_filled(whole)
    for when in MOMENTS:
        if moment is None or when < moment:
            spine = open_deals(whole, when)
            pd.testing.assert_frame_equal(open_deals(changed, when), spine)
            then, now = (build(v, spine, "deal", company=company, late=late) for v in (whole, changed))
            pd.testing.assert_frame_equal(then, now, rtol=1e-12, atol=1e-9)
