"""Reminders by mail: each person's actions and steps that are due, once a working day; managers learn what is stuck."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select

from crm.company import Company
from crm.lake import View
from planning.goals import teams_on
from planning.workdays import Workdays
from serving.format import Formats
from serving.i18n import language
from serving.mail import Mail, MailFailed
from serving.pages import risk_words
from serving.people import names_of
from serving.reviews.meetings import ActionLine, Meetings
from serving.store import Store
from serving.tables.reminders import Reminder
from serving.tables.risks import ContingencyPlan, ContingencyStep
from serving.tables.users import User

STUCK = 2
"""Times an action is carried over from which the manager of its owner is told."""
MOST = 10
_TONGUES = ("en", "zh")


@dataclass
class Due:
    """What one person is reminded of.

    Attributes
    ----------
    own : list of (text, day)
        Actions and steps that are overdue, or due by the next working day.
    stuck : list of (text, name, times)
        Actions of people whom one leads, carried over twice or more.
    """

    own: list[tuple[str, date]] = field(default_factory=list)
    stuck: list[tuple[str, str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Sent:
    """What a run did."""

    sent: int
    failed: list[str]


def remind(store: Store, view: View, company: Company, mail: Mail, now: datetime) -> Sent:
    """Send each person one message of what is due, once a working day; nothing on other days.

    A message is noted before it is sent. One that the server did not take is sent with the next run of that day.
    """
    today = now.astimezone(company.zone).date()
    if today not in Workdays.of(company):
        return Sent(0, [])
    found, addresses = due(store, view, company, today), _addresses(store)
    sent, failed = 0, list[str]()
    for rep in sorted(found.keys() & addresses.keys()):
        key = f"actions|{rep}|{today.isoformat()}"
        if not _note(store, key, now):
            continue
        try:
            mail.send([addresses[rep]], *message(found[rep], company, now))
        except MailFailed as error:
            failed.append(str(error))
            continue
        with store.session() as session:
            row = session.get(Reminder, key)
            assert row is not None
            row.sent_at = datetime.now(UTC)
        sent += 1
    return Sent(sent, failed)


def due(store: Store, view: View, company: Company, today: date) -> dict[str, Due]:
    """What each person is reminded of on a day, by rep_id."""
    limit, found = _next(Workdays.of(company), today), dict[str, Due]()
    names = names_of(view, store)
    for action in Meetings(store).actions():
        if action.state not in ("open", "doing"):
            continue
        if action.due <= limit:
            found.setdefault(action.rep_id, Due()).own.append((action.text, action.due))
        if action.carried >= STUCK and (leader := _leader(view, action.rep_id, today)) is not None:
            found.setdefault(leader, Due()).stuck.append(_stuck(action, names))
    for rep, step, day in _steps(store):
        if day <= limit:
            found.setdefault(rep, Due()).own.append((step, day))
    for one in found.values():
        one.own.sort(key=lambda line: (line[1], line[0]))
    return found


def message(one: Due, company: Company, now: datetime) -> tuple[str, str]:
    """Subject and text, in each language one after the other: which one somebody reads is not known."""
    parts, subjects = list[str](), list[str]()
    for code in _TONGUES:
        f = Formats(language(code), company.base_currency, company.zone, now)
        subjects.append(f.language.say_n("{n} action is due", "{n} actions are due", len(one.own) + len(one.stuck)))
        parts.append("\n".join(_lines(f, one, now.astimezone(company.zone).date())))
    return " / ".join(subjects), "\n\n".join(parts) + "\n"


def _lines(f: Formats, one: Due, today: date) -> list[str]:
    say = f.language.say
    lines = [say("Due for you:")] if one.own else []
    steps = risk_words.steps(f)
    for text, day in one.own[:MOST]:
        late = say("overdue since {day}", day=f.date(day)) if day < today else say("due on {day}", day=f.date(day))
        lines.append(f"- {steps.get(text, text)}: {late}")
    lines += [say("Carried over again and again by people whom you lead:")] if one.stuck else []
    lines += [say("- {text}, {who}: {n} times", text=t, who=who, n=n) for t, who, n in one.stuck[:MOST]]
    more = max(len(one.own) - MOST, 0) + max(len(one.stuck) - MOST, 0)
    return [*lines, *([say("and {n} more", n=more)] if more else []), say("All of them are on the page Reviews.")]


def _stuck(action: ActionLine, names: Mapping[str, str]) -> tuple[str, str, int]:
    return action.text, names.get(action.rep_id, action.rep_id), action.carried


def _steps(store: Store) -> Iterable[tuple[str, str, date]]:
    """Open steps of contingency plans that run: whose, what, by when."""
    query = (
        select(ContingencyStep.owner_id, ContingencyStep.what, ContingencyStep.due)
        .join(ContingencyPlan, ContingencyPlan.plan_id == ContingencyStep.plan_id)
        .where(ContingencyPlan.state == "started", ContingencyStep.state == "open")
    )
    with store.reading() as session:
        return [(owner, what, day) for owner, what, day in session.execute(query) if owner is not None]


def _addresses(store: Store) -> dict[str, str]:
    query = select(User.rep_id, User.email).where(User.ended_at.is_(None)).order_by(User.user_id.desc())
    with store.reading() as session:
        return {rep: email for rep, email in session.execute(query) if rep is not None}


def _leader(view: View, rep: str, today: date) -> str | None:
    """Who leads somebody's team, or the next one above that somebody else leads."""
    rows = view.arrow("teams").select(["team_id", "parent_team_id", "manager_rep_id"]).to_pylist()
    above = {row["team_id"]: row for row in rows}
    team, seen = teams_on(view, today).get(rep), set[str | None]()
    while team in above and team not in seen:
        seen.add(team)
        manager: str | None = above[team]["manager_rep_id"]
        if manager is not None and manager != rep:
            return manager
        team = above[team]["parent_team_id"]
    return None


def _next(workdays: Workdays, today: date) -> date:
    ahead = (today + timedelta(days=n) for n in range(1, 15))
    return next((day for day in ahead if day in workdays), today)


def _note(store: Store, key: str, now: datetime) -> bool:
    """Note a message before it is sent; False where it was sent."""
    with store.session() as session:
        row = session.get(Reminder, key)
        if row is None:
            session.add(Reminder(key=key, made_at=now))
        return row is None or row.sent_at is None
