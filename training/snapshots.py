"""What was known of each open deal on past days, week by week, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import LakeView, View, connect
from features.build import build, open_deals
from features.online import Online
from training.weeks import Weeks, kept_weeks

MAX_ROWS = 250_000
_MONDAY = pd.Timestamp("1970-01-05", tz="UTC")
_DIGITS = 10
_BLOCK = 13  # dates that are worked out together: one alone costs nearly as much
Progress = Callable[[str, float], None]
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
    select $until as as_of
    union
    select unnest(generate_series($last, greatest((select day from first), $earliest), -to_days($cadence)))
)
select
    d.deal_id, grid.as_of,
    case when d.outcome <> 'open' and d.closed_at <= $until then d.closed_at end as _closed_at,
    case when d.outcome <> 'open' and d.closed_at <= $until then d.outcome else 'open' end as _outcome
from grid join d on d.created_at <= grid.as_of and (d.outcome = 'open' or d.closed_at > grid.as_of)
where grid.as_of >= (select day from first)
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
    progress: Progress | None = None,
) -> pd.DataFrame:
    """One row a deal and date, while the deal was open: on Mondays (0:00 UTC), and at `until`.

    Parameters
    ----------
    until : datetime, UTC
        Last date; outcomes known only later are hidden: such deals count as open.
    folder : Path, optional
        Where dates are kept, a file each, so that the next run works out new ones and those that a newer data cut may
        have changed (`training.changed`); only views of a lake have a cut. Outcomes are not kept, so they need no
        writing anew.
    cadence_days : int
        Days between dates, counted from a Monday.
    max_rows : int
        More rows than this are thinned evenly, except those of the last date.
    progress : callable, optional
        Told in words what is being done, and the share done.

    Returns
    -------
    pd.DataFrame
        `deal_id`, `as_of`, one column a feature (numbers to ten digits), `_closed_at` (missing while open), `_outcome`
        ('won', 'lost', 'open'), `_observed_until`. Deals that ended at an unknown time are left out, and so are dates
        before the first closing on record.
    """
    spine = _thinned(_spine(view, until, cadence_days), max_rows)
    keeping = (
        kept_weeks(Path(folder), view, company, cadence_days)
        if folder is not None and isinstance(view, LakeView)
        else nullcontext()
    )
    with keeping as kept:
        table = _described(view, company, spine, cadence_days, kept, progress or _silent)
    for name in ("_closed_at", "_outcome"):
        table[name] = spine[name].to_numpy() if name == "_outcome" else spine[name].array
    table["_observed_until"] = pd.Series(pd.Timestamp(until), index=table.index).astype("datetime64[us, UTC]")
    return table.astype({"deal_id": "object", "_outcome": "object"})


def open_snapshots(view: View, company: Company, *, as_of: datetime) -> pd.DataFrame:
    """The deals open at a moment with their features: what is scored."""
    spine = open_deals(view, pd.Timestamp(as_of))
    return build(view, spine, "deal", company=company)


def _spine(view: View, until: datetime, cadence_days: int) -> pd.DataFrame:
    step = pd.Timedelta(days=cadence_days)
    last = _MONDAY + (pd.Timestamp(until) - _MONDAY) // step * step
    values = {
        "until": until,
        "last": last.to_pydatetime(),
        "cadence": cadence_days,
        "earliest": _MONDAY.to_pydatetime(),
    }
    with connect() as con:
        view.attach(con)
        spine = con.execute(_SPINE, values).df()
    for name in ("as_of", "_closed_at"):
        spine[name] = pd.to_datetime(spine[name], utc=True).astype("datetime64[us, UTC]")
    return spine.astype({"deal_id": "object", "_outcome": "object"})


def _thinned(spine: pd.DataFrame, max_rows: int) -> pd.DataFrame:
    """Rows of the last date and, up to so many, those older ones whose hash is least: of more rows the same first."""
    older = (spine["as_of"] != spine["as_of"].max()).to_numpy()
    room = max_rows - int((~older).sum())
    if len(spine) <= max_rows or room <= 0:
        return spine
    names = spine["deal_id"] + spine["as_of"].dt.strftime(" %Y%m%d%H")
    place = pd.util.hash_array(names.to_numpy(object)).astype(np.float64)
    keep = ~older
    keep[np.flatnonzero(older)[np.argsort(place[older], kind="stable")[:room]]] = True
    return spine[keep].reset_index(drop=True)


def _described(
    view: View, company: Company, spine: pd.DataFrame, cadence_days: int, kept: Weeks | None, say: Progress
) -> pd.DataFrame:
    """Features of the rows in their order, from kept dates and from blocks of dates worked out now."""
    if not len(spine):
        return build(view, spine[["deal_id", "as_of"]], "deal", company=company)
    weeks = dict(iter(spine.groupby("as_of", sort=True)["deal_id"]))
    found = _read(kept, weeks) if kept else {}
    blocks = _blocks([week for week in weeks if week not in found], cadence_days)
    with ExitStack() as stack:
        online = stack.enter_context(Online(view, company)) if blocks else None
        for done, block in enumerate(blocks):
            say(f"Snapshots of {block[0]:%Y-%m-%d} to {block[-1]:%Y-%m-%d}", done / len(blocks))
            assert online is not None
            rows = spine.loc[spine["as_of"].isin(block), ["deal_id", "as_of"]].reset_index(drop=True)
            made = _by_week(online.describe(rows))
            if kept and _place(block[0], cadence_days) is not None:
                kept.keep(made)
            found |= made
    return _joined([found[week] for week in weeks])


def _read(kept: Weeks, weeks: Mapping[pd.Timestamp, pd.Series]) -> dict[pd.Timestamp, pa.Table]:
    """Kept dates that have all rows asked for; of a thinned date these may be fewer than were kept."""
    found = {}
    for week, deals in weeks.items():
        table = kept.read(week)
        if table is not None:
            places = pd.Index(table["deal_id"].to_pylist()).get_indexer(pd.Index(deals))
            if (places >= 0).all():
                found[week] = table.take(places)
    return found


def _blocks(weeks: Iterable[pd.Timestamp], cadence_days: int) -> list[list[pd.Timestamp]]:
    blocks: dict[int | None, list[pd.Timestamp]] = {}
    for week in weeks:
        place = _place(week, cadence_days)
        blocks.setdefault(None if place is None else place // _BLOCK, []).append(week)
    return list(blocks.values())


def _place(date: pd.Timestamp, cadence_days: int) -> int | None:
    """Which of the regular dates it is; None for any other moment."""
    place, rest = divmod(date - _MONDAY, pd.Timedelta(days=cadence_days))
    return None if rest else int(place)


def _by_week(table: pd.DataFrame) -> dict[pd.Timestamp, pa.Table]:
    columns = {"deal_id": pa.array(table["deal_id"], pa.string())}
    columns["as_of"] = pa.array(table["as_of"].dt.tz_convert(None).to_numpy("datetime64[us]"))
    for name in table.columns[2:]:
        values = table[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            columns[name] = pa.array(values.astype(object).where(values.notna(), None), pa.string())
        else:
            columns[name] = pa.array(_rounded(values.to_numpy(np.float64)))
    rows = pa.table(columns)
    places = table.groupby("as_of", sort=True).indices
    return {pd.Timestamp(week): rows.take(place) for week, place in places.items()}


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ten digits of each value: sums of floats may be added up in another order, which must not show."""
    known = np.isfinite(values) & (values != 0)
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.abs(values, where=known, out=np.ones_like(values)))))
    return np.where(known, np.round(values * scale) / scale, values)


def _joined(tables: list[pa.Table]) -> pd.DataFrame:
    """Dates below each other, in the types that `features.build.build` gives."""
    rows = pa.concat_tables(tables)
    columns: dict[str, pd.Series] = {}
    for field in rows.schema:
        values = rows[field.name].to_pandas()
        if field.name == "deal_id":
            columns[field.name] = values.astype(object)
        elif field.name == "as_of":
            columns[field.name] = values.astype("datetime64[us]").dt.tz_localize("UTC")
        elif pa.types.is_string(field.type):
            levels = pd.Index(sorted(values.dropna().unique()))
            columns[field.name] = pd.Series(pd.Categorical(values, categories=levels))
        else:
            columns[field.name] = values
    return pd.DataFrame(columns)


def _silent(_text: str, _done: float) -> None:
    return
