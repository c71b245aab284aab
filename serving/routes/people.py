"""What is known on a person: shown to that person, commented, answered; exported and erased."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from crm.lake import LakeView
from serving.dependencies import AdminDep, CompanyDep, ServerDep, SignedInDep, StoreDep
from serving.documents import Responses, example
from serving.people_data import requests
from serving.people_data.erasing import erase_person
from serving.people_data.examples import KNOWN, REQUEST, REQUESTS
from serving.people_data.exporting import export_person
from serving.people_data.known import Known, known_about
from serving.people_data.requests import RequestKind, State
from serving.people_data.subjects import own_subject, subject_by_key
from serving.people_data.views import note_looks

router = APIRouter(prefix="/people", tags=["people"])


def _newest(server: ServerDep) -> LakeView:
    return server.home.lake.view()


NewestDep = Annotated[LakeView, Depends(_newest)]  # persons are known from their import on, not from the next scores
ZIP = "application/zip"
_FILE: Responses = {200: {"content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}}
Person = Annotated[str, Path(max_length=200, description="person_key, rep_id or contact_id.")]
RequestNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]


class FigureOut(BaseModel):
    """A figure on a person, and its value now."""

    name: str
    use: str
    unit: str
    en: str
    zh: str
    rests_on: Annotated[list[str], Field(description="Columns that it is worked out from.")]
    value: float | str | None


class RowsOut(BaseModel):
    """Rows of one table that name the person."""

    table: str
    column: str
    rows: int
    newest: datetime | date | None


class LookOut(BaseModel):
    """That somebody looked, once a day."""

    at: datetime
    who: Annotated[str, Field(description="E-mail; empty for a guest, a user who is gone, and the command line.")]
    role: str
    what: str


class RequestOut(BaseModel):
    """What a person wrote, and the answer."""

    request_id: int
    person_key: str
    kind: RequestKind
    about: Annotated[str, Field(description="A figure or table; empty for all.")]
    text: str
    made_at: datetime
    state: State
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None


class RequestList(BaseModel):
    """Requests, the newest first."""

    total: int
    requests: list[RequestOut]


class KnownOut(BaseModel):
    """All that is known on one person."""

    rep_id: str
    person_key: str
    as_of: datetime | None
    level: Literal["off", "team", "person"]
    keep_months: int
    details: dict[str, str]
    figures: list[FigureOut]
    rows: list[RowsOut]
    looks: list[LookOut]
    requests: list[RequestOut]


class Asked(BaseModel):
    """What you write to figures or data on you."""

    model_config = ConfigDict(extra="forbid")

    kind: RequestKind
    text: Annotated[str, Field(min_length=1, max_length=4000)]
    about: Annotated[str, Field(max_length=80)] = ""


class Answer(BaseModel):
    """What a person is answered."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=4000)]


@router.get("/me", responses=example(KNOWN))
def read_me(viewer: SignedInDep, server: ServerDep, view: NewestDep, company: CompanyDep) -> KnownOut:
    """Everything that is known on you: figures with values, rows of the data, who looked, what you wrote."""
    subject = own_subject(view, viewer)
    scores = server.book.newest(company)
    known = known_about(subject, view=view, company=company, store=server.store, scores=scores)
    return _known(known, company.people.level, company.people.keep_months)


@router.get("/me/export", response_class=Response, responses=_FILE)
def export_me(viewer: SignedInDep, server: ServerDep, view: NewestDep, company: CompanyDep) -> Response:
    """Everything that store and data hold on you, as a ZIP of JSON and CSV."""
    subject = own_subject(view, viewer)
    scores = server.book.newest(company)
    made = export_person(subject, view=view, company=company, store=server.store, scores=scores)
    server.store.audit(viewer.name, "export person", person_key=subject.person_key)
    return as_file(made, subject.ident)


@router.post("/me/requests", status_code=201, responses=example(REQUEST, 201))
def ask(given: Asked, viewer: SignedInDep, store: StoreDep, view: NewestDep) -> RequestOut:
    """Comment on what is known on you, ask for a correction, or object to a use; administrators see and answer it."""
    subject = own_subject(view, viewer)
    number = requests.ask(store, subject, kind=given.kind, text=given.text, about=given.about)
    found = next(r for r in requests.requests(store, person_key=subject.person_key) if r.request_id == number)
    return RequestOut(**asdict(found))


@router.get("/requests", responses=example(REQUESTS))
def list_requests(
    store: StoreDep, viewer: AdminDep, state: Annotated[State | None, Query(description="Unset: all.")] = None
) -> RequestList:
    """What persons wrote, the newest first; for administrators."""
    rows = [RequestOut(**asdict(r)) for r in requests.requests(store, state=state)]
    return RequestList(total=len(rows), requests=rows)


@router.post("/requests/{request_id}/answer", responses=example(REQUEST))
def answer(request_id: RequestNumber, given: Answer, store: StoreDep, viewer: AdminDep) -> RequestOut:
    """Answer what a person wrote; for administrators."""
    return RequestOut(**asdict(requests.answer(store, request_id, text=given.text, who=viewer.name)))


@router.get("/{person}/export", response_class=Response, responses=_FILE)
def export_other(person: Person, viewer: AdminDep, server: ServerDep, view: NewestDep, company: CompanyDep) -> Response:
    """Everything that store and data hold on a person, to be handed to that person; for administrators."""
    subject = subject_by_key(view, person)
    scores = server.book.newest(company)
    made = export_person(subject, view=view, company=company, store=server.store, scores=scores)
    server.store.audit(viewer.name, "export person", person_key=subject.person_key)
    note_looks(server.store, viewer, [subject.ident], {subject.ident: subject.person_key}, what="export")
    return as_file(made, subject.ident)


@router.delete("/{person}", status_code=204)
def erase(person: Person, viewer: AdminDep, server: ServerDep, view: NewestDep) -> Response:
    """Erase a person's name, addresses, sign-in and words; counts and keys stay. It cannot be undone."""
    erase_person(server.store, subject_by_key(view, person), who=viewer.name)
    return Response(status_code=204)


def as_file(made: bytes, ident: str) -> Response:
    """A person's export as a file to be kept."""
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in ident)[:60]
    return Response(made, media_type=ZIP, headers={"Content-Disposition": f'attachment; filename="person-{name}.zip"'})


def _known(known: Known, level: Literal["off", "team", "person"], keep_months: int) -> KnownOut:
    figures = [
        FigureOut(
            name=one.figure.name,
            use=one.figure.use,
            unit=one.figure.unit,
            en=one.figure.en,
            zh=one.figure.zh,
            rests_on=list(one.figure.rests_on),
            value=one.value,
        )
        for one in known.figures
    ]
    return KnownOut(
        rep_id=known.subject.ident,
        person_key=known.subject.person_key,
        as_of=known.as_of,
        level=level,
        keep_months=keep_months,
        details=known.details,
        figures=figures,
        rows=[RowsOut(**asdict(rows)) for rows in known.rows],
        looks=[LookOut(**asdict(look)) for look in known.looks],
        requests=[RequestOut(**asdict(request)) for request in known.requests],
    )
