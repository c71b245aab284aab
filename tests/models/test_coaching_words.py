"""What suggestions say: what deals won had more of, what they rest on; never what brings about what."""

from crm.company import Company
from models.coaching_gaps import Gap, actionable
from models.coaching_words import below_won, rests_on

FEATURES = actionable(Company())


def said(name, value, usual, points):
    return below_won(Gap(name, value, usual, points), FEATURES[name])


def test_a_feature_is_told_with_its_value_what_deals_won_had_and_points():
    found = said("decision_makers_met", 0.0, 1.0, -0.031)
    assert found["en"] == (
        "Decision makers met: 0. Deals won from this stage usually had 1; deals like this one were won less often, "
        "3.1 points here."
    )
    assert found["zh"] == "见过的决策人数：0。从此阶段赢单的商机通常为1；与此类似的商机赢单较少，此处低3.1个百分点。"


def test_days_are_whole_and_what_is_said_of_missing_values_is_left_out():
    found = said("days_silent", 12.3, 4.4, -0.02)["en"]
    assert found.startswith("Days since the last contact: 12. Deals won from this stage usually had 4;")


def test_yes_and_no_are_words():
    found = said("close_date_passed", 1.0, 0.0, -0.02)
    assert ": yes. Deals won from this stage usually had no;" in found["en"]
    assert "：是。从此阶段赢单的商机通常为否；" in found["zh"]


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
