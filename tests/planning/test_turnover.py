"""Targets when people join, leave or move within a period."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planning.capacity import Person, capacity
from planning.turnover import Segment, by_days, join, leave, move, rebase, seat, totals
from planning.workdays import Workdays

START, END, DAY = date(2026, 4, 1), date(2026, 7, 1), date(2026, 5, 16)
DAYS = Workdays()
SHARE = by_days(DAYS)
SPLIT = [Segment(who, "T", START, END, Decimal(t)) for who, t in (("A", 459_000), ("B", 230_000), ("C", 311_000))]
LEFT = {
    person.rep_id: capacity(person, DAY, END, DAYS)
    for person in (Person("A", date(2020, 1, 1)), Person("B", date(2026, 3, 1)))
}


def before(segments, day):
    """Per owner what is carried wholly before a day."""
    return totals([part for part in segments if part.end <= day])


def test_e2_8_who_leaves_keeps_the_days_worked():
    # 22 days of April and 11 of May are 33 of 65: 311 · 33/65 = 157.9. The other 153 over 32 and 10·0.5 + 22·0.75.
    assert pytest.approx({"A": 32, "B": 21.5}) == LEFT
    after = leave(SPLIT, "C", DAY, SHARE, vacancy="redistribute", capacity_left=LEFT)
    assert totals(after) == {"A": 551_000, "B": 291_000, "C": 158_000}
    assert [p for p in after if p.owner_id == "C"] == [Segment("C", "T", START, DAY, Decimal(158_000))]
    assert [p for p in after if p.end == END and p.start == START] == SPLIT[:2]


def test_by_default_the_rest_waits_at_the_team_s_open_seat():
    assert totals(leave(SPLIT, "C", DAY, SHARE)) == {"A": 459_000, "B": 230_000, "C": 158_000, seat("T"): 153_000}


def test_who_joins_takes_from_the_open_seat_by_capacity():
    # Hired on 1 June: 22 days in the first month count 0 of a full seat's 22, so nothing; a tenured one takes all.
    vacant = leave(SPLIT, "C", DAY, SHARE)
    day = date(2026, 6, 1)
    full = capacity(Person("x", date(2020, 1, 1)), day, END, DAYS)
    newcomer = join(vacant, "D", "T", day, SHARE, capacity=0.0, full_capacity=full)
    assert totals(newcomer) == totals(vacant)
    # The seat's 153 lie over 10 days of May and 22 of June: 47.8 and 105.2, so 48 and 105. Half of 105 is 52.5 each:
    # the odd thousand goes to the smaller name, D.
    half = join(vacant, "D", "T", day, SHARE, capacity=11.0, full_capacity=full)
    assert totals(half)["D"] == 53_000
    assert totals(half)[seat("T")] == 100_000


def test_without_an_open_seat_a_newcomer_changes_nothing():
    assert join(SPLIT, "D", "T", DAY, SHARE, capacity=32, full_capacity=32) == SPLIT


def test_a_team_may_be_split_anew_from_a_day_on():
    # After 33 of 65 days: A 226, B 113, C 153 (and 233, 117, 158 before, rounded). 492 over 32 : 21.5 : 25.6 : 32.
    after = rebase(SPLIT, "T", DAY, SHARE, capacity_left={**LEFT, "C": 25.6, "D": 32})
    assert before(after, DAY) == {"A": 233_000, "B": 117_000, "C": 158_000}
    # 492/111.1 = 4.42844: 141.7, 95.2, 113.4, 141.7; two units over go to the 0.71s.
    assert totals([p for p in after if p.start == DAY]) == {"A": 142_000, "B": 95_000, "C": 113_000, "D": 142_000}


def test_a_move_keeps_both_teams_totals():
    two = [*SPLIT, Segment(seat("U"), "U", START, END, Decimal(100_000))]
    after = move(two, "C", "U", DAY, SHARE, capacity=25.6, full_capacity=32)
    assert totals(after, "team_id") == totals(two, "team_id")
    # U's seat from then on: 100 · 32/65 = 49.2, in thousands 49; C takes 0.8 of it, 39.2.
    assert totals([p for p in after if p.team_id == "U"])["C"] == 39_000
    assert totals(after)[seat("T")] == 153_000


@given(
    st.lists(st.decimals(0, 1_000_000, places=2), min_size=3, max_size=5),
    st.dates(START, END),
    st.sampled_from(["leave", "redistribute", "join", "rebase"]),
    st.sampled_from([Decimal("0.01"), Decimal(1000)]),
)
def test_the_total_stays_to_the_cent_and_what_was_is_never_touched(targets, day, what, unit):
    old = [Segment(f"p{i}", "T", START, END, target) for i, target in enumerate(targets)]
    others = {f"p{i}": float(i) for i in range(1, len(targets))}
    new = {
        "leave": lambda: leave(old, "p0", day, SHARE, unit=unit),
        "redistribute": lambda: leave(old, "p0", day, SHARE, vacancy="redistribute", capacity_left=others, unit=unit),
        "join": lambda: join(leave(old, "p0", day, SHARE, unit=unit), "q", "T", day, SHARE, capacity=1, full_capacity=3,
                             unit=unit),
        "rebase": lambda: rebase(old, "T", day, SHARE, capacity_left=others, unit=unit),
    }[what]()  # fmt: skip
    assert sum(p.target for p in new) == sum(targets)
    assert all(p.start >= day for p in new if p not in old and p.owner_id != "p0" and p.end > day)
    # Nobody has more before the day than the whole of what was theirs, and newcomers have nothing there.
    was = totals(old)
    assert all(value <= was[who] for who, value in before(new, day).items())
