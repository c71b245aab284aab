"""Steps that need no figure: hand-overs of deals whose owner left, a look at deals that stand still."""

import pandas as pd

from models.coaching_duties import duties
from tests.builders import a_deal, a_rep, view_of

AT = pd.Timestamp("2026-03-02", tz="UTC")
REPS = [
    a_rep("gone", team_id="west", left_on="2026-02-20"),
    a_rep("busy", team_id="west"),
    a_rep("free", team_id="west"),
    a_rep("idle", team_id="east"),
    a_rep("later", team_id="west", left_on="2026-06-01"),
    a_rep("boss", team_id="west", role="manager"),
]
DEALS = [
    a_deal("d1", owner_id="gone"),
    a_deal("d2", owner_id="later"),
    a_deal("d3", owner_id="busy"),
    a_deal("d4", owner_id="free", outcome="won", closed_at="2026-02-01T10:00:00Z"),
]


def found(reps=REPS, days=(10.0, 10.0, 10.0), **tables):
    X = pd.DataFrame({"deal_id": ["d1", "d2", "d3"], "as_of": AT, "days_in_stage": list(days)})
    return duties(X, view_of(deals=DEALS, reps=reps, **tables), AT)


def test_a_deal_whose_owner_left_goes_to_the_team_mate_with_the_fewest_open_deals():
    due = found()
    assert set(due) == {"d1"}
    (one,) = due["d1"]
    # busy has d3, later has d2, free's only deal is won; idle is of another team, boss sells nothing.
    assert (one.action.name, one.colleague) == ("hand_over", "free")
    assert one.why["en"] == "Its owner has left the company."


def test_without_a_team_mate_somebody_else_of_the_company_takes_it():
    assert found([REPS[0], REPS[3]])["d1"][0].colleague == "idle"
    assert found([REPS[0]])["d1"][0].colleague is None


def test_a_deal_over_sixty_days_in_its_stage_is_looked_at():
    due = found(days=(61.0, 60.0, 200.0))
    assert [d.action.name for d in due["d1"]] == ["hand_over", "requalify"]
    assert [d.action.name for d in due["d3"]] == ["requalify"]
    assert "d2" not in due
