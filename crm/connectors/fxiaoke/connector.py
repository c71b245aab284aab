"""纷享销客 (Fxiaoke): records changed since the last sync by the vendor's own clock, and lists that tell deletions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from crm.connectors.base import Batch, Declaration, OwnFields, State
from crm.connectors.fxiaoke.auth import FxiaokeKeys, FxiaokeTokens
from crm.connectors.fxiaoke.calls import MOST_ROWS, FxiaokeApi, matches
from crm.connectors.fxiaoke.objects import (
    ACTIVITIES,
    DECLARATION,
    KEY,
    MODIFIED,
    Form,
    Record,
    Row,
    gone,
    own_fields,
)
from crm.connectors.web import Pace, Patience

_OVERLAP_MS = 60_000
_OWN_TABLES = ("AccountObj", "PersonnelObj", "LeadsObj", "NewOpportunityObj", "OpportunityObj")

Cursor = dict[str, Any]
Part = tuple[dict[str, list[Row]], list[str], Cursor]


@dataclass(frozen=True, slots=True)
class FxiaokeLimits:
    """What a run may ask of Fxiaoke.

    Parameters
    ----------
    page, pages : int
        Rows a call, and calls a batch.
    calls : int
        Calls in all; a company has a quota for the day.
    burst, seconds : int, float
        Calls to one address in so many seconds. The vendor allows 100 in 20; some are left to others.
    list_every : timedelta
        How often all keys are listed, which costs a call for 100 records.
    """

    page: int = MOST_ROWS
    pages: int = 50
    calls: int = 20_000
    burst: int = 90
    seconds: float = 20.0
    list_every: timedelta = timedelta(days=1)


class Fxiaoke:
    """Fxiaoke as a connector; follows `crm.connectors.Connector`.

    The cursor holds, for each kind of record, the moment since when changes are read, in the vendor's clock alone: the
    newest change that was there when a reading began. Readings go up by key, which never changes, so that nothing that
    happens meanwhile moves a record from one page to another.

    Parameters
    ----------
    keys : FxiaokeKeys
        An app's keys, employee and cloud.
    folder : Path
        Where the access token is shared with other processes.
    host : str, optional
        Address of the API; unset: by cloud.
    """

    def __init__(
        self,
        keys: FxiaokeKeys,
        folder: Path,
        *,
        host: str | None = None,
        limits: FxiaokeLimits | None = None,
        patience: Patience | None = None,
        tokens: FxiaokeTokens | None = None,
    ) -> None:
        self._tokens = tokens or FxiaokeTokens(keys, folder, host)
        self._zone = ZoneInfo(keys.time_zone)
        self._limits, self._patience = limits or FxiaokeLimits(), patience
        self._pace = Pace(self._limits.burst, self._limits.seconds)
        self._described: dict[str, dict[str, dict[str, Any]]] = {}

    @property
    def declaration(self) -> Declaration:
        """What it reads."""
        return DECLARATION

    def api(self) -> FxiaokeApi:
        """Calls of one run; to be closed."""
        return FxiaokeApi(self._tokens, max_calls=self._limits.calls, pace=self._pace, patience=self._patience)

    def own_fields(self) -> OwnFields:
        """See `crm.connectors.Connector.own_fields`."""
        with closing(self.api()) as api:
            there = api.objects()
            self._described = {n: api.describe(n) for n in _OWN_TABLES if n in there}
        return {name: own_fields(fields) for name, fields in self._described.items()}

    def pull(self, state: State, stop: datetime, wanted: Mapping[str, Sequence[str]]) -> Iterator[Batch]:
        """See `crm.connectors.Connector.pull`."""
        kept: dict[str, Any] = {name: dict(part) for name, part in state.items()}
        with closing(self.api()) as api:
            there = api.objects()
            for name in [n for n in wanted if n in there]:
                fields = self._described.get(name) or api.describe(name)
                kind = _Kind(api, Form(name, fields, wanted[name], self._zone), self._limits, stop)
                for rows, left, cursor in kind.changes(kept.get(name, {})):
                    kept = {**kept, name: cursor}
                    yield Batch(rows, kept, {name: left} if left else {})
                if kind.list_is_due(kept[name]):
                    keys = kind.keys()
                    kept = {**kept, name: {**kept[name], "listed": stop.isoformat()}}
                    yield Batch({}, kept, present={name: keys})


class _Kind:
    """One kind of record within one run."""

    def __init__(self, api: FxiaokeApi, form: Form, limits: FxiaokeLimits, stop: datetime) -> None:
        self._api, self._form, self._limits, self._stop = api, form, limits, stop

    def changes(self, cursor: Cursor) -> Iterator[Part]:
        """Rows by resource, keys of records in the bin, and the cursor behind them."""
        cursor = {"since": None, "planned": {}, **cursor}
        due = [i for i, at in cursor["planned"].items() if datetime.fromisoformat(at) <= self._stop]
        for start in range(0, len(due), self._limits.page):
            some = due[start : start + self._limits.page]
            found = self._query([matches(KEY, "IN", *some)])
            cursor = {**cursor, "planned": {i: at for i, at in cursor["planned"].items() if i not in some}}
            yield *self._parts(found), cursor
        if "last" not in cursor:
            cursor = {**cursor, "last": None, "started": self._newest()}
        while cursor["last"] != "":
            records, last = self._chunk(cursor)
            planned = {**cursor["planned"], **self._planned(records)}
            cursor = {**cursor, "last": last, "planned": planned}
            if last == "":
                cursor = self._ended(cursor)
            yield *self._parts(records), cursor
            if "last" not in cursor:
                return

    def _ended(self, cursor: Cursor) -> Cursor:
        started = cursor["started"]
        since = cursor["since"] if started is None else str(int(started) - _OVERLAP_MS)
        # A first load has just seen all keys.
        listed = {} if cursor["since"] else {"listed": self._stop.isoformat()}
        return {k: v for k, v in {**cursor, "since": since, **listed}.items() if k not in ("last", "started")}

    def _newest(self) -> str | None:
        """The newest change there is, in milliseconds by the vendor's clock."""
        found = self._api.query(self._form.name, [KEY, MODIFIED], [], order=MODIFIED, up=False, limit=1)
        return str(found[0][MODIFIED]) if found else None

    def _chunk(self, cursor: Cursor) -> tuple[list[Record], str]:
        """Records of some pages, and the last key; empty at the end."""
        records: list[Record] = []
        last = cursor["last"]
        for _ in range(self._limits.pages):
            since = [matches(MODIFIED, "GTE", cursor["since"])] if cursor["since"] else []
            found = self._query([*since, *([matches(KEY, "GT", last)] if last else [])])
            records += found
            if len(found) < self._limits.page:
                return records, ""
            last = str(found[-1][KEY])
        return records, last

    def _query(self, filters: list[dict[str, Any]]) -> list[Record]:
        return list(self._api.query(self._form.name, self._form.asked, filters, limit=self._limits.page))

    def _parts(self, records: Sequence[Record]) -> tuple[dict[str, list[Row]], list[str]]:
        kept = [r for r in records if not gone(r)]
        if self._form.name in ACTIVITIES:
            times = [self._form.took_place(r) for r in kept]
            kept = [r for r, at in zip(kept, times, strict=True) if at is None or at <= self._stop]
        return {self._form.name: [self._form.row(r) for r in kept]}, [str(r[KEY]) for r in records if gone(r)]

    def _planned(self, records: Sequence[Record]) -> dict[str, str]:
        """Activities that lie ahead: they are read again when their time has come."""
        if self._form.name not in ACTIVITIES:
            return {}
        times = {str(r[KEY]): self._form.took_place(r) for r in records if not gone(r)}
        return {i: at.isoformat() for i, at in times.items() if at and at > self._stop}

    def list_is_due(self, cursor: Cursor) -> bool:
        """Whether all keys are to be listed: a first load knows them already."""
        removed = [r.name for r in DECLARATION.resources if r.removes]
        if self._form.name not in removed and not self._form.name.endswith(DECLARATION.own):
            return False
        listed = cursor.get("listed")
        return listed is None or datetime.fromisoformat(listed) + self._limits.list_every <= self._stop

    def keys(self) -> list[str]:
        """Keys of all records that are there and not in the bin."""
        fields = [f for f in (KEY, "life_status", "is_deleted") if f in self._form.asked]
        keys: list[str] = []
        after: list[dict[str, Any]] = []
        while True:
            found = self._api.query(self._form.name, fields, after, limit=self._limits.page)
            keys += [str(r[KEY]) for r in found if not gone(r)]
            if len(found) < self._limits.page:
                return keys
            after = [matches(KEY, "GT", str(found[-1][KEY]))]
