"""A deal as it stood at T: what was known at creation, and its logged fields rebuilt from the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from crm.schema import LOGGED_FIELDS, TABLES
from features.running import Events, latest
from features.session import Session, better_sorted

_ACCOUNT_COLUMNS = ("industry", "segment", "country", "region", "employees", "annual_revenue")
_STATE_FIELDS = frozenset(c.name for c in TABLES["deals"].columns if c.known == "changes")
_NUMBERS = ("amount", "list_amount", "close_date", "annual_revenue", "employees")

_FIRST_STAGES = "(select pipeline, stage from stage_places where place = 0)"
# The log in order of the changes; `known_at` is when each was written down. A stage that is none of the pipeline's open
# ones says how a deal ended, not where it was, so entering it is left out.
LOG = f"""
select c.deal_id, c.field, c.old_value, c.new_value, coalesce(c.recorded_at, c.changed_at) as known_at,
       c.changed_at, c._seq, (c.changed_at, c._seq) as place
from deal_changes c join deals d using (deal_id)
left join stage_places s on s.stage = c.new_value and s.pipeline = coalesce(d.pipeline, '*')
left join {_FIRST_STAGES} f on f.pipeline = coalesce(d.pipeline, '*')
where c.field <> 'stage' or s.stage is not null or f.stage is null
"""
# Where such an end stands in a deal whose stage was never logged, it was in the first stage all along.
_STAGE_NOW = "case when here.stage is null then coalesce(beginning.stage, d.stage) else d.stage end"


def logged_since(session: Session) -> dict[str, datetime]:
    """Fields of deals that `deal_changes` logs, and when the first change of each was written down."""
    found = session.fetch("select field, since from logged_since order by 1")
    return dict(zip(found["field"].to_pylist(), found["since"].to_pylist(), strict=True))


def attach_log(session: Session) -> None:
    """Make `logged`: the changes of deals with the moment each was known, and `logged_since`; needs `stage_places`."""
    session.make("logged", LOG)
    session.make(
        "logged_since",
        "select field, min(coalesce(recorded_at, changed_at)) as since from deal_changes group by field",
    )


def attach_state(session: Session, late: frozenset[str], *, ended: bool = False) -> None:
    """Make the table `deal_state`: one row for each (deal_id, as_of) of the table `points`.

    A logged field has at T the value of its last change recorded by T; before its first change the value from before
    that change; and where it never changed, today's. A field that the company did not log yet at T is missing: what it
    was then cannot be told. A deal that was not yet made at T is unknown. Changes of a field are taken to have been
    written down in their order, as a CRM's log has them.

    Parameters
    ----------
    session : Session
        With the tables `logged`, `points`, `fx`, `stage_places`.
    late : frozenset of str
        Columns of deals that are filled in late; they are missing throughout.
    ended : bool
        The points are closings, where a field that is not logged counts as what it is today.
    """
    columns = session.columns("deals")
    custom = [c for c in columns if c.startswith("x_")]
    log = logged_since(session)
    rebuilt = [f for f in (*LOGGED_FIELDS, *custom) if f in log]
    fixed = [c.name for c in TABLES["deals"].columns if c.known == "creation" and c.name != "deal_id"]
    fixed = [c for c in (*fixed, *custom) if c not in rebuilt]
    unknown = [f for f in LOGGED_FIELDS if f not in (*fixed, *rebuilt)]
    values = [
        *(f'null::varchar as "{c}"' if c in late else f'd."{c}"' for c in fixed),
        *(f'd."{f}"::varchar as "{f}"' if ended else f'null::varchar as "{f}"' for f in unknown),
        *(_as_it_stood(f, {} if ended else log) for f in rebuilt),
    ]
    account = "null" if "account_id" in late else "d.account_id"
    last = "select * from last_known" if _made_quickly(session, rebuilt) else _last(rebuilt)
    query = f"""
        with last as ({last}), first as ({_first(rebuilt)}),
        joined as (
            select p.deal_id, p.as_of, {", ".join(values)}, last.stage_since,
                   {", ".join(f'a."{c}"' for c in _ACCOUNT_COLUMNS)}
            from points p
            left join deals d on d.deal_id = p.deal_id and d.created_at <= p.as_of
            left join last on last.deal_id = p.deal_id and last.as_of = p.as_of
            left join first on first.deal_id = p.deal_id
            left join stage_places here on here.stage = d.stage and here.pipeline = coalesce(d.pipeline, '*')
            left join {_FIRST_STAGES} beginning on beginning.pipeline = coalesce(d.pipeline, '*')
            left join accounts a on a.account_id = {account} and coalesce(a.created_at <= p.as_of, true)
        )
        select j.* exclude ({", ".join(_NUMBERS)}),
               try_cast(j.amount as double) * fx.rate as amount, j.list_amount::double * fx.rate as list_amount,
               try_cast(j.close_date as date) as close_date, j.annual_revenue::double as annual_revenue,
               j.employees::double as employees, s.place as stage_place
        from joined j
        left join fx on fx.currency = coalesce(j.currency, '') and j.as_of >= fx.valid_from and j.as_of < fx.valid_to
        left join stage_places s on s.stage = j.stage and s.pipeline = coalesce(j.pipeline, '*')
    """
    session.make("deal_state", query)
    session.drop("last_known")
    session.drop("last_fields")


def _made_quickly(session: Session, fields: list[str]) -> bool:
    """Make `last_known`, which has what `_last` has, from sorted changes; False where few rows or the engine say no."""
    if not fields or not better_sorted(session, "points"):
        return False
    changes = Events("logged", "deal_id", "known_at")
    found = latest(session.local, "points", "deal_id", changes, ("changed_at", "_seq"), sorted({*fields, "stage"}))
    session.keep("last_fields", found, "select * from last_fields")
    session.make(
        "last_known",
        "select p.deal_id, p.as_of, f.*, f.since_stage as stage_since from points p positional join last_fields f",
    )
    return True


def _as_it_stood(name: str, log: Mapping[str, datetime]) -> str:
    now = _STAGE_NOW if name == "stage" else f'd."{name}"::varchar'
    begins = f" or p.as_of < timestamptz '{log[name].isoformat()}'" if name in log and name in _STATE_FIELDS else ""
    return f"""case when d.deal_id is null{begins} then null
                    when last."n_{name}" > 0 then nullif(last."{name}", '')
                    when first."n_{name}" > 0 then nullif(first."{name}", '') else {now} end as "{name}" """


def _last(fields: list[str]) -> str:
    parts = [
        f"""arg_max(coalesce(c.new_value, ''), c.place) filter (where c.field = '{f}') as "{f}",
            count(*) filter (where c.field = '{f}') as "n_{f}" """
        for f in fields
    ]
    parts.append("max(c.known_at) filter (where c.field = 'stage') as stage_since")
    return (
        f"select p.deal_id, p.as_of, {', '.join(parts)} from points p join logged c "
        "on c.deal_id = p.deal_id and c.known_at <= p.as_of group by p.deal_id, p.as_of"
    )


def _first(fields: list[str]) -> str:
    parts = [
        f"""arg_min(coalesce(old_value, ''), place) filter (where field = '{f}') as "{f}",
            count(*) filter (where field = '{f}') as "n_{f}" """
        for f in fields
    ]
    return f"""select deal_id, {", ".join([*parts, "count(*) as n"])} from logged
               where deal_id in (select deal_id from points) group by deal_id"""
