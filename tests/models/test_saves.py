"""Save plays: named by signs that are known and raise the chance to leave, ranked by them, with whom to speak."""

import pandas as pd
import pytest

from features.catalogue import blocks
from models.saves import PLAYS, save_plays
from tests.builders import an_account, an_activity, view_of

AT = pd.Timestamp("2026-03-01", tz="UTC").to_pydatetime()


def reasons(*rows, account="a1"):
    return pd.DataFrame(rows, columns=["feature", "value", "contribution"]).assign(entity_id=account)


def plays(frame, leave_out=(), **tables):
    found = save_plays(frame, view_of(**{"accounts": [an_account()], **tables}), at=AT, leave_out=leave_out)
    return found.get("a1", [])


def test_every_sign_is_a_feature_of_customers_and_belongs_to_one_play():
    known = {f.name for block in blocks("account") for f in block.features}
    signs = [sign for play in PLAYS for sign in play.signs]
    assert set(signs) <= known
    assert len(signs) == len(set(signs))


def test_the_play_whose_signs_raise_it_most_comes_first():
    found = plays(
        reasons(
            ("open_tickets", 2.0, 0.02), ("ticket_satisfaction", 2.1, 0.03), ("tickets_90d", 4.0, -0.01),
            ("days_since_order", 90.0, 0.04), ("owner_changes_365d", 1.0, 0.001),
        )
    )  # fmt: skip
    # Service .02 + .03 (what lowers it does not count), orders .04; .001 is below what is worth a line.
    assert [(s.play.name, s.points) for s in found] == [
        ("service_recovery", pytest.approx(0.05)),
        ("reorder_talk", pytest.approx(0.04)),
    ]
    assert [sign.feature for sign in found[0].signs] == ["ticket_satisfaction", "open_tickets"]


def test_what_is_missing_calls_for_nothing():
    assert plays(reasons(("silence_to_usual", float("nan"), 0.2))) == []


def test_at_most_three():
    found = plays(
        reasons(
            ("open_tickets", 1.0, 0.01), ("survey_score", 0.2, 0.02), ("returns_90d", 3.0, 0.03),
            ("anniversary_days", 20.0, 0.04), ("contacts_left_90d", 1.0, 0.05),
        )
    )  # fmt: skip
    assert [s.play.name for s in found] == ["new_sponsor", "renewal_talk", "returns_talk"]


def test_what_was_turned_down_makes_room_for_the_next():
    known = reasons(
        ("survey_score", 0.2, 0.02), ("returns_90d", 3.0, 0.03), ("anniversary_days", 20.0, 0.04),
        ("contacts_left_90d", 1.0, 0.05),
    )  # fmt: skip
    found = plays(known, leave_out={"renewal_talk"})
    assert [s.play.name for s in found] == ["new_sponsor", "returns_talk", "survey_talk"]


def test_the_highest_who_is_there_is_named_and_of_equals_the_last_spoken_to():
    people = [
        {"contact_id": "left", "account_id": "a1", "seniority": "c-level", "left_at": "2026-02-01T00:00:00Z"},
        {"contact_id": "staff", "account_id": "a1", "seniority": "staff"},
        {"contact_id": "vp1", "account_id": "a1", "seniority": "vp"},
        {"contact_id": "vp2", "account_id": "a1", "seniority": "vp"},
        {"contact_id": "later", "account_id": "a1", "seniority": "c-level", "created_at": "2026-04-01T00:00:00Z"},
    ]
    spoken = [an_activity(contact_id="vp2", occurred_at="2026-01-10T00:00:00Z")]
    (save,) = plays(reasons(("open_tickets", 1.0, 0.02)), contacts=people, activities=spoken)
    assert save.contact_id == "vp2"
    (alone,) = plays(reasons(("open_tickets", 1.0, 0.02)))
    assert alone.contact_id is None
