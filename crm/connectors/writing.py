"""Writing into a CRM's deals: a few chosen fields, checked first, in pieces, with what was refused and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crm.errors import BadInput

Value = str | float | None


class NoSuchField(BadInput):
    """A CRM's deals have no such field, or one that cannot be written."""

    def __init__(self, crm: str, field: str, problem: str) -> None:
        super().__init__(
            f"{crm}: the field '{field}' {problem}. Make it in the CRM by that API name, or name another under "
            "write_back in company.yaml."
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one deal: written, or refused with the CRM's reason."""

    deal_id: str
    problem: str = ""


class Writer(Protocol):
    """A CRM into whose deals can be written."""

    def check(self, numbers: Sequence[str], texts: Sequence[str]) -> None:
        """See that deals have these fields.

        Raises
        ------
        NoSuchField
            If one is not there, or of another kind.
        CrmUnreachable, BadCrmKey
            If the CRM does not say.
        """
        ...

    def write(self, values: Mapping[str, Mapping[str, Value]]) -> Iterator[Written]:
        """Set fields by deal; each deal is told as soon as the CRM has answered.

        Raises
        ------
        CrmUnreachable, BadCrmKey
            If the CRM takes nothing; deals told before are written.
        """
        ...
