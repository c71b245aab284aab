"""What was known of each open deal on past days, week by week, and what came of it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

import pandas as pd

from crm.company import Company
from crm.lake import LakeView, View, connect
from features.build import build, open_deals
from features.definitions import definition_hash, definitions

MAX_ROWS = 250_000
_SPINE = """
with d as (
    select deal_id, created_at, closed_at, outcome from deals
    where created_at <= $until and (outcome = 'open' or closed_at is not null)
),
first as (
    -- Before the first closing on record only deals that lived until then are there: their days would look too safe.
    select coalesce(min(closed_at) filter (where outcome <> 'open' and closed_at <= $until), min(created_at)) as day
    from d
),
grid as (
    select unnest(generate_series($until, greatest((select day from first), $earliest), -to_days($cadence))) as as_of
)
select
    d.deal_id, grid.as_of,
    case when d.outcome <> 'open' and d.closed_at <= $until then d.closed_at end as _closed_at,
    case when d.outcome <> 'open' and d.closed_at <= $until then d.outcome else 'open' end as _outcome
from grid join d on d.created_at <= grid.as_of and (d.outcome = 'open' or d.closed_at > grid.as_of)
order by grid.as_of, d.deal_id
"""


def deal_snapshots(
    view: View,
    company: Company,
    *,
    until: datetime,
    folder: Path | None = None,
    cadence_days: int = 7,
    max_rows: int = MAX_ROWS,
) -> pd.DataFrame:
    """One row a deal and date, counted back from `until`, while the deal was open.

    Parameters
    ----------
    until : datetime, UTC
        Last date; outcomes known only later are hidden: such deals count as open.
    folder : Path, optional
        Where tables are kept, by data cut, date and definition of the features; only views of a lake have a cut.
    cadence_days : int
        Days between dates.
    max_rows : int
        More rows than this are thinned evenly, except those of the last date.

    Returns
    -------
    pd.DataFrame
        `deal_id`, `as_of`, one column a feature, `_closed_at` (missing while open), `_outcome` ('won', 'lost',
        'open'), `_observed_until`. Deals that ended at an unknown time are left out, and so are dates before the first
        closing on record.
    """
    kept = _cache_path(view, company, until, folder, cadence_days, max_rows)
    if kept is not None and kept.exists():
        return _plain(pd.read_parquet(kept))
    spine = _thinned(_spine(view, until, cadence_days), max_rows)
    table = build(view, spine[["deal_id", "as_of"]], "deal", company=company)
    table = table.reset_index(drop=True)
    for name in ("_closed_at", "_outcome"):
        table[name] = spine[name].to_numpy() if name == "_outcome" else spine[name].array
    table["_observed_until"] = pd.Series(pd.Timestamp(until), index=table.index).astype("datetime64[us, UTC]")
    if kept is not None:
        _keep(table, kept)
    return _plain(table)


def open_snapshots(view: View, company: Company, *, as_of: datetime) -> pd.DataFrame:
    """The deals open at a moment with their features: what is scored."""
    spine = open_deals(view, pd.Timestamp(as_of))
    return build(view, spine, "deal", company=company)


def _spine(view: View, until: datetime, cadence_days: int) -> pd.DataFrame:
    values = {"until": until, "cadence": cadence_days, "earliest": pd.Timestamp("1970-01-01", tz="UTC").to_pydatetime()}
    with connect() as con:
        view.attach(con)
        spine = con.execute(_SPINE, values).df()
    for name in ("as_of", "_closed_at"):
        spine[name] = pd.to_datetime(spine[name], utc=True).astype("datetime64[us, UTC]")
    spine["_outcome"] = spine["_outcome"].astype("object")
    return spine


def _thinned(spine: pd.DataFrame, max_rows: int) -> pd.DataFrame:
    newest = spine["as_of"] == spine["as_of"].max()
    room = max_rows - int(newest.sum())
    if len(spine) <= max_rows or room <= 0:
        return spine
    older = spine[~newest].sample(room, random_state=0)
    return pd.concat([older, spine[newest]]).sort_index().reset_index(drop=True)


def _cache_path(
    view: View, company: Company, until: datetime, folder: Path | None, cadence_days: int, max_rows: int
) -> Path | None:
    if folder is None or not isinstance(view, LakeView):
        return None
    said = {
        "tables": view.cut.tables,
        "until": until.isoformat(),
        "cadence": cadence_days,
        "max_rows": max_rows,
        "company": company.model_dump(mode="json"),
        "definition": definition_hash(definitions(["deal"], company)),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:24]
    return Path(folder) / f"deals-{digest}.parquet"


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The same types whether just made or read again."""
    return table.astype({"deal_id": "object", "_outcome": "object"})


def _keep(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{id(table)}.part")
    table.to_parquet(part, index=False)
    part.replace(path)
