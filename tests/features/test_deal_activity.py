"""Contacts about a deal, counted by hand."""

import math

import pytest

from tests.features.rows import a_deal, a_touch, day, describe

# As of 1 April, ages in days: 62, 31, 29, 20, 10, 3 (and one afterwards).
TOUCHES = [
    a_touch(1, "2026-01-29", "call", "out", contact_id="c1"),
    a_touch(2, "2026-03-01", "meeting", contact_id="c2"),
    a_touch(3, "2026-03-03", "email", "out"),
    a_touch(4, "2026-03-12", "email", "in"),
    a_touch(5, "2026-03-22", "demo", contact_id="c2"),
    a_touch(6, "2026-03-29", "note"),
    a_touch(7, "2026-04-02", "proposal", "out"),
]
CONTACTS = [
    {"contact_id": "c1", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "c2", "account_id": "a1", "seniority": "vp"},
]


def test_counts_silence_and_people_met():
    row = describe("deal", "2026-04-01", deals=[a_deal()], activities=TOUCHES, contacts=CONTACTS)
    wanted = {
        "touches": 5,  # the note is no contact, the proposal is still to come
        "touches_30d": 3,
        "touches_7d": 0,
        "days_silent": 10,
        "emails_out_30d": 1,
        "emails_in_30d": 1,
        "days_since_inbound": 20,
        "inbound_fading": math.exp(-20 / 14),
        "reply_ratio": 1 / 2,
        "calls_30d": 0,
        "meetings_30d": 0,  # 31 days ago
        "demos": 1,
        "proposals": 0,
        "contacts_met": 2,
        "decision_makers_met": 1,
        "notes_30d": 1,
    }
    assert {name: round(row[name], 9) for name in wanted} == {name: round(v, 9) for name, v in wanted.items()}


def test_a_deal_nobody_touched_has_counts_of_0_and_no_silence():
    row = describe("deal", "2026-04-01", deals=[a_deal()], activities=[a_touch(1, "2026-03-01", "call", deal_id="d2")])
    assert (row["touches_30d"], row["days_silent"], row["reply_ratio"]) == (0, None, None)


def test_without_activities_or_contacts_what_rests_on_them_is_missing_not_0():
    row = describe("deal", "2026-04-01", deals=[a_deal()])
    assert (row["touches_30d"], row["demos"]) == (None, None)
    row = describe("deal", "2026-04-01", deals=[a_deal()], activities=TOUCHES)
    assert (row["contacts_met"], row["decision_makers_met"]) == (2, None)


def test_an_activity_counts_from_when_it_was_written_down():
    late = [a_touch(1, "2026-03-01", "call", recorded_at=day("2026-03-20"))]
    assert describe("deal", "2026-03-19 23:59", deals=[a_deal()], activities=late)["touches"] == 0
    row = describe("deal", "2026-03-20", deals=[a_deal()], activities=late)
    assert (row["touches"], row["days_silent"]) == (1, 0)


def test_thirty_days_end_to_the_second():
    deals, touches = [a_deal()], [a_touch(1, "2026-03-01 12:00", "call")]
    assert describe("deal", "2026-03-31 11:59:59", deals=deals, activities=touches)["touches_30d"] == 1
    assert describe("deal", "2026-03-31 12:00", deals=deals, activities=touches)["touches_30d"] == 0


# Ages in days as of 1 July: 120, 100, 89, 60, 31, 29, 8, 6 (and one that is written down afterwards).
LONG = [
    a_touch(1, "2026-03-03", "email", "out"),
    a_touch(2, "2026-03-23", "visit", contact_id="c1"),
    a_touch(3, "2026-04-03", "call", "in", contact_id="c3"),
    a_touch(4, "2026-05-02", "meeting", "out", contact_id="c2"),
    a_touch(5, "2026-05-31", "email", "in"),
    a_touch(6, "2026-06-02", "call", "out", contact_id="c2"),
    a_touch(7, "2026-06-23", "email", "out"),
    a_touch(8, "2026-06-25", "email", "in"),
    a_touch(9, "2026-06-30", "call", "out", contact_id="c4", recorded_at=day("2026-07-01 00:00:00.000001")),
]
LEVELS = [
    {"contact_id": "c1", "account_id": "a1", "seniority": "c-level"},
    {"contact_id": "c2", "account_id": "a1", "seniority": "manager"},
    {"contact_id": "c3", "account_id": "a1", "seniority": None},
    {"contact_id": "c4", "account_id": "a1", "seniority": "c-level"},
]


def test_kinds_and_directions_in_7_30_and_90_days_and_since_creation():
    row = describe("deal", "2026-07-01", deals=[a_deal()], activities=LONG, contacts=LEVELS)
    wanted = {
        "emails": 4,
        "calls": 2,
        "calls_30d": 1,  # 29 days; the other is 89 days old
        "calls_90d": 2,
        "meetings": 2,  # a visit is one
        "meetings_30d": 0,
        "meetings_90d": 1,
        "inbound_7d": 1,
        "inbound_30d": 1,
        "inbound_90d": 3,  # 89, 31 and 6 days
        "outbound_7d": 0,
        "outbound_30d": 2,  # 29 and 8 days
        "outbound_90d": 3,  # and 60
        "days_since_inbound": 6,
        "days_since_outbound": 8,
        "days_since_meeting": 60,
        "contacts_met": 3,
        "contacts_met_90d": 2,  # c1 was met 100 days ago
        "seniority_met": 5,
        "single_threaded": 0,
    }
    assert {name: row[name] for name in wanted} == wanted


def test_a_moment_later_the_call_written_down_then_counts():
    """At 0:00 it is not known; one microsecond later, when it was written down, it is 0 seconds old."""
    at = "2026-07-01 00:00:00.000001"
    row = describe("deal", at, deals=[a_deal()], activities=LONG, contacts=LEVELS)
    assert (row["calls"], row["contacts_met"], row["days_since_outbound"], row["outbound_7d"]) == (3, 4, 0, 1)


@pytest.mark.parametrize(
    ("people", "single", "level"),
    [
        (["c2"], 1, 2),  # a manager
        (["c2", "c2"], 1, 2),
        (["c2", "c3"], 0, 2),
        (["c3"], 1, None),  # nobody wrote down their level
        (["c9"], 1, None),  # not among the contacts
        ([None], None, None),  # with whom is unknown
        ([], None, None),
    ],
)
def test_whether_all_hangs_on_one_person_and_how_high_that_one_stands(people, single, level):
    calls = [a_touch(i, "2026-06-01", "call", contact_id=one) for i, one in enumerate(people)]
    mail = a_touch(9, "2026-06-01", "email", "out", contact_id="c1")  # who was only written to was not met
    row = describe("deal", "2026-07-01", deals=[a_deal()], activities=[*calls, mail], contacts=LEVELS)
    assert (row["single_threaded"], row["seniority_met"]) == (single, level)


def test_a_contact_has_no_level_before_its_record_was_made():
    people = [LEVELS[0] | {"created_at": day("2026-06-02")}]
    early, later = a_touch(1, "2026-06-01", "call", contact_id="c1"), a_touch(2, "2026-06-02", "call", contact_id="c1")
    assert (
        describe("deal", "2026-07-01", deals=[a_deal()], activities=[early], contacts=people)["seniority_met"] is None
    )
    both = describe("deal", "2026-07-01", deals=[a_deal()], activities=[early, later], contacts=people)
    assert (both["seniority_met"], both["contacts_met"]) == (5, 1)
    assert describe("deal", "2026-07-01", deals=[a_deal()], activities=[later])["seniority_met"] is None


def test_nobody_ever_met_or_wrote():
    other = [a_touch(1, "2026-06-01", "meeting", deal_id="d2")]
    row = describe("deal", "2026-07-01", deals=[a_deal()], activities=other, contacts=LEVELS)
    assert [row[c] for c in ("emails", "meetings", "outbound_90d", "contacts_met_90d")] == [0] * 4
    assert [row[c] for c in ("days_since_outbound", "days_since_meeting", "seniority_met", "single_threaded")] == [
        None
    ] * 4
