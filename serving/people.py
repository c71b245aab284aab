"""The people book over the store: names and addresses under a random key, and their erasure."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.errors import NotFound
from crm.lake import View, connect
from crm.people import PersonKind, new_person_key
from crm.schema import PERSON_KEY
from serving.store import Store
from serving.tables.people import ErasedPerson, Person, Secret

_BATCH = 500
_MARK = "people_mark"
_READ_MARK = select(Secret.value).where(Secret.name == _MARK)
MARK = func.coalesce(_READ_MARK.scalar_subquery(), "")  # as a column beside what is asked for anyhow


class UnknownPerson(NotFound):
    """No person has that key."""

    def __init__(self, key: str) -> None:
        super().__init__("There is no person {key}. Look up the person_key of the rep or contact.", key=key)


class StorePeople:
    """Names of persons in the store; follows `crm.people.PeopleBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys_for(self, kind: PersonKind, ids: Sequence[str], details: Sequence[Mapping[str, str | None]]) -> list[str]:
        """Store each person's details and return one lasting key a person; one who was erased stays so."""
        with self._store.session() as session:
            erased = _erased(session)
            salt = _salt(session)
            known = _known(session, kind, ids)
            keys, changed = [], False
            for ident, values in zip(ids, details, strict=True):
                if (gone := erased.get(_hash(salt, kind, ident))) is not None:
                    keys.append(gone)
                    continue
                person = known.get(ident)
                if person is None:
                    person = Person(person_key=new_person_key(), kind=kind, source_id=ident, details={})
                    known[ident] = person
                    session.add(person)
                merged = {**person.details, **values}
                if merged != person.details:
                    person.details, changed = merged, True
                keys.append(person.person_key)
            if changed:
                _renew_mark(session)
        return keys

    def mark(self) -> str:
        """Another one after each change of a name, for those who keep names; '' as long as there are none."""
        found = self._store.look_up(_READ_MARK)
        return found[0] if found else ""

    def names(self, kind: PersonKind | None = None) -> dict[str, str]:
        """Name by person key, of all persons or those of a kind, as far as they are known."""
        query = select(Person.person_key, Person.details)
        with self._store.reading() as session:
            rows = session.execute(query.where(Person.kind == kind) if kind else query).all()
        return {key: str(details["name"]) for key, details in rows if details.get("name")}

    def erase(self, person_key: str) -> None:
        """Delete what is known of a person; the key stays in lake and ledger and leads nowhere.

        Raises
        ------
        UnknownPerson
            If no person has that key.
        """
        with self._store.session() as session:
            person = session.get(Person, person_key)
            if person is None:
                raise UnknownPerson(person_key)
            session.merge(
                ErasedPerson(
                    source_hash=_hash(_salt(session), person.kind, person.source_id),
                    person_key=person_key,
                    erased_at=datetime.now(UTC),
                )
            )
            session.delete(person)
            _renew_mark(session)


def _renew_mark(session: Session) -> None:
    session.merge(Secret(name=_MARK, value=secrets.token_hex(16)))


def _known(session: Session, kind: str, ids: Sequence[str]) -> dict[str, Person]:
    found: dict[str, Person] = {}
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), _BATCH):
        part = unique[start : start + _BATCH]
        query = select(Person).where(Person.kind == kind, Person.source_id.in_(part))
        found |= {person.source_id: person for person in session.scalars(query)}
    return found


def _erased(session: Session) -> dict[str, str]:
    return {row.source_hash: row.person_key for row in session.scalars(select(ErasedPerson))}


def _salt(session: Session) -> str:
    secret = session.get(Secret, "people")
    if secret is None:
        secret = Secret(name="people", value=secrets.token_hex(32))
        session.add(secret)
        session.flush()
    return secret.value


def _hash(salt: str, kind: str, ident: str) -> str:
    return hmac.new(bytes.fromhex(salt), f"{kind}\0{ident}".encode(), hashlib.sha256).hexdigest()


def names_of(view: View, store: Store) -> dict[str, str]:
    """Name of each rep whose name is known, by rep_id."""
    known = StorePeople(store).names("rep")
    reps = view.arrow("reps").select(["rep_id", PERSON_KEY]).to_pydict()
    return {rep: known[key] for rep, key in zip(reps["rep_id"], reps[PERSON_KEY], strict=True) if key in known}


def contact_name(view: View, store: Store, contact_id: str) -> str | None:
    """Name of one person at a customer; None where it is not known."""
    with connect() as con:
        view.attach(con)
        query = f"select {PERSON_KEY} from contacts where contact_id = $id"
        row = con.execute(query, {"id": contact_id}).fetchone()
    with store.reading() as session:
        person = session.get(Person, row[0]) if row and row[0] else None
        return str(person.details["name"]) if person and person.details.get("name") else None
