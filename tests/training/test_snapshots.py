"""Snapshots: which deals on which days, with what was known, and what was not."""

import pandas as pd
import pyarrow as pa
import pytest

from crm.company import Company
from crm.lake import TableView
from crm.schema import arrow_schema
from features.build import build
from training.snapshots import deal_snapshots

DAY = pd.Timedelta(days=1)
WEEK = 7 * DAY
UNTIL = pd.Timestamp("2026-03-02", tz="UTC")


def view_of(*deals):
    """Rows (deal_id, created_at, closed_at, outcome)."""
    table = pd.DataFrame(list(deals), columns="deal_id created_at closed_at outcome".split()).assign(stage="open")
    schema = arrow_schema("deals")
    columns = {name: [None if pd.isna(v) else v for v in table[name]] for name in table}
    return TableView({"deals": pa.table({n: pa.array(v, schema.field(n).type) for n, v in columns.items()})})


FIVE_WEEKS = [
    ("early", UNTIL - 5 * WEEK, UNTIL - 5 * WEEK + DAY, "lost"),  # the first closing on record
    ("won", UNTIL - 3 * WEEK - DAY, UNTIL - WEEK - DAY, "won"),
    ("open", UNTIL - 2 * WEEK, None, "open"),
    ("brief", UNTIL - 2 * WEEK + DAY, UNTIL - 2 * WEEK + 3 * DAY, "lost"),  # gone before anyone looked
    ("unknown", UNTIL - 4 * WEEK, None, "lost"),  # nobody knows when
]


def test_a_deal_has_a_row_for_each_week_it_was_open_on_that_day():
    rows = deal_snapshots(view_of(*FIVE_WEEKS), Company(), until=UNTIL)
    seen = sorted((deal, (UNTIL - as_of) // WEEK) for deal, as_of in zip(rows["deal_id"], rows["as_of"], strict=True))
    # 'won' was open 3 and 2 weeks before the end; on the day it opened, 'open' counts, on the day it closes none does.
    assert seen == [("open", 0), ("open", 1), ("open", 2), ("won", 2), ("won", 3)]
    assert set(rows.loc[rows["deal_id"] == "won", "_outcome"]) == {"won"}
    assert (rows["_observed_until"] == UNTIL).all()


def test_what_ended_later_is_open():
    rows = deal_snapshots(view_of(*FIVE_WEEKS), Company(), until=UNTIL - 2 * WEEK)
    assert set(rows["_outcome"]) == {"open"}
    assert rows["_closed_at"].isna().all()
    assert set(rows["deal_id"]) == {"won", "open"}


def test_days_before_the_first_closing_on_record_are_left_out():
    # Before it, only deals that lived until then are there, and they would look too safe.
    survivor = ("survivor", UNTIL - 40 * WEEK, None, "open")
    rows = deal_snapshots(view_of(*FIVE_WEEKS, survivor), Company(), until=UNTIL)
    assert rows["as_of"].min() == UNTIL - 4 * WEEK


def test_the_age_is_told_as_of_the_day():
    rows = deal_snapshots(view_of(*FIVE_WEEKS), Company(), until=UNTIL).set_index(["deal_id", "as_of"])
    assert rows.loc[("open", UNTIL), "days_open"] == pytest.approx(14)
    assert rows.loc[("won", UNTIL - 2 * WEEK), "days_open"] == pytest.approx(8)


def test_too_many_rows_are_thinned_but_not_those_of_the_last_day():
    view = view_of(*[(f"d{i}", UNTIL - 9 * WEEK, None, "open") for i in range(20)], *FIVE_WEEKS)
    rows = deal_snapshots(view, Company(), until=UNTIL, max_rows=50)
    assert len(rows) == 50
    assert (rows["as_of"] == UNTIL).sum() == 21


def test_dates_are_mondays_and_the_last_day():
    friday = UNTIL + 4 * DAY
    rows = deal_snapshots(view_of(*FIVE_WEEKS), Company(), until=friday)
    assert sorted(rows["as_of"].unique())[-2:] == [UNTIL, friday]
    assert set(rows["as_of"].dt.day_of_week) == {0, 4}
    every_third = deal_snapshots(view_of(*FIVE_WEEKS), Company(), until=UNTIL, cadence_days=3)
    assert set((UNTIL - every_third["as_of"]).dt.days) <= set(range(36))
    grid = every_third.loc[every_third["as_of"] < UNTIL, "as_of"]
    assert ((grid - pd.Timestamp("1970-01-05", tz="UTC")) % (3 * DAY) == pd.Timedelta(0)).all()


def test_they_are_what_the_features_are_on_those_days(tiny, tiny_rows):
    some = tiny_rows[tiny_rows["as_of"] >= tiny.until - 5 * WEEK].reset_index(drop=True)
    built = build(tiny.view, some[["deal_id", "as_of"]], "deal", company=tiny.company)
    for name in built.columns:
        if isinstance(built[name].dtype, pd.CategoricalDtype):
            assert built[name].astype(object).equals(some[name].astype(object)), name
            built[name], some[name] = 0, 0
    pd.testing.assert_frame_equal(some[built.columns], built, rtol=1e-9, atol=0)
