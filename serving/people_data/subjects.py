"""Whom figures are about: a rep of the CRM and the key under which the store knows the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crm.errors import NotFound
from crm.lake import View
from crm.people import PersonKind
from serving.access import Viewer
from serving.people import UnknownPerson
from serving.problems import NOTHING_HERE

KINDS: tuple[PersonKind, ...] = ("rep", "contact")


class NoPerson(NotFound):
    """No such person, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


class NotAPerson(NotFound):
    """The viewer stands for nobody in the data."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing is known on you in the data: your user has no rep_id. If you sell, ask an administrator to set it."
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """One person.

    Attributes
    ----------
    ident : str
        rep_id or contact_id.
    person_key : str
        Key of the people book; `ident` where the data brought no name.
    """

    kind: PersonKind
    ident: str
    person_key: str


def keys_of(view: View, kind: PersonKind = "rep") -> Mapping[str, str]:
    """person_key of each rep or contact, by its identifier."""
    rows = view.arrow(f"{kind}s").select([f"{kind}_id", "person_key"]).to_pydict()
    return {ident: key or ident for ident, key in zip(rows[f"{kind}_id"], rows["person_key"], strict=True)}


def subject_of(view: View, rep_id: str) -> Subject:
    """The person that a rep is; NoPerson where there is none of that key."""
    key = keys_of(view).get(rep_id)
    if key is None:
        raise NoPerson
    return Subject("rep", rep_id, key)


def subject_by_key(view: View, person: str) -> Subject:
    """The person of a person_key, rep_id or contact_id; UnknownPerson where there is none."""
    for kind in KINDS:
        for ident, key in keys_of(view, kind).items():
            if person in (key, ident):
                return Subject(kind, ident, key)
    raise UnknownPerson(person)


def own_subject(view: View, viewer: Viewer) -> Subject:
    """The person that a viewer is; NotAPerson where the user is no rep of the data."""
    if viewer.rep_id is None:
        raise NotAPerson
    return subject_of(view, viewer.rep_id)
