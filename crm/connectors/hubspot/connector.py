"""HubSpot: keys by list and search, records by their keys, histories of deals, what was deleted or merged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from crm.connectors.base import Batch, Declaration, OwnFields, State
from crm.connectors.hubspot.auth import HubSpotKeys, HubSpotTokens
from crm.connectors.hubspot.calls import HubSpotApi, HubSpotPace
from crm.connectors.hubspot.objects import (
    ACTIVITIES,
    DEALS,
    DECLARATION,
    HISTORY,
    KINDS,
    LEADS,
    LINKS,
    LOGGED,
    Record,
    Row,
    Stages,
    activity_row,
    contact_row,
    deal_log,
    deal_row,
    flat,
    key_of,
    lead_row,
    merged,
    moment,
    number_of,
    own_fields,
    owner_rows,
    properties,
    took_place,
)
from crm.connectors.web import Patience

_OVERLAP = timedelta(minutes=5)  # a change can be searched for some moments after it was made
_MODIFIED = {"contacts": "lastmodifieddate"}

Cursor = dict[str, Any]
Part = tuple[dict[str, list[Row]], list[str], Cursor]


@dataclass(frozen=True, slots=True)
class HubSpotLimits:
    """What a run may ask of HubSpot.

    Parameters
    ----------
    pages : int
        Pages of keys a batch.
    calls : int
        Calls in all.
    burst, seconds : int, float
        Calls in so many seconds. HubSpot allows private apps 100 in 10 at least; some are left to others.
    searches : int
        Searches in a second, of the 5 that are allowed.
    leave : float
        Share of the day's calls that is left to others.
    list_every : timedelta
        How often all keys are listed, which costs a call for 100 records.
    """

    pages: int = 20
    calls: int = 20_000
    burst: int = 90
    seconds: float = 10.0
    searches: int = 4
    leave: float = 0.1
    list_every: timedelta = timedelta(days=1)


class HubSpot:
    """HubSpot as a connector; follows `crm.connectors.Connector`.

    The cursor holds, for each kind of record, the moment since when changes are read; within an unfinished first load
    the place in the list, within a later reading the last key: searches go up by key, each behind the last one, so that
    no search meets the end that HubSpot sets to it, and a record that changes meanwhile moves no other one.

    Parameters
    ----------
    keys : HubSpotKeys
        A private app's token, or an app with a refresh token.
    host : str, optional
        Address of the API; unset: HubSpot's.
    """

    def __init__(
        self,
        keys: HubSpotKeys,
        *,
        host: str | None = None,
        limits: HubSpotLimits | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._tokens = HubSpotTokens(keys, host)
        self._limits, self._patience = limits or HubSpotLimits(), patience
        self._pace = HubSpotPace(self._limits.burst, self._limits.seconds, self._limits.searches)
        self._known: dict[str, dict[str, Record]] = {}

    @property
    def declaration(self) -> Declaration:
        """What it reads."""
        return DECLARATION

    def api(self) -> HubSpotApi:
        """Calls of one run; to be closed."""
        calls, leave = self._limits.calls, self._limits.leave
        return HubSpotApi(self._tokens, max_calls=calls, leave=leave, pace=self._pace, patience=self._patience)

    def own_fields(self) -> OwnFields:
        """See `crm.connectors.Connector.own_fields`."""
        with closing(self.api()) as api:
            self._known = {kind: api.properties(kind) for kind in (DEALS, "companies")}
        return {kind: own_fields(known) for kind, known in self._known.items()}

    def pull(self, state: State, stop: datetime, wanted: Mapping[str, Sequence[str]]) -> Iterator[Batch]:
        """See `crm.connectors.Connector.pull`."""
        kept: dict[str, Any] = {name: dict(part) for name, part in state.items()}
        with closing(self.api()) as api:
            yield Batch(owner_rows(api.owners()), kept)
            for name, kind in self._kinds(api, KINDS, stop, wanted):
                for rows, gone, cursor in kind.changes(kept.get(name, {})):
                    kept = {**kept, name: cursor}
                    yield Batch(rows, kept, {name: [key_of(name, g) for g in gone]} if gone else {})
                if kind.list_is_due(kept[name]):
                    keys = [key_of(name, number) for number in kind.numbers()]
                    kept = {**kept, name: {**kept[name], "listed": stop.isoformat()}}
                    yield Batch({}, kept, present={name: keys})

    def pull_some(
        self, keys: Mapping[str, Sequence[str]], stop: datetime, wanted: Mapping[str, Sequence[str]]
    ) -> Iterator[Batch]:
        """See `crm.connectors.base.ReadsSome.pull_some`."""
        with closing(self.api()) as api:
            for name, kind in self._kinds(api, [n for n in KINDS if keys.get(n)], stop, wanted):
                rows, gone = kind.some([number_of(name, key) for key in keys[name]])
                yield Batch(rows, {}, {name: [key_of(name, g) for g in gone]})

    def _kinds(
        self, api: HubSpotApi, names: Sequence[str], stop: datetime, wanted: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[str, _Kind]]:
        """These kinds of records, where the company has them and the key may see them."""
        zone = api.zone()
        for name in names:
            if known := self._known.get(name) or api.properties(name):
                stages = Stages.of(api.pipelines(name)) if name in LOGGED else Stages()
                yield name, _Kind(api, name, wanted[name], known, self._limits, stop, stages, zone)


class _Kind:
    """One kind of record within one run."""

    def __init__(
        self,
        api: HubSpotApi,
        name: str,
        columns: Sequence[str],
        known: Mapping[str, Record],
        limits: HubSpotLimits,
        stop: datetime,
        stages: Stages,
        zone: tzinfo,
    ) -> None:
        self._api, self._name, self._columns, self._limits, self._stop = api, name, columns, limits, stop
        self._stages, self._zone = stages, zone
        self._asked = properties(name, columns, list(known))
        self._past = [p for p in LOGGED.get(name, {}).values() if p in known]

    def changes(self, cursor: Cursor) -> Iterator[Part]:
        """Rows by resource, keys of records that are gone, and the cursor behind them."""
        cursor = {"since": None, "planned": {}, **cursor}
        if due := [i for i, at in cursor["planned"].items() if datetime.fromisoformat(at) <= self._stop]:
            cursor = {**cursor, "planned": {i: at for i, at in cursor["planned"].items() if i not in due}}
            yield self._part(due, cursor)
        if "started" not in cursor:
            cursor["started"] = min(self._stop, self._api.web.server_time).replace(microsecond=0).isoformat()
        whole = False
        while not whole:
            keys, place = self._searched(cursor) if cursor["since"] else self._listed(cursor)
            whole = place is None
            cursor = {**cursor, "place": place}
            yield self._part(keys, cursor)
        yield {}, self._deleted(cursor["since"]), self._ended(cursor)

    def some(self, keys: Sequence[str]) -> tuple[dict[str, list[Row]], list[str]]:
        """Rows of these records, and keys of those that are not there, or were merged into one of them."""
        rows, gone, _ = self._part(keys, {"planned": {}})
        there = {number_of(self._name, str(row["id"])) for row in rows[self._name]}
        return rows, [*dict.fromkeys([*gone, *(key for key in keys if key not in there)])]

    def _ended(self, cursor: Cursor) -> Cursor:
        since = (datetime.fromisoformat(cursor["started"]) - _OVERLAP).isoformat()
        # A first load has just seen all keys.
        listed = cursor.get("listed") if cursor["since"] else self._stop.isoformat()
        return {"since": since, "planned": cursor["planned"], "listed": listed}

    def _listed(self, cursor: Cursor) -> tuple[list[str], str | None]:
        """Keys of some pages of the list, and where the next page begins; None at the end."""
        keys: list[str] = []
        place = cursor.get("place")
        for _ in range(self._limits.pages):
            more, place = self._api.listed(self._name, place)
            keys += more
            if place is None:
                break
        return keys, place

    def _searched(self, cursor: Cursor) -> tuple[list[str], str | None]:
        """Keys of some pages of what changed, and the last one; None at the end."""
        since = int(datetime.fromisoformat(cursor["since"]).timestamp() * 1000)
        changed = {"propertyName": _MODIFIED.get(self._name, "hs_lastmodifieddate"), "operator": "GTE"}
        filters = [{**changed, "value": str(since)}]
        keys: list[str] = []
        place = cursor.get("place")
        for _ in range(self._limits.pages):
            behind = [{"propertyName": "hs_object_id", "operator": "GT", "value": place}] if place else []
            found, more = self._api.found(self._name, [*filters, *behind])
            keys += found
            if not more:
                return keys, None
            place = found[-1]
        return keys, place

    def _part(self, keys: Sequence[str], cursor: Cursor) -> Part:
        """Rows of these records as they are now."""
        records = self._api.read(self._name, keys, self._asked, self._past)
        gone = [key for record in records for key in merged(record)]
        times = {str(r["id"]): took_place(self._name, r) for r in records if self._name in ACTIVITIES}
        ahead = {i: at.isoformat() for i, at in times.items() if at and at > self._stop}
        if self._name in ACTIVITIES:  # one that was called off leaves the lake
            gone += [i for i, at in times.items() if at is None or at > self._stop]
            records = [r for r in records if (at := times[str(r["id"])]) and at <= self._stop]
        planned = {i: at for i, at in cursor["planned"].items() if i not in times} | ahead
        return self._rows(records), gone, {**cursor, "planned": planned}

    def _rows(self, records: Sequence[Record]) -> dict[str, list[Row]]:
        keys = [str(r["id"]) for r in records]
        links = {c: self._api.linked(self._name, to, keys) for to, c in LINKS.get(self._name, {}).items()}
        logs: list[list[Row]] = []
        if self._name in LOGGED:
            logs = [deal_log(r, self._stages, self._zone, self._name) for r in records]
            rows = [self._deal(r, log) for r, log in zip(records, logs, strict=True)]
        elif self._name in ACTIVITIES:
            rows = [activity_row(self._name, r, self._columns) for r in records]
        else:
            rows = [(contact_row if self._name == "contacts" else flat)(r, self._columns) for r in records]
        for row in rows:
            row.update({column: found.get(str(row["id"])) for column, found in links.items()})
            row["id"] = key_of(self._name, str(row["id"]))
        return {self._name: rows, **({HISTORY: [row for log in logs for row in log]} if logs else {})}

    def _deal(self, record: Record, log: Sequence[Row]) -> Row:
        if self._name == LEADS:
            return lead_row(record, self._columns, self._stages, log)
        return deal_row(record, self._columns, self._stages, log, self._zone)

    def _deleted(self, since: str | None) -> list[str]:
        """Keys of records that came into the bin since then; a first load has seen none."""
        if since is None:
            return []
        begin = datetime.fromisoformat(since)
        return [str(r["id"]) for r in self._api.archived(self._name) if _binned(r) >= begin]

    def list_is_due(self, cursor: Cursor) -> bool:
        """Whether all keys are to be listed, for records that were deleted without a trace."""
        listed = cursor.get("listed")
        return listed is None or datetime.fromisoformat(listed) + self._limits.list_every <= self._stop

    def numbers(self) -> list[str]:
        """Numbers of all records that are there."""
        keys, place = self._api.listed(self._name)
        while place is not None:
            more, place = self._api.listed(self._name, place)
            keys += more
        return keys


def _binned(record: Record) -> datetime:
    return moment(str(record.get("archivedAt") or record["updatedAt"])).astimezone(UTC)
