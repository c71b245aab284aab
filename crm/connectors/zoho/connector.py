"""Zoho CRM, API version 8: records changed since the last sync, deals' stages, users, and what was deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from crm.connectors.base import BadCrmKey, Batch, CallRefused, CrmUnreachable, Declaration, OwnFields, State
from crm.connectors.web import Patience, Web
from crm.connectors.zoho import bulk
from crm.connectors.zoho.auth import ZohoKeys, ZohoTokens
from crm.connectors.zoho.modules import (
    ACTIVITIES,
    DEALS,
    DECLARATION,
    LEADS,
    MODULES,
    STAGE_CHANGES,
    TERRITORIES,
    TIMED,
    TIMELINE,
    USERS,
    Record,
    Row,
    activity_row,
    api_fields,
    deal_row,
    flat,
    lead_row,
    own_fields,
    stage_moves,
    timed_changes,
    took_place,
)
from crm.errors import BadInput

_OVERLAP = timedelta(minutes=1)
_MOST_FIELDS, _MOST_QUERIED = 50, 500
_QUERY_ROWS = 2000
_MOST_IDS = 100
_MOST_AGAIN = 3
_SPARE = 20  # calls for what is to be asked beside the stages of deals

Cursor = dict[str, Any]
Part = tuple[dict[str, list[Row]], list[str], Cursor]
_FORECAST_TYPES = {"closed won": "won", "closed lost": "lost"}


class TooManyFields(BadInput):
    """A mapping asks for more fields of a module than Zoho gives in one call."""

    def __init__(self, module: str, asked: int, most: int) -> None:
        super().__init__(
            f"Zoho CRM gives {most} fields of {module} at most; the mapping reads {asked}. Leave some out."
        )


@dataclass(frozen=True, slots=True)
class ZohoLimits:
    """What a run may ask of Zoho.

    Parameters
    ----------
    page, pages, parallel, calls : int
        Rows a page, pages a batch, calls at a time, and calls in all.
    bulk : bool
        Whether a first load takes files of whole modules where those hold what the mapping reads.
    poll : float
        Seconds between the first two looks at such a file.
    """

    page: int = 200
    pages: int = 10
    parallel: int = 4
    calls: int = 20_000
    bulk: bool = True
    poll: float = 2.0


class Zoho:
    """Zoho CRM as a connector; follows `crm.connectors.Connector`.

    The cursor holds, for each module, the moment since when changes are read, and within an unfinished reading the page
    to go on with. Pages are ordered by id, which never changes: a record that changes meanwhile moves no other one. A
    record that is deleted meanwhile does; such a reading is done again. A first load takes files by bulk read instead,
    and a module of which more fields are read than a page gives goes by queries, each behind the last id.

    Parameters
    ----------
    keys : ZohoKeys
        OAuth client and refresh token.
    accounts : str, optional
        Address of the accounts server; unset: by data centre.
    timeline : bool
        Whether each changed deal's timeline is read for its past amounts and close dates, by a further call a deal.
    """

    def __init__(
        self,
        keys: ZohoKeys,
        *,
        accounts: str | None = None,
        limits: ZohoLimits | None = None,
        patience: Patience | None = None,
        timeline: bool = False,
    ) -> None:
        self._timeline = timeline
        self._tokens = ZohoTokens(keys, accounts)
        self._limits, self._patience = limits or ZohoLimits(), patience
        self._known: dict[str, list[Record]] = {}

    @property
    def declaration(self) -> Declaration:
        """What it reads; past amounts and close dates are Zoho's own where timelines are read."""
        if not self._timeline:
            return DECLARATION
        return replace(DECLARATION, history=DECLARATION.history | set(TIMED.values()))

    def own_fields(self) -> OwnFields:
        """See `crm.connectors.Connector.own_fields`."""
        with closing(self.web()) as web:
            for module in (DEALS, "Accounts"):
                self._known[module] = read_fields(web, self.root, module)
        return {module: own_fields(found) for module, found in self._known.items()}

    def pull(self, state: State, stop: datetime, wanted: Mapping[str, Sequence[str]]) -> Iterator[Batch]:
        """See `crm.connectors.Connector.pull`."""
        with closing(self.web()) as web:
            run = _Run(web, self._tokens.host, self._limits, stop, wanted, self._known, timeline=self._timeline)
            yield from run.batches({m: dict(part) for m, part in state.items()})

    def pull_some(
        self, keys: Mapping[str, Sequence[str]], stop: datetime, wanted: Mapping[str, Sequence[str]]
    ) -> Iterator[Batch]:
        """See `crm.connectors.base.ReadsSome.pull_some`."""
        with closing(self.web()) as web:
            run = _Run(web, self._tokens.host, self._limits, stop, wanted, self._known, timeline=self._timeline)
            for module in [m for m in MODULES if keys.get(m)]:
                yield run.some(module, list(keys[module]))

    @property
    def root(self) -> str:
        """Address of the API."""
        return f"{self._tokens.host}/crm/v8"

    def web(self) -> Web:
        """Calls of one run; to be closed."""
        return Web(DECLARATION.title, self._tokens.headers, max_calls=self._limits.calls, patience=self._patience)


def read_fields(web: Web, root: str, module: str) -> list[Record]:
    """Fields of a module as Zoho describes them; none where the company has no such module."""
    missing = () if module == DEALS else (400,)
    answer = web.get(f"{root}/settings/fields", {"module": module}, missing=missing)
    return list((answer or {"fields": []})["fields"])


class _Run:
    """One run over all modules."""

    def __init__(
        self,
        web: Web,
        host: str,
        limits: ZohoLimits,
        stop: datetime,
        wanted: Mapping[str, Sequence[str]],
        known: Mapping[str, list[Record]],
        *,
        timeline: bool,
    ) -> None:
        self._known, self._timeline = known, timeline
        self._web, self._root, self._limits = web, f"{host}/crm/v8", limits
        self._stop, self._wanted = stop, wanted
        self._outcomes: dict[str, str] = {}
        self._files = bulk.BulkRead(web, host, poll=limits.poll)
        self._no_file: set[str] = set()

    def batches(self, state: dict[str, dict[str, Any]]) -> Iterator[Batch]:
        territories, of_user = self._territories()
        users = [{**user, "Territory_Id": of_user.get(str(user["id"]))} for user in self._users()]
        yield Batch({TERRITORIES: territories, USERS: users}, state)
        for module in MODULES:
            for rows, gone, cursor in self._module(module, state.get(module, {})):
                state = {**state, module: cursor}
                yield Batch(rows, state, {module: gone} if gone else {})

    def some(self, module: str, ids: list[str]) -> Batch:
        """Records by id, and those ids that are not there."""
        records = self._by_id(module, self._fields(module), ids)
        missing = sorted(set(ids) - {str(r["id"]) for r in records})
        return Batch(self._rows(module, records), {}, {module: missing})

    def _users(self) -> list[Row]:
        rows: list[Row] = []
        page, more = 1, True
        while more:
            params = {"page": str(page), "per_page": str(self._limits.page)}
            answer = self._web.get(f"{self._root}/users", params) or {}
            rows += [flat(user, self._wanted[USERS]) for user in answer.get("users", [])]
            page, more = page + 1, bool(answer.get("info", {}).get("more_records"))
        return rows

    def _territories(self) -> tuple[list[Row], dict[str, str]]:
        """Territories, and the first one of each user; none where the company's edition has no such thing."""
        url, of_user = f"{self._root}/settings/territories", dict[str, str]()
        answer = self._web.get(url, {}, missing=(400, 403, 404)) or {}
        found = [flat(t, self._wanted[TERRITORIES]) for t in answer.get("territories", [])]
        for territory in found:
            there = self._web.get(f"{url}/{territory['id']}/users", {}, missing=(400, 404)) or {}
            for user in there.get("users", []):
                of_user.setdefault(str(user["id"]), str(territory["id"]))
        return found, of_user

    def _module(self, module: str, cursor: Cursor) -> Iterator[Part]:
        """Batches of one module: rows by resource, deleted identifiers, and the module's cursor behind them."""
        fields = self._fields(module)
        if not fields:
            return  # the company's edition has no such module
        planned = cursor.get("planned", {})
        due = [i for i, at in planned.items() if datetime.fromisoformat(at) <= self._stop]
        if due:
            cursor = {**cursor, "planned": {i: at for i, at in planned.items() if i not in due}}
            yield self._rows(module, self._by_id(module, fields, due)), [], cursor
        yield from self._sweep(module, fields, cursor if cursor.get("token") else self._begin(cursor))

    def _begin(self, cursor: Cursor, again: int = 0) -> Cursor:
        started = min(self._stop, self._web.server_time).replace(microsecond=0).isoformat()
        kept = {"since": cursor.get("since"), "planned": cursor.get("planned", {})}
        return {**kept, "started": started, "again": again}

    def _sweep(self, module: str, fields: list[str], cursor: Cursor) -> Iterator[Part]:
        """All pages of what changed since the cursor, then what was deleted since then."""
        while True:
            token_kind = self._kind(module, fields, cursor)
            read = {"bulk": self._filed, "query": self._queried, "": self._chunk}[token_kind]
            records, token, whole = read(module, fields, cursor)
            cursor = {**cursor, "token": token, "planned": {**cursor["planned"], **self._planned(module, records)}}
            rows = self._rows(module, records)
            if token:
                yield rows, [], cursor
                continue
            started = datetime.fromisoformat(cursor["started"])
            deleted = self._deleted(module, cursor["since"])
            # Files and queries are no pages: what is deleted meanwhile moves nothing in them.
            shifted = not token_kind and any(datetime.fromisoformat(d["deleted_time"]) >= started for d in deleted)
            if (shifted or not whole) and cursor["again"] < _MOST_AGAIN:
                cursor = self._begin(cursor, cursor["again"] + 1)
                yield rows, [], cursor
                continue
            end = {"since": (started - _OVERLAP).isoformat(), "planned": cursor["planned"]}
            yield rows, [str(d["id"]) for d in deleted], end
            return

    def _chunk(self, module: str, fields: list[str], cursor: Cursor) -> tuple[list[Record], str | None, bool]:
        """Records of some pages, the token of the next, and whether Zoho knew the token."""
        records: dict[str, Record] = {}  # one that moved to the next page meanwhile comes twice
        token = cursor.get("token")
        for _ in range(self._limits.pages):
            params = {"fields": ",".join(fields), "sort_by": "id", "sort_order": "asc"}
            params |= {"per_page": str(self._limits.page)} | ({"page_token": token} if token else {})
            params |= {"converted": "both"} if module == LEADS else {}
            missing = (400,) if token else ()  # a token that is a day old is no longer known
            answer = self._web.get(f"{self._root}/{module}", params, _since(cursor["since"]), missing=missing)
            if not answer:
                return list(records.values()), None, answer is None
            records |= {str(r["id"]): r for r in answer["data"]}
            token = answer["info"].get("next_page_token") if answer["info"].get("more_records") else None
            if token is None:
                return list(records.values()), None, True
        return list(records.values()), token, True

    def _kind(self, module: str, fields: Sequence[str], cursor: Cursor) -> str:
        """How a module is read: by a file at first, by queries where it has many fields, else by pages."""
        first = cursor["since"] is None and module not in self._no_file
        if self._limits.bulk and first and bulk.fits(module, self._wanted[module]):
            return "bulk"
        return "query" if len(fields) > _MOST_FIELDS else ""

    def _filed(self, module: str, fields: list[str], cursor: Cursor) -> tuple[list[Record], str | None, bool]:
        """As `_chunk`, from a file; the token is the job's key and the row."""
        said = str(cursor.get("token") or "").split(" ")
        if said[0] != "bulk":  # noted before it is waited for, so that a run that dies here goes on with the same file
            try:
                return [], f"bulk {self._files.begin(module, fields)} 0", True
            except (BadCrmKey, CallRefused):  # a key without that scope, or an edition without it: pages do as well
                self._no_file.add(module)
                return [], None, False
        begin, size = int(said[2]), self._batch_of(module)
        found = self._files.rows(said[1], begin, size)
        if found is None:
            self._no_file.add(module)
            return [], None, False
        records, following = found
        if len(records) == size:
            return records, f"bulk {said[1]} {begin + size}", True
        return records, f"bulk {self._files.begin(module, fields, following)} 0" if following else None, True

    def _batch_of(self, module: str) -> int:
        """Rows of a batch: no more deals than the run's calls suffice for, since a batch is kept as a whole or not."""
        most = self._limits.page * self._limits.pages
        room = (self._web.left - _SPARE) // (2 if self._timeline else 1)
        return min(most, room) if module == DEALS and room > 0 else most

    def _queried(self, module: str, fields: list[str], cursor: Cursor) -> tuple[list[Record], str | None, bool]:
        """As `_chunk`, by COQL; the token is the last id."""
        last = str(cursor.get("token") or "query 0").removeprefix("query ")
        since = f" and Modified_Time >= '{cursor['since']}'" if cursor["since"] else ""
        where = f"(id > {last}{since})" if since else f"id > {last}"
        text = f"select {', '.join(fields)} from {module} where {where} order by id asc limit {_QUERY_ROWS}"
        answer = self._web.call("POST", f"{self._root}/coql", json={"select_query": text}) or {}
        records = list(answer.get("data") or [])
        more = bool((answer.get("info") or {}).get("more_records"))
        return records, f"query {records[-1]['id']}" if more else None, True

    def _by_id(self, module: str, fields: list[str], ids: list[str]) -> list[Record]:
        records: list[Record] = []
        for start in range(0, len(ids), _MOST_IDS):
            params = {"fields": ",".join(fields), "ids": ",".join(ids[start : start + _MOST_IDS])}
            answer = self._web.get(f"{self._root}/{module}", params) or {"data": []}
            records += answer["data"]
        return records

    def _deleted(self, module: str, since: str | None) -> list[Record]:
        records: list[Record] = []
        page, more = 1, True
        while more:
            params = {"type": "all", "page": str(page), "per_page": str(self._limits.page)}
            answer = self._web.get(f"{self._root}/{module}/deleted", params, _since(since)) or {"data": [], "info": {}}
            records += answer["data"]
            page, more = page + 1, bool(answer["info"].get("more_records"))
        return records

    def _fields(self, module: str) -> list[str]:
        """Fields of a module that the mapping reads and the company has; none where it has no such module."""
        known = self._known.get(module)
        if known is None:
            known = read_fields(self._web, self._root, module)
        if module == DEALS:
            self._outcomes = _outcomes(known)
        names = [f["api_name"] for f in known]
        fields = api_fields(module, self._wanted[module], names) if names else []
        plain = all("$" not in f for f in fields) and module not in ACTIVITIES
        if len(fields) > (most := _MOST_QUERIED if plain else _MOST_FIELDS):
            raise TooManyFields(module, len(fields), most)
        return fields

    def _planned(self, module: str, records: Sequence[Record]) -> dict[str, str]:
        """Activities that lie ahead: they are read again when their time has come."""
        if module not in ACTIVITIES:
            return {}
        times = {str(r["id"]): took_place(module, r) for r in records}
        return {i: at.isoformat() for i, at in times.items() if at and at > self._stop}

    def _rows(self, module: str, records: Sequence[Record]) -> dict[str, list[Row]]:
        columns = self._wanted[module]
        if module == DEALS:
            moves = self._moves(records)
            deals = [deal_row(r, columns, self._outcomes, m) for r, m in zip(records, moves, strict=True)]
            timed = self._timed([str(r["id"]) for r in records]) if self._timeline else []
            return {DEALS: deals, STAGE_CHANGES: [row for rows in moves for row in rows], TIMELINE: timed}
        if module == LEADS:
            return {module: [lead_row(r, columns) for r in records]}
        if module in ACTIVITIES:
            times = [took_place(module, r) for r in records]
            done = [r for r, at in zip(records, times, strict=True) if at and at <= self._stop]
            return {module: [activity_row(module, r, columns) for r in done]}
        return {module: [flat(r, columns) for r in records]}

    def _moves(self, deals: Sequence[Record]) -> list[list[Row]]:
        """Each deal's stages: one call a deal or more, so several at a time."""
        ids = [str(deal["id"]) for deal in deals]
        with ThreadPoolExecutor(self._limits.parallel) as pool:
            found = list(pool.map(self._history, ids))
        self._see_deleted([i for i, periods in zip(ids, found, strict=True) if periods is None])
        return [stage_moves(i, periods or []) for i, periods in zip(ids, found, strict=True)]

    def _history(self, deal: str) -> list[Record] | None:
        """Stages of a deal in any order; None where Zoho no longer has the deal."""
        periods: list[Record] = []
        page, more = 1, True
        while more:
            params = {"fields": "Stage,Modified_Time", "page": str(page), "per_page": str(self._limits.page)}
            answer = self._web.get(f"{self._root}/{DEALS}/{deal}/Stage_History", params, missing=(400, 404))
            if answer == {}:
                return None
            periods += (answer or {"data": []})["data"]
            page, more = page + 1, bool((answer or {}).get("info", {}).get("more_records"))
        return periods

    def _timed(self, deals: Sequence[str]) -> list[Row]:
        """Past amounts and close dates of deals, several calls at a time."""
        with ThreadPoolExecutor(self._limits.parallel) as pool:
            found = pool.map(self._entries, deals)
            return [row for deal, entries in zip(deals, found, strict=True) for row in timed_changes(deal, entries)]

    def _entries(self, deal: str) -> list[Record]:
        """A deal's whole timeline; empty where the deal has just been deleted."""
        entries: list[Record] = []
        params = {"per_page": str(self._limits.page)}
        while True:
            answer = self._web.get(f"{self._root}/{DEALS}/{deal}/__timeline", params, missing=(400, 404)) or {}
            entries += answer.get("__timeline") or []
            token = answer.get("info", {}).get("next_page_token")
            if not token or not answer["info"].get("more_records"):
                return entries
            params = {"page_token": token}

    def _see_deleted(self, deals: list[str]) -> None:
        """A deal without stages must be one that was deleted since its page was read, not one that may not be seen."""
        gone = {str(d["id"]) for d in self._deleted(DEALS, None)} if deals else set()
        if kept := [d for d in deals if d not in gone]:
            raise CrmUnreachable(
                DECLARATION.title, f"gives no stage history of deal {kept[0]}", "Let the key's user see that list."
            )


def _since(moment: str | None) -> dict[str, str]:
    return {"If-Modified-Since": moment} if moment else {}


def _outcomes(fields: Sequence[Record]) -> dict[str, str]:
    """won, lost or open by stage, as the company set its stages."""
    found = {}
    for stage in next((f.get("pick_list_values") or [] for f in fields if f["api_name"] == "Stage"), []):
        said = str(stage.get("forecast_type") or stage.get("deal_category") or "").lower()
        for name in (stage["display_value"], stage["actual_value"]):
            found[str(name)] = _FORECAST_TYPES.get(said, "open")
    return found
