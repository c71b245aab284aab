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
from serving.pages.setting_words import meanings

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
        "plan.risks": say("Limits of the risk register"),
        "advice": say("Next steps"),
    }
    every = {**_described(type(desk.company)), **meanings(desk.language.say)}
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
