"""Connecting CRMs: what is to be made there, which keys are missing, and do they fit? Then sync and write-back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from crm.connectors.base import OwnFields
from crm.errors import BellwetherError
from serving.access import may_write_back
from serving.crm_setup import Setup, reach, setup_of
from serving.crms import CRMS, TITLES, CrmName
from serving.dependencies import QueueDep, ServerDep, SignedInDep
from serving.i18n import Language
from serving.jobs.queue import Job, Queue
from serving.pages.desk import Desk, DeskDep
from serving.problems import status_of

router = APIRouter(include_in_schema=False)
_SHOWN = 20


@router.get("/data/crms")
def show_crms(desk: DeskDep, server: ServerDep, queue: QueueDep) -> HTMLResponse:
    """Every CRM with what is set up of it; for administrators."""
    may_write_back(desk.viewer)
    return _shown(desk, server, queue)


@router.post("/data/crms/test")
def test_connection(
    desk: DeskDep, server: ServerDep, queue: QueueDep, viewer: SignedInDep, crm: Annotated[CrmName, Form()]
) -> HTMLResponse:
    """Sign in to a CRM and say what came of it."""
    may_write_back(viewer)
    try:
        found = reach(crm, server.settings, server.home)
    except BellwetherError as error:
        shown = _shown(desk, server, queue, tried=crm, problem=desk.language.tell(error))
        shown.status_code = status_of(error)
        return shown
    server.store.audit(f"user {viewer.user_id}", "test crm", crm=crm)
    return _shown(desk, server, queue, tried=crm, found=found)


@router.post("/data/crms/write-back")
def write_back(
    server: ServerDep,
    queue: QueueDep,
    viewer: SignedInDep,
    crm: Annotated[CrmName, Form()],
    dry_run: Annotated[str | None, Form()] = None,
) -> RedirectResponse:
    """Ask for forecasts to be written into a CRM's deals, or for what would be written."""
    may_write_back(viewer)
    params = {"crm": crm, "dry_run": dry_run is not None}
    job = queue.ask("write-back", params, by=viewer.user_id)
    server.store.audit(f"user {viewer.user_id}", "ask for job", job=job.job_id, kind=job.kind, params=params)
    return RedirectResponse(f"/data/crms#{crm}", status_code=303)


def _shown(
    desk: Desk,
    server: ServerDep,
    queue: Queue,
    *,
    tried: str = "",
    problem: str = "",
    found: OwnFields | None = None,
) -> HTMLResponse:
    setups: list[Setup] = []
    broken = ""
    try:
        setups = [setup_of(crm, server.settings, server.home) for crm in CRMS]
    except BellwetherError as error:  # a key file that cannot be used
        broken = desk.language.tell(error)
    setups.sort(key=lambda s: (bool(s.missing), CRMS.index(s.crm)))
    own = [f"{kind}: {', '.join(names)}" for kind, names in (found or {}).items() if names]
    jobs = queue.newest(limit=50, kinds=("write-back",))
    return desk.show(
        "crms.html",
        "data",
        setups=setups,
        broken=broken,
        steps={crm: _steps(desk.language, crm) for crm in CRMS},
        when={s.crm: desk.formats.moment(s.synced_at) for s in setups if s.synced_at},
        written={crm: _newest(jobs, crm) for crm in CRMS},
        shown=_SHOWN,
        tried=tried,
        tried_title=TITLES.get(tried, tried),
        problem=problem,
        reached=found is not None,
        own=own,
        sample=server.home.company().sample,
        working=any(not job.ended for job in jobs),
    )


def _newest(jobs: Sequence[Job], crm: str) -> Job | None:
    return next((job for job in jobs if job.params.get("crm") == crm), None)


def _steps(language: Language, crm: str) -> str:
    """What to make in the CRM before there are keys."""
    say = language.say
    return {
        "zoho": say(
            "In Zoho's API console make a self client with the scopes ZohoCRM.modules.READ, ZohoCRM.settings.READ, "
            "ZohoCRM.users.READ, ZohoCRM.bulk.READ and ZohoCRM.coql.READ, and exchange its code for a refresh token. "
            "The data centre is where your account lies."
        ),
        "fxiaoke": say(
            "In the administration of 纷享销客, under open platform, make an app of your own with CRM access. Note app "
            "id, secret and permanent code, and take a CRM administrator as the employee in whose name is read."
        ),
        "salesforce": say(
            "Make a connected app with the scope api, with the client credentials flow or a refresh token. The login "
            "address is your company's own."
        ),
        "hubspot": say(
            "Make a private app that may read owners, companies, contacts, deals and their schemas. Its access token "
            "is the key."
        ),
        "tryton": say("Make a user that may read parties, employees and opportunities."),
    }[crm]
