"""A company of any size with ten changes and thirty activities a deal, written down by DuckDB in seconds."""

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import TableView, connect

STAGES = ["Qualify", "Demo", "Quote", "Terms"]
COMPANY = Company.parse({"base_currency": "EUR", "stages": {"*": STAGES}})
FIRST, LAST = datetime(2023, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
_DAYS = (LAST - FIRST).days

# Two uniform numbers a row, from hashes, so that rows are the same on every machine.
_U = "(hash({0}, {1}) % 1000003) / 1000003.0"


def big_company(deals: int) -> TableView:
    """Deals over three years, open for twelve weeks on average; their log and their contacts while they were open."""
    with connect() as con:
        con.execute(f"""
            create table base as
            select i,
                   timestamptz '{FIRST}' + to_microseconds(({_U.format("i", 1)} * {_DAYS} * 86400e6)::bigint) as made,
                   (-84 * ln({_U.format("i", 2)} + 1e-6))::double as lasts, {_U.format("i", 3)} as luck
            from range({deals}) t(i)""")
        con.execute("create view ended as select *, made + to_seconds(lasts * 86400) as ends from base")
        tables = {
            "reps": f"""
                select 'r' || i as rep_id, date '2022-01-01' as hired_on from range({max(deals // 200, 5)}) t(i)""",
            "accounts": f"""
                select 'a' || i as account_id, 'segment ' || i % 4 as segment, timestamptz '{FIRST}' as created_at
                from range({deals // 4}) t(i)""",
            "contacts": f"""
                select 'c' || i as contact_id, 'a' || i % {deals // 4} as account_id,
                       ['staff', 'manager', 'director', 'vp', 'c-level'][1 + i % 5] as seniority
                from range({deals}) t(i)""",
            "deals": f"""
                select 'd' || i as deal_id, 'a' || i % {deals // 4} as account_id,
                       'r' || i % {max(deals // 200, 5)} as owner_id, 'new' as kind, 'source ' || i % 5 as source,
                       (1000 + luck * 90000)::decimal(18, 2) as amount, '{STAGES[-1]}' as stage, made as created_at,
                       (ends + to_days(10))::date as close_date,
                       case when ends < timestamptz '{LAST}' then ends end as closed_at,
                       case when ends >= timestamptz '{LAST}' then 'open'
                            when luck < .3 then 'won' else 'lost' end as outcome
                from ended""",
            "deal_changes": f"""
                select 'd' || i as deal_id, made + to_seconds(lasts * 86400 * {_U.format("i", "10 + k")}) as changed_at,
                       ['stage', 'close_date', 'amount'][1 + k % 3] as field,
                       case k % 3 when 0 then ['Qualify', 'Demo', 'Quote'][1 + k // 3 % 3]
                                  when 1 then (made::date + k::int)::varchar
                                  else (1000 + k)::varchar end as old_value,
                       case k % 3 when 0 then ['Demo', 'Quote', 'Terms'][1 + k // 3 % 3]
                                  when 1 then (made::date + 2 * k::int)::varchar
                                  else (1000 + k * 3)::varchar end as new_value
                from ended, range(10) t(k)""",
            "activities": f"""
                select i || '-' || k as activity_id,
                       made + to_seconds(lasts * 86400 * {_U.format("i", "100 + k")}) as occurred_at,
                       ['email', 'email', 'call', 'meeting', 'note'][1 + k % 5] as kind,
                       case when k % 3 = 0 then 'in' else 'out' end as direction,
                       'd' || i as deal_id, 'a' || i % {deals // 4} as account_id,
                       'c' || (i + k % 2 * {deals // 4}) % {deals} as contact_id,
                       'r' || i % {max(deals // 200, 5)} as rep_id
                from ended, range(30) t(k)""",
        }
        return TableView({name: con.sql(query).to_arrow_table() for name, query in tables.items()})


def weekly(view: TableView) -> pd.DataFrame:
    """Each deal at each Sunday while it was open."""
    with connect() as con:
        con.register("d", view.arrow("deals"))
        found = con.sql(f"""
            with weeks as (
                select unnest(generate_series(timestamptz '{FIRST}', timestamptz '{LAST}', interval 7 days)) as as_of
            )
            select d.deal_id, w.as_of from d join weeks w
            on d.created_at <= w.as_of and (d.outcome = 'open' or d.closed_at > w.as_of)""").to_arrow_table()
    moments = pd.Series(found["as_of"].cast(pa.timestamp("us")).to_numpy()).dt.tz_localize("UTC")
    return pd.DataFrame({"deal_id": pd.Series(found["deal_id"].to_pylist(), dtype=object), "as_of": moments})
