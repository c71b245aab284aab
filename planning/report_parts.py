"""What every report is made of: named tables with the kind of each column, and the figures its sentence needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from planning.sales import Window

Kind = Literal["text", "number", "decimal", "money", "share", "points", "days", "date", "log", "p"]
"""How a value is written; `points` is a difference of shares, `log` a part of the logarithm of a ratio."""


@dataclass(frozen=True)
class Table:
    """One table of a report.

    Attributes
    ----------
    columns : mapping of str to Kind
        In order.
    rows : DataFrame
        Exactly these columns; missing where nothing is known.
    """

    name: str
    columns: Mapping[str, Kind]
    rows: pd.DataFrame = field(repr=False)

    @classmethod
    def of(cls, name: str, columns: Mapping[str, Kind], rows: Iterable[Mapping[str, Any]]) -> Table:
        """A table from rows; what a row does not name is missing."""
        return cls(name, columns, pd.DataFrame(list(rows), columns=list(columns)))


@dataclass(frozen=True)
class Report:
    """A report of a period beside the one before it.

    Attributes
    ----------
    facts : mapping of str to value
        What the report's sentence says.
    notes : tuple of str
        What is left out or missing, and why.
    """

    name: str
    window: Window
    tables: tuple[Table, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def table(self, name: str) -> Table:
        """One of its tables."""
        return next(table for table in self.tables if table.name == name)


def ratio(now: float, before: float) -> float | None:
    """Change as a share of what was before; None where that was nothing."""
    return now / before - 1 if before else None
