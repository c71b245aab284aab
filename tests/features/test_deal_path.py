"""How a deal moved, counted by hand."""

from tests.features.rows import a_change, a_deal, describe

LOG = [
    a_change("2026-01-11", "stage", "Qualify", "Demo"),
    a_change("2026-01-21", "stage", "Demo", "Quote"),
    a_change("2026-02-10", "stage", "Quote", "Demo"),
    a_change("2026-02-20", "stage", "Demo", "Quote"),
    a_change("2026-01-15", "close_date", "2026-02-28", "2026-03-31"),
    a_change("2026-02-14", "close_date", "2026-03-31", "2026-04-30"),
    a_change("2026-02-16", "close_date", "2026-04-30", "2026-04-15"),
    a_change("2026-02-17", "amount", "100", "90"),
    a_change("2026-02-18", "amount", "90", "95.5"),
    a_change("2026-02-19", "owner_id", "r1", "r2"),
    a_change("2026-03-05", "close_date", "2026-04-15", "2026-06-30"),
]


def test_steps_pushes_cuts_and_speed():
    row = describe("deal", "2026-03-02", deals=[a_deal()], deal_changes=LOG)
    assert {
        "stages_passed": 3,
        "steps_back": 1,
        "steps_30d": 1,
        "close_date_pushes": 2,  # the third comes after 2 March
        "close_date_pulls": 1,
        "days_since_push": 16,
        "amount_cuts": 1,
        "amount_rises": 1,
        "owner_changes": 1,
        "days_since_change": 10,
        "stages_a_month": 3 * 30 / 60,  # 1 January to 2 March are 60 days
    }.items() <= row.items()


def test_a_deal_that_never_moved():
    row = describe("deal", "2026-03-02", deals=[a_deal(), a_deal("d2")], deal_changes=LOG, key="d2")
    assert (row["stages_passed"], row["close_date_pushes"], row["days_since_push"]) == (0, 0, None)
    assert (row["days_since_change"], row["days_in_stage"]) == (None, 60)
