"""A made-up funnel with true win probabilities known by linear algebra: weekly snapshots for tests of the win model.

Each week an open deal of stage s moves on with chance .30, is won with chance w_s and lost with chance l_s; its field
`fit` (standard normal, fixed) multiplies the odds of won against lost. Probabilities of the end solve
p_s = w_s + a_s p_(s+1) + (1 - w_s - l_s - a_s) p_s from the last stage back.
"""

import numpy as np
import pandas as pd

STAGES = ("lead", "offer", "talks")
ADVANCE = np.array([0.30, 0.25, 0.0])
WON = np.array([0.01, 0.04, 0.20])
LOST = np.array([0.08, 0.07, 0.08])
END = pd.Timestamp("2026-03-02", tz="UTC")


def weekly(stage, fit, effect):
    """Chances of won, lost, moving on in a week."""
    tilt = np.exp(effect * fit)
    return WON[stage] * tilt / (0.5 + 0.5 * tilt), LOST[stage] / (0.5 + 0.5 * tilt), ADVANCE[stage]


def truth(stage, fit, effect):
    """Probability that a deal in `stage` is won in the end."""
    p = 0.0
    values = {}
    for s in range(len(STAGES) - 1, -1, -1):
        w, lost, a = weekly(s, fit, effect)
        p = (w + a * p) / (w + lost + a)
        values[s] = p
    return values[stage]


def snapshots(deals=1500, weeks=80, seed=0, effect=1.0, flat=False):
    """Snapshots as `training.snapshots.deal_snapshots` gives them, with the truth in `_p`.

    `flat`: all stay in the first stage, where each week 6 % are won and 7 % lost: nothing tells deals apart.
    """
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, weeks, deals)
    rows = []
    for d in range(deals):
        fit, kind = rng.normal(), rng.choice(["new", "renewal"])
        stage, week, path = 0, int(np.ceil(start[d])), []
        closed, outcome = None, "open"
        while week <= weeks and closed is None:
            path.append((week, stage))
            w, lost, a = (0.06, 0.07, 0.0) if flat else weekly(stage, fit, effect)
            u = rng.random()
            if u < w + lost:
                closed, outcome = week + rng.uniform(0.01, 0.99), "won" if u < w else "lost"
            elif u < w + lost + a:
                stage += 1
            week += 1
        if closed is not None and closed > weeks:
            closed, outcome = None, "open"
        for week, stage in path:
            rows.append(
                (f"D{d}", week, STAGES[stage], fit, kind, week - start[d], closed, outcome, truth(stage, fit, effect))
            )
    names = "deal_id week stage fit kind age closed _outcome _p".split()
    table = pd.DataFrame(rows, columns=names)
    table["as_of"] = END - pd.to_timedelta((weeks - table.week) * 7, unit="D")
    table["_closed_at"] = END - pd.to_timedelta((weeks - table.closed.astype(float)) * 7, unit="D")
    table["days_open"] = table.age * 7
    table["never_known"] = np.nan
    for name in ("stage", "kind"):
        table[name] = table[name].astype("category")
    table["_observed_until"] = END
    return table.drop(columns=["week", "age", "closed"])
