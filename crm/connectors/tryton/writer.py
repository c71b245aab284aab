"""Writing into Tryton's opportunities: a call each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from crm.connectors.base import CallRefused
from crm.connectors.tryton.connector import DECLARATION, Tryton
from crm.connectors.writing import Value, Written, check_fields

_NUMBERS = ("float", "numeric", "integer")
_TEXTS = ("char", "text")
_MODEL = "model.sale.opportunity"


class TrytonWriter:
    """Follows `crm.connectors.writing.Writer`; the user needs write access to opportunities."""

    def __init__(self, crm: Tryton) -> None:
        self._crm = crm
        self._kinds: dict[str, str] = {}

    def check(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        """See `crm.connectors.writing.Writer.check`."""
        with closing(self._crm.rpc()) as rpc:
            known = rpc.call(f"{_MODEL}.fields_get", None, 0, {})
        title, where = DECLARATION.title, "opportunities"
        check_fields(title, where, known, numbers, texts, number_types=_NUMBERS, text_types=_TEXTS)
        self._kinds |= {name: str(known[name]["type"]) for name in (*numbers, *texts)}

    def write(self, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
        """See `crm.connectors.writing.Writer.write`."""
        with closing(self._crm.rpc()) as rpc:
            there = set(rpc.call(f"{_MODEL}.search", [["id", "in", [int(i) for i in values if i.isdigit()]]], {}))
            for ident, wish in values.items():
                if not ident.isdigit() or int(ident) not in there:
                    yield Written(ident, "there is no such opportunity")
                    continue
                try:
                    sent = {n: self._typed(n, v) for n, v in wish.items()}
                    rpc.call(f"{_MODEL}.write", [int(ident)], sent, {})
                except CallRefused as error:
                    yield Written(ident, error.problem)
                    continue
                yield Written(ident)

    def _typed(self, name: str, value: Value) -> Any:
        kind = self._kinds.get(name)
        if value is None or kind in _TEXTS or kind == "float":
            return value
        return round(float(value)) if kind == "integer" else {"__class__": "Decimal", "decimal": f"{value:g}"}
