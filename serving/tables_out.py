"""Tables for other tools: features, scores and snapshots as files, and a DuckDB file with documented views."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import duckdb
import pandas as pd

from crm.company import Company
from crm.errors import BadInput
from crm.lake import LakeView, connect, newest_event
from features.build import build
from features.catalogue import Entity
from serving.exports import safe
from serving.home import Home
from serving.scores import NoScores, ScoreBook
from training.snapshots import deal_snapshots, open_snapshots

Say = Callable[[str], None]

VIEWS = MappingProxyType(
    {
        "open_pipeline": (
            "Deals open now, with account and owner, their age in days and days since the last activity.",
            """
            select d.deal_id, d.name, d.account_id, d.owner_id, r.team_id, d.stage, d.forecast_category, d.amount,
                   d.currency, d.close_date, date_diff('day', d.created_at, c.as_of) as age_days,
                   date_diff('day', a.last_at, c.as_of) as days_silent
            from deals d cross join cut c left join reps r on r.rep_id = d.owner_id
            left join (select deal_id, max(occurred_at) as last_at from activities group by deal_id) a
                   on a.deal_id = d.deal_id
            where d.outcome = 'open'
            """,
        ),
        "win_rate_by_stage": (
            "Of the deals that ever stood in a stage and have ended: how many, and what share of them was won.",
            """
            with stood as (
                select deal_id, new_value as stage from deal_changes where field = 'stage'
                union select deal_id, old_value from deal_changes where field = 'stage'
                union select deal_id, stage from deals
            )
            select s.stage, count(*) as deals, avg((d.outcome = 'won')::int) as won_share
            from stood s join deals d using (deal_id) where d.outcome <> 'open' and s.stage is not null group by s.stage
            """,
        ),
        "bookings_by_month": (
            "Won deals and their amount by month of the close (UTC), owner and currency; amounts as they were booked.",
            """
            select date_trunc('month', closed_at)::date as month, owner_id, currency, count(*) as won_deals,
                   sum(amount) as bookings
            from deals where outcome = 'won' and kind is distinct from 'lead' group by all
            """,
        ),
        "stage_history": (
            "Every stage of every deal with the moments it was entered and left (missing: it stands there still).",
            """
            select deal_id, new_value as stage, changed_at as entered_at,
                   lead(changed_at) over (partition by deal_id order by changed_at, _seq) as left_at
            from deal_changes where field = 'stage'
            """,
        ),
        "activity_by_week": (
            "Activities by week (Monday), owner and kind.",
            """
            select date_trunc('week', occurred_at)::date as week, rep_id, kind, count(*) as activities
            from activities group by all
            """,
        ),
    }
)
"""Views of the DuckDB file beside the canonical tables: what each says, and its SQL."""


class FileThere(BadInput):
    """The file to be written is there already and is none of ours."""


def export(
    home: Home, part: str, out: Path, *, form: str = "parquet", as_of: datetime | None = None, say: Say = lambda _: None
) -> dict[Path, int]:
    """Write tables of a home for other tools.

    Parameters
    ----------
    part : {'features', 'scores', 'snapshots', 'sql'}
        `features` as of a moment, the newest `scores` without figures on persons that the company does not show, weekly
        `snapshots` of deals with what came of them, or a DuckDB file with views.
    out : Path
        Folder; for 'sql' the file, which is written anew.
    form : {'parquet', 'csv'}
        Format of the files.
    as_of : datetime, optional
        Moment of features and end of snapshots; unset: the newest event.

    Returns
    -------
    dict of Path to int
        Rows by file; for 'sql' the number of views.
    """
    view, company = home.lake.view(), home.company()
    if part == "sql":
        return {out: write_sql(view, out)}
    if part == "scores":
        tables = _scores(home, company)
    else:
        at = as_of or newest_event(view)
        say(f"{part} as of {at:%Y-%m-%d %H:%M}")
        tables = _features(view, company, at) if part == "features" else _snapshots(home, view, company, at)
    out.mkdir(parents=True, exist_ok=True)
    return {_write(out / f"{name}.{form}", table): len(table) for name, table in tables.items()}


def write_sql(view: LakeView, file: Path) -> int:
    """Write a DuckDB file with a view a canonical table and those of `VIEWS`; gives their number.

    The views read the lake's files of this data cut; a newer one needs a new file.

    Raises
    ------
    FileThere
        If there is such a file that is no DuckDB database.
    """
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    if file.exists() and not _is_duckdb(file):
        raise FileThere(f"{file} is there already and is no DuckDB file. Name another: --out company.duckdb.")
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(part)) as con:
        names = view.keep(con)
        con.execute(
            f"create view cut as select {view.cut.number} as data_cut, timestamptz '{newest_event(view)}' as as_of"
        )
        for name, (says, sql) in VIEWS.items():
            con.execute(f"create view {name} as {sql}")
            con.execute(f"comment on view {name} is '{says.replace(chr(39), chr(39) * 2)}'")
    part.replace(file)
    return len(names) + len(VIEWS) + 1


def _is_duckdb(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(12)[8:] == b"DUCK"


def _features(view: LakeView, company: Company, at: datetime) -> dict[str, pd.DataFrame]:
    found = {"features_deals": open_snapshots(view, company, as_of=at)}
    spines: tuple[tuple[str, Entity, str], ...] = (
        ("features_reps", "rep", "select rep_id as key from reps where left_on is null or left_on > $at"),
        ("features_accounts", "account", "select account_id as key from accounts"),
    )
    for name, entity, sql in spines:
        keys = _keys(view, sql, at)
        if len(keys):
            moment = pd.Series(pd.Timestamp(at), index=keys.index).astype("datetime64[us, UTC]")
            spine = pd.DataFrame({f"{entity}_id": keys.astype(object), "as_of": moment})
            found[name] = build(view, spine, entity, company=company)
    return found


def _keys(view: LakeView, sql: str, at: datetime) -> pd.Series:
    with connect() as con:
        view.attach(con)
        found: pd.Series = con.execute(f"{sql} order by key", {"at": at} if "$at" in sql else {}).df()["key"]
    return found


def _snapshots(home: Home, view: LakeView, company: Company, at: datetime) -> dict[str, pd.DataFrame]:
    rows = deal_snapshots(view, company, until=at, folder=home.snapshots)
    return {"snapshots": rows.rename(columns=lambda name: str(name).removeprefix("_"))}


def _scores(home: Home, company: Company) -> dict[str, pd.DataFrame]:
    found = ScoreBook(home.scores, home.lake).newest(company)
    if not found.mark:
        raise NoScores
    return dict(found.seen_at_machine(company.people).frames)


def _write(path: Path, table: pd.DataFrame) -> Path:
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
        return path
    texts = [c for c in table if not pd.api.types.is_numeric_dtype(table[c]) and not _is_time(table[c])]
    # A spreadsheet runs what begins like a formula.
    safer = {c: table[c].astype(object).map(lambda v: safe(v) if isinstance(v, str) else v) for c in texts}
    table.assign(**safer).to_csv(path, index=False, quoting=csv.QUOTE_MINIMAL, date_format="%Y-%m-%dT%H:%M:%SZ")
    return path


def _is_time(values: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(values.dtype))
