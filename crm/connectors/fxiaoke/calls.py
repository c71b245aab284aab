"""Calls of Fxiaoke's API: an error answers 200 as well, so its errorCode says what an answer is."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from crm.connectors.base import CallRefused, CrmUnreachable
from crm.connectors.fxiaoke.auth import TITLE, FxiaokeTokens
from crm.connectors.web import Pace, Patience, Verdict, Web, by_status

MOST_ROWS = 100
_EXPIRED = 20016
_BUSY = (-1, -2, 30004, 50009)
_QUOTA = {30002: "the day's calls are used up", 30003: "no calls are left of those that were bought"}


class FxiaokeApi:
    """Calls of one run."""

    def __init__(self, tokens: FxiaokeTokens, *, max_calls: int, pace: Pace, patience: Patience | None) -> None:
        self._host = tokens.host
        self._web = Web(
            TITLE,
            tokens.headers,
            max_calls=max_calls,
            patience=patience,
            judge=judge,
            stamp=lambda: {"thirdTraceId": str(uuid4())},
            pace=pace,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._web.close()

    def objects(self) -> set[str]:
        """API names of the kinds of records that the company uses."""
        found = self._post("/cgi/crm/v2/object/list", {"includeNull": False})["data"]["objects"]
        return {o["describeApiName"] for o in found if o.get("isActive", True)}

    def describe(self, name: str) -> dict[str, dict[str, Any]]:
        """Fields of a kind of record, by API name."""
        wish = {"includeDetail": False, "data": {"apiName": name}}
        answer = self._post("/cgi/crm/v2/object/describe", wish)
        return dict(answer["data"]["describe"]["fields"])

    def query(
        self,
        name: str,
        fields: list[str],
        filters: list[dict[str, Any]],
        *,
        order: str = "_id",
        up: bool = True,
        limit: int = MOST_ROWS,
    ) -> list[dict[str, Any]]:
        """The first records that match, in order; at most `limit`."""
        search = {
            "limit": limit,
            "offset": 0,
            "filters": filters,
            "orders": [{"fieldName": order, "isAsc": up}],
            "fieldProjection": fields,
        }
        data = {"dataObjectApiName": name, "find_explicit_total_num": False, "search_query_info": search}
        answer = self._post(f"{data_path(name)}/query", {"returnTotalNum": 3, "data": data})["data"]
        # Some kinds of records answer with one record where others give a list.
        found = answer.get("dataList") if "dataList" in answer else [answer] if answer.get("_id") else []
        return list(found or [])

    def update(self, name: str, ident: str, values: dict[str, Any]) -> None:
        """Set fields of one record; neither approvals nor workflows start from it."""
        record = {"_id": ident, "dataObjectApiName": name, **values}
        wish = {"triggerApprovalFlow": False, "triggerWorkFlow": False, "data": {"object_data": record}}
        self._post(f"{data_path(name)}/update", wish)

    def _post(self, path: str, wish: dict[str, Any]) -> Any:
        return self._web.call("POST", f"{self._host}{path}", json=wish)


def data_path(name: str) -> str:
    """Where records of a kind are read and written: those a company made itself have a path of their own."""
    return "/cgi/crm/custom/v2/data" if name.endswith("__c") else "/cgi/crm/v2/data"


def matches(field: str, operator: str, *values: str) -> dict[str, Any]:
    """A condition of a query; values are always text in a list."""
    return {"field_name": field, "operator": operator, "field_values": list(values)}


def judge(answer: httpx.Response) -> Verdict:
    """What an answer is, by status and errorCode; the message is for people and never looked at.

    Raises
    ------
    CrmUnreachable
        If the quota is used up.
    CallRefused
        If another code says that trying this call again is useless.
    """
    if answer.status_code != 200:
        return by_status(answer)
    try:
        body = answer.json()
    except ValueError:
        return "good"  # refused where it is read
    code = body.get("errorCode", 0) if isinstance(body, dict) else 0
    if code == 0:
        return "good"
    if code == _EXPIRED:
        return "refused"
    if code in _BUSY:
        return "busy"
    said = f"errorCode {code}, traceId {str(body.get('traceId'))[:80]}"
    if code in _QUOTA:
        raise CrmUnreachable(TITLE, f"{_QUOTA[code]} ({said})", "Sync again tomorrow, or buy more.")
    path = answer.request.url.path
    raise CallRefused(TITLE, f"{path} answered with {said}", "Ask the vendor, naming the traceId.")
