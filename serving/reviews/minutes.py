"""Minutes of a review: agenda, decisions with the forecast of that hour, actions; plain text to be sent and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from planning.goals import MONEY_METRICS
from planning.reviews import Rhythm
from serving.format import Formats
from serving.reviews.meetings import ActionLine
from serving.reviews.sheet import Sheet
from serving.reviews.wording import state_name, title_of
from serving.tables.reviews import Review, ReviewDecision


def subject_of(f: Formats, rhythm: Rhythm, team_name: str | None, day: date) -> str:
    """Subject line of the minutes."""
    title = title_of(f, rhythm, team_name)
    return f.language.say("Minutes: {title}, {day}", title=title, day=f.date(day, year=True))


def minutes_of(
    f: Formats,
    review: Review,
    sheet: Sheet,
    decisions: Sequence[ReviewDecision],
    actions: Sequence[ActionLine],
    *,
    name: Callable[[object], str],
    invited: Sequence[str],
) -> str:
    """The minutes in words.

    Parameters
    ----------
    actions : sequence of ActionLine
        Those that are open, and those closed since the meeting before.
    """
    say = f.language.say
    lines = [sheet.title, say("Held on {day}", day=f.date(review.day, year=True)), "", sheet.finding, ""]
    lines += [say("Agenda").upper() if f.language.code == "en" else say("Agenda")]
    for section in sheet.sections:
        said = section.lines[0] if section.lines and not section.blank else ""
        lines.append(f"- {section.title}{': ' if said and f.language.code == 'en' else '：' if said else ''}{said}")
    lines += ["", say("Decisions")]
    lines += [f"- {one.text}{_then(f, one.forecast)}" for one in decisions] or [say("None.")]
    lines += ["", say("Actions")]
    lines += [f"- {_action(f, one, name)}" for one in actions] or [say("None.")]
    if invited:
        lines += ["", say("Sent to: {who}", who=", ".join(invited))]
    return "\n".join([*lines, "", sheet.note, ""])


def _then(f: Formats, told: dict[str, Any] | None) -> str:
    if not told:
        return ""
    value = f.money if told["metric"] in MONEY_METRICS else f.number
    return " " + f.language.say(
        "(forecast then: {middle}, 80% range {low}–{high})",
        middle=value(told["p50"]), low=value(told["p10"]), high=value(told["p90"]),
    )  # fmt: skip


def _action(f: Formats, action: ActionLine, name: Callable[[object], str]) -> str:
    say = f.language.say
    told = say(
        "{text} · {who}, by {day}: {state}",
        text=action.text, who=name(action.rep_id), day=f.date(action.due, year=True), state=state_name(f, action.state),
    )  # fmt: skip
    more = [say("carried over {n} times", n=f.number(action.carried))] if action.carried else []
    more += [action.reason] if action.reason else []
    return " · ".join([told, *more])
