"""Risks from outside: a market that shrinks, and exchange rates of the pipeline in other currencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from math import log, sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd

from planning.risks import Risk, Situation
from planning.signals import monthly
from planning.trend import market_outlook

FALL = 0.05
"""Fall of the pipeline's worth by exchange rates that is looked at."""
HORIZON = 90  # days
LEAST_RATES = 12


def market_downturns(s: Situation) -> Iterator[Risk]:
    """The company's next month, where even the high end of the trend's band lies below the year before."""
    found = market_outlook(monthly(s.plan.facts, s.plan.company))
    if found is None or found.high >= found.year_before:
        return
    money = found.year_before - max(found.expected, 0.0)
    month = s.plan.company.period_of(s.sales.today, "month").name
    facts = {"month": month, "expected": found.expected, "high": found.high, "year_before": found.year_before,
             "method": found.method}  # fmt: skip
    yield Risk("market_downturn", "company", "company", found.below, money, found.year_before,
               s.manager_of("company", ""), s.rest(), facts)  # fmt: skip


def currencies(s: Situation) -> Iterator[Risk]:
    """More than a fifth of the open pipeline is in other currencies, whose rates are on record."""
    base = s.plan.company.base_currency
    rows = s.open[s.open["amount"].notna() & (s.open["amount"] > 0)]
    other = rows[rows["currency"].notna() & (rows["currency"] != base)]
    whole, foreign = float(rows["amount"].sum()), other.groupby("currency")["amount"].sum()
    if whole <= 0 or foreign.sum() / whole <= s.limits.foreign:
        return
    spread = volatility(_rates(s), {str(k): float(v) for k, v in foreign.items()}, s.sales.today)
    if spread is None:
        return
    pipeline = float(foreign.sum())
    facts = {"share": pipeline / whole, "pipeline": pipeline, "currencies": ", ".join(sorted(map(str, foreign.index)))}
    yield Risk("currency", "company", "company", chance_to_fall(spread), FALL * pipeline, pipeline,
               s.manager_of("company", ""), s.rest(), facts)  # fmt: skip


def volatility(rates: pd.DataFrame, amounts: Mapping[str, float], today: date) -> float | None:
    """Standard deviation of the log of what amounts are worth in 90 days, from the last year's rates.

    Parameters
    ----------
    rates : DataFrame
        currency, on_date, rate_to_base.
    amounts : mapping of str to float
        By currency, at today's rates in base currency: the weights of the basket.

    Returns
    -------
    float or None
        None with fewer than twelve changes of rates on record, or a currency without any.
    """
    rates = rates[(rates["on_date"] <= today) & (rates["on_date"] > today - timedelta(days=365))]
    table = rates[rates["currency"].isin(list(amounts))].pivot_table(
        index="on_date", columns="currency", values="rate_to_base", aggfunc="last"
    )
    table = table.sort_index().ffill().dropna()
    if set(amounts) - set(table.columns) or len(table) <= LEAST_RATES:
        return None
    worth = sum(amount * table[name] / table[name].iloc[-1] for name, amount in amounts.items())
    steps = np.diff(np.log(np.asarray(worth, dtype=np.float64)))
    days = (table.index[-1] - table.index[0]).days
    return sqrt(float((steps**2).sum()) / days * HORIZON)


def chance_to_fall(spread: float, fall: float = FALL) -> float:
    """Chance that what is in other currencies loses more than a share, if its log has no drift and this spread."""
    return NormalDist().cdf(log(1 - fall) / spread) if spread > 0 else 0.0


def _rates(s: Situation) -> pd.DataFrame:
    rows = s.plan.view.arrow("fx_rates").select(["currency", "on_date", "rate_to_base"]).to_pandas()
    return rows.assign(rate_to_base=rows["rate_to_base"].astype(float))
