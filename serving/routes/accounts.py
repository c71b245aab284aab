"""Customers that may leave."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from crm.errors import NotFound
from crm.lake import LakeView, connect
from models.saves import save_plays
from serving.dependencies import AskedDep
from serving.documents import found_once, listed
from serving.examples import ACCOUNT_DETAIL, ACCOUNTS
from serving.exports import file_answer, format_of
from serving.lists import Order, Paging, within
from serving.next_products import next_product
from serving.problems import NOTHING_HERE
from serving.schemas import AccountDetail, AccountList, AccountRow, NextProductOut, SavePlay, reasons_of, rows_of

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
    return AccountList(as_of=as_of, total=len(every), accounts=_rows(page, view), next_cursor=following)


@router.get("/{account_id}", responses=found_once(ACCOUNT_DETAIL))
def read_account(account_id: str, asked: AskedDep) -> AccountDetail:
    """One customer with the reasons."""
    scores, view = asked.scores, asked.view
    accounts, reasons = scores.frame("accounts"), scores.frame("reasons")
    row = accounts[accounts["account_id"] == account_id]
    if row.empty:
        raise NoAccount
    own = reasons[(reasons["entity"] == "account") & (reasons["entity_id"] == account_id)]
    note = (scores.meta.get("notes") or {}).get("churn") or {}
    as_of: Any = scores.as_of
    likely = next_product(view, account_id, at=as_of)
    return AccountDetail(
        **_named(row, view)[0],
        plays=_plays(own, row.iloc[0].to_dict(), view, as_of),
        reasons=reasons_of(own),
        note=str(note.get("sentence_en", "")),
        next_product=None if likely is None else NextProductOut(**likely._asdict()),
    )


def _plays(reasons: pd.DataFrame, score: dict[str, Any], view: LakeView, as_of: datetime) -> list[SavePlay]:
    account, chance = str(score["account_id"]), score["churn_probability"]
    yearly = score["value_at_risk"] / chance if chance > 0 and pd.notna(score["value_at_risk"]) else None
    found = save_plays(reasons, view, at=as_of).get(account, [])
    owner = _owner(view, account) if found else None
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
        )
        for save in found
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
