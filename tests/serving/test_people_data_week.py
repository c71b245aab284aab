"""The last seven days of a person against the own usual week."""

from datetime import timedelta

import pandas as pd

from serving.people_data.week import week_of
from tests.builders import a_rep, an_activity, at, view_of

NOW = at("2026-03-02T12:00:00Z")


def calls(rep, weeks_ago, count, kind="call"):
    """So many of a kind, a minute after the week of seven days began that ended so many weeks ago."""
    moment = NOW - timedelta(days=7 * (weeks_ago + 1)) + timedelta(minutes=1)
    return [
        an_activity(f"{rep}{kind}{weeks_ago}-{n}", rep_id=rep, kind=kind, occurred_at=moment.isoformat())
        for n in range(count)
    ]


def week(activities, **rep):
    reps = [a_rep("r1", **{"hired_on": "2020-01-01", **rep}), a_rep("r2", hired_on="2020-01-01")]
    found = week_of(view_of(reps=reps, activities=activities), ["r1"], now=NOW)
    assert set(found["rep_id"]) == {"r1"}
    return {row.group: (row.done, None if pd.isna(row.usual) else row.usual) for row in found.itertuples()}


def test_the_week_stands_beside_the_median_of_the_twelve_before():
    # Weeks 1 to 12 ago hold 1, 2, ..., 12 calls: the median is 6.5. The 13th ago, with 90, is out.
    done = [row for ago in range(1, 13) for row in calls("r1", ago, ago)] + calls("r1", 13, 90) + calls("r1", 0, 4)
    assert week([*done, *calls("r2", 0, 50)]) == {"calls": (4.0, 6.5), "emails": (0.0, 0.0), "meetings": (0.0, 0.0)}


def test_demos_and_visits_are_meetings_and_notes_are_nothing():
    done = [row for kind in ("meeting", "demo", "visit", "note", "task") for row in calls("r1", 0, 1, kind)]
    assert week(done)["meetings"] == (3.0, 0.0)


def test_a_week_without_any_counts_as_none():
    # Two of twelve weeks have 8 calls, ten have none: the median is 0.
    assert week(calls("r1", 3, 8) + calls("r1", 7, 8))["calls"] == (0.0, 0.0)


def test_whoever_is_new_has_no_usual_week_before_four_whole_ones():
    # Hired 35 days ago: the last week and four before it. One day later it is only three whole ones.
    done = [row for ago in range(1, 5) for row in calls("r1", ago, 2)]
    assert week(done, hired_on="2026-01-26")["calls"] == (0.0, 2.0)
    assert week(done, hired_on="2026-01-27")["calls"] == (0.0, None)


def test_what_comes_later_does_not_count():
    later = an_activity("later", rep_id="r1", kind="call", occurred_at=(NOW + timedelta(minutes=1)).isoformat())
    assert week([later])["calls"] == (0.0, 0.0)
