"""The languages of the pages: which one a visitor gets, and what each sentence is in it."""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from crm.errors import BellwetherError, Both

LOCALE_DIR = Path(__file__).with_name("locale")
SOURCE = "en"
# Code in cookies and addresses -> (Babel's locale, value of the html element's lang, own name).
LANGUAGES = {"en": ("en", "en", "English"), "zh": ("zh_Hans", "zh-Hans", "简体中文")}


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its sentences, and Babel's data for numbers and dates."""

    code: str
    html: str
    name: str
    locale: Locale
    catalogue: gettext.NullTranslations

    def say(self, sentence: str, /, **values: object) -> str:
        """A whole sentence in this language, with its `{named}` values put in.

        Parameters
        ----------
        sentence : str
            The English sentence, which is also its key in the catalogue.
        **values : object
            Values already formatted for this language.
        """
        text = self.catalogue.gettext(sentence)
        return text.format(**values) if values else text

    def say_n(self, one: str, many: str, count: int, /, **values: object) -> str:
        """A sentence about a number of things; `{n}` is the number, grouped as the language does."""
        text = self.catalogue.ngettext(one, many, count)
        return text.format(n=f"{count:,}", **values)

    def tell(self, error: BellwetherError) -> str:
        """What an error says, in this language; in English where it has no translation."""
        return self.say(error.sentence, **{name: self._value(value) for name, value in error.values.items()})

    def _value(self, value: object) -> object:
        if isinstance(value, BellwetherError):
            return self.tell(value)
        return self.choose(value.en, value.zh) if isinstance(value, Both) else value

    def choose(self, en: str, zh: str | None) -> str:
        """Of a pair of sentences that data carry, the one in this language; English where Chinese is missing."""
        return zh if self.code == "zh" and zh else en


@cache
def language(code: str) -> Language:
    """The language of a code of `LANGUAGES`; another code is a KeyError."""
    babel_code, html, name = LANGUAGES[code]
    return Language(code, html, name, Locale.parse(babel_code), _catalogue(babel_code))


def choose_code(wished: str | None, accepted: str | None) -> str:
    """Code of the language to answer in.

    Parameters
    ----------
    wished : str or None
        What the visitor chose before (a cookie).
    accepted : str or None
        The browser's Accept-Language, such as `zh-CN,zh;q=0.9,en;q=0.8`.
    """
    if wished in LANGUAGES:
        return wished
    for tag in _by_weight(accepted or ""):
        if (code := tag.split("-")[0].lower()) in LANGUAGES:
            return code
    return SOURCE


def _by_weight(accepted: str) -> Iterable[str]:
    weighed = []
    for position, part in enumerate(accepted.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), position, tag))
        except ValueError:
            continue  # a browser's slip, not worth an error
    return [tag for _, _, tag in sorted(weighed)]


def _catalogue(babel_code: str) -> gettext.NullTranslations:
    """Compiled in memory, so that an installation needs no build step and no stale .mo can be read."""
    path = LOCALE_DIR / babel_code / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return gettext.NullTranslations()
    with path.open("rb") as source:
        catalog = read_po(source, locale=babel_code)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
