"""Wrong passwords slow down whoever gives them: by e-mail and by address, in the store that all processes share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm.errors import NotAllowed
from serving.passwords import digest
from serving.store import Store
from serving.tables.users import FailedTries

_FREE_BY_EMAIL, _FREE_BY_ADDRESS = 5, 30
_FIRST_SECONDS, _MOST_SECONDS = 5, 15 * 60
_FORGOTTEN = timedelta(days=1)


class TooManyTries(NotAllowed):
    """Somebody is guessing passwords.

    Attributes
    ----------
    seconds : int
        Until the next try is heard.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(
            "There were too many wrong passwords. Wait {seconds} seconds, then try again.", seconds=seconds
        )


@dataclass(frozen=True, slots=True)
class Try:
    """A password given for an e-mail from an address; counted as wrong until it proves right.

    Counting comes first, so that a thousand guesses at once count as a thousand. Known and unknown e-mails are
    treated alike, so that a wait does not tell who is a user.
    """

    email: str
    address: str

    def begin(self, store: Store) -> None:
        """Count this try.

        Raises
        ------
        TooManyTries
            If e-mail or address must wait.
        """
        try:
            self._count(store)
        except IntegrityError:  # two first tries at once
            self._count(store)

    def was_right(self, store: Store) -> None:
        """Forget the e-mail's tries and take this one off the address."""
        by_email, by_address = (key for key, _ in self._keys())
        with store.session() as session:
            session.execute(delete(FailedTries).where(FailedTries.key_hash == by_email))
            if found := _locked(session, by_address):
                found.failed = max(found.failed - 1, 0)

    def _count(self, store: Store) -> None:
        with store.session() as session:
            session.execute(delete(FailedTries).where(FailedTries.last_at < datetime.now(UTC) - _FORGOTTEN))
            found = [(key, free, _locked(session, key)) for key, free in self._keys()]
            now = datetime.now(UTC)  # after the rows could be locked
            waits = [row.wait_until for _, free, row in found if row and row.failed >= free and row.wait_until > now]
            if waits:
                raise TooManyTries(int((max(waits) - now).total_seconds()) + 1)
            for key, free, row in found:
                counted = row or FailedTries(key_hash=key, failed=0)
                counted.failed += 1
                counted.last_at, counted.wait_until = now, now + wait(counted.failed, free)
                session.add(counted)

    def _keys(self) -> list[tuple[str, int]]:
        # In the same order for all, so that two transactions never wait for each other.
        return [
            (digest(f"email {self.email}"), _FREE_BY_EMAIL),
            (digest(f"address {self.address}"), _FREE_BY_ADDRESS),
        ]


def wait(failed: int, free: int) -> timedelta:
    """How long to wait after so many wrong tries: nothing at first, then twice as long each time, up to a bound."""
    if failed < free:
        return timedelta(0)
    return timedelta(seconds=min(_FIRST_SECONDS * 2 ** min(failed - free, 20), _MOST_SECONDS))


def _locked(session: Session, key: str) -> FailedTries | None:
    return session.scalar(select(FailedTries).where(FailedTries.key_hash == key).with_for_update())
