"""Customers that may leave."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from crm.errors import NotFound
from crm.lake import LakeView, connect
from serving.dependencies import AskedDep, ScoresDep, SignedInDep, StoreDep, ViewDep, ViewerDep
from serving.documents import example, listed
from serving.examples import ACCOUNT_DETAIL, ACCOUNTS
from serving.exports import file_answer, format_of
from serving.lists import Order, Paging, within
from serving.next_products import next_product
from serving.problems import NOTHING_HERE
from serving.save_plays import Customer, Shown, answer_play, plays_for
from serving.schemas import (
    AccountDetail,
    AccountList,
    AccountRow,
    AdviceAnswer,
    NextProductOut,
    SavePlay,
    reasons_of,
    rows_of,
)
from serving.scores import Scores

router = APIRouter(prefix="/accounts", tags=["accounts"])


class NoAccount(NotFound):
    """No such account, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


class AccountWish(Paging):
    """Filters, order and page of a list of customers."""

    min_churn_probability: Annotated[float | None, Field(ge=0, le=1)] = None
    max_churn_probability: Annotated[float | None, Field(ge=0, le=1)] = None
    sort: Annotated[
        Literal["-value_at_risk", "value_at_risk", "-churn_probability", "churn_probability", "account_id"],
        Field(description="Field, with - before it for the largest first; missing values last."),
    ] = "-value_at_risk"


@router.get("", response_model=AccountList, responses=listed(ACCOUNTS))
def list_accounts(request: Request, wish: Annotated[AccountWish, Query()], asked: AskedDep) -> AccountList | Response:
    """Customers by value at risk, the most first; JSON by page, or a whole file."""
    order, scores, view = Order(wish.sort, "account_id"), asked.scores, asked.view
    bounds = wish.min_churn_probability, wish.max_churn_probability
    every = within(scores.frame("accounts"), "churn_probability", *bounds)
    form = format_of(wish.format, request.headers.get("accept", ""))
    if form != "json":
        return file_answer(_rows(order.sorted(every), view), AccountRow, "accounts", form, {})
    page, following = order.page(every, wish)
    as_of: Any = scores.as_of
    quality, rows = scores.note("churn").get("quality"), _rows(page, view)
    return AccountList(as_of=as_of, quality=quality, total=len(every), accounts=rows, next_cursor=following)


@router.get("/{account_id}", responses=example(ACCOUNT_DETAIL))
def read_account(
    account_id: str, scores: ScoresDep, view: ViewDep, viewer: ViewerDep, store: StoreDep
) -> AccountDetail:
    """One customer with the reasons, what may keep it and what you said of that."""
    score = _score(scores, account_id)
    customer = _customer(scores, score)
    note = scores.note("churn")
    likely = next_product(view, account_id, at=customer.as_of)
    return AccountDetail(
        **_named(score.to_frame().T, view)[0],
        plays=_plays(plays_for(customer, view, store, viewer), score.to_dict(), view),
        reasons=reasons_of(customer.reasons),
        quality=note.get("quality"),
        note=str(note.get("sentence_en", "")),
        next_product=None if likely is None else NextProductOut(**likely._asdict()),
    )


@router.post("/{account_id}/plays/{play}/feedback", status_code=204)
def answer_a_play(
    account_id: str,
    play: str,
    given: AdviceAnswer,
    scores: ScoresDep,
    view: ViewDep,
    viewer: SignedInDep,
    store: StoreDep,
) -> Response:
    """Say that a play was done, helped or did not, is not for now, or wrong; asks for sign-in."""
    customer = _customer(scores, _score(scores, account_id))
    answer_play(customer, play, given.answer, given.why, view=view, store=store, viewer=viewer)
    return Response(status_code=204)


@router.delete("/{account_id}/plays/{play}/feedback", status_code=204)
def take_answer_on_a_play_back(
    account_id: str, play: str, scores: ScoresDep, view: ViewDep, viewer: SignedInDep, store: StoreDep
) -> Response:
    """Take your answer on a play back; asks for sign-in."""
    customer = _customer(scores, _score(scores, account_id))
    answer_play(customer, play, None, "", view=view, store=store, viewer=viewer)
    return Response(status_code=204)


def _score(scores: Scores, account_id: str) -> pd.Series:
    accounts = scores.frame("accounts")
    row = accounts[accounts["account_id"] == account_id]
    if row.empty:
        raise NoAccount
    return row.iloc[0]


def _customer(scores: Scores, score: pd.Series) -> Customer:
    account, reasons, as_of = str(score["account_id"]), scores.frame("reasons"), scores.as_of
    if as_of is None:
        raise NoAccount
    own = reasons[(reasons["entity"] == "account") & (reasons["entity_id"] == account)]
    return Customer(account, own, as_of, str(score["model_version"]))


def _plays(shown: list[Shown], score: dict[str, Any], view: LakeView) -> list[SavePlay]:
    account, chance = str(score["account_id"]), score["churn_probability"]
    yearly = score["value_at_risk"] / chance if chance > 0 and pd.notna(score["value_at_risk"]) else None
    owner = _owner(view, account) if shown else None
    return [
        SavePlay(
            play=save.play.name,
            due_in_days=save.play.due_in_days,
            en=save.play.en,
            zh=save.play.zh,
            signs=[sign.feature for sign in save.signs],
            points=save.points,
            value=None if yearly is None else save.points * yearly,
            owner_id=owner,
            contact_id=save.contact_id,
            answer=answer or None,
        )
        for save, answer in shown
    ]


def _owner(view: LakeView, account_id: str) -> str | None:
    with connect() as con:
        view.attach(con)
        row = con.execute("select owner_id from accounts where account_id = $id", {"id": account_id}).fetchone()
    return row[0] if row else None


def _rows(page: pd.DataFrame, view: LakeView) -> list[AccountRow]:
    return [AccountRow(**row) for row in _named(page, view)]


def _named(page: pd.DataFrame, view: LakeView) -> list[dict[str, Any]]:
    with connect() as con:
        view.attach(con)
        query = "select account_id, name from accounts where account_id in (select unnest($ids))"
        names = dict(con.execute(query, {"ids": page["account_id"].tolist()}).fetchall())
    fields = [name for name in AccountRow.model_fields if name != "name"]
    return [{**{f: row.get(f) for f in fields}, "name": names.get(row["account_id"])} for row in rows_of(page)]
