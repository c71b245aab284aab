"""Leads: which are worth pursuing first? And which customers without a deal are like those who bought?"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from models.lead_worth import LeadWorth
from serving.pages import listing, words
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import as_day, number
from serving.pages.rail import Rail

router = APIRouter(include_in_schema=False)
RAIL = Rail("leads", "work", 3, lambda say: say("Leads"), "/leads")
PAGE_SIZE = 50
MOST_LIKE = 25
ORDERS = {"value": ("value", False), "odds": ("win_probability", False), "due": ("due", True), "name": ("name", True)}


class Lead(NamedTuple):
    """A lead in words."""

    deal_id: str
    name: str
    under: str
    source: str
    chance: float | None
    low: float | None
    high: float | None
    worth: str
    value: str
    due: str
    late: bool
    silent: str


class Alike(NamedTuple):
    """A customer without a deal, and how like those who bought it is."""

    account_id: str
    name: str
    segment: str
    chance: str
    trait: str


class Prospects(NamedTuple):
    """What is learnt of leads and first deals from one data cut."""

    worth: LeadWorth
    alike: pd.DataFrame
    base: float
    better: bool
    gain: float
    deals: int


@router.get("/leads")
def list_leads(desk: DeskDep, sort: str = "value", after: str = "") -> HTMLResponse:
    """Open leads by expected value, and customers without a deal by likeness to won ones."""
    if (missing := desk.without("leads", "leads")) is not None:
        return missing
    found, sort = _prospects(desk), sort if sort in ORDERS else "value"
    every = _leads(desk, found)
    column, up = ORDERS[sort]
    every = every.sort_values([column, "_id"], ascending=[up, True], na_position="last")
    start = int(every.index.get_loc(after)) + 1 if after in every.index else 0
    page = every.iloc[start : start + PAGE_SIZE]
    follow = {"sort": sort, "after": str(page.index[-1])} if start + PAGE_SIZE < len(every) else None
    return desk.show(
        "leads.html",
        "leads",
        finding=_finding(desk, every),
        model_note=desk.model_note("win"),
        rows=[_row(desk, r) for r in page.to_dict("records")],
        heads=_heads(desk, sort),
        next=f"/leads?{urlencode(follow)}" if follow else "",
        page_size=PAGE_SIZE,
        basis=_basis(desk, found),
        alike=_alike(desk, found),
        alike_said=_alike_said(desk, found),
    )


def _heads(desk: Desk, sort: str) -> list[listing.Head]:
    """Heads of the leads' columns; some sort by their column."""
    say = desk.language.say
    columns = [
        ("name", say("Lead"), ""), ("", say("Source"), "fold"), ("odds", say("Chance to convert"), "num"),
        ("", say("Worth if it converts"), "num fold"), ("value", say("Expected value"), "num"),
        ("due", say("Due"), "num"), ("", say("Days silent"), "num fold"),
    ]  # fmt: skip
    order = {key: "ascending" if up else "descending" for key, (_, up) in ORDERS.items()}
    return [
        listing.Head(name, css, f"/leads?sort={key}" if key else None, order[key] if key == sort else None)
        for key, name, css in columns
    ]


def _leads(desk: Desk, found: Prospects) -> pd.DataFrame:
    """Leads with what they would be worth and when they are due."""
    every = listing.open_deals(desk.frame("leads"), desk.facts.deals, desk.names, pd.Timestamp(desk.as_of))
    segment = every["account_id"].map(desk.facts.accounts["segment"]).astype(object)
    own = every["expected_amount"].astype(float) / every["win_probability"].astype(float).where(lambda p: p > 0)
    worth = own.fillna(found.worth.of(segment))
    planned = pd.to_datetime(every["close_date"]).fillna(pd.to_datetime(every["expected_close_date"]))
    return every.assign(
        worth=worth, value=worth * every["win_probability"].astype(float), due=planned, _id=every.index.astype(str)
    )


def _row(desk: Desk, lead: dict[str, Any]) -> Lead:
    f, ident = desk.formats, str(lead["_id"])
    name, account, owner = (words.text_or(lead[c], "") for c in ("name", "account", "owner"))
    day, silent = as_day(lead["due"]) if pd.notna(lead["due"]) else None, number(lead["days_silent"])
    return Lead(
        ident,
        name or ident,
        " · ".join(text for text in ("" if account in name else account, owner) if text),
        words.text_or(lead["source"], "—"),
        number(lead["win_probability"]),
        number(lead["win_probability_low"]),
        number(lead["win_probability_high"]),
        f.money_full(number(lead["worth"])),
        f.money_full(number(lead["value"])),
        f.date(day),
        day is not None and day < desk.today,
        desk.language.say("never") if silent is None else f.number(int(silent)),
    )


def _finding(desk: Desk, leads: pd.DataFrame) -> str:
    f = desk.formats
    if leads.empty:
        return desk.language.say("No lead is open.")
    return desk.language.say_n(
        "{n} open lead; {count} expected to convert, worth {value}.",
        "{n} open leads; {count} expected to convert, worth {value}.",
        len(leads),
        count=f.number(float(leads["win_probability"].sum()), 0 if leads["win_probability"].sum() >= 10 else 1),
        value=f.money(float(leads["value"].sum())),
    )


def _basis(desk: Desk, found: Prospects) -> str:
    deals = desk.facts.deals
    ended = deals[(deals["kind"] == "lead") & deals["outcome"].isin(["won", "lost"])]
    if ended.empty or not found.worth.leads_:
        return desk.language.say("No lead has converted yet, so what one is worth is not known.")
    return desk.language.say(
        "Of all leads that ended, {rate} converted. A converted lead brought {mean} on average, lost sales counted "
        "as 0 ({n} leads); amounts in {currency}.",
        rate=desk.formats.percent(float((ended["outcome"] == "won").mean())),
        mean=desk.formats.money(found.worth.mean_),
        n=desk.formats.number(found.worth.leads_),
        currency=desk.formats.currency,
    )


def _alike(desk: Desk, found: Prospects) -> list[Alike]:
    accounts, say = desk.facts.accounts, desk.language.say
    names = {
        "segment": say("Segment"),
        "industry": say("Industry"),
        "country": say("Country"),
        "region": say("Region"),
        "employees": say("Employees"),
        "annual_revenue": say("Yearly revenue"),
    }
    seen = found.alike[[desk.sight.account(a) for a in found.alike["account_id"]]]
    rows = []
    for row in seen.head(MOST_LIKE).to_dict("records"):
        fact = accounts.loc[row["account_id"]]
        value = row["value"]
        shown = desk.formats.number(value) if isinstance(value, float) else str(value)
        rows.append(
            Alike(
                str(row["account_id"]),
                words.text_or(fact["name"], str(row["account_id"])),
                words.text_or(fact["segment"], "—"),
                desk.formats.chance(row["chance"]),
                f"{names[row['trait']]}: {shown}" if row["trait"] else "—",
            )
        )
    return rows


def _alike_said(desk: Desk, found: Prospects) -> str:
    """What the ranking rests on, or why there is none."""
    f, say = desk.formats, desk.language.say
    if not found.deals:
        return say("No first deal with a customer has ended yet, so nothing can be said of those without one.")
    values = {"base": f.percent(found.base), "n": f.number(found.deals)}
    if not found.better:
        return say(
            "Nobody is ranked here: on past dates, what is known of a customer told no more about its first deal than "
            "the base rate of {base} ({n} first deals).",
            **values,
        )
    return say(
        "Chance that a first deal would be won, by what is known of the customer; the base rate is {base} "
        "({n} first deals). On past dates this was better than the base rate.",
        **values,
    )


_kept: OrderedDict[tuple[object, ...], Prospects] = OrderedDict()
_lock = Lock()


def _prospects(desk: Desk) -> Prospects:
    """What is learnt from the data cut; worked out once, the newest few are kept."""
    key = (desk.cut, desk.as_of, desk.company.base_currency)
    with _lock:
        if key not in _kept:
            _kept[key] = _learn(desk)
            while len(_kept) > 2:
                _kept.popitem(last=False)
        return _kept[key]


def _learn(desk: Desk) -> Prospects:
    from models.likeness import Likeness  # scikit-learn, which no other page needs

    at = pd.Timestamp(desk.as_of)
    like = Likeness().fit(desk.view, until=at)
    worth = LeadWorth().fit(desk.view, desk.company, until=at)
    return Prospects(worth, like.rank(desk.view, at=at), like.base_, like.better_, like.gain_, like.deals_)
