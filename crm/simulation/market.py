"""What is sold to whom: products, accounts and their contacts, campaigns, market sizes, exchange rates, arrivals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from crm.simulation import names
from crm.simulation.calendar import DAY_US, Calendar, next_quarter, quarter_start
from crm.simulation.process import SEGMENTS
from crm.simulation.randomness import Bools, Floats, Ints, stream
from crm.simulation.staff import REGIONS, Staff

BASE_CURRENCY, OTHER_CURRENCY = "EUR", "CNY"
FAMILIES = ("Platform", "Service plan", "Instruments", "Consumables")
CONTRACT_OF_FAMILY = np.array([1, 2, 3, 3])
"""What a first purchase makes of an account: 1 yearly contract, 2 monthly contract, 3 orders as needed."""
PRODUCTS = pd.DataFrame(
    [
        ("P01", "Platform Core", 0, 180), ("P02", "Platform Plus", 0, 320), ("P03", "Platform Global", 0, 540),
        ("P04", "Service Basic", 1, 95), ("P05", "Service Complete", 1, 240),
        ("P06", "Bench Scanner", 2, 1_900), ("P07", "Line Scanner", 2, 6_800), ("P08", "Plant Scanner", 2, 21_000),
        ("P09", "Sensor Kit", 3, 85), ("P10", "Calibration Pack", 3, 40),
    ],
    columns=["product_id", "name", "family", "list_price"],
)  # fmt: skip
INDUSTRIES = ("Machinery", "Food", "Health", "Logistics", "Textiles", "Electronics")
_COUNTRIES = {
    "Europe North": ("Sweden", "Denmark"), "Europe South": ("Italy", "Spain"), "Europe West": ("France", "Netherlands"),
    "China East": ("China",), "China South": ("China",), "China North": ("China",),
}  # fmt: skip
_LEGACY_PER_SEAT = 14
_NEW_ACCOUNT = 0.6
_SALES_PER_WEEK = 0.80
_LEADS_PER_WEEK = 0.60
_STOCK_PER_SEAT = 7
_SENIORITIES = ("staff", "manager", "director", "vp", "c-level")


@dataclass(frozen=True)
class Market:
    """Accounts, in order of their number, with what arrives."""

    accounts: pd.DataFrame
    """account_id, name, industry, segment, country, region, employees, annual_revenue, created_at (microseconds)."""
    seat: Ints
    segment: Ints
    industry: Ints
    fit: Floats
    chinese: Bools
    customer_from_start: Bools
    contacts: pd.DataFrame
    first_contact: Ints
    contact_count: Ints
    """The last contact of an account is its decision maker."""
    arrivals: pd.DataFrame
    """week, seat, account, lead (bool), stock (bool: under way when the CRM was introduced), offset (0 to 1)."""
    rates: Floats
    """Base currency for one unit of the other currency, a day from `first_rate_day` on."""
    first_rate_day: int
    campaigns: pd.DataFrame
    market_sizes: pd.DataFrame


def open_market(seed: int, staff: Staff, calendar: Calendar) -> Market:
    """Draw the whole market beforehand; nothing here depends on what reps do."""
    campaigns, boost = _campaigns(stream(seed, "campaigns"), calendar)
    arrivals = _arrivals(stream(seed, "arrivals"), staff, calendar, boost)
    rng = stream(seed, "accounts")
    seats = len(staff.seat_team)
    new = np.asarray(arrivals["new_account"], dtype=bool)
    of_seat = np.asarray(arrivals["seat"], dtype=np.int64)
    new_per_seat = np.bincount(of_seat[new], minlength=seats)
    starts = np.concatenate([[0], np.cumsum(_LEGACY_PER_SEAT + new_per_seat)])
    before = _rank_before(new, of_seat)
    pool = _LEGACY_PER_SEAT + before
    chosen = np.where(new, pool, np.floor(np.asarray(arrivals["pick"]) * pool).astype(np.int64))
    account = starts[of_seat] + chosen
    seat = np.repeat(np.arange(seats), _LEGACY_PER_SEAT + new_per_seat)
    count = len(seat)
    legacy = np.arange(count) - starts[seat] < _LEGACY_PER_SEAT
    moment = calendar.working_time(np.asarray(arrivals["week"]), np.asarray(arrivals["offset"]))
    created = calendar.monday_us[0] - rng.integers(30, 1000, count) * DAY_US
    created[account[new]] = moment[new] - rng.integers(0, 3600 * 6, int(new.sum())) * 1_000_000
    team = staff.seat_team[seat]
    region = np.array(REGIONS)[team % len(REGIONS)]
    chinese = np.char.startswith(region, "China")
    mix = 0.15 * np.cos(team)  # territories differ in how many large customers they hold
    draw = rng.random(count)
    segment = (draw > 0.42 - mix).astype(np.int64) + (draw > 0.72 - mix)
    industry = rng.integers(0, len(INDUSTRIES), count)
    employees = np.exp(rng.normal(np.array([3.4, 5.3, 7.4])[segment], 0.5)).astype(np.int64) + 2
    accounts = pd.DataFrame(
        {
            "account_id": [f"A{n + 1:06d}" for n in range(count)],
            "name": names.companies(rng, chinese),
            "industry": np.array(INDUSTRIES)[industry],
            "segment": np.array(SEGMENTS)[segment],
            "country": [_COUNTRIES[place][n % len(_COUNTRIES[place])] for n, place in enumerate(region.tolist())],
            "region": region,
            "employees": employees,
            "annual_revenue": np.round(employees * np.exp(rng.normal(11.8, 0.4, count)), -3),
            "created_at": created // 1_000_000 * 1_000_000,
        }
    )
    contacts, first_contact, contact_count = _contacts(rng, accounts, chinese, calendar)
    rates, first_rate_day = _rates(stream(seed, "rates"), calendar)
    return Market(
        accounts=accounts,
        seat=seat,
        segment=segment,
        industry=industry,
        fit=rng.normal(0, 1, count),
        chinese=chinese,
        customer_from_start=legacy & (rng.random(count) < 0.6),
        contacts=contacts,
        first_contact=first_contact,
        contact_count=contact_count,
        arrivals=arrivals.assign(account=account).drop(columns=["new_account", "pick"]),
        rates=rates,
        first_rate_day=first_rate_day,
        campaigns=campaigns,
        market_sizes=_market_sizes(stream(seed, "sizes"), calendar),
    )


def _arrivals(rng: np.random.Generator, staff: Staff, calendar: Calendar, boost: Floats) -> pd.DataFrame:
    seats, weeks = staff.holder.shape
    busy = staff.ramp * calendar.season[None, :weeks] * np.exp(rng.normal(0, 0.15, (seats, 1)))
    sales, leads = rng.poisson(_SALES_PER_WEEK * busy), rng.poisson(_LEADS_PER_WEEK * busy * boost[None, :])
    stock = rng.poisson(_STOCK_PER_SEAT * (staff.ramp[:, 0] > 0))
    frames = []
    for counts, lead in ((sales, False), (leads, True)):
        seat, week = np.nonzero(counts)
        repeat = counts[seat, week]
        frames.append(
            pd.DataFrame({"week": week.repeat(repeat), "seat": seat.repeat(repeat), "lead": lead, "stock": False})
        )
    frames.append(pd.DataFrame({"week": 0, "seat": np.arange(seats).repeat(stock), "lead": False, "stock": True}))
    table = pd.concat(frames, ignore_index=True)
    table["offset"] = rng.random(len(table))
    table = table.sort_values(["week", "offset"], kind="stable", ignore_index=True)
    return table.assign(new_account=rng.random(len(table)) < _NEW_ACCOUNT, pick=rng.random(len(table)))


def _rank_before(flag: Bools, group: Ints) -> Ints:
    """For each row the number of earlier rows of its group whose flag is set."""
    counted = pd.Series(flag.astype(np.int64)).groupby(group).cumsum().to_numpy()
    return np.asarray(counted - flag, dtype=np.int64)


def _contacts(
    rng: np.random.Generator, accounts: pd.DataFrame, chinese: Bools, calendar: Calendar
) -> tuple[pd.DataFrame, Ints, Ints]:
    count = rng.integers(2, 6, len(accounts))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    owner = np.arange(len(accounts)).repeat(count)
    place = np.arange(len(owner)) - first[owner]
    last = place == count[owner] - 1
    level = np.where(
        last, rng.choice([3, 4], len(owner), p=[0.6, 0.4]), rng.choice([0, 1, 2], len(owner), p=[0.45, 0.35, 0.2])
    )
    seniority = [_SENIORITIES[n] for n in level.tolist()]
    created = accounts["created_at"].to_numpy()[owner] + place * 1_800_000_000
    left = (rng.random(len(owner)) < 0.03) & ~last
    left_at = created + rng.integers(100, 700, len(owner)) * DAY_US
    left &= left_at < calendar.monday_us[calendar.weeks]
    ids = [f"K{n + 1:06d}" for n in range(len(owner))]
    table = pd.DataFrame(
        {
            "contact_id": ids,
            "account_id": accounts["account_id"].to_numpy()[owner],
            "name": names.people(rng, chinese[owner]),
            "email": [f"{contact.lower()}@customer.example" for contact in ids],
            "title": names.titles(rng, seniority),
            "seniority": seniority,
            "created_at": created,
            "left_at": np.where(left, left_at, -1),
        }
    )
    return table, first, count


def _rates(rng: np.random.Generator, calendar: Calendar) -> tuple[Floats, int]:
    days = 7 * calendar.weeks
    return np.round(0.128 * np.exp(np.cumsum(rng.normal(0, 0.003, days))), 6), calendar.start_day


def _campaigns(rng: np.random.Generator, calendar: Calendar) -> tuple[pd.DataFrame, Floats]:
    count = max(8, calendar.weeks // 9)
    boost = np.ones(calendar.weeks)
    rows = []
    for n, week in enumerate(np.linspace(2, calendar.weeks - 5, count).astype(int).tolist()):
        length = int(rng.integers(2, 6))
        boost[week + 1 : week + 1 + length] *= 1.3
        begin = calendar.start + timedelta(weeks=week)
        kind = ("webinar", "trade fair", "e-mail series", "introductory offer")[n % 4]
        product = PRODUCTS["product_id"].iloc[int(rng.integers(0, len(PRODUCTS)))]
        segment = SEGMENTS[n % 3]
        cost = float(np.round(np.exp(rng.normal(9, 0.6)), -2))
        rows.append((f"M{n + 1:02d}", kind, product, segment, begin, begin + timedelta(weeks=length), cost))
    columns = ["campaign_id", "kind", "product_id", "segment", "starts_on", "ends_on", "cost"]
    return pd.DataFrame(rows, columns=columns), boost


def _market_sizes(rng: np.random.Generator, calendar: Calendar) -> pd.DataFrame:
    rows = []
    begin = quarter_start(calendar.start)
    growth = 1.0
    while begin < calendar.end:
        growth *= float(np.exp(rng.normal(0.01, 0.02)))
        for segment, size in zip(SEGMENTS, (6e7, 1.5e8, 4e8), strict=True):
            rows.append((segment, begin, next_quarter(begin), round(size * growth, -5), BASE_CURRENCY))
        begin = next_quarter(begin)
    return pd.DataFrame(rows, columns=["segment", "period_start", "period_end", "size", "currency"])
