"""The company's settings: what is each set to, and what does it do? Those are changed that no model hangs on."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from serving.company_changes import EDITABLE, change_setting, value_of, written
from serving.dependencies import AdminDep, ServerDep
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail

router = APIRouter(include_in_schema=False)
RAIL = Rail("settings", "settings", 4, lambda say: say("Company"), "/settings/company", frozenset({"admin"}))


class Setting(NamedTuple):
    """One setting in words."""

    key: str
    name: str
    does: str
    value: str
    default: bool
    editable: bool
    choices: list[str]


class Group(NamedTuple):
    """Settings that belong together."""

    name: str
    settings: list[Setting]


@router.get("/settings/company")
def show_settings(desk: DeskDep, viewer: AdminDep, changed: str = "", was: str = "") -> HTMLResponse:
    """Every setting of company.yaml with its meaning and value."""
    return _page(desk, changed=changed, was=was)


@router.post("/settings/company")
def keep_setting(
    desk: DeskDep,
    server: ServerDep,
    viewer: AdminDep,
    key: Annotated[str, Form(max_length=100)],
    value: Annotated[str, Form(max_length=2000)] = "",
) -> RedirectResponse:
    """Write one setting, and offer to take it back."""
    before, _ = change_setting(server.home, desk.store, key, value, who=viewer.name)
    query = urlencode({"changed": key, "was": before})
    return RedirectResponse(f"/settings/company?{query}#{key}", status_code=303)


def _page(desk: Desk, *, changed: str, was: str) -> HTMLResponse:
    groups = _groups(desk)
    names = {setting.key: setting.name for group in groups for setting in group.settings}
    return desk.show(
        "settings.html",
        "settings",
        groups=groups,
        changed=changed if changed in EDITABLE else "",
        changed_name=names.get(changed, ""),
        was=was,
    )


def _groups(desk: Desk) -> list[Group]:
    say = desk.language.say
    names = {
        "": say("The company"),
        "fiscal": say("Fiscal year"),
        "win": say("Win forecasts"),
        "churn": say("Customers who leave"),
        "people": say("Figures on persons"),
        "plan": say("Goals and pace"),
        "advice": say("Next steps"),
    }
    every = {**_described(type(desk.company)), **meanings(desk)}
    sections = dict.fromkeys(key.rpartition(".")[0] for key in every)
    found = []
    for section in [*names, *(s for s in sections if s not in names)]:
        name = names.get(section, section.replace("_", " ").capitalize())
        keys = [key for key in every if (key.rpartition(".")[0] if "." in key else "") == section]
        found.append(Group(name, [_setting(desk, key, *every[key]) for key in keys]))
    return found


def _setting(desk: Desk, key: str, name: str, does: str) -> Setting:
    value = value_of(desk.company, key)
    default = value_of(type(desk.company)(), key)
    return Setting(key, name, does, _shown(desk, key, value), value == default, key in EDITABLE, _choices(key))


def _shown(desk: Desk, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return desk.language.say("yes") if value else desk.language.say("no")
    if key == "features":
        return desk.formats.number(len(value))
    if key == "write_back":
        return ", ".join(value)
    if key == "stages":
        return "; ".join(f"{pipeline}: {' → '.join(stages)}" for pipeline, stages in value.items())
    return written(value)


def _choices(key: str) -> list[str]:
    return ["off", "team", "person"] if key == "people.level" else []


def _described(model: type[BaseModel], prefix: str = "") -> dict[str, tuple[str, str]]:
    """Name and meaning of every setting as company.yaml's own model has them, in English, by key."""
    found: dict[str, tuple[str, str]] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= _described(inner, f"{prefix}{name}.")
        else:
            found[prefix + name] = (name.replace("_", " ").capitalize(), field.description or "")
    return found


def meanings(desk: Desk) -> dict[str, tuple[str, str]]:
    """Name and meaning of settings in the visitor's language, by key; others come with the model's own words."""
    say = desk.language.say
    return {
        "name": (say("Name"), say("Stands on pages and reports.")),
        "base_currency": (say("Base currency"), say("Currency of all totals; models are trained on amounts in it.")),
        "time_zone": (say("Time zone"), say("Decides where days and periods begin and end.")),
        "stages": (say("Stages"), say("Open stages of each pipeline, first to last; empty: read from history.")),
        "features": (say("Own features"), say("Features of deals that the company added, by number.")),
        "write_back": (say("Written back"), say("Fields of a CRM's deals that forecasts are written into, by CRM.")),
        "sample": (say("Sample company"), say("Whether the data is made up; real data cannot be imported then.")),
        "fiscal.start_month": (say("First month"), say("First month of the fiscal year.")),
        "fiscal.named_by": (
            say("Named by"),
            say("Whether a fiscal year takes the calendar year of its first or its last day."),
        ),
        "win.horizon_weeks": (say("Horizon"), say("How far ahead a deal may be won, in weeks.")),
        "churn.horizon_days": (say("Horizon of leaving"), say("How far ahead leaving is forecast, in days.")),
        "churn.silent_days": (
            say("Silent days"),
            say("Without contracts: lost after so many days without an order; empty: by the customer's own rhythm."),
        ),
        "people.level": (
            say("Level"),
            say("off: no figures on persons; team: own figures and groups; person: managers see each person below."),
        ),
        "people.min_group": (say("Smallest group"), say("Below level person, figures of fewer people are withheld.")),
        "people.keep_months": (say("Kept for"), say("How long figures on persons are kept, in months.")),
        "people.purposes": (say("Purposes"), say("What figures on persons may be used for; set where that is agreed.")),
        "plan.workweek": (say("Working week"), say("Days that are worked, 1 for Monday to 7 for Sunday.")),
        "plan.holidays": (say("Days off"), say("Days off within the working week.")),
        "plan.extra_workdays": (say("Days worked"), say("Days worked outside the working week.")),
        "plan.no_target_roles": (say("Roles without a goal"), say("Who carries no goal of their own.")),
        "advice.hold_back": (
            say("Held back"),
            say("Share of suggestions held back at random to measure whether advice works; 0 switches that off."),
        ),
    }
