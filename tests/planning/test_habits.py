"""Habits against colleagues: like deals, shrunken gaps that cover the truth, nobody named where nobody differs."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from planning.habit_rows import habit, habit_rows
from planning.habits import LEAST_DEALS, SURE, Habits, Spread, gaps_of, spread_of
from planning.sales import Sales
from tests.builders import a_change, a_deal, a_rep, an_account, an_activity, view_of

END = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def rows_of(y, rep, *, segment="mid", size="1"):
    """Rows of one habit; what is not given is the same for all."""
    return pd.DataFrame(
        {"habit": "answers", "rep_id": rep, "deal_id": [f"d{n}" for n in range(len(y))], "y": np.asarray(y, float),
         "kind": "new", "segment": segment, "size": size, "product_id": "p"}
    )  # fmt: skip


def a_world(seed, true_share, deals=40):
    """Every person wins such a share of the deals; by chance."""
    rng = np.random.default_rng(seed)
    reps = np.repeat([f"r{n:02d}" for n in range(len(true_share))], deals)
    return rows_of(rng.random(len(reps)) < np.repeat(true_share, deals), reps)


def a_spread(*, n, d, own, within, between):
    """One person, where it is known how much people differ."""
    n, d, own, between = (np.array([float(v)]) for v in (n, d, own, between))
    return Spread(np.array(["r"], object), n, d, own, within, between, np.ones(1))


def test_a_gap_is_drawn_towards_nothing_by_its_doubt():
    # B = .15^2 / (.15^2 + .25^2 / 4) = .0225 / .038125 = .59016; gap .2 B = .11803; sd = sqrt(B .25^2 / 4) = .09603.
    one = a_spread(n=4.0, d=0.2, own=0.9, within=0.0625, between=0.15)
    mean, sd = one.parts()
    assert mean[0, 0] == pytest.approx(0.11803, abs=5e-6)
    assert sd[0, 0] == pytest.approx(0.09603, abs=5e-6)
    (gap,) = gaps_of(habit("answers"), one)
    # 1.645 sd to both sides; P(> 0) = Phi(.11803 / .09603) = Phi(1.2291) = .8905, from a table.
    assert (gap.low, gap.high) == pytest.approx((-0.0399, 0.2760), abs=5e-4)
    assert gap.sure_better == pytest.approx(0.8905, abs=5e-4)
    assert (gap.own, gap.peers) == pytest.approx((0.9, 0.7))


def test_days_are_told_as_days_and_as_a_ratio():
    # log1p of days: own 1.2, colleagues 1.0; nearly no doubt, so the gap stays: e^.2 - 1 = .2214 more, for the worse.
    one = a_spread(n=1e9, d=0.2, own=1.2, within=1.0, between=1.0)
    (gap,) = gaps_of(habit("cycle"), one)
    assert (gap.own, gap.peers) == pytest.approx((np.e**1.2 - 1, np.e - 1))
    assert gap.gap == pytest.approx(0.2214, abs=5e-5)
    assert gap.theme
    assert not gap.strength


def test_what_colleagues_reach_is_theirs_alone():
    # Two deals of r1 (1, 1), three of others (0, 0, 1), all alike. Without r1's: 1/3 at every step, as each finer group
    # is the same three deals: (1 + 10 / 3) / (3 + 10) = 1/3. So r1's residual is 1 - 1/3.
    spread = spread_of(rows_of([1, 1, 0, 0, 1], ["r1", "r1", "r2", "r3", "r4"]), least=1)
    assert dict(zip(spread.reps, spread.d, strict=True))["r1"] == pytest.approx(2 / 3)


def test_hard_deals_are_held_against_hard_deals():
    """Half the people sell to a segment where 30 % pass, half to one where 70 % do: nobody differs from colleagues."""
    rng = np.random.default_rng(5)
    reps = np.repeat([f"r{n:02d}" for n in range(16)], 60)
    hard = np.repeat(np.arange(16) % 2 == 0, 60)
    rows = rows_of(rng.random(960) < np.where(hard, 0.3, 0.7), reps, segment=np.where(hard, "hard", "easy"))
    spread = spread_of(rows)
    assert np.abs(spread.mean).max() < 0.05
    plain = spread_of(rows.assign(segment=""))  # blind to the segment, the same people differ by far
    assert np.abs(plain.mean).min() > 0.1


def test_where_nobody_differs_hardly_anybody_is_named():
    named = [
        g.strength or g.theme
        for seed in range(40)
        for g in gaps_of(habit("answers"), spread_of(a_world(seed, np.full(12, 0.5))))
    ]
    # 480 people; with the variance between people found by chance alone, at most the 1 - SURE a side may be named.
    assert len(named) == 480
    assert np.mean(named) <= 2 * (1 - SURE)


def test_intervals_cover_the_truth():
    """Shares spread by .12 around .5; nine intervals in ten hold the true gap, and plain ones of that length do not."""
    inside, plain = [], []
    for seed in range(40):
        rng = np.random.default_rng(1000 + seed)
        true = np.clip(rng.normal(0.5, 0.12, 20), 0.05, 0.95)
        spread = spread_of(a_world(seed, true))
        gaps = {g.rep_id: g for g in gaps_of(habit("answers"), spread)}
        truth = true - (true.sum() - true) / (len(true) - 1)
        for n, gap in enumerate(gaps.values()):
            inside.append(gap.low <= truth[n] <= gap.high)
            half = (gap.high - gap.low) / 2
            plain.append(abs(spread.d[n] - truth[n]) <= half)
    # 800 of nominally 90 %: 4 standard errors of sqrt(.9 .1 / 800) = .0106 below.
    assert np.mean(inside) >= 0.857
    assert np.mean(plain) < np.mean(inside)


def test_too_few_deals_or_colleagues_are_not_compared():
    few = a_world(1, np.full(12, 0.5), deals=LEAST_DEALS - 1)
    assert len(spread_of(few).n) == 0
    assert len(spread_of(a_world(1, np.full(12, 0.5), deals=LEAST_DEALS)).n) == 12


def a_view():
    """Three deals of r1: won, lost, open, and what was done on them."""
    deals = [
        a_deal("won", amount="900", list_amount="1000", outcome="won", closed_at="2026-02-14T09:30:00Z", stage="Won"),
        a_deal("lost", outcome="lost", closed_at="2026-03-01T00:00:00Z", stage="Lost"),
        a_deal("open"),
        a_deal("lead", kind="lead"),
    ]
    contacts = [
        {"contact_id": c, "account_id": "a1", "seniority": s}
        for c, s in (("c1", "staff"), ("c2", "vp"), ("c3", "staff"))
    ]
    said = [
        # Two people met on the won deal, the vp among them; an e-mail is no meeting.
        an_activity(deal_id="won", contact_id="c1", kind="call", occurred_at="2026-01-10T10:00:00Z"),
        an_activity(deal_id="won", contact_id="c2", kind="meeting", occurred_at="2026-01-11T10:00:00Z"),
        an_activity(deal_id="lost", contact_id="c1", kind="call", occurred_at="2026-01-10T10:00:00Z"),
        an_activity(deal_id="lost", contact_id="c2", kind="email", occurred_at="2026-01-11T10:00:00Z"),
        # Friday 2026-02-06 noon, answered Monday 11:00: in time. Tuesday noon, answered Wednesday 13:00: not.
        an_activity(deal_id="open", kind="email", direction="in", occurred_at="2026-02-06T12:00:00Z"),
        an_activity(deal_id="open", kind="email", direction="out", occurred_at="2026-02-09T11:00:00Z"),
        an_activity(deal_id="open", kind="email", direction="in", occurred_at="2026-02-10T12:00:00Z"),
        an_activity(deal_id="open", kind="call", direction="out", occurred_at="2026-02-11T13:00:00Z"),
        # Too young to be judged.
        an_activity(deal_id="open", kind="email", direction="in", occurred_at="2026-05-30T12:00:00Z"),
    ]
    return view_of(deals=deals, accounts=[an_account()], reps=[a_rep()], contacts=contacts, activities=said)


def test_habits_are_counted_on_deals():
    view = a_view()
    sales = Sales.read(view, Company(), END)
    rows = habit_rows(view, sales, start=END - YEAR, end=END)
    found = {(r["habit"], r["deal_id"]): r["y"] for r in rows.to_dict("records")}
    assert found == {
        ("cycle", "won"): pytest.approx(np.log1p(40.0)),  # 5 January 9:30 to 14 February 9:30
        ("discount", "won"): pytest.approx(0.1),
        ("contacts", "won"): 1.0,
        ("contacts", "lost"): 0.0,
        ("decision_maker", "won"): 1.0,
        ("decision_maker", "lost"): 0.0,
        ("answers", "open"): 0.5,
    }


def test_what_is_written_down_later_is_not_known():
    view = a_view()
    sales = Sales.read(view, Company(), datetime(2026, 2, 10, tzinfo=UTC))
    rows = habit_rows(view, sales, start=END - YEAR, end=datetime(2026, 2, 10, tzinfo=UTC))
    assert set(rows["habit"]) == {"answers"} or rows.empty  # neither deal is closed yet
    assert not len(rows[rows["deal_id"] != "open"])


def test_a_stage_is_watched_for_as_long_as_most_need():
    """40 deals enter a stage in January; 30 pass after 10 days, 8 are lost after 20, 2 sit there still."""
    deals, changes = [], []
    for n in range(40):
        name, made = f"d{n:02d}", "2026-01-05T00:00:00Z"
        if n < 30:
            changes.append(a_change(name, "stage", "First", "Second", "2026-01-15T00:00:00Z"))
            deals.append(a_deal(name, stage="Second", created_at=made))
        elif n < 38:
            deals.append(a_deal(name, stage="First", created_at=made, outcome="lost", closed_at="2026-01-25T00:00:00Z"))
        else:
            deals.append(a_deal(name, stage="First", created_at=made))
    company = Company.model_validate({"stages": {"*": ["First", "Second"]}})
    view = view_of(deals=deals, deal_changes=changes, accounts=[an_account()], reps=[a_rep()])
    rows = habit_rows(view, Sales.read(view, company, END), start=END - YEAR, end=END)
    first = rows[rows["habit"] == "pass:First"]
    # Nine in ten of the 38 that left took at most 20 days: all 40 have been watched for longer; 30 passed.
    assert (len(first), first["y"].sum()) == (40, 30.0)


def test_a_person_gets_strengths_and_at_most_three_themes(monkeypatch):
    rng = np.random.default_rng(3)
    parts = []
    for number, name in enumerate(("answers", "contacts", "decision_maker", "pass:A", "pass:B")):
        share = np.full(14, 0.6)
        share[0], share[1] = (0.1, 0.95) if number < 4 else (0.95, 0.6)  # weak in four, strong in the fifth
        rows = a_world(50 + number, share, deals=80)
        parts.append(rows.assign(habit=name))
    rows = pd.concat(parts).sample(frac=1, random_state=int(rng.integers(9)))
    monkeypatch.setattr("planning.habits.habit_rows", lambda *_, **__: rows)
    sales = Sales.read(a_view(), Company(), END)
    found = Habits(a_view(), sales).of("r00")
    assert [g.habit.name for g in found.strengths] == ["pass:B"]
    assert len(found.themes) == 3
    assert all(g.gap < 0 and g.high < 0 for g in found.themes)
    assert found.since == []


@pytest.mark.parametrize(("after", "better"), [(0.3, False), (0.85, True)])
def test_falling_back_to_normal_is_no_improvement(monkeypatch, after, better):
    """r00 truly passes 30 % where others pass 60 %; later 30 % still, or 85 %."""
    share, later = np.full(14, 0.6), np.full(14, 0.6)
    share[0], later[0] = 0.3, after
    calls = iter([a_world(2, later, 60), a_world(1, share, 60), a_world(3, later, 60)])  # now, then, since
    monkeypatch.setattr("planning.habits.habit_rows", lambda *_, **__: next(calls))
    view = a_view()
    sales, before = (Sales.read(view, Company(), END - timedelta(days=d)) for d in (0, 90))
    (changed,) = Habits(view, sales, before=before).of("r00").since
    assert changed.deals == 60
    assert (changed.better, changed.worse) == (better, False)
    assert changed.low < (after - 0.3) < changed.high


def test_too_few_deals_since_are_said(monkeypatch):
    share = np.full(14, 0.6)
    share[0] = 0.2
    calls = iter([a_world(2, share, 60), a_world(1, share, 60), a_world(3, share, 5)])
    monkeypatch.setattr("planning.habits.habit_rows", lambda *_, **__: next(calls))
    view = a_view()
    sales = Sales.read(view, Company(), END)
    (changed,) = Habits(view, sales, before=sales).of("r00").since
    assert not changed.known
    assert changed.deals == 5
    assert not changed.better
