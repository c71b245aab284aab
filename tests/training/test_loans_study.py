"""Loan applications forecast 1, 3, 7 and 14 days after they came in, each by a model that saw only earlier ones."""

from pathlib import Path

import pandas as pd
import pytest

import training
from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake, newest_event
from crm.mapping import load
from crm.people import MemoryPeopleBook
from features.build import build
from models.win import WinModel
from training.metrics import win_metrics
from training.snapshots import deal_snapshots

AHEAD = 35  # days: by then most applications have ended
AGES = (1, 3, 7, 14)
SPAN = pd.Timedelta(days=28)


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    folder = Path(training.__file__).parents[2] / "shared" / "data" / "bpi2012_loans"
    if not folder.is_dir():
        pytest.skip("the loan applications are not here (expected in ../shared/data; see crm/mappings/bpi2012.yaml)")
    root = tmp_path_factory.mktemp("loans")
    lake = Lake(root / "lake")
    import_path(
        folder, lake=lake, people=MemoryPeopleBook(), quarantine=root, company=Company(), mapping=load("bpi2012")
    )
    return lake


@pytest.mark.slow_study
def test_what_is_known_after_days_says_more_than_the_rate_and_later_says_more(lake):
    view, company = lake.view(), Company()
    until = pd.Timestamp(newest_event(view))
    snapshots = deal_snapshots(view, company, until=until)
    cuts = [until - pd.Timedelta(days=AHEAD) - SPAN * (k + 1) for k in range(3)]
    said = pd.concat([forecasts(view, company, snapshots, cut) for cut in cuts])
    found = {age: win_metrics(rows) for age, rows in said.groupby("age")}
    for age, figures in found.items():
        print(f"{age} days, {len(said[said['age'] == age])} applications: {figures}")  # noqa: T201 - a study is run for its figures
    assert all(found[age]["skill_low"] > 0 for age in AGES)
    assert found[14]["skill_low"] > found[1]["skill_high"]


def forecasts(view, company, snapshots, cut) -> pd.DataFrame:
    """Applications that reach each age within four weeks of the cut, still open, and what came in five weeks."""
    model = WinModel(replicates=0, cuts=1, trees=75).fit(snapshots[snapshots["as_of"] <= cut], until=cut)
    deals = view.arrow("deals").to_pandas()[["deal_id", "created_at", "closed_at", "outcome"]]
    parts = []
    for age in AGES:
        rows = deals.assign(as_of=(deals["created_at"] + pd.Timedelta(days=age)).astype("datetime64[us, UTC]"), age=age)
        still_open = (rows["outcome"] == "open") | (rows["closed_at"] > rows["as_of"])
        rows = rows[(rows["as_of"] >= cut) & (rows["as_of"] < cut + SPAN) & still_open].reset_index(drop=True)
        X = build(view, rows[["deal_id", "as_of"]], "deal", company=company)
        end = rows["as_of"] + pd.Timedelta(days=AHEAD)
        rows["won"] = (rows["outcome"] == "won") & (rows["closed_at"] <= end)
        rows["forecast"] = model.won_within(X, float(AHEAD))
        rows["base_rate"] = model.base_.curves(X).by(float(AHEAD))[0]
        parts.append(rows)
    return pd.concat(parts)
