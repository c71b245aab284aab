"""What is wrong or thin in a company's data, and what that costs the forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from crm.company import Company
from crm.duplicates import duplicate_names
from crm.errors import NotReady
from crm.lake import View, connect, newest_event
from crm.money import attach_rates
from crm.quality_checks import Check, checks
from crm.schema import TABLES
from crm.stages import ANY

_MIN_DEALS = 30
_MIN_GAP = 0.1
_MIN_OPEN_SHARE = 0.9
_EXAMPLES = 5
_COSTLY_FIRST = (
    "late_filled closed_without_time no_changes closed_before_created currency_without_rate won_without_amount "
    "unknown_stage field_not_logged open_with_close_time overdue future dangling_key unknown_owner duplicate "
    "change_after_close midnight no_recorded_at"
).split()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or thin in the data.

    Parameters
    ----------
    kind : str
        Which check found it, such as `overdue`.
    table, column : str
        Where; no column where the whole table is meant.
    rows : int
        How many rows are touched.
    examples : tuple of str
        Up to five keys (or values) to look at, sorted.
    text, cost, mend : str
        What was found, what it costs the forecasts, and what to do; a sentence each.
    """

    kind: str
    table: str
    column: str | None
    rows: int
    examples: tuple[str, ...]
    text: str
    cost: str
    mend: str


def findings(view: View, company: Company, *, now: datetime | None = None) -> list[Finding]:
    """Everything wrong or thin in a company's data, the kinds that cost forecasts most first.

    Parameters
    ----------
    view : View
        The data. Nothing is looked for in tables that are not present.
    company : Company
        Base currency, time zone and stages.
    now : datetime, optional
        The wall clock, beyond which times lie in the future.
    """
    now = now or datetime.now(UTC)
    try:
        today = min(newest_event(view), now)
    except NotReady:
        today = now
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        for name, value in {"now": now, "today": today, "zone": company.time_zone}.items():
            con.execute(f"set variable {name} = $value", {"value": value})
        found = [f for check in checks(view.present, company.base_currency) if (f := _run(con, check))]
        found += [*_late(con, view), *_unknown_stages(con, company), *_duplicates(con)]
    return sorted(found, key=lambda f: (_COSTLY_FIRST.index(f.kind), -f.rows, f.table, f.column or ""))


def _run(con: duckdb.DuckDBPyConnection, check: Check) -> Finding | None:
    rows, examples = con.sql(
        f"select count(*), min(distinct example::varchar, {_EXAMPLES}) from ({check.sql})"
    ).fetchall()[0]
    if not rows:
        return None
    text = check.text.format(rows=f"{rows:,}") + "."
    where = (check.kind, check.table, check.column)
    return Finding(*where, rows, tuple(examples), text, check.cost + ".", check.mend + ".")


def _late(con: duckdb.DuckDBPyConnection, view: View) -> Iterator[Finding]:
    for column in sorted(late_filled(view)):
        in_open, in_closed, rows, examples = con.sql(
            f"select avg((\"{column}\" is not null)::int) filter (outcome = 'open'), "
            f"avg((\"{column}\" is not null)::int) filter (outcome <> 'open'), "
            f"count(\"{column}\") filter (outcome <> 'open'), "
            f"min(deal_id, {_EXAMPLES}) filter (outcome <> 'open' and \"{column}\" is not null) from deals"
        ).fetchall()[0]
        yield Finding(
            "late_filled",
            "deals",
            column,
            rows,
            tuple(examples),
            f"{column} is filled in {in_closed:.0%} of closed deals but {in_open:.0%} of open ones.",
            "It is filled in around the closing, so it would give the outcome away; models do without it.",
            f"Log changes of {column} in deal_changes, or have it filled in when the deal is opened.",
        )


def _unknown_stages(con: duckdb.DuckDBPyConnection, company: Company) -> Iterator[Finding]:
    if not company.stages:
        return
    known = [(p, s) for p, stages in company.stages.items() for s in stages]
    con.execute("create or replace temp table known_stages(pipeline varchar, stage varchar)")
    con.executemany("insert into known_stages values (?, ?)", [list(pair) for pair in known])
    rows, examples, names = con.sql(
        f"select count(*), min(deal_id, {_EXAMPLES}), min(distinct stage, {_EXAMPLES}) from deals d "
        "where outcome = 'open' and not exists (select 1 from known_stages k where k.stage = d.stage and k.pipeline = "
        f"case when d.pipeline in (select pipeline from known_stages) then d.pipeline else '{ANY}' end)"
    ).fetchall()[0]
    if rows:
        yield Finding(
            "unknown_stage",
            "deals",
            "stage",
            rows,
            tuple(examples),
            f"{rows:,} open deals are in a stage that company.yaml does not list: {', '.join(names)}.",
            "Their place in the sales process is not known, which widens their forecasts.",
            "Add the stages to company.yaml, or map them to listed ones.",
        )


def _duplicates(con: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    rows = con.sql("select account_id, name from accounts where name is not null").fetchall()
    pairs = duplicate_names([row[0] for row in rows], [row[1] for row in rows])
    if pairs:
        yield Finding(
            "duplicate",
            "accounts",
            "name",
            len(pairs),
            tuple(f"{low} = {high}" for low, high in pairs[:_EXAMPLES]),
            f"{len(pairs):,} accounts seem to stand twice in the data.",
            "A customer's history is split, so silence and churn look worse than they are.",
            "Merge the doubles in the CRM.",
        )


def late_filled(view: View) -> frozenset[str]:
    """Columns of deals that are empty (nearly) only where a deal has not closed, so that being filled tells the end.

    A column counts where it is filled clearly more often in closed deals than in open ones, and nine of ten gaps stand
    in open deals. Features treat it as not known.
    """
    if "deals" not in view.present:
        return frozenset()
    with connect() as con:
        view.attach(con)
        given = [row[0] for row in con.sql("describe deals").fetchall()]
        fixed = [c.name for c in TABLES["deals"].columns if c.known == "creation" and not c.required]
        columns = [c for c in given if c in fixed or c.startswith("x_")]
        counts = ", ".join(
            f"count(\"{c}\") filter (outcome = 'open'), count(\"{c}\") filter (outcome <> 'open')" for c in columns
        )
        row = con.sql(
            f"select count(*) filter (outcome = 'open'), count(*) filter (outcome <> 'open'), {counts} from deals"
        ).fetchall()[0]
    open_, closed, *filled = row
    if min(open_, closed) < _MIN_DEALS:
        return frozenset()
    pairs = zip(columns, filled[::2], filled[1::2], strict=True)
    return frozenset(name for name, in_open, in_closed in pairs if _tells_the_end(open_, in_open, closed, in_closed))


def _tells_the_end(open_: int, in_open: int, closed: int, in_closed: int) -> bool:
    gaps_open, gaps_closed = open_ - in_open, closed - in_closed
    gap = in_closed / closed - in_open / open_
    return gap >= _MIN_GAP and gaps_open >= _MIN_OPEN_SHARE * (gaps_open + gaps_closed)
