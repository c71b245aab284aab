"""What is owed to a deal's owner is told to the owner and the managers above, and to nobody else."""

import pandas as pd

from serving.access import Sight
from serving.scores import Scores

REASONS = pd.DataFrame(
    {
        "entity": "deal",
        "entity_id": "d1",
        "feature": ["stage", "who_works_on_it"],
        "value": None,
        "text": None,
        "contribution": [0.2, -0.1],
        "base_value": 0.3,
        "prediction": 0.4,
    }
)
SCORES = Scores({"reasons": REASONS}, index=pd.DataFrame({"owner_id": ["r1"]}, index=["d1"]))


def test_the_owner_and_managers_above_see_the_owners_share():
    seen = SCORES.seen_by(Sight(reps=frozenset({"r1"}), teams=frozenset(), accounts=frozenset()))
    assert seen.frame("reasons")["feature"].tolist() == ["stage", "who_works_on_it"]


def test_who_sees_all_deals_by_role_sees_it_among_other_reasons():
    seen = SCORES.seen_by(Sight()).frame("reasons")
    assert seen["feature"].tolist() == ["stage", "other_reasons"]
    assert seen["base_value"].iloc[0] + seen["contribution"].sum() == seen["prediction"].iloc[0]


def test_another_rep_sees_nothing_of_it():
    seen = SCORES.seen_by(Sight(reps=frozenset({"r2"}), teams=frozenset(), accounts=frozenset()))
    assert seen.frame("reasons").empty
