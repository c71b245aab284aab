"""Plays that may keep one customer, as a viewer sees them: with the own answers, less what was turned down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import pandas as pd

from crm.errors import NotFound
from crm.lake import View
from models.saves import Save, save_plays
from serving import feedback
from serving.access import SignInNeeded, Viewer
from serving.problems import NOTHING_HERE
from serving.store import Store


class NoPlay(NotFound):
    """No such play is suggested for this customer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


class Shown(NamedTuple):
    """A play, and what the viewer said of it at this scoring: empty where nothing."""

    save: Save
    answer: str


class Customer(NamedTuple):
    """One customer as scored: its reasons, and which scores they belong to."""

    account_id: str
    reasons: pd.DataFrame
    as_of: datetime
    model_version: str


def plays_for(customer: Customer, view: View, store: Store, viewer: Viewer) -> list[Shown]:
    """At most three plays, the first with most behind it.

    What anybody did, put off or called wrong is left out as for next steps of deals, but for what the viewer answered
    at this very scoring: it stays with its answer, so that it can be taken back.
    """
    said = feedback.answers(store, viewer, customer.account_id, entity="account", as_of=customer.as_of)
    turned_down = feedback.not_again(store, at=datetime.now(UTC), entity="account")
    resting = {play for account, play in turned_down if account == customer.account_id and play not in said}
    found = save_plays(customer.reasons, view, at=customer.as_of, leave_out=resting)
    return [Shown(save, said.get(save.play.name, "")) for save in found.get(customer.account_id, [])]


def answer_play(
    customer: Customer, play: str, answer: feedback.Answer | None, why: str, *, view: View, store: Store, viewer: Viewer
) -> None:
    """Keep what a viewer says of a play, or take it back where `answer` is None.

    Raises
    ------
    SignInNeeded
        If nobody is signed in.
    NoPlay
        If the viewer is not shown such a play for this customer.
    """
    if not viewer.signed_in:
        raise SignInNeeded
    if play not in {one.save.play.name for one in plays_for(customer, view, store, viewer)}:
        raise NoPlay
    account, as_of = customer.account_id, customer.as_of
    if answer is None:
        feedback.take_back(store, viewer, entity="account", entity_id=account, action=play, as_of=as_of)
        return
    feedback.keep_answer(
        store, viewer, entity="account", entity_id=account, action=play, answer=answer, why=why, as_of=as_of,
        model_version=customer.model_version,
    )  # fmt: skip
