"""Features of a middling company's weekly snapshots, against a bound on processor time."""

import time

import pandas as pd
import pytest

from crm.company import Company
from crm.lake import connect
from crm.simulate import lake_view, simulate
from features.build import build

pytestmark = pytest.mark.bench
BOUND = 15.0  # seconds of processor time for 120,000 rows


def test_a_hundred_thousand_snapshots_take_seconds():
    sample = simulate(reps=75, months=30, seed=0)
    view, company = lake_view(sample), Company.parse(sample.settings)
    with connect() as con:
        view.attach(con)
        rows = con.sql("""
            with w as (
                select unnest(generate_series(timestamptz '2024-06-02', timestamptz '2026-11-15', to_days(7))) as as_of
            )
            select d.deal_id, w.as_of
            from deals d join w on d.created_at <= w.as_of and (d.outcome = 'open' or d.closed_at > w.as_of)
        """).to_arrow_table()
    spine = pd.DataFrame(rows.to_pandas()).astype({"as_of": "datetime64[us, UTC]"})
    assert len(spine) > 90_000
    assert view.arrow("activities").num_rows > 150_000
    began = time.process_time()
    table = build(view, spine, "deal", company=company)
    took = time.process_time() - began
    assert len(table) == len(spine)
    assert took < BOUND * len(spine) / 120_000, f"{len(spine)} rows took {took:.1f} s of CPU time"
