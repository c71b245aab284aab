"""The data: is it fresh, whole and right, and what was refused? Rows to mend, imports and other jobs."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from crm.company import Company
from crm.guessing import Proposal, as_yaml
from crm.lake import LakeView, connect
from crm.mapping import BadMapping, shipped
from crm.quality import Finding, findings
from crm.schema import TABLES
from serving import mending
from serving.access import Viewer, may_see_jobs, may_start_jobs
from serving.crms import CRMS, TITLES, CrmName
from serving.dependencies import QueueDep, Server, ServerDep, SignedInDep
from serving.jobs.queue import Job
from serving.pages import quality_words, refusal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.job_words import model_names, outcome
from serving.pages.rail import Rail
from serving.problems import status_of
from serving.routes.imports import ask_import
from serving.routes.jobs import stop
from serving.uploads import drop, form_of, keep_mapping, keep_upload, proposed

router = APIRouter(include_in_schema=False)
RAIL = Rail("data", "lab", 2, lambda say: say("Data"), "/data", frozenset({"analyst", "admin"}))
_JOBS = 20
_CUTS = 8


class Source(NamedTuple):
    """A table of the lake."""

    name: str
    rows: str
    newest: str


class JobLine(NamedTuple):
    """A job in the list; `share` is None where it does not run."""

    number: int
    name: str
    state: str
    share: float | None
    text: str
    own_words: bool  # what the job wrote itself, in English
    when: str
    who: str
    can_stop: bool
    report: str


@router.get("/data")
def show_data(
    desk: DeskDep, server: ServerDep, queue: QueueDep, before: Annotated[int | None, Query(ge=1)] = None
) -> HTMLResponse:
    """Everything about the company's data on one page."""
    may_see_jobs(desk.viewer)
    view = server.home.lake.view()
    rows, total = mending.waiting(server.home)
    lines = _lines(desk, queue.newest(limit=_JOBS, before=before))
    return desk.show(
        "data.html",
        "data",
        finding=_finding(desk, view),
        sources=_sources(desk, view),
        cuts=_cuts(desk, server),
        findings=[
            (found, quality_words.said(desk.formats, found))
            for found in _findings(view, str(server.home.root), view.cut.number, desk.company.model_dump_json())
        ],
        refused=rows,
        told=partial(refusal_words.told, desk.language),
        refused_total=total,
        lines=lines,
        running=any(line.share is not None for line in lines),
        may_start=desk.viewer.signed_in and desk.viewer.role in ("analyst", "admin"),
        may_connect=desk.viewer.signed_in and desk.viewer.role == "admin",
        mappings=shipped(),
        crms=[(crm, TITLES[crm]) for crm in CRMS],
        models=list(model_names(desk.formats).items()),
    )


@router.get("/data/jobs")
def show_jobs(desk: DeskDep, queue: QueueDep) -> HTMLResponse:
    """The list of jobs alone, for the script to fetch while one goes on."""
    may_see_jobs(desk.viewer)
    lines = _lines(desk, queue.newest(limit=_JOBS))
    started = desk.viewer.signed_in and desk.viewer.role in ("analyst", "admin")
    running = any(line.share is not None for line in lines)
    return desk.show("data_jobs.html", "data", lines=lines, may_start=started, running=running)


@router.post("/data/import")
async def import_files(request: Request, server: ServerDep, queue: QueueDep, viewer: SignedInDep) -> RedirectResponse:
    """Take files from the form and go back to the page."""
    may_start_jobs(viewer)
    limit = server.settings.upload_mb * 1_000_000
    async with form_of(request, limit) as form:
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile) and part.filename]
        own, named = form.get("mapping_file"), str(form.get("mapping") or "") or None
        mapping_file = own if isinstance(own, UploadFile) and own.filename else None
        dry_run = form.get("dry_run") is not None
        name = await run_in_threadpool(keep_upload, server.home, files, mapping_file, named, limit)
    await run_in_threadpool(ask_import, queue, server, viewer, name, named, dry_run=dry_run)
    return _back()


@router.post("/data/guess")
async def guess(desk: DeskDep, request: Request, server: ServerDep, viewer: SignedInDep) -> HTMLResponse:
    """Propose a mapping for files from the form, to be corrected on the page and imported by."""
    may_start_jobs(viewer)
    limit = server.settings.upload_mb * 1_000_000
    async with form_of(request, limit) as form:
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile) and part.filename]
        name = await run_in_threadpool(keep_upload, server.home, files, None, None, limit)
    try:
        found = await run_in_threadpool(proposed, server.home, name)
    except BaseException:
        await run_in_threadpool(drop, server.home, name)
        raise
    return _guessed(desk, name, found, as_yaml(found))


def _guessed(desk: Desk, upload: str, found: Proposal, text: str, error: str = "") -> HTMLResponse:
    unsure = [(t.table, p) for t in found.tables for p in t.columns if p.sure == "unsure"]
    rows = text.count("\n")
    return desk.show("guess.html", "data", upload=upload, found=found, text=text, rows=rows, unsure=unsure, error=error)


@router.post("/data/guess/{upload}")
def import_by_guess(
    desk: DeskDep,
    server: ServerDep,
    queue: QueueDep,
    viewer: SignedInDep,
    upload: Annotated[str, Path(pattern="^[0-9a-f]{24}$")],
    mapping: Annotated[str, Form(max_length=200_000)],
    dry_run: Annotated[str | None, Form()] = None,
) -> Response:
    """Import the files by the mapping as it was corrected, and go back to the page; show it again where it is none."""
    may_start_jobs(viewer)
    text = mapping.replace("\r\n", "\n")
    try:
        keep_mapping(server.home, upload, text)
    except BadMapping as error:
        shown = _guessed(desk, upload, proposed(server.home, upload), text, desk.language.tell(error))
        shown.status_code = status_of(error)
        return shown
    ask_import(queue, server, viewer, upload, None, dry_run=dry_run is not None)
    return _back()


@router.post("/data/train")
def train(
    server: ServerDep,
    queue: QueueDep,
    viewer: SignedInDep,
    what: Annotated[str, Form(pattern="^(win|attainment|churn|)$")] = "",
) -> RedirectResponse:
    """Ask for training and go back to the page."""
    return _ask(server, queue, viewer, "train", {"what": what or None, "trials": 12})


@router.post("/data/score")
def score(server: ServerDep, queue: QueueDep, viewer: SignedInDep) -> RedirectResponse:
    """Ask for scores and go back to the page."""
    return _ask(server, queue, viewer, "score", {})


@router.post("/data/sync")
def sync(server: ServerDep, queue: QueueDep, viewer: SignedInDep, crm: Annotated[CrmName, Form()]) -> RedirectResponse:
    """Ask for a sync and go back to the page."""
    return _ask(server, queue, viewer, "sync", {"crm": crm})


@router.post("/data/jobs/{job_id}/cancel")
def cancel(job_id: int, server: ServerDep, queue: QueueDep, viewer: SignedInDep) -> RedirectResponse:
    """Stop a job and go back to the page."""
    stop(queue, server, viewer, job_id)
    return _back()


@router.post("/data/refused/{name}")
async def mend(
    name: str, request: Request, server: ServerDep, queue: QueueDep, viewer: SignedInDep
) -> RedirectResponse:
    """Import a refused row anew with the values of the form, and go back to the page."""
    may_start_jobs(viewer)
    async with request.form(max_files=0, max_fields=200) as form:
        given = {key: value for key, value in form.items() if isinstance(value, str)}
    number = given.get("_row", "")
    row = await run_in_threadpool(
        mending.one, server.home, name, given.get("_file", ""), int(number) if number.isdigit() else 0
    )
    values = {key.removeprefix("v_"): value for key, value in given.items() if key.startswith("v_")}
    upload = await run_in_threadpool(mending.keep_mended, server.home, row, values)
    mends = {"name": row.name, "file": row.file, "row": row.row}
    await run_in_threadpool(ask_import, queue, server, viewer, upload, None, dry_run=False, mends=mends)
    return _back()


def _ask(server: Server, queue: QueueDep, viewer: Viewer, kind: Any, params: dict[str, Any]) -> RedirectResponse:
    may_start_jobs(viewer)
    job = queue.ask(kind, params, by=viewer.user_id)
    server.store.audit(f"user {viewer.user_id}", "ask for job", job=job.job_id, kind=kind, params=params)
    return _back()


def _back() -> RedirectResponse:
    return RedirectResponse("/data#jobs", status_code=303)


def _finding(desk: Desk, view: LakeView) -> str:
    """The page in a sentence."""
    say, f = desk.language.say, desk.formats
    if not view.present:
        return say("There is no data yet. Import files, or sync a CRM.")
    return say("{n} tables, last changed {when}.", n=f.number(len(view.present)), when=f.moment(_made_at(view)))


def _made_at(view: LakeView) -> datetime | None:
    return datetime.fromisoformat(view.cut.made_at) if view.cut.made_at else None


def _sources(desk: Desk, view: LakeView) -> list[Source]:
    f = desk.formats
    counted = _counted(view, str(view.cut))
    return [Source(name, f.number(rows), f.moment(newest)) for name, rows, newest in counted]


@lru_cache(maxsize=4)
def _counted(view: LakeView, cut: str) -> list[tuple[str, int, Any]]:
    """Rows and newest moment of each table that there is."""
    found = []
    with connect() as con:
        view.attach(con)
        for name in sorted(view.present):
            clocks = [c.name for c in TABLES[name].columns if c.type == "time"]
            newest = f"max(greatest({', '.join(clocks)}))" if clocks else "null"
            rows, when = con.sql(f"select count(*), {newest} from {name}").fetchall()[0]
            found.append((name, int(rows), when))
    return found


def _cuts(desk: Desk, server: Server) -> list[dict[str, str]]:
    """When the data changed and by what, newest first."""
    lake, f = server.home.lake, desk.formats
    newest = lake.cut().number
    found = []
    for number in range(newest, max(newest - _CUTS, 0), -1):
        cut = lake.at(number).cut
        made = datetime.fromisoformat(cut.made_at)
        found.append({"iso": cut.made_at, "when": f.moment(made), "text": _cause(desk, cut.source)})
    return found


def _cause(desk: Desk, source: str) -> str:
    """What changed the data, as the lake keeps it, in words."""
    say = desk.language.say
    if source.startswith("import of "):
        return say("Import of {files}", files=source.removeprefix("import of "))
    if source.startswith("sync of "):
        return say("Sync of {crm}", crm=source.removeprefix("sync of "))
    return say("Goals set here") if source == "goals set here" else source


@lru_cache(maxsize=8)
def _findings(view: LakeView, root: str, cut: int, company: str) -> list[Finding]:
    """What is wrong with the data; worked out once for a data cut and the company's settings."""
    return findings(view, Company.model_validate_json(company)) if view.present else []


def _lines(desk: Desk, jobs: list[Job]) -> list[JobLine]:
    return [_line(desk, job) for job in jobs]


def _line(desk: Desk, job: Job) -> JobLine:
    say, f = desk.language.say, desk.formats
    states = {
        "queued": say("waiting"),
        "running": say("stopping") if job.cancel_at else say("running"),
        "done": say("done"),
        "failed": say("failed"),
        "cancelled": say("cancelled"),
    }
    names = {
        "import": say("Import"), "sync": say("Sync"), "train": say("Training"),
        "ranges": say("Ranges of the win model"),
        "score": say("Scores"),
        "monitor": say("A look at models and data"),
        "write-back": say("Write-back"),
    }  # fmt: skip
    dry = {"import": say("Import, dry run"), "write-back": say("Write-back, dry run")}
    name = dry[job.kind] if job.params.get("dry_run") else names[job.kind]
    detail = model_names(f).get(job.params.get("what") or "") or TITLES.get(job.params.get("crm") or "", "")
    said = outcome(f, job)
    return JobLine(
        job.job_id,
        f"{name} {detail}".strip(),
        states[job.state],
        None if job.ended else job.done,
        said or job.text,
        not said,
        f.moment(job.ended_at or job.started_at or job.asked_at),
        _who(desk, job),
        not job.ended and job.cancel_at is None,
        f"/api/v1/imports/{job.job_id}/refused?format=csv" if _has_refused(job) else "",
    )


def _has_refused(job: Job) -> bool:
    return job.kind == "import" and bool((job.result or {}).get("refused"))


def _who(desk: Desk, job: Job) -> str:
    say = desk.language.say
    known = {
        "schedule": say("every night"),
        "command line": say("command line"),
        "user": say("a user"),
        "message": say("a message of the CRM"),
    }
    return known.get(job.asked_how, say("after another job"))
