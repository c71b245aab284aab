"""Public sets of deals: not worse than logistic regression, and 'no signal' where creation tells nothing."""

from pathlib import Path

import numpy as np
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
from training.backtest import backtest

pytestmark = pytest.mark.slow_study
FOLDERS = {"maven": "maven_crm", "bpi2012": "bpi2012_loans"}


def lake_of(mapping: str, root: Path) -> Lake:
    folder = Path(training.__file__).parents[2] / "shared" / "data" / FOLDERS[mapping]
    if not folder.is_dir():
        pytest.skip(f"the set is not here (expected in ../shared/data; see crm/mappings/{mapping}.yaml)")
    lake = Lake(root / "lake")
    import_path(folder, lake=lake, people=MemoryPeopleBook(), quarantine=root, company=Company(), mapping=load(mapping))
    return lake


@pytest.mark.parametrize("mapping", FOLDERS)
def test_the_forecast_is_not_surely_worse_than_logistic_regression(mapping, tmp_path):
    view = lake_of(mapping, tmp_path).view()
    found = backtest(view, Company(), until=pd.Timestamp(newest_event(view)), rivals=["stage_rate", "logistic"])
    print(mapping, found.summary.to_string(), found.differences.to_string(), sep="\n")  # noqa: T201 - for its figures
    print(found.more["calibration_by_horizon"].to_string(), found.verdict.en, sep="\n")  # noqa: T201
    # The rival's loss less ours: below 0 altogether, ours would be surely higher.
    assert found.differences.set_index("rival").loc["logistic", "high"] >= 0


def test_what_is_known_of_mavens_deals_at_creation_tells_nothing_of_their_end(tmp_path):
    view = lake_of("maven", tmp_path).view()
    until = pd.Timestamp(newest_event(view))
    deals = view.arrow("deals").to_pandas()
    # Of deals from before the first closing on record only those that lived until then are there.
    deals = deals[deals["created_at"] >= deals["closed_at"].min()].sort_values(["created_at", "deal_id"])
    spine = deals[["deal_id"]].assign(as_of=deals["created_at"].astype("datetime64[us, UTC]")).reset_index(drop=True)
    rows = build(view, spine, "deal", company=Company())
    rows["_closed_at"], rows["_outcome"] = deals["closed_at"].array, deals["outcome"].to_numpy(object)
    model = WinModel(replicates=0).fit(rows, until=until)
    print(model.note)  # noqa: T201 - a study is run for its figures
    assert model.note["skill_low"] <= 0 <= model.note["skill_high"]
    assert model.note["quality"] == "no_signal"
    np.testing.assert_allclose(model.predict_proba_won(rows), model.note["base_rate"], rtol=0, atol=1e-12)
