"""What people say themselves where a period will end, on the forecast's page."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple
from urllib.parse import quote

import pandas as pd
from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse

from serving import calls
from serving.calls import Entity
from serving.dependencies import SignedInDep
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import COMPANY, Outcome

router = APIRouter(include_in_schema=False)


class Calls(NamedTuple):
    """What people say themselves: what stands (kind, value, who), all that was said, and where one says it."""

    standing: list[tuple[str, str, str]]
    history: list[dict[str, str]]
    may: bool
    address: str
    metric: str


@router.post("/forecast/{level}/{ident}/calls")
def make_call(
    level: Literal["reps", "teams"],
    ident: str,
    desk: DeskDep,
    viewer: SignedInDep,
    kind: Annotated[calls.Kind, Form()],
    metric: Annotated[Literal["bookings", "won_deals"], Form()],
    value: Annotated[str, Form(max_length=30)] = "",
    why: Annotated[str, Form(max_length=500)] = "",
) -> RedirectResponse:
    """Keep a call and go back; an empty value takes the own earlier one back."""
    entity: Entity = "rep" if level == "reps" else "team"
    calls.may_call(viewer, desk.sight, entity, ident, desk.view)
    calls.call_now(
        desk.store,
        viewer,
        desk.company,
        entity=entity,
        entity_id=ident,
        metric=metric,
        kind=kind,
        value=calls.typed(value),
        why=why,
        as_of=desk.as_of,
    )
    address = "/forecast" if ident == COMPANY else f"/forecast/{level}/{quote(ident, safe='')}"
    return RedirectResponse(f"{address}#calls", status_code=303)


def shown(desk: Desk, outcome: Outcome, entity: Entity, ident: str) -> Calls:
    """What people say themselves about this period: what stands, the history, and whether the visitor may call."""
    say, f = desk.language.say, desk.formats
    every = calls.seen(calls.history(desk.store, entity, ident), desk.sight)
    mine = every[(every["period_start"] == outcome.start) & (every["metric"] == outcome.metric)]
    value = f.money if outcome.money else f.number
    names = {"commit": say("Commit"), "best_case": say("Best case")}
    roles = {"rep": say("Rep"), "manager": say("Manager"), "admin": say("Administrator")}
    return Calls(
        [
            (names[c["kind"]], value(c["value"]), desk.names.get(c["rep_id"], roles.get(c["by"], c["by"])))
            for c in calls.standing(mine).to_dict("records")
        ],
        [
            {
                "iso": c["made_at"].isoformat(),
                "when": f.moment(c["made_at"].to_pydatetime()),
                "text": say(
                    "{who}: {kind} {value}",
                    who=desk.names.get(c["rep_id"], roles.get(c["by"], c["by"])),
                    kind=names[c["kind"]],
                    value=say("taken back") if pd.isna(c["value"]) else value(c["value"]),
                )
                + (f" · {c['why']}" if c["why"] else ""),
            }
            for c in mine.iloc[::-1].to_dict("records")
        ],
        desk.viewer.signed_in and calls.has_a_say(desk.viewer, desk.sight, entity, ident),
        f"/forecast/{entity}s/{quote(ident, safe='')}/calls",
        outcome.metric,
    )
