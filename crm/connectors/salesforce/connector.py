"""Salesforce: records changed since the last sync by SOQL and queryMore, histories, deletions and merges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from crm.connectors.base import Batch, CrmUnreachable, Declaration, OwnFields, State
from crm.connectors.salesforce.auth import TITLE, SalesforceKeys, SalesforceTokens
from crm.connectors.salesforce.objects import (
    ACTIVITIES,
    CHANGES,
    DECLARATION,
    OBJECTS,
    OPPORTUNITIES,
    Record,
    Row,
    activity_row,
    api_fields,
    deal_row,
    flat,
    lead_row,
    log_of,
    own_fields,
    took_place,
)
from crm.connectors.web import Patience, Verdict, Web, by_status

_VERSION = "v62.0"
_OVERLAP = timedelta(minutes=5)  # a long transaction is stamped before others can see it
_MOST_IDS = 200
_OWNER_TRACKED = (
    "SELECT QualifiedApiName FROM FieldDefinition WHERE EntityDefinition.QualifiedApiName = 'Opportunity' "
    "AND IsFieldHistoryTracked = true"
)

Cursor = dict[str, Any]
Part = tuple[dict[str, list[Row]], list[str], Cursor]


@dataclass(frozen=True, slots=True)
class SalesforceLimits:
    """What a run may ask of Salesforce: rows a batch, calls in all, and the share of the day's calls to leave."""

    batch: int = 4_000
    calls: int = 20_000
    leave: float = 0.1


class Salesforce:
    """Salesforce as a connector; follows `crm.connectors.Connector`.

    The cursor holds, for each object, the moment since when changes are read, and within an unfinished reading the last
    key: readings go up by key, so a run that ended early goes on behind it.

    Parameters
    ----------
    keys : SalesforceKeys
        The company's address and a connected app.
    """

    def __init__(
        self, keys: SalesforceKeys, *, limits: SalesforceLimits | None = None, patience: Patience | None = None
    ) -> None:
        self._tokens = SalesforceTokens(keys)
        self._limits, self._patience = limits or SalesforceLimits(), patience
        self._declared = DECLARATION
        self._known: dict[str, dict[str, Record]] = {}

    @property
    def declaration(self) -> Declaration:
        """What it reads; the owner's log counts as the CRM's own where the company tracks that field."""
        return self._declared

    def own_fields(self) -> OwnFields:
        """See `crm.connectors.Connector.own_fields`."""
        with closing(self.api()) as api:
            self._known = {name: api.describe(name) for name in OBJECTS}
            tracked = {r["QualifiedApiName"] for r in api.all(_OWNER_TRACKED)}
        if "OwnerId" in tracked or "Owner" in tracked:
            self._declared = replace(DECLARATION, history=DECLARATION.history | {"owner_id"})
        return {name: own_fields(fields) for name, fields in self._known.items()}

    def pull(self, state: State, stop: datetime, wanted: Mapping[str, Sequence[str]]) -> Iterator[Batch]:
        """See `crm.connectors.Connector.pull`."""
        kept: dict[str, Any] = {name: dict(part) for name, part in state.items()}
        with closing(self.api()) as api:
            for name in OBJECTS:
                known = self._known.get(name) or api.describe(name)
                if not known:
                    continue  # the company has no such object, or the user may not see it
                part = _Part(api, name, wanted[name], known, self._limits, "owner_id" in self._declared.history)
                for rows, gone, cursor in part.changes(kept.get(name, {}), stop):
                    kept = {**kept, name: cursor}
                    yield Batch(rows, kept, {name: gone} if gone else {})

    def api(self) -> _Api:
        """Calls of one run; to be closed."""
        return _Api(self._tokens, self._limits, self._patience)


class _Api:
    """Calls of one run."""

    def __init__(self, tokens: SalesforceTokens, limits: SalesforceLimits, patience: Patience | None) -> None:
        self._tokens, self._leave = tokens, limits.leave
        self.web = Web(TITLE, tokens.headers, max_calls=limits.calls, patience=patience, judge=self._judge)

    def close(self) -> None:
        self.web.close()

    def describe(self, name: str) -> dict[str, Record]:
        """Fields of an object by name; none where there is no such object."""
        url = f"{self._tokens.host}/services/data/{_VERSION}/sobjects/{name}/describe"
        return {f["name"]: f for f in (self.web.get(url, {}, missing=(404,)) or {}).get("fields", [])}

    def pages(self, soql: str, *, deleted: bool = False) -> Iterator[list[Record]]:
        """Records page by page, deleted ones among them where asked for."""
        path = f"/services/data/{_VERSION}/{'queryAll' if deleted else 'query'}"
        answer = self.web.get(f"{self._tokens.host}{path}", {"q": soql})
        while True:
            yield answer["records"]
            if answer["done"]:
                return
            answer = self.web.get(f"{self._tokens.host}{answer['nextRecordsUrl']}", {})

    def all(self, soql: str, *, deleted: bool = False) -> list[Record]:
        """All records of a query."""
        return [record for page in self.pages(soql, deleted=deleted) for record in page]

    def change(self, records: Sequence[Record]) -> list[Record]:
        """Set fields of up to 200 records; what became of each."""
        url = f"{self._tokens.host}/services/data/{_VERSION}/composite/sobjects"
        return list(self.web.call("PATCH", url, json={"allOrNone": False, "records": list(records)}))

    def _judge(self, answer: httpx.Response) -> Verdict:
        """By status; the company's calls of the day are not used up to the last.

        Raises
        ------
        CrmUnreachable
            If too few are left.
        """
        used, _, most = answer.headers.get("Sforce-Limit-Info", "").partition("=")[2].split(",")[0].partition("/")
        near = most.isdigit() and used.isdigit() and int(used) >= int(most) * (1 - self._leave)
        if near or (answer.status_code == 403 and "REQUEST_LIMIT_EXCEEDED" in answer.text):
            raise CrmUnreachable(TITLE, f"the day's calls are used up ({used or '?'} of {most or '?'})", "Sync later.")
        return by_status(answer)


class _Part:
    """One object within one run."""

    def __init__(
        self,
        api: _Api,
        name: str,
        columns: Sequence[str],
        known: Mapping[str, Record],
        limits: SalesforceLimits,
        owners: bool,
    ) -> None:
        self._api, self._name, self._columns, self._limits, self._owners = api, name, columns, limits, owners
        self._fields = api_fields(name, columns, known)

    def changes(self, cursor: Cursor, stop: datetime) -> Iterator[Part]:
        """Rows by resource, deleted keys, and the cursor behind them."""
        cursor = {"since": None, "planned": {}, **cursor}
        due = [i for i, at in cursor["planned"].items() if datetime.fromisoformat(at) <= stop]
        for start in range(0, len(due), _MOST_IDS):
            some = due[start : start + _MOST_IDS]
            cursor = {**cursor, "planned": {i: at for i, at in cursor["planned"].items() if i not in some}}
            yield self._rows(self._api.all(f"{self._select()} WHERE Id IN ({_listed(some)})"), stop), [], cursor
        if "started" not in cursor:
            cursor["started"] = min(stop, self._api.web.server_time).replace(microsecond=0).isoformat()
        for records in self._batches(cursor):
            cursor = {**cursor, "last": records[-1]["Id"], "planned": cursor["planned"] | self._planned(records, stop)}
            yield self._rows(records, stop), [], cursor
        gone = self._deleted(cursor["since"])
        since = datetime.fromisoformat(cursor["started"]) - _OVERLAP
        yield {}, gone, {"since": since.isoformat(), "planned": cursor["planned"]}

    def _select(self) -> str:
        return f"SELECT {', '.join(self._fields)} FROM {self._name}"

    def _batches(self, cursor: Cursor) -> Iterator[list[Record]]:
        parts = [f"SystemModstamp >= {_soql_time(cursor['since'])}"] if cursor["since"] else []
        parts += [f"Id > '{cursor['last']}'"] if cursor.get("last") else []
        where = f" WHERE {' AND '.join(parts)}" if parts else ""
        held: list[Record] = []
        for page in self._api.pages(f"{self._select()}{where} ORDER BY Id"):
            held += page
            if len(held) >= self._limits.batch:
                yield held
                held = []
        if held:
            yield held

    def _deleted(self, since: str | None) -> list[str]:
        """Keys of deleted records; one that was merged into another is among them. A first load has seen none."""
        if since is None or self._name == "User":  # users are never deleted
            return []
        wish = f"SELECT Id FROM {self._name} WHERE IsDeleted = true AND SystemModstamp >= {_soql_time(since)}"
        return [str(r["Id"]) for r in self._api.all(wish, deleted=True)]

    def _planned(self, records: Sequence[Record], stop: datetime) -> dict[str, str]:
        """Activities that lie ahead: they are read again when their time has come."""
        if self._name not in ACTIVITIES:
            return {}
        times = {str(r["Id"]): took_place(self._name, r) for r in records}
        return {i: at.isoformat() for i, at in times.items() if at and at > stop}

    def _rows(self, records: Sequence[Record], stop: datetime) -> dict[str, list[Row]]:
        if self._name == OPPORTUNITIES:
            logs = self._logs([str(r["Id"]) for r in records])
            deals = [deal_row(r, self._columns, logs[str(r["Id"])]) for r in records]
            return {OPPORTUNITIES: deals, CHANGES: [row for log in logs.values() for row in log]}
        if self._name == "Lead":
            return {self._name: [lead_row(r, self._columns) for r in records]}
        if self._name in ACTIVITIES:
            times = [took_place(self._name, r) for r in records]
            done = [r for r, at in zip(records, times, strict=True) if at and at <= stop]
            return {self._name: [activity_row(self._name, r, self._columns) for r in done]}
        return {self._name: [flat(r, self._columns) for r in records]}

    def _logs(self, deals: Sequence[str]) -> dict[str, list[Row]]:
        """Each deal's whole log, a few hundred deals a call."""
        snapshots: dict[str, list[Record]] = {deal: [] for deal in deals}
        owners: dict[str, list[Record]] = {deal: [] for deal in deals}
        for start in range(0, len(deals), _MOST_IDS):
            these = f"OpportunityId IN ({_listed(deals[start : start + _MOST_IDS])})"
            fields = "Id, OpportunityId, StageName, Amount, CloseDate, ForecastCategory, CreatedDate"
            for found in self._api.all(f"SELECT {fields} FROM OpportunityHistory WHERE {these}"):
                snapshots[found["OpportunityId"]].append(found)
            if self._owners:
                wish = "SELECT Id, OpportunityId, OldValue, NewValue, CreatedDate FROM OpportunityFieldHistory"
                for found in self._api.all(f"{wish} WHERE {these} AND Field = 'Owner'"):
                    owners[found["OpportunityId"]].append(found)
        return {deal: log_of(deal, snapshots[deal], owners[deal]) for deal in deals}


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(f"'{i}'" for i in ids)


def _soql_time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
