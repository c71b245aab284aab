"""First visits to stages from a deal's log, and what becomes of them over time."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from planning.rates import change, stand_out
from planning.report_funnel import bottleneck_cost
from planning.stage_paths import incidence, median_time, visits
from tests.builders import a_change, a_deal, at, view_of

COMPANY = Company.parse({"stages": {"*": ["Qualify", "Propose", "Agree"]}})
# Ten entries of E4.1: passed on days 5, 8, 12, 20; lost on 10, 30; still there after 6, 15, 25, 40 days.
DAYS = np.array([5, 8, 12, 20, 10, 30, 6, 15, 25, 40.0])
STATUS = np.array([1, 1, 1, 1, 2, 2, 0, 0, 0, 0])


def test_e4_1_shares_passed_and_lost_count_who_is_still_there():
    # By hand: 10 at risk on day 5 (1/10), 8 on day 8 (0.9/8), 7 on 10, 6 on 12, 4 on 20, 2 on 30.
    assert incidence(DAYS, STATUS, 1, 90) == pytest.approx(0.465625)
    assert incidence(DAYS, STATUS, 2, 90) == pytest.approx(0.323438, abs=1e-6)
    assert median_time(DAYS, STATUS > 0) == 20
    # Within 8 days: 0.1 + 0.9/8.
    assert incidence(DAYS, STATUS, 1, 8) == pytest.approx(0.2125)


def test_e4_2_a_stage_that_got_worse_is_named_and_priced():
    found = change(30, 90, 60, 120)
    assert found.delta == pytest.approx(-1 / 6)
    assert (found.low, found.high) == (pytest.approx(-0.273, abs=5e-4), pytest.approx(-0.053, abs=5e-4))
    assert found.p == pytest.approx(0.0157, abs=5e-5)
    assert found.fell
    assert stand_out([found.p]) == [True]
    assert bottleneck_cost(found.delta, 90, 0.4, 18_000) == pytest.approx(108_000)
    assert not change(9, 36, 10, 36).fell


def test_of_many_tests_few_false_ones_are_named():
    # Sorted 0.01, 0.04, 0.2 of four against 0.025, 0.05, 0.075: the first two; one that was not done is not named.
    assert stand_out([0.2, 0.01, None, 0.04, 0.9]) == [False, True, False, True, False]


def test_half_is_never_reached_is_said_by_nothing():
    assert median_time(np.array([3.0, 9.0, 9.0]), np.array([True, False, False])) is None


def paths(deals, changes, moment="2026-03-01"):
    found = visits(view_of(deals=deals, deal_changes=changes), COMPANY, at(moment))
    return {(row.deal_id, row.stage): row for row in found.itertuples()}


def test_a_stage_jumped_over_is_passed_and_a_step_back_undoes_nothing():
    found = paths(
        [a_deal("d1", stage="Qualify", created_at="2026-01-01T00:00:00Z")],
        [
            a_change("d1", "stage", "Qualify", "Agree", "2026-01-11T00:00:00Z"),
            a_change("d1", "stage", "Agree", "Qualify", "2026-01-21T00:00:00Z"),
        ],
    )
    assert found["d1", "Qualify"].passed == pd.Timestamp("2026-01-11", tz="UTC")
    assert found["d1", "Propose"].skipped
    assert found["d1", "Propose"].passed == found["d1", "Propose"].entered == pd.Timestamp("2026-01-11", tz="UTC")
    assert found["d1", "Agree"].left == pd.Timestamp("2026-01-21", tz="UTC")
    assert pd.isna(found["d1", "Agree"].passed)


def test_a_win_passes_the_stage_it_came_from_and_a_loss_does_not():
    ends = {"closed_at": "2026-02-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z"}
    deals = [a_deal("w", stage="Won", outcome="won", **ends), a_deal("l", stage="Lost", outcome="lost", **ends)]
    changes = [
        a_change(d, "stage", old, new, when)
        for d, end in (("w", "Won"), ("l", "Lost"))
        for old, new, when in (("Qualify", "Propose", "2026-01-10"), ("Propose", end, "2026-02-01"))
    ]
    found = paths(deals, changes)
    assert found["w", "Propose"].passed == found["l", "Propose"].lost == pd.Timestamp("2026-02-01", tz="UTC")
    assert pd.isna(found["l", "Propose"].passed)
    # A lost deal had passed its first stage before that.
    assert pd.isna(found["l", "Qualify"].lost)


def test_what_came_after_the_moment_is_not_known():
    ends = {"outcome": "won", "closed_at": "2026-02-01T00:00:00Z", "stage": "Won"}
    found = paths(
        [a_deal("d1", **ends)], [a_change("d1", "stage", "Qualify", "Propose", "2026-01-20T00:00:00Z")], "2026-01-15"
    )
    assert set(found) == {("d1", "Qualify")}
    assert pd.isna(found["d1", "Qualify"].left)
