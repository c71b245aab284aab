"""Writing into Zoho CRM's deals: a hundred a call, without workflows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from crm.connectors.writing import Value, Written, check_fields
from crm.connectors.zoho.connector import Zoho, read_fields
from crm.connectors.zoho.modules import DEALS, DECLARATION

_MOST = 100
_NUMBERS = ("integer", "double", "percent", "currency", "bigint")
_TEXTS = ("text", "textarea")


class ZohoWriter:
    """Follows `crm.connectors.writing.Writer`; the key needs the scope ZohoCRM.modules.deals.UPDATE."""

    def __init__(self, crm: Zoho) -> None:
        self._crm = crm

    def check(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        """See `crm.connectors.writing.Writer.check`."""
        with closing(self._crm.web()) as web:
            known = {f["api_name"]: f for f in read_fields(web, self._crm.root, DEALS)}
        check_fields(
            DECLARATION.title, DEALS, known, numbers, texts, kind="data_type", number_types=_NUMBERS, text_types=_TEXTS,
            fixed=lambda field: bool(field.get("field_read_only") or field.get("read_only")),
        )  # fmt: skip

    def write(self, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
        """See `crm.connectors.writing.Writer.write`."""
        deals = list(values)
        with closing(self._crm.web()) as web:
            for start in range(0, len(deals), _MOST):
                some = deals[start : start + _MOST]
                wish = {"data": [{"id": deal, **values[deal]} for deal in some], "trigger": []}
                # Zoho answers 207 where it took some records alone, and 400 where it took none.
                answer = web.call("PUT", f"{self._crm.root}/{DEALS}", json=wish, accept=(400,))
                told = answer.get("data") or [answer] * len(some)
                yield from (_written(deal, said) for deal, said in zip(some, told, strict=True))


def _written(deal: str, said: Mapping[str, Any]) -> Written:
    if said.get("status") == "success":
        return Written(deal)
    field = (said.get("details") or {}).get("api_name")
    return Written(deal, f"{said.get('code', 'no answer')}{f' in {field}' if field else ''}")
