"""What was done to goals, newest first: by whom, when, why, and whether it can be undone."""

from __future__ import annotations

from typing import Any, NamedTuple

from serving import users
from serving.goal_changes import Desk as GoalDesk
from serving.pages import goal_words
from serving.pages.desk import Desk


class Recent(NamedTuple):
    """What was done in one go."""

    batch: str
    when: str
    text: str
    why: str
    may: bool


def recent(desk: Desk, goals: GoalDesk, most: int = 8) -> list[Recent]:
    """The newest changes of goals that the visitor may see, each with what was done, by whom and why."""
    seen = {str(row["goal_id"]): bool(row["may_change"]) for row in goals.table().to_dict("records")}
    batches: dict[str, list[dict[str, Any]]] = {}
    for change in goals.newest_changes():
        if change["goal_id"] in seen and change["batch"]:
            batches.setdefault(change["batch"], []).append(change)
    return [_told(desk, goals, batch, rows) for batch, rows in list(batches.items())[:most]]


def _told(desk: Desk, goals: GoalDesk, batch: str, rows: list[dict[str, Any]]) -> Recent:
    first, language = rows[0], desk.language
    text = language.say_n(
        "{n} goal {what}", "{n} goals {what}", len(rows), what=goal_words.what(language, first["what"])
    )
    if len(rows) == 1:
        values = first["after"] or first["before"] or {}
        whose = goal_words.owner(desk, values["owner_kind"], values["owner_id"])
        done = goal_words.what(language, first["what"])
        text = language.say("{owner}, {metric}: {what}", owner=whose, what=done,
                            metric=goal_words.metric(language, values["metric"]))  # fmt: skip
    who = name_of(desk, first["user_id"])
    return Recent(
        batch, desk.formats.moment(first["at"]), f"{text} · {who}" if who else text, first["why"], goals.may_undo(batch)
    )


def done(desk: Desk, goals: GoalDesk, batch: str) -> Recent | None:
    """What was just done in one go; None where there is no such change."""
    rows = [change for change in goals.newest_changes() if change["batch"] == batch] if batch else []
    return _told(desk, goals, batch, rows) if rows else None


def name_of(desk: Desk, user_id: int | None) -> str:
    """Who a user is: the person's name where it may be shown, else the address; empty where the user is gone."""
    if user_id is None:
        return ""
    user = users.read_user(desk.store, user_id)
    return desk.names.get(user.rep_id or "", user.email)
