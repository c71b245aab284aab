"""What persons did in the last seven days, by kind, against each one's own usual week."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import numpy as np
import pandas as pd

from crm.lake import View, connect

KINDS = {"call": "calls", "email": "emails", "meeting": "meetings", "demo": "meetings", "visit": "meetings"}
GROUPS = ("calls", "emails", "meetings")
WEEKS = 12  # before the last one
LEAST_WEEKS = 4  # from which on there is a usual week

_DONE = """
select rep_id, kind, cast(floor(date_diff('second', occurred_at, $now) / 604800) as int) as ago, count(*) as done
from activities
where rep_id in (select unnest($reps)) and occurred_at <= $now and occurred_at > $now - to_days($days)
group by all
"""
_FIRST = """
select r.rep_id, coalesce(cast(r.hired_on as timestamp), min(timezone('UTC', a.occurred_at))) as first
from reps r left join activities a using (rep_id) where r.rep_id in (select unnest($reps)) group by r.rep_id, r.hired_on
"""


def week_of(view: View, reps: Collection[str], *, now: datetime) -> pd.DataFrame:
    """The last seven days of some reps, and the median of the twelve weeks of seven days before.

    Returns
    -------
    pd.DataFrame, shape (reps * 3, 4)
        rep_id; group: calls, emails, meetings (demos and visits too); done; usual: NaN for whoever is there for fewer
        than four whole weeks before.
    """
    asked = sorted(reps)
    with connect() as con:
        view.attach(con)
        given = {"reps": asked, "now": now}
        rows = con.execute(_DONE, {**given, "days": 7 * (WEEKS + 1)}).df()
        first = con.execute(_FIRST, {"reps": asked}).df().set_index("rep_id")["first"]
    rows["group"] = rows["kind"].map(KINDS)
    counted = rows.groupby(["rep_id", "group", "ago"])["done"].sum()
    whole = _whole_weeks(first, now)
    found = []
    for rep in asked:
        for group in GROUPS:
            weeks = [float(counted.get((rep, group, ago), 0)) for ago in range(WEEKS + 1)]
            past = weeks[1 : 1 + whole.get(rep, 0)]
            usual = float(np.median(past)) if len(past) >= LEAST_WEEKS else float("nan")
            found.append((rep, group, weeks[0], usual))
    return pd.DataFrame(found, columns=["rep_id", "group", "done", "usual"])


def _whole_weeks(first: pd.Series, now: datetime) -> dict[str, int]:
    """Whole weeks before the last one in which each was there; twelve at most."""
    moment = pd.Timestamp(now).tz_convert(None)
    known = first.dropna()
    return {str(rep): int(min((moment - at) // pd.Timedelta(days=7) - 1, WEEKS)) for rep, at in known.items()}
