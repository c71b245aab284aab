"""What an import did: rows taken and refused, tables absent and what that costs, findings on the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from crm.checking import Refusal
from crm.lake import MergeCount
from crm.quality import Finding

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TableReport:
    """Rows of one table."""

    read: int
    new: int
    changed: int
    unchanged: int
    refused: int
    gone: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """An import's outcome.

    Parameters
    ----------
    tables : dict of str to TableReport
        Rows by canonical table.
    refusals : list of Refusal
        Every bad cell.
    absent : dict of str to str
        Canonical tables that the company has not, and what that costs.
    ignored : dict of str to list of str
        Columns of canonical files that fit nothing.
    findings : list of Finding
        What is odd in the data as it is now.
    quarantine : str, optional
        File that holds refused rows.
    stages : dict of str to list of str
        Stage order that the mapping brought.
    left_out : dict of str to int
        Rows that the mapping leaves out because a column it asks for is empty.
    notes : dict of str to list of str
        How files were read, where that was not plain: an encoding, a header further down.
    """

    tables: dict[str, TableReport]
    refusals: list[Refusal] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    quarantine: str | None = None
    stages: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of_counts(cls, counts: Mapping[str, MergeCount]) -> ImportReport:
        """The report of a merge that read no rows."""
        tables = {n: TableReport(0, c.new, c.changed, c.unchanged, 0, c.gone) for n, c in counts.items()}
        return cls(tables=tables)

    @property
    def taken(self) -> int:
        """Rows that are in the lake now."""
        return sum(t.new + t.changed + t.unchanged for t in self.tables.values())

    def reasons(self) -> Counter[tuple[str, str, str]]:
        """How many cells were refused, by table, column and reason."""
        return Counter((r.table, r.column, r.reason) for r in self.refusals)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        by_reason = [
            {"table": t, "column": c, "reason": reason, "cells": n}
            for (t, c, reason), n in self.reasons().most_common()
        ]
        return {**asdict(self), "refused_by_reason": by_reason}

    def lines(self) -> list[str]:
        """The report as lines to read."""
        out = [
            f"{name}: {t.new:,} new, {t.changed:,} changed, {t.unchanged:,} unchanged, {t.refused:,} refused"
            + (f", {t.gone:,} gone" if t.gone else "")
            for name, t in self.tables.items()
        ]
        out += [f"{file}: {note}" for file, notes in self.notes.items() for note in notes]
        for (table, column, reason), count in self.reasons().most_common():
            first = next(r for r in self.refusals if (r.table, r.column, r.reason) == (table, column, reason))
            out.append(f"refused {count:,}: {first}")
        if self.quarantine:
            out.append(f"refused rows are kept in {self.quarantine}")
        out += [f"{name}: {rows:,} rows left out by the mapping's filled" for name, rows in self.left_out.items()]
        out += [f"{file}: columns that fit nothing: {', '.join(names)}" for file, names in self.ignored.items()]
        out += [f"no {name}: {cost}" for name, cost in self.absent.items()]
        return out + [f"{finding.text} {finding.cost} {finding.mend}" for finding in self.findings]
