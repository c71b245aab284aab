"""Reports on small companies: figures that can be worked out by hand."""

from datetime import date
from math import exp, log

import pandas as pd
import pytest

from crm.company import Company
from planning.report_customers import joint, next_orders, repeats, score, segment_of, usual_gap
from planning.report_losses import against
from planning.report_sales import explained, speed
from planning.reports import NoSuchReport, report
from planning.sales import NoSuchPeriod, Sales, window
from tests.builders import a_deal, a_rep, an_account, an_order, at, view_of

MOMENT = at("2026-05-15T20:00:00Z")


def sales_of(**tables):
    return Sales.read(view_of(**tables), Company(), MOMENT)


def rows_of(table, key):
    return table.rows.set_index(key).to_dict("index")


def won(deal, day, amount, **values):
    return a_deal(deal, outcome="won", amount=str(amount), created_at="2026-01-05T00:00:00Z",
                  closed_at=f"{day}T10:00:00Z", **values)  # fmt: skip


def lost(deal, day, **values):
    return a_deal(deal, outcome="lost", created_at="2026-01-05T00:00:00Z", closed_at=f"{day}T10:00:00Z", **values)


def test_e4_3_velocity_is_explained_by_logs_that_add_up():
    now = {"deals": 80, "win_rate": 0.25, "amount": 18_000, "cycle_days": 60}
    before = {"deals": 75, "win_rate": 0.28, "amount": 17_000, "cycle_days": 56}
    assert (speed(**now), speed(**before)) == (pytest.approx(6_000), pytest.approx(6_375))
    found = explained(now, before)
    expected = {"deals": 0.0645, "win_rate": -0.1133, "amount": 0.0572, "cycle_days": -0.0690, "velocity": -0.0606}
    assert found == pytest.approx(expected, abs=5e-5)
    assert found["velocity"] == pytest.approx(log(6_000 / 6_375))
    assert exp(sum(found[name] for name in before)) == pytest.approx(6_000 / 6_375)


def test_e4_4_the_next_order_is_due_by_the_own_gap_drawn_to_the_segment_s():
    assert usual_gap([28, 31, 35, 30], 40) == pytest.approx(33.67, abs=5e-3)
    # The same from orders: 28, 31, 35 and 30 days apart; another customer of the segment gives the median of all five.
    days = ["2026-01-01", "2026-01-29", "2026-03-01", "2026-04-05", "2026-05-05"]
    rows = [("a", day) for day in days] + [("b", "2026-01-01"), ("b", "2026-04-01")]
    sold = pd.DataFrame(rows, columns=["account_id", "day"]).assign(segment="s", amount=100.0)
    sold["day"] = pd.to_datetime(sold["day"]).astype("datetime64[s]")
    found = rows_of(next_orders(sold, date(2026, 5, 15)), "account_id")
    # Gaps of the segment: 28, 30, 31, 35, 90: median 31; (4 * 30.5 + 2 * 31) / 6.
    assert found["a"]["usual_gap"] == pytest.approx(184 / 6)
    assert (found["a"]["due"], found["a"]["state"]) == (date(2026, 6, 5), "not yet")
    # b: (90 + 2 * 31) / 3 = 50.67; silent 44 days.
    assert found["b"]["state"] == "not yet"
    # Late after 1.5 gaps: on day 76.01 of silence; gone after three.
    states = [rows_of(next_orders(sold, day), "account_id")["b"]["state"]
              for day in (date(2026, 5, 22), date(2026, 6, 17), date(2026, 9, 1))]  # fmt: skip
    assert states == ["due", "late", "gone"]


def test_e4_5_a_rate_against_a_competitor_has_its_interval():
    rows = pd.DataFrame({"competitor": ["X"] * 24 + ["Y"] * 4, "won": [True] * 6 + [False] * 22})
    nobody = pd.DataFrame({"competitor": ["X"], "amount": [500.0]})
    found = against("X", rows, rows, nobody)
    assert (found["rate"], found["low"], found["high"]) == (
        0.25,
        pytest.approx(0.135, abs=5e-4),
        pytest.approx(0.415, abs=5e-4),
    )
    assert (found["open_amount"], found["rising"]) == (500, "")
    few = against("Y", rows, rows, nobody)
    assert (few["rate"], few["few"]) == (None, "yes")


def test_e4_6_ranks_become_scores_and_scores_segments():
    assert [score(rank, 20) for rank in (17, 9, 13)] == [5, 3, 4]
    assert joint(3, 4) == 4
    assert segment_of(5, 4) == "champions"
    assert score(4.5, 20) == 2
    assert [segment_of(r, f) for r, f in ((4, 3), (4, 2), (3, 5), (3, 1), (2, 4), (1, 3), (2, 1))] == [
        "loyal", "promising", "loyal", "need attention", "can't lose", "at risk", "asleep",
    ]  # fmt: skip


def test_repeat_purchase_follows_each_customer_as_far_as_it_can():
    days = [("a", "2025-01-10"), ("a", "2025-03-11"), ("b", "2025-02-01"), ("c", "2026-04-01"), ("c", "2026-04-21"),
            ("d", "2026-05-01")]  # fmt: skip
    sold = pd.DataFrame(days, columns=["account_id", "day"])
    sold["day"] = pd.to_datetime(sold["day"]).astype("datetime64[s]")
    found = rows_of(repeats(sold, date(2026, 5, 15)), "quarter")
    assert (found["2025Q1"]["again"], found["2025Q1"]["followed"]) == (0.5, "whole")
    # d has been watched for 14 days only, so at day 20 c is the only one at risk: 1 of 1.
    assert (found["2026Q2"]["again"], found["2026Q2"]["followed"]) == (1.0, "part")


def test_under_twenty_customers_get_a_list_without_scores():
    found = report("customers", sales_of(deals=[], accounts=[an_account()], orders=[an_order()]), window_of())
    assert "without scores" in found.notes[0]
    assert found.table("rfm").rows["segment"].tolist() == [""]
    # 500 on 20 January: 115 days ago.
    assert found.table("rfm").rows[["days_since", "orders", "amount"]].to_numpy().tolist() == [[115, 1, 500]]


def window_of(period="quarter"):
    return window(period, Company(), date(2026, 5, 15))


def test_a_running_period_is_compared_with_like_days_of_the_one_before():
    now = window_of()
    # 45 days of the second quarter, with the first 45 of the first.
    assert (now.start, now.end) == (date(2026, 4, 1), date(2026, 5, 16))
    assert (now.start_before, now.end_before) == (date(2026, 1, 1), date(2026, 2, 15))
    last = window_of("last-quarter")
    assert (last.start, last.end, last.start_before) == (date(2026, 1, 1), date(2026, 4, 1), date(2025, 10, 1))
    with pytest.raises(NoSuchPeriod, match="last-month"):
        window_of("fortnight")


@pytest.fixture(scope="module")
def small():
    """Two people in two teams, two products; 3,000 won in the quarter, 4,000 in the like days before."""
    return sales_of(
        reps=[a_rep("r1", team_id="T1"), a_rep("r2", team_id="T2")],
        teams=[{"team_id": "T1", "name": "One"}, {"team_id": "T2", "name": "Two"}],
        products=[{"product_id": "p1", "name": "P", "family": "F"}, {"product_id": "p2", "name": "Q", "family": "F"}],
        accounts=[an_account("a1", region="North"), an_account("a2", region="South")],
        deals=[
            won("d1", "2026-04-10", 1000, product_id="p1", competitor="X"),
            won("d2", "2026-05-10", 2000, product_id="p2", owner_id="r2", account_id="a2"),
            won("d3", "2026-02-10", 4000, product_id="p1"),
            won("late", "2026-03-20", 9000, product_id="p1"),
            lost("d4", "2026-05-02", loss_reason="price", competitor="X"),
            lost("d5", "2026-05-03", loss_reason=None),
            a_deal("d6", product_id="p1", competitor="X"),
        ],
    )


def test_trend_compares_bookings_of_like_days(small):
    found = report("trend", small, window_of())
    assert (found.facts["bookings"], found.facts["before"], found.facts["change"]) == (3000, 4000, -0.25)
    assert found.facts["year_before"] is None  # the data do not reach that far
    months = rows_of(found.table("months"), "month")
    assert {m: row["bookings"] for m, row in months.items()} == {
        "2026-02": 4000, "2026-03": 9000, "2026-04": 1000, "2026-05": 2000,
    }  # fmt: skip
    teams = rows_of(found.table("teams"), "name")
    assert (teams["T1"]["bookings"], teams["T1"]["before"], teams["T2"]["share"]) == (1000, 4000, pytest.approx(2 / 3))


def test_mix_names_what_gained_and_what_lost(small):
    found = report("mix", small, window_of())
    assert (found.facts["up"], found.facts["up_by"]) == ("p2", pytest.approx(2 / 3))
    assert (found.facts["down"], found.facts["down_by"]) == ("p1", pytest.approx(-2 / 3))
    assert rows_of(found.table("regions"), "name")["South"]["bookings"] == 2000


def test_losses_by_reason_have_a_row_for_what_was_not_recorded(small):
    found = report("win-loss", small, window_of())
    assert found.table("reasons").rows[["reason", "lost", "share"]].to_numpy().tolist() == [
        ["price", 1, 0.5],
        ["", 1, 0.5],
    ]
    rivals = rows_of(found.table("competitors"), "competitor")
    assert (rivals["X"]["closed"], rivals["X"]["won"], rivals["X"]["few"]) == (2, 1, "yes")
    assert (rivals[""]["closed"], rivals["X"]["open_amount"]) == (2, 1000)


def test_a_part_of_the_company_has_its_own_reports(small):
    assert report("trend", small.of_team("T1"), window_of()).facts["bookings"] == 1000
    assert report("trend", small.of_product("p2"), window_of()).facts["bookings"] == 2000
    assert report("trend", small.of_product("F"), window_of()).facts["bookings"] == 3000
    mine = small.only(lambda owner: owner == "r2", lambda account: account == "a2")
    assert report("trend", mine, window_of()).facts["bookings"] == 2000
    assert mine.orders["account_id"].tolist() == ["a2"]  # without orders, deals won stand for them


@pytest.mark.parametrize("name", ["trend", "funnel", "customers", "mix", "win-loss", "velocity"])
def test_a_company_without_deals_has_empty_reports(name):
    found = report(name, sales_of(deals=[]), window_of())
    assert all(set(table.rows.columns) == set(table.columns) for table in found.tables)


def test_a_report_that_is_not_known_is_named_with_those_that_are():
    with pytest.raises(NoSuchReport, match="Known: trend, funnel"):
        report("weather", sales_of(deals=[]), window_of())
