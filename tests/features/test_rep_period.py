"""A rep in a quarter, worked out by hand."""

from tests.features.rows import a_change, a_deal, a_goal, a_touch, day, describe

GOALS = [
    a_goal(1, "2025-10-01", "2026-01-01", 1000.0),
    a_goal(2, "2026-01-01", "2026-04-01", 2000.0),
    a_goal(3, "2026-04-01", "2026-07-01", 4000.0),
    a_goal(4, "2026-04-01", "2026-07-01", 9.0, metric="won_deals"),
    a_goal(5, "2026-04-01", "2026-07-01", 99.0, product_id="p1"),
]
DEALS = [
    a_deal("w1", made="2025-10-01", closed="2025-12-31 23:59", outcome="won", amount=500.0),
    a_deal("w2", made="2025-10-01", closed="2026-03-31 12:00", outcome="won", amount=1500.0),
    a_deal("w3", made="2026-02-01", closed="2026-04-10", outcome="won", amount=700.0),
    a_deal("l1", made="2026-02-01", closed="2026-04-12", outcome="lost", amount=900.0),
    a_deal("o1", made="2026-04-01", amount=300.0, list_amount=400.0, close_date=day("2026-06-30").date()),
    a_deal(
        "o2", made="2026-03-02", closed="2026-06-01", outcome="won", amount=800.0, close_date=day("2026-07-01").date()
    ),
    a_deal("o3", made="2026-04-21", amount=100.0),
    a_deal("lead", made="2026-04-01", kind="lead"),
    a_deal("other", made="2026-04-01", owner_id="r2", amount=5000.0),
]
LOG = [
    a_change("2026-01-01", "amount", "1", "2", key="d0"),
    a_change("2026-01-01", "close_date", "2026-02-01", "2026-02-02", key="d0"),
    a_change("2026-05-05", "amount", "250", "300", key="o1"),
    a_change("2026-05-05", "close_date", "2026-06-01", "2026-06-30", key="o1"),
]
REPS = [{"rep_id": "r1", "hired_on": day("2025-10-02").date()}]


def test_a_rep_in_the_middle_of_a_quarter():
    row = describe("rep", "2026-04-20", reps=REPS, deals=DEALS, goals=GOALS, deal_changes=LOG)
    assert {
        "booked_in_period": 700,
        "wins_in_period": 1,
        "wins_90d": 2,  # w2 and w3
        "booked_90d": 2200,
        "booked_365d": 2700,
        "win_rate_365d": 3 / 4,
        "open_deals": 2,  # o1 and o2; o3 is still to come, a lead is no deal yet
        "open_amount": 250 + 800,  # o1 as it stood
        "open_list_amount": 400,
        "due_amount": 250,  # o2 is planned for the day after the quarter
        "oldest_open_days": 49,
        "target": 4000,
        "past_attainment": (500 + 1500) / (1000 + 2000),
        "period_days_left": 72,
        "tenure_days": 200,
        "wins_a_week": 3 * 7 / 200,
        "pipeline_cover": 1050 / (4000 - 700),
    }.items() <= row.items()


def test_activity_of_the_last_thirty_days():
    touches = [
        a_touch(1, "2026-03-20", "visit"),
        a_touch(2, "2026-03-22", "visit"),
        a_touch(3, "2026-04-02", "demo"),
        a_touch(4, "2026-04-03", "email", "out"),
        a_touch(5, "2026-04-04", "task"),
        a_touch(6, "2026-04-05", "call", rep_id="r2"),
    ]
    row = describe("rep", "2026-04-20", reps=REPS, deals=DEALS, activities=touches)
    assert (row["contacts_30d"], row["meetings_held_30d"]) == (3, 2)


def test_a_rep_of_whom_nothing_is_known():
    row = describe("rep", "2026-04-20", deals=DEALS, key="r7")
    assert (row["booked_in_period"], row["open_deals"], row["open_amount"]) == (0, 0, 0)
    assert [row[c] for c in ("target", "past_attainment", "tenure_days", "win_rate_365d", "pipeline_cover")] == [
        None
    ] * 5


def test_a_target_counts_from_when_it_was_written_down_and_the_newest_holds():
    goals = [
        a_goal(1, "2026-04-01", "2026-07-01", 4000.0, recorded_at=day("2026-03-15")),
        a_goal(2, "2026-04-01", "2026-07-01", 3000.0, recorded_at=day("2026-05-01")),
    ]
    assert describe("rep", "2026-04-20", deals=DEALS, goals=goals)["target"] == 4000
    assert describe("rep", "2026-05-02", deals=DEALS, goals=goals)["target"] == 3000


def test_open_amounts_that_are_not_logged_are_missing_not_0():
    row = describe("rep", "2026-04-20", deals=DEALS)
    assert (row["open_deals"], row["open_amount"]) == (2, None)
