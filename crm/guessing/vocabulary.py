"""What the exports of known CRMs call files and columns, read from one YAML file a CRM."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_KNOWN = Path(__file__).parent / "known"
GENERAL = "words"
"""The vocabulary of words that many exports use."""
_PERSON = "@"


@dataclass(frozen=True, slots=True)
class Word:
    """A name of a column; `person` where its values are names of people, not keys."""

    text: str
    person: bool


@dataclass(frozen=True, slots=True)
class TableWords:
    """Names that one canonical table and its columns go by, best first."""

    files: frozenset[str]
    columns: dict[str, tuple[Word, ...]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names of one CRM's exports by canonical table."""

    name: str
    title: str
    tables: dict[str, TableWords]


@cache
def vocabularies() -> dict[str, Vocabulary]:
    """All vocabularies by name, the general one among them."""
    return {path.stem: _read(path) for path in sorted(_KNOWN.glob("*.yaml"))}


def plain(name: str) -> str:
    """A name without case, marks and width: 'Deal_Name ', 'DealName' and 'deal name' are one, in any width."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name)).casefold()
    return re.sub(r"[\W_]+", " ", text.replace(".id", " dot id")).strip()


def _read(path: Path) -> Vocabulary:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    title = data.pop("title")
    tables = {
        table: TableWords(
            frozenset(plain(str(file)) for file in parts["files"]),
            {column: tuple(_word(str(w)) for w in words) for column, words in parts["columns"].items()},
        )
        for table, parts in data.items()
    }
    return Vocabulary(path.stem, title, tables)


def _word(text: str) -> Word:
    return Word(plain(text.removeprefix(_PERSON)), text.startswith(_PERSON))
