"""What every page shares: language and formats of the visitor, the frame around the page, and its rendering."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crm.company import Company
from serving.format import Formats
from serving.i18n import LANGUAGES, Language, choose_code, language
from serving.pages.helps import help_of
from serving.pages.rail import Entry, Section, sections
from serving.pages.tour_steps import Tour, tour_of

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "static"
LANGUAGE_COOKIE = "bellwether_language"
THEME_COOKIE = "bellwether_theme"
THEMES = ("light", "dark")
_PHONE = ("today", "deals", "forecast", "accounts")
_SHORT = {"en": "EN", "zh": "中文"}


@dataclass(frozen=True, slots=True)
class Other:
    """A language one can switch to."""

    code: str
    html: str
    short: str


@dataclass(frozen=True, slots=True)
class Work:
    """Work that is still going on: in words, and as a share done."""

    title: str
    text: str
    done: float
    mark: str  # changes when something new can be shown


@dataclass(slots=True)
class Shell:
    """The frame around a page."""

    company: str
    sample: bool
    theme: str | None
    here: str
    path: str
    sections: list[Section]
    other_languages: list[Other]
    as_of: datetime | None = None
    viewer: str = ""
    signed_in: bool = False
    working: Work | None = None
    failed: str = ""
    old: str = ""
    tour: Tour | None = None

    @property
    def bare(self) -> str:
        """Where one is, without a step of the tour."""
        return self.path.partition("?")[0] if self.tour else self.path

    @property
    def first(self) -> list[Entry]:
        """The pages in a phone's bar; the others stand behind 'More'."""
        every = [page for section in self.sections for page in section.pages]
        return [page for key in _PHONE for page in every if page.key == key]

    @staticmethod
    def static(name: str) -> str:
        """Address of a static file; it changes with the content, so that browsers may keep it."""
        return f"/static/{name}?v={_digest(name)}"


@dataclass(slots=True)
class Visit:
    """One request as the pages see it: who reads in which language, and what frames the answer."""

    request: Request
    language: Language
    formats: Formats
    company: Company
    shell: Shell
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """Day of the newest scores, on the company's clock."""
        found = self.formats.day(self.shell.as_of or self.formats.now)
        assert found is not None
        return found

    def show(self, template: str, here: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Render a template in the visitor's language."""
        self.shell.here = here
        text = (
            environment()
            .get_template(template)
            .render(
                shell=self.shell,
                lang=self.language,
                f=self.formats,
                say=self.language.say,
                say_n=self.language.say_n,
                **context,
            )
        )
        return HTMLResponse(text, status, headers={"Vary": "Cookie, Accept-Language", "Cache-Control": "no-store"})


def visit(request: Request, company: Company, *, as_of: datetime | None = None, role: str | None = None) -> Visit:
    """What a request tells about language and theme, with an empty frame around it."""
    cookies = request.cookies
    chosen = language(choose_code(cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")))
    theme = cookies.get(THEME_COOKIE)
    now = max(datetime.now(UTC), as_of) if as_of else datetime.now(UTC)
    shell = Shell(
        company=_name(company, chosen),
        sample=company.sample,
        theme=theme if theme in THEMES else None,
        here="",
        path=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        sections=sections(chosen, role),
        other_languages=[Other(c, LANGUAGES[c][1], _SHORT[c]) for c in LANGUAGES if c != chosen.code],
        as_of=as_of,
        tour=tour_of(request, chosen, sample=company.sample) if as_of else None,
    )
    return Visit(
        request, chosen, Formats(chosen, company.base_currency, ZoneInfo(company.time_zone), now), company, shell
    )


def _name(company: Company, language: Language) -> str:
    """The company's name; the sample company's, which nobody chose, in the visitor's language."""
    return language.say("Sample company") if company.sample else company.name


def local_path(wished: str | None, otherwise: str = "/today") -> str:
    """An address on this server to go back to; anything that a browser might take for another server is refused."""
    safe = wished is not None and wished.startswith("/") and not wished.startswith(("//", "/\\"))
    return wished if safe and wished is not None and "\n" not in wished and "\r" not in wished else otherwise


@cache
def environment() -> Environment:
    """The templates, HTML escaped, failing on a name that is not given."""
    made = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["help_of"] = help_of
    made.globals["icon"] = made.get_template("icons.html").module.icon  # type: ignore[attr-defined]
    return made


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
