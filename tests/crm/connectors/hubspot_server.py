"""A stand-in for HubSpot on loopback: keys, lists and searches with their ends, histories, merges, limits, faults."""

import hmac
import itertools
import json
import re
import time
from base64 import b64encode
from collections import deque
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tests.crm.connectors.stand_in import Answer, Asked, CrmStandIn, StandIn

TOKEN = "hush-pat-1"
APP = {"client_id": "app-1", "client_secret": "hush-secret", "refresh_token": "hush-refresh"}
STAGES = {
    "101": ("Qualified", False, "0.2"),
    "102": ("Contract sent", False, "0.8"),
    "103": ("Closed won", True, "1.0"),
    "104": ("Closed lost", True, "0.0"),
}
LEAD_STAGES = {"new-stage-id": "New", "attempting-stage-id": "Attempting", "unqualified-stage-id": "Disqualified"}
_SYSTEM = {"hs_object_id": "number", "hs_lastmodifieddate": "datetime", "hs_merged_object_ids": "string"}
_ACTIVITY = {**_SYSTEM, "hs_timestamp": "datetime", "hubspot_owner_id": "enumeration"}
PROPERTIES: dict[str, dict[str, str]] = {
    "companies": {**_SYSTEM, "name": "string", "industry": "enumeration", "hubspot_owner_id": "enumeration"},
    "contacts": {
        "hs_object_id": "number", "lastmodifieddate": "datetime", "hs_merged_object_ids": "string",
        "firstname": "string", "lastname": "string", "email": "string", "associatedcompanyid": "number",
    },
    "deals": {
        **_SYSTEM, "dealname": "string", "dealstage": "enumeration", "pipeline": "enumeration", "amount": "number",
        "closedate": "datetime", "hubspot_owner_id": "enumeration", "risk_points": "number", "memo": "string",
        "win_chance": "number",
    },
    "leads": {
        **_SYSTEM, "hs_lead_name": "string", "hs_pipeline": "enumeration", "hs_pipeline_stage": "enumeration",
        "hs_lead_is_open": "bool", "hs_lead_disqualification_reason": "enumeration", "hubspot_owner_id": "enumeration",
    },
    "calls": {
        **_ACTIVITY, "hs_call_direction": "enumeration", "hs_call_duration": "number", "hs_call_status": "enumeration",
    },
    "meetings": {
        **_ACTIVITY, "hs_meeting_start_time": "datetime", "hs_meeting_end_time": "datetime",
        "hs_meeting_outcome": "enumeration",
    },
    "tasks": {**_ACTIVITY, "hs_task_status": "enumeration", "hs_task_completion_date": "datetime"},
}  # fmt: skip
"""Kinds of records of this company, which has no products, and whose key may not see e-mails and notes."""
OWN = ("risk_points", "memo", "win_chance")
LAST = {"contacts": "lastmodifieddate"}

Record = dict[str, Any]


class HubSpotAccount(CrmStandIn):
    """The company's data behind the server."""

    empty: ClassVar[Record] = {"results": []}

    def __init__(self) -> None:
        super().__init__()
        self.owners: list[Record] = []
        self.records: dict[str, dict[str, Record]] = {kind: {} for kind in PROPERTIES}
        self.bin: dict[str, dict[str, Record]] = {kind: {} for kind in PROPERTIES}
        self.links: dict[tuple[str, str], dict[str, list[tuple[str, int]]]] = {}
        self.merged: dict[str, str] = {}
        self.list_page, self.search_page, self.search_end = 100, 200, 10_000
        self.lag = timedelta(0)  # how long a change cannot be searched for
        self.most, self.burst, self.seconds, self.searches = 100_000, 100_000, 10.0, 100_000
        self.search_seconds = 1.0
        self.exceeded = 0
        self.tokens = {TOKEN}
        self.renewed = 0
        self._sent: deque[float] = deque()
        self._searched: deque[float] = deque()
        self._count = itertools.count(1)

    def expire(self) -> None:
        self.tokens.clear()

    def busy(self, status: int, headers: dict[str, str]) -> Answer:
        return problem(status, "RATE_LIMITS", headers)

    def stamp(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def put(self, kind: str, ident: str, /, **values: str | None) -> None:
        """Make or change a record, as a user does; each property keeps its past values, newest first."""
        old = self.records[kind].get(ident)
        record = old or {"id": ident, "properties": {"hs_object_id": ident}, "past": {}, "createdAt": self.stamp()}
        for name, value in values.items():
            assert name in PROPERTIES[kind], name
            if record["properties"].get(name) != value:
                said = {"value": value or "", "timestamp": self.stamp(), "sourceType": "CRM_UI", "sourceId": "u"}
                record["past"].setdefault(name, []).insert(0, said)
            record["properties"][name] = value
        record["properties"][LAST.get(kind, "hs_lastmodifieddate")] = self.stamp()
        self.records[kind][ident] = {**record, "updatedAt": self.stamp(), "archived": False}

    def link(self, kind: str, ident: str, to: str, *others: str, primary: str | None = None) -> None:
        """Associate a record with others; one of a deal's companies can be its primary one."""
        typed = [(other, 5 if other == primary else 341) for other in dict.fromkeys(others)]
        self.links.setdefault((kind, to), {})[ident] = typed

    def delete(self, kind: str, ident: str) -> None:
        """Into the bin."""
        self.bin[kind][ident] = {**self.records[kind].pop(ident), "archived": True, "archivedAt": self.stamp()}

    def erase(self, kind: str, ident: str) -> None:
        """For good, as a person may ask for: nothing tells of it."""
        del self.records[kind][ident]

    def merge(self, kind: str, ident: str, into: str) -> None:
        """One record into another, which then names it; the old key gives the other one."""
        del self.records[kind][ident]
        self.merged[ident] = into
        said = self.records[kind][into]["properties"].get("hs_merged_object_ids")
        self.put(kind, into, hs_merged_object_ids=f"{said};{ident}" if said else ident)

    def event(self, kind: str, ident: str | None, /, **more: Any) -> Record:
        """What the account tells of a change now."""
        about = {"eventId": next(self._count), "subscriptionId": 7, "portalId": 1, "appId": 3, "attemptNumber": 0}
        about |= {"occurredAt": int(self.now.timestamp() * 1000), "subscriptionType": kind, "changeSource": "CRM_UI"}
        return {**about, **({"objectId": int(ident)} if ident else {}), **more}

    def message(self, address: str, secret: str, *events: Record) -> tuple[bytes, dict[str, str]]:
        """Body and headers of what is sent to an app's address now, signed by version 3."""
        body, stamp = json.dumps(events).encode(), str(int(self.now.timestamp() * 1000))
        text = f"POST{address}{body.decode()}{stamp}"
        digest = hmac.new(bytes(secret, "utf-8"), bytes(text, "utf-8"), "sha256").digest()
        return body, {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": b64encode(digest).decode()}

    def answer(self, asked: Asked) -> Answer:
        """One call."""
        with self._lock:
            if asked.path == "/oauth/v1/token":
                return self._token(asked)
            self.asked.append(asked)
            self.let_users_act(asked.path)
            if said := self.fault():
                return said
            if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return problem(401, "EXPIRED_AUTHENTICATION")
            if said := self._too_often(asked.path):
                return said
            answer = self._route(asked)
            left = str(self.most - len(self.asked))
            if not asked.path.endswith("/search"):  # searches answer without them
                day = {"X-HubSpot-RateLimit-Daily": str(self.most), "X-HubSpot-RateLimit-Daily-Remaining": left}
                answer.headers.update(day)
            return answer

    def _too_often(self, path: str) -> Answer | None:
        now = time.monotonic()
        windows = [(self._sent, self.burst, self.seconds, "TEN_SECONDLY_ROLLING")]
        if path.endswith("/search"):
            windows.append((self._searched, self.searches, self.search_seconds, "SECONDLY"))
        for sent, most, seconds, policy in windows:
            while sent and now - sent[0] >= seconds:
                sent.popleft()
            if len(sent) >= most:
                self.exceeded += 1
                return problem(429, "RATE_LIMITS", policyName=policy)
            sent.append(now)
        return problem(429, "RATE_LIMITS", policyName="DAILY") if len(self.asked) > self.most else None

    def _route(self, asked: Asked) -> Answer:
        path = asked.path.rstrip("/")
        if path == "/account-info/v3/details":
            return Answer(200, {"portalId": 1, "timeZone": "US/Eastern", "companyCurrency": "USD"})
        if path == "/crm/v3/owners":
            wanted = asked.query.get("archived", "").lower() == "true"
            return self._paged([o for o in self.owners if o["archived"] is wanted], asked.query)
        if path in ("/crm/v3/pipelines/deals", "/crm/v3/pipelines/leads"):
            return Answer(200, {"results": [self._pipeline() if path.endswith("deals") else self._lead_pipeline()]})
        if found := re.fullmatch(r"/crm/v3/properties/(\w+)", path):
            return self._properties(found[1])
        if found := re.fullmatch(r"/crm/v4/associations/(\w+)/(\w+)/batch/read", path):
            return self._linked(found[1], found[2], asked.json)
        found = re.fullmatch(r"/crm/v3/objects/(\w+)(?:/(.+))?", path)
        if not found or found[1] not in PROPERTIES:
            return problem(403 if found else 404, "MISSING_SCOPES" if found else "OBJECT_NOT_FOUND")
        return self._objects(found[1], found[2] or "", asked)

    def _objects(self, kind: str, what: str, asked: Asked) -> Answer:
        if what == "search":
            return self._search(kind, asked.json)
        if what == "batch/read":
            return self._read(kind, asked.json)
        if what == "batch/update":
            return self._update(kind, asked.json)
        if what == "":
            return self._list(kind, asked.query)
        ident = self.merged.get(what, what)
        if ident not in self.records[kind]:
            return problem(404, "OBJECT_NOT_FOUND")
        if asked.method == "PATCH":
            if self._wrong(kind, asked.json["properties"]):
                return problem(400, "VALIDATION_ERROR")
            self.put(kind, ident, **asked.json["properties"])
        return Answer(200, self._shown(self.records[kind][ident], asked.query.get("properties", "").split(",")))

    def _list(self, kind: str, query: dict[str, str]) -> Answer:
        past = query["propertiesWithHistory"].split(",") if "propertiesWithHistory" in query else []
        if int(query.get("limit", 10)) > (50 if past else 100):
            return problem(400, "VALIDATION_ERROR")
        there = self.bin[kind] if query.get("archived", "").lower() == "true" else self.records[kind]
        rows = sorted(there.values(), key=lambda r: int(r["id"]))
        shown = [self._shown(r, query.get("properties", "").split(","), past) for r in rows]
        return self._paged(shown, query)

    def _paged(self, rows: list[Record], query: dict[str, str]) -> Answer:
        """A page begins at the key that the one before it named."""
        rows = [r for r in rows if int(r["id"]) >= int(query.get("after", 0))]
        size = min(int(query.get("limit", 10)), self.list_page)
        body: Record = {"results": rows[:size]}
        if len(rows) > size:
            body["paging"] = {"next": {"after": rows[size]["id"], "link": "https://api.example/next"}}
        return Answer(200, body)

    def _search(self, kind: str, wish: Record) -> Answer:
        size, begin = int(wish.get("limit", 10)), int(wish.get("after") or 0)
        if size > 200 or begin + size > self.search_end:
            return problem(400, "VALIDATION_ERROR")
        size = min(size, self.search_page)
        rows = list(self.records[kind].values())
        if self.lag:
            rows = [r for r in rows if _at(r["updatedAt"]) <= self.now - self.lag]
        for condition in (wish.get("filterGroups") or [{"filters": []}])[0]["filters"]:
            rows = [r for r in rows if _fits(r, condition)]
        for sort in wish.get("sorts") or [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]:
            name = sort["propertyName"]
            rows.sort(key=lambda r: _number(r["properties"].get(name)), reverse=sort["direction"] == "DESCENDING")
        shown = [self._shown(r, wish.get("properties") or []) for r in rows[begin : begin + size]]
        body: Record = {"total": len(rows), "results": shown}
        if begin + size < len(rows):
            body["paging"] = {"next": {"after": str(begin + size)}}
        return Answer(200, body)

    def _read(self, kind: str, wish: Record) -> Answer:
        past = wish.get("propertiesWithHistory") or []
        if len(wish["inputs"]) > (50 if past else 100):
            return problem(400, "VALIDATION_ERROR")
        keys = [self.merged.get(i["id"], i["id"]) for i in wish["inputs"]]
        found = [self._shown(self.records[kind][k], wish["properties"], past) for k in keys if k in self.records[kind]]
        return self._batch(found, [k for k in keys if k not in self.records[kind]])

    def _batch(self, found: list[Record], missing: list[str], category: str = "OBJECT_NOT_FOUND") -> Answer:
        body: Record = {"status": "COMPLETE", "results": found, "startedAt": self.stamp(), "completedAt": self.stamp()}
        if missing:
            error = {"status": "error", "category": category, "message": "not found", "context": {"ids": missing}}
            body |= {"numErrors": 1, "errors": [error]}
        return Answer(207 if missing else 200, body)

    def _linked(self, kind: str, to: str, wish: Record) -> Answer:
        if len(wish["inputs"]) > 100:
            return problem(400, "VALIDATION_ERROR")
        known = self.links.get((kind, to), {})
        found = []
        for ident in [i["id"] for i in wish["inputs"] if i["id"] in known]:
            typed = [
                {"toObjectId": int(other), "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": t}]}
                for other, t in known[ident]
            ]
            found.append({"from": {"id": ident}, "to": typed})
        return self._batch(found, [i["id"] for i in wish["inputs"] if i["id"] not in known])

    def _update(self, kind: str, wish: Record) -> Answer:
        if len(wish["inputs"]) > 100 or any(self._wrong(kind, one["properties"]) for one in wish["inputs"]):
            return problem(400, "VALIDATION_ERROR")
        done, missing = [], []
        for one in wish["inputs"]:
            if one["id"] in self.records[kind]:
                self.put(kind, one["id"], **one["properties"])
                done.append(self._shown(self.records[kind][one["id"]], list(one["properties"])))
            else:
                missing.append(one["id"])
        return self._batch(done, missing)

    def _wrong(self, kind: str, values: Record) -> bool:
        number = re.compile(r"-?\d*\.?\d*")
        types = PROPERTIES[kind]
        return any(n not in types or (types[n] == "number" and not number.fullmatch(v)) for n, v in values.items())

    def _properties(self, kind: str) -> Answer:
        if kind not in PROPERTIES:
            return problem(403, "MISSING_SCOPES")
        common = {"options": [], "description": "", "fieldType": "text", "groupName": "information", "label": "L"}
        found = [
            {**common, "name": n, "type": t, "hubspotDefined": n not in OWN, "calculated": False,
             "modificationMetadata": {"archivable": True, "readOnlyDefinition": True, "readOnlyValue": n in _SYSTEM}}
            for n, t in PROPERTIES[kind].items()
        ]  # fmt: skip
        return Answer(200, {"results": found})

    def _pipeline(self) -> Record:
        times = {"createdAt": self.stamp(), "updatedAt": self.stamp(), "archived": False}
        stages = [
            {"id": key, "label": label, "displayOrder": place, "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
             "metadata": {"isClosed": str(closed).lower(), "probability": chance}, **times}
            for place, (key, (label, closed, chance)) in enumerate(STAGES.items())
        ]  # fmt: skip
        return {"id": "default", "label": "Sales", "displayOrder": 0, "stages": stages, **times}

    def _lead_pipeline(self) -> Record:
        times = {"createdAt": self.stamp(), "updatedAt": self.stamp(), "archived": False}
        stages = [
            {"id": key, "label": label, "displayOrder": place, "metadata": {}, **times}
            for place, (key, label) in enumerate(LEAD_STAGES.items())
        ]
        return {"id": "lead-pipeline-id", "label": "Lead pipeline", "displayOrder": 0, "stages": stages, **times}

    def _shown(self, record: Record, names: list[str], past: list[str] | None = None) -> Record:
        whole = {k: record[k] for k in ("id", "createdAt", "updatedAt", "archived", "archivedAt") if k in record}
        values = {n: record["properties"].get(n) for n in names if n}
        told = {n: record["past"].get(n, [])[:20] for n in past or []}
        return {**whole, "properties": values, **({"propertiesWithHistory": told} if past else {})}

    def _token(self, asked: Asked) -> Answer:
        given = {k: asked.form.get(k) for k in APP}
        if given != APP or asked.form["grant_type"] != "refresh_token":
            return Answer(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"})
        self.renewed += 1
        token = f"hush-access-{self.renewed}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "refresh_token": "hush-refresh", "expires_in": 1800})


def problem(status: int, category: str, headers: dict[str, str] | None = None, **more: str) -> Answer:
    body = {"status": "error", "message": category, "correlationId": "c-1", "category": category, **more}
    return Answer(status, body, headers or {})


def _fits(record: Record, condition: Record) -> bool:
    said, value = _number(record["properties"].get(condition["propertyName"])), _number(condition["value"])
    return {"GTE": said >= value, "GT": said > value, "EQ": said == value}[condition["operator"]]


def _number(text: str | None) -> float:
    if text is None:
        return float("-inf")
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else _at(text).timestamp() * 1000


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def serve(account: HubSpotAccount) -> StandIn:
    return StandIn(account.answer, lambda: account.now)
