"""Writing into HubSpot's deals: a hundred a call, one by one where a piece is refused as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from crm.connectors.base import CallRefused
from crm.connectors.hubspot.calls import HubSpotApi
from crm.connectors.hubspot.connector import HubSpot
from crm.connectors.hubspot.objects import DEALS, DECLARATION
from crm.connectors.writing import Value, Written, check_fields

_MOST = 100


class HubSpotWriter:
    """Follows `crm.connectors.writing.Writer`; the key needs the scope crm.objects.deals.write."""

    def __init__(self, crm: HubSpot) -> None:
        self._crm = crm

    def check(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        """See `crm.connectors.writing.Writer.check`."""
        with closing(self._crm.api()) as api:
            known = api.properties(DEALS)
        check_fields(
            DECLARATION.title, DEALS, known, numbers, texts,
            number_types=("number",), text_types=("string",), fixed=_fixed,
        )  # fmt: skip

    def write(self, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
        """See `crm.connectors.writing.Writer.write`."""
        deals = list(values)
        with closing(self._crm.api()) as api:
            for start in range(0, len(deals), _MOST):
                yield from _piece(api, {d: values[d] for d in deals[start : start + _MOST]})


def _fixed(field: Mapping[str, Any]) -> bool:
    return bool((field.get("modificationMetadata") or {}).get("readOnlyValue") or field.get("calculated"))


def _piece(api: HubSpotApi, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
    sent = {deal: {name: _as_text(v) for name, v in fields.items()} for deal, fields in values.items()}
    try:
        told = api.change(DEALS, [{"id": deal, "properties": fields} for deal, fields in sent.items()])
    except CallRefused:  # one bad value refuses them all
        yield from (_one(api, deal, fields) for deal, fields in sent.items())
        return
    taken = {str(r["id"]) for r in told.get("results", [])}
    errors = {str(i): str(e.get("category")) for e in told.get("errors", []) for i in e["context"].get("ids", [])}
    yield from (Written(deal, "" if deal in taken else errors.get(deal, "no answer")) for deal in sent)


def _one(api: HubSpotApi, deal: str, fields: Mapping[str, str]) -> Written:
    try:
        api.change_one(DEALS, deal, fields)
    except CallRefused as error:
        return Written(deal, error.problem)
    return Written(deal)


def _as_text(value: Value) -> str:
    """Values are text for HubSpot, and empty text clears a property."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
