"""What if a deal had another date, amount or more meetings? In the model's eyes; a form, and a piece of page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from crm.errors import BellwetherError
from serving.deal_charts import supposed_curve
from serving.dependencies import Server, ServerDep
from serving.drawing import Figure
from serving.live import Answer, Ready
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import as_day, number
from serving.what_if import Supposed, WhatIf, rows_with

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A number that can be moved: its bounds, and where it stands."""

    name: str
    label: str
    unit: str
    low: int
    high: int
    step: int
    value: int


@dataclass(frozen=True, slots=True)
class Panel:
    """The panel of one deal: what can be moved, and what the model says of it."""

    fields: list[Field]
    address: str
    asked: bool
    said: str = ""
    figure: Figure | None = None
    problem: str = ""


@router.get("/deals/{deal_id}/what-if")
def show_piece(deal_id: str, desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """The panel's answer alone, for pages that are open already."""
    panel = panel_of(desk, server, desk.deal_fact(deal_id), desk.visit.request)
    return desk.show("what_if_piece.html", "deals", what_if=panel)


def panel_of(desk: Desk, server: Server, deal: dict[str, Any], request: Request) -> Panel | None:
    """The panel of an open deal; answered where the address moves something."""
    if deal["outcome"] != "open":
        return None
    fields = _fields(desk, request)
    address, moved = f"/deals/{deal['deal_id']}", {field.name: field.value for field in fields}
    if not any(moved.values()):
        return Panel(fields, address, asked=False)
    try:
        said, figure = _answer(desk, server, deal, moved)
    except BellwetherError as error:
        return Panel(fields, address, asked=True, problem=desk.language.tell(error))
    return Panel(fields, address, True, said, figure)


def _fields(desk: Desk, request: Request) -> list[Field]:
    say = desk.language.say
    bounds = [
        ("push", say("Push the close date"), say("days"), -91, 182, 7),
        ("amount", say("Change the amount"), "%", -50, 100, 5),
        ("meetings", say("Add meetings now"), "", 0, 3, 1),
    ]
    return [Field(*bound, value=_whole(request.query_params.get(bound[0], ""), bound[3], bound[4])) for bound in bounds]


def _whole(text: str, low: int, high: int) -> int:
    try:
        return min(max(int(float(text)), low), high)
    except (ValueError, OverflowError):
        return 0


def _answer(desk: Desk, server: Server, deal: dict[str, Any], moved: dict[str, int]) -> tuple[str, Figure]:
    view = server.view()
    ready = server.live.ready(view, desk.company)
    ident, account = str(deal["deal_id"]), str(deal["account_id"])
    asked = _asked(desk, ready, ident, deal, moved)
    added = rows_with(view, ident, asked, desk.as_of, ready.contacts.get(account, frozenset()), desk.company)
    before, after = (ready.rate(rows, [ident], desk.as_of) for rows in (None, added))
    return _said(desk, before, after), _figure(desk, ready, before, after)


def _asked(desk: Desk, ready: Ready, ident: str, deal: dict[str, Any], moved: dict[str, int]) -> WhatIf:
    """What was moved, as new values of the deal; its amount stays in its own currency."""
    close, amount = None, None
    if moved["push"]:
        start = as_day(deal["close_date"]) if pd.notna(deal["close_date"]) else desk.today
        close = max(start + timedelta(days=moved["push"]), desk.today)
    if moved["amount"]:
        own = number(ready.amount_of(ident))
        amount = None if own is None else round(own * (1 + moved["amount"] / 100), 2)
    meetings = [Supposed(kind="meeting") for _ in range(moved["meetings"])]
    return WhatIf(close_date=close, amount=amount, activities=meetings)


def _said(desk: Desk, before: Answer, after: Answer) -> str:
    f = desk.formats
    one, two = before.scored.iloc[0], after.scored.iloc[0]
    change = float(two["win_probability"]) - float(one["win_probability"])
    values = {
        "before": f.chance(float(one["win_probability"])),
        "after": f.chance(float(two["win_probability"])),
        "change": f.points(change, 1),
        "soon": f.chance(float(two["p_win_in_period"])),
        "now": f.chance(float(one["p_win_in_period"])),
    }
    return f.language.say("{before} → {after} to be won ({change}); before the quarter ends {now} → {soon}.", **values)


def _figure(desk: Desk, ready: Ready, before: Answer, after: Answer) -> Figure:
    edges, won, _ = ready.champion.model.curve(before.X)
    _, then, _ = ready.champion.model.curve(after.X)
    curve = pd.DataFrame({"day": np.asarray(edges, float), "before": np.asarray(won)[0], "after": np.asarray(then)[0]})
    return supposed_curve(
        desk.formats,
        title=desk.language.say("Chance to be won by each date, before and after"),
        curve=curve,
        as_of=desk.today,
    )
