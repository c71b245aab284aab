"""Features of reps found a second way: the log replayed deal by deal, periods and absences counted by pandas."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from crm.fiscal import previous
from features.build import build
from tests.features.history import known_at
from tests.features.small_company import small_company

AT = pd.Timestamp("2026-08-20 10:00", tz="UTC")
DAY = pd.Timedelta(days=1)


@cache
def tables():
    whole, company = small_company()
    names = ["deals", "deal_changes", "activities", "goals", "absences", "team_memberships", "reps"]
    found = {name: whole.arrow(name).to_pandas() for name in names}
    log = found["deal_changes"]
    found["deal_changes"] = log.assign(known=known_at("deal_changes", log)).sort_values(["changed_at", "_seq"])
    found["deals"] = found["deals"][found["deals"]["kind"] != "lead"].set_index("deal_id", drop=False)
    return found, company


@cache
def features():
    whole, company = small_company()
    spine = pd.DataFrame({"rep_id": whole.arrow("reps").column("rep_id").to_pylist(), "as_of": AT})
    rows = build(whole, spine.astype({"as_of": "datetime64[us, UTC]"}), "rep", company=company)
    return rows.set_index("rep_id")


@cache
def changes(field):
    log = tables()[0]["deal_changes"]
    mine = log[log["field"] == field]
    return dict(list(mine.groupby("deal_id"))), mine["known"].min()


def as_it_stood(deal, field, at):
    """A logged field of a deal at a moment; what can change is None before the company logged it."""
    log, since = changes(field)
    if at < since and field != "owner_id":
        return None
    if deal["deal_id"] not in log:
        return deal[field]
    mine = log[deal["deal_id"]]
    seen = mine[mine["known"] <= at]
    return seen["new_value"].iloc[-1] if len(seen) else mine["old_value"].iloc[0]


def open_at(at):
    deals = tables()[0]["deals"]
    return deals[(deals["created_at"] <= at) & ((deals["outcome"] == "open") | (deals["closed_at"] > at))]


def quarters(number):
    """Starts and ends of the running quarter and of those before it, newest first."""
    company = tables()[1]
    found = [company.period_of(AT.tz_convert(company.time_zone).date())]
    fiscal = company.fiscal
    while len(found) < number:
        found.append(previous(found[-1], "quarter", start_month=fiscal.start_month, named_by=fiscal.named_by))
    return [tuple(pd.Timestamp(m).tz_convert("UTC") for m in q.bounds(company.time_zone)) for q in found]


def rate_by_stage():
    """Share won by the quarter's end, where as much time was left, over the four quarters before; drawn to all."""
    left = quarters(1)[0][1] - AT
    rows = []
    for _, end in quarters(5)[1:]:
        for deal in open_at(end - left).to_dict("records"):
            won = deal["outcome"] == "won" and deal["closed_at"] < end
            rows.append((deal["pipeline"], as_it_stood(deal, "stage", end - left), won))
    past = pd.DataFrame(rows, columns=["pipeline", "stage", "won"])
    base = past["won"].mean()
    counts = past.groupby(["pipeline", "stage"])["won"].agg(["sum", "count"])
    return ((counts["sum"] + 10 * base) / (counts["count"] + 10)).to_dict(), base


@cache
def pipeline():
    """Deals open at the moment, by owner, amount and rate as they stood."""
    rates, base = rate_by_stage()
    rows = [
        {
            "rep": as_it_stood(deal, "owner_id", AT),
            "amount": float(as_it_stood(deal, "amount", AT)),
            "rate": rates.get((deal["pipeline"], as_it_stood(deal, "stage", AT)), base),
            **{name: deal[name] for name in ("account_id", "product_id", "kind")},
        }
        for deal in open_at(AT).to_dict("records")
    ]
    return pd.DataFrame(rows)


def agrees(name, wanted, otherwise=np.nan):
    found = features()[name]
    expected = wanted.reindex(found.index).astype(float)
    expected = expected.fillna(otherwise) if not np.isnan(otherwise) else expected
    assert expected.nunique() > 1, "a figure that all reps share would prove little"
    np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=name)


def test_open_deals_weighed_and_mixed():
    deals = pipeline()
    assert deals["rate"].nunique() > 3
    by_rep = deals.groupby("rep")
    agrees("open_amount", by_rep["amount"].sum(), 0)
    agrees("weighted_amount", (deals["amount"] * deals["rate"]).groupby(deals["rep"]).sum(), 0)
    agrees("open_accounts", by_rep["account_id"].nunique(), 0)
    new = deals[deals["kind"] == "new"].groupby("rep")["amount"].sum()
    agrees("new_share", new / by_rep["amount"].sum())
    top = deals.groupby(["rep", "product_id"])["amount"].sum().groupby("rep").max()
    agrees("top_product_share", top / by_rep["amount"].sum())


@pytest.mark.parametrize("days", [30, 90])
def test_pipeline_made(days):
    deals = tables()[0]["deals"]
    new = deals[(deals["created_at"] <= AT) & (deals["created_at"] > AT - days * DAY)].to_dict("records")
    made = pd.DataFrame(
        [(as_it_stood(d, "owner_id", AT), float(as_it_stood(d, "amount", AT))) for d in new], columns=["rep", "amount"]
    )
    agrees(f"made_{days}d", made.groupby("rep")["amount"].sum(), 0)


def test_contacts_against_the_own_past():
    touches = tables()[0]["activities"]
    ago = (AT - known_at("activities", touches)) / DAY
    touches = touches.assign(ago=ago)[(ago >= 0) & (ago <= 365) & ~touches["kind"].isin(["note", "task"])]
    new, old = (touches[which].groupby("rep_id").size() for which in (touches["ago"] < 30, touches["ago"] >= 30))
    first = touches.groupby("rep_id")["ago"].max()
    agrees("contacts_to_usual", ((new / 30) / (old / (first - 30)))[first >= 60])
    agrees("accounts_met_30d", touches[touches["ago"] < 30].groupby("rep_id")["account_id"].nunique(), 0)


def test_days_away_one_by_one():
    start = quarters(1)[0][0].date()
    hours = pd.Series(0.0, index=features().index)
    for rep, absences in tables()[0]["absences"].groupby("rep_id"):
        away = {day.date() for a in absences.to_dict("records") for day in pd.date_range(a["from"], a["to"])[:-1]}
        hours[rep] = sum(10 if day == AT.date() else 24 for day in away if start <= day <= AT.date())
    agrees("absent_days", hours / 24)


def owned_wins():
    deals = tables()[0]["deals"]
    won = deals[(deals["outcome"] == "won") & (deals["closed_at"] <= AT)].to_dict("records")
    rows = [(d["closed_at"], as_it_stood(d, "owner_id", d["closed_at"]), float(d["amount"])) for d in won]
    return pd.DataFrame(rows, columns=["at", "rep", "amount"])


def test_quarters_that_are_over_and_the_team():
    goals, wins = tables()[0]["goals"], owned_wins()
    goals = goals[goals["metric"] == "bookings"].assign(start=pd.to_datetime(goals["period_start"], utc=True))
    attained = {}
    for start, end in quarters(3)[1:][::-1]:
        booked = wins[(wins["at"] >= start) & (wins["at"] < end)].groupby("rep")["amount"].sum()
        mine = goals[(goals["start"] == start) & (goals["owner_kind"] == "rep")].set_index("owner_id")["target"]
        attained[start] = (booked.reindex(mine.index).fillna(0) / mine).rename("share")
    every = pd.concat(attained.values())
    agrees("last_attainment", every.groupby(level=0).last())
    agrees("mean_attainment", every.groupby(level=0).mean())
    start = quarters(1)[0][0]
    teams = tables()[0]["team_memberships"]
    # Nobody changed teams by then, so a win's team is the owner's.
    assert not (pd.to_datetime(teams["valid_to"], utc=True) <= AT).any()
    teams = teams[pd.to_datetime(teams["valid_from"], utc=True) <= AT].set_index("rep_id")["team_id"]
    target = goals[(goals["start"] == start) & (goals["owner_kind"] == "team")]
    target = target[pd.to_datetime(target["period_end"], utc=True) == quarters(1)[0][1]].set_index("owner_id")["target"]
    booked = wins[wins["at"] >= start].assign(team=lambda w: w["rep"].map(teams)).groupby("team")["amount"].sum()
    agrees("team_goal_booked", teams.map(booked).fillna(0) / teams.map(target))
    agrees("team_size", teams.map(teams.value_counts()))
