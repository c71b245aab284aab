"""Forecasts in a CRM's deals: the chosen fields alone, only what changed, and nothing in a rehearsal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from crm.connectors.base import CrmUnreachable
from crm.connectors.fxiaoke import Fxiaoke, FxiaokeKeys
from crm.connectors.fxiaoke.writer import FxiaokeWriter
from crm.connectors.web import Patience
from crm.connectors.writing import NoSuchField, Written
from crm.connectors.zoho import Zoho, ZohoKeys
from crm.connectors.zoho.writer import ZohoWriter
from serving.cli import app
from serving.home import Home
from serving.store import Store
from serving.write_back import WriteBackOff, write_back
from tests.crm.connectors import fxiaoke_server, zoho_server
from tests.crm.connectors.fxiaoke_server import FxiaokeCrm
from tests.crm.connectors.zoho_server import ZohoCrm, ZohoServer
from tests.serving.small_site import OWNERS, fill, write_scores

SETTINGS = """people: {level: person}
write_back:
  zoho: {win_probability: Win_Chance, reasons: Win_Reasons, next_step: Next_Advice}
  fxiaoke: {win_probability: chance__c, next_step: advice__c, language: zh}
"""
FIELDS = {
    "Win_Chance": {"data_type": "integer"},
    "Win_Reasons": {"data_type": "textarea"},
    "Next_Advice": {"data_type": "text"},
}
PATIENCE = Patience(tries=2, first_wait=0.01, timeout=5)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    made.company_file.write_text(SETTINGS, encoding="utf-8")
    fill(made)
    write_scores(made)
    return made


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    opened = Store(home.database_url)
    yield opened
    opened.close()


@pytest.fixture
def crm() -> ZohoCrm:
    crm = ZohoCrm()
    crm.own["Deals"] = dict(FIELDS)
    for deal in OWNERS:
        crm.put("Deals", deal, Deal_Name=deal, Stage="Proposal")
    return crm


@contextmanager
def writing(crm: ZohoCrm) -> Iterator[ZohoWriter]:
    with ZohoServer(crm) as address:
        yield ZohoWriter(Zoho(ZohoKeys(**zoho_server.KEYS), accounts=address, patience=PATIENCE))


def rescore(home: Home, **chances: float) -> None:
    """Change what the newest scores say of some deals."""
    path = home.scores / "first/deals.parquet"
    deals = pd.read_parquet(path)
    for deal, chance in chances.items():
        deals.loc[deals.deal_id == deal, "win_probability"] = chance
    deals.to_parquet(path, index=False)


def test_chance_reasons_and_step_come_into_the_chosen_fields(home: Home, store: Store, crm: ZohoCrm) -> None:
    with writing(crm) as writer:
        report = write_back(home, store, "zoho", writer, dry_run=False)
    assert (report.written, report.same, report.refused) == (6, 0, {})
    # The scores of 1 March say 30 % for d3; touches raise it by 5 points as the stage does; call within 7 days.
    record = crm.records["Deals"]["d3"]
    assert record["Win_Chance"] == 30
    assert record["Win_Reasons"].startswith("+ ")
    assert record["Next_Advice"] == "Call the customer by Mar 8"
    # Touches lower d1 by 15 points, more than its stage raises it.
    assert crm.records["Deals"]["d1"]["Win_Reasons"].startswith("− ")
    assert crm.records["Deals"]["d1"]["Deal_Name"] == "d1"


def test_a_rehearsal_writes_nothing_and_says_what_it_would(home: Home, store: Store, crm: ZohoCrm) -> None:
    before = json.dumps(crm.records)
    with writing(crm) as writer:
        report = write_back(home, store, "zoho", writer, dry_run=True)
        again = write_back(home, store, "zoho", writer, dry_run=True)
    assert json.dumps(crm.records) == before
    assert report.changes["d3"]["Win_Chance"] == 30
    assert report.lines(True)[-1] == "6 deals would be written, 0 have nothing new"
    assert again.changes == report.changes


def test_only_what_changed_is_written(home: Home, store: Store, crm: ZohoCrm) -> None:
    with writing(crm) as writer:
        write_back(home, store, "zoho", writer, dry_run=False)
        rescore(home, d2=0.61, d4=0.401)
        advice = home.scores / "first/advice.parquet"
        pd.read_parquet(advice).query("deal_id != 'd6'").to_parquet(advice, index=False)
        report = write_back(home, store, "zoho", writer, dry_run=False)
    # 40.1 % is still 40 %; d6 has no suggestion any more, so that field is emptied.
    assert report.changes == {"d2": {"Win_Chance": 61}, "d6": {"Next_Advice": None}}
    assert report.same == 4
    assert crm.records["Deals"]["d2"]["Win_Chance"] == 61
    assert crm.records["Deals"]["d6"]["Next_Advice"] is None


def test_a_step_keeps_its_day_until_that_is_over(home: Home, store: Store, crm: ZohoCrm) -> None:
    meta = home.scores / "first/meta.json"

    def at_day(day: str) -> str:
        meta.write_text(meta.read_text().replace("2026-03-01", day).replace("2026-03-05", day))
        with writing(crm) as writer:
            write_back(home, store, "zoho", writer, dry_run=False)
        return str(crm.records["Deals"]["d3"]["Next_Advice"])

    assert at_day("2026-03-01") == "Call the customer by Mar 8"
    assert at_day("2026-03-05") == "Call the customer by Mar 8"
    assert at_day("2026-03-09") == "Call the customer by Mar 16"


def test_what_the_crm_refuses_is_told_and_tried_again(home: Home, store: Store, crm: ZohoCrm) -> None:
    gone = crm.records["Deals"].pop("d6")
    with writing(crm) as writer:
        report = write_back(home, store, "zoho", writer, dry_run=False)
        assert report.refused == {"d6": "INVALID_DATA in id"}
        assert "refused 1: INVALID_DATA in id" in report.lines(False)
        crm.records["Deals"]["d6"] = gone
        assert write_back(home, store, "zoho", writer, dry_run=False).written == 1


def test_a_run_that_dies_goes_on_with_what_is_left(home: Home, store: Store) -> None:
    class Dying:
        def __init__(self) -> None:
            self.taken: list[str] = []

        def check(self, numbers, texts) -> None:
            assert (numbers, texts) == (["Win_Chance"], ["Win_Reasons", "Next_Advice"])

        def write(self, values):
            for deal in values:
                if len(self.taken) == 4:
                    raise CrmUnreachable("Zoho CRM", "does not answer", "Try again later.")
                self.taken.append(deal)
                yield Written(deal)

    writer = Dying()
    with pytest.raises(CrmUnreachable):
        write_back(home, store, "zoho", writer, dry_run=False)
    assert list(write_back(home, store, "zoho", writer, dry_run=True).changes) == ["d5", "d6"]


def test_fields_that_are_not_there_are_named_before_anything_is_written(home: Home, store: Store, crm: ZohoCrm) -> None:
    with writing(crm) as writer:
        crm.own["Deals"] = {**FIELDS, "Win_Chance": {"data_type": "text"}}
        with pytest.raises(NoSuchField, match="the field 'Win_Chance' of Deals is no number"):
            write_back(home, store, "zoho", writer, dry_run=True)
        del crm.own["Deals"]["Next_Advice"]
        crm.own["Deals"]["Win_Chance"] = FIELDS["Win_Chance"]
        with pytest.raises(NoSuchField, match="the field 'Next_Advice' is not there in Deals"):
            write_back(home, store, "zoho", writer, dry_run=False)


def test_it_is_off_unless_the_company_names_fields(home: Home, store: Store, crm: ZohoCrm) -> None:
    home.company_file.write_text("people: {level: person}\n")
    with writing(crm) as writer, pytest.raises(WriteBackOff, match=r"write_back: \{zoho: \{win_probability: FIELD"):
        write_back(home, store, "zoho", writer, dry_run=True)
    assert not crm.asked


def test_fxiaoke_gets_text_for_numbers_and_starts_no_workflow(home: Home, store: Store, tmp_path: Path) -> None:
    crm = FxiaokeCrm()
    crm.fields["NewOpportunityObj"]["chance__c"] = {"type": "number"}
    crm.fields["NewOpportunityObj"]["advice__c"] = {"type": "text"}
    for deal in ("d1", "d2", "d3"):
        crm.put("NewOpportunityObj", deal, name=deal, sales_stage="s1")
    with fxiaoke_server.serve(crm) as address:
        keys = FxiaokeKeys(**fxiaoke_server.KEYS)
        writer = FxiaokeWriter(Fxiaoke(keys, tmp_path / "tokens", host=address, patience=PATIENCE))
        report = write_back(home, store, "fxiaoke", writer, dry_run=False)
    assert report.refused == dict.fromkeys(("d4", "d5", "d6"), "there is no such deal")
    assert crm.records["NewOpportunityObj"]["d2"]["chance__c"] == "20"
    sent = [a.json for a in crm.asked if a.path == "/cgi/crm/v2/data/update"]
    assert sent[1] == {
        "triggerApprovalFlow": False,
        "triggerWorkFlow": False,
        "data": {
            "object_data": {
                "_id": "d2",
                "dataObjectApiName": "NewOpportunityObj",
                "chance__c": "20",
                "advice__c": crm.records["NewOpportunityObj"]["d2"]["advice__c"],
            }
        },
    }
    assert (
        "致电" in sent[1]["data"]["object_data"]["advice__c"] or "电话" in sent[1]["data"]["object_data"]["advice__c"]
    )


def test_the_command_rehearses_and_writes(home: Home, crm: ZohoCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    with ZohoServer(crm) as address:
        monkeypatch.setenv("BELLWETHER_ZOHO_ACCOUNTS", address)
        for name, value in zoho_server.KEYS.items():
            monkeypatch.setenv(f"BELLWETHER_ZOHO_{name.upper()}", value)
        command = ["write-back", "zoho", "--home", str(home.root)]
        said = CliRunner().invoke(app, [*command, "--dry-run"], catch_exceptions=False).output
        assert "d3: Win_Chance = 30, Win_Reasons = + " in said
        assert "6 deals would be written, 0 have nothing new" in said
        said = CliRunner().invoke(app, command, catch_exceptions=False).output
        assert "6 deals written, 0 had nothing new" in said
        said = CliRunner().invoke(app, command, catch_exceptions=False).output
        assert "0 deals written, 6 had nothing new" in said


def test_what_was_written_does_not_come_back_as_something_known(crm: ZohoCrm) -> None:
    from crm.company import Company
    from crm.connectors.base import with_own_fields
    from crm.mapping import load

    crm.own["Deals"]["Size_Class"] = {"data_type": "integer"}
    company = Company.parse({"write_back": {"zoho": {"win_probability": "Win_Chance"}}})
    with ZohoServer(crm) as address:
        zoho = Zoho(ZohoKeys(**zoho_server.KEYS), accounts=address)
        mapping = load(zoho.declaration.mapping)
        whole = with_own_fields(mapping, zoho.own_fields(), but=company.write_back["zoho"].fields)
    [deals] = [t for t in whole.tables if t.file == "Deals.parquet"]
    assert [c for c in deals.columns if c.startswith("x_")] == ["x_size_class"]
