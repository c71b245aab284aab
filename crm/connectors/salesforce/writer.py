"""Writing into Salesforce's opportunities and leads: two hundred a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from crm.connectors.salesforce.connector import Salesforce
from crm.connectors.salesforce.objects import DECLARATION, OPPORTUNITIES
from crm.connectors.writing import Value, Written, check_fields

_MOST = 200
_LEADS = "00Q"  # keys of leads begin so
_NUMBERS = ("double", "int", "currency", "percent")
_TEXTS = ("string", "textarea")


class SalesforceWriter:
    """Follows `crm.connectors.writing.Writer`; the app's user needs the right to edit these fields."""

    def __init__(self, crm: Salesforce) -> None:
        self._crm = crm

    def check(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        """See `crm.connectors.writing.Writer.check`; leads need the fields only if leads are to be written."""
        with closing(self._crm.api()) as api:
            known = api.describe(OPPORTUNITIES)
        check_fields(
            DECLARATION.title, OPPORTUNITIES, known, numbers, texts,
            number_types=_NUMBERS, text_types=_TEXTS, fixed=lambda field: not field.get("updateable", True),
        )  # fmt: skip

    def write(self, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
        """See `crm.connectors.writing.Writer.write`."""
        deals = list(values)
        with closing(self._crm.api()) as api:
            for start in range(0, len(deals), _MOST):
                some = deals[start : start + _MOST]
                told = api.change([{"attributes": {"type": _kind(d)}, "id": d, **values[d]} for d in some])
                yield from (_written(deal, said) for deal, said in zip(some, told, strict=True))


def _kind(key: str) -> str:
    return "Lead" if key.startswith(_LEADS) else OPPORTUNITIES


def _written(deal: str, said: Mapping[str, Any]) -> Written:
    if said.get("success"):
        return Written(deal)
    error = (said.get("errors") or [{}])[0]
    fields = ", ".join(error.get("fields") or ())
    return Written(deal, f"{error.get('statusCode', 'refused')}{f' in {fields}' if fields else ''}")
