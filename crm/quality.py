"""What is wrong or thin in a company's data, and what that costs the forecasts."""

from __future__ import annotations

from crm.lake import View, connect
from crm.schema import TABLES

_MIN_DEALS = 30
_MIN_GAP = 0.1
_MIN_OPEN_SHARE = 0.9


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
