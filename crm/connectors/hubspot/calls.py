"""Calls of HubSpot's API: pages of keys, records by their keys, associations, at a pace that it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from crm.connectors.base import CrmUnreachable
from crm.connectors.hubspot.auth import TITLE, HubSpotTokens
from crm.connectors.hubspot.objects import Record
from crm.connectors.web import Pace, Patience, Verdict, Web, by_status

_MOST_LISTED = 100
_MOST_FOUND, _MOST_READ, _MOST_WITH_HISTORY, _MOST_LINKED = 200, 100, 50, 100
_PRIMARY = 5  # the type of an association between a deal and its primary company
_LOCKED = (423, 477, 521, 522, 523, 524)  # too many changes at once, a move to another place, and its proxy's
_NOT_SEEN = (403, 404)


class HubSpotPace(Pace):
    """So many calls in so many seconds over all addresses, and fewer searches in a second."""

    def __init__(self, calls: int, seconds: float, searches: int) -> None:
        super().__init__(calls, seconds)
        self._searches = Pace(searches, 1.0)

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Begin when the next call may go out, end when it is answered."""
        with self._searches.turn("") if address.endswith("/search") else nullcontext(), super().turn(""):
            yield


class HubSpotApi:
    """Calls of one run.

    Parameters
    ----------
    leave : float
        Share of the day's calls that is left to others.
    """

    def __init__(
        self, tokens: HubSpotTokens, *, max_calls: int, leave: float, pace: Pace, patience: Patience | None
    ) -> None:
        self._host, self._leave = tokens.host, leave
        self.web = Web(TITLE, tokens.headers, max_calls=max_calls, patience=patience, judge=self._judge, pace=pace)

    def close(self) -> None:
        """Let go of connections."""
        self.web.close()

    def zone(self) -> tzinfo:
        """The company's time zone, in which its days begin; UTC where the key may not ask."""
        said = self._get("/account-info/v3/details", missing=_NOT_SEEN).get("timeZone")
        return ZoneInfo(str(said or "UTC"))

    def properties(self, kind: str) -> dict[str, Record]:
        """Properties of a kind of record by name; none where there is no such kind, or the key may not see it."""
        missing = () if kind == "deals" else _NOT_SEEN
        return {str(p["name"]): p for p in self._get(f"/crm/v3/properties/{kind}", missing=missing).get("results", [])}

    def pipelines(self, kind: str) -> list[Record]:
        """Pipelines of a kind of record with their stages; none where the key may not see them."""
        missing = () if kind == "deals" else _NOT_SEEN
        return list(self._get(f"/crm/v3/pipelines/{kind}", missing=missing).get("results", []))

    def owners(self) -> list[Record]:
        """All owners; those who left among them, since past deals are theirs."""
        found: dict[str, Record] = {}
        for archived in ("true", "false"):
            params = {"limit": str(_MOST_LISTED), "archived": archived}
            found |= {str(o["id"]): o for page in self._pages("/crm/v3/owners", params) for o in page}
        return list(found.values())

    def listed(self, kind: str, after: str | None = None) -> tuple[list[str], str | None]:
        """A page of keys, and where the next one begins."""
        page = {"after": after} if after else {}
        answer = self._get(
            f"/crm/v3/objects/{kind}", {"limit": str(_MOST_LISTED), "properties": "hs_object_id", **page}
        )
        return [str(r["id"]) for r in answer["results"]], _next(answer)

    def archived(self, kind: str) -> Iterator[Record]:
        """Records in the bin, each with the moment it came there."""
        params = {"limit": str(_MOST_LISTED), "properties": "hs_object_id", "archived": "true"}
        for page in self._pages(f"/crm/v3/objects/{kind}", params):
            yield from page

    def found(self, kind: str, filters: Sequence[Mapping[str, str]]) -> tuple[list[str], bool]:
        """The first keys that match, going up, and whether there are more.

        A search ends at its ten thousandth, so the next one begins behind the last key.
        """
        wish = {
            "filterGroups": [{"filters": list(filters)}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": ["hs_object_id"],
            "limit": _MOST_FOUND,
        }
        answer = self._post(f"/crm/v3/objects/{kind}/search", wish)
        return [str(r["id"]) for r in answer["results"]], _next(answer) is not None

    def read(self, kind: str, keys: Sequence[str], names: Sequence[str], past: Sequence[str] = ()) -> list[Record]:
        """Records by key, those that are there, with the histories of the properties in `past`."""
        most = _MOST_WITH_HISTORY if past else _MOST_READ
        records: list[Record] = []
        for start in range(0, len(keys), most):
            wish: dict[str, Any] = {"inputs": [{"id": k} for k in keys[start : start + most]]}
            wish |= {"properties": list(names), "propertiesWithHistory": list(past)}
            records += self._post(f"/crm/v3/objects/{kind}/batch/read", wish)["results"]
        return records

    def linked(self, kind: str, to: str, keys: Sequence[str]) -> dict[str, str]:
        """To each record the one of another kind that it belongs to: the primary one, or the first."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), _MOST_LINKED):
            wish = {"inputs": [{"id": key} for key in keys[start : start + _MOST_LINKED]]}
            for link in self._post(f"/crm/v4/associations/{kind}/{to}/batch/read", wish)["results"]:
                found[str(link["from"]["id"])] = str(min(link["to"], key=_rank)["toObjectId"])
        return found

    def change(self, kind: str, records: Sequence[Record]) -> dict[str, Any]:
        """Set properties of up to 100 records; what became of them."""
        return dict(self._post(f"/crm/v3/objects/{kind}/batch/update", {"inputs": list(records)}))

    def change_one(self, kind: str, key: str, values: Mapping[str, str]) -> None:
        """Set properties of one record."""
        self.web.call("PATCH", f"{self._host}/crm/v3/objects/{kind}/{key}", json={"properties": dict(values)})

    def _get(
        self, path: str, params: dict[str, str] | None = None, *, missing: Sequence[int] = ()
    ) -> Mapping[str, Any]:
        return dict(self.web.get(f"{self._host}{path}", params or {}, missing=missing) or {})

    def _post(self, path: str, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(self.web.call("POST", f"{self._host}{path}", json=dict(wish)))

    def _pages(self, path: str, params: dict[str, str]) -> Iterator[list[Record]]:
        after: str | None = None
        while True:
            answer = self._get(path, params | ({"after": after} if after else {}))
            yield answer["results"]
            if (after := _next(answer)) is None:
                return

    def _judge(self, answer: httpx.Response) -> Verdict:
        """By status; the company's calls of the day are not used up to the last.

        Raises
        ------
        CrmUnreachable
            If too few are left.
        """
        most = answer.headers.get("X-HubSpot-RateLimit-Daily", "")
        left = answer.headers.get("X-HubSpot-RateLimit-Daily-Remaining", "")
        near = most.isdigit() and left.isdigit() and int(left) <= int(most) * self._leave
        if near or (answer.status_code == 429 and '"DAILY"' in answer.text.replace(" ", "")):
            said = f"{left or '?'} of {most or '?'} are left"
            raise CrmUnreachable(TITLE, f"the day's calls are used up ({said})", "Sync later.")
        return "busy" if answer.status_code in _LOCKED else by_status(answer)


def _next(answer: Mapping[str, Any]) -> str | None:
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return str(after) if after else None


def _rank(link: Record) -> tuple[bool, int]:
    primary = any(t["category"] == "HUBSPOT_DEFINED" and t["typeId"] == _PRIMARY for t in link["associationTypes"])
    return not primary, int(link["toObjectId"])
