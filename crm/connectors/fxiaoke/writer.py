"""Writing into Fxiaoke's deals: a call a deal, without approvals or workflows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from crm.connectors.base import CallRefused
from crm.connectors.fxiaoke.calls import MOST_ROWS, FxiaokeApi, matches
from crm.connectors.fxiaoke.connector import Fxiaoke
from crm.connectors.fxiaoke.objects import DECLARATION, KEY
from crm.connectors.writing import Value, Written, check_fields

_NUMBERS = ("number", "percentile", "currency")
_TEXTS = ("text", "long_text")


class FxiaokeWriter:
    """Follows `crm.connectors.writing.Writer`."""

    def __init__(self, crm: Fxiaoke) -> None:
        self._crm = crm

    def check(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        """See `crm.connectors.writing.Writer.check`; a field must be there in each kind of deal that is used."""
        with closing(self._crm.api()) as api:
            for kind in _kinds(api):
                fields = api.describe(kind)
                title = DECLARATION.title
                check_fields(title, kind, fields, numbers, texts, number_types=_NUMBERS, text_types=_TEXTS)

    def write(self, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
        """See `crm.connectors.writing.Writer.write`."""
        left = dict(values)
        with closing(self._crm.api()) as api:
            for kind in _kinds(api):
                for ident in _of_kind(api, kind, list(left)):
                    record = {name: _as_text(value) for name, value in left.pop(ident).items()}
                    yield _written(api, kind, ident, record)
        yield from (Written(ident, "there is no such deal") for ident in left)


def _kinds(api: FxiaokeApi) -> list[str]:
    there = api.objects()
    return [kind for kind in DECLARATION.deals if kind in there]


def _of_kind(api: FxiaokeApi, kind: str, idents: list[str]) -> list[str]:
    """Which of these are records of one kind."""
    found: list[str] = []
    for start in range(0, len(idents), MOST_ROWS):
        found += [r[KEY] for r in api.query(kind, [KEY], [matches(KEY, "IN", *idents[start : start + MOST_ROWS])])]
    return found


def _written(api: FxiaokeApi, kind: str, ident: str, record: Mapping[str, str]) -> Written:
    try:
        api.update(kind, ident, dict(record))
    except CallRefused as error:
        return Written(ident, error.problem)
    return Written(ident)


def _as_text(value: Value) -> str:
    """Numbers are text for Fxiaoke, and empty text clears a field."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
