"""Review meetings in the store: series, meetings, decisions, actions carried over, minutes that never change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm.errors import BadInput, NotFound
from planning.reviews import LENGTH, RENEW_FROM, Rhythm, carried
from serving.store import Store
from serving.tables.reviews import Review, ReviewAction, ReviewDecision, ReviewInvitation, ReviewSeries

State = Literal["open", "doing", "done", "dropped"]
_ENDED = ("done", "dropped")


class NoSuchSeries(NotFound):
    """No such series of reviews."""

    def __init__(self, series_id: int) -> None:
        super().__init__(
            "There is no series {series_id} of reviews for you. The list is at /api/v1/reviews/series.",
            series_id=series_id,
        )


class NoSuchReview(NotFound):
    """No such review."""

    def __init__(self, review_id: int) -> None:
        super().__init__("There is no review {review_id} for you. The list is at /api/v1/reviews.", review_id=review_id)


class NoSuchAction(NotFound):
    """No such action."""

    def __init__(self, action_id: int) -> None:
        super().__init__(
            "There is no action {action_id} for you. The list is at /api/v1/reviews/actions.", action_id=action_id
        )


class ReviewThere(BadInput):
    """A review of that day was started already."""

    def __init__(self, day: date) -> None:
        super().__init__("The review of {day} was started already. Open it under Reviews.", day=day)


class ReviewClosed(BadInput):
    """The minutes are written and change no more."""

    def __init__(self, day: date) -> None:
        super().__init__("The review of {day} is closed; its minutes do not change. Take it to the next one.", day=day)


class BadAction(BadInput):
    """An action cannot be changed like this."""


class RenewFirst(BadInput):
    """Actions were carried over too often to be carried once more."""

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(
            "Carried over {renew_from} times or more, so to be decided anew before the minutes: {texts}. Give "
            "each a new date, or drop it with a reason.",
            renew_from=RENEW_FROM,
            texts="; ".join(texts),
        )


@dataclass(frozen=True, slots=True)
class ActionLine:
    """An action as it stands at a meeting."""

    action_id: int
    series_id: int
    review_id: int
    item: str
    subject: str
    text: str
    rep_id: str
    due: date
    state: str
    reason: str
    carried: int
    closed_on: date | None

    @property
    def to_renew(self) -> bool:
        """Whether it must be decided anew before minutes are sent."""
        return self.state not in _ENDED and self.carried >= RENEW_FROM


class Meetings:
    """The meetings of one store; who may do what is the caller's matter."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def series(self, *, ended: bool = False) -> list[ReviewSeries]:
        """All series, ended ones too if wished."""
        query = select(ReviewSeries).order_by(ReviewSeries.series_id)
        query = query if ended else query.where(ReviewSeries.ended_at.is_(None))
        with self._store.reading() as session:
            return list(session.scalars(query))

    def one_series(self, series_id: int) -> ReviewSeries:
        """One series, an ended one too.

        Raises
        ------
        NoSuchSeries
            If there is none.
        """
        with self._store.reading() as session:
            return _series(session, series_id)

    def invited(self, series_id: int) -> list[str]:
        """E-mail addresses that get the minutes."""
        query = select(ReviewInvitation.email).where(ReviewInvitation.series_id == series_id)
        with self._store.reading() as session:
            return list(session.scalars(query.order_by(ReviewInvitation.invitation_id)))

    def plan(
        self,
        rhythm: Rhythm,
        team_id: str,
        *,
        weekday: int,
        begins: str,
        invited: Sequence[str],
        user_id: int | None,
        at: datetime,
    ) -> ReviewSeries:
        """Plan meetings that come again."""
        made = ReviewSeries(
            rhythm=rhythm, team_id=team_id, weekday=weekday, begins=begins, minutes=LENGTH[rhythm], sequence=0,
            user_id=user_id, made_at=at, changed_at=at,
        )  # fmt: skip
        with self._store.session() as session:
            session.add(made)
            session.flush()
            _invite(session, made.series_id, invited)
        return made

    def change(
        self, series_id: int, *, weekday: int, begins: str, invited: Sequence[str] | None, at: datetime
    ) -> ReviewSeries:
        """Move a series to another day or hour, or invite others; calendars learn of it by its sequence."""
        with self._store.session() as session:
            found = _series(session, series_id)
            if (weekday, begins) != (found.weekday, found.begins):
                found.weekday, found.begins, found.sequence = weekday, begins, found.sequence + 1
                found.changed_at = at
            if invited is not None:
                _invite(session, series_id, invited)
            return found

    def end(self, series_id: int, at: datetime, *, again: bool = False) -> ReviewSeries:
        """End a series, whose meetings stay on record; or take that back."""
        with self._store.session() as session:
            found = _series(session, series_id)
            found.ended_at = None if again else at
            found.sequence, found.changed_at = found.sequence + 1, at
            return found

    def reviews(self, series_id: int | None = None) -> list[Review]:
        """Meetings that were started, the newest first."""
        query = select(Review).order_by(Review.day.desc(), Review.review_id.desc())
        query = query if series_id is None else query.where(Review.series_id == series_id)
        with self._store.reading() as session:
            return list(session.scalars(query))

    def review(self, review_id: int) -> Review:
        """One meeting.

        Raises
        ------
        NoSuchReview
            If there is none.
        """
        with self._store.reading() as session:
            return _review(session, review_id)

    def last_day(self, series_id: int, before: date) -> date | None:
        """Day of the series' last meeting before a day."""
        return next((found.day for found in self.reviews(series_id) if found.day < before), None)

    def start(
        self,
        series_id: int,
        *,
        day: date,
        since: date,
        as_of: datetime,
        data_cut: int,
        forecast: dict[str, Any] | None,
        user_id: int | None,
        at: datetime,
    ) -> Review:
        """Start the meeting of a day.

        Raises
        ------
        ReviewThere
            If it was started already.
        """
        made = Review(
            series_id=series_id, day=day, since=since, as_of=as_of, data_cut=data_cut, forecast=forecast,
            user_id=user_id, started_at=at, minutes="",
        )  # fmt: skip
        try:
            with self._store.session() as session:
                session.add(made)
        except IntegrityError:
            raise ReviewThere(day) from None
        return made

    def decisions(self, review_id: int) -> list[ReviewDecision]:
        """What was decided in a meeting, in its order."""
        query = select(ReviewDecision).where(ReviewDecision.review_id == review_id)
        with self._store.reading() as session:
            return list(session.scalars(query.order_by(ReviewDecision.decision_id)))

    def decide(
        self, review_id: int, item: str, text: str, *, forecast: dict[str, Any] | None, user_id: int | None,
        at: datetime,
    ) -> ReviewDecision:  # fmt: skip
        """Keep a decision with the forecast of that hour.

        Raises
        ------
        ReviewClosed
            If the minutes are written.
        """
        made = ReviewDecision(review_id=review_id, item=item, text=text, forecast=forecast, user_id=user_id, made_at=at)
        with self._store.session() as session:
            _open(session, review_id)
            session.add(made)
        return made

    def take_back(self, review_id: int, decision_id: int) -> None:
        """Undo a decision while the meeting goes on; errors as in `decide`."""
        with self._store.session() as session:
            _open(session, review_id)
            found = session.get(ReviewDecision, decision_id)
            if found is None or found.review_id != review_id:
                raise NoSuchReview(review_id)
            session.delete(found)

    def act(
        self, review_id: int, *, item: str, subject: str, text: str, rep_id: str, due: date, user_id: int | None,
        at: datetime,
    ) -> ReviewAction:  # fmt: skip
        """Keep who does what by when; errors as in `decide`."""
        with self._store.session() as session:
            review = _open(session, review_id)
            made = ReviewAction(
                series_id=review.series_id, review_id=review_id, item=item, subject=subject, text=text, rep_id=rep_id,
                due=due, state="open", reason="", user_id=user_id, made_at=at, changed_at=at,
            )  # fmt: skip
            session.add(made)
        return made

    def set_action(
        self, action_id: int, *, state: State | None = None, due: date | None = None, reason: str = "", today: date,
        at: datetime,
    ) -> ReviewAction:  # fmt: skip
        """Change an action's state or date; back to open too, so that a slip can be undone.

        Raises
        ------
        NoSuchAction
            If there is none.
        BadAction
            If it is dropped without a reason.
        """
        if state == "dropped" and len(reason.strip()) < 3:
            raise BadAction("reason: say why the action is dropped; it stands in the minutes.")
        with self._store.session() as session:
            found = _action(session, action_id)
            found.state, found.due = state or found.state, due or found.due
            found.reason = reason.strip() or found.reason
            if state is not None:
                found.closed_on = today if state in _ENDED else None
            found.changed_at = at
            return found

    def action(self, action_id: int) -> ReviewAction:
        """One action; errors as in `set_action`."""
        with self._store.reading() as session:
            return _action(session, action_id)

    def actions(self, series_id: int | None = None) -> list[ActionLine]:
        """All actions with how often each was carried over, the earliest due first."""
        with self._store.reading() as session:
            query = select(ReviewAction).order_by(ReviewAction.due, ReviewAction.action_id)
            query = query if series_id is None else query.where(ReviewAction.series_id == series_id)
            rows = list(session.scalars(query))
            days = session.execute(select(Review.series_id, Review.day)).all()
        packs: dict[int, list[date]] = {}
        for series, day in days:
            packs.setdefault(series, []).append(day)
        return [_line(row, packs.get(row.series_id, [])) for row in rows]

    def open_actions(self, series_id: int, before: int | None = None) -> list[ActionLine]:
        """Actions of a series that are neither done nor dropped; those of earlier meetings than one alone."""
        every = [line for line in self.actions(series_id) if line.state not in _ENDED]
        return every if before is None else [line for line in every if line.review_id < before]

    def close(self, review_id: int, minutes: str, at: datetime) -> Review:
        """Write the minutes, which change no more.

        Raises
        ------
        ReviewClosed
            If they are written already.
        RenewFirst
            If an action must be decided anew.
        """
        found = self.review(review_id)
        if late := [line.text for line in self.open_actions(found.series_id) if line.to_renew]:
            raise RenewFirst(late)
        with self._store.session() as session:
            review = _open(session, review_id)
            review.closed_at, review.minutes = at, minutes
            return review

    def note_sent(self, review_id: int, at: datetime) -> None:
        """Note that the minutes were sent."""
        with self._store.session() as session:
            _review(session, review_id).sent_at = at


def _line(row: ReviewAction, packs: list[date]) -> ActionLine:
    return ActionLine(
        row.action_id, row.series_id, row.review_id, row.item, row.subject, row.text, row.rep_id, row.due, row.state,
        row.reason, carried(row.due, packs, row.closed_on), row.closed_on,
    )  # fmt: skip


def _invite(session: Session, series_id: int, emails: Sequence[str]) -> None:
    session.execute(delete(ReviewInvitation).where(ReviewInvitation.series_id == series_id))
    for email in dict.fromkeys(email.strip().lower() for email in emails if email.strip()):
        session.add(ReviewInvitation(series_id=series_id, email=email))


def _series(session: Session, series_id: int) -> ReviewSeries:
    found = session.get(ReviewSeries, series_id)
    if found is None:
        raise NoSuchSeries(series_id)
    return found


def _review(session: Session, review_id: int) -> Review:
    found = session.get(Review, review_id)
    if found is None:
        raise NoSuchReview(review_id)
    return found


def _open(session: Session, review_id: int) -> Review:
    found = _review(session, review_id)
    if found.closed_at is not None:
        raise ReviewClosed(found.day)
    return found


def _action(session: Session, action_id: int) -> ReviewAction:
    found = session.get(ReviewAction, action_id)
    if found is None:
        raise NoSuchAction(action_id)
    return found
