"""Persons' data, for administrators: what do people ask for, what are figures used for, what is kept or erased?"""

from __future__ import annotations

from datetime import date
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Path, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crm.company import Purpose
from crm.errors import BellwetherError
from serving.dependencies import AdminDep, ServerDep
from serving.pages.desk import Desk, DeskDep
from serving.pages.known import asked
from serving.pages.rail import Rail
from serving.people import UnknownPerson
from serving.people_data import requests
from serving.people_data.erasing import erase_person
from serving.people_data.exporting import export_person
from serving.people_data.purposes import BadAgreement, Purposes, PurposeState
from serving.people_data.subjects import keys_of, subject_by_key
from serving.people_data.views import note_looks
from serving.routes.people import as_file

router = APIRouter(include_in_schema=False, prefix="/people-data")
RAIL = Rail("people_data", "people", 3, lambda say: say("Persons' data"), "/people-data", frozenset({"admin"}))

Key = Annotated[str, Form(min_length=1, max_length=200)]
Words = Annotated[str, Form(max_length=1000)]


class Use(NamedTuple):
    """A purpose in words."""

    key: str
    name: str
    on: bool
    text: str


@router.get("")
def show(desk: DeskDep, server: ServerDep, viewer: AdminDep) -> HTMLResponse:
    """The whole page."""
    return _page(desk, server)


@router.post("/requests/{request_id}")
def answer(
    request_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    desk: DeskDep,
    server: ServerDep,
    viewer: AdminDep,
    text: Annotated[str, Form(max_length=4000)],
) -> Response:
    """Answer a request."""
    try:
        requests.answer(desk.store, request_id, text=text, who=viewer.name)
    except requests.EmptyText as error:
        return _page(desk, server, error=error, status=400)
    return RedirectResponse("/people-data", status_code=303)


@router.post("/purposes/{purpose}")
def agree(
    purpose: str,
    desk: DeskDep,
    server: ServerDep,
    viewer: AdminDep,
    agreed_by: Words,
    agreed_on: Annotated[date, Form()],
    note: Words = "",
) -> Response:
    """Record who agreed to a use."""
    known = Purposes(desk.store, desk.company)
    try:
        known.record(purpose, agreed_by=agreed_by, agreed_on=agreed_on, note=note, who=viewer.name)
    except BadAgreement as error:
        return _page(desk, server, error=error, status=400)
    return RedirectResponse("/people-data#uses", status_code=303)


@router.post("/purposes/{purpose}/withdraw")
def withdraw(purpose: str, desk: DeskDep, server: ServerDep, viewer: AdminDep, why: Words = "") -> Response:
    """Withdraw a use."""
    try:
        Purposes(desk.store, desk.company).withdraw(purpose, why=why, who=viewer.name)
    except BadAgreement as error:
        return _page(desk, server, error=error, status=400)
    return RedirectResponse("/people-data#uses", status_code=303)


@router.get("/export")
def export(
    desk: DeskDep, server: ServerDep, viewer: AdminDep, key: Annotated[str, Query(min_length=1, max_length=200)]
) -> Response:
    """Everything that is kept on a person, to be handed to that person."""
    view = server.home.lake.view()
    try:
        subject = subject_by_key(view, key)
    except UnknownPerson as error:
        return _page(desk, server, error=error, status=404)
    scores = server.book.newest(desk.company)
    made = export_person(subject, view=view, company=desk.company, store=desk.store, scores=scores)
    desk.store.audit(viewer.name, "export person", person_key=subject.person_key)
    note_looks(desk.store, viewer, [subject.ident], {subject.ident: subject.person_key}, what="export")
    return as_file(made, subject.ident)


@router.post("/erase")
def erase(desk: DeskDep, server: ServerDep, viewer: AdminDep, key: Key, again: Key) -> HTMLResponse:
    """Erase a person; the key is asked for twice, for it cannot be undone."""
    say = desk.language.say
    if key != again:
        return _page(desk, server, said=say("The two keys differ. Nobody was erased."), status=400)
    try:
        subject = subject_by_key(server.home.lake.view(), key)
    except UnknownPerson as error:
        return _page(desk, server, error=error, status=404)
    erase_person(desk.store, subject, who=viewer.name)
    return _page(desk, server, said=say("Nothing personal of {key} is left.", key=subject.person_key))


def _page(
    desk: Desk, server: ServerDep, *, error: BellwetherError | None = None, said: str = "", status: int = 200
) -> HTMLResponse:
    every = requests.requests(desk.store)
    view = server.home.lake.view()
    named = {key: desk.names.get(rep, rep) for rep, key in keys_of(view).items()}
    return desk.visit.show(
        "people_data.html",
        "people_data",
        status=status,
        finding=_finding(desk, sum(one.state == "open" for one in every)),
        asked=list(zip((named.get(one.person_key, one.person_key) for one in every), asked(desk, every), strict=True)),
        uses=[_use(desk, state) for state in Purposes(desk.store, desk.company).all()],
        persons=sorted((key, desk.names.get(rep, "")) for rep, key in keys_of(view).items()),
        today=desk.formats.day(desk.formats.now),
        error=desk.language.tell(error) if error else "",
        said=said,
    )


def _finding(desk: Desk, waiting: int) -> str:
    if not waiting:
        return desk.language.say("Nobody waits for an answer.")
    return desk.language.say_n("{n} request waits for an answer.", "{n} requests wait for an answer.", waiting)


def _use(desk: Desk, state: PurposeState) -> Use:
    say = desk.language.say
    agreed = state.agreements[0] if state.on else None
    text = (
        say("{who} agreed on {day}.", who=agreed.agreed_by, day=desk.formats.date(agreed.agreed_on))
        if agreed
        else say("Off: nobody's agreement is recorded.")
    )
    return Use(state.purpose, purpose_name(desk, state.purpose), state.on, text)


def purpose_name(desk: Desk, purpose: Purpose) -> str:
    """A use in the visitor's language."""
    say = desk.language.say
    names = {"coaching": say("Coaching"), "appraisal": say("Appraisal"), "pay": say("Pay")}
    return names.get(purpose, say("Contests"))
