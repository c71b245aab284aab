"""What is still being computed? The banner on each page, and by itself for the script."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from serving.dependencies import CompanyDep, ScoresDep, ServerDep, ViewerDep
from serving.i18n import Language
from serving.jobs import Step
from serving.pages.shell import Visit, Work, visit

router = APIRouter(include_in_schema=False)


@router.get("/work")
def read_work(
    request: Request, server: ServerDep, viewer: ViewerDep, company: CompanyDep, scores: ScoresDep
) -> HTMLResponse:
    """The banner alone."""
    seen = visit(request, company, as_of=scores.as_of, role=viewer.role)
    show_work(seen, server.steps.all(), scores.mark)
    return seen.show("work.html", "")


def show_work(seen: Visit, steps: Sequence[Step], mark: str) -> None:
    """Put into a page's frame what goes on, or what failed.

    Parameters
    ----------
    steps : sequence of Step
        All steps of the work in their order.
    mark : str
        Identifies the newest scores; together with the steps that are done it tells whether a page is out of date.
    """
    say, named = seen.language.say, [step for step in steps if step.state != "done"]
    failed = [step for step in named if step.state == "failed"]
    running = [step for step in named if step.state == "running"]
    if failed:
        seen.shell.failed = say(
            "Stopped at: {step}. {why}", step=name_of(seen.language, failed[0].name), why=failed[0].text
        )
    elif named:
        at = running[0] if running else named[0]
        place = steps.index(at)
        seen.shell.working = Work(
            say("Step {n} of {all}: {step}", n=place + 1, all=len(steps), step=name_of(seen.language, at.name)),
            at.text if seen.language.code == "en" else "",
            (place + at.done) / len(steps),
            f"{mark}-{place}",
        )


def name_of(language: Language, step: str) -> str:
    """A step in words."""
    say = language.say
    named = {
        "data": say("Making the sample company"),
        "win": say("Training the win model"),
        "deals": say("Scoring the deals"),
        "attainment": say("Training the attainment model"),
        "churn": say("Training the churn model"),
        "ranges": say("Working out the ranges of win chances"),
        "scores": say("Scoring people, teams and customers"),
        "history": say("Reconstructing past forecasts"),
        "effects": say("Measuring what actions do"),
    }
    return named.get(step, step.replace("_", " "))
