"""The open deals: which deserve time? As a list or a board, filtered and sorted by the address, saved by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, urlencode

import pandas as pd
from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from serving import saved_views
from serving.dependencies import SignedInDep
from serving.pages import board, listing, words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.pages.wishes import Wish

router = APIRouter(include_in_schema=False)
RAIL = Rail("deals", "work", 2, lambda say: say("Deals"), "/deals")
PAGE = "deals"


class Chip(NamedTuple):
    """A filter that is set, and the address without it."""

    text: str
    address: str


class Named(NamedTuple):
    """A view that the visitor has saved."""

    view_id: int
    name: str
    address: str
    here: bool


class Choices(NamedTuple):
    """What can be chosen in the filters: pairs of value and name."""

    owners: list[tuple[str, str]]
    stages: list[str]
    kinds: list[tuple[str, str]]


@router.get("/deals")
def list_deals(desk: DeskDep) -> HTMLResponse:
    """Open deals with chance, range, main reason and next step; or a column for each stage."""
    if (missing := desk.without("deals", "deals")) is not None:
        return missing
    f, say = desk.formats, desk.language.say
    asked = desk.visit.request.query_params
    wish = Wish.of(asked)
    every = listing.open_deals(desk.frame("deals"), desk.facts.deals, desk.names, pd.Timestamp(desk.as_of))
    period = desk.company.period_of(desk.today)
    found = listing.matching(every, wish)
    shown = listing.in_view(found, wish.view, today=desk.today, period=period)
    page, last = listing.page_of(shown, wish)
    user = desk.viewer.user_id
    removed = asked.get("removed", "")
    return desk.show(
        "deals.html",
        "deals",
        wish=wish,
        finding=listing.finding(f, shown),
        model_note=desk.model_note("win"),
        tabs=listing.tabs(f, found, wish, today=desk.today, period=period),
        saved=_saved(desk, wish),
        removed=saved_views.removed_view(desk.store, user, int(removed)) if removed.isdecimal() else None,
        may_save=desk.viewer.signed_in,
        chips=_chips(desk, wish),
        choices=_choices(desk, every),
        columns=board.columns(f, shown, desk.company, wish, desk.today) if wish.look == "board" else [],
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


@router.post("/deals/views")
def keep_view(
    desk: DeskDep,
    viewer: SignedInDep,
    name: Annotated[str, Form(max_length=200)] = "",
    query: Annotated[str, Form(max_length=1000)] = "",
) -> RedirectResponse:
    """Save the filters and order that are shown under a name."""
    assert viewer.user_id is not None  # whoever is signed in has one
    wish = Wish.of(dict(parse_qsl(query)))
    saved_views.save_view(desk.store, viewer.user_id, PAGE, name, wish.query())
    return RedirectResponse(wish.address(), status_code=303)


@router.post("/deals/views/{view_id}/remove")
def drop_view(view_id: int, desk: DeskDep, viewer: SignedInDep) -> RedirectResponse:
    """Take a saved view away, and offer to bring it back."""
    assert viewer.user_id is not None
    saved_views.remove_view(desk.store, viewer.user_id, view_id)
    return RedirectResponse(f"/deals?removed={view_id}", status_code=303)


@router.post("/deals/views/{view_id}/restore")
def bring_back_view(view_id: int, desk: DeskDep, viewer: SignedInDep) -> RedirectResponse:
    """Bring a removed view back and open it."""
    assert viewer.user_id is not None
    view = saved_views.restore_view(desk.store, viewer.user_id, view_id)
    return RedirectResponse(Wish.of(dict(parse_qsl(view.query))).address(), status_code=303)


def _saved(desk: Desk, wish: Wish) -> list[Named]:
    mine = saved_views.saved_views(desk.store, desk.viewer.user_id, PAGE)
    here = wish.query()
    return [Named(v.view_id, v.name, f"/deals?{v.query}" if v.query else "/deals", v.query == here) for v in mine]


def _chips(desk: Desk, wish: Wish) -> list[Chip]:
    """The filters that are set, in words."""
    f, say = desk.formats, desk.language.say
    said = {
        "q": lambda v: say("Search: {text}", text=v),
        "owner": lambda v: say("Owner: {name}", name=desk.names.get(v, v)),
        "stage": lambda v: say("Stage: {name}", name=v),
        "kind": lambda v: say("Kind: {name}", name=words.kind(desk.language, v)),
        "least": lambda v: say("From {amount} on", amount=f.money(float(v.replace(",", "").replace(" ", "")))),
        "odds": lambda v: say("Chance from {share} on", share=f"{v}%"),
    }
    return [Chip(said[name](value), wish.address(**{name: ""})) for name, value in wish.filters.items()]


def _choices(desk: Desk, deals: pd.DataFrame) -> Choices:
    owners = deals[["owner_id", "owner"]].dropna().drop_duplicates().sort_values("owner")
    return Choices(
        [(str(r.owner_id), str(r.owner)) for r in owners.itertuples()],
        board.in_order(desk.company, [str(stage) for stage in deals["stage"].dropna().unique()]),
        [(kind, words.kind(desk.language, kind)) for kind in sorted(deals["kind"].dropna().unique())],
    )


def _why(desk: Desk, page: pd.DataFrame) -> Callable[[str], str]:
    said = words.main_reasons(desk.reasons("deal", page.index), desk.namer("deal"))
    return lambda ident: said.get(ident, "")


def _step(desk: Desk, page: pd.DataFrame) -> Callable[[str], str]:
    """Each deal's first suggestion; waiting is none."""
    advice = desk.frame("advice")
    first = advice[advice["deal_id"].isin(page.index) & (advice["rank"] == 1) & (advice["action"] != "pause")]
    said = {str(r.deal_id): words.action(desk.language, str(r.action), desk.company) for r in first.itertuples()}
    return lambda ident: said.get(ident, "")
