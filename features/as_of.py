"""A deal as it stood at T: what was known at creation, and its logged fields rebuilt from the log."""

from __future__ import annotations

import duckdb

from crm.schema import LOGGED_FIELDS, TABLES

_ACCOUNT_COLUMNS = ("industry", "segment", "country", "region", "employees", "annual_revenue")


def attach_state(con: duckdb.DuckDBPyConnection, late: frozenset[str]) -> None:
    """Make the table `deal_state`: one row for each (deal_id, as_of) of the table `points`.

    A logged field has at T the value of its last change recorded by T; before its first change the value from before
    that change; and where it never changed, today's. A field that the company does not log is missing: its value at T
    cannot be told.

    Parameters
    ----------
    late : frozenset of str
        Columns of deals that are filled in late; they are missing throughout.
    """
    columns = [row[0] for row in con.sql("describe deals").fetchall()]
    custom = [c for c in columns if c.startswith("x_")]
    logged = {row[0] for row in con.sql("select distinct field from deal_changes").fetchall()}
    rebuilt = [f for f in (*LOGGED_FIELDS, *custom) if f in logged]
    fixed = [c.name for c in TABLES["deals"].columns if c.known == "creation" and c.name != "deal_id"]
    fixed += [c for c in custom if c not in logged]
    con.execute(
        "create or replace temp table logged as select deal_id, field, old_value, new_value, "
        "coalesce(recorded_at, changed_at) as known_at, (coalesce(recorded_at, changed_at), _seq) as place from deal_changes"
    )
    plain = ", ".join(_fixed_column(c, c in late) for c in fixed if c not in rebuilt)
    states = ", ".join(_column(f, f in rebuilt, f in custom) for f in dict.fromkeys([*_states(fixed), *rebuilt]))
    con.execute(f"""
        create or replace temp table deal_state as
        with last as ({_last(rebuilt)}), first as ({_first(rebuilt)}),
        joined as (
            select p.deal_id, p.as_of, {plain}, {states}, last.stage_since,
                   {", ".join(f'a."{c}"' for c in _ACCOUNT_COLUMNS)}
            from points p join deals d using (deal_id)
            left join last on last.deal_id = p.deal_id and last.as_of = p.as_of
            left join first on first.deal_id = p.deal_id
            left join accounts a on a.account_id = {"null" if "account_id" in late else "d.account_id"}
        )
        select j.* exclude (amount, list_amount, close_date, annual_revenue, employees),
               try_cast(j.amount as double) * fx.rate as amount, j.list_amount::double * fx.rate as list_amount,
               try_cast(j.close_date as date) as close_date, j.annual_revenue::double as annual_revenue,
               j.employees::double as employees, s.place as stage_place
        from joined j
        left join fx on fx.currency = coalesce(j.currency, '') and j.as_of >= fx.valid_from and j.as_of < fx.valid_to
        left join stage_places s on s.stage = j.stage and s.pipeline = coalesce(j.pipeline, '*')
    """)


def _states(fixed: list[str]) -> list[str]:
    """Logged fields that are not known at creation: missing unless they are logged."""
    return [f for f in LOGGED_FIELDS if f not in fixed]


def _fixed_column(name: str, late: bool) -> str:
    return f'null::varchar as "{name}"' if late and name != "list_amount" else f'd."{name}"'


def _column(name: str, rebuilt: bool, custom: bool) -> str:
    if not rebuilt:
        return f'null::varchar as "{name}"'
    now = f'd."{name}"' if custom else f'd."{name}"::varchar'
    then = f"""case when last."n_{name}" > 0 then nullif(last."{name}", '')
                    when first."n_{name}" > 0 then nullif(first."{name}", '') else {now}::varchar end"""
    return f'{then} as "{name}"'


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
    return f"select deal_id, {', '.join([*parts, 'count(*) as n'])} from logged group by deal_id"
