"""Figures and logs on persons older than the company keeps them are gone; everything else stays, the chain too."""

from datetime import UTC, datetime, timedelta

import pandas as pd
from sqlalchemy import select, update

from crm.company import Company
from serving.access import Viewer
from serving.ledger import Ledger
from serving.people_data.requests import answer, ask, requests
from serving.people_data.subjects import Subject
from serving.people_data.tidying import Tidied, kept_since, tidy
from serving.people_data.views import looks_at, note_looks
from serving.tables.advice import HoldBack
from serving.tables.audit import AuditEntry
from serving.tables.ledger import LedgerRow
from serving.tables.people_data import PersonRequest, PersonView

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
EDGE = datetime(2026, 2, 28, 12, tzinfo=UTC)  # a month back from the last of March is the last of February
COMPANY = Company.parse({"people": {"keep_months": 1}})
SUBJECT = Subject("rep", "r1", "p_1")
OLD, YOUNG = EDGE - timedelta(seconds=1), EDGE
NONE = Tidied(0, 0, 0, 0, 0, 0)


def test_months_are_counted_back_from_now():
    assert kept_since(COMPANY, NOW) == EDGE
    assert kept_since(Company(), NOW) == datetime(2024, 3, 31, 12, tzinfo=UTC)


def test_old_forecasts_on_persons_are_emptied_and_the_chain_still_holds(store):
    ledger = Ledger(store)
    for entity in ("rep", "deal"):
        for moment in (OLD, YOUNG):
            rows = pd.DataFrame({f"{entity}_id": ["r1"], "p50": [1.0]})
            ledger.add("issued", entity, rows, as_of=moment, model_version="1", data_cut=1)
    assert tidy(store, COMPANY, now=NOW).forecasts == 1
    assert ledger.forecasts("issued", "rep")["as_of"].tolist() == [pd.Timestamp(YOUNG)]
    assert len(ledger.forecasts("issued", "deal")) == 2
    verdict = ledger.verify()
    assert (verdict.whole, verdict.checked, verdict.emptied) == (True, 4, 1)
    assert tidy(store, COMPANY, now=NOW) == NONE  # done once


def test_emptying_any_other_row_of_the_ledger_breaks_the_chain(store):
    ledger = Ledger(store)
    ledger.add("issued", "deal", pd.DataFrame({"deal_id": ["d1"]}), as_of=OLD, model_version="1", data_cut=1)
    with store.session() as session:
        session.execute(update(LedgerRow).values(payload=b""))
    assert ledger.verify().broken == 1


def test_old_looks_answers_and_audit_entries_go_and_open_requests_stay(store):
    number = ask(store, SUBJECT, kind="comment", text="An answered one")
    ask(store, SUBJECT, kind="objection", text="An open one")
    answer(store, number, text="Yes", who="ann@example.com")
    for rep in ("r1", "r2"):
        note_looks(store, Viewer("admin"), [rep], {"r1": "p_1", "r2": "p_2"}, what="page")
    with store.session() as session:
        session.execute(update(PersonView).where(PersonView.person_key == "p_1").values(at=OLD))
        session.execute(update(PersonRequest).values(made_at=OLD))
        session.execute(update(PersonRequest).where(PersonRequest.request_id == number).values(answered_at=OLD))
        session.execute(update(AuditEntry).values(at=OLD))
        for deal, moment in (("d1", OLD), ("d2", YOUNG)):
            session.add(
                HoldBack(deal_id=deal, action="call", held_back=True, share=0.1, forecast=0.5, owner_id="r1",
                         as_of=moment, model_version="1", made_at=moment)
            )  # fmt: skip
    assert tidy(store, COMPANY, now=NOW) == Tidied(forecasts=0, looks=1, requests=1, answers=0, holdbacks=1, audit=1)
    assert (len(looks_at(store, "p_1")), len(looks_at(store, "p_2"))) == (0, 1)
    assert [r.text for r in requests(store)] == ["An open one"]
    with store.reading() as session:
        assert list(session.scalars(select(HoldBack.owner_id).order_by(HoldBack.deal_id))) == [None, "r1"]
        assert list(session.scalars(select(AuditEntry.what))) == ["people tidied"]


def test_a_look_is_noted_once_a_day_by_each_and_never_at_oneself(store):
    keys = {"r1": "p_1", "r2": "p_2"}
    for _ in range(2):
        note_looks(store, Viewer("manager", rep_id="r1"), ["r1", "r2", "r9"], keys, what="page")
    note_looks(store, Viewer("admin"), ["r2"], keys, what="page")
    assert looks_at(store, "p_1") == []
    assert sorted(look.role for look in looks_at(store, "p_2")) == ["admin", "manager"]
