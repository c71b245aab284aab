"""One viewer at the review meetings, by API or page: who may see, plan, decide, and what is written down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends

from planning.goals import COMPANY
from planning.reviews import Rhythm, since
from serving.access import NotYours, Viewer
from serving.dependencies import NamesDep, ScoresDep, Server, ServerDep, SightDep, ViewDep, ViewerDep
from serving.format import Formats
from serving.mail import Mail
from serving.outcomes import read_outcomes
from serving.pages.outlook import Outcome, as_day
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.reviews.material import Material, NoSuchTeam
from serving.reviews.meetings import ActionLine, BadAction, Meetings, NoSuchAction, NoSuchReview, NoSuchSeries, State
from serving.reviews.minutes import minutes_of, subject_of
from serving.reviews.pack import Pack, make_pack
from serving.reviews.sheet import Sheet
from serving.reviews.wording import sheet_of
from serving.tables.reviews import Review, ReviewAction, ReviewDecision, ReviewSeries

_LEADERS = ("manager", "admin")


@dataclass(frozen=True)
class ReviewDesk:
    """One viewer's way to the meetings.

    Parameters
    ----------
    material : Material
        What packs are made from.
    """

    server: Server
    viewer: Viewer
    material: Material

    @cached_property
    def meetings(self) -> Meetings:
        """The meetings of the store."""
        return Meetings(self.server.store)

    @property
    def now(self) -> datetime:
        """The moment; a sample company's time stands still at its data."""
        scored = self.material.scores.as_of
        return scored if self.material.company.sample and scored else datetime.now(UTC)

    @property
    def today(self) -> date:
        """The company's day."""
        return self.now.astimezone(self.material.company.zone).date()

    # -- who may

    def sees(self, team_id: str) -> bool:
        """Whether the meetings of a team are shown: to whoever sees the team as a whole."""
        sight = self.material.sight
        return sight.teams is None if team_id == COMPANY else sight.team(team_id)

    @property
    def leads(self) -> bool:
        """Whether the viewer plans and holds meetings."""
        return self.viewer.signed_in and self.viewer.role in _LEADERS

    def _must_lead(self, team_id: str) -> None:
        if not self.sees(team_id):
            raise NoSuchTeam(team_id)
        if self.viewer.role not in _LEADERS:
            raise NotYours(self.viewer.role, *_LEADERS)

    # -- series

    def series(self) -> list[ReviewSeries]:
        """Series that the viewer may see."""
        return [one for one in self.meetings.series() if self.sees(one.team_id)]

    def one_series(self, series_id: int) -> ReviewSeries:
        """One of them; an ended one too.

        Raises
        ------
        NoSuchSeries
            If there is none, or not for this viewer.
        """
        found = self.meetings.one_series(series_id)
        if not self.sees(found.team_id):
            raise NoSuchSeries(series_id)
        return found

    def plan(self, rhythm: Rhythm, team_id: str, weekday: int, begins: str, invited: list[str]) -> ReviewSeries:
        """Plan a series.

        Raises
        ------
        NoSuchTeam, NotYours
            If the viewer does not see that team, or has no say.
        """
        self.material.check_team(team_id)
        self._must_lead(team_id)
        made = self.meetings.plan(
            rhythm, team_id, weekday=weekday, begins=begins, invited=invited, user_id=self.viewer.user_id, at=self.now
        )
        self.server.store.audit(self.viewer.name, "plan review", series_id=made.series_id, rhythm=rhythm, team=team_id)
        return made

    def change_series(self, series_id: int, weekday: int, begins: str, invited: list[str] | None) -> ReviewSeries:
        """Move a series; errors as in `plan`."""
        self._must_lead(self.one_series(series_id).team_id)
        return self.meetings.change(series_id, weekday=weekday, begins=begins, invited=invited, at=self.now)

    def end_series(self, series_id: int, *, again: bool = False) -> ReviewSeries:
        """End a series or take that back; errors as in `plan`."""
        self._must_lead(self.one_series(series_id).team_id)
        return self.meetings.end(series_id, self.now, again=again)

    # -- meetings

    def reviews(self) -> list[tuple[ReviewSeries, Review]]:
        """Meetings that the viewer may see, the newest first."""
        shown = {one.series_id: one for one in self.meetings.series(ended=True) if self.sees(one.team_id)}
        return [(shown[r.series_id], r) for r in self.meetings.reviews() if r.series_id in shown]

    def review(self, review_id: int) -> tuple[ReviewSeries, Review]:
        """One of them.

        Raises
        ------
        NoSuchReview
            If there is none, or not for this viewer.
        """
        found = self.meetings.review(review_id)
        series = self.meetings.one_series(found.series_id)
        if not self.sees(series.team_id):
            raise NoSuchReview(review_id)
        return series, found

    def pack(self, rhythm: Rhythm, team_id: str, last: date | None = None) -> Pack:
        """A pack as the viewer may see it; that figures on persons were shown is noted."""
        pack = make_pack(self.material, rhythm, team_id, last)
        note_looks(self.server.store, self.viewer, pack.persons, keys_of(self.material.view), what="review pack")
        return pack

    def pack_of(self, series: ReviewSeries, review: Review | None = None) -> Pack:
        """The pack of a meeting, or of the next one of a series."""
        last = review.since if review else self.meetings.last_day(series.series_id, self.today)
        return self.pack(series.rhythm, series.team_id, last)  # type: ignore[arg-type]

    def sheet_of(self, pack: Pack, f: Formats, series: ReviewSeries | None = None, before: int | None = None) -> Sheet:
        """A pack in words, with the actions that are open from earlier meetings."""
        actions = self.meetings.open_actions(series.series_id, before) if series else []
        return sheet_of(pack, self.material, f, actions)

    def start(self, series_id: int) -> Review:
        """Start today's meeting of a series.

        Raises
        ------
        ReviewThere
            If it was started already.
        """
        series = self.one_series(series_id)
        self._must_lead(series.team_id)
        material, rhythm = self.material, series.rhythm
        begun = self.meetings.last_day(series_id, self.today) or since(rhythm, material.today, material.company)  # type: ignore[arg-type]
        return self.meetings.start(
            series_id, day=self.today, since=begun, as_of=material.as_of,
            data_cut=int(material.scores.meta["data_cut"]), forecast=self._forecast(series.team_id),
            user_id=self.viewer.user_id, at=self.now,
        )  # fmt: skip

    def decide(self, review_id: int, item: str, text: str) -> ReviewDecision:
        """Keep a decision with the forecast of the hour; errors as in `Meetings.decide`."""
        series, _ = self.review(review_id)
        self._must_lead(series.team_id)
        return self.meetings.decide(
            review_id, item, text, forecast=self._forecast(series.team_id), user_id=self.viewer.user_id, at=self.now
        )

    def take_back(self, review_id: int, decision_id: int) -> None:
        """Undo a decision while the meeting goes on."""
        series, _ = self.review(review_id)
        self._must_lead(series.team_id)
        self.meetings.take_back(review_id, decision_id)

    def act(self, review_id: int, item: str, subject: str, text: str, rep_id: str, due: date) -> ReviewAction:
        """Keep an action.

        Raises
        ------
        BadAction
            If its owner is nobody whom the viewer sees.
        """
        series, _ = self.review(review_id)
        self._must_lead(series.team_id)
        if rep_id not in self.owners(series.team_id):
            raise BadAction(
                "rep_id: '{rep_id}' is nobody of this team. Give one of its people or managers.", rep_id=rep_id[:80]
            )
        return self.meetings.act(
            review_id, item=item, subject=subject, text=text, rep_id=rep_id, due=due, user_id=self.viewer.user_id,
            at=self.now,
        )  # fmt: skip

    def owners(self, team_id: str) -> dict[str, str]:
        """Who can have an action: people of the team, its managers and the viewer; names by rep_id."""
        sight, reps, teams = self.material.sight, self.material.facts.reps, self.material.facts.teams
        gone = reps["left_on"].dropna()
        left = {str(rep) for rep, day in gone.items() if as_day(day) <= self.today}
        found = {rep for rep in self.material.members(team_id) if sight.owner(rep)} - left
        manager = teams["manager_rep_id"].get(team_id) if team_id != COMPANY else None
        extra = {manager, self.viewer.rep_id}
        found |= {rep for rep in extra if isinstance(rep, str) and rep in reps.index}
        return dict(sorted(((rep, self.material.name(rep)) for rep in found), key=lambda pair: (pair[1], pair[0])))

    def set_action(self, action_id: int, state: State | None, due: date | None, reason: str) -> ReviewAction:
        """Change an action: its owner or whoever leads the meeting.

        Raises
        ------
        NoSuchAction
            If there is none for this viewer.
        """
        found = self.meetings.action(action_id)
        own = self.viewer.rep_id is not None and found.rep_id == self.viewer.rep_id
        leads = self.sees(self.meetings.one_series(found.series_id).team_id)
        if not own and not leads:
            raise NoSuchAction(action_id)
        if not own and self.viewer.role not in _LEADERS:
            raise NotYours(self.viewer.role, *_LEADERS)
        return self.meetings.set_action(action_id, state=state, due=due, reason=reason, today=self.today, at=self.now)

    def actions(self) -> list[ActionLine]:
        """Actions of the viewer's meetings, and the viewer's own."""
        shown = {one.series_id for one in self.meetings.series(ended=True) if self.sees(one.team_id)}
        own = self.viewer.rep_id
        return [a for a in self.meetings.actions() if a.series_id in shown or (own is not None and a.rep_id == own)]

    # -- minutes

    def close(self, review_id: int, f: Formats) -> Review:
        """Write the minutes; errors as in `Meetings.close`."""
        series, review = self.review(review_id)
        self._must_lead(series.team_id)
        sheet = self.sheet_of(self.pack_of(series, review), f, series, before=review_id)
        actions = [
            a for a in self.meetings.actions(series.series_id) if a.closed_on is None or a.closed_on >= review.since
        ]
        text = minutes_of(
            f, review, sheet, self.meetings.decisions(review_id), actions, name=self.material.name,
            invited=self.meetings.invited(series.series_id),
        )  # fmt: skip
        return self.meetings.close(review_id, text, self.now)

    def send(self, review_id: int, f: Formats, mail: Mail) -> Review:
        """Send the minutes to those invited.

        Raises
        ------
        NoMail, MailFailed, BadAction
            If no mail server is set, it refuses, or nobody is invited.
        """
        series, review = self.review(review_id)
        self._must_lead(series.team_id)
        if review.closed_at is None:
            raise BadAction("minutes: they are not written yet. Close the review first.")
        to = self.meetings.invited(series.series_id)
        if not to:
            raise BadAction("invited: nobody gets these minutes. Add e-mail addresses to the series.")
        subject = subject_of(f, series.rhythm, self.material.team_name(series.team_id), review.day)  # type: ignore[arg-type]
        mail.send(to, subject, review.minutes)
        self.meetings.note_sent(review_id, datetime.now(UTC))
        self.server.store.audit(self.viewer.name, "send minutes", review_id=review_id, to=len(to))
        return self.meetings.review(review_id)

    def _forecast(self, team_id: str) -> dict[str, Any] | None:
        from serving.reviews.pack import outcome_of

        return _told(outcome_of(self.material, team_id), self.material.as_of)


def _told(outcome: Outcome | None, as_of: datetime) -> dict[str, Any] | None:
    """The forecast of an hour, as it is kept with a decision."""
    if outcome is None:
        return None
    names = ("metric", "target", "closed", "p10", "p50", "p90", "p_attain")
    return {
        "as_of": as_of.isoformat(), "period_start": outcome.start.isoformat(), "period_end": outcome.end.isoformat(),
        **{name: getattr(outcome, name) for name in names},
    }  # fmt: skip


def _desk(
    server: ServerDep, viewer: ViewerDep, sight: SightDep, scores: ScoresDep, names: NamesDep, view: ViewDep
) -> ReviewDesk:
    cut = (str(server.home.root), view.cut.number)
    company = server.company()
    whole = server.book.newest(company)
    material = Material(view, company, scores, sight, names, server.ledger, server.accuracy, cut, whole,
                        server.home.tracking, drawn=lambda: read_outcomes(server.home.scores / whole.mark))  # fmt: skip
    return ReviewDesk(server, viewer, material)


ReviewDeskDep = Annotated[ReviewDesk, Depends(_desk)]
