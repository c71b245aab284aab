"""An import that writes nothing: what it would take, change and refuse, against the lake and people as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake, MergeCount
from crm.people import new_person_key
from crm.report import ImportReport
from serving.home import Home
from serving.store import Store
from serving.tables.people import Person

Tell = Callable[[str, float | None], None]


class CountingLake(Lake):
    """A lake that counts what a merge would do, and does not do it."""

    def merge(
        self, rows: Mapping[str, pa.Table], *, source: str, gone: Mapping[str, pa.Table] | None = None
    ) -> dict[str, MergeCount]:
        """See `Lake.merge`; nothing is written."""
        return self.count(rows)


class KnownPeople:
    """Keys of persons who are known, passing ones for those who are not."""

    def __init__(self, store: Store) -> None:
        with store.reading() as session:
            found = session.execute(select(Person.kind, Person.source_id, Person.person_key)).all()
        self._known = {(kind, source): key for kind, source, key in found}

    def keys_for(self, kind: str, ids: Sequence[str], details: Sequence[Mapping[str, str | None]]) -> list[str]:
        """See `crm.people.PeopleBook`; details are not kept."""
        return [self._known.setdefault((kind, ident), new_person_key()) for ident in ids]


def rehearse(home: Home, store: Store, path: Path, mapping: Any, tell: Tell) -> ImportReport:
    """The report that an import would give; its findings are on the lake as it is.

    Raises
    ------
    NotAllowed, BadInput
        As the import would.
    """
    home.check_import(path)
    brought = path / "company.yaml"
    company = Company.load(brought) if brought.is_file() and not home.has_data() else home.company()
    with tempfile.TemporaryDirectory() as quarantine:
        return import_path(
            path,
            lake=CountingLake(home.lake.root),
            people=KnownPeople(store),
            quarantine=Path(quarantine),
            company=company,
            mapping=mapping,
            progress=lambda text, done, total: tell(text, done / total),
        )
