"""A small sample company with a real win model in use, scored and served."""

from collections.abc import Iterator

import pytest

from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from models.win import WinModel
from serving.home import Home
from serving.scoring import score_all
from serving.store import Store
from serving.users import add_user
from tests.serving.small_site import PASSWORD, Site, serving
from training import registry
from training.snapshots import deal_snapshots


@pytest.fixture(scope="session")
def live_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    sample = simulate(reps=5, months=14, seed=4)
    home, view = Home(tmp_path_factory.mktemp("live")), lake_view(sample)
    home.make_sample(sample.settings)
    home.lake.merge({name: view.arrow(name) for name in sorted(view.present)}, source="test")
    train_win(home)
    score_all(home)
    return home


def train_win(home: Home, *, replicates: int = 2) -> str:
    """Log a small win model, put it in use, and give its version."""
    view = home.lake.view()
    until = newest_event(view)
    rows = deal_snapshots(view, home.company(), until=until, cadence_days=28, max_rows=1500)
    model = WinModel(replicates=replicates).fit(rows, until=rows["_observed_until"].iloc[0])
    made = registry.log_model(
        "win", model, tracking=home.tracking, params={}, metrics={"log_loss": 0.5}, tags={"verdict": "Tested."}
    )
    registry.promote("win", made.version, tracking=home.tracking)
    return made.version


@pytest.fixture(scope="session")
def live_site(live_home: Home) -> Iterator[Site]:
    store = Store(live_home.database_url)
    deals = live_home.lake.view().arrow("deals").to_pandas()
    rep = deals.loc[deals["outcome"] == "open", "owner_id"].mode()[0]
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "analyst@example.com", PASSWORD, "analyst")
    add_user(store, "rep@example.com", PASSWORD, "rep", rep_id=rep)
    with serving(live_home) as address:
        yield Site(address, live_home, store)
    store.close()
