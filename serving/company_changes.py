"""Settings of the company that an administrator may change from a page: those that no trained model hangs on."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from typing import Any

import yaml

from crm.company import BadSetting, Company
from crm.company_edit import with_value
from crm.errors import BadInput
from serving.home import Home
from serving.store import Store


class NotHere(BadInput):
    """A setting that is not changed from a page."""


def _share(text: str) -> float:
    return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)


def _days(text: str) -> list[str]:
    return [date.fromisoformat(part).isoformat() for part in text.replace(",", " ").split()]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.replace(",", " ").split()]


# How what was typed is read; everything else in company.yaml changes what models were trained on, or is a long text.
EDITABLE: dict[str, Callable[[str], Any]] = {
    "name": str,
    "time_zone": str,
    "people.level": str,
    "people.min_group": int,
    "people.keep_months": int,
    "advice.hold_back": _share,
    "plan.workweek": _numbers,
    "plan.holidays": _days,
    "plan.extra_workdays": _days,
}


def value_of(company: Company, key: str) -> Any:
    """The value of a key such as `advice.hold_back`."""
    found: Any = company
    for part in key.split("."):
        found = getattr(found, part)
    return found


def change_setting(home: Home, store: Store, key: str, typed: str, *, who: str) -> tuple[str, str]:
    """Write one setting into company.yaml, note who did it, and give the value before and after as written.

    Raises
    ------
    NotHere
        If the setting is not one that may be changed from a page.
    BadSetting
        If the value does not fit.
    """
    if key not in EDITABLE:
        raise NotHere("'{key}' is not changed here. Change it in company.yaml, then train anew.", key=key)
    try:
        value = EDITABLE[key](typed.strip())
    except ValueError:
        raise BadSetting(key, f"is '{typed}'", "Give a value like the one shown before.") from None
    path = home.company_file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before = written(value_of(home.company(), key))
    made = with_value(text, key, value)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(made, encoding="utf-8")
    part.replace(path)
    after = written(value_of(Company.parse(yaml.safe_load(made) or {}), key))
    store.audit(who, "setting changed", key=key, before=before, after=after)
    return before, after


def written(value: Any) -> str:
    """A value as one types it again."""
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)
