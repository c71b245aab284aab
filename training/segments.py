"""Parts of the deals by which forecasts are judged apart: stage, kind, size, customer segment, team."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm.lake import View

SEGMENTS = ("stage", "kind", "size", "segment", "team")
GATE_SEGMENTS = ("team", "product", "size", "tenure", "fte")
_SIZES = np.array(["small", "middle", "large"], dtype=object)
_TENURE_DAYS, _TENURES = (182.0, 730.0), np.array(["under half a year", "to two years", "over two years"], dtype=object)


def deal_segments(deals: pd.DataFrame, teams: pd.Series | None = None) -> pd.DataFrame:
    """Segments of deals, same index: missing where not known.

    Parameters
    ----------
    deals : shape (n, p)
        Snapshots of one date. `size` is the third of that date's amounts that a deal's amount falls in.
    teams : shape (n,), optional
        Team of each deal's owner, as `team_of` gives it.
    """
    found = pd.DataFrame(index=deals.index)
    for name in ("stage", "kind", "segment"):
        found[name] = deals[name].astype(object) if name in deals else None
    found["size"] = _sizes(deals)
    found["team"] = None if teams is None else teams
    return found[list(SEGMENTS)]


def gate_segments(view: View, deals: pd.DataFrame) -> dict[str, pd.Series]:
    """Segments that the gate looks at, each with the index of deals, shape (n, p): missing where not known.

    Tenure is that on the row's day; of the working time only today's is on record.
    """
    product = deals["product_id"].astype(object) if "product_id" in deals else _nothing(deals)
    found = (team_of(view, deals), product, _sizes(deals), _tenures(deals), _working_time(view, deals))
    return dict(zip(GATE_SEGMENTS, found, strict=True))


def _nothing(deals: pd.DataFrame) -> pd.Series:
    return pd.Series(None, index=deals.index, dtype=object)


def _tenures(deals: pd.DataFrame) -> pd.Series:
    found = _nothing(deals)
    if "owner_tenure_days" not in deals:
        return found
    days = pd.to_numeric(deals["owner_tenure_days"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(days)
    found[known] = _TENURES[np.searchsorted(_TENURE_DAYS, days[known], side="right")]
    return found


def _working_time(view: View, deals: pd.DataFrame) -> pd.Series:
    if "owner_id" not in deals or "reps" not in view.present:
        return _nothing(deals)
    reps = view.arrow("reps").to_pandas().drop_duplicates("rep_id").set_index("rep_id")
    if "fte" not in reps:
        return _nothing(deals)
    share = deals["owner_id"].astype(object).map(pd.to_numeric(reps["fte"], errors="coerce"))
    names = pd.Series(np.where(share >= 1, "full time", "part time"), index=deals.index, dtype=object)
    return names.where(share.notna(), None)


def team_of(view: View, deals: pd.DataFrame) -> pd.Series:
    """Team of each deal's owner on the row's day, same index; today's where no past team is on record."""
    empty = pd.Series(None, index=deals.index, dtype=object)
    if "owner_id" not in deals or "reps" not in view.present:
        return empty
    owner = deals["owner_id"].astype(object)
    reps = view.arrow("reps").select(["rep_id", "team_id"]).to_pandas().drop_duplicates("rep_id").set_index("rep_id")
    found = owner.map(reps["team_id"].astype(object))
    if "team_memberships" not in view.present:
        return found
    past = view.arrow("team_memberships").to_pandas()
    rows = pd.DataFrame({"row": np.arange(len(deals)), "rep_id": owner.to_numpy(), "day": _day(deals["as_of"])})
    joined = rows.merge(past, on="rep_id")
    begun = pd.to_datetime(joined["valid_from"]) <= joined["day"]
    ends = pd.to_datetime(joined["valid_to"])
    then = joined[begun & (ends.isna() | (ends > joined["day"]))].drop_duplicates("row", keep="last")
    found.iloc[then["row"].to_numpy()] = then["team_id"].to_numpy(object)
    return found


def _day(as_of: pd.Series) -> pd.Series:
    return pd.Series(as_of.dt.tz_convert(None).dt.normalize().to_numpy("datetime64[us]"))


def _sizes(deals: pd.DataFrame) -> pd.Series:
    amount = pd.to_numeric(deals["amount"], errors="coerce") if "amount" in deals else pd.Series(np.nan, deals.index)
    values = amount.to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(values)
    found = np.full(len(deals), None, dtype=object)
    if known.any() and values[known].min() < values[known].max():
        edges = np.quantile(values[known], [1 / 3, 2 / 3])
        found[known] = _SIZES[np.searchsorted(edges, values[known], side="left")]
    return pd.Series(found, index=deals.index, dtype=object)
