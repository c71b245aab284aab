"""A small served home: the sample company in the lake, and score files whose figures a test can derive by hand."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crm.lake import connect, newest_event
from crm.schema import PERSON_KEY
from crm.simulate import SampleCompany, lake_view, simulate
from serving.home import Home
from serving.jobs import Steps
from serving.people import StorePeople
from serving.scores import swap_pointer
from serving.store import Store
from serving.users import add_user
from tests.serving.small_site import serving

EMAIL, PASSWORD = "ann@example.com", "a long password"
AS_HTML = {"accept": "text/html"}


@dataclass
class Site:
    """A served home, and keys of things in it."""

    address: str
    home: Home
    store: Store
    as_of: datetime
    deal: str
    rep: str
    team: str
    account: str

    def client(self, **given: object) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={**AS_HTML, "origin": self.address}, timeout=60, **given)

    @contextmanager
    def signed_in(self, email: str = EMAIL) -> Iterator[httpx.Client]:
        with self.client() as client:
            answer = client.post("/sign-in", data={"email": email, "password": PASSWORD, "next": "/deals"})
            assert answer.status_code == 303
            yield client


@pytest.fixture(scope="session")
def company() -> SampleCompany:
    return simulate(reps=8, months=9, seed=3)


@pytest.fixture(scope="session")
def site(company: SampleCompany, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.make_sample(company.settings)
    store = Store(home.database_url)
    fill_lake(home, store, company)
    as_of = newest_event(home.lake.view()).replace(microsecond=0)
    frames = score_files(home, as_of)
    write_scores(home, frames, as_of)
    Steps(store).plan([])
    deal = str(frames["deals"]["deal_id"].iloc[0])
    rep = str(frames["reps"]["rep_id"].iloc[0])
    team = next(str(t) for t in frames["teams"]["team_id"] if t != "company")
    add_user(store, EMAIL, PASSWORD, "admin")
    add_user(store, "rep@example.com", PASSWORD, "rep", rep_id=rep)
    with serving(home) as address:
        yield Site(address, home, store, as_of, deal, rep, team, str(frames["accounts"]["account_id"].iloc[0]))
    store.close()


@pytest.fixture
def serve_home() -> type[serving]:
    return serving


def fill_lake(home: Home, store: Store, company: SampleCompany) -> None:
    """What an import would leave: tables without personal columns, names in the store."""
    view = lake_view(company)
    tables = {name: view.arrow(name).drop_columns(["_seq"]) for name in company.tables}
    for kind in ("rep", "contact"):
        named = company.tables[f"{kind}s"].to_pydict()
        idents = named[f"{kind}_id"]
        keys = StorePeople(store).keys_for(kind, idents, [{"name": name} for name in named["name"]])
        key_of = dict(zip(idents, keys, strict=True))
        rows = tables[f"{kind}s"]
        column = pa.array([key_of[ident] for ident in rows[f"{kind}_id"].to_pylist()])
        kept = [name for name in rows.column_names if name != PERSON_KEY]
        tables[f"{kind}s"] = rows.select(kept).append_column(PERSON_KEY, column)
    home.lake.merge(tables, source="sample")


def score_files(home: Home, as_of: datetime) -> dict[str, pd.DataFrame]:
    """Every open deal at 40 % (30 to 50; the last one has no range yet), every goal at 90 %, every customer at 10 %."""
    company = home.company()
    period = company.period_of(as_of.date())
    with connect() as con:
        home.lake.view().attach(con)
        deals = con.sql(
            "select deal_id, owner_id, coalesce(cast(amount as double), 1000) as amount from deals "
            "where outcome = 'open' and kind <> 'lead' order by deal_id"
        ).df()
        reps = con.sql("select rep_id from reps where left_on is null and role = 'rep' order by rep_id").df()["rep_id"]
        teams = con.sql("select team_id from teams order by team_id").df()["team_id"]
        accounts = con.sql("select distinct account_id from orders order by account_id limit 50").df()["account_id"]
        contact = str(con.execute("select min(contact_id) from contacts").fetchone()[0])
    scored = pd.DataFrame(
        {
            "deal_id": deals["deal_id"],
            "as_of": as_of,
            "win_probability": 0.4,
            "win_probability_low": 0.3,
            "win_probability_high": 0.5,
            "expected_amount": deals["amount"] * 0.4,
            "expected_close_date": pd.Timestamp(as_of) + pd.Timedelta(days=30),
            "p_win_in_period": 0.2,
            "p_lose_in_period": 0.1,
            "p_slip": 0.7,
            "model_version": "1",
        }
    )
    scored.loc[scored.index[-1], ["win_probability_low", "win_probability_high"]] = np.nan
    days = np.arange(0, 421, 7)
    curves = pd.concat(
        pd.DataFrame({"deal_id": d, "day": days, "won": 0.4 * days / 420, "lost": 0.5 * days / 420})
        for d in deals["deal_id"].head(5)
    )
    return {
        "deals": scored,
        "reps": outcomes("rep_id", reps, period, 10_000.0),
        "teams": outcomes("team_id", ["company", *teams], period, 100_000.0),
        "accounts": pd.DataFrame(
            {
                "account_id": accounts,
                "as_of": as_of,
                "churn_probability": 0.1,
                "horizon_days": 90,
                "value_at_risk": np.arange(len(accounts), 0, -1) * 100.0,
                "model_version": "1",
            }
        ),
        "advice": advice(scored["deal_id"].iloc[0], contact, as_of),
        "reasons": reasons(scored["deal_id"].iloc[0], reps.iloc[0], accounts.iloc[0]),
        "curves": curves,
    }


def outcomes(key: str, keys: object, period: object, target: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            key: list(keys),
            "period_start": period.start,
            "period_end": period.end,
            "metric": "bookings",
            "target": target,
            "actual_to_date": target * 0.5,
            "p10": target * 0.7,
            "p50": target * 0.9,
            "p90": target * 1.1,
            "p_attain": 0.25,
            "expected_closed": target * 0.5,
            "expected_open": target * 0.3,
            "expected_new": target * 0.1,
            "model_version": "1",
        }
    )


def advice(deal: str, contact: str, as_of: datetime) -> pd.DataFrame:
    why = json.dumps([{"en": "No decision maker was met.", "zh": "尚未见过决策人。"}])
    rows = [
        (deal, 1, "involve_decision_maker", 7, 0.031, -0.004, 0.066, "association", why, contact, "1", as_of),
        (deal, 2, "call", 7, 0.01, -0.01, 0.03, "association", "[]", None, "1", as_of),
    ]
    columns = "deal_id rank action due_in_days expected_uplift uplift_low uplift_high basis reasons contact_id"
    return pd.DataFrame(rows, columns=[*columns.split(), "model_version", "as_of"])


def reasons(deal: str, rep: str, account: str) -> pd.DataFrame:
    rows = [
        ("deal", deal, "days_silent", 3.0, None, 0.15, 0.3, 0.4),
        ("deal", deal, "stage", None, "Proposal", -0.05, 0.3, 0.4),
        ("rep", rep, "closed", 5000.0, None, 5000.0, 0.0, 9000.0),
        ("rep", rep, deal, 0.0, None, 3000.0, 0.0, 9000.0),
        ("rep", rep, "new business", 0.0, None, 1000.0, 0.0, 9000.0),
        ("account", account, "open_tickets", 2.0, None, 0.04, 0.06, 0.1),
    ]
    columns = ["entity", "entity_id", "feature", "value", "text", "contribution", "base_value", "prediction"]
    return pd.DataFrame(rows, columns=columns)


def write_scores(home: Home, frames: dict[str, pd.DataFrame], as_of: datetime, name: str = "run1") -> None:
    folder: Path = home.scores / name
    folder.mkdir(parents=True)
    for file, frame in frames.items():
        frame.to_parquet(folder / f"{file}.parquet")
    note = {"sentence_en": "No better than the base rate.", "sentence_zh": "不优于基准率。"}
    meta = {"as_of": as_of.isoformat(), "made_at": as_of.isoformat(), "data_cut": home.lake.cut().number}
    (folder / "meta.json").write_text(
        json.dumps({**meta, "models": {}, "notes": {"win": note}, "missing": []}), encoding="utf-8"
    )
    swap_pointer(home.scores, name)
