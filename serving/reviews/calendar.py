"""Series of reviews as an iCalendar feed: each date under a fixed name, changes told by the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from icalendar import Calendar, Event

from crm.company import Company
from planning.reviews import meeting_days
from planning.workdays import Workdays
from serving.format import Formats
from serving.reviews.wording import title_of
from serving.tables.reviews import ReviewSeries

BACK, AHEAD = 31, 183
"""Days that the feed reaches."""


def days_of(series: ReviewSeries, first: date, last: date, company: Company) -> list[date]:
    """Days of a series' meetings."""
    return meeting_days(
        series.rhythm, first, last, weekday=series.weekday, company=company,  # type: ignore[arg-type]
        workdays=Workdays.of(company),
    )  # fmt: skip


def feed(
    f: Formats,
    series: Sequence[tuple[ReviewSeries, str | None]],
    *,
    today: date,
    company: Company,
    address: str,
) -> bytes:
    """The calendar of some series from a month back to half a year ahead.

    Parameters
    ----------
    series : sequence of (ReviewSeries, name of its team)
        None is the whole company.
    address : str
        Of the page of reviews.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Bellwether//Reviews//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f.language.say("Reviews"))
    for one, team in series:
        for day in days_of(one, today - timedelta(days=BACK), today + timedelta(days=AHEAD), company):
            calendar.add_component(_event(f, one, team, day, company, address))
    calendar.add_missing_timezones()
    made: bytes = calendar.to_ical()
    return made


def _event(f: Formats, series: ReviewSeries, team: str | None, day: date, company: Company, address: str) -> Event:
    begins = datetime.combine(day, time.fromisoformat(series.begins), company.zone)
    event = Event()
    event.add("uid", f"review-{series.series_id}-{day.isoformat()}@bellwether")
    event.add("dtstamp", series.changed_at)
    event.add("sequence", series.sequence)
    event.add("dtstart", begins)
    event.add("dtend", begins + timedelta(minutes=series.minutes))
    event.add("summary", title_of(f, series.rhythm, team))  # type: ignore[arg-type]
    event.add("url", address)
    return event
