"""One tiny sample company for all tests of this room."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from crm.company import Company
from crm.lake import Lake, LakeView, newest_event
from crm.simulate import lake_view, simulate
from training.snapshots import deal_snapshots


@dataclass(frozen=True)
class TinyCompany:
    home: Path
    view: LakeView
    company: Company
    until: pd.Timestamp

    @property
    def tracking(self):
        return f"sqlite:///{self.home / 'mlflow.db'}"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """8 reps, 10 months, in a lake of its own: the small-data side of the model, which is quick."""
    home = tmp_path_factory.mktemp("tiny")
    sample = simulate(reps=8, months=10, seed=3)
    memory = lake_view(sample)
    lake = Lake(home / "lake")
    lake.merge({name: memory.arrow(name) for name in memory.present}, source="test")
    view = lake.view()
    return TinyCompany(home, view, Company.parse(sample.settings), pd.Timestamp(newest_event(view)))


@pytest.fixture(scope="session")
def tiny_rows(tiny):
    return deal_snapshots(tiny.view, tiny.company, until=tiny.until, folder=tiny.home / "snapshots")
