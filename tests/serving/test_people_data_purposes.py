"""Uses of figures on persons: off until it is recorded who agreed, off again once that is withdrawn."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from crm.company import PURPOSES, Company
from serving.people_data.purposes import BadAgreement, PurposeOff, Purposes, UnknownPurpose
from serving.tables.audit import AuditEntry

DAY = date(2026, 3, 1)


@pytest.fixture
def purposes(store):
    return Purposes(store, Company())


def agree(purposes, purpose="coaching", **more):
    purposes.record(purpose, **{"agreed_by": "Works council", "agreed_on": DAY, "who": "ann@example.com"} | more)


def test_every_purpose_is_off_until_an_agreement_is_recorded_and_after_it_is_withdrawn(purposes):
    assert [s.purpose for s in purposes.all()] == list(PURPOSES)
    assert not any(purposes.allowed(p) for p in PURPOSES)
    agree(purposes)
    assert [p for p in PURPOSES if purposes.allowed(p)] == ["coaching"]
    purposes.need("coaching")
    purposes.withdraw("coaching", why="Not wanted", who="bob@example.com")
    with pytest.raises(PurposeOff, match="bellwether people agree coaching"):
        purposes.need("coaching")


def test_what_was_agreed_stays_on_record(purposes):
    agree(purposes, note="For one year")
    purposes.withdraw("coaching", why="Over", who="bob@example.com")
    agree(purposes, agreed_by="Everyone, by vote")
    state = next(s for s in purposes.all() if s.purpose == "coaching")
    assert state.on
    assert [(a.agreed_by, a.note, a.withdrawn_by, a.withdrawn_why) for a in state.agreements] == [
        ("Everyone, by vote", "", None, None),
        ("Works council", "For one year", "bob@example.com", "Over"),
    ]


def test_both_are_in_the_audit(purposes, store):
    agree(purposes)
    purposes.withdraw("coaching", why="Over", who="bob@example.com")
    with store.reading() as session:
        found = [(e.who, e.what, e.detail["purpose"]) for e in session.scalars(select(AuditEntry))]
    assert found == [
        ("ann@example.com", "purpose agreed", "coaching"),
        ("bob@example.com", "purpose withdrawn", "coaching"),
    ]


@pytest.mark.parametrize("people", [{"level": "off"}, {"purposes": ["pay"]}])
def test_company_yaml_goes_before_an_agreement(store, people):
    agree(Purposes(store, Company()))
    closed = Purposes(store, Company.parse({"people": people}))
    assert not closed.allowed("coaching")
    with pytest.raises(BadAgreement, match=r"company\.yaml"):
        agree(closed)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"purpose": "dismissal"}, UnknownPurpose, "coaching, appraisal, pay, contests"),
        ({"agreed_by": " "}, BadAgreement, "who agreed"),
        ({"agreed_on": datetime.now(UTC).date() + timedelta(days=2)}, BadAgreement, "after today"),
    ],
)
def test_what_cannot_be_an_agreement_is_refused(purposes, given, error, said):
    with pytest.raises(error, match=said):
        agree(purposes, **given)


def test_an_agreement_is_neither_recorded_nor_withdrawn_twice(purposes):
    with pytest.raises(BadAgreement, match="is off"):
        purposes.withdraw("pay", why="", who="ann@example.com")
    agree(purposes, "pay")
    with pytest.raises(BadAgreement, match="on already"):
        agree(purposes, "pay")
