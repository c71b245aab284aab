"""Features of deals, reps or accounts at given moments, as one table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.errors import BadInput
from crm.lake import View, connect
from crm.money import attach_rates
from crm.quality import late_filled
from crm.stages import stage_order
from features.as_of import attach_log, attach_state, logged_since
from features.catalogue import Block, Entity, blocks
from features.engine import run_blocks
from features.filled import Filled
from features.language import saying_where
from features.rep_state import attach_quarters, attach_rep_state
from features.session import DuckSession, Session, engine_of, opened, parts_of_rows
from features.sources import attach_sources

KEYS: dict[Entity, str] = {"deal": "deal_id", "rep": "rep_id", "account": "account_id"}


class BadSpine(BadInput):
    """The rows asked for cannot be used."""


def build(
    view: View,
    spine: pd.DataFrame,
    entity: Entity,
    *,
    company: Company,
    engine: str | None = None,
    late: frozenset[str] | None = None,
    only: Collection[str] | None = None,
) -> pd.DataFrame:
    """Features as known at each row's `as_of`.

    Parameters
    ----------
    view : View
        Where the events are read from.
    spine : shape (n, >= 2)
        The entity's key (`deal_id`, `rep_id` or `account_id`) and `as_of` (UTC).
    entity : {'deal', 'rep', 'account'}
        Whose features.
    company : Company
        Fiscal calendar, time zone, currency, stages, and features of its own.
    engine : str, optional
        `duckdb`, `spark`, `spark://host:port` or `sc://host:port`; unset: what the view names.
    late : frozenset of str, optional
        Columns of deals that are treated as not known; unset: `crm.quality.late_filled`.
    only : collection of str, optional
        These features alone; unset: all of them.

    Returns
    -------
    pd.DataFrame, shape (n, 2 + features)
        The spine's rows in their order: key, `as_of`, numbers as float64 (NaN: not known), categories as `category`.

    Raises
    ------
    BadSpine
        If the key or `as_of` is missing, or the times are not in UTC.
    UnknownEngine
        If there is no such engine.
    BadDefinition
        If a feature of the company's own cannot be used.

    Notes
    -----
    Two things are read from the whole view: which columns are filled in late, and, where the company sets no order,
    the order of its stages. Both are facts about how the CRM is used, and the first only ever removes a column.
    """
    check_spine(spine, KEYS[entity])
    late = late_filled(view) if late is None else late
    with saying_where(*company.features), opened(engine or engine_of(view), view, company.time_zone) as session:
        chosen = blocks(entity, company, only)
        attach_asked(session, spine, entity, company)
        parts = _part(session, entity, chosen, len(spine))
        attach_standing(session, view, entity, company, late, chosen)
        found = described(session, view, spine, entity, late, chosen, parts)
    return found if only is None else found[[KEYS[entity], "as_of", *only]]


def attach_all(
    session: Session,
    view: View,
    spine: pd.DataFrame,
    entity: Entity,
    company: Company,
    late: frozenset[str],
    chosen: Collection[Block],
) -> None:
    """Make all that the blocks of an entity read: their sources, and `state` for the rows asked for."""
    attach_asked(session, spine, entity, company)
    attach_standing(session, view, entity, company, late, chosen)
    attach_state_of(session, entity, late)


def attach_asked(session: Session, spine: pd.DataFrame, entity: Entity, company: Company) -> None:
    """Make the tables of the rows asked for and of the fiscal periods that these lie in."""
    session.put("periods", _periods(spine, company))
    asked = _asked(spine, KEYS[entity])
    session.put("asked", asked)
    session.put("asked_points", asked.drop_columns("_row").group_by([KEYS[entity], "as_of"]).aggregate([]))


def attach_standing(
    session: Session, view: View, entity: Entity, company: Company, late: frozenset[str], chosen: Collection[Block]
) -> None:
    """Make what is the same for all rows asked for; for reps it ends with the last moment asked for."""
    attach_rates(session.local, company)
    _attach_stages(session.local, view, company)
    for name in ("fx", "stage_places"):
        session.share(name)
    attach_log(session)
    if entity == "rep":
        attach_quarters(session, company)
    attach_sources(session, {block.events for block in chosen}, late)


def attach_state_of(session: Session, entity: Entity, late: frozenset[str]) -> None:
    """Make `state`: what is known of each row asked for, at its moment."""
    session.make("points", "select * from asked_points")
    _STATES[entity](session, late)
    session.drop("deal_state")


def described(
    session: Session,
    view: View,
    spine: pd.DataFrame,
    entity: Entity,
    late: frozenset[str],
    chosen: Sequence[Block],
    parts: int = 1,
) -> pd.DataFrame:
    """Features of the rows asked for, in their order; these and the sources must be there, in so many parts."""
    numeric = {name for name, kind in session.columns("deals").items() if kind in ("double", "bigint")}
    logged, kept = logged_since(session), set[str]()
    filled = Filled(spine, KEYS[entity], chosen, numeric)
    for part in range(parts):
        if isinstance(session, DuckSession) and parts > 1:
            session.pick(part)
        attach_state_of(session, entity, late)
        filled.put(run_blocks(session, chosen, view.present, logged, kept if parts > 1 else None), session.local)
    return filled.frame()


def _part(session: Session, entity: Entity, chosen: Sequence[Block], rows: int) -> int:
    """Have what is by the entity's own key made in parts if there are many rows asked for; how many parts."""
    parts = parts_of_rows(session, rows)
    if entity == "rep" or parts == 1 or not isinstance(session, DuckSession):
        return 1  # a rep's sources end with the rows asked for, which are few
    key = KEYS[entity]
    first = ["asked", "asked_points", f"{entity}s"]
    own = {b.events for b in chosen if b.events and b.by == key} | ({"logged"} if entity == "deal" else set())
    own -= {b.events for b in chosen if b.events and (b.by != key or b.key != key)}
    session.part(dict.fromkeys([*first, *own], key), parts)
    for name in first:
        session.make(name, f"select * from {name}")
    return parts


def open_deals(view: View, as_of: datetime | pd.Timestamp) -> pd.DataFrame:
    """The deals open at a moment: `deal_id` and `as_of`, ordered by key.

    A closed deal without a time of closing counts as closed all along.
    """
    moment = pd.Timestamp(as_of)
    with connect() as con:
        view.attach(con)
        found = con.execute(
            "select deal_id from deals where created_at <= $at and (outcome = 'open' or closed_at > $at) order by 1",
            {"at": moment.to_pydatetime()},
        ).fetchall()
    keys = pd.Series([row[0] for row in found], dtype=object)
    return pd.DataFrame({"deal_id": keys, "as_of": pd.Series(moment, index=keys.index).astype("datetime64[us, UTC]")})


def check_spine(spine: pd.DataFrame, key: str) -> None:
    """Refuse rows without key or moment, or with times that are not in UTC.

    Raises
    ------
    BadSpine
        If so.
    """
    if missing := {key, "as_of"} - set(spine.columns):
        raise BadSpine(f"The rows have no column {min(missing)}. Give {key} and as_of.")
    if not isinstance(spine["as_of"].dtype, pd.DatetimeTZDtype):
        raise BadSpine(f"as_of is {spine['as_of'].dtype}, not in UTC. Give times such as pd.Timestamp(..., tz='UTC').")
    if empty := int(spine[[key, "as_of"]].isna().any(axis=1).sum()):
        raise BadSpine(f"{empty} of {len(spine)} rows have no {key} or no as_of. Leave them out.")


def _asked(spine: pd.DataFrame, key: str) -> pa.Table:
    """The rows asked for; `_row` is their place."""
    return pa.table(
        {
            key: pa.array(spine[key].astype(object).tolist(), pa.string()),
            "as_of": _moments(spine["as_of"]),
            "_row": pa.array(np.arange(len(spine)), pa.int64()),
        }
    )


def _attach_stages(con: duckdb.DuckDBPyConnection, view: View, company: Company) -> None:
    order = stage_order(view, company)
    rows = [(pipeline, stage, float(i)) for pipeline, stages in order.items() for i, stage in enumerate(stages)]
    if "*" in order:  # what holds for all pipelines holds for each that is not named
        named = con.sql("select distinct pipeline from deals where pipeline is not null").fetchall()
        rows += [(p, s, float(i)) for (p,) in named if p not in order for i, s in enumerate(order["*"])]
    con.execute("create or replace temp table stage_places (pipeline varchar, stage varchar, place double)")
    if rows:
        con.executemany("insert into stage_places values (?, ?, ?)", rows)


def _periods(spine: pd.DataFrame, company: Company) -> pa.Table:
    """The fiscal periods that each moment lies in."""
    moments = pd.Series(spine["as_of"].unique())
    days = moments.dt.tz_convert(company.time_zone).dt.date if len(moments) else moments
    periods = [company.period_of(day) for day in days]
    bounds = [period.bounds(company.time_zone) for period in periods]
    year_ends = [company.period_of(day, "year").bounds(company.time_zone)[1] for day in days]
    month_ends = [company.period_of(day, "month").bounds(company.time_zone)[1] for day in days]
    return pa.table(
        {
            "as_of": _moments(moments),
            "this_start": pa.array([p.start for p in periods], pa.date32()),
            "this_end": pa.array([p.end for p in periods], pa.date32()),
            "starts_at": pa.array([b[0] for b in bounds], pa.timestamp("us", tz="UTC")),
            "ends_at": pa.array([b[1] for b in bounds], pa.timestamp("us", tz="UTC")),
            "year_ends_at": pa.array(year_ends, pa.timestamp("us", tz="UTC")),
            "month_ends_at": pa.array(month_ends, pa.timestamp("us", tz="UTC")),
            "today": pa.array(list(days), pa.date32()),
        }
    )


def _deal_state(session: Session, late: frozenset[str]) -> None:
    attach_state(session, late)
    known = "false" if "referred_by_account_id" in late else "d.created_at is not null"
    session.make(
        "state",
        f"""
        select d.*, 'all' as company, {known} as referrals_known,
               epoch(d.as_of) as epoch_as_of, epoch(d.created_at) as epoch_created,
               epoch(d.stage_since) as epoch_stage_since,
               date_diff('day', p.today, d.close_date)::double as close_in_days,
               (epoch(p.ends_at) - epoch(d.as_of)) / 86400 as quarter_ends_in,
               (epoch(p.year_ends_at) - epoch(d.as_of)) / 86400 as year_ends_in,
               (epoch(p.month_ends_at) - epoch(d.as_of)) / 86400 as month_ends_in,
               (12 + month(d.close_date) - month(p.this_start)) % 3 as close_quarter_month,
               date_diff('day', d.close_date, last_day(d.close_date))::double as close_month_left,
               coalesce(d.pipeline, '*') || '/' || d.stage as stage_key,
               coalesce(d.pipeline, '*') || '/' || d.stage || '/' || d.segment as segment_stage_key,
               case when reps.hired_on <= p.today then date_diff('day', reps.hired_on, p.today)::double
               end as owner_tenure
        from deal_state d join periods p using (as_of) left join reps on reps.rep_id = d.owner_id
    """,
    )


def _account_state(session: Session, late: frozenset[str]) -> None:
    session.make(
        "state",
        """
        select p.account_id, p.as_of, a.industry, a.segment, a.country, a.region, a.employees::double as employees,
               a.annual_revenue::double as annual_revenue,
               case when a.created_at <= p.as_of then (epoch(p.as_of) - epoch(a.created_at)) / 86400 end as account_age
        from points p left join accounts a on a.account_id = p.account_id and coalesce(a.created_at <= p.as_of, true)
    """,
    )


_STATES: dict[Entity, Callable[[Session, frozenset[str]], None]] = {
    "deal": _deal_state,
    "rep": attach_rep_state,
    "account": _account_state,
}


def _moments(values: pd.Series) -> pa.Array:
    return pa.array(values.dt.tz_convert(None).to_numpy("datetime64[us]")).cast(pa.timestamp("us", tz="UTC"))
