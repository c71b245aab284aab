"""Writing into a CRM's deals: a few chosen fields, checked first, in pieces, with what was refused and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crm.errors import BadInput

Value = str | float | None


class NoSuchField(BadInput):
    """A CRM's deals have no such field, or one that cannot be written."""

    def __init__(self, crm: str, field: str, problem: str) -> None:
        super().__init__(
            f"{crm}: the field '{field}' {problem}. Make it in the CRM by that API name, or name another under "
            "write_back in company.yaml."
        )


Described = Mapping[str, Any]


def check_fields(
    crm: str,
    where: str,
    known: Mapping[str, Described],
    numbers: Sequence[str],
    texts: Sequence[str],
    *,
    number_types: Sequence[str],
    text_types: Sequence[str],
    kind: str = "type",
    fixed: Callable[[Described], bool] = lambda field: False,
) -> None:
    """See that a kind of record has these fields, for numbers and texts, and that they can be written.

    Parameters
    ----------
    where : str
        The kind of record, for people.
    known : mapping of str to mapping
        Fields by name as the CRM describes them, their type under `kind`.
    fixed : callable
        Whether a described field cannot be written.

    Raises
    ------
    NoSuchField
        If one is not there, of another kind, or fixed.
    """
    for names, types, what in ((numbers, number_types, "number"), (texts, text_types, "text")):
        for name in names:
            if name not in known:
                raise NoSuchField(crm, name, f"is not there in {where}")
            if known[name].get(kind) not in types:
                raise NoSuchField(crm, name, f"of {where} is no {what}")
            if fixed(known[name]):
                raise NoSuchField(crm, name, f"of {where} cannot be written")


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
