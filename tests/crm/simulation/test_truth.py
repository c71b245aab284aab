"""The sample company's truth: probabilities that came true, effects that are the difference of two runs, settings."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from crm.simulate import Policy, simulate
from crm.simulation.history import gather, live_through
from crm.simulation.process import ACTIONS, EFFECTIVE

FIRST_DAY = date(2020, 1, 1)  # before any history: the policy holds from the first week on


def first_weeks(sample, *, opened_before="2026-05-01"):
    """The first Monday of each closed deal that was opened long before the end, with how it ended."""
    deals = sample.tables["deals"].to_pandas()[["deal_id", "kind", "source", "outcome", "created_at"]]
    rows = sample.truth["deals"].sort_values("as_of", kind="stable").drop_duplicates("deal_id")
    rows = rows.merge(deals, on="deal_id")
    rows = rows[rows["created_at"] < pd.Timestamp(opened_before, tz="UTC")]
    # Nearly all are decided; the few that are not count as not won, which their probability says of them, too.
    assert (rows["outcome"] == "open").mean() < 0.05
    return rows.assign(won=rows["outcome"] == "won")


def standard_score(rows):
    """Wins less the sum of p, over its standard deviation: independent deals, so variance sum p (1 - p)."""
    p = rows["p_won"]
    return (rows["won"].sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())


@pytest.fixture(scope="module")
def usual():
    return simulate(reps=60, months=24, seed=2)


def test_true_probabilities_are_calibrated_against_what_came(usual):
    rows = first_weeks(usual)
    assert len(rows) > 5_000
    # 3.5 standard deviations: handing over and absence are in the process, but only on average in p.
    assert abs(standard_score(rows)) < 3.5
    for kind, part in rows.groupby("kind"):
        assert abs(standard_score(part)) < 3.5, kind
    for level, part in rows.groupby(pd.qcut(rows["p_won"], 6)):
        assert abs(standard_score(part)) < 3.5, level
    assert roc_auc_score(rows["won"], rows["p_won"]) > 0.75


def test_what_the_record_tells_is_calibrated_too_and_less_than_the_truth(usual):
    rows = first_weeks(usual)
    seen = rows.assign(p_won=rows["p_won_given_record"])
    for level, part in seen.groupby(pd.qcut(seen["p_won"], 6)):
        assert abs(standard_score(part)) < 3.5, level
    # Six weeks on, each deal counted once again: by then the record has spoken.
    deals = usual.tables["deals"].to_pandas()[["deal_id", "outcome"]]
    later = usual.truth["deals"].sort_values("as_of", kind="stable")
    later = later[later.groupby("deal_id").cumcount() == 6].merge(deals, on="deal_id")
    later = later[later["as_of"] < pd.Timestamp("2026-05-01", tz="UTC")].assign(won=lambda d: d["outcome"] == "won")
    seen = later.assign(p_won=later["p_won_given_record"])
    for level, part in seen.groupby(pd.qcut(seen["p_won"], 6)):
        assert abs(standard_score(part)) < 3.5, level
    # p_given_record = E[p | record], so E[p - p_given_record] = 0 and the truth sorts better.
    truth, record = (roc_auc_score(later["won"], later[name]) for name in ("p_won", "p_won_given_record"))
    assert truth > record + 0.02
    assert record > 0.65
    assert later["p_won"].var() > later["p_won_given_record"].var()


def test_without_signal_the_truth_is_the_ratio_of_the_rates():
    flat = simulate(reps=30, months=18, seed=2, setting="no_signal")
    # All rates share one factor of the calendar, so P(won) = win / (win + loss) in any week and stage:
    # 0.030 exp(0.04 g) against 0.085 with grades g in -2 .. 2; what the tail leaves undecided takes up to 0.003.
    low, high = (0.030 * np.exp(g) / (0.030 * np.exp(g) + 0.085) for g in (-0.08, 0.08))
    p = flat.truth["deals"]["p_won"]
    assert low - 0.003 < p.min() < p.max() < high
    rows = first_weeks(flat)
    # The standard error of an AUC near 1/2 is sqrt((n1 + n0 + 1) / (12 n1 n0)), here about 0.01.
    assert abs(roc_auc_score(rows["won"], rows["p_won"]) - 0.5) < 0.05
    assert (flat.truth["effects"]["effect"] == 0).all()


def test_in_the_drifting_setting_sources_reverse_and_wins_get_rarer(usual):
    drifting = simulate(reps=60, months=24, seed=2, setting="drifting")

    def won(sample, source, begin, end):
        rows = first_weeks(sample, opened_before=end)
        rows = rows[(rows["source"] == source) & (rows["created_at"] >= pd.Timestamp(begin, tz="UTC"))]
        return rows["p_won"].mean()

    early, late = ("2024-11-01", "2025-06-01"), ("2025-12-01", "2026-05-01")
    assert won(drifting, "referral", *early) > won(drifting, "outbound", *early) + 0.05
    assert won(drifting, "referral", *late) < won(drifting, "outbound", *late)
    assert won(usual, "referral", *late) > won(usual, "outbound", *late) + 0.05
    fall = drifting.truth["deals"].groupby("as_of")["p_won"].mean()
    level = usual.truth["deals"].groupby("as_of")["p_won"].mean()
    assert fall.iloc[-13:].mean() < fall.iloc[13:26].mean() - 0.04
    assert level.iloc[-13:].mean() > level.iloc[13:26].mean() - 0.04


def test_only_the_actions_of_the_process_have_an_effect_and_demos_in_one_segment(usual):
    effects = usual.truth["effects"].pivot(index="action", columns="segment", values="effect")
    assert set(effects.index) == set(ACTIONS)
    for action in set(ACTIONS) - set(EFFECTIVE):
        assert (effects.loc[action] == 0).all(), action
    assert effects.loc["demo", "small"] == effects.loc["demo", "mid-market"] == 0
    assert effects.loc["demo", "enterprise"] > 0.02
    assert effects.loc["involve_decision_maker", "all"] > 0.04
    last = usual.truth["deal_effects"]
    assert set(last["deal_id"]) == set(usual.tables["deals"].to_pandas().query("outcome == 'open'")["deal_id"]) - born(
        usual
    )


def born(sample):
    """Deals opened in the last week have not lived through a Monday but the end's own."""
    known = set(sample.truth["deals"].query("as_of == as_of.max()")["deal_id"])
    return set(sample.tables["deals"].to_pandas().query("outcome == 'open'")["deal_id"]) - known


def test_a_policy_of_the_action_that_does_nothing_changes_nothing_but_its_own_rows():
    visits = Policy(start=FIRST_DAY, add={"visit": 0.7, "note": 0.5})
    plain, more = (simulate(reps=8, months=12, seed=6, policy=policy) for policy in (None, visits))
    for name in plain.tables:
        if name != "activities":
            assert plain.tables[name].equals(more.tables[name]), name
    kinds = [sample.tables["activities"].to_pandas().drop(columns="activity_id") for sample in (plain, more)]
    assert len(kinds[1]) > len(kinds[0]) + 500
    others = [rows[~rows["kind"].isin(["visit", "note"])].reset_index(drop=True) for rows in kinds]
    pd.testing.assert_frame_equal(*others)


def test_a_policy_leaves_everything_before_its_start_as_it_was():
    begin = pd.Timestamp("2026-06-01", tz="UTC")  # a Monday
    policy = Policy(start=begin.date(), add={"involve_decision_maker": 0.5})
    plain, more = (simulate(reps=8, months=12, seed=6, policy=given) for given in (None, policy))
    past = []
    for sample in (plain, more):
        rows = sample.tables["activities"].to_pandas().drop(columns="activity_id")
        past.append(rows[rows["occurred_at"] < begin].reset_index(drop=True))
    pd.testing.assert_frame_equal(*past)
    closed = [sample.tables["deals"].column("closed_at") for sample in (plain, more)]
    assert not closed[0].equals(closed[1])


@pytest.mark.parametrize("action", ["involve_decision_maker", "demo", "email"])
def test_the_true_effect_is_the_difference_of_two_runs(usual, action):
    fourth = {"where": lambda deals: deals["weeks_open"].to_numpy() == 4, "start": FIRST_DAY}
    runs = (Policy(**fourth, add={action: 1.0}), Policy(**fourth, drop=frozenset({action})))
    done, undone = (
        simulate(reps=60, months=24, seed=2, policy=policy).tables["deals"].to_pandas().set_index("deal_id")["outcome"]
        for policy in runs
    )
    created = usual.tables["deals"].to_pandas().set_index("deal_id")["created_at"]
    rows = usual.truth["deals"].set_index("deal_id")
    monday = created.dt.floor("D") - pd.to_timedelta(created.dt.day_of_week, unit="D")
    rows = rows[(rows["as_of"] - monday.loc[rows.index]).dt.days == 28]
    rows = rows[rows["as_of"] < pd.Timestamp("2026-05-01", tz="UTC")]
    # Deals that come by themselves: those born of other deals need not be there in every run.
    rows = rows[rows.index.str.fullmatch(r"D\d+")]
    gained = (done.loc[rows.index] == "won").astype(float) - (undone.loc[rows.index] == "won").astype(float)
    if action == "email":
        assert (gained == 0).all()
        return
    true = rows[f"effect_{action}"]
    assert len(rows) > 2_000
    # Each difference is -1, 0 or 1; its mean has the usual standard error.
    error = gained.std() / np.sqrt(len(gained))
    assert true.mean() > 0.01
    assert abs(gained.mean() - true.mean()) < 3.5 * error
    assert gained.mean() > 2 * error


def test_customers_leave_as_often_as_their_true_chance_says():
    history = live_through(reps=40, months=24, seed=2, setting="default", policy=None, end=date(2026, 11, 20))
    truth = pd.DataFrame(gather(history.customers.log["truth"]))
    truth = truth[truth["contract"] != 1]
    ends = pd.DataFrame(gather(history.customers.log["ends"]))
    ends["week"] = (ends["told"] - history.calendar.start_day) // 7
    rows = truth.merge(ends[["account", "week"]].assign(left=1.0), how="left", on=["account", "week"])
    left, p = rows["left"].fillna(0.0), rows["hazard"]
    assert left.sum() > 20
    assert abs(left.sum() - p.sum()) < 3.5 * np.sqrt((p * (1 - p)).sum())
    assert p.max() > 10 * p.min()


def test_no_room_reads_the_truth_or_looks_behind_the_sample():
    """Only `crm.simulate` itself may import what lies behind it; others see the tables alone."""
    root = Path(__file__).parents[3]
    rooms = ("crm", "features", "models", "planning", "training", "serving")
    modules = [path for room in rooms for path in (root / room).rglob("*.py")]
    assert len(modules) > 20
    for path in modules:
        inside = path.parent.name == "simulation" or path == root / "crm" / "simulate.py"
        text = path.read_text(encoding="utf-8")
        # Help may say where the truth is written: OUT-truth.
        assert inside or not re.search(r"crm\.simulation|\.truth\b|(?<!OUT)-truth\b", text), path
