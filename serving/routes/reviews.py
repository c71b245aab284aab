"""Reviews: packs, series of meetings with a calendar feed, decisions, actions, minutes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from planning.goals import COMPANY
from planning.reviews import Rhythm
from serving import tokens
from serving.access import SignInNeeded, need_scope
from serving.dependencies import PersonDep, ServerDep, SignedInDep
from serving.documents import Responses, example
from serving.examples_reviews import ACTION, ACTIONS, DECISION, FEED, PACK, REVIEW, REVIEWS, SERIES, SERIES_LIST
from serving.format import Formats
from serving.i18n import language
from serving.mail import Mail
from serving.reviews.calendar import feed
from serving.reviews.desk import ReviewDesk, ReviewDeskDep
from serving.reviews.files import MEDIA, Form, made
from serving.reviews.material import Material
from serving.reviews.meetings import ActionLine, State
from serving.reviews.sheet import Sheet
from serving.schemas import Moment
from serving.tables.reviews import Review, ReviewDecision, ReviewSeries

router = APIRouter(prefix="/reviews", tags=["reviews"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Team = Annotated[str, Field(min_length=1, max_length=200, description="Key of a team; 'company' is everyone.")]
Words = Annotated[str, Field(min_length=3, max_length=2000)]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2200, 1, 1))]
Email = Annotated[str, Field(max_length=320, pattern=r"^[^@\s,;]+@[^@\s,;]+$")]
Begins = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="On the company's clock.")]
Weekday = Annotated[int, Field(ge=1, le=7, description="Monday 1 to Sunday 7.")]
Item = Annotated[str, Field(max_length=40, description="Part of the pack that it came up in, such as deals.")]
Tongue = Annotated[Literal["en", "zh"], Query(description="Language of the words.")]
CALENDAR = "text/calendar; charset=utf-8"


class PackTable(BaseModel):
    """A table of a pack."""

    head: list[str]
    rows: list[list[str | float | int | date | None]]


class PackSection(BaseModel):
    """A part of a pack."""

    key: str
    title: str
    minutes: Annotated[int, Field(description="Of the meeting; 0 where it gets none of its own.")]
    lines: list[str]
    tables: list[PackTable]


class PackOut(BaseModel):
    """A review pack in one language."""

    title: str
    subtitle: str
    finding: str
    note: str
    sections: list[PackSection]


class SeriesOut(BaseModel):
    """Meetings that come again."""

    series_id: int
    period: Rhythm
    team_id: str
    weekday: int
    begins: str
    minutes: int
    invited: list[str]
    sequence: Annotated[int, Field(description="Counts changes, as calendars want it.")]
    ended_at: Moment | None


class SeriesList(BaseModel):
    """Series that run and that you may see."""

    series: list[SeriesOut]


class GivenSeries(BaseModel):
    """Meetings to be planned."""

    model_config = ConfigDict(extra="forbid")

    period: Rhythm = "weekly"
    team_id: Team = COMPANY
    weekday: Weekday = 1
    begins: Begins = "09:00"
    invited: Annotated[list[Email], Field(max_length=100, description="Who gets the minutes.")] = []


class SeriesEdit(BaseModel):
    """Another day, hour or list of those invited; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    weekday: Weekday | None = None
    begins: Begins | None = None
    invited: Annotated[list[Email] | None, Field(max_length=100)] = None


class DecisionOut(BaseModel):
    """What was decided, with the forecast of that hour."""

    decision_id: int
    item: str
    text: str
    forecast: dict[str, Any] | None
    made_at: Moment


class GivenDecision(BaseModel):
    """A decision."""

    model_config = ConfigDict(extra="forbid")

    item: Item = ""
    text: Words


class ActionOut(BaseModel):
    """Who does what by when."""

    action_id: int
    series_id: int
    review_id: int
    item: str
    subject: Annotated[str, Field(description="Deal, account or risk that it is about.")]
    text: str
    rep_id: str
    due: date
    state: State
    reason: str
    carried: Annotated[int, Field(description="Meetings held since it was due.")]
    to_renew: Annotated[bool, Field(description="To be decided anew before minutes can be written.")]


class ActionList(BaseModel):
    """Actions of your meetings, and your own, the earliest due first."""

    actions: list[ActionOut]


class GivenAction(BaseModel):
    """An action."""

    model_config = ConfigDict(extra="forbid")

    item: Item = ""
    subject: Annotated[str, Field(max_length=200)] = ""
    text: Words
    rep_id: Annotated[str, Field(min_length=1, max_length=200, description="Who does it.")]
    due: Day


class ActionEdit(BaseModel):
    """What is to change of an action; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    due: Day | None = None
    reason: Annotated[str, Field(max_length=1000, description="Needed to drop it.")] = ""


class ReviewOut(BaseModel):
    """One meeting."""

    review_id: int
    series_id: int
    period: Rhythm
    team_id: str
    day: date
    since: date
    as_of: Moment
    forecast: dict[str, Any] | None
    closed_at: Moment | None
    sent_at: Moment | None
    decisions: list[DecisionOut]
    actions: list[ActionOut]
    minutes: Annotated[str, Field(description="Written when it is closed; they change no more.")]


class ReviewList(BaseModel):
    """Meetings that were started, the newest first."""

    reviews: list[ReviewOut]


class GivenReview(BaseModel):
    """The meeting to be started."""

    model_config = ConfigDict(extra="forbid")

    series_id: Annotated[int, Field(ge=1, le=2**31 - 1)]


class FeedAddress(BaseModel):
    """The address of the calendar feed, told this once; revoke it like any token."""

    token_id: int
    address: str


@router.get("/pack", response_model=PackOut, responses=example(PACK))
def read_pack(
    desk: ReviewDeskDep,
    period: Rhythm = "weekly",
    team_id: Annotated[str, Query(min_length=1, max_length=200)] = COMPANY,
    tongue: Annotated[Literal["en", "zh"], Query(alias="language")] = "en",
    form: Annotated[Literal["json", "html", "pdf", "xlsx"], Query(alias="format")] = "json",
) -> PackOut | Response:
    """The pack of a review from the newest scores, as JSON or as a file."""
    desk.material.scores.frame("deals")
    f = formats_of(desk.material, tongue)
    pack = desk.pack(period, team_id)
    sheet = desk.sheet_of(pack, f)
    if form == "json":
        return _pack(sheet)
    return pack_file(desk, sheet, form, f"review-{period}-{pack.today}")


@router.get("/series", responses=example(SERIES_LIST))
def list_series(desk: ReviewDeskDep) -> SeriesList:
    """Series of meetings that run and that you may see."""
    return SeriesList(series=[_series(desk, one) for one in desk.series()])


@router.post("/series", status_code=201, responses=example(SERIES, 201))
def plan_series(given: GivenSeries, desk: ReviewDeskDep, _: SignedInDep) -> SeriesOut:
    """Plan meetings that come again: managers for the teams below them, administrators for all."""
    made = desk.plan(given.period, given.team_id, given.weekday, given.begins, list(given.invited))
    return _series(desk, made)


@router.patch("/series/{series_id}", responses=example(SERIES))
def change_series(series_id: Number, given: SeriesEdit, desk: ReviewDeskDep, _: SignedInDep) -> SeriesOut:
    """Move a series to another day or hour, or invite others; calendars take the change over."""
    now = desk.one_series(series_id)
    changed = desk.change_series(
        series_id, given.weekday or now.weekday, given.begins or now.begins,
        None if given.invited is None else list(given.invited),
    )  # fmt: skip
    return _series(desk, changed)


@router.delete("/series/{series_id}", responses=example(SERIES))
def end_series(series_id: Number, desk: ReviewDeskDep, _: SignedInDep) -> SeriesOut:
    """End a series; its meetings, decisions and actions stay on record."""
    return _series(desk, desk.end_series(series_id))


@router.post("/feed/tokens", status_code=201, responses=example(FEED, 201))
def make_feed(request: Request, server: ServerDep, viewer: PersonDep) -> FeedAddress:
    """An address for a calendar program, which shows your meetings and nothing else; it holds a year."""
    row, address = feed_address(request, server, viewer)
    return FeedAddress(token_id=row, address=address)


_FEED = """BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
UID:series-1@bellwether\r
SUMMARY:Weekly review\r
DTSTART:20260302T090000Z\r
END:VEVENT\r
END:VCALENDAR\r
"""
_FEED_ANSWER: Responses = {200: {"content": {"text/calendar": {"schema": {"type": "string"}, "example": _FEED}}}}


@router.get("/calendar.ics", response_class=Response, responses=_FEED_ANSWER)
def read_calendar(
    request: Request,
    server: ServerDep,
    token: Annotated[str, Query(max_length=200, description="Of POST /reviews/feed/tokens.")],
    tongue: Annotated[Literal["en", "zh"], Query(alias="language")] = "en",
) -> Response:
    """The meetings of whoever made the token, as iCalendar; a revoked token opens nothing."""
    viewer = tokens.viewer_of(server.store, token)
    if viewer is None:
        raise SignInNeeded
    need_scope(viewer, "calendar")
    company = server.company()
    sight, view = server.sight(viewer, company), server.view()
    scores = server.book.seen_by(sight, company)
    cut = (str(server.home.root), view.cut.number)
    desk = ReviewDesk(server, viewer, Material(view, company, scores, sight, {}, server.ledger, server.accuracy, cut))
    f = Formats(language(tongue), company.base_currency, company.zone, desk.now)
    named = [(one, desk.material.team_name(one.team_id)) for one in desk.series()]
    text = feed(f, named, today=desk.today, company=company, address=f"{_base(request)}/reviews")
    return Response(text, media_type=CALENDAR)


@router.get("/actions", responses=example(ACTIONS))
def list_actions(
    desk: ReviewDeskDep,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
) -> ActionList:
    """Actions of your meetings and your own, with how often each was carried over."""
    every = [_action(one) for one in desk.actions() if state is None or one.state == state]
    return ActionList(actions=every)


@router.patch("/actions/{action_id}", responses=example(ACTION))
def change_action(action_id: Number, given: ActionEdit, desk: ReviewDeskDep, _: SignedInDep) -> ActionOut:
    """Change the state or date of an action: its owner, or whoever leads the meeting."""
    desk.set_action(action_id, given.state, given.due, given.reason)
    return _action(next(one for one in desk.meetings.actions() if one.action_id == action_id))


@router.get("", responses=example(REVIEWS))
def list_reviews(
    desk: ReviewDeskDep, most: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50
) -> ReviewList:
    """Meetings that were started and that you may see, the newest first."""
    return ReviewList(reviews=[_review(desk, *pair) for pair in desk.reviews()[:most]])


@router.post("", status_code=201, responses=example(REVIEW, 201))
def start_review(given: GivenReview, desk: ReviewDeskDep, _: SignedInDep) -> ReviewOut:
    """Start today's meeting of a series; the forecast of the hour is kept with it."""
    desk.material.scores.frame("deals")
    return _review(desk, desk.one_series(given.series_id), desk.start(given.series_id))


@router.get("/{review_id}", responses=example(REVIEW))
def read_review(review_id: Number, desk: ReviewDeskDep) -> ReviewOut:
    """One meeting with its decisions and actions."""
    return _review(desk, *desk.review(review_id))


@router.post("/{review_id}/decisions", status_code=201, responses=example(DECISION, 201))
def keep_decision(review_id: Number, given: GivenDecision, desk: ReviewDeskDep, _: SignedInDep) -> DecisionOut:
    """Keep a decision; the forecast of the hour is kept with it, so that its effect can be looked up later."""
    return _decision(desk.decide(review_id, given.item, given.text))


@router.delete("/{review_id}/decisions/{decision_id}", status_code=204)
def take_decision_back(review_id: Number, decision_id: Number, desk: ReviewDeskDep, _: SignedInDep) -> Response:
    """Undo a decision while the meeting goes on."""
    desk.take_back(review_id, decision_id)
    return Response(status_code=204)


@router.post("/{review_id}/actions", status_code=201, responses=example(ACTION, 201))
def keep_action(review_id: Number, given: GivenAction, desk: ReviewDeskDep, _: SignedInDep) -> ActionOut:
    """Keep who does what by when; it comes back in each meeting until it is done or dropped."""
    made = desk.act(review_id, given.item, given.subject, given.text, given.rep_id, given.due)
    return _action(next(one for one in desk.meetings.actions() if one.action_id == made.action_id))


@router.post("/{review_id}/close", responses=example(REVIEW))
def close_review(review_id: Number, desk: ReviewDeskDep, _: SignedInDep, tongue: Tongue = "en") -> ReviewOut:
    """Write the minutes, which change no more; refused while an action is to be decided anew."""
    series, _review_now = desk.review(review_id)
    return _review(desk, series, desk.close(review_id, formats_of(desk.material, tongue)))


@router.post("/{review_id}/send", responses=example(REVIEW))
def send_minutes(
    review_id: Number, desk: ReviewDeskDep, server: ServerDep, _: SignedInDep, tongue: Tongue = "en"
) -> ReviewOut:
    """Send the minutes to those invited, by the mail server of the settings."""
    series, _review_now = desk.review(review_id)
    sent = desk.send(review_id, formats_of(desk.material, tongue), Mail(server.settings))
    return _review(desk, series, sent)


def formats_of(material: Material, tongue: str) -> Formats:
    """How a pack writes values; its 'now' is the data's moment, so that the same data give the same words."""
    return Formats(language(tongue), material.company.base_currency, material.company.zone, material.scores.as_of)  # type: ignore[arg-type]


def pack_file(desk: ReviewDesk, sheet: Sheet, form: Form, name: str) -> Response:
    """A pack to be kept."""
    content = made(sheet, form, at=desk.material.as_of)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, media_type=MEDIA[form], headers=headers)


def feed_address(request: Request, server: ServerDep, viewer: PersonDep) -> tuple[int, str]:
    """A new token for the calendar alone, and the address that holds it."""
    row, secret = tokens.make_token(server.store, viewer, "calendar", ["calendar"], days=tokens.MOST_DAYS)
    server.store.audit(viewer.name, "make token", name=row.name, scopes=row.scopes)
    return row.token_id, f"{_base(request)}/api/v1/reviews/calendar.ics?token={secret}"


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _pack(sheet: Sheet) -> PackOut:
    sections = [
        PackSection(
            key=s.key, title=s.title, minutes=s.minutes, lines=list(s.lines),
            tables=[PackTable(head=list(t.head), rows=[[c.value for c in row] for row in t.rows]) for t in s.tables],
        )
        for s in sheet.sections
    ]  # fmt: skip
    return PackOut(
        title=sheet.title, subtitle=sheet.subtitle, finding=sheet.finding, note=sheet.note, sections=sections
    )


def _series(desk: ReviewDesk, one: ReviewSeries) -> SeriesOut:
    names = ("series_id", "team_id", "weekday", "begins", "minutes", "sequence", "ended_at")
    values = {name: getattr(one, name) for name in names}
    return SeriesOut(period=one.rhythm, invited=desk.meetings.invited(one.series_id), **values)


def _review(desk: ReviewDesk, series: ReviewSeries, review: Review) -> ReviewOut:
    names = ("review_id", "series_id", "day", "since", "as_of", "forecast", "closed_at", "sent_at", "minutes")
    values = {name: getattr(review, name) for name in names}
    actions = [a for a in desk.meetings.actions(series.series_id) if a.review_id == review.review_id]
    return ReviewOut(
        period=series.rhythm, team_id=series.team_id,
        decisions=[_decision(one) for one in desk.meetings.decisions(review.review_id)],
        actions=[_action(one) for one in actions], **values,
    )  # fmt: skip


def _decision(one: ReviewDecision) -> DecisionOut:
    return DecisionOut(
        decision_id=one.decision_id, item=one.item, text=one.text, forecast=one.forecast, made_at=one.made_at
    )


def _action(one: ActionLine) -> ActionOut:
    names = [name for name in ActionOut.model_fields if name != "to_renew"]
    return ActionOut(to_renew=one.to_renew, **{name: getattr(one, name) for name in names})
