"""Which rows of a history count as an action, which as a move, and what was known before a week."""

import pandas as pd
import pytest

from crm.company import Company
from models.effects_history import past_of
from tests.builders import a_change, a_deal, an_activity, view_of

OPEN = (a_deal("d1"),)
UNTIL = pd.Timestamp("2026-06-01", tz="UTC")
CONTACTS = [
    {"contact_id": "k1", "account_id": "a1", "seniority": "staff"},
    {"contact_id": "k2", "account_id": "a1", "seniority": "vp"},
]
KINDS = {
    "email": "email", "meeting": "meeting", "involve_decision_maker": "meeting", "add_contact": "call", "note": "note",
    "reset_close_date": "", "hand_over": "",
}  # fmt: skip


def past(activities=(), changes=(), deals=OPEN, rows=(("d1", "2026-02-02"),), own=()):
    view = view_of(deals=list(deals), contacts=CONTACTS, activities=list(activities), deal_changes=list(changes))
    asked = pd.DataFrame(rows, columns=["deal_id", "as_of"])
    asked["as_of"] = pd.to_datetime(asked["as_of"], utc=True).astype("datetime64[us, UTC]")
    company = Company(stages={"*": ["Qualify", "Propose", "Negotiate"]}, advice={"actions": list(own)})
    kinds = KINDS | {action["name"]: action.get("kind", "") for action in own}
    return past_of(view, asked, kinds, company=company, until=UNTIL)


def days(events):
    return events["done_at"].dt.strftime("%m-%d").tolist()


def on(day, **values):
    return an_activity(occurred_at=f"2026-{day}T10:00:00Z", **values)


def test_what_the_customer_sends_is_no_action():
    found = past([on("01-10", kind="email"), on("01-11", kind="email", direction="in")])
    assert days(found.taken["email"]) == ["01-10"]


def test_a_meeting_with_who_decides_is_an_action_of_its_own():
    met = [on("01-10", kind="meeting", contact_id="k1"), on("01-20", kind="meeting", contact_id="k2")]
    found = past(met)
    assert days(found.taken["meeting"]) == ["01-10"]
    assert days(found.taken["involve_decision_maker"]) == ["01-20"]
    assert days(found.taken["add_contact"]) == ["01-20"]  # the first person met is not one more


def test_what_was_written_down_after_the_closing_is_dropped():
    closed = a_deal("d1", outcome="won", closed_at="2026-03-01T12:00:00Z")
    late = on("02-20", kind="note", recorded_at="2026-03-02T10:00:00Z")
    after = on("03-05", kind="note", recorded_at="2026-03-05T10:00:00Z")
    found = past([on("02-10", kind="note"), late, after], deals=[closed])
    assert days(found.taken["note"]) == ["02-10"]
    assert days(past([on("02-10", kind="note"), late, after]).taken["note"]) == ["02-10", "02-20", "03-05"]


def test_moves_go_forward_or_are_wins():
    changes = [
        a_change("d1", "stage", "Qualify", "Propose", "2026-01-12T10:00:00Z"),
        a_change("d1", "stage", "Propose", "Qualify", "2026-01-19T10:00:00Z"),
    ]
    won = a_deal("d2", outcome="won", closed_at="2026-03-01T12:00:00Z")
    lost = a_deal("d3", outcome="lost", closed_at="2026-03-01T12:00:00Z")
    found = past(changes=changes, deals=[a_deal("d1"), won, lost])
    assert list(zip(found.moves["deal_id"], days(found.moves), strict=True)) == [("d1", "01-12"), ("d2", "03-01")]


def test_those_who_hand_over_on_one_day_are_one_cause():
    changes = [a_change(d, "owner_id", "r1", "r2", "2026-02-02T10:00:00Z") for d in ("d1", "d2")]
    found = past(changes=changes, deals=[a_deal("d1"), a_deal("d2")])
    assert found.taken["hand_over"]["cause"].nunique() == 1


def test_only_a_later_close_date_is_a_reset():
    changes = [
        a_change("d1", "close_date", "2026-03-31", "2026-04-30", "2026-02-01T10:00:00Z"),
        a_change("d1", "close_date", "2026-04-30", "2026-04-15", "2026-02-08T10:00:00Z"),
    ]
    assert days(past(changes=changes).taken["reset_close_date"]) == ["02-01"]


def test_contacts_before_the_week_are_counted_by_week_as_known_then():
    # As of 02-02 0:00: 01-30 lies in the last week, 01-20 in the second; 02-01 was written down too late.
    told = on("02-01", kind="call", recorded_at="2026-02-03T10:00:00Z")
    acts = [on("01-30", kind="call"), on("01-20", kind="email", direction="in"), told, on("02-02", kind="call")]
    before = past(acts).before.iloc[0]
    assert before[[f"outbound_week_{n}" for n in (1, 2, 3, 4)]].tolist() == [1, 0, 0, 0]
    assert before[[f"inbound_week_{n}" for n in (1, 2, 3, 4)]].tolist() == [0, 1, 0, 0]
    # 01-20 10:00 lies 12.583 days back: exp(-12.583 / 14).
    assert before["inbound_faded"] == pytest.approx(0.40706, abs=1e-4)


def test_a_new_close_date_that_the_closing_itself_sets_is_no_step():
    closed = a_deal("d1", outcome="won", closed_at="2026-03-01T12:00:00Z")
    pushes = [
        a_change("d1", "close_date", "2026-02-15", "2026-02-20", "2026-02-10T10:00:00Z"),
        a_change("d1", "close_date", "2026-02-20", "2026-03-01", "2026-03-01T12:00:00Z"),
    ]
    assert days(past(changes=pushes, deals=[closed]).taken["reset_close_date"]) == ["02-10"]


def test_a_step_of_the_companys_own_shows_as_it_says():
    board = {"name": "board_call", "en": "Call the board", "kind": "call", "seniority": ["vp"]}
    tour = {"name": "plant_tour", "en": "Show the plant", "kind": "visit", "outcome": "o'hara tour"}
    pilot = {"name": "start_pilot", "en": "Start a pilot", "field": "x_pilot", "to": "Yes"}
    found = past(
        [
            on("01-10", kind="call", contact_id="k2"), on("01-11", kind="call", contact_id="k1"),
            on("01-12", kind="call", contact_id="k2", direction="in"),
            on("01-13", kind="visit", outcome="O'Hara tour"), on("01-14", kind="visit", outcome="price"),
        ],
        [
            a_change("d1", "x_pilot", None, "yes", "2026-01-15T10:00:00Z"),
            a_change("d1", "x_pilot", "yes", "no", "2026-01-16T10:00:00Z"),
        ],
        own=(board, tour, pilot),
    )  # fmt: skip
    assert days(found.taken["board_call"]) == ["01-10"]
    assert days(found.taken["plant_tour"]) == ["01-13"]
    assert days(found.taken["start_pilot"]) == ["01-15"]


def test_contacts_from_the_customer_are_answers():
    found = past([on("01-10", kind="email"), on("01-11", kind="email", direction="in"), on("01-12", kind="note")])
    assert days(found.answers) == ["01-11"]
