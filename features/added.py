"""Deals put beside those of a view for one question: their rows, and what the sources make of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa

from features.as_of import LOG
from features.prepared import Prepared
from features.sources import HANDOVERS, SOURCES

TABLES = ("deals", "deal_changes", "activities")
_BY_DEAL = ("touches", "moves")
_SHARED = ("desk", "handovers", "stays")


class Added:
    """Puts open deals into canonical tables and sources; to be undone by a rollback.

    The sources made from a deal's own rows are worked out from the added rows alone. What is known of closings stays as
    it is, for deals that are added are open.

    Parameters
    ----------
    session : Prepared
        Where canonical tables and sources are tables, not views.
    sources : collection of str
        Names of the sources that there are.
    late : frozenset of str
        Columns of deals that are treated as not known.
    """

    def __init__(self, session: Prepared, sources: Collection[str], late: frozenset[str]) -> None:
        self._session = session
        self._queries = {name: SOURCES[name] for name in (*_BY_DEAL, *_SHARED) if name in sources and name in SOURCES}
        if "handovers" in sources and "account_id" not in late:
            self._queries["handovers"] = HANDOVERS
        with session.laying_out():
            for name in TABLES:
                session.make(f"_new_{name}", f"select * from {name}")
                session.make(f"_old_{name}", f"select * from {name}")

    def put(self, added: Mapping[str, pa.Table]) -> None:
        """Add whole deals; one that is there already is replaced, and must come with all rows that it had."""
        for name in TABLES:
            self._session.put(f"_new_{name}", added[name])
        (known,) = self._session.run("select count(*) from deals semi join _new_deals using (deal_id)").fetchall()[0]
        if known:
            for name in TABLES:
                self._session.make(f"_old_{name}", f"select t.* from {name} t semi join _new_deals using (deal_id)")
        for name, query in {"logged": LOG, **self._queries}.items():
            self._put_source(name, query, replacing=bool(known))
        for name in TABLES:
            if known:
                self._drop_old(name)
            self._session.run(f"insert into {name} by name select * from _new_{name}")

    def _put_source(self, name: str, query: str, *, replacing: bool) -> None:
        rows = _of_these(query, "_new")
        if replacing and name in _SHARED:  # its rows do not say whose they are: what is new is put beside what was
            rows = f"({rows}) except all ({_of_these(query, '_old')})"
        elif replacing:
            self._drop_old(name)
        self._session.run(f"insert into {name} {rows}")

    def _drop_old(self, name: str) -> None:
        self._session.run(f"delete from {name} where deal_id in (select deal_id from _new_deals)")


def _of_these(query: str, prefix: str) -> str:
    shadows = ", ".join(f"{name} as (select * from {prefix}_{name})" for name in TABLES)
    return f"select * from (with {shadows}, logged as ({LOG}) select * from ({query}))"
