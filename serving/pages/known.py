"""What is known about me, from what, and who looked? Every figure; comment, correction, objection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from serving.access import ROLES
from serving.dependencies import PersonDep, ServerDep
from serving.format import MISSING
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.people_data import requests
from serving.people_data.catalogue import USES, PersonFigure, person_figures
from serving.people_data.exporting import export_person
from serving.people_data.known import Known, KnownFigure, KnownRows, known_about
from serving.people_data.requests import REQUEST_KINDS, Request, RequestKind
from serving.people_data.subjects import own_subject
from serving.people_data.views import Look
from serving.routes.people import as_file

router = APIRouter(include_in_schema=False, prefix="/me")
RAIL = Rail("known", "people", 2, lambda say: say("What is known about me"), "/me", frozenset(ROLES))


class Line(NamedTuple):
    """A figure in a table."""

    name: str
    text: str
    value: str
    tables: str


class Group(NamedTuple):
    """Figures of one use."""

    title: str
    lines: list[Line]


class Asked(NamedTuple):
    """A request in words."""

    number: int
    kind: str
    about: str
    text: str
    made: str
    answer: str
    answered: str


@router.get("")
def show_me(desk: DeskDep, server: ServerDep, viewer: PersonDep) -> HTMLResponse:
    """The whole page; who is no rep of the data is told so."""
    return _page(desk, server)


@router.post("/requests")
def ask(
    desk: DeskDep,
    viewer: PersonDep,
    server: ServerDep,
    kind: Annotated[RequestKind, Form()],
    text: Annotated[str, Form(max_length=4000)],
    about: Annotated[str, Form(max_length=80)] = "",
) -> Response:
    """Keep a comment, a request for a correction or an objection."""
    try:
        requests.ask(desk.store, own_subject(server.home.lake.view(), viewer), kind=kind, text=text, about=about)
    except requests.EmptyText:
        return _page(desk, server, error=desk.language.say("Write what it is about."), status=400)
    return RedirectResponse("/me#requests", status_code=303)


@router.get("/export")
def export(desk: DeskDep, viewer: PersonDep, server: ServerDep) -> Response:
    """Everything as a ZIP."""
    view = server.home.lake.view()
    subject = own_subject(view, viewer)
    scores = server.book.newest(desk.company)
    made = export_person(subject, view=view, company=desk.company, store=desk.store, scores=scores)
    desk.store.audit(viewer.name, "export person", person_key=subject.person_key)
    return as_file(made, subject.ident)


def _page(desk: Desk, server: ServerDep, *, error: str = "", status: int = 200) -> HTMLResponse:
    if desk.viewer.rep_id is None:
        return desk.show("known.html", "known", known=None)
    view = server.home.lake.view()
    subject = own_subject(view, desk.viewer)
    scores = server.book.newest(desk.company)
    known = known_about(subject, view=view, company=desk.company, store=desk.store, scores=scores)
    return desk.visit.show(
        "known.html",
        "known",
        status=status,
        known=known,
        details=[(_detail(desk, name), value) for name, value in known.details.items()],
        finding=_finding(desk, known),
        groups=_groups(desk, known),
        rows=[_row(desk, rows) for rows in known.rows],
        looks=[_look(desk, look) for look in known.looks],
        asked=asked(desk, known.requests),
        kinds=[(kind, kind_name(desk, kind)) for kind in REQUEST_KINDS],
        level=desk.company.people.level,
        months=desk.company.people.keep_months,
        error=error,
    )


def _finding(desk: Desk, known: Known) -> str:
    say, f = desk.language.say, desk.formats
    return say(
        "{figures} figures are worked out on you, from {rows} rows of the CRM's data. Others looked {looks} times.",
        figures=f.number(len(known.figures)),
        rows=f.number(sum(rows.rows for rows in known.rows)),
        looks=f.number(len(known.looks)),
    )


def _detail(desk: Desk, name: str) -> str:
    """What is kept to name a person, by its column."""
    say = desk.language.say
    named = {"name": say("Name"), "email": say("E-mail"), "phone": say("Phone"), "title": say("Title")}
    return named.get(name, name)


def _groups(desk: Desk, known: Known) -> list[Group]:
    found = []
    for use, (en, zh) in USES.items():
        lines = [_line(desk, one) for one in known.figures if one.figure.use == use]
        if lines:
            title = desk.language.choose(en, zh)
            found.append(Group(title[:1].upper() + title[1:], lines))
    return found


def _line(desk: Desk, known: KnownFigure) -> Line:
    one = known.figure
    if one.entity:
        reads = ", ".join(sorted({column.partition(".")[0] for column in one.rests_on}))
    else:
        reads = desk.language.choose(*one.rests_on)
    return Line(one.name, desk.language.choose(one.en, one.zh), _value(desk, one, known.value), reads)


def _value(desk: Desk, one: PersonFigure, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or MISSING
    f = desk.formats
    if one.name == "p_attain":
        return f.chance(value)
    if one.unit == "share":
        return f.percent(value)
    money = one.unit == "base currency" or one.use == "forecast"
    return f.money_full(value) if money else f.number(value, 2 if value % 1 else 0)


def _row(desk: Desk, rows: KnownRows) -> tuple[str, str, str, str]:
    return rows.table, rows.column, desk.formats.number(rows.rows), desk.formats.date(rows.newest)


def _look(desk: Desk, look: Look) -> tuple[str, str, str]:
    say = desk.language.say
    role = {"cli": say("the command line"), "guest": say("a guest at the machine")}.get(look.role, "")
    return desk.formats.date(look.at), look.who or role or say("a user who is gone"), place_name(desk, look.what)


def place_name(desk: Desk, what: str) -> str:
    """Where somebody looked, in the visitor's language."""
    say = desk.language.say
    named = {
        "page people": say("People"),
        "page coaching": say("Strengths and themes"),
        "api coaching": say("Strengths and themes, by a program"),
        "coaching": say("Strengths and themes, on the command line"),
        "page forecast": say("Forecast"),
        "api forecast": say("Forecast, by a program"),
        "export": say("Everything as a file"),
        "page goal": say("Goals"),
        "page goals": say("Goals"),
        "page cascade": say("Split a goal"),
        "page resplit": say("Split the rest of a period anew"),
        "resplit": say("Split the rest of a period anew, by a program"),
        "page plan": say("Plan and pace"),
        "api pace": say("Plan and pace, by a program"),
        "page scenarios": say("Adjusting"),
        "scenario": say("Adjusting, by a program"),
        "review pack": say("Review pack"),
        "rehearsal of leaving": say("Rehearsal of your leaving"),
        "risks rehearse": say("Rehearsal of your leaving"),
    }
    return named.get(what, what)


def asked(desk: Desk, requests: Iterable[Request]) -> list[Asked]:
    """Requests in the visitor's language; a figure that one is about by its sentence."""
    names = {one.name: desk.language.choose(one.en, one.zh) for one in person_figures(desk.company)}
    return [_asked(desk, one, names.get(one.about, one.about)) for one in requests]


def _asked(desk: Desk, one: Request, about: str) -> Asked:
    f = desk.formats
    answered = f"{one.answered_by}, {f.date(one.answered_at)}" if one.answered_at else ""
    return Asked(
        one.request_id, kind_name(desk, one.kind), about, one.text, f.date(one.made_at), one.answer or "", answered
    )


def kind_name(desk: Desk, kind: RequestKind) -> str:
    """A kind of request in the visitor's language."""
    say = desk.language.say
    return {"comment": say("Comment"), "correction": say("Correction")}.get(kind, say("Objection"))
