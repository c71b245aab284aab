"""Imports over the web: files to good rows in the lake, as a job; its report and the rows it refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from crm.guessing import Sure, as_yaml
from crm.quarantine import read_file
from serving.access import Viewer, may_see_jobs, may_start_jobs
from serving.dependencies import QueueDep, Server, ServerDep, SignedInDep, ViewerDep
from serving.documents import example, listed
from serving.examples import GUESS, IMPORT, IMPORTS, REFUSED
from serving.exports import Format, file_answer, format_of
from serving.jobs.queue import Job, NoSuchJob, Queue, State
from serving.routes.jobs import JobNumber
from serving.schemas import Probability
from serving.uploads import drop, form_of, keep_upload, proposed

router = APIRouter(prefix="/imports", tags=["jobs"])
_SENT = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "CSV, Excel, JSON Lines, Parquet files, or a zip of them.",
}


def _form(**fields: object) -> dict[str, object]:
    schema = {"type": "object", "required": ["files"], "properties": {"files": _SENT, **fields}}
    return {"content": {"multipart/form-data": {"schema": schema}}, "required": True}


_FILES = _form()
_BODY = _form(
    mapping={"type": "string", "description": "Name of a shipped mapping; unset: files are named after the tables."},
    mapping_file={"type": "string", "format": "binary", "description": "A mapping of your own."},
)


class ImportRow(BaseModel):
    """An import as it stands."""

    import_id: Annotated[int, Field(description="Also the number of its job: /jobs/{import_id}/events follows it.")]
    state: State
    dry_run: bool
    done: Probability
    text: str
    asked_at: datetime
    ended_at: datetime | None
    report: Annotated[
        dict[str, Any] | None,
        Field(description="Rows by table, refused cells by reason, findings; null until it is done."),
    ]


class ImportList(BaseModel):
    """Imports, newest first, without their reports."""

    imports: list[ImportRow]
    next_before: Annotated[int | None, Field(description="Give it as `before` for the next page.")]


class ProposedColumn(BaseModel):
    """Where one canonical column may come from."""

    table: str
    file: str
    column: str
    source: Annotated[list[str], Field(description="Columns of the file; none where it could not be told.")]
    sure: Annotated[Sure, Field(description="known: the CRM's own name; likely: a usual one; unsure: yours to decide.")]
    why: str
    others: Annotated[list[str], Field(description="Columns of the file that could fill it, where it is unsure.")]


class ProposedMapping(BaseModel):
    """A mapping to look through, as text and column by column."""

    crm: Annotated[str | None, Field(description="The CRM that the files look like an export of.")]
    yaml: Annotated[str, Field(description="Correct it, and send it as `mapping_file` of an import.")]
    columns: list[ProposedColumn]
    unknown: Annotated[list[str], Field(description="Files that fit no table that is known.")]


class RefusedRow(BaseModel):
    """One cell that could not be taken; personal values are hidden."""

    table: str
    file: str
    row: Annotated[int, Field(description="The header is row 1.")]
    column: str
    value: str
    reason: str
    mend: str


class RefusedList(BaseModel):
    """What an import refused."""

    refused: list[RefusedRow]
    total: int


@router.post("", status_code=202, responses=example(IMPORT, 202), openapi_extra={"requestBody": _BODY})
async def take_import(
    request: Request,
    queue: QueueDep,
    server: ServerDep,
    viewer: SignedInDep,
    response: Response,
    dry_run: Annotated[bool, Query(description="Only say what would be taken and refused.")] = False,
) -> ImportRow:
    """Import files: good rows go to the lake in one merge, refused ones to the quarantine; scores follow as a job.

    Files are named after the canonical tables, or a mapping says what fills what. For analysts and administrators.
    """
    may_start_jobs(viewer)
    limit = server.settings.upload_mb * 1_000_000
    async with form_of(request, limit) as form:
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        mapping, own = form.get("mapping"), form.get("mapping_file")
        mapping_file = own if isinstance(own, UploadFile) and own.filename else None
        named = mapping if isinstance(mapping, str) and mapping else None
        name = await run_in_threadpool(keep_upload, server.home, files, mapping_file, named, limit)
    job = await run_in_threadpool(ask_import, queue, server, viewer, name, named, dry_run=dry_run)
    response.headers["Location"] = f"/api/v1/imports/{job.job_id}"
    return row_of(job)


def ask_import(
    queue: Queue, server: Server, viewer: Viewer, upload: str, mapping: str | None, *, dry_run: bool, **more: Any
) -> Job:
    """Put an import of kept files in the queue and note who asked."""
    params = {"upload": upload, "mapping": mapping, "dry_run": dry_run, **more}
    job = queue.ask("import", params, by=viewer.user_id)
    server.store.audit(f"user {viewer.user_id}", "ask for job", job=job.job_id, kind="import", dry_run=dry_run)
    return job


@router.post("/guess", responses=example(GUESS), openapi_extra={"requestBody": _FILES})
async def guess_mapping(request: Request, server: ServerDep, viewer: SignedInDep) -> ProposedMapping:
    """Propose a mapping for files of an export; nothing is imported. For analysts and administrators."""
    may_start_jobs(viewer)
    limit = server.settings.upload_mb * 1_000_000
    async with form_of(request, limit) as form:
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        name = await run_in_threadpool(keep_upload, server.home, files, None, None, limit)
    try:
        found = await run_in_threadpool(proposed, server.home, name)
    finally:
        await run_in_threadpool(drop, server.home, name)
    columns = [
        ProposedColumn(
            table=table.table, file=table.file, column=p.column, sure=p.sure, why=p.why, others=list(p.others),
            source=[p.source] if isinstance(p.source, str) else list(p.source or ()),
        )
        for table in found.tables
        for p in table.columns
    ]  # fmt: skip
    return ProposedMapping(crm=found.crm or None, yaml=as_yaml(found), columns=columns, unknown=list(found.unknown))


@router.get("", responses=example(IMPORTS))
def list_imports(
    queue: QueueDep,
    viewer: ViewerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Imports with a lower number alone.")] = None,
) -> ImportList:
    """Imports, newest first; for analysts and administrators."""
    may_see_jobs(viewer)
    found = queue.newest(limit=limit + 1, before=before, kinds=("import",))
    rows = [row_of(job).model_copy(update={"report": None}) for job in found[:limit]]
    return ImportList(imports=rows, next_before=rows[-1].import_id if len(found) > limit else None)


@router.get("/{import_id}", responses=example(IMPORT))
def read_import(import_id: JobNumber, queue: QueueDep, viewer: ViewerDep) -> ImportRow:
    """One import with its report; for analysts and administrators."""
    return row_of(_import(queue, viewer, import_id))


@router.get("/{import_id}/refused", responses=listed(REFUSED), response_model=RefusedList)
def read_refused(
    import_id: JobNumber,
    queue: QueueDep,
    server: ServerDep,
    viewer: ViewerDep,
    request: Request,
    wished: Annotated[
        Format | None, Query(alias="format", description="json, csv or xlsx; unset: what Accept asks.")
    ] = None,
) -> RefusedList | Response:
    """Cells that an import refused, each with its reason and the mend; as a file too. For analysts and administrators.

    Of a dry run the first 1,000; of an import all that the quarantine still holds.
    """
    report = _import(queue, viewer, import_id).result or {}
    name = report.get("quarantine")
    kept = report.get("refusals", []) if report.get("dry_run") or not name else read_file(server.home.quarantine, name)
    rows = [RefusedRow.model_validate({field: cell[field] for field in RefusedRow.model_fields}) for cell in kept]
    form = format_of(wished, request.headers.get("accept", ""))
    if form != "json":
        return file_answer(rows, RefusedRow, f"refused-{import_id}", form, {})
    return RefusedList(refused=rows, total=len(rows))


def _import(queue: Queue, viewer: Viewer, import_id: int) -> Job:
    may_see_jobs(viewer)
    job = queue.find(import_id)
    if job.kind != "import":
        raise NoSuchJob(import_id)
    return job


def row_of(job: Job) -> ImportRow:
    """An import as the API shows it."""
    return ImportRow(
        import_id=job.job_id,
        state=job.state,
        dry_run=bool(job.params["dry_run"]),
        done=job.done,
        text=job.text,
        asked_at=job.asked_at,
        ended_at=job.ended_at,
        report=job.result,
    )
