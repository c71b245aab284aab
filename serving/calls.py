"""What reps and managers say themselves where a period will end: taken with history, judged by rules fixed before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd
from sqlalchemy import select

from crm.company import Company
from crm.errors import BadInput, NotFound
from crm.lake import View
from planning.goals import COMPANY
from serving.access import NotYours, Sight, Viewer
from serving.accuracy import Accuracy
from serving.problems import NOTHING_HERE
from serving.store import Store
from serving.tables.calls import Call
from serving.tables.users import User

Entity = Literal["rep", "team"]
Kind = Literal["commit", "best_case"]
_MOST = 1e15
_SEPARATORS = str.maketrans("", "", " ,\u00a0\u202f'")
_CALLERS = ("rep", "manager", "admin")
POINTS = (1 / 3, 2 / 3)  # of a period: what stands then is what is judged
COLUMNS = "entity entity_id period_start period_end metric kind value why user_id by rep_id as_of made_at".split()


class NoNumber(BadInput):
    """What was typed is no value of a call."""


class NobodyThere(NotFound):
    """No such rep or team, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


def may_call(viewer: Viewer, sight: Sight, entity: Entity, ident: str, view: View) -> None:
    """Refuse who may not say where a rep or team will end.

    Raises
    ------
    NobodyThere
        If there is no such rep or team, or the viewer does not see it.
    NotYours
        If the viewer's role has no say in it.
    """
    if not _sees(sight, entity, ident) or not _is_there(view, entity, ident):
        raise NobodyThere
    if viewer.role not in _CALLERS:
        raise NotYours(viewer.role, *_CALLERS)


def has_a_say(viewer: Viewer, sight: Sight, entity: Entity, ident: str) -> bool:
    """Whether `may_call` would let the viewer."""
    return _sees(sight, entity, ident) and viewer.role in _CALLERS


def typed(text: str) -> float | None:
    """A value as someone typed it, with or without separators; None where it is empty.

    Raises
    ------
    NoNumber
        If it is no number from 0 up.
    """
    plain = text.strip().translate(_SEPARATORS)
    if not plain:
        return None
    try:
        value = float(plain)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST:
        raise NoNumber("The call is '{text}'. Give a number from 0 up, such as 250000.", text=text)
    return value


def _sees(sight: Sight, entity: Entity, ident: str) -> bool:
    return sight.owner(ident) if entity == "rep" else sight.team(ident)


def _is_there(view: View, entity: Entity, ident: str) -> bool:
    found = view.arrow(f"{entity}s").column(f"{entity}_id").to_pylist()
    return ident in found or (entity, ident) == ("team", COMPANY)


def call_now(
    store: Store,
    viewer: Viewer,
    company: Company,
    *,
    entity: Entity,
    entity_id: str,
    metric: str = "bookings",
    kind: Kind = "commit",
    value: float | None,
    why: str = "",
    as_of: datetime | None,
) -> pd.DataFrame:
    """Keep a call on the quarter that the data are in; the ones before stay in the history.

    Parameters
    ----------
    value : float or None
        Base currency or number of deals; None takes the viewer's earlier call back.
    as_of : datetime, optional
        Moment of the data that the viewer saw; unset: now.

    Returns
    -------
    DataFrame
        The call as `history` gives it.
    """
    assert viewer.user_id is not None
    now = datetime.now(UTC)
    moment = as_of or now
    period = company.period_of(moment.astimezone(company.zone).date())
    row = Call(
        entity=entity,
        entity_id=entity_id,
        period_start=period.start,
        period_end=period.end,
        metric=metric,
        kind=kind,
        value=value,
        why=why.strip(),
        user_id=viewer.user_id,
        role=viewer.role,
        as_of=moment,
        made_at=now,
    )
    with store.session() as session:
        session.add(row)
    return history(store, entity, entity_id).tail(1)


def seen(calls: pd.DataFrame, sight: Sight) -> pd.DataFrame:
    """Calls that a viewer may see: on teams of the own tree, and on reps whose own figures may be shown."""
    shown = [
        sight.person(ident) if entity == "rep" else sight.team(ident)
        for entity, ident in zip(calls["entity"], calls["entity_id"], strict=True)
    ]
    return calls[np.array(shown, dtype=bool)]


def history(store: Store, entity: Entity | None = None, entity_id: str | None = None) -> pd.DataFrame:
    """Calls with all that came before them, oldest first, of one rep or team or of all.

    Returns
    -------
    DataFrame
        `COLUMNS`; `by` is the role of who called, `rep_id` the rep that this user is, if any.
    """
    query = select(Call, User.rep_id).join(User, User.user_id == Call.user_id).order_by(Call.call_id)
    if entity is not None:
        query = query.where(Call.entity == entity)
    if entity_id is not None:
        query = query.where(Call.entity_id == entity_id)
    with store.reading() as session:
        rows = [
            (
                *(c.entity, c.entity_id, c.period_start, c.period_end, c.metric, c.kind, c.value, c.why),
                *(c.user_id, c.role, rep_id, c.as_of, c.made_at),
            )
            for c, rep_id in session.execute(query).all()
        ]
    found = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("as_of", "made_at"):
        found[name] = pd.to_datetime(found[name], utc=True)
    return found.astype({"value": float})


def standing(calls: pd.DataFrame) -> pd.DataFrame:
    """The newest call of each person on each period; what was taken back is none."""
    keys = ["entity", "entity_id", "period_start", "period_end", "metric", "kind", "user_id"]
    newest = calls.drop_duplicates(keys, keep="last")
    return newest[newest["value"].notna()]


def judged(calls: pd.DataFrame, totals: pd.DataFrame, entity: Entity, company: Company) -> pd.DataFrame:
    """Calls of periods that are over beside what came and what model and run rate said at the same point.

    At one and two thirds of a period each person's newest call stands against the newest forecast that had been
    issued by then. The rule was fixed before any call was made, so nobody is judged by a call chosen afterwards.

    Parameters
    ----------
    calls : DataFrame
        As `history` gives them.
    totals : DataFrame
        `serving.accuracy.TotalAccuracy.rows` of issued forecasts of the same entity.

    Returns
    -------
    DataFrame
        A row a call and point: entity_id, by, user_id, rep_id, kind, metric, point, call, model, run_rate, actual.
    """
    key = f"{entity}_id"
    own = calls[calls["entity"] == entity]
    if own.empty or totals.empty:
        return pd.DataFrame()
    parts = []
    for (start, end), rows in own.groupby(["period_start", "period_end"]):
        first, last = (pd.Timestamp(day).tz_localize(company.time_zone).tz_convert("UTC") for day in (start, end))
        same = totals[
            (pd.to_datetime(totals["period_start"]).dt.date == start)
            & (pd.to_datetime(totals["period_end"]).dt.date == end)
        ]
        for share in POINTS:
            at = first + (last - first) * share
            said = standing(rows[rows["as_of"] <= at])
            issued = same[same["as_of"] <= at].sort_values("as_of").drop_duplicates([key, "metric"], keep="last")
            both = said.merge(issued, left_on=["entity_id", "metric"], right_on=[key, "metric"], suffixes=("", "_m"))
            parts.append(both.assign(point=share, call=both["value"], model=both["p50"]))
    columns = ["entity_id", "by", "user_id", "rep_id", "kind", "metric", "point", "call", "model", "run_rate", "actual"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame()


def callers(calls: pd.DataFrame, found: Accuracy, sight: Sight, company: Company) -> pd.DataFrame:
    """How right people's calls were, of those whose own figures the viewer may see; whoever the calls were about.

    Parameters
    ----------
    calls : DataFrame
        As `history` gives them.
    found : Accuracy
        Of issued forecasts.

    Returns
    -------
    DataFrame
        As `summary`, with `entity`; empty where nothing can be judged or seen.
    """
    totals: dict[Entity, pd.DataFrame] = {"rep": found.reps.rows, "team": found.teams.rows}
    tables = {entity: judged(seen(calls, sight), rows, entity, company) for entity, rows in totals.items()}
    parts = [summary(table).assign(entity=entity) for entity, table in tables.items() if len(table)]
    if not parts:
        return pd.DataFrame()
    every = pd.concat(parts, ignore_index=True)
    return every if sight.persons is None else every[every["rep_id"].isin(sight.persons)]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """How right each caller was, and what calling instead of taking the model's figure was worth.

    Returns
    -------
    DataFrame
        A row a caller, entity, kind and metric: `n`; `error`, `model_error`, `naive_error`, mean absolute errors as
        shares of the mean actual; `bias`, mean of call less actual likewise; `accuracy`, the trade's 1 - |error| /
        actual as a mean over calls with an actual; `ratio`, sum of calls over sum of actuals; `worth`, mean of how
        much nearer than the model the call was, in the metric's own unit (below 0: the override cost accuracy).
    """
    rows = []
    for (ident, user, kind, metric), part in table.groupby(["entity_id", "user_id", "kind", "metric"]):
        actual = part["actual"].to_numpy(float)
        size = np.abs(actual).mean() or np.nan
        errors = {name: np.abs(part[name].to_numpy(float) - actual) for name in ("call", "model", "run_rate")}
        known = actual > 0
        rows.append(
            {
                "entity_id": ident,
                "user_id": user,
                "by": part["by"].iloc[-1],
                "rep_id": part["rep_id"].iloc[-1],
                "kind": kind,
                "metric": metric,
                "n": len(part),
                "error": errors["call"].mean() / size,
                "model_error": errors["model"].mean() / size,
                "naive_error": errors["run_rate"].mean() / size,
                "bias": (part["call"].to_numpy(float) - actual).mean() / size,
                "accuracy": float((1 - errors["call"][known] / actual[known]).mean()) if known.any() else np.nan,
                "ratio": float(part["call"].sum() / actual.sum()) if actual.sum() else np.nan,
                "worth": float((errors["model"] - errors["call"]).mean()),
            }
        )
    return pd.DataFrame(rows)
