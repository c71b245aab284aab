"""The catalogue of a company: steps of its own from company.yaml, then those that are built in."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.errors import BadInput
from crm.lake import connect
from crm.own_actions import OwnAction
from features.catalogue import features
from features.language import BadDefinition, checked, columns_of
from models.actions import CATALOGUE, PAUSE, Action, ContactNeed, Flags

DECIDES = ("vp", "c-level")
_BUILT_IN = frozenset(action.name for action in (*CATALOGUE, PAUSE))
_PLAIN_WHY = ("A step of the company's own.", "公司自定义的步骤。")


class BadAction(BadInput):
    """A step of the company's own cannot be used."""

    def __init__(self, action: OwnAction, problem: str, mend: str) -> None:
        super().__init__(f"{action.place} {problem}. {mend}")


def catalogue(company: Company) -> tuple[Action, ...]:
    """What may be suggested. Own steps come first: of two with one figure the more particular is named.

    Raises
    ------
    BadAction
        If a name is taken, or a condition is no condition on features.
    """
    own = company.advice.actions
    for place, action in enumerate(own):
        if action.name in _BUILT_IN or action.name in {other.name for other in own[:place]}:
            raise BadAction(action, "has a name that is taken", "Give it a name of its own.")
    return (*(_action(action, company) for action in own), *CATALOGUE)


def _action(own: OwnAction, company: Company) -> Action:
    gone = _gone(own)
    return Action(
        own.name,
        own.due_in_days,
        _fits(own, company),
        own.why_en or _PLAIN_WHY[0],
        own.why_zh or own.why_en or _PLAIN_WHY[1],
        kind=own.kind or "",
        needs=_needs(own),
        effort_hours=own.effort_hours,
        cooling_off_days=own.cooling_off_days,
        gone_en=gone[0],
        gone_zh=gone[1],
    )


def _gone(own: OwnAction) -> tuple[str, str]:
    """The facts with which it no longer fits, in English and Chinese."""
    en, zh = [], []
    if days := own.cooling_off_days:
        en.append(f"this step done within the last {days} days")
        zh.append(f"近{days}天内已执行该步骤")
    if own.when.strip() != "true":
        en.append(f"its condition ({own.when}) no longer met")
        zh.append(f"其条件（{own.when}）不再满足")
    return " or ".join(en), "或".join(zh)


def _needs(own: OwnAction) -> ContactNeed:
    return "decision_maker" if _decides(own) else ""


def _decides(own: OwnAction) -> bool:
    return bool(own.seniority) and set(own.seniority) <= set(DECIDES)


def _fits(own: OwnAction, company: Company) -> Callable[[pd.DataFrame], Flags]:
    known = frozenset(f.name for f in features("deal", company))
    try:
        condition = checked(own.name, own.when, known, frozenset(), False)
    except BadDefinition as error:
        raise BadAction(own, f"has {error.problem} in 'when: {own.when}'", error.mend) from None
    needed = sorted(columns_of(own.when))

    def fits(X: pd.DataFrame) -> Flags:
        """Where the condition is surely met: what is not known does not meet it."""
        columns = {"row": pa.array(np.arange(len(X)))}
        for name in needed:
            values = X[name].astype(object) if name in X else pd.Series([None] * len(X), dtype=object)
            columns[name] = pa.array(values.where(values.notna(), None).tolist())
        with connect() as con:
            con.register("asked", pa.table(columns))
            try:
                met = con.execute(f"select coalesce(({condition})::boolean, false) from asked order by row").fetchall()
            except duckdb.Error as error:
                said = str(error).splitlines()[0]
                raise BadAction(own, f"cannot ask 'when: {own.when}' ({said})", "Compare like with like.") from None
        return np.array([bool(flag) for (flag,) in met], dtype=bool)

    return fits
