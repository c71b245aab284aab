"""Champion and challengers on one company: each verdict with its figures, and which version answers afterwards."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from models.win_params import WinParams
from serving.home import Home
from serving.store import Store
from serving.users import add_user
from tests.builders import table_of
from tests.serving.small_site import PASSWORD, Site, serving
from training import registry
from training.fit_win import challenge, win_model
from training.policy import Policy
from training.recipes import Recipe
from training.segments import team_of
from training.snapshots import deal_snapshots

A_DEAL = {"stage": "Qualify", "created_at": "2026-01-05T09:00:00Z"}


@dataclass
class Ring:
    """A served home whose snapshots carry one strong sign of a win: the owner's record, which tells the outcome."""

    site: Site
    rows: pd.DataFrame
    open_deal: str

    def let(self, params, *, prepare=None, seed=0):
        home = self.site.home
        model = win_model(home.company(), seed=seed, replicates=1, params=params)
        recipe = Recipe(model) if prepare is None else Recipe(model, prepare)
        return challenge(
            self.rows, recipe, view=home.lake.view(), company=home.company(), tracking=home.tracking,
            as_of=self.rows["_observed_until"].iloc[0], policy=Policy(segment_deals=15),
        )  # fmt: skip

    def served(self):
        """The version that answers a question about a deal over HTTP."""
        with self.site.client("admin@example.com") as client:
            answer = client.post("/score", json={"deals": [A_DEAL]})
        assert answer.status_code == 200, answer.text
        return answer.json()["model_version"]


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    from crm.lake import newest_event
    from crm.simulate import lake_view, simulate

    sample = simulate(reps=8, months=13, seed=4)
    home, view = Home(tmp_path_factory.mktemp("ring")), lake_view(sample)
    home.make_sample(sample.settings)
    tables = {name: view.arrow(name) for name in sorted(view.present - {"team_memberships", "deal_splits"})}
    home.lake.merge(tables | {"reps": in_two_teams(view), "teams": TEAMS}, source="test")
    rows = deal_snapshots(home.lake.view(), home.company(), until=newest_event(view), folder=home.snapshots)
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    with serving(home) as address:
        deals = rows.loc[rows["as_of"] == rows["as_of"].max(), "deal_id"]
        yield Ring(Site(address, home, store), telling(rows, home.lake.view()), deals.iloc[0])
    store.close()


TEAMS = table_of("teams", [{"team_id": "west", "name": "West"}, {"team_id": "east", "name": "East"}])


def in_two_teams(view):
    """The first reps, who own most of the deals, in West, the rest in East; nobody ever moved."""
    reps = view.arrow("reps").to_pandas()
    share = reps["rep_id"].map(view.arrow("deals").to_pandas()["owner_id"].value_counts(normalize=True)).fillna(0)
    teams = np.where(share.cumsum() <= 0.65, "west", "east")
    at = reps.columns.get_loc("team_id")
    return view.arrow("reps").set_column(at, "team_id", pa.array(teams))


def telling(rows, view):
    """The owner's win rate replaced by a noisy sign of how the deal ends, as a good identity feature might be.

    Three columns say whether a deal is East's, so that a ridge may learn of that team by itself.
    """
    rng = np.random.default_rng(0)
    sign = rows["_outcome"].map({"won": 0.7, "lost": 0.3, "open": 0.5}).astype(float)
    east = (team_of(view, rows) == "east").astype(float)
    told = {f"x_east_{k}": east for k in range(3)}
    return rows.assign(owner_win_rate=sign + rng.normal(0, 0.15, len(rows)), **told)


def shuffled(rows):
    """Whole deals' outcomes dealt out anew."""
    closed = rows[rows["_outcome"] != "open"].drop_duplicates("deal_id")
    dealt = dict(zip(closed["deal_id"], np.random.default_rng(1).permutation(closed["_outcome"]), strict=True))
    return rows.assign(_outcome=[dealt.get(d, o) for d, o in zip(rows["deal_id"], rows["_outcome"], strict=True)])


def blind_to_east(rows):
    """Two in three of East's wins taken for losses."""
    hit = (rows["x_east_0"] == 1) & (rows["_outcome"] == "won")
    hit &= pd.util.hash_array(rows["deal_id"].to_numpy(object)) % 3 > 0
    return rows.assign(_outcome=rows["_outcome"].where(~hit, "lost"))


def nearly_all(rows):
    """All but three rows in a hundred."""
    return rows.sample(frac=0.97, random_state=0).sort_index()


def judged(version, home):
    """What the twins of a version and of its champion said of the newest slice, as it is kept beside the verdict."""
    run = registry.load("win", version, tracking=home.tracking).meta["judged_run"]
    return registry.table_of(run, "judged", tracking=home.tracking)


def log_losses(table):
    """The figures of a verdict by the formula, from the forecasts that were compared."""
    mine, theirs = (-np.log(np.where(table["won"], table[w], 1 - table[w])) for w in ("challenger", "champion"))
    deals = table["deal_id"].nunique()
    said = f"Log loss {mine.mean():.4f} against the champion's {theirs.mean():.4f} on {deals} deals (difference "
    return f"{said}{(theirs - mine).mean():+.4f}, 90% interval "


def test_each_challenger_gets_its_verdict_and_only_a_better_one_is_served(ring, monkeypatch):
    monkeypatch.setattr("serving.live.LOOK_AGAIN", 0.0)  # the poll for a newer champion, else every ten seconds
    home = ring.site.home
    plain, sharp = WinParams(identity=False), WinParams(identity=True)

    first = ring.let(plain)
    table = judged("1", home)
    mine, base = (-np.log(np.where(table["won"], table[w], 1 - table[w])).mean() for w in ("challenger", "base_rate"))
    assert first.verdict.startswith("Promoted: the first model of its kind, better than the base rate")
    assert f"log loss {mine:.4f} against {base:.4f} of the base rate (difference {base - mine:+.4f}" in first.verdict
    assert (first.version, first.in_use, ring.served()) == ("1", "1", "1")

    worse = ring.let(sharp, prepare=shuffled)
    figures = log_losses(judged("2", home))
    assert worse.verdict.startswith(f"Not promoted, the champion stays: worse beyond doubt. {figures}-")
    assert (worse.version, worse.promoted, ring.served()) == ("2", False, "1")

    one_team = ring.let(sharp, prepare=blind_to_east)
    table = judged("3", home)
    east = table[table["team"] == "east"]
    short = f"Team east is forecast too low: {100 * east['challenger'].mean():.1f}% forecast, "
    short += f"{100 * east['won'].mean():.1f}% came on {east['deal_id'].nunique()} deals"
    assert one_team.checks[0].holds  # better overall, as the log loss goes
    assert one_team.verdict.startswith("Not promoted, the champion stays: better overall, but a segment is harmed. ")
    assert f"{log_losses(table)}+" in one_team.verdict
    assert short in one_team.verdict
    assert (one_team.version, one_team.promoted, ring.served()) == ("3", False, "1")

    equal = ring.let(plain, prepare=nearly_all)
    figures = log_losses(judged("4", home))
    assert equal.verdict.startswith(f"Not promoted, the champion stays: no difference beyond chance. {figures}")
    assert (equal.version, equal.promoted, ring.served()) == ("4", False, "1")

    better = ring.let(sharp)
    assert better.verdict.startswith(f"Promoted: better beyond doubt. {log_losses(judged('5', home))}+")
    assert "Both read features as they were defined for the champion (" in better.verdict
    assert (better.version, better.promoted, ring.served()) == ("5", True, "5")

    # Judged by a twin that had not seen the newest slice, and fitted again with the same parameters on all rows.
    kept = registry.load("win", "5", tracking=home.tracking)
    twin = registry.params_of("win", kept.meta["judged_run"], tracking=home.tracking)
    assert WinParams.from_dict(twin) == kept.model.params_ == WinParams.from_dict(kept.meta["params"])

    assert registry.roll_back("win", tracking=home.tracking) == "1"
    assert ring.served() == "1"


def test_where_the_champion_stays_its_recipe_is_fitted_again_on_newer_data(ring):
    """Trained as of some weeks ago; today nothing better is found, but eight more weeks are known."""
    home, now = ring.site.home, ring.rows["_observed_until"].iloc[0]
    plain = WinParams(identity=False)
    before = now - pd.Timedelta(weeks=8)
    known = ring.rows[ring.rows["as_of"] <= before]
    shared = {"view": home.lake.view(), "company": home.company(), "policy": Policy()}
    tracking = f"sqlite:///{home.root / 'other.db'}"
    model = win_model(home.company(), replicates=1, params=plain)
    old = challenge(known, Recipe(model), **shared, tracking=tracking, as_of=before)
    assert old.in_use == "1"
    new = challenge(ring.rows, Recipe(model, shuffled), **shared, tracking=tracking, as_of=now)
    assert (new.promoted, new.version, new.in_use) == (False, "2", "3")
    used = registry.champion("win", tracking=tracking)
    assert "the champion's recipe, fitted again on newer data" in used.meta["verdict"]
    assert used.model.until_ == now
    assert used.model.params_ == registry.load("win", "1", tracking=tracking).model.params_
