"""Mappings proposed for the usual exports import what they should, and what is not sure is left to a person."""

import csv
from decimal import Decimal

import pytest
from openpyxl import Workbook

from crm.company import Company
from crm.guessing import as_yaml, propose
from crm.importing import import_path
from crm.lake import Lake
from crm.mapping import BadMapping, parse
from crm.people import MemoryPeopleBook
from crm.reading import BadFile

# Headers as each CRM names the columns of its exports of deals, with three deals: won, lost, open.
EXPORTS = {
    "Zoho CRM": (
        "Deals_2026.csv",
        (
            "Record Id,Deal Owner.id,Deal Owner,Amount,Deal Name,Closing Date,Account Name.id,Account Name,Stage,Type,"
            "Lead Source,Created Time"
        ),
        "zcrm_1,zcrm_u1,Ann,1200.50,Alpha,2026-01-20,zcrm_a1,ACME,Closed Won,New Business,Web,2025-11-03 10:00:00",
        "zcrm_2,zcrm_u1,Ann,300,Beta,2026-01-25,zcrm_a2,Bolt,Closed Lost,Existing Business,Web,2025-11-04 10:00:00",
        "zcrm_3,zcrm_u2,Bob,70,Gamma,2026-05-01,zcrm_a1,ACME,Qualification,,Fair,2025-11-05 10:00:00",
    ),
    "Salesforce": (
        "report1764.csv",
        (
            "Opportunity ID,Opportunity Owner,Account Name,Opportunity Name,Stage,Amount,Probability (%),Close Date,"
            "Created Date,Type,Lead Source"
        ),
        "0061,Ann,ACME,Alpha,Closed Won,1200.50,100,1/20/2026,11/3/2025,New Business,Web",
        "0062,Ann,Bolt,Beta,Closed Lost,300,0,1/25/2026,11/4/2025,Existing Business,Web",
        "0063,Bob,ACME,Gamma,Qualification,70,20,5/1/2026,11/5/2025,,Fair",
    ),
    "HubSpot": (
        "hubspot-crm-exports-all-deals-2026-02-01.csv",
        (
            "Record ID,Deal Name,Deal Stage,Close Date,Deal owner,Amount,Pipeline,Create Date,Associated Company IDs,"
            "Closed Lost Reason"
        ),
        "11,Alpha,Closed won,2026-01-20 09:00,Ann,1200.50,Sales,2025-11-03 10:00,501,",
        "12,Beta,Closed lost,2026-01-25 09:00,Ann,300,Sales,2025-11-04 10:00,502,Price",
        "13,Gamma,Qualification,2026-05-01 09:00,Bob,70,Sales,2025-11-05 10:00,501,",
    ),
    "Dynamics 365 Sales": (
        "All Opportunities.csv",
        (
            "(Do Not Modify) Opportunity,Topic,Potential Customer,Owner,Status,Pipeline Phase,Est. Close Date,"
            "Actual Close Date,Actual Revenue,Created On"
        ),
        "g-1,Alpha,ACME,Ann,Won,Close,1/22/2026,1/20/2026,1200.50,11/3/2025",
        "g-2,Beta,Bolt,Ann,Lost,Propose,1/25/2026,1/25/2026,300,11/4/2025",
        "g-3,Gamma,ACME,Bob,Open,Qualification,5/1/2026,,70,11/5/2025",
    ),
    "Odoo CRM": (
        "crm.lead.csv",
        (
            "External ID,Opportunity,Customer,Salesperson,Sales Team,Expected Revenue,Stage,Won/Lost,Created on,"
            "Expected Closing,Closed Date"
        ),
        "x.1,Alpha,ACME,Ann,Europe,1200.50,Won,Won,2025-11-03 10:00:00,2026-01-20,2026-01-20 08:00:00",
        "x.2,Beta,Bolt,Ann,Europe,300,Proposition,Lost,2025-11-04 10:00:00,2026-01-25,2026-01-25 08:00:00",
        "x.3,Gamma,ACME,Bob,Europe,70,Qualification,Pending,2025-11-05 10:00:00,2026-05-01,",
    ),
    "Pipedrive": (
        "deals-1764.csv",
        (
            "Deal - ID,Deal - Title,Deal - Value,Deal - Currency of Value,Deal - Organization,Deal - Owner,"
            "Deal - Stage,Deal - Status,Deal - Deal created,Deal - Deal closed on,Deal - Expected close date"
        ),
        "1,Alpha,1200.50,EUR,ACME,Ann,Offer,Won,2025-11-03 10:00:00,2026-01-20 09:00:00,2026-01-20",
        "2,Beta,300,EUR,Bolt,Ann,Offer,Lost,2025-11-04 10:00:00,2026-01-25 09:00:00,2026-01-25",
        "3,Gamma,70,EUR,ACME,Bob,Qualification,Open,2025-11-05 10:00:00,,2026-05-01",
    ),
    "纷享销客 (Fxiaoke)": (
        "商机.csv",
        "商机编号,商机名称,客户名称,负责人,商机金额,销售阶段,商机状态,预计成交日期,实际成交日期,创建时间,输单原因",
        "SJ1,Alpha,ACME,Ann,1200.50,赢单,赢单,2026-01-20,2026-01-20,2025-11-03 10:00,",
        "SJ2,Beta,Bolt,Ann,300,方案报价,输单,2026-01-25,2026-01-25,2025-11-04 10:00,价格",
        "SJ3,Gamma,ACME,Bob,70,初步接洽,进行中,2026-05-01,,2025-11-05 10:00,",
    ),
}


def put(folder, crm):
    name, *lines = EXPORTS[crm]
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "in"


def imported(folder, text):
    lake = Lake(folder / "lake")
    report = import_path(
        folder / "in", lake=lake, people=MemoryPeopleBook(), quarantine=folder / "quarantine", company=Company(),
        mapping=parse(text),
    )  # fmt: skip
    return report, {row["name"]: row for row in lake.view().arrow("deals").to_pylist()}


@pytest.mark.parametrize("crm", EXPORTS)
def test_the_usual_exports_of_deals_need_no_correction(tmp_path, crm):
    proposal = propose(put(tmp_path, crm))
    assert proposal.crm == crm
    report, deals = imported(tmp_path, as_yaml(proposal))
    assert (report.tables["deals"].new, report.refusals) == (3, [])
    assert {name: row["outcome"] for name, row in deals.items()} == {"Alpha": "won", "Beta": "lost", "Gamma": "open"}
    assert {name: row["amount"] for name, row in deals.items()} == {
        "Alpha": Decimal("1200.50"),
        "Beta": Decimal(300),
        "Gamma": Decimal(70),
    }
    assert {n: str(row["closed_at"])[:10] for n, row in deals.items()} == {
        "Alpha": "2026-01-20",
        "Beta": "2026-01-25",
        "Gamma": "None",
    }
    assert {n: str(row["created_at"])[:10] for n, row in deals.items()} == {
        "Alpha": "2025-11-03",
        "Beta": "2025-11-04",
        "Gamma": "2025-11-05",
    }
    # Gamma is in its first stage, and is the same customer's and another owner's than Alpha.
    assert deals["Gamma"]["stage"] in ("Qualification", "初步接洽")
    assert deals["Gamma"]["account_id"] == deals["Alpha"]["account_id"] != deals["Beta"]["account_id"]
    assert deals["Alpha"]["owner_id"] == deals["Beta"]["owner_id"] != deals["Gamma"]["owner_id"]
    assert "Ann" not in str(deals)  # names of people stay out of the lake
    assert str(deals["Gamma"]["close_date"]) == "2026-05-01"


def test_what_is_needed_and_not_known_is_left_to_a_person_with_what_could_fill_it(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "sales.csv").write_text(
        "ref,worth,begun,where it is\n1,10,2026-01-01,Talk\n2,20,2026-01-02,Offer\n3,30,2026-01-03,Talk\n",
        encoding="utf-8",
    )
    with pytest.raises(BadFile, match="no file looks like deals"):
        propose(tmp_path / "in")
    (tmp_path / "in" / "sales.csv").rename(tmp_path / "in" / "deals.csv")
    proposal = propose(tmp_path / "in")
    (table,) = proposal.tables
    unsure = {p.column: p.others for p in table.columns if p.sure == "unsure"}
    assert (table.table, proposal.crm) == ("deals", "")
    assert unsure["created_at"] == ("begun",)
    assert unsure["stage"] == ("where it is",)
    assert "ref" in unsure["deal_id"]
    with pytest.raises(BadMapping):  # nothing is filled in without a word
        parse(as_yaml(proposal))


def test_a_name_whose_values_do_not_fit_is_not_taken(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "deals.csv").write_text(
        "Deal ID,Stage,Outcome,Created,Amount\n1,Talk,won,yesterday,much\n2,Offer,open,today,little\n", encoding="utf-8"
    )
    (table,) = propose(tmp_path / "in").tables
    found = {p.column: (p.source, p.why) for p in table.columns}
    assert found["created_at"] == (None, "'Created' holds 'yesterday', no date")
    assert "amount" not in found
    assert {"Created", "Amount"} <= set(table.unused)


def test_sheets_of_a_workbook_are_joined_by_the_names_of_customers(tmp_path):
    book = Workbook()
    deals, customers = book.active, book.create_sheet("Customers")
    deals.title = "Opportunities"
    rows = csv.reader(EXPORTS["Salesforce"][1:])
    for row in rows:
        deals.append(row)
    for row in (["Account ID", "Account Name", "Industry"], ["001", "ACME", "Steel"], ["002", "Bolt", "Tools"]):
        customers.append(row)
    (tmp_path / "in").mkdir()
    book.save(tmp_path / "in" / "crm.xlsx")
    text = as_yaml(propose(tmp_path / "in"))
    report, found = imported(tmp_path, text)
    assert (report.tables["deals"].new, report.tables["accounts"].new, report.refusals) == (3, 2, [])
    accounts = {row["account_id"] for row in Lake(tmp_path / "lake").view().arrow("accounts").to_pylist()}
    assert accounts == {row["account_id"] for row in found.values()}
