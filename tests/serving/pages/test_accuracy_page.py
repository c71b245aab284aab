"""What the accuracy page says about judged forecasts."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd

from crm.company import Company
from serving.accuracy import Accuracy, DealAccuracy, TotalAccuracy
from serving.format import Formats
from serving.i18n import language
from serving.pages import accuracy as page

EN = Formats(language("en"), "USD", ZoneInfo("UTC"), datetime(2026, 11, 24, tzinfo=UTC))


def company(*rows: tuple[float, float, float, float, float]) -> TotalAccuracy:
    columns = ["p10", "p50", "p90", "actual", "run_rate"]
    frame = pd.DataFrame(list(rows), columns=columns).assign(
        team_id="company",
        metric="bookings",
        as_of=pd.Timestamp("2026-08-03", tz="UTC"),
        period_start="2026-07-01",
        period_end="2026-10-01",
    )
    return TotalAccuracy({}, frame)


def test_the_finding_compares_with_todays_pace_and_counts_what_the_ranges_held():
    # Off by 10 and 20 of 200 in all: 15 %. The pace is off by 30 and 50: 40 %. The second result, 100, is past 95.
    teams = company((80, 110, 120, 100, 130), (70, 80, 95, 100, 150))
    found = Accuracy("issued", teams=teams)
    assert page._finding(EN, page._company_rows(teams, Company()), found) == (
        "The company's forecast missed by 15% on average, today's pace by 40%; its 80% ranges held 1 of 2 results."
    )


def test_only_the_companys_own_quarters_are_counted():
    teams = company((80, 110, 120, 100, 130))
    other = teams.rows.assign(team_id="t1", actual=1.0)
    year = teams.rows.assign(period_start="2026-01-01", period_end="2027-01-01", actual=2.0)
    both = TotalAccuracy({}, pd.concat([teams.rows, other, year]))
    assert list(page._company_rows(both, Company())["actual"]) == [100]


def test_a_gain_that_may_be_none_is_called_none():
    figures = {"skill": 0.02, "skill_low": -0.03, "skill_high": 0.07}
    text = page._finding(EN, pd.DataFrame(), Accuracy("issued", DealAccuracy(figures)))
    assert text == "Deal forecasts were no better than the base rate: 2% (90% range −3–7%)."
    sure = {"skill": 0.12, "skill_low": 0.08, "skill_high": 0.16}
    text = page._finding(EN, pd.DataFrame(), Accuracy("issued", DealAccuracy(sure)))
    assert text == "Deal forecasts explain 12% of what the base rate leaves open (90% range 8–16%)."


def test_few_groups_are_shown_as_no_picture():
    bins = pd.DataFrame({"forecast": [0.1], "realised": [0.1], "low": [0.0], "high": [0.2], "rows": [9]})
    assert page._bins(EN, DealAccuracy({}, bins)) is None
    many = pd.concat([bins] * 4 + [bins.assign(realised=0.3)])
    figure = page._bins(EN, DealAccuracy({}, many))
    assert figure is not None
    assert figure.title == "4 of 5 groups came true as said, within chance"
