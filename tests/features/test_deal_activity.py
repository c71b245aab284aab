"""Contacts about a deal, counted by hand."""

import math

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
