"""Customers that may leave."""

from __future__ import annotations

from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Query

from crm.errors import NotFound
from crm.lake import LakeView, connect
from serving.dependencies import ScoresDep, ViewDep
from serving.problems import NOTHING_HERE
from serving.routes.deals import page_of
from serving.schemas import AccountDetail, AccountList, AccountRow, reasons_of, rows_of

router = APIRouter(prefix="/accounts", tags=["accounts"])


class NoAccount(NotFound):
    """No such account, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


@router.get("")
def list_accounts(
    scores: ScoresDep,
    view: ViewDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> AccountList:
    """Customers by value at risk, the most first."""
    every = scores.frame("accounts").sort_values(
        ["value_at_risk", "account_id"], ascending=[False, True], na_position="last"
    )
    page, following = page_of(every, "account_id", cursor, limit)
    rows = [AccountRow(**row) for row in _named(page, view)]
    as_of: Any = scores.as_of
    return AccountList(as_of=as_of, total=len(every), accounts=rows, next_cursor=following)


@router.get("/{account_id}")
def read_account(account_id: str, scores: ScoresDep, view: ViewDep) -> AccountDetail:
    """One customer with the reasons."""
    accounts, reasons = scores.frame("accounts"), scores.frame("reasons")
    row = accounts[accounts["account_id"] == account_id]
    if row.empty:
        raise NoAccount
    own = reasons[(reasons["entity"] == "account") & (reasons["entity_id"] == account_id)]
    note = (scores.meta.get("notes") or {}).get("churn") or {}
    return AccountDetail(**_named(row, view)[0], reasons=reasons_of(own), note=str(note.get("sentence_en", "")))


def _named(page: pd.DataFrame, view: LakeView) -> list[dict[str, Any]]:
    with connect() as con:
        view.attach(con)
        query = "select account_id, name from accounts where account_id in (select unnest($ids))"
        names = dict(con.execute(query, {"ids": page["account_id"].tolist()}).fetchall())
    fields = [name for name in AccountRow.model_fields if name != "name"]
    return [{**{f: row.get(f) for f in fields}, "name": names.get(row["account_id"])} for row in rows_of(page)]
