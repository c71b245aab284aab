"""The models: is the one in use still right, and is a newer one better?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import select

from serving import model_changes
from serving.access import may_change_models
from serving.dependencies import ServerDep, SignedInDep
from serving.format import Formats
from serving.pages.desk import Desk, DeskDep
from serving.pages.job_words import model_names
from serving.pages.model_words import figures, watched
from serving.pages.rail import Rail
from serving.schemas import WITHOUT_NULL
from serving.tables.audit import AuditEntry
from serving.watched import newest
from training import registry

router = APIRouter(include_in_schema=False)
RAIL = Rail("models", "lab", 1, lambda say: say("Models"), "/models", frozenset({"analyst", "admin"}))
_MOST_CHANGES = 20

Why = Annotated[str, Form(min_length=3, max_length=500), WITHOUT_NULL]


class Measure(NamedTuple):
    """A figure of a version and what it is to be read against."""

    name: str
    value: str
    beside: str


class Row(NamedTuple):
    """One version in a table; `state` is empty for one that is not in use."""

    version: str
    made: str
    state: str
    skill: str
    verdict: str
    in_use: bool


class Kind(NamedTuple):
    """All about one kind of model."""

    what: str
    title: str
    finding: str
    measures: list[Measure]
    rows: list[Row]
    can_go_back: bool


@router.get("/models")
def show_models(desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """The versions of each kind of model with what the gate said, how good they were on past dates, and the changes."""
    may_change_models(desk.viewer)
    say = desk.language.say
    found = registry.list_versions(tracking=server.home.tracking)
    kinds = [_kind(desk, what, [v for v in found if v.what == what]) for what in registry.KINDS]
    waiting = [kind.title for kind in kinds if kind.rows and not kind.rows[0].in_use]
    return desk.show(
        "models.html",
        "models",
        kinds=kinds,
        finding=say("Newer versions wait for a decision: {names}.", names=", ".join(waiting))
        if waiting
        else say("The newest version of every model is in use."),
        may_change=desk.viewer.signed_in,
        changes=_changes(desk, server),
        watched=_watched(desk, server),
    )


@router.post("/models/{what}/promote")
def promote(
    what: registry.What, server: ServerDep, viewer: SignedInDep, version: Annotated[str, Form(max_length=20)], why: Why
) -> RedirectResponse:
    """Put a version in use and go back to the page."""
    model_changes.promote(server, viewer, what, version, why)
    return RedirectResponse(f"/models#{what}", status_code=303)


@router.post("/models/{what}/roll-back")
def roll_back(what: registry.What, server: ServerDep, viewer: SignedInDep, why: Why) -> RedirectResponse:
    """Put the version before in use and go back to the page."""
    model_changes.roll_back(server, viewer, what, why)
    return RedirectResponse(f"/models#{what}", status_code=303)


def _kind(desk: Desk, what: registry.What, versions: list[registry.Version]) -> Kind:
    say, f = desk.language.say, desk.formats
    titles = model_names(f)
    used = next((v for v in versions if registry.CHAMPION in v.aliases), None)
    if used is None:
        return Kind(what, titles[what], say("None yet. Run: bellwether train {what}", what=what), [], [], False)
    if what == "attainment":
        finding = say("In use: version {version}.", version=used.version)
    elif used.metrics.get("skill_low", 0.0) > 0:
        finding = say(
            "In use: version {version}. On past dates its log loss was {share} lower than the base rate's.",
            version=used.version,
            share=f.percent(used.metrics["skill"], digits=1),
        )
    else:
        finding = say(
            "In use: version {version}. It is no better than the base rate on this data.", version=used.version
        )
    rows = [_row(desk, v) for v in versions]
    return Kind(what, titles[what], finding, _MEASURES[what](desk, used.metrics), rows, bool(used.tags.get("replaced")))


def _row(desk: Desk, version: registry.Version) -> Row:
    f, say = desk.formats, desk.language.say
    used = registry.CHAMPION in version.aliases
    return Row(
        version.version,
        f.moment(version.made_at),
        say("in use") if used else "",
        _span(f, version.metrics),
        desk.language.choose(version.tags.get("verdict", ""), version.tags.get("verdict_zh")),
        used,
    )


def _span(f: Formats, metrics: Mapping[str, float]) -> str:
    if "skill" not in metrics:
        return "–"
    return f"{f.percent(metrics['skill'], digits=1)} ({f.percent_range(metrics['skill_low'], metrics['skill_high'])})"


def _win(desk: Desk, m: Mapping[str, float]) -> list[Measure]:
    f, say = desk.formats, desk.language.say
    return [
        Measure(say("Log loss saved against the base rate"), _span(f, m), say("90% range over deals")),
        *_calibration(desk, m),
        Measure(say("Deals it was judged on"), f.number(m.get("deals")), say("each before its end was known")),
    ]


def _calibration(desk: Desk, m: Mapping[str, float]) -> list[Measure]:
    f, say = desk.formats, desk.language.say
    if "calibration_error" not in m:  # trained before it was kept, or too short a history
        return []
    return [
        Measure(
            say("Mean forecast"),
            f.percent(m.get("mean_forecast"), digits=1),
            say("{share} came true", share=f.percent(m.get("realised_share"), digits=1)),
        ),
        Measure(
            say("Calibration error"),
            f.percent(m.get("calibration_error"), digits=1),
            say("{floor} would be luck alone", floor=f.percent(m.get("calibration_floor"), digits=1)),
        ),
    ]


def _churn(desk: Desk, m: Mapping[str, float]) -> list[Measure]:
    f, say = desk.formats, desk.language.say
    return [
        Measure(say("Log loss saved against the base rate"), _span(f, m), say("90% range over customers")),
        *_calibration(desk, m),
        Measure(
            say("Customers it learnt from"),
            f.number(m.get("n_accounts")),
            say("{n} of them left", n=f.number(m.get("n_left"))),
        ),
    ]


def _attainment(desk: Desk, m: Mapping[str, float]) -> list[Measure]:
    f, say = desk.formats, desk.language.say
    names = {"rep": say("Persons' results in the 80% range"), "company": say("Company's results in the 80% range")}
    found = [
        Measure(text, f.percent(m[f"coverage_{who}"]), say("should be near 80%"))
        for who, text in names.items()
        if f"coverage_{who}" in m
    ]
    if "pinball_company_simulation" in m and "pinball_company_run_rate" in m:
        saved = 1 - m["pinball_company_simulation"] / m["pinball_company_run_rate"]
        found.append(
            Measure(
                say("Company's error below that of today's pace"),
                f.percent(saved),
                say("pinball loss at past dates"),
            )
        )
    return found


_MEASURES: dict[str, Callable[[Desk, Mapping[str, float]], list[Measure]]] = {
    "win": _win,
    "attainment": _attainment,
    "churn": _churn,
}


def _watched(desk: Desk, server: ServerDep) -> dict[str, Any] | None:
    """What was found last about when to train again, what calls for it first."""
    found, say = newest(server.home), desk.language.say
    if found is None:
        return None
    names = model_names(desk.formats)
    finding = say("No model needs training.")
    if found.due:
        finding = say("Time to train again: {names}.", names=", ".join(names.get(what, what) for what in found.due))
    triggers = [
        {
            "what": names.get(t.what, t.what),
            "name": watched(desk.formats, t),
            "due": t.due,
            "text": figures(desk.formats, t),
        }
        for t in sorted(found.triggers, key=lambda trigger: not trigger.due)
    ]
    when = desk.formats.moment(datetime.fromisoformat(found.as_of))
    return {"finding": finding, "triggers": triggers, "alerts": found.alerts, "when": when}


def _changes(desk: Desk, server: ServerDep) -> list[dict[str, Any]]:
    """Who put which version in use and why, newest first."""
    did = [model_changes.PROMOTED, model_changes.ROLLED_BACK]
    query = select(AuditEntry).where(AuditEntry.what.in_(did)).order_by(AuditEntry.audit_id.desc()).limit(_MOST_CHANGES)
    with server.store.reading() as session:
        entries = session.scalars(query).all()
    return [_change(desk, e.at, e.who, e.what, e.detail) for e in entries]


def _change(desk: Desk, at: datetime, who: str, did: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    say = desk.language.say
    text = (
        say("{who} put {model} {version} in use: {why}")
        if did == model_changes.PROMOTED
        else say("{who} went back to {model} {version}: {why}")
    )
    said = text.format(
        who=who,
        model=model_names(desk.formats).get(detail["model"], detail["model"]),
        version=detail["version"],
        why=detail["why"],
    )
    return {"iso": at.isoformat(), "when": desk.formats.moment(at), "text": said}
