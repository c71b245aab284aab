"""Making the sample company, against writing the same rows into the lake on the same machine."""

import time

import pytest

from crm.lake import Lake
from crm.schema import TABLES
from crm.simulate import lake_view, simulate

pytestmark = pytest.mark.bench


def test_a_large_company_is_made_in_less_time_than_it_takes_to_store_eight_times(tmp_path):
    began = time.process_time()
    sample = simulate(reps=200, months=36, seed=0)
    made = time.process_time() - began
    began = time.process_time()
    assert sample.truth["deals"]["p_won"].between(0, 1).all()
    with_truth = made + time.process_time() - began
    assert sample.tables["deals"].num_rows >= 40_000
    assert sample.tables["activities"].num_rows >= 500_000
    view = lake_view(sample)
    began = time.process_time()
    Lake(tmp_path / "lake").merge({name: view.arrow(name) for name in TABLES}, source="bench")
    stored = time.process_time() - began
    said = f"made in {made:.1f} s, with truth {with_truth:.1f} s, stored in {stored:.1f} s of CPU time"
    assert with_truth < 30, said
    assert made < 8 * stored, said
