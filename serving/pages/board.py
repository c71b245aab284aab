"""The open deals as a board: a column for each stage with its count and sums; nothing is dragged, the CRM owns it."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import pandas as pd

from crm.company import Company
from serving.format import Formats
from serving.pages import words
from serving.pages.outlook import as_day, number
from serving.pages.wishes import ORDERS, Wish

MOST = 8


class Card(NamedTuple):
    """A deal on the board."""

    deal_id: str
    name: str
    under: str
    amount: str
    chance: str
    close_date: str
    late: bool


class Column(NamedTuple):
    """A stage with its deals; `more` names how many are not shown, and `address` lists them all."""

    stage: str
    size: str
    amount: str
    expected: str
    cards: list[Card]
    more: str
    address: str


def columns(f: Formats, deals: pd.DataFrame, company: Company, wish: Wish, today: date) -> list[Column]:
    """Stages in the company's order, each with its deals in the order wished for."""
    staged = deals.assign(stage=deals["stage"].astype(object).fillna("—"))
    stages = in_order(company, staged["stage"].unique().tolist())
    return [_column(f, stage, staged[staged["stage"] == stage], wish, today) for stage in stages]


def in_order(company: Company, stages: list[str]) -> list[str]:
    """As the pipelines have them, one pipeline after the other; others by name at the end."""
    order = list(dict.fromkeys(stage for own in company.stages.values() for stage in own))
    place = {stage: i for i, stage in enumerate(order)}
    return sorted(stages, key=lambda stage: (place.get(stage, len(order)), stage))


def _column(f: Formats, stage: str, deals: pd.DataFrame, wish: Wish, today: date) -> Column:
    column, _ = ORDERS[wish.sort.removeprefix("-")]
    ordered = deals.sort_values(column, ascending=not wish.sort.startswith("-"), na_position="last", kind="stable")
    left = len(ordered) - MOST
    return Column(
        stage,
        f.number(len(deals)),
        f.money(float(deals["amount"].sum())),
        f.money(float(deals["expected_amount"].sum())),
        [_card(f, str(ident), row, today) for ident, row in ordered.head(MOST).iterrows()],
        f.language.say_n("{n} more deal", "{n} more deals", left) if left > 0 else "",
        wish.address(stage=stage, look=""),
    )


def _card(f: Formats, ident: str, deal: pd.Series, today: date) -> Card:
    name, account, owner = (words.text_or(deal[c], "") for c in ("name", "account", "owner"))
    day = as_day(deal["close_date"]) if pd.notna(deal["close_date"]) else None
    return Card(
        ident,
        name or ident,
        " · ".join(text for text in ("" if account in name else account, owner) if text),
        f.money(number(deal["amount"])),
        f.chance(number(deal["win_probability"])),
        f.date(day),
        day is not None and day < today,
    )
