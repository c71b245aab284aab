"""A review pack in one language: sections of sentences and tables, from which page, HTML, PDF and Excel are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

Value = str | float | int | date | None


class Cell(NamedTuple):
    """What is read, and the value behind it for a spreadsheet."""

    text: str
    value: Value = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; `numbers` are the columns whose cells stand to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the pack.

    Attributes
    ----------
    key : str
        Names it in addresses and the agenda.
    lines : tuple of str
        Sentences, the finding first.
    blank : int
        Empty lines to be written on.
    minutes : int
        Of the meeting; 0 where the agenda gives it none.
    """

    key: str
    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    blank: int = 0
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole pack in words.

    Attributes
    ----------
    html : str
        Language of the words, as HTML names it.
    picture : str
        The forecast as SVG; empty where there is none.
    """

    html: str
    title: str
    subtitle: str
    finding: str
    sections: tuple[Section, ...]
    note: str
    picture: str = ""
    picture_title: str = ""
    picture_note: str = ""
    words: dict[str, str] = field(default_factory=dict)


def text_cell(text: str, address: str = "") -> Cell:
    """A cell of text."""
    return Cell(text, text, address)
