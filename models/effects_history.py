"""When each action of the catalogue was taken in the past, when deals moved on, and what else went on before a week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import View, connect
from crm.own_actions import OwnAction
from crm.stages import ANY, stage_order

LAGS = 4
"""Weeks back that contacts are counted one by one."""
LOGGING_ONLY = ("note", "task")
"""Kinds of activity that no customer notices: what they seem to do, bias does."""
_PEOPLE = "('call', 'meeting', 'demo', 'visit')"
# What was written down after the closing may have been written because of it, and what came after it changed nothing.
_KEPT = """
create temp table kept as
select a.deal_id, a.occurred_at as done_at, a.kind, coalesce(a.direction, 'out') as direction, a.contact_id,
       coalesce(a.recorded_at, a.occurred_at) as known_at,
       coalesce(c.seniority in ('vp', 'c-level'), false) as decides, c.seniority, a.outcome as said
from activities a join deals d using (deal_id) left join contacts c on c.contact_id = a.contact_id
where coalesce(a.recorded_at, a.occurred_at) <= $until
  and (d.outcome = 'open' or d.closed_at is null or d.closed_at > $until
       or (a.occurred_at <= d.closed_at and coalesce(a.recorded_at, a.occurred_at) <= d.closed_at))
"""
# A closing sets fields too: that is the end itself, not a step on the way to it.
_CHANGED = """
create temp table changed as
select c.* from deal_changes c join deals d using (deal_id)
where c.changed_at <= $until and (d.outcome = 'open' or d.closed_at is null or c.changed_at < d.closed_at)
"""
_KIND = "select deal_id, done_at, deal_id as cause from kept where kind = '{kind}' and direction = 'out'"
# A meeting with who decides is an action of its own.
_TAKEN = {
    "meeting": f"{_KIND.format(kind='meeting')} and not decides",
    "involve_decision_maker": f"""
        select deal_id, done_at, deal_id as cause from kept where kind in {_PEOPLE} and decides""",
    "add_contact": f"""
        select deal_id, min(done_at) as done_at, deal_id as cause from kept
        where kind in {_PEOPLE} and direction = 'out' and contact_id is not null group by deal_id, contact_id
        qualify row_number() over (partition by deal_id order by min(done_at)) > 1""",
    "reset_close_date": """
        select deal_id, changed_at as done_at, deal_id as cause from changed
        where field = 'close_date' and new_value > old_value""",
    # One who leaves hands over many deals at once: the leaving is the cause.
    "hand_over": """
        select deal_id, changed_at as done_at, coalesce(old_value, '') || ' ' || cast(changed_at as date) as cause
        from changed where field = 'owner_id' and old_value is not null""",
}
_MOVES = """
select c.deal_id, c.changed_at as done_at
from deal_changes c join deals d using (deal_id)
join places o on o.pipeline = coalesce(d.pipeline, '*') and o.stage = c.old_value
join places n on n.pipeline = coalesce(d.pipeline, '*') and n.stage = c.new_value
where c.field = 'stage' and n.place > o.place and c.changed_at <= $until
union all
select deal_id, closed_at from deals where outcome = 'won' and closed_at <= $until
"""
_ANSWERS = "select deal_id, done_at from kept where direction = 'in'"
_BEFORE = """
select r.row, {columns}
from asked r left join kept k on k.deal_id = r.deal_id and k.done_at <= r.as_of and k.known_at <= r.as_of
group by r.row order by r.row
"""
_COUNT = (
    "count(k.done_at) filter (where direction = '{way}' and k.done_at > r.as_of - to_days({far})"
    " and k.done_at <= r.as_of - to_days({near}))"
)
_FADED = (
    "coalesce(sum(exp((epoch(k.done_at) - epoch(r.as_of)) / (14 * 86400.0))) filter (where direction = '{way}'), 0)"
)


@dataclass(frozen=True, slots=True)
class Past:
    """What was done and what moved.

    Parameters
    ----------
    taken : dict of str to DataFrame
        By action: `deal_id`, `done_at` (UTC) and `cause`, which is the deal unless the action has a common cause.
    moves : DataFrame
        Moves to a later stage and wins: `deal_id`, `done_at`.
    answers : DataFrame
        Contacts that came from the customer: `deal_id`, `done_at`.
    before : DataFrame, shape (n, p)
        For each row asked for: contacts each way in the last four weeks, week by week, and faded with time.
    """

    taken: Mapping[str, pd.DataFrame]
    moves: pd.DataFrame
    answers: pd.DataFrame
    before: pd.DataFrame


def past_of(view: View, rows: pd.DataFrame, kinds: Mapping[str, str], *, company: Company, until: pd.Timestamp) -> Past:
    """Read actions, moves and what went before.

    Parameters
    ----------
    rows : shape (n, >= 2)
        `deal_id` and `as_of` (UTC).
    kinds : mapping of str to str
        Action to the kind of activity it is logged as; actions that this module knows to find otherwise need none.
    until : Timestamp, UTC
        Nothing later is looked at.
    """
    values = {"until": until.to_pydatetime()}
    with connect() as con:
        view.attach(con)
        con.execute(_KEPT, values)
        con.execute(_CHANGED, values)
        _attach_places(con, view, company)
        own = {action.name: action for action in company.advice.actions}
        queries = {name: _own(own[name]) if name in own else _query(name, kind) for name, kind in kinds.items()}
        taken = {name: _read(con, query, values) for name, query in queries.items()}
        return Past(taken, _read(con, _MOVES, values), _read(con, _ANSWERS, values), _before(con, rows))


def _query(name: str, kind: str) -> str:
    if name in LOGGING_ONLY:  # these have no direction
        return f"select deal_id, done_at, deal_id as cause from kept where kind = '{name}'"
    return _TAKEN.get(name) or _KIND.format(kind=kind.replace("'", ""))


def _own(action: OwnAction) -> str:
    """How a step of the company's own shows: as an activity of ours, or as a change of a field."""
    if action.field:
        asked = [f"field = {_quoted(action.field)}", *_same("new_value", action.to)]
        return f"select deal_id, changed_at as done_at, deal_id as cause from changed where {' and '.join(asked)}"
    asked = [f"kind = {_quoted(action.kind or '')}", *_same("said", action.outcome)]
    if action.kind not in LOGGING_ONLY:
        asked.append("direction = 'out'")
    if action.seniority:
        asked.append(f"seniority in ({', '.join(map(_quoted, action.seniority))})")
    return f"select deal_id, done_at, deal_id as cause from kept where {' and '.join(asked)}"


def _same(column: str, word: str | None) -> list[str]:
    """Upper and lower case do not matter: people write both."""
    return [] if word is None else [f"lower(trim({column})) = lower({_quoted(word.strip())})"]


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _attach_places(con: duckdb.DuckDBPyConnection, view: View, company: Company) -> None:
    order = stage_order(view, company)
    named = [row[0] for row in con.sql("select distinct coalesce(pipeline, '*') from deals").fetchall()]
    rows = [(p, s, i) for p in named for i, s in enumerate(order.get(p, order.get(ANY, [])))]
    con.execute("create temp table places (pipeline varchar, stage varchar, place integer)")
    if rows:
        con.executemany("insert into places values (?, ?, ?)", rows)


def _read(con: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, object]) -> pd.DataFrame:
    needed = {"until": values["until"]} if "$until" in query else {}
    found = con.execute(query, needed).df()
    found["done_at"] = pd.to_datetime(found["done_at"], utc=True).astype("datetime64[us, UTC]")
    return found.astype({"deal_id": "object"}).sort_values(["deal_id", "done_at"], ignore_index=True)


def _before(con: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> pd.DataFrame:
    moments = pa.array(rows["as_of"].dt.tz_convert(None).to_numpy("datetime64[us]")).cast(pa.timestamp("us", tz="UTC"))
    deals = pa.array(rows["deal_id"].tolist(), pa.string())
    asked = pa.table({"row": pa.array(np.arange(len(rows))), "deal_id": deals, "as_of": moments})
    con.register("asked", asked)
    columns = [f"{_FADED.format(way=way)} as {name}_faded" for way, name in (("in", "inbound"), ("out", "outbound"))]
    for lag in range(LAGS):
        for way, name in (("in", "inbound"), ("out", "outbound")):
            columns.append(f"{_COUNT.format(way=way, near=7 * lag, far=7 * lag + 7)} as {name}_week_{lag + 1}")
    return con.execute(_BEFORE.format(columns=", ".join(columns))).df().drop(columns="row").astype(np.float64)
