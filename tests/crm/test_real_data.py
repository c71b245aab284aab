"""Exports that nobody here made go through their shipped mappings; excerpts of the same shape always do."""

import gzip
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import crm
from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake, LakeView
from crm.mapping import load
from crm.people import MemoryPeopleBook
from crm.report import ImportReport

ROOT = Path(crm.__file__).parents[1]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of public data sets beside the repository; they are not part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "the public data sets are not here (expected in ../shared/data; see the mappings for their sources)"
        )
    return folder


def run(path: Path, mapping: str, root: Path) -> tuple[LakeView, ImportReport, MemoryPeopleBook]:
    lake, people = Lake(root / "lake"), MemoryPeopleBook()
    report = import_path(
        path,
        lake=lake,
        people=people,
        quarantine=root / "quarantine",
        company=Company(),
        mapping=load(ROOT / "crm" / "mappings" / f"{mapping}.yaml"),
    )
    return lake.view(), report, people


def counts(report: ImportReport) -> dict[str, tuple[int, int]]:
    return {name: (t.new, t.refused) for name, t in report.tables.items()}


def test_the_maven_set(data, tmp_path):
    view, report, people = run(data / "maven_crm", "maven", tmp_path)
    raw = pd.read_csv(data / "maven_crm" / "sales_pipeline.csv")
    dated = raw[raw["engage_date"].notna()]
    deals = view.arrow("deals").to_pandas().set_index("deal_id")
    assert counts(report)["deals"] == (len(dated), 0)
    assert report.left_out == {"deals": len(raw) - len(dated)}
    assert deals["outcome"].value_counts().to_dict() == {
        "won": (dated["deal_stage"] == "Won").sum(),
        "lost": (dated["deal_stage"] == "Lost").sum(),
        "open": (dated["deal_stage"] == "Engaging").sum(),
    }
    won = dated[dated["deal_stage"] == "Won"]
    assert deals["amount"].dropna().astype(float).sum() == won["close_value"].sum()
    assert deals.loc["1C1I7A6R", "created_at"] == pd.Timestamp("2016-10-20", tz="UTC")
    assert set(deals["stage"]) == {"Engaging"}  # what came of it is no stage
    products = set(view.arrow("products").column("product_id").to_pylist())
    assert set(deals["product_id"]) <= products
    reps = set(view.arrow("reps").column("rep_id").to_pylist())
    assert set(deals["owner_id"]) <= reps
    names = {n for n, _ in ((d["name"], k) for k, d in people.people.values())}
    assert set(raw["sales_agent"]) <= names
    leaks = [f for f in report.findings if f.column == "account_id" and f.table == "deals"]
    assert leaks, "the account is empty only where a deal never closed, and nobody said so"


def test_the_loan_applications(data, tmp_path):
    view, report, _ = run(data / "bpi2012_loans", "bpi2012", tmp_path)
    file = data / "bpi2012_loans" / "events.csv.gz"
    log = duckdb.sql(f"select * from read_csv('{file}')")  # noqa: F841  (read by the SQL below)
    ends = duckdb.sql("""
        select application, arg_min(event in ('A_APPROVED', 'A_REGISTERED', 'A_ACTIVATED'), "at") as won
        from log where event in ('A_APPROVED', 'A_REGISTERED', 'A_ACTIVATED', 'A_DECLINED', 'A_CANCELLED') group by 1
    """).df()
    deals = view.arrow("deals").to_pandas()
    assert counts(report)["deals"] == (13_087, 0)
    assert (deals["outcome"] == "won").sum() == ends["won"].sum()
    assert (deals["outcome"] == "lost").sum() == (~ends["won"]).sum()
    assert deals["closed_at"].notna().sum() == len(ends)
    sent = duckdb.sql("select count(*) from log where event = 'O_SENT'").fetchall()[0][0]
    activities = view.arrow("activities").to_pandas()
    assert (activities["kind"] == "proposal").sum() == sent
    assert len(view.arrow("reps")) == duckdb.sql("select count(distinct resource) from log").fetchall()[0][0]
    assert all(t.refused == 0 for t in report.tables.values())


def test_the_online_retail_set(data, tmp_path):
    view, report, _ = run(data / "uci_online_retail", "uci_online_retail", tmp_path)
    raw = pd.read_csv(data / "uci_online_retail" / "invoice_days.csv")
    orders = view.arrow("orders").to_pandas()
    assert counts(report)["orders"][0] + counts(report)["orders"][1] == len(raw)
    assert counts(report)["accounts"] == (raw["CustomerID"].nunique(), 0)
    assert float(orders["amount"].sum()) == pytest.approx(raw["Amount"].sum(), abs=0.01)
    assert (orders["kind"] == "return").sum() == (raw["Kind"] == "return").sum()
    # 1 December is winter time, so London's midnight is UTC's; in July it is 23:00 of the day before.
    assert orders["ordered_at"].min() == pd.Timestamp("2010-12-01", tz="UTC")
    assert set(orders["ordered_at"].dt.hour) == {0, 23}


def test_an_export_of_mavens_shape(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "products.csv").write_text("product,series,sales_price\nGTX Pro,GTX,100\n")
    (folder / "accounts.csv").write_text(
        "account,sector,year_established,revenue,employees,office_location,subsidiary_of\n"
        "Orbit,technolgy,2001,12.5,40,Philipines,\n"
    )
    (folder / "sales_teams.csv").write_text("sales_agent,manager,regional_office\nIda Fox,Max Roe,North\n")
    (folder / "sales_pipeline.csv").write_text(
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"
        "A1,Ida Fox,GTXPro,Orbit,Won,05-01-17,07-02-17,90\n"
        "A2,Ida Fox,GTXPro,Orbit,Lost,05-01-17,07-02-17,0\n"
        "A3,Ida Fox,GTXPro,,Engaging,06-01-17,,\n"
        "A4,Ida Fox,GTXPro,,Prospecting,,,\n"
    )
    view, report, people = run(folder, "maven", tmp_path)
    key = people.people["rep", "Ida Fox"][0]
    rows = view.arrow("deals").select(["deal_id", "owner_id", "product_id", "outcome", "amount"]).to_pylist()
    assert [(*list(r.values())[:4], r["amount"] and float(r["amount"])) for r in rows] == [
        ("A1", key, "GTX Pro", "won", 90.0),
        ("A2", key, "GTX Pro", "lost", None),  # a lost deal's 0 is no price
        ("A3", key, "GTX Pro", "open", None),
    ]
    assert report.left_out == {"deals": 1}
    manager = people.people["rep", "Max Roe"][0]
    reps = view.arrow("reps").select(["rep_id", "role", "team_id"]).to_pylist()
    assert {tuple(r.values()) for r in reps} == {(key, "rep", manager), (manager, "manager", manager)}
    assert not [f for f in report.findings if f.kind == "dangling_key"]
    account = view.arrow("accounts").to_pylist()[0]
    assert (account["industry"], account["country"]) == ("technology", "Philippines")


def test_an_export_of_the_loan_logs_shape(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    start = "9,100.0,2011-10-01 08:00:00.100+00:00"
    log = (
        "application,amount_requested,registered,event,transition,resource,at\n"
        f"{start},A_SUBMITTED,COMPLETE,7,2011-10-01 08:00:00.100+00:00\n"
        f"{start},A_ACCEPTED,COMPLETE,8,2011-10-01 09:00:00.000+00:00\n"
        f"{start},O_SENT,COMPLETE,8,2011-10-01 09:00:00.500+00:00\n"
        f"{start},W_Nabellen offertes,SCHEDULE,,2011-10-01 09:01:00.000+00:00\n"
        f"{start},W_Nabellen offertes,COMPLETE,8,2011-10-02 09:00:00.000+00:00\n"
        f"{start},A_ACTIVATED,COMPLETE,8,2011-10-03 09:00:00.000+00:00\n"
        f"{start},A_APPROVED,COMPLETE,8,2011-10-03 09:00:00.000+00:00\n"
    )
    (folder / "events.csv.gz").write_bytes(gzip.compress(log.encode()))
    view, _, _ = run(folder, "bpi2012", tmp_path)
    (deal,) = view.arrow("deals").to_pylist()
    assert (deal["outcome"], deal["stage"], float(deal["amount"])) == ("won", "Accepted", 100.0)
    assert deal["closed_at"] == pd.Timestamp("2011-10-03 09:00", tz="UTC")
    changes = view.arrow("deal_changes").select(["old_value", "new_value"]).to_pylist()
    assert [tuple(c.values()) for c in changes] == [(None, "Submitted"), ("Submitted", "Accepted")]
    activities = view.arrow("activities").select(["kind", "direction"]).to_pylist()
    assert [tuple(a.values()) for a in activities] == [("proposal", "out"), ("call", "out")]


def test_an_export_of_the_retail_sets_shape(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "invoice_days.csv").write_text(
        "CustomerID,Country,InvoiceDay,Kind,Lines,Units,Amount\n"
        "5,France,02/07/2011,sale,1,2,10.5\n5,France,03/07/2011,return,1,-1,-5.25\n5,France,31/06/2011,sale,1,1,1\n"
    )
    view, report, _ = run(folder, "uci_online_retail", tmp_path)
    orders = view.arrow("orders").select(["ordered_at", "kind", "amount"]).to_pylist()
    # Midnight of London's summer is 23:00 UTC of the day before.
    assert [(o["ordered_at"].isoformat(), o["kind"], float(o["amount"])) for o in orders] == [
        ("2011-07-01T23:00:00+00:00", "sale", 10.5),
        ("2011-07-02T23:00:00+00:00", "return", -5.25),
    ]
    assert counts(report) == {"accounts": (1, 0), "orders": (2, 1)}
