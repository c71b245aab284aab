"""The process is what the docstring of `crm.simulate` says: its figures stand in the code, its claims in the record."""

from datetime import date

import numpy as np
import pytest

import crm.simulate
from crm.simulation.calendar import Calendar
from crm.simulation.customers import HAZARD, RENEWAL_LEAD_WEEKS
from crm.simulation.process import (
    ACTIONS,
    INBOUND_RATE,
    KINDS,
    PRESENT,
    REPLY_RATE,
    SEGMENTS,
    STAGES,
    Process,
    after_event,
    all_lots,
    chances,
    lot_of,
    parts_of,
)
from crm.simulation.staff import hire_staff

DOC = " ".join((crm.simulate.__doc__ or "").split())


@pytest.fixture(scope="module")
def process():
    return Process("default", Calendar(date(2024, 11, 18), 104))


def test_the_written_effects_are_those_of_the_code(process):
    small, large = SEGMENTS.index("small"), SEGMENTS.index("enterprise")
    said = {"involve_decision_maker": "chance 0.85", "meeting": "a meeting 0.10", "call": "a call 0.03"}
    for action, words in said.items():
        assert words in DOC
        assert process.lift(action, small, 50) == process.lift(action, large, 50) == float(words.split()[-1])
    assert "a first demo with 0.70 in the enterprise segment and not at all elsewhere" in DOC
    assert process.lift("demo", large, 50) == 0.70
    assert process.lift("demo", small, 50) == 0
    assert "e-mails, visits, notes and tasks do nothing" in DOC
    assert all(process.lift(action, large, 50) == 0 for action in ("email", "visit", "note", "task"))


def test_the_written_habits_are_those_of_the_code(process):
    interest = process.actions[0, 1, :, 0]  # a small new deal in its second stage, nobody met, nothing shown
    email, call, meeting, demo = (interest[:, ACTIONS.index(name)] for name in ("email", "call", "meeting", "demo"))
    assert "e-mails go out above all where interest is low (trouble)" in DOC
    assert (np.diff(email) < 0).all()
    assert (np.diff(call) < 0).all()
    assert email[0] / email[-1] > call[0] / call[-1]
    assert "meetings and demos where it is high" in DOC
    assert (np.diff(meeting) > 0).all()
    assert (np.diff(demo) > 0).all()
    assert "customers answer, and write unasked, where interest is high" in DOC
    assert (np.diff(REPLY_RATE) > 0).all()
    assert (np.diff(INBOUND_RATE) > 0).all()


def test_the_written_figures_on_customers_and_absence_are_those_of_the_code():
    assert f"opens {RENEWAL_LEAD_WEEKS} weeks before it ends" in DOC
    assert f"a weekly chance of {HAZARD[-1] * 100:.1f} to {HAZARD[0] * 100:.1f} %" in DOC
    assert "away in about one week of twenty" in DOC
    assert pytest.approx(1 - 1 / 20) == PRESENT


def test_people_leave_and_are_away_as_often_as_written():
    calendar = Calendar(date(2021, 1, 4), 208)
    staff = hire_staff(0, 300, calendar)
    sellers = staff.reps.iloc[: len(staff.skill)]
    held = (staff.holder >= 0).sum()
    leavers = sellers["left_on"].notna().sum()
    assert "14 % of reps leave in a year" in DOC
    # Poisson count of leavers over the weeks held; nobody leaves in the first 20 weeks, so a little fewer.
    expected = 0.14 * held / 52
    assert expected * 0.85 - 3 * np.sqrt(expected) < leavers < expected + 3 * np.sqrt(expected)
    away = sum(
        (~staff.present[row, week]) for week in range(0, 208, 4) for row in staff.holder[:, week] if row >= 0
    ) / sum((staff.holder[:, week] >= 0).sum() for week in range(0, 208, 4))
    assert 0.04 < away < 0.07


def test_chances_are_those_of_competing_rates():
    # One rate r alone: 1 - exp(-r). Two rates a, b: they share 1 - exp(-(a + b)) as a : b.
    assert chances(np.array([[0.3, 0, 0, 0, 0]]))[0, 0] == pytest.approx(1 - np.exp(-0.3))
    both = chances(np.array([[0.2, 0.6, 0, 0, 0]]))[0]
    assert both[:2] == pytest.approx([0.25 * (1 - np.exp(-0.8)), 0.75 * (1 - np.exp(-0.8))])
    assert chances(np.zeros((1, 5))).sum() == 0


def test_every_chance_is_one_and_no_stage_is_left_at_its_end(process):
    lots = all_lots()
    for week in (0, 12, 50):
        for stage in range(5):
            for interest in range(5):
                chance = process.event_chances(lots, np.full(len(lots), stage), np.full(len(lots), interest), week)
                assert chance.min() >= 0
                assert chance.sum(axis=1).max() < 1
    kind = np.arange(len(KINDS))
    last = np.array([len(STAGES[k]) - 1 for k in kind])
    for event in (2, 3):  # an advance, a skip
        assert (after_event(kind, last, np.full(len(kind), event)) == last).all()
    assert (after_event(kind, 0 * kind, np.full(len(kind), 4)) == 0).all()


def test_lots_can_be_read_back():
    parts = parts_of(all_lots())
    assert (lot_of(*parts) == all_lots()).all()
    assert [int(part.max()) + 1 for part in parts] == [4, 3, 3, 2, 7]


def test_wins_double_in_a_quarters_last_weeks_and_losses_are_written_off_in_its_first():
    calendar = Calendar(date(2026, 1, 5), 26)
    pulse = Process("default", calendar).pulse
    left = calendar.weeks_left[:27]
    # Wins go with the season as advances do, losses do not.
    win, loss = pulse[:27, 0] / pulse[:27, 2], pulse[:27, 1]
    usual = (left > 3) & (left < 11)
    assert "wins double in a quarter's last weeks" in DOC
    assert win[left <= 1].min() >= 2 * win[usual].max()
    assert "losses are written off in its first one" in DOC
    assert loss[left >= 11].min() > 1.2 * loss[usual].max()
