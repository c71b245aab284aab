"""Bins of the future and curves, on a few visible rows."""

import numpy as np
import pandas as pd
import pytest

from models.win_curve import Curves, bin_rows, curves_of, edges_of, fate, known_bins

DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2026-01-05", tz="UTC")


def snapshot(deal, as_of, closed=None, outcome="open"):
    return {"deal_id": deal, "as_of": as_of, "_closed_at": closed or pd.NaT, "_outcome": outcome}


def table(*rows):
    made = pd.DataFrame(list(rows))
    for name in ("as_of", "_closed_at"):
        made[name] = pd.to_datetime(made[name], utc=True)
    return made


def test_edges_are_one_week_apart_up_to_a_quarter_and_end_at_the_horizon():
    weeks = edges_of(30) / 7
    assert list(weeks[:14]) == list(range(14))
    assert list(weeks[14:]) == [16, 20, 26, 30]


def test_what_closed_after_until_is_open():
    rows = table(snapshot("a", START, START + 10 * DAY, "won"), snapshot("b", START, START + 30 * DAY, "lost"))
    seen = fate(rows, START + 20 * DAY)
    assert list(seen.closed) == [True, False]
    assert list(seen.won) == [True, False]
    assert list(seen.watched) == [20, 20]
    assert seen.closed_in[0] == pytest.approx(10)


def test_a_bin_counts_only_snapshots_watched_to_its_end_whatever_happened_in_it():
    rows = table(
        snapshot("old", START, START + 3 * DAY, "won"),
        # Closed within its first week, but that week is not over: leaving it in would favour quick endings.
        snapshot("new", START + 10 * DAY, START + 12 * DAY, "lost"),
        snapshot("still", START),
    )
    pairs = bin_rows(fate(rows, START + 15 * DAY), np.array([0.0, 7.0, 14.0]))
    seen = sorted(zip(pairs.row.tolist(), pairs.bin.tolist(), pairs.won.tolist(), pairs.lost.tolist(), strict=True))
    assert seen == [(0, 0, True, False), (2, 0, False, False), (2, 1, False, False)]


def test_shares_won_lost_and_open_add_up_and_follow_the_recursion():
    # Two bins, by hand: F1 = .2; L1 = .8 x .5 = .4; open .4; F2 = .2 + .4 x .5 = .4; L2 = .4 + .4 x .5 x .25 = .45.
    curves = curves_of(np.array([0.0, 7.0, 14.0]), np.array([[0.2, 0.5]]), np.array([[0.5, 0.25]]))
    np.testing.assert_allclose(curves.won, [[0, 0.2, 0.4]])
    np.testing.assert_allclose(curves.lost, [[0, 0.4, 0.45]])


def test_hazards_are_read_back_from_curves():
    rng = np.random.default_rng(0)
    won, lost = rng.uniform(0.01, 0.3, (5, 4)), rng.uniform(0.01, 0.3, (5, 4))
    again = curves_of(np.arange(5) * 7.0, won, lost).hazards
    np.testing.assert_allclose(again[0], won)
    np.testing.assert_allclose(again[1], lost)


def test_bins_beyond_what_was_watched_go_on_at_the_last_weekly_rate():
    # The last known bin, one week, has 10 % won; the next is two weeks wide: 1 - .9^2 = .19 of those still open.
    curves = curves_of(np.array([0.0, 7.0, 21.0]), np.array([[0.1]]), np.array([[0.0]]))
    np.testing.assert_allclose(curves.won, [[0, 0.1, 0.1 + 0.9 * 0.19]])


def test_scaling_to_another_end_keeps_a_curve_a_curve():
    curves = curves_of(np.array([0.0, 7.0, 14.0]), np.array([[0.2, 0.5]]), np.array([[0.5, 0.25]]))
    for end in (0.01, 0.4, 0.95):
        scaled = curves.scaled(np.array([end]))
        assert scaled.ever == pytest.approx([end])
        assert (np.diff(scaled.won) >= 0).all()
        assert (np.diff(scaled.lost) >= 0).all()
        assert (scaled.won + scaled.lost <= 1 + 1e-12).all()


def test_between_edges_the_share_is_a_straight_line_and_beyond_the_last_it_stays():
    curves = Curves(np.array([0.0, 10.0]), np.array([[0.0, 0.4]]), np.array([[0.0, 0.2]]))
    assert curves.by(5.0)[0] == pytest.approx([0.2])
    assert curves.by(5.0)[1] == pytest.approx([0.1])
    assert curves.by(99.0)[0] == pytest.approx([0.4])
    assert curves.by(0.0)[0] == pytest.approx([0.0])


def test_days_to_win_is_the_median_among_the_won():
    # Half of the .4 that are won are won by .2 on the curve: half-way through the second bin, (.2 - .1) / (.3 - .1).
    curves = Curves(np.array([0.0, 10.0, 20.0, 30.0]), np.array([[0.0, 0.1, 0.3, 0.4]]), np.zeros((1, 4)))
    assert curves.days_to_win() == pytest.approx([15.0])


def test_bins_with_too_few_rows_are_not_learnt_from():
    rows = table(*(snapshot(f"d{i}", START) for i in range(40)))
    pairs = bin_rows(fate(rows, START + 15 * DAY), np.array([0.0, 7.0, 14.0, 21.0]))
    assert known_bins(pairs, 3) == 2
