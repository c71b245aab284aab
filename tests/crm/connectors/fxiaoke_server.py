"""A stand-in for 纷享销客 on loopback, behaving as its open API is published: tokens, pages, limits, codes, faults."""

import re
import time
from collections import Counter, deque
from typing import Any, ClassVar
from uuid import UUID

from tests.crm.connectors.stand_in import Answer, Asked, CrmStandIn, StandIn

KEYS = {"app_id": "FSAID_1", "app_secret": "hush-secret", "permanent_code": "hush-code", "user_id": "1000"}
STAGES = {"s1": "初步接洽", "s2": "方案报价", "s3": "赢单", "s4": "输单"}
STATUS = {"running": "进行中", "win": "赢单", "lose": "输单"}

Record = dict[str, Any]


def choice(options: dict[str, str]) -> Record:
    return {"type": "select_one", "options": [{"label": label, "value": value} for value, label in options.items()]}


_SYSTEM: dict[str, Record] = {
    "_id": {"type": "text"},
    "name": {"type": "text"},
    "owner": {"type": "employee"},
    "create_time": {"type": "date_time"},
    "last_modified_time": {"type": "date_time"},
    "life_status": choice({"normal": "正常", "invalid": "作废"}),
    "is_deleted": {"type": "true_or_false"},
}
FIELDS: dict[str, dict[str, Record]] = {
    "PersonnelObj": {
        **_SYSTEM, "user_id": {"type": "text"}, "email": {"type": "email"}, "main_department": {"type": "department"},
    },
    "DepartmentObj": {**_SYSTEM, "dept_id": {"type": "text"}, "parent_id": {"type": "department"}},
    "AccountObj": {**_SYSTEM, "account_level": choice({"1": "重要客户", "2": "普通客户"})},
    "ContactObj": {**_SYSTEM, "account_id": {"type": "object_reference"}, "email": {"type": "email"}},
    "NewOpportunityObj": {
        **_SYSTEM,
        "account_id": {"type": "object_reference"},
        "sales_stage": choice(STAGES),
        "biz_status": choice(STATUS),
        "stg_changed_time": {"type": "date_time"},
        "close_date": {"type": "date"},
        "deal_money": {"type": "currency"},
        "risk__c": {"type": "number", "label": "风险", "is_active": True},
        "secret__c": {"type": "text", "label": "备注", "is_active": True},
    },
    "ActiveRecordObj": {
        **_SYSTEM,
        "active_record_type": choice({"1": "电话", "2": "拜访"}),
        "interaction_time": {"type": "date_time"},
        "related_object_data": {"type": "array"},
    },
    "visit__c": {**_SYSTEM, "deal__c": {"type": "object_reference"}},
}  # fmt: skip
"""Fields of each kind of record that the company uses; it has no leads and no orders."""
_OPERATORS = {
    "EQ": lambda value, given: str(value) == given[0],
    "GT": lambda value, given: _number(value) > _number(given[0]),
    "GTE": lambda value, given: _number(value) >= _number(given[0]),
    "IN": lambda value, given: str(value) in given,
}


def _number(value: Any) -> Any:
    return int(value) if re.fullmatch(r"\d{1,17}", str(value)) else str(value)


class FxiaokeCrm(CrmStandIn):
    """The CRM behind the server: records, tokens, and what it counted of its limits; a fault may be `code N` too."""

    empty: ClassVar[Record] = {"errorCode": 0, "data": {"dataList": []}}

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, dict[str, Record]] = {name: {} for name in FIELDS}
        self.fields = {name: dict(fields) for name, fields in FIELDS.items()}
        self.burst, self.seconds, self.quota = 100, 20.0, 1_000_000
        self.exceeded: Counter[str] = Counter()
        self.shows_bin = True
        self.token_clock = time.time
        self.token, self.token_made, self.good_until = "", 0.0, {}
        self.token_calls: list[float] = []
        self.tokens_at_once, self.most_tokens_at_once = 0, 0
        self.at_query: dict[int, Any] = {}  # what users do when the n-th query comes
        self.queries = 0
        self._sent: dict[str, deque[float]] = {}
        self._traces: set[str] = set()

    def expire(self) -> None:
        self.good_until.clear()
        self.token = ""

    def busy(self, status: int, headers: dict[str, str]) -> Answer:
        return Answer(status, {"errorMessage": "busy"}, headers)

    def ms(self) -> int:
        return int(self.now.timestamp() * 1000)

    def put(self, kind: str, ident: str, /, **values: Any) -> None:
        """Make or change a record, as a user does."""
        old = self.records[kind].get(ident, {"create_time": self.ms(), "life_status": "normal", "is_deleted": False})
        if "sales_stage" in values and values["sales_stage"] != old.get("sales_stage"):
            values["stg_changed_time"] = self.ms()
            values["biz_status"] = {"s3": "win", "s4": "lose"}.get(values["sales_stage"], "running")
        self.records[kind][ident] = {**old, **values, "_id": ident, "last_modified_time": self.ms()}

    def invalidate(self, name: str, ident: str) -> None:
        """Put a record into the bin."""
        self.put(name, ident, life_status="invalid")

    def delete(self, name: str, ident: str) -> None:
        """Delete for good: no trace is left."""
        del self.records[name][ident]

    def answer(self, asked: Asked) -> Answer:
        """One call of the API."""
        if asked.path == "/oauth2.0/token":
            return self._token(asked)
        with self._lock:
            self.asked.append(asked)
            if said := self.fault():
                return said
            if problem := self._problem(asked):
                return coded(problem)
            return self._route(asked.path, asked.json)

    def fault(self) -> Answer | None:
        if self.faults and self.faults[0].startswith("code "):
            return coded(int(self.faults.popleft().removeprefix("code ")))
        return super().fault()

    def _problem(self, asked: Asked) -> int:
        """The errorCode of what is wrong with a call; 0: nothing."""
        trace, given = asked.query.get("thirdTraceId", ""), asked.headers
        if UUID(trace).version != 4 or trace in self._traces or asked.method != "POST":
            return 10006
        self._traces.add(trace)
        token = re.fullmatch(r"Bearer (\S+)", given.get("authorization", ""))
        if token is None or self.good_until.get(token[1], 0) < self.token_clock():
            return 20016
        if given.get("x-fs-ea") != "firm" or given.get("x-fs-userid") != "1000":
            return 20017
        if len(self.asked) > self.quota:
            return 30002
        sent, now = self._sent.setdefault(asked.path, deque()), time.monotonic()
        while sent and now - sent[0] >= self.seconds:
            sent.popleft()
        sent.append(now)
        if len(sent) > self.burst:
            self.exceeded[asked.path] += 1
            return 30004
        return 0

    def _route(self, path: str, wish: Record) -> Answer:
        if path == "/cgi/crm/v2/object/list":
            found = [{"describeApiName": n, "describeDisplayName": n, "isActive": True} for n in self.records]
            return good({"objects": found})
        if path == "/cgi/crm/v2/object/describe":
            name = wish["data"]["apiName"]
            fields = {n: {"api_name": n, "is_active": True, **f} for n, f in self.fields[name].items()}
            return good({"describe": {"api_name": name, "fields": fields}})
        own = {"/cgi/crm/custom/v2/data": True, "/cgi/crm/v2/data": False}
        head, _, what = path.rpartition("/")
        if head not in own:
            return coded(404)
        return self._query(wish, own[head]) if what == "query" else self._update(wish, own[head])

    def _query(self, wish: Record, own: bool) -> Answer:
        self.queries += 1
        if act := self.at_query.pop(self.queries, None):
            act()
        data = wish["data"]
        name, search = data["dataObjectApiName"], data["search_query_info"]
        limit, offset = search["limit"], search["offset"]
        strange = [f for f in search["fieldProjection"] if f not in self.fields.get(name, {})]
        if name not in self.records or name.endswith("__c") != own or strange:
            return coded(50001)
        if limit > 100 or offset % limit or offset > 10_000:
            return coded(50002)
        rows = [r for r in self.records[name].values() if all(_fits(r, f) for f in search["filters"])]
        rows = [r for r in rows if self.shows_bin or r["life_status"] != "invalid"]
        for order in reversed(search["orders"]):
            rows.sort(key=lambda r, f=order["fieldName"]: _number(r[f]), reverse=not order["isAsc"])
        shown = [self._shown(name, r, search["fieldProjection"]) for r in rows[offset : offset + limit]]
        return good({"dataList": shown, "offset": offset, "limit": limit, "total": 0})

    def _shown(self, name: str, record: Record, fields: list[str]) -> Record:
        row = {f: record[f] for f in fields if record.get(f) not in (None, "", [])}
        if row.get("owner"):
            row["owner__r"] = {"id": row["owner"][0], "name": f"Person{row['owner'][0]} Secret"}
        for field in list(row):
            for option in self.fields[name].get(field, {}).get("options", ()):
                if option["value"] == row[field]:
                    row[f"{field}__r"] = option["label"]
        return row

    def _update(self, wish: Record, own: bool) -> Answer:
        values = dict(wish["data"]["object_data"])
        name, ident = values.pop("dataObjectApiName"), values.pop("_id")
        if name.endswith("__c") != own or ident not in self.records[name] or "owner" in values:
            return coded(50001)
        for field, value in values.items():
            kind = self.fields[name].get(field, {}).get("type")
            if kind is None or (kind in ("number", "currency", "text") and not isinstance(value, str)):
                return coded(50003)
        self.put(name, ident, **values)
        return Answer(200, {"errorCode": 0, "errorMessage": "OK", "traceId": "E-O.1"})

    def _token(self, asked: Asked) -> Answer:
        self.tokens_at_once += 1
        self.most_tokens_at_once = max(self.most_tokens_at_once, self.tokens_at_once)
        try:
            time.sleep(0.01)
            return self._new_token(asked.json)
        finally:
            self.tokens_at_once -= 1

    def _new_token(self, sent: Record) -> Answer:
        now = self.token_clock()
        self.token_calls.append(now)
        if sum(now - at < 60 for at in self.token_calls) > 10:
            self.exceeded["token"] += 1
            return coded(30004)
        good_keys = {"appId": KEYS["app_id"], "appSecret": KEYS["app_secret"], "permanentCode": KEYS["permanent_code"]}
        if sent != {**good_keys, "grantType": "app_secret"}:
            return coded(10006)
        if not self.token or now - self.token_made >= 6600:
            self.token, self.token_made = f"hush-access-{len(self.token_calls)}", now
            self.good_until[self.token] = now + 7200
        left = int(self.good_until[self.token] - now)
        body = {"accessToken": self.token, "expiresIn": left, "ea": "firm", "openUserId": "FSUID_1", "appId": "FSAID_1"}
        return Answer(200, {**body, "errorCode": 0, "errorMessage": "OK", "traceId": "E-O.0"})


def good(data: Any) -> Answer:
    return Answer(200, {"data": data, "errorCode": 0, "errorMessage": "OK", "traceId": "E-O.1"})


def coded(code: int) -> Answer:
    return Answer(200, {"errorCode": code, "errorMessage": "OK", "traceId": f"E-O.{code}"})


def _fits(record: Record, wish: Record) -> bool:
    value = record.get(wish["field_name"])
    assert isinstance(wish["field_values"], list)
    assert all(isinstance(v, str) for v in wish["field_values"])
    return value is not None and _OPERATORS[wish["operator"]](value, wish["field_values"])


def serve(crm: FxiaokeCrm) -> StandIn:
    return StandIn(crm.answer)
