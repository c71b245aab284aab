"""Deal-weeks: outcomes, censoring, when actions fell, and deals that closed before an action could be logged."""

import numpy as np
import pandas as pd
import pytest

from models.effects_action import Rows, effect_of
from models.effects_estimate import Confounders, plain_difference
from models.effects_rows import (
    DAY,
    WEEK,
    Taken,
    closing,
    follows_hours,
    horizon_weeks,
    moved,
    outcome,
    since_last,
    taken,
    units_of,
)

START = pd.Timestamp("2025-01-06", tz="UTC")


def at(days):
    return START + pd.to_timedelta(days, unit="D")


def snapshots(deals, as_of, closed, outcomes, until=200):
    table = pd.DataFrame({"deal_id": deals, "as_of": at(np.asarray(as_of, dtype=float))})
    table["_closed_at"] = pd.Series(at(np.asarray(closed, dtype=float)))
    table["_outcome"] = outcomes
    return table.assign(_observed_until=at(until))


def events(deals, days):
    return pd.DataFrame({"deal_id": deals, "done_at": at(np.asarray(days, dtype=float)), "cause": deals})


def test_the_first_action_in_the_week_and_whether_one_came_before():
    rows = snapshots(["a", "a", "a", "b", "c"], [0, 7, 14, 0, 0], [np.nan] * 5, ["open"] * 5)
    done = events(["a", "a", "b"], [8, 9, 7.0])
    found = taken(rows, done)
    assert found.first[1] == pytest.approx(1 * DAY)
    assert np.isnan(found.first[[0, 2, 3, 4]]).all()  # b's falls on the next week's first moment
    assert found.before.tolist() == [False, False, True, False, False]
    assert found.cause.tolist() == ["", "a", "", "", ""]
    later = taken(rows, done, shift=1)
    assert later.first[[0, 3]] == pytest.approx([8 * DAY, 7 * DAY])


def test_moves_within_seven_days_of_a_moment():
    rows = snapshots(["a", "b"], [0, 0], [np.nan] * 2, ["open"] * 2)
    moves = pd.DataFrame({"deal_id": ["a", "b"], "done_at": at(np.array([8.0, 6.0]))})
    assert moved(rows, moves, np.array([0.0, 0.0]), np.arange(2)).tolist() == [0, 1]
    assert moved(rows, moves, np.array([2 * DAY, 6.5 * DAY]), np.arange(2)).tolist() == [1, 0]


def test_rows_count_once_old_enough_whether_closed_or_not():
    # Four weeks ahead; followed for 35, 35, 14, 28 days.
    rows = snapshots(["a", "b", "c", "d"], [0, 0, 21, 7], [20, 30, 25, np.nan], ["won", "won", "won", "open"], until=35)
    y, keep = outcome(rows, 4)
    assert keep.tolist() == [True, True, False, True]
    assert y[keep].tolist() == [1, 0, 0]  # b was won after 30 days


def test_few_old_rows_are_made_up_for_by_those_that_are_over():
    # Everyone is won after 10 days; one of three was followed for the four weeks, two of three for 10 days.
    rows = snapshots(["a", "b", "c"], [0, 18, 25], [10, 28, 35], ["won", "won", "open"], until=30)
    y, keep = outcome(rows, 4)
    assert keep.all()
    # Followed 30, 12, 5 days: of those needed for 10 days two of three were.
    assert y == pytest.approx([1.5, 1.5, 0.0])
    assert y.mean() == pytest.approx(1.0)


def test_the_horizon_is_when_95_of_100_deals_are_closed():
    # 100 deals, one closes every day from day 1 on: the 95th on day 95, in week 14.
    n = 100
    rows = snapshots([f"d{i}" for i in range(n)], [0.0] * n, np.arange(1, n + 1), ["won"] * n)
    assert horizon_weeks(rows) == 14
    still_open = snapshots([f"d{i}" for i in range(n)], [0.0] * n, [np.nan] * n, ["open"] * n)
    assert horizon_weeks(still_open) == 26


def fleeting(seed=0, n=6000):
    """Each week half of the deals are weak and lost within days, the others won; actions come by chance while open.

    They do nothing: they are drawn after everything else.
    """
    rng = np.random.default_rng(seed)
    weak = rng.random(n) < 0.5
    closes = np.where(weak, rng.exponential(5, n), 10 + rng.exponential(20, n))
    deals = [f"d{i}" for i in range(n)]
    rows = snapshots(deals, rng.integers(0, 20, n) * 7, np.nan, "open", until=400)
    rows["_closed_at"] = rows["as_of"] + pd.to_timedelta(closes, unit="D")
    rows["_outcome"] = np.where(weak, "lost", "won")
    rows["size"], rows["stage"] = rng.normal(size=n), "One"
    first = rng.exponential(6, n)
    done = pd.DataFrame({"deal_id": deals, "done_at": rows["as_of"] + pd.to_timedelta(first, unit="D"), "cause": deals})
    return rows, done[first < closes].reset_index(drop=True)


def rows_of(table, compared):
    y, keep = outcome(table, 26)
    known = Confounders.of(table[["deal_id", "size"]])
    nothing = table.iloc[:0][["deal_id"]].assign(done_at=table["as_of"][:0])
    return Rows(table, known, known, nothing, nothing, y, keep, closing(table), compared)


def test_an_action_that_can_only_be_logged_while_a_deal_is_open_does_nothing():
    table, done = fleeting()
    seen = taken(table, done)
    closes = closing(table)
    assert follows_hours(closes, [seen]) > 0.8
    y, keep = outcome(table, 26)
    week = units_of(seen, closes, keep, compared="week")
    plain = plain_difference(y[week.rows], week.treated, week.rows)
    assert plain.low > 0.1
    found = effect_of("call", "first", rows_of(table, "moment"), done, np.ones(len(table), dtype=bool))
    assert found.counts.rows > 1000
    assert found.mean.low <= 0 <= found.mean.high
    assert found.basis == "association"


def test_actions_that_have_their_share_of_every_week_do_not_follow_hours():
    # Whether acted upon is drawn first, when within the time open second: as in the sample company.
    rng = np.random.default_rng(1)
    closes = rng.uniform(0, WEEK, 4000)
    done = rng.random(4000) < 0.4
    first = np.where(done, closes * rng.random(4000), np.nan)
    none = np.zeros(4000, dtype=bool)
    assert follows_hours(closes, [Taken(first, none, np.full(4000, "", dtype=object))]) < 0.2


def test_at_a_moment_a_row_may_be_compared_before_its_own_action():
    first = np.array([1.0, 5.0, np.nan, np.nan]) * DAY
    action = Taken(first, np.zeros(4, dtype=bool), np.full(4, "", dtype=object))
    closes = np.array([np.inf, np.inf, 0.5 * DAY, np.inf])
    found = units_of(action, closes, np.ones(4, dtype=bool), compared="moment", seed=3)
    assert found.rows[found.treated].tolist() == [0, 1]
    others = set(found.rows[~found.treated])
    assert 2 not in others  # closed before either moment
    assert 3 in others
    assert 0 not in others  # no moment lies before its own


def test_time_since_the_last_one_is_each_deals_own():
    rows = snapshots(["d1", "d2", "d1"], [0.0, 0.0, 7.0], np.nan, "open")
    start = rows["as_of"].iloc[0]
    events = pd.DataFrame(
        {"deal_id": ["d1", "d1"], "done_at": [start - pd.Timedelta(days=2), start + pd.Timedelta(days=9)]}
    )
    # The one on day 9 is still to come on day 7.
    assert since_last(rows, events) == pytest.approx([2 * DAY, np.inf, 9 * DAY])
    assert np.isinf(since_last(rows, events.iloc[:0])).all()
