"""Reviews: what do we talk about next, what is open from last time, what did we decide? The meeting and its pack."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from planning.goals import COMPANY
from planning.reviews import Rhythm
from serving.dependencies import PersonDep, ServerDep, SignedInDep
from serving.format import Formats
from serving.mail import Mail
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.reviews.calendar import days_of
from serving.reviews.desk import ReviewDesk, ReviewDeskDep
from serving.reviews.files import chinese_font
from serving.reviews.meetings import ActionLine, State
from serving.reviews.wording import rhythm_name, state_name, title_of
from serving.routes.reviews import feed_address, formats_of, pack_file
from serving.tables.reviews import Review, ReviewSeries

router = APIRouter(include_in_schema=False)
RAIL = Rail("reviews", "people", 2, lambda say: say("Reviews"), "/reviews")
CLOSED_SHOWN = 14  # days for which a closed action can be opened again here
_AHEAD = 120

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Form(min_length=3, max_length=2000)]
Key = Annotated[str, Form(max_length=200)]
Clock = Annotated[str, Form(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Annotated[int, Form(ge=1, le=7)]


class ActionRow(NamedTuple):
    """An action on the page."""

    number: int
    text: str
    who: str
    due: str
    due_iso: str
    late: bool
    state: str
    state_name: str
    carried: str
    to_renew: bool
    reason: str
    may: bool


class SeriesRow(NamedTuple):
    """A series on the page."""

    number: int
    title: str
    rhythm: str
    next: str
    begins: str
    weekday: int
    invited: str
    query: str
    may: bool
    today: bool  # its meeting of today was started


class MeetingRow(NamedTuple):
    """A meeting that was started."""

    number: int
    title: str
    day: str
    state: str


@router.get("/reviews")
def show_reviews(desk: DeskDep, meetings: ReviewDeskDep) -> HTMLResponse:
    """Series, open actions, meetings held."""
    return _overview(desk, meetings)


def _overview(desk: Desk, meetings: ReviewDesk, *, address: str = "", status: int = 200) -> HTMLResponse:
    if (missing := desk.without("deals", "reviews")) is not None:
        return missing
    held = meetings.reviews()
    actions = meetings.actions()
    open_now = [a for a in actions if a.state in ("open", "doing")]
    since = meetings.today - timedelta(days=CLOSED_SHOWN)
    closed = [a for a in actions if a.closed_on is not None and a.closed_on >= since]
    series = [_series_row(desk, meetings, one, held) for one in meetings.series()]
    return desk.show(
        "reviews.html",
        "reviews",
        status=status,
        finding=_finding(desk, series, open_now, meetings.today),
        actions=[_action_row(desk, meetings, one) for one in open_now],
        closed=[_action_row(desk, meetings, one) for one in closed],
        series=series,
        held=[_meeting_row(desk, meetings, *pair) for pair in held[:30]],
        leads=meetings.leads,
        teams=_teams(desk, meetings),
        rhythms=[(key, rhythm_name(desk.formats, key)) for key in ("weekly", "monthly", "quarterly")],
        weekdays=weekdays(desk),
        packs=[
            (rhythm_name(desk.formats, key), urlencode({"period": key, "team": team}), name)
            for team, name in _teams(desk, meetings)[:1]
            for key in ("weekly", "monthly", "quarterly")
        ],
        pdf=_pdf_note(desk),
        address=address,
    )


@router.get("/reviews/pack.{form}")
def take_pack(
    form: Literal["html", "pdf", "xlsx"], desk: DeskDep, meetings: ReviewDeskDep, period: Rhythm = "weekly",
    team: str = COMPANY,
) -> Response:  # fmt: skip
    """A pack as a file, in the visitor's language."""
    if (missing := desk.without("deals", "reviews")) is not None:
        return missing
    f = formats_of(meetings.material, desk.language.code)
    pack = meetings.pack(period, team)
    last = next((one for one in meetings.series() if (one.rhythm, one.team_id) == (period, team)), None)
    sheet = meetings.sheet_of(pack, f, last)
    return pack_file(meetings, sheet, form, f"review-{period}-{pack.today}")


@router.post("/reviews/series")
def plan_series(
    meetings: ReviewDeskDep,
    _: SignedInDep,
    rhythm: Annotated[Rhythm, Form()],
    team_id: Key,
    weekday: Weekday,
    begins: Clock,
    invited: Annotated[str, Form(max_length=10_000)] = "",
) -> RedirectResponse:
    """Plan a series."""
    meetings.plan(rhythm, team_id, weekday, begins, emails(invited))
    return _back("series")


@router.post("/reviews/series/{series_id}")
def change_series(
    series_id: Number,
    meetings: ReviewDeskDep,
    _: SignedInDep,
    weekday: Weekday,
    begins: Clock,
    invited: Annotated[str, Form(max_length=10_000)] = "",
) -> RedirectResponse:
    """Move a series, or invite others."""
    meetings.change_series(series_id, weekday, begins, emails(invited))
    return _back("series")


@router.post("/reviews/series/{series_id}/end")
def end_series(series_id: Number, meetings: ReviewDeskDep, _: SignedInDep) -> RedirectResponse:
    """End a series; what was held stays on record."""
    meetings.end_series(series_id)
    return _back("series")


@router.post("/reviews/series/{series_id}/start")
def start_review(series_id: Number, meetings: ReviewDeskDep, _: SignedInDep) -> RedirectResponse:
    """Start today's meeting and go there."""
    made = meetings.start(series_id)
    return RedirectResponse(f"/reviews/{made.review_id}", status_code=303)


@router.post("/reviews/feed")
def make_feed(
    request: Request, desk: DeskDep, meetings: ReviewDeskDep, server: ServerDep, viewer: PersonDep
) -> HTMLResponse:
    """A calendar address, shown this once."""
    _number, address = feed_address(request, server, viewer)
    return _overview(desk, meetings, address=address, status=201)


@router.post("/reviews/actions/{action_id}")
def change_action(
    action_id: Number,
    meetings: ReviewDeskDep,
    _: SignedInDep,
    state: Annotated[State | None, Form()] = None,
    due: Annotated[date | None, Form()] = None,
    reason: Annotated[str, Form(max_length=1000)] = "",
    back: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
) -> RedirectResponse:
    """Change an action, and go back to the list or the meeting."""
    meetings.set_action(action_id, state, due, reason)
    return RedirectResponse(f"/reviews/{back}#actions" if back else "/reviews#actions", status_code=303)


@router.get("/reviews/{review_id}")
def show_review(review_id: Number, desk: DeskDep, meetings: ReviewDeskDep, server: ServerDep) -> HTMLResponse:
    """One meeting: the pack with room for decisions and actions, or its minutes."""
    if (missing := desk.without("deals", "reviews")) is not None:
        return missing
    series, review = meetings.review(review_id)
    title = title_of(desk.formats, series.rhythm, meetings.material.team_name(series.team_id))  # type: ignore[arg-type]
    sheet = None
    if review.closed_at is None:
        f = formats_of(meetings.material, desk.language.code)
        sheet = meetings.sheet_of(meetings.pack_of(series, review), f, series, before=review_id)
    actions = [a for a in meetings.meetings.actions(series.series_id) if _concerns(a, review)]
    return desk.show(
        "review.html",
        "reviews",
        title=title,
        review=review,
        day=desk.formats.date(review.day, year=True),
        sheet=sheet,
        decisions=meetings.meetings.decisions(review_id),
        actions=[_action_row(desk, meetings, one) for one in actions],
        owners=list(meetings.owners(series.team_id).items()),
        leads=meetings.leads,
        invited=meetings.meetings.invited(series.series_id),
        mail=Mail(server.settings).ready,
        sent=desk.formats.moment(review.sent_at) if review.sent_at else "",
        next_week=(meetings.today + timedelta(days=7)).isoformat(),
        query=urlencode({"period": series.rhythm, "team": series.team_id}),
        pdf=_pdf_note(desk),
    )


@router.post("/reviews/{review_id}/decisions")
def keep_decision(
    review_id: Number, meetings: ReviewDeskDep, _: SignedInDep, text: Text, item: Annotated[str, Form(max_length=40)]
) -> RedirectResponse:
    """Keep a decision."""
    meetings.decide(review_id, item, text)
    return RedirectResponse(f"/reviews/{review_id}#part-{item}", status_code=303)


@router.post("/reviews/{review_id}/decisions/{decision_id}/undo")
def undo_decision(review_id: Number, decision_id: Number, meetings: ReviewDeskDep, _: SignedInDep) -> RedirectResponse:
    """Take a decision back."""
    meetings.take_back(review_id, decision_id)
    return RedirectResponse(f"/reviews/{review_id}#decided", status_code=303)


@router.post("/reviews/{review_id}/actions")
def keep_action(
    review_id: Number,
    meetings: ReviewDeskDep,
    _: SignedInDep,
    text: Text,
    rep_id: Key,
    due: Annotated[date, Form()],
    item: Annotated[str, Form(max_length=40)] = "",
) -> RedirectResponse:
    """Keep who does what by when."""
    meetings.act(review_id, item, "", text, rep_id, due)
    return RedirectResponse(f"/reviews/{review_id}#actions", status_code=303)


@router.post("/reviews/{review_id}/close")
def close_review(review_id: Number, desk: DeskDep, meetings: ReviewDeskDep, _: SignedInDep) -> RedirectResponse:
    """Write the minutes."""
    meetings.close(review_id, formats_of(meetings.material, desk.language.code))
    return RedirectResponse(f"/reviews/{review_id}", status_code=303)


@router.post("/reviews/{review_id}/send")
def send_minutes(
    review_id: Number, desk: DeskDep, meetings: ReviewDeskDep, server: ServerDep, _: SignedInDep
) -> RedirectResponse:
    """Send the minutes to those invited."""
    meetings.send(review_id, formats_of(meetings.material, desk.language.code), Mail(server.settings))
    return RedirectResponse(f"/reviews/{review_id}", status_code=303)


@router.get("/reviews/{review_id}/minutes.txt")
def take_minutes(review_id: Number, meetings: ReviewDeskDep) -> Response:
    """The minutes as a file."""
    _series, review = meetings.review(review_id)
    named = {"Content-Disposition": f'attachment; filename="minutes-{review.day}.txt"'}
    return Response(review.minutes, media_type="text/plain; charset=utf-8", headers=named)


def emails(text: str) -> list[str]:
    """Addresses as somebody typed them: by line, comma, semicolon or space; what is none is left out."""
    parts = text.replace(",", " ").replace(";", " ").split()
    return [part for part in parts if part.count("@") == 1 and not part.startswith("@") and not part.endswith("@")]


def weekdays(desk: Desk) -> list[tuple[int, str]]:
    """Days of the week by number."""
    names = desk.language.locale.days["stand-alone"]["wide"]
    return [(day, str(names[day - 1])) for day in range(1, 8)]


def _back(part: str) -> RedirectResponse:
    return RedirectResponse(f"/reviews#{part}", status_code=303)


def _teams(desk: Desk, meetings: ReviewDesk) -> list[tuple[str, str]]:
    whole = [(COMPANY, desk.language.say("Whole company"))] if meetings.sees(COMPANY) else []
    shown = [(team, name) for team, name in desk.team_names.items() if meetings.sees(team)]
    return whole + sorted(shown, key=lambda pair: pair[1])


def _pdf_note(desk: Desk) -> str:
    """What is said beside the PDF where no font has Chinese; empty where one has."""
    if chinese_font() is not None:
        return ""
    return desk.language.say(
        "No font with Chinese characters is installed here: a PDF with Chinese in it is refused. Install one (Debian, "
        "Ubuntu: {command}), or print the HTML pack from the browser.",
        command="sudo apt-get install fonts-noto-cjk",
    )


def _finding(desk: Desk, series: Sequence[SeriesRow], actions: Sequence[ActionLine], today: date) -> str:
    say, say_n = desk.language.say, desk.language.say_n
    late = sum(one.due < today for one in actions)
    said = say_n("{n} action is open", "{n} actions are open", len(actions))
    overdue = say("{said}, {late} of them overdue.", said=said, late=desk.formats.number(late))
    if not series:
        none = say("No review is planned.")
        return " ".join([none, overdue] if actions else [none])
    first = min(series, key=lambda row: (row.next == "", row.number))
    following = say("{title}: next on {day}.", title=first.title, day=first.next)
    return f"{following} {overdue}"


def _series_row(
    desk: Desk, meetings: ReviewDesk, one: ReviewSeries, held: Sequence[tuple[ReviewSeries, Review]]
) -> SeriesRow:
    f, today = desk.formats, meetings.today
    started = {review.day for series, review in held if series.series_id == one.series_id}
    ahead = [d for d in days_of(one, today, today + timedelta(days=_AHEAD), desk.company) if d not in started]
    return SeriesRow(
        one.series_id, title_of(f, one.rhythm, meetings.material.team_name(one.team_id)),  # type: ignore[arg-type]
        rhythm_name(f, one.rhythm), f.date(ahead[0]) if ahead else "", one.begins, one.weekday,
        ", ".join(meetings.meetings.invited(one.series_id)),
        urlencode({"period": one.rhythm, "team": one.team_id}), meetings.leads, today in started,
    )  # fmt: skip


def _meeting_row(desk: Desk, meetings: ReviewDesk, series: ReviewSeries, review: Review) -> MeetingRow:
    say, f = desk.language.say, desk.formats
    state = say("going on") if review.closed_at is None else say("minutes written")
    if review.sent_at is not None:
        state = say("minutes sent")
    title = title_of(f, series.rhythm, meetings.material.team_name(series.team_id))  # type: ignore[arg-type]
    return MeetingRow(review.review_id, title, f.date(review.day, year=True), state)


def _concerns(action: ActionLine, review: Review) -> bool:
    """Whether an action belongs to a meeting: made there, still open, or closed since the one before."""
    if action.review_id == review.review_id:
        return True
    return action.review_id < review.review_id and (action.closed_on is None or action.closed_on >= review.since)


def _action_row(desk: Desk, meetings: ReviewDesk, one: ActionLine) -> ActionRow:
    f: Formats = desk.formats
    own = desk.viewer.rep_id is not None and one.rep_id == desk.viewer.rep_id
    return ActionRow(
        one.action_id, one.text, desk.names.get(one.rep_id, one.rep_id), f.date(one.due), one.due.isoformat(),
        one.due < meetings.today and one.closed_on is None, one.state, state_name(f, one.state),
        f.number(one.carried) if one.carried else "", one.to_renew, one.reason,
        desk.viewer.signed_in and (own or meetings.leads),
    )  # fmt: skip
