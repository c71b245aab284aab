"""A stand-in for Zoho CRM on loopback, behaving as version 8 of its API is published: pages, tokens, limits, faults."""

import csv
import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from tests.crm.connectors.stand_in import Answer, Asked, CrmStandIn, StandIn

KEYS = {"client_id": "client-1", "client_secret": "hush-secret", "refresh_token": "hush-refresh"}
STAGES = {
    "Qualification": "Open",
    "Proposal": "Open",
    "Signed": "Closed Won",
    "Dropped": "Closed Lost",
}
FIELDS = {
    "Accounts": ["Account_Name", "Industry", "Employees", "Owner", "Created_Time", "Modified_Time"],
    "Contacts": ["Full_Name", "Email", "Phone", "Title", "Account_Name", "Created_Time", "Modified_Time"],
    "Products": ["Product_Name", "Unit_Price", "Created_Time", "Modified_Time"],
    "Deals": [
        "Deal_Name", "Account_Name", "Owner", "Type", "Amount", "Stage", "Closing_Date", "Created_Time",
        "Modified_Time",
    ],
    "Calls": [
        "Call_Type", "Call_Start_Time", "Call_Duration_in_seconds", "What_Id", "Who_Id", "Owner", "Created_Time",
        "Modified_Time",
    ],
    "Leads": ["Lead_Status", "Owner", "Lead_Source", "Created_Time", "Modified_Time"],
    "Events": ["Start_DateTime", "End_DateTime", "What_Id", "Who_Id", "Owner", "Created_Time", "Modified_Time"],
}  # fmt: skip
"""Fields of each module; there is no module Tasks in this edition."""

Record = dict[str, Any]


MESSAGES = {
    "INVALID_DATA": "the id given seems to be invalid.",
    "INVALID_MODULE": "The module name given seems to be invalid",
    "INVALID_TOKEN": "invalid oauth token",
}


def refusal(status: int, code: str, **headers: str) -> Answer:
    body = {"code": code, "message": MESSAGES.get(code, code), "details": {}, "status": "error"}
    return Answer(status, body, headers)


class ZohoCrm(CrmStandIn):
    """The CRM behind the server: records, their stages, what was deleted."""

    empty: ClassVar[Record] = {"data": [], "info": {}}

    def __init__(self) -> None:
        super().__init__()
        self.users: list[Record] = []
        self.records: dict[str, dict[str, Record]] = {m: {} for m in FIELDS}
        self.stages: dict[str, list[Record]] = {}
        self.deleted: dict[str, list[Record]] = {m: [] for m in FIELDS}
        self.own: dict[str, dict[str, Record]] = {m: {} for m in FIELDS}  # fields the company made, as described
        self.timelines: dict[str, list[Record]] = {}
        self.channels: dict[str, Record] = {}
        self.territories: list[Record] = []
        self.members: dict[str, list[str]] = {}  # users of each territory
        self.files: dict[str, Record] = {}  # jobs of bulk read
        self.query_rows = 2000
        self.looks, self.file_rows = 0, 200_000  # looks at a job before its file is there, and rows of a file
        self.page_limit, self.at_once, self.most_at_once, self.peak_at_once = 200, 0, 10, 0
        self.tokens: set[str] = set()
        self.renewed = 0
        self.pages: dict[str, int] = {}

    def expire(self) -> None:
        self.tokens.clear()

    def busy(self, status: int, headers: dict[str, str]) -> Answer:
        return refusal(status, "TOO_MANY_REQUESTS", **headers)

    def stamp(self) -> str:
        return self.now.astimezone(UTC).isoformat(timespec="seconds")

    def put(self, module: str, ident: str, **values: Any) -> None:
        """Make or change a record, as a user does."""
        old = self.records[module].get(ident, {"Created_Time": self.stamp()})
        if module == "Deals":
            self._audit(ident, old, values)
        self.records[module][ident] = {**old, **values, "id": ident, "Modified_Time": self.stamp()}
        if "Stage" in values and values["Stage"] != old.get("Stage"):
            periods = self.stages.setdefault(ident, [])
            periods.insert(0, {"id": f"{ident}{len(periods)}", "Stage": values["Stage"], "Modified_Time": self.stamp()})

    def _audit(self, ident: str, old: Record, values: Record) -> None:
        """A timeline shows amounts with their currency and groups."""
        shown = {"Amount": lambda v: f"$ {v:,.2f}", "Closing_Date": str}
        history = [
            {"api_name": n, "_value": {"new": show(values[n]), **({"old": show(old[n])} if old.get(n) else {})}}
            for n, show in shown.items()
            if n in values and values[n] != old.get(n)
        ]
        entries = self.timelines.setdefault(ident, [])
        what = {"action": "updated" if entries else "added", "id": f"{ident}{len(entries)}", "source": "crm_ui"}
        entries.insert(0, {"audited_time": self.stamp(), **what, "field_history": history})

    def delete(self, module: str, ident: str) -> None:
        record = self.records[module].pop(ident)
        by = {"id": "1", "name": "Admin"}
        gone = {"deleted_by": by, "id": ident, "display_name": record.get("Deal_Name"), "type": "recycle"}
        self.deleted[module].append({**gone, "created_by": by, "deleted_time": self.stamp()})

    def answer(
        self, path: str, query: dict[str, str], headers: dict[str, str], method: str = "GET", body: Any = None
    ) -> Answer:
        """One call of the API."""
        with self._lock:
            self.asked.append(path)
            self.let_users_act(path)
            if said := self.fault():
                return said
            if headers.get("Authorization", "").removeprefix("Zoho-oauthtoken ") not in self.tokens:
                return refusal(401, "INVALID_TOKEN")
            if self.at_once > self.most_at_once:
                return refusal(429, "TOO_MANY_REQUESTS")
            if path.endswith("/actions/watch"):
                return self._watch(method, query, body)
            if path.startswith("/crm/bulk/v8/read"):
                return self._bulk(path.removeprefix("/crm/bulk/v8/read").strip("/").split("/"), method, body)
            if path.endswith("/coql"):
                return self._coql(body["select_query"])
            if method == "PUT":
                return self._update(path.removeprefix("/crm/v8/"), body)
            return self._route(path.removeprefix("/crm/v8/").split("/"), query, headers)

    def _route(self, parts: list[str], query: dict[str, str], headers: dict[str, str]) -> Answer:
        since = headers.get("If-Modified-Since")
        if parts[0] not in FIELDS:
            return self._settings(parts, query)
        if parts[1:] == ["deleted"]:
            gone = [d for d in self.deleted[parts[0]] if since is None or _at(d["deleted_time"]) >= _at(since)]
            return self._paged("data", gone, query) if gone else Answer(304 if since else 204)
        if parts[2:] == ["Stage_History"]:
            if parts[1] not in self.records["Deals"]:
                return refusal(400, "INVALID_DATA")
            return self._paged("data", self.stages[parts[1]], query) if "fields" in query else _lacks("fields")
        if parts[2:] == ["__timeline"]:
            if parts[1] not in self.records["Deals"]:
                return refusal(400, "INVALID_DATA")
            return self._paged("__timeline", self.timelines[parts[1]], query)
        return self._records(parts[0], query, since)

    def _settings(self, parts: list[str], query: dict[str, str]) -> Answer:
        """What is no module's record."""
        if parts == ["users"]:
            return self._paged("users", self.users, query)
        if parts == ["org"]:
            return Answer(200, {"org": [{"id": "10", "company_name": "Ours", "zgid": "10", "type": "production"}]})
        if parts[:2] == ["settings", "territories"]:
            return self._territories(parts[2:])
        if parts == ["settings", "fields"]:
            return self._fields(query["module"])
        if parts == ["settings", "related_lists"]:
            about = {"id": "88", "api_name": "Stage_History", "display_label": "Stage History", "name": "Stage History"}
            module = {"api_name": "DealHistory", "id": "89"}
            return Answer(200, {"related_lists": [{**about, "module": module, "href": "", "type": "default"}]})
        return refusal(400, "INVALID_MODULE")

    def _fields(self, module: str) -> Answer:
        if module not in FIELDS:
            return refusal(400, "INVALID_MODULE")
        fields: list[Record] = [{"api_name": name, "pick_list_values": []} for name in FIELDS[module]]
        fields += [{"api_name": n, "custom_field": True, **f} for n, f in self.own[module].items()]
        for place, (stage, kind) in enumerate(STAGES.items()):
            value = {"display_value": stage, "actual_value": stage, "id": str(place), "sequence_number": place}
            value |= {"colour_code": None, "type": "used", "forecast_type": kind}
            for item in fields:
                if item["api_name"] == "Stage":
                    item["pick_list_values"].append(value)
        return Answer(200, {"fields": fields})

    def message(self, channel_id: str, module: str, ident: str, operation: str, **ahead: float) -> Record:
        """What the CRM sends to a channel's address now; its clock may be before or behind."""
        at = int((self.now + timedelta(**ahead)).timestamp() * 1000)
        told = {"module": module, "ids": [ident], "operation": operation, "server_time": at}
        more = {"query_params": {}, "resource_uri": f"https://zoho.example/crm/v8/{module}", "affected_fields": []}
        return {**told, **more, "channel_id": channel_id, "token": self.channels[channel_id]["token"]}

    def _watch(self, method: str, query: dict[str, str], body: Any) -> Answer:
        good = {"watch": [{"status": "success", "code": "SUCCESS", "details": {}}]}
        if method == "DELETE":
            known = self.channels.pop(query["channel_ids"], None)
            return Answer(200, good) if known else refusal(400, "NOT_SUBSCRIBED")
        [wish] = body["watch"]
        channel = wish["channel_id"]
        if method == "PATCH" and (channel not in self.channels or self.channels[channel]["until"] <= self.now):
            return Answer(400, {"watch": [refusal(400, "NOT_SUBSCRIBED").body]})
        if len(wish["token"]) > 50 or not wish["notify_url"].startswith("https://"):
            return Answer(400, {"watch": [refusal(400, "INVALID_DATA").body]})
        until = _at(wish["channel_expiry"])
        if until > self.now + timedelta(days=7):
            until = self.now + timedelta(hours=1)
        self.channels[channel] = {**wish, "until": until}
        return Answer(201 if method == "POST" else 200, good)

    def _update(self, module: str, body: Record) -> Answer:
        if len(body["data"]) > 100:
            return refusal(400, "LIMIT_EXCEEDED")
        told = [self._update_one(module, values) for values in body["data"]]
        good = sum(t["status"] == "success" for t in told)
        return Answer(200 if good == len(told) else 207 if good else 400, {"data": told})

    def _update_one(self, module: str, values: Record) -> Record:
        kinds = {"integer": int, "text": str, "textarea": str, "double": float}
        for name, value in values.items():
            described = self.own[module].get(name)
            fits = described and (value is None or isinstance(value, kinds[described["data_type"]]))
            known = values["id"] in self.records[module]
            if not known or (name != "id" and not fits):
                details = {"api_name": name}
                return {"code": "INVALID_DATA", "details": details, "message": "invalid data", "status": "error"}
        self.put(module, values["id"], **{n: v for n, v in values.items() if n != "id"})
        details = {"Modified_Time": self.stamp(), "id": values["id"]}
        return {"code": "SUCCESS", "details": details, "message": "record updated", "status": "success"}

    def _records(self, module: str, query: dict[str, str], since: str | None) -> Answer:
        if "fields" not in query:
            return _lacks("fields")
        names = query["fields"].split(",")
        if len(names) > 50:
            return refusal(400, "LIMIT_EXCEEDED")
        rows = sorted(self.records[module].values(), key=lambda r: int(r["id"]))
        if "ids" in query:
            rows = [r for r in rows if r["id"] in query["ids"].split(",")]
        if module == "Leads" and query.get("converted") != "both":
            rows = [r for r in rows if not r.get("$converted")]
        if "ids" not in query and since:
            rows = [r for r in rows if _at(r["Modified_Time"]) > _at(since)]
        if not rows:
            return Answer(304 if since else 204)
        shown = [
            {
                **{
                    n: r.get(n)
                    for n in names
                    if n in FIELDS[module] or n in self.own[module] or n in ("$se_module", "$converted")
                },
                "id": r["id"],
            }
            for r in rows
        ]
        return self._paged("data", shown, query)

    def _territories(self, parts: list[str]) -> Answer:
        if not self.territories:
            return refusal(400, "FEATURE_NOT_SUPPORTED")
        if not parts:
            info = {"per_page": 200, "count": len(self.territories), "page": 1, "more_records": False}
            return Answer(200, {"territories": self.territories, "info": info})
        users = [{"id": user, "name": "Person Secret"} for user in self.members.get(parts[0], [])]
        return Answer(200, {"users": users}) if users else Answer(204)

    def _bulk(self, parts: list[str], method: str, body: Record) -> Answer:
        """A job holds the module as it is when it is asked for."""
        if method == "POST":
            query = body["query"]
            module, begin = query["module"]["api_name"], int(query.get("page_token") or 0)
            if module not in FIELDS:
                return refusal(400, "INVALID_MODULE")
            rows = sorted(self.records[module].values(), key=lambda r: int(r["id"]))
            job = str(900 + len(self.files))
            page = [_cells(r, query["fields"]) for r in rows[begin : begin + self.file_rows]]
            self.files[job] = {"rows": page, "query": query, "looks": self.looks, "next": begin + self.file_rows}
            self.files[job]["more"] = begin + self.file_rows < len(rows)
            by = {"id": "1", "name": "Ann Lee"}
            made = {"id": job, "operation": "read", "state": "ADDED", "created_by": by, "created_time": self.stamp()}
            said = {
                "status": "success",
                "code": "ADDED_SUCCESSFULLY",
                "message": "Added successfully.",
                "details": made,
            }
            return Answer(201, {"data": [said], "info": {}})
        job = parts[0]
        if job not in self.files:
            return refusal(404, "RESOURCE_NOT_FOUND")
        file = self.files[job]
        if parts[1:] == ["result"]:
            said = {"Content-Type": "application/x-download", "Content-Disposition": f"attachment; filename={job}.zip"}
            return Answer(200, _zipped(job, [["Id", *file["query"]["fields"]], *file["rows"]]), said)
        file["looks"] -= 1
        about = {"id": job, "operation": "read", "query": {"page": 1, **file["query"]}, "file_type": "csv"}
        about |= {"created_by": {"id": "1", "name": "Ann Lee"}, "created_time": self.stamp()}
        if file["looks"] >= 0:
            return Answer(200, {"data": [{**about, "state": "IN PROGRESS"}]})
        result = {"page": 1, "count": len(file["rows"]), "per_page": self.file_rows, "more_records": file["more"]}
        result |= {"download_url": f"/crm/bulk/v8/read/{job}/result", "next_page_token": str(file["next"])}
        return Answer(200, {"data": [{**about, "state": "COMPLETED", "result": result}]})

    def _coql(self, text: str) -> Answer:
        """select FIELDS from MODULE where id > N [and Modified_Time >= 'T'] order by id asc limit M."""
        wish = re.fullmatch(
            r"select (.+) from (\w+) where \(?id > (\d+)(?: and Modified_Time >= '([^']+)'\))? "
            r"order by id asc limit (\d+)", text,
        )  # fmt: skip
        if wish is None:
            return refusal(400, "SYNTAX_ERROR")
        fields, module, after, since, most = wish.groups()
        if module not in FIELDS or len(fields.split(", ")) > 500 or int(most) > 2000:
            return refusal(400, "INVALID_QUERY")
        rows = sorted(self.records[module].values(), key=lambda r: int(r["id"]))
        rows = [r for r in rows if int(r["id"]) > int(after)]
        rows = [r for r in rows if not since or _at(r["Modified_Time"]) >= _at(since)]
        if not rows:
            return Answer(204)
        size = min(int(most), self.query_rows)
        data = [{**{n: _key_alone(r.get(n)) for n in fields.split(", ")}, "id": r["id"]} for r in rows[:size]]
        return Answer(200, {"data": data, "info": {"count": len(data), "more_records": len(rows) > size}})

    def _paged(self, key: str, rows: list[Record], query: dict[str, str]) -> Answer:
        size = min(int(query.get("per_page", 200)), self.page_limit)
        token = query.get("page_token")
        if token is not None and token not in self.pages:
            return refusal(400, "INVALID_DATA")
        page = int(query.get("page", 1)) if token is None else self.pages[token]
        if token is None and page * size > 2000:
            return refusal(400, "INVALID_DATA")
        more = page * size < len(rows)
        following = f"page{len(self.pages)}" if more else None
        if following:
            self.pages[following] = page + 1
        info = {"per_page": size, "count": len(rows[(page - 1) * size : page * size]), "page": page}
        info |= {"more_records": more, **({"next_page_token": following} if following else {})}
        return Answer(200, {key: rows[(page - 1) * size : page * size], "info": info})

    def token(self, form: dict[str, str], host: str) -> Answer:
        """One call of the accounts server, which answers 200 to wrong keys too."""
        if {k: form.get(k) for k in KEYS} != KEYS or form.get("grant_type") != "refresh_token":
            return Answer(200, {"error": "invalid_code"})
        self.renewed += 1
        token = f"hush-access-{self.renewed}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "api_domain": host, "token_type": "Bearer", "expires_in": 3600})


def _key_alone(value: Any) -> Any:
    """Of a lookup, files and queries give the key."""
    return {"id": value["id"]} if isinstance(value, dict) else value


def _cells(record: Record, fields: list[str]) -> list[str]:
    values = [_key_alone(record.get(name)) for name in fields]
    return [record["id"], *("" if v is None else v["id"] if isinstance(v, dict) else str(v) for v in values)]


def _zipped(job: str, rows: list[list[str]]) -> bytes:
    text, whole = io.StringIO(), io.BytesIO()
    csv.writer(text).writerows(rows)
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{job}.csv", text.getvalue())
    return whole.getvalue()


def _lacks(name: str) -> Answer:
    return Answer(400, {"code": "REQUIRED_PARAM_MISSING", "details": {"param": name}, "status": "error", "message": ""})


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class ZohoServer:
    """The stand-in, listening; `with ZohoServer(crm) as address`."""

    def __init__(self, crm: ZohoCrm) -> None:
        self._crm = crm
        self._server = StandIn(self._answer, lambda: crm.now.astimezone(UTC))

    def _answer(self, asked: Asked) -> Answer:
        if asked.path == "/oauth/v2/token":
            return self._crm.token(asked.form, f"http://{asked.headers['host']}")
        self._crm.at_once += 1
        self._crm.peak_at_once = max(self._crm.peak_at_once, self._crm.at_once)
        try:
            headers = {name.title(): value for name, value in asked.headers.items()}
            body = asked.json if asked.body else None
            return self._crm.answer(asked.path, asked.query, headers, asked.method, body)
        finally:
            self._crm.at_once -= 1

    def __enter__(self) -> str:
        return self._server.__enter__()

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
