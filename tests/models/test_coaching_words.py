"""What suggestions say: what takes from a deal's chance, what they rest on; never what brings about what."""

import pandas as pd
import pytest

from crm.company import Company
from models.actions import CATALOGUE
from models.coaching_words import actionable, pulled_down, pulls_of, rests_on

MEET = next(a for a in CATALOGUE if a.name == "involve_decision_maker")


def reasons(*rows):
    return pd.DataFrame(rows, columns=["entity_id", "feature", "value", "contribution"])


USUAL = {"decision_makers_met": 1.0, "meetings": 2.0}


def said(*rows):
    return pulled_down(MEET, pulls_of(reasons(*rows)).get("d1", {}), actionable(Company()), USUAL)


def test_the_feature_that_takes_most_is_told_with_its_value_and_points():
    found = said(
        ("d1", "decision_makers_met", 0.0, -0.031),
        ("d1", "days_silent", 12.0, -0.012),
        ("d1", "stage", 1.0, -0.2),  # the step does not change it
        ("d2", "meetings", 0.0, -0.3),  # another deal
    )
    (line,) = found
    assert line["en"].endswith(": 0. Deals like this were won less often, 3.1 points here.")
    assert line["zh"].endswith("：0。此类商机赢单较少，此处低3.1个百分点。")
    assert "because" not in line["en"]
    assert ";" not in line["en"]


@pytest.mark.parametrize("row", [("d1", "days_silent", 12.0, -0.004), ("d1", "days_silent", float("nan"), -0.1),
                                 ("d1", "days_silent", 12.0, 0.1)])  # fmt: skip
def test_what_takes_little_is_not_known_or_adds_gives_no_reason(row):
    assert said(row) == []


def test_that_there_was_much_already_is_no_reason_for_more():
    assert said(("d1", "meetings", 7.0, -0.05)) == []
    assert ": 1. Deals like this" in said(("d1", "meetings", 1.0, -0.05))[0]["en"]


def test_days_are_whole():
    assert "12. Deals like this" in said(("d1", "days_silent", 12.3, -0.02))[0]["en"]


def test_each_basis_says_what_it_rests_on():
    association = rests_on("association", spoken=False, deals=0, weeks=26)["en"]
    spoken = rests_on("association", spoken=True, deals=300, weeks=26)["en"]
    adjusted = rests_on("adjusted", spoken=True, deals=300, weeks=26)["en"]
    measured = rests_on("measured", spoken=True, deals=0, weeks=26)["en"]
    assert association == "Seen together with being won within 26 weeks; not proof that the step brings it about."
    assert spoken.startswith("300 past deals with this step were won more often within 26 weeks than like deals")
    assert spoken.endswith("chance or the customers' own interest may explain that.")
    assert adjusted.endswith("not a trial.")
    assert measured.startswith("Where chance let this suggestion be shown")
