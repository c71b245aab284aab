"""The open deals: which deserve time."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from serving.pages import listing, words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail

router = APIRouter(include_in_schema=False)
RAIL = Rail("deals", "work", 2, lambda say: say("Deals"), "/deals")


@router.get("/deals")
def list_deals(
    desk: DeskDep, view: str = "", q: str = "", owner: str = "", sort: str = "-expected", after: str = ""
) -> HTMLResponse:
    """Open deals with chance, range, main reason and next step."""
    if (missing := desk.without("deals", "deals")) is not None:
        return missing
    f, say = desk.formats, desk.language.say
    wish = listing.Wish.cleaned(view, q, owner, sort, after)
    every = listing.open_deals(desk.frame("deals"), desk.facts.deals, desk.names, pd.Timestamp(desk.as_of))
    period = desk.company.period_of(desk.today)
    found = listing.matching(every, wish.q, wish.owner)
    shown = listing.in_view(found, wish.view, today=desk.today, period=period)
    page, last = listing.page_of(shown, wish)
    return desk.show(
        "deals.html",
        "deals",
        wish=wish,
        finding=listing.finding(f, shown),
        model_note=desk.model_note("win"),
        tabs=listing.tabs(f, found, wish, today=desk.today, period=period),
        heads=listing.heads(f, wish),
        rows=listing.rows_of(f, page, desk.today, _why(desk, page), _step(desk, page)),
        next=f"{wish.address()}{'&' if '?' in wish.address() else '?'}{urlencode({'after': last})}" if last else "",
        page_size=listing.PAGE_SIZE,
        basis=say(
            "Chances to be won within {weeks} weeks, bars show the 90% range; amounts in {currency}.",
            weeks=desk.company.win.horizon_weeks,
            currency=f.currency,
        ),
        empty=say("No deal matches. Remove a filter."),
    )


def _why(desk: Desk, page: pd.DataFrame) -> Callable[[str], str]:
    said = words.main_reasons(desk.reasons("deal", page.index), desk.namer("deal"))
    return lambda ident: said.get(ident, "")


def _step(desk: Desk, page: pd.DataFrame) -> Callable[[str], str]:
    """Each deal's first suggestion; waiting is none."""
    advice = desk.frame("advice")
    first = advice[advice["deal_id"].isin(page.index) & (advice["rank"] == 1) & (advice["action"] != "pause")]
    said = {str(r.deal_id): words.action(desk.language, str(r.action)) for r in first.itertuples()}
    return lambda ident: said.get(ident, "")
