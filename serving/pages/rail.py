"""The rail of pages: each page's module says where it stands there, and for whom."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal

from serving import pages
from serving.i18n import Language

Group = Literal["work", "numbers", "people", "lab", "settings"]
GROUPS: tuple[Group, ...] = ("work", "numbers", "people", "lab", "settings")


@dataclass(frozen=True, slots=True)
class Rail:
    """A page's place in the rail; a module of a page holds one by the name RAIL.

    Parameters
    ----------
    key : str
        Names the icon in templates/icons.html, and the page that is open.
    group : str
        The part of the rail it stands in.
    place : int
        Its order in the group.
    name : callable
        Its name, from the `say` of a language.
    address : str
        Where it is.
    roles : frozenset of str, optional
        Who has it; None is everybody.
    """

    key: str
    group: Group
    place: int
    name: Callable[[Callable[..., str]], str]
    address: str
    roles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A page as one reader's rail shows it."""

    key: str
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Section:
    """A group of pages under its name."""

    name: str
    pages: tuple[Entry, ...]


def sections(language: Language, role: str | None) -> list[Section]:
    """The rail of one role, None being nobody known."""
    say = language.say
    names = {
        "work": say("Work"),
        "numbers": say("Numbers"),
        "people": say("People"),
        "lab": say("Models and data"),
        "settings": say("Settings"),
    }
    found = []
    for group in GROUPS:
        rows = [r for r in _all() if r.group == group and (r.roles is None or role in r.roles)]
        if rows:
            found.append(Section(names[group], tuple(Entry(r.key, r.name(say), r.address) for r in rows)))
    return found


@cache
def _all() -> tuple[Rail, ...]:
    modules = (import_module(f"{pages.__name__}.{m.name}") for m in pkgutil.iter_modules(pages.__path__))
    found = [rail for module in modules if isinstance(rail := getattr(module, "RAIL", None), Rail)]
    return tuple(sorted(found, key=lambda r: (r.place, r.key)))
