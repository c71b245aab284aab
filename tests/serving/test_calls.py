"""People's own calls: who may make them, what is kept of them, and how they are judged."""

from datetime import date

import pandas as pd
import pytest

from crm.company import Company
from serving import calls
from serving.access import Sight
from serving.accuracy import Accuracy, TotalAccuracy
from tests.builders import at

Q1 = {"period_start": date(2026, 1, 1), "period_end": date(2026, 4, 1), "metric": "bookings"}


def a_call(value, as_of, *, user_id=1, entity_id="west", kind="commit"):
    return {
        "entity": "team",
        "entity_id": entity_id,
        **Q1,
        "kind": kind,
        "value": value,
        "why": "",
        "user_id": user_id,
        "by": "manager",
        "rep_id": "m1",
        "as_of": pd.Timestamp(as_of, tz="UTC"),
        "made_at": pd.Timestamp(as_of, tz="UTC"),
    }


def issued(as_of, p50, run_rate, actual=200.0, team="west"):
    return {
        "team_id": team,
        "as_of": pd.Timestamp(as_of, tz="UTC"),
        **Q1,
        "p50": p50,
        "run_rate": run_rate,
        "actual": actual,
    }


def test_what_stood_at_a_third_and_two_thirds_is_judged():
    """The quarter's thirds end on 31 January (day 30 of 90) and 2 March (day 60)."""
    said = pd.DataFrame(
        [
            a_call(150.0, "2026-01-10"),
            a_call(180.0, "2026-01-20"),
            a_call(260.0, "2026-02-10"),
            a_call(200.0, "2026-03-20"),
        ]
    )
    forecasts = pd.DataFrame(
        [issued("2026-01-05", 100.0, 90.0), issued("2026-02-28", 210.0, 150.0), issued("2026-03-10", 199.0, 199.0)]
    )
    table = calls.judged(said, forecasts, "team", Company(time_zone="UTC"))
    assert table[["call", "model", "run_rate"]].to_numpy().tolist() == [[180.0, 100.0, 90.0], [260.0, 210.0, 150.0]]


def test_a_summary_by_hand():
    """Results 200 and 200: the calls 180 and 260 missed by 20 and 60, the model's 100 and 210 by 100 and 10.

    So the call's error is 40 / 200, its bias (-20 + 60) / 2 / 200, the trade's accuracy the mean of .9 and .7, the
    ratio 440 / 400, and calling was worth ((100 - 20) + (10 - 60)) / 2 = 15 a time.
    """
    said = pd.DataFrame([a_call(180.0, "2026-01-20"), a_call(260.0, "2026-02-10")])
    forecasts = pd.DataFrame([issued("2026-01-05", 100.0, 90.0), issued("2026-02-28", 210.0, 150.0)])
    row = calls.summary(calls.judged(said, forecasts, "team", Company(time_zone="UTC"))).iloc[0]
    assert row["n"] == 2
    assert row["error"] == pytest.approx(0.2)
    assert row["model_error"] == pytest.approx(0.275)
    assert row["naive_error"] == pytest.approx((110 + 50) / 2 / 200)
    assert row["bias"] == pytest.approx(0.1)
    assert row["accuracy"] == pytest.approx(0.8)
    assert row["ratio"] == pytest.approx(1.1)
    assert row["worth"] == pytest.approx(15.0)


def test_a_call_taken_back_does_not_stand():
    said = pd.DataFrame([a_call(180.0, "2026-01-10"), a_call(None, "2026-01-12"), a_call(5.0, "2026-01-11", user_id=2)])
    assert calls.standing(said)["value"].tolist() == [5.0]


def test_a_call_after_the_point_or_without_a_forecast_is_not_judged():
    late = pd.DataFrame([a_call(180.0, "2026-03-20")])
    assert (
        len(calls.judged(late, pd.DataFrame([issued("2026-01-05", 1.0, 1.0)]), "team", Company(time_zone="UTC"))) == 0
    )
    early = pd.DataFrame([a_call(180.0, "2026-01-10", entity_id="east")])
    assert (
        len(calls.judged(early, pd.DataFrame([issued("2026-01-05", 1.0, 1.0)]), "team", Company(time_zone="UTC"))) == 0
    )


def test_how_right_a_person_was_is_shown_to_who_may_see_that_person():
    said = pd.DataFrame([a_call(180.0, "2026-01-20"), a_call(190.0, "2026-01-21", user_id=2) | {"rep_id": "m2"}])
    found = Accuracy("issued", teams=TotalAccuracy(rows=pd.DataFrame([issued("2026-01-05", 100.0, 90.0)])))
    shown = {
        persons: calls.callers(said, found, Sight(persons=persons), Company(time_zone="UTC")).get("rep_id", pd.Series())
        for persons in (None, frozenset({"m1"}), frozenset())
    }
    # The call of 20 January stands at both points: a row a caller, whatever the number of points.
    assert sorted(shown[None]) == ["m1", "m2"]
    assert list(shown[frozenset({"m1"})]) == ["m1"]
    assert shown[frozenset()].empty


def call(site, who, **given):
    with site.client(who) as client:
        return client.post("/calls", json={"entity": "team", "entity_id": "west", "value": 10.0, **given})


def test_a_call_is_kept_with_what_came_before(site):
    first = call(site, "m1@example.com", value=100.0, why="Renewals")
    second = call(site, "m1@example.com", value=120.0)
    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.json()["period_start"], first.json()["by"], first.json()["rep_id"]) == ("2026-01-01", "manager", "m1")
    with site.client("m1@example.com") as client:
        kept = client.get("/calls", params={"entity": "team", "entity_id": "west"}).json()["calls"]
    assert [c["value"] for c in kept][-2:] == [100.0, 120.0]


@pytest.mark.parametrize(
    ("who", "entity", "ident", "status"),
    [
        ("r1@example.com", "rep", "r1", 200),
        ("r1@example.com", "rep", "r2", 404),  # a colleague
        ("r1@example.com", "team", "west", 404),  # teams are the managers'
        ("m1@example.com", "rep", "r2", 200),
        ("m1@example.com", "team", "east", 404),  # another manager's
        ("head@example.com", "team", "east", 200),
        ("admin@example.com", "team", "company", 200),
        ("analyst@example.com", "team", "company", 403),
        ("admin@example.com", "rep", "nobody", 404),
        ("admin@example.com", "team", "nobody", 404),
    ],
)
def test_who_may_call(site, who, entity, ident, status):
    assert call(site, who, entity=entity, entity_id=ident).status_code == status


def test_nobody_sees_calls_of_others(site):
    call(site, "admin@example.com", entity="rep", entity_id="r3", value=77.0)
    with site.client("r1@example.com") as client:
        assert {c["entity_id"] for c in client.get("/calls").json()["calls"]} <= {"r1"}
    with site.client("m1@example.com") as client:
        assert "r3" not in {c["entity_id"] for c in client.get("/calls").json()["calls"]}


def test_a_value_below_nothing_is_refused(site):
    answer = call(site, "m1@example.com", value=-1)
    assert (answer.status_code, "value" in answer.json()["detail"]) == (422, True)


def test_calls_outlive_the_store_being_opened_again(store):
    from serving.access import Viewer
    from serving.users import add_user

    user = add_user(store, "m@example.com", "a long password", "manager", rep_id="m1")
    viewer = Viewer("manager", "m@example.com", user, "m1")
    given = {"entity": "team", "entity_id": "west", "as_of": at("2026-02-01T00:00:00Z")}
    calls.call_now(store, viewer, Company(), value=5.0, **given)
    calls.call_now(store, viewer, Company(), value=None, **given)
    kept = calls.history(store)
    assert len(kept) == 2
    assert calls.standing(kept).empty
