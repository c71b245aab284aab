"""What may keep one customer, in words: for the customer's page."""

from __future__ import annotations

from typing import Any, NamedTuple

from serving.format import MISSING
from serving.pages import listing, words
from serving.pages.desk import Desk
from serving.pages.outlook import number
from serving.save_plays import Customer, Shown, plays_for


class Line(NamedTuple):
    """One play: what to do by when, the signs that call for it, what stands with them, with whom to speak, answers."""

    play: str
    what: str
    signs: str
    stake: str
    whom: str
    said: str
    ask_more: bool


def plays_of(desk: Desk, account_id: str, score: dict[str, Any] | None, owner: object) -> list[Line]:
    """At most three plays for a customer that is scored, the first with most behind it."""
    if score is None:
        return []
    yearly = number(score["yearly_value"])
    shown = plays_for(customer_of(desk, account_id, score), desk.view, desk.store, desk.viewer)
    return [_line(desk, one, yearly, owner) for one in shown]


def customer_of(desk: Desk, account_id: str, score: dict[str, Any]) -> Customer:
    """A customer as scored."""
    reasons = desk.reasons("account", [account_id])
    return Customer(account_id, reasons, desk.as_of, str(score.get("model_version", "")))


def _line(desk: Desk, shown: Shown, yearly: float | None, owner: object) -> Line:
    save = shown.save
    f, say, name = desk.formats, desk.language.say, desk.namer("account")
    day = listing.due(desk.today, save.play.due_in_days)
    what = desk.language.choose(save.play.en, save.play.zh)
    money = f.money(save.points * yearly) if yearly else MISSING
    who = words.text_or(desk.names.get(str(owner)) or owner, "")
    with_whom = say("with {contact}", contact=desk.contact(save.contact_id)) if save.contact_id else ""
    return Line(
        save.play.name,
        say("{what} By {day}.", what=what, day=f.date(day)) if day else what,
        " · ".join(name(sign.feature, sign.value, None)[0] for sign in save.signs[:3]),
        say("{points} of the chance to leave stand with these signs: {money} a year.",
            points=f.points(save.points, 1), money=money),
        " · ".join(part for part in (who, with_whom) if part),
        words.answered(
            desk.language, shown.answer, wrong=say("You said: wrong. It does not come again for this customer.")
        ),
        shown.answer == "done",
    )  # fmt: skip
