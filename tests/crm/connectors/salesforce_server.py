"""A stand-in for Salesforce on loopback: OAuth, describe, SOQL with pages, histories, deletions, limits, faults."""

import itertools
import re
from datetime import datetime
from typing import Any, ClassVar

from tests.crm.connectors.stand_in import Answer, Asked, CrmStandIn, StandIn

KEYS = {"client_id": "hush-client", "client_secret": "hush-secret"}
STAGES = {"Prospecting": (False, False), "Proposal": (False, False), "Won": (True, True), "Lost": (True, False)}
_SYSTEM = {"Id": "id", "SystemModstamp": "datetime", "CreatedDate": "datetime", "IsDeleted": "boolean"}
FIELDS: dict[str, dict[str, str]] = {
    "User": {**_SYSTEM, "Name": "string", "Email": "email", "UserRoleId": "reference"},
    "Account": {**_SYSTEM, "Name": "string", "Industry": "picklist", "OwnerId": "reference"},
    "Contact": {**_SYSTEM, "Name": "string", "Email": "email", "AccountId": "reference"},
    "Opportunity": {
        **_SYSTEM, "Name": "string", "AccountId": "reference", "OwnerId": "reference", "StageName": "picklist",
        "Amount": "currency", "CloseDate": "date", "ForecastCategory": "picklist", "IsClosed": "boolean",
        "IsWon": "boolean", "Risk__c": "double", "Chance__c": "double", "Memo__c": "textarea",
    },
    "Lead": {**_SYSTEM, "Status": "picklist", "OwnerId": "reference", "IsConverted": "boolean"},
    "Task": {
        **_SYSTEM, "WhoId": "reference", "WhatId": "reference", "OwnerId": "reference", "TaskSubtype": "picklist",
        "CompletedDateTime": "datetime",
    },
    "Event": {
        **_SYSTEM, "WhoId": "reference", "WhatId": "reference", "OwnerId": "reference", "StartDateTime": "datetime",
        "DurationInMinutes": "int",
    },
    "OpportunityHistory": {
        "Id": "id", "OpportunityId": "reference", "StageName": "picklist", "Amount": "currency", "CloseDate": "date",
        "ForecastCategory": "picklist", "CreatedDate": "datetime",
    },
    "OpportunityFieldHistory": {
        "Id": "id", "OpportunityId": "reference", "Field": "picklist", "OldValue": "anyType", "NewValue": "anyType",
        "CreatedDate": "datetime",
    },
}  # fmt: skip
"""Objects of this company, which sells no products; fields that end in __c are its own."""
_SNAPSHOT = ("StageName", "Amount", "CloseDate", "ForecastCategory")
_SOQL = re.compile(r"SELECT (?P<fields>.+?) FROM (?P<name>\w+)(?: WHERE (?P<where>.+?))?(?P<order> ORDER BY Id)?$")

Record = dict[str, Any]


class SalesforceOrg(CrmStandIn):
    """The company's data behind the server."""

    empty: ClassVar[Record] = {"records": [], "done": True}

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, dict[str, Record]] = {name: {} for name in FIELDS}
        self.page, self.most = 2000, 100_000
        self.tokens: set[str] = set()
        self.renewed = 0
        self.locators: dict[str, tuple[list[Record], int]] = {}
        self._count = itertools.count(1)

    def expire(self) -> None:
        self.tokens.clear()

    def busy(self, status: int, headers: dict[str, str]) -> Answer:
        return problem(status, "SERVER_UNAVAILABLE", headers)

    def stamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def put(self, kind: str, ident: str, /, **values: Any) -> None:
        """Make or change a record, as a user does."""
        old = self.records[kind].get(ident, {"CreatedDate": self.stamp(), "IsDeleted": False})
        new = {**old, **values, "Id": ident, "SystemModstamp": self.stamp()}
        if kind == "Opportunity":
            new["IsClosed"], new["IsWon"] = STAGES[new["StageName"]]
            self._log(ident, old, new)
        self.records[kind][ident] = new

    def _log(self, ident: str, old: Record, new: Record) -> None:
        if any(old.get(n) != new.get(n) for n in _SNAPSHOT):
            row = {n: new.get(n) for n in _SNAPSHOT}
            self._add("OpportunityHistory", "008", {**row, "OpportunityId": ident})
        if old.get("OwnerId") not in (None, new.get("OwnerId")):
            for before, after in ((f"Name of {old['OwnerId']}", "Someone Secret"), (old["OwnerId"], new["OwnerId"])):
                row = {"OpportunityId": ident, "Field": "Owner", "OldValue": before, "NewValue": after}
                self._add("OpportunityFieldHistory", "017", row)

    def _add(self, name: str, prefix: str, row: Record) -> None:
        ident = f"{prefix}{next(self._count):015d}"
        self.records[name][ident] = {**row, "Id": ident, "CreatedDate": self.stamp()}

    def delete(self, name: str, ident: str) -> None:
        """Into the bin, where queryAll still finds it."""
        self.records[name][ident] |= {"IsDeleted": True, "SystemModstamp": self.stamp()}

    def answer(self, asked: Asked) -> Answer:
        """One call."""
        if asked.path == "/services/oauth2/token":
            return self._token(asked)
        with self._lock:
            self.asked.append(asked)
            self.let_users_act(asked.path)
            if said := self.fault():
                return said
            if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return problem(401, "INVALID_SESSION_ID")
            if len(self.asked) > self.most:
                return problem(403, "REQUEST_LIMIT_EXCEEDED")
            said = self._route(asked)
            said.headers["Sforce-Limit-Info"] = f"api-usage={len(self.asked)}/{self.most}"
            return said

    def _route(self, asked: Asked) -> Answer:
        found = re.fullmatch(r"/services/data/v[\d.]+/(.+?)/?", asked.path)
        parts = found[1].split("/") if found else [""]
        if parts[0] in ("query", "queryAll"):
            if len(parts) > 1:
                return self._more(parts[1])
            return self._query(asked.query["q"], deleted=parts[0] == "queryAll")
        if parts[0] == "sobjects" and parts[-1] == "describe":
            return self._describe(parts[1])
        if parts[0] == "sobjects" and len(parts) == 3 and asked.method == "GET":
            record = self.records.get(parts[1], {}).get(parts[2])
            return Answer(200, record) if record else problem(404, "NOT_FOUND")
        if parts == ["composite", "sobjects"] and asked.method == "PATCH":
            return Answer(200, [self._change(r) for r in asked.json["records"]])
        return problem(404, "NOT_FOUND")

    def _describe(self, name: str) -> Answer:
        if name not in FIELDS:
            return problem(404, "NOT_FOUND")
        fields = [
            {"name": n, "type": t, "custom": n.endswith("__c"), "label": n, "updateable": n not in _SYSTEM}
            for n, t in FIELDS[name].items()
        ]
        return Answer(200, {"name": name, "fields": fields})

    def _query(self, soql: str, *, deleted: bool) -> Answer:
        parsed = _SOQL.match(soql)
        if parsed is None:
            return problem(400, "MALFORMED_QUERY")
        name, fields = parsed["name"], parsed["fields"].split(", ")
        if name == "FieldDefinition":
            return Answer(200, {"totalSize": 1, "done": True, "records": [{"QualifiedApiName": "OwnerId"}]})
        if name not in FIELDS:
            return problem(400, "INVALID_TYPE")
        if strange := [f for f in fields if f.split(".")[0].removesuffix("Id") not in _heads(name)]:
            return problem(400, "INVALID_FIELD", message=strange[0])
        rows = [r for r in self.records[name].values() if deleted or not r.get("IsDeleted")]
        for condition in (parsed["where"] or "").split(" AND ") if parsed["where"] else ():
            rows = [r for r in rows if _fits(r, condition)]
        rows.sort(key=lambda r: r["Id"])
        address = f"/services/data/v62.0/sobjects/{name}/"
        shown = [
            {"attributes": {"type": name, "url": address + r["Id"]}, **{f: r.get(f) for f in fields}} for r in rows
        ]
        return self._paged(shown, 0)

    def _paged(self, rows: list[Record], begin: int) -> Answer:
        end = begin + self.page
        body: Record = {"totalSize": len(rows), "done": end >= len(rows), "records": rows[begin:end]}
        if not body["done"]:
            locator = f"01g{len(self.locators):015d}-{end}"
            self.locators[locator] = (rows, end)  # what the query found stays as it was
            body["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}"
        return Answer(200, body)

    def _more(self, locator: str) -> Answer:
        if locator not in self.locators:
            return problem(400, "INVALID_QUERY_LOCATOR")
        return self._paged(*self.locators[locator])

    def _change(self, wish: Record) -> Record:
        values = {k: v for k, v in wish.items() if k not in ("attributes", "id")}
        name, ident = wish["attributes"]["type"], wish["id"]
        if ident not in self.records[name]:
            error = {"statusCode": "INVALID_CROSS_REFERENCE_KEY", "message": "invalid", "fields": []}
            return {"success": False, "errors": [error]}
        for field in values:
            if field not in FIELDS[name]:
                error = {"statusCode": "INVALID_FIELD", "message": "no such field", "fields": [field]}
                return {"success": False, "errors": [error]}
        self.put(name, ident, **values)
        return {"id": ident, "success": True, "errors": []}

    def _token(self, asked: Asked) -> Answer:
        given = {k: asked.form.get(k) for k in KEYS}
        if given != KEYS or asked.form["grant_type"] not in ("client_credentials", "refresh_token"):
            return Answer(400, {"error": "invalid_client", "error_description": "invalid client credentials"})
        self.renewed += 1
        token = f"hush-access-{self.renewed}"
        self.tokens.add(token)
        host = f"http://{asked.headers['host']}"
        return Answer(200, {"access_token": token, "instance_url": host, "token_type": "Bearer", "scope": "api"})


def problem(status: int, code: str, headers: dict[str, str] | None = None, message: str = "") -> Answer:
    return Answer(status, [{"errorCode": code, "message": message or code}], headers or {})


def _heads(name: str) -> set[str]:
    return {f.removesuffix("Id") for f in FIELDS[name]}


def _fits(record: Record, condition: str) -> bool:
    if listed := re.fullmatch(r"(\w+) IN \((.+)\)", condition):
        return record[listed[1]] in re.findall(r"'([^']*)'", listed[2])
    compared = re.fullmatch(r"(\w+) (>=|>|=) (.+)", condition)
    assert compared, condition
    name, operator, value = compared.groups()
    said = record.get(name)
    if value in ("true", "false"):
        return bool(said) is (value == "true")
    if value.startswith("'"):
        return said > value.strip("'") if operator == ">" else said == value.strip("'")
    assert operator == ">="
    return datetime.fromisoformat(str(said)) >= datetime.fromisoformat(value)


def serve(org: SalesforceOrg) -> StandIn:
    return StandIn(org.answer, lambda: org.now)
