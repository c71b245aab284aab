"""What the deals page says: rows, views, order, the finding; frames to words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

import pandas as pd

from crm.fiscal import Period
from serving.format import Formats
from serving.pages import words
from serving.pages.outlook import as_day, number
from serving.pages.wishes import ORDERS, Wish, typed

PAGE_SIZE = 50
SILENT_DAYS = 14


class Row(NamedTuple):
    """One deal in the table."""

    deal_id: str
    name: str
    under: str
    stage: str
    amount: str
    close_date: str
    late: bool
    chance: float | None
    low: float | None
    high: float | None
    expected: str
    why: str
    step: str
    no_step: str
    silent: str


class Head(NamedTuple):
    """A column's head: name, look, address that sorts by it."""

    name: str
    css: str
    address: str | None
    sorted: str | None


class Tab(NamedTuple):
    """A view of the deals."""

    name: str
    size: str
    address: str
    here: bool


def open_deals(
    scores: pd.DataFrame, facts: pd.DataFrame, names: Mapping[str, str], as_of: pd.Timestamp
) -> pd.DataFrame:
    """Scored deals with what the lake says about them: one row each, index deal_id.

    Parameters
    ----------
    scores : DataFrame
        Rows of deals.parquet.
    facts : DataFrame
        `pages.facts.Facts.deals`.
    names : mapping
        rep_id to name.
    """
    both = scores.drop(columns=[c for c in facts.columns if c in scores.columns]).set_index("deal_id").join(facts)
    silent = (as_of - pd.to_datetime(both["last_touch"], utc=True)) / pd.Timedelta(days=1)
    return both.assign(
        days_silent=silent.clip(lower=0),
        owner=both["owner_id"].map(names).astype(object).fillna(both["owner_id"]),
        name=both["name"].astype(object).fillna(pd.Series(both.index, index=both.index)),
    )


def in_view(deals: pd.DataFrame, view: str, *, today: date, period: Period) -> pd.DataFrame:
    """The deals of one view."""
    planned = pd.to_datetime(deals["close_date"])
    if view == "closing":
        return deals[(planned >= pd.Timestamp(today)) & (planned < pd.Timestamp(period.end))]
    if view == "silent":
        return deals[~(deals["days_silent"] < SILENT_DAYS)]
    if view == "past":
        return deals[planned < pd.Timestamp(today)]
    return deals


def matching(deals: pd.DataFrame, wish: Wish) -> pd.DataFrame:
    """Deals that pass the filters; a search is in name, customer and owner."""
    for column, wanted in (("owner_id", wish.owner), ("stage", wish.stage), ("kind", wish.kind)):
        if wanted:
            deals = deals[deals[column] == wanted]
    if wish.least:
        deals = deals[deals["amount"] >= (typed(wish.least) or 0.0)]
    if wish.odds:
        deals = deals[deals["win_probability"] >= (typed(wish.odds) or 0.0) / 100]
    if q := wish.q:
        text = deals["name"].fillna("") + " " + deals["account"].fillna("") + " " + deals["owner"].fillna("")
        deals = deals[text.str.contains(q, case=False, regex=False)]
    return deals


def page_of(deals: pd.DataFrame, wish: Wish) -> tuple[pd.DataFrame, str]:
    """The rows after the last one seen, in the order wished; and the last of them where more follow, else ''."""
    column = ORDERS[wish.sort.removeprefix("-")][0]
    ordered = (
        deals.assign(_id=deals.index)
        .sort_values([column, "_id"], ascending=[not wish.sort.startswith("-"), True], na_position="last")
        .drop(columns="_id")
    )
    start = ordered.index.get_loc(wish.after) + 1 if wish.after in ordered.index else 0
    rows = ordered.iloc[start : start + PAGE_SIZE]
    return rows, str(rows.index[-1]) if start + PAGE_SIZE < len(ordered) else ""


def rows_of(
    f: Formats, page: pd.DataFrame, today: date, why: Callable[[str], str], step: Callable[[str], str]
) -> list[Row]:
    """Rows in words; `why` and `step` give a deal's main reason and next step, '' where there is none."""
    say = f.language.say
    rows = []
    for deal in page.reset_index().to_dict("records"):
        ident, planned = str(deal["deal_id"]), deal["close_date"]
        day = as_day(planned) if pd.notna(planned) else None
        silent = number(deal["days_silent"])
        rows.append(
            Row(
                deal_id=ident,
                name=words.text_or(deal["name"], ident),
                under=_under(deal),
                stage=words.text_or(deal["stage"], "—"),
                amount=f.money_full(number(deal["amount"])),
                close_date=f.date(day),
                late=day is not None and day < today,
                chance=number(deal["win_probability"]),
                low=number(deal["win_probability_low"]),
                high=number(deal["win_probability_high"]),
                expected=f.money_full(number(deal["expected_amount"])),
                why=why(ident),
                step=step(ident),
                no_step=say("Nothing known would change this deal much now."),
                silent=say("never") if silent is None else f.number(int(silent)),
            )
        )
    return rows


def _under(deal: Mapping[str, Any]) -> str:
    """Customer and owner, without the customer where the deal's name says it."""
    name, account, owner = (words.text_or(deal[column], "") for column in ("name", "account", "owner"))
    return " · ".join(text for text in ("" if account in name else account, owner) if text)


def heads(f: Formats, wish: Wish) -> list[Head]:
    """Heads of the table in its order."""
    say = f.language.say
    columns = [
        (say("Deal"), "", "name"),
        (say("Stage"), "fold", ""),
        (say("Amount, {unit}", unit=f.currency), "num", "amount"),
        (say("Close date"), "num fold", "close"),
        (say("Chance to win"), "num", "chance"),
        (say("Expected"), "num fold", "expected"),
        (say("Next step and main reason"), "fold", ""),
        (say("Days silent"), "num fold", "silent"),
    ]
    return [_head(wish, *column) for column in columns]


def _head(wish: Wish, name: str, css: str, order: str) -> Head:
    if not order:
        return Head(name, css, None, None)
    here = wish.sort.removeprefix("-") == order
    down = wish.sort.startswith("-") if here else not ORDERS[order][1]
    address = wish.address(sort=order if down else f"-{order}")
    return Head(name, css, address, ("descending" if down else "ascending") if here else None)


def tabs(f: Formats, deals: pd.DataFrame, wish: Wish, *, today: date, period: Period) -> list[Tab]:
    """The views with their counts, within what is searched for."""
    say = f.language.say
    named = {
        "": say("All open"),
        "closing": say("Closing this period"),
        "silent": say("Silent {n} days", n=SILENT_DAYS),
        "past": say("Past close date"),
    }
    return [
        Tab(
            name,
            f.number(len(in_view(deals, view, today=today, period=period))),
            wish.address(view=view),
            view == wish.view,
        )
        for view, name in named.items()
    ]


def finding(f: Formats, deals: pd.DataFrame) -> str:
    """The page's lead sentence."""
    return f.language.say_n(
        "{n} open deal, {amount}; {expected} expected to be won.",
        "{n} open deals, {amount}; {expected} expected to be won.",
        len(deals),
        amount=f.money(float(deals["amount"].sum())),
        expected=f.money(float(deals["expected_amount"].sum())),
    )


def due(today: date, days: object) -> date | None:
    """The day by which a step is due."""
    found = number(days)
    return today + timedelta(days=int(found)) if found is not None else None
