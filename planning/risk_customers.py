"""Risks with customers, products and rivals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crm.lake import connect
from crm.money import attach_rates
from planning.periods import past_results
from planning.report_losses import NOT_RECORDED, win_loss
from planning.risk_deals import largest, text
from planning.risks import Risk, Situation

_LEAST_SHARE = 0.02  # of a year's bookings, below which a product's slump is not named
_RENEWALS = """
select s.account_id, min(s.renews_on) as renews_on, sum(s.mrr::double * fx.rate) * 12 as yearly, max(t.last) as last
from subscriptions s
left join (select account_id, max(occurred_at) as last from activities
           where kind not in ('note', 'task') and occurred_at <= $moment group by 1) t using (account_id)
left join fx on fx.currency = coalesce(s.currency, '') and $moment >= fx.valid_from and $moment < fx.valid_to
where s.renews_on >= $today and s.renews_on < $until and s.started_on <= $today
      and coalesce(s.ended_on > $today, true) and coalesce(t.last < $moment - $silent * interval 1 day, true)
group by 1
"""


def account_money(yearly: float, open_deals: float) -> float:
    """What goes with a customer: a year's revenue and what its open deals are expected to bring."""
    return max(yearly, 0.0) + max(open_deals, 0.0)


def key_accounts(s: Situation) -> Iterator[Risk]:
    """Large customers whose chance to leave is high, or twice the usual."""
    rows = s.accounts
    if not len(rows):
        return
    p = rows["churn_probability"].astype(float)
    yearly = (rows["value_at_risk"].astype(float) / p.where(p > 0)).fillna(0.0)
    rows = rows.assign(yearly=yearly.to_numpy()).sort_values("yearly", ascending=False)
    key = (np.arange(len(rows)) < s.limits.key_accounts) | (rows["yearly"] >= 0.05 * rows["yearly"].sum())
    limit = min(s.limits.churn, 2 * float(p.mean()))
    for row in rows[key & (rows["churn_probability"] >= limit) & (rows["yearly"] > 0)].to_dict("records"):
        mine = s.open[s.open["account_id"] == row["account_id"]]
        money = account_money(row["yearly"], float(mine["expected_amount"].sum()))
        exposed = account_money(row["yearly"], float(np.maximum(mine["amount"], mine["expected_amount"]).sum()))
        waiting = float(mine["expected_amount"].sum())
        facts = {"yearly": row["yearly"], "open": waiting, "days": int(row["horizon_days"])}
        yield Risk("key_account_leaving", "account", str(row["account_id"]), float(row["churn_probability"]), money,
                   max(exposed, money), s.account_owners.get(row["account_id"]), s.rest(), facts)  # fmt: skip


def renewals_unattended(s: Situation) -> Iterator[Risk]:
    """Contracts that end within 90 days at customers nobody spoke with for 30."""
    yield from largest([
        Risk("renewal_unattended", "account", row["account_id"], row["churn"], row["yearly"], row["yearly"],
             text(s.account_owners.get(row["account_id"])), s.rest(), {"renews_on": row["renews_on"]})
        for row in renewals(s, s.sales.today + timedelta(days=91), silent=30).to_dict("records")
    ])  # fmt: skip


def renewals(s: Situation, until: date, silent: int = 0) -> pd.DataFrame:
    """Customers with a contract to be renewed from today to before a day, and a chance to leave.

    Columns: account_id, renews_on (the first), yearly (fees in base currency), churn.

    Parameters
    ----------
    silent : int
        Only those nobody spoke with for so many days.
    """
    with connect() as con:
        s.plan.view.attach(con)
        attach_rates(con, s.plan.company)
        given = {"moment": s.sales.moment, "today": s.sales.today, "until": until, "silent": silent}
        rows = con.execute(_RENEWALS, given).df()
    churn = s.accounts.set_index("account_id")["churn_probability"] if len(s.accounts) else pd.Series(dtype=float)
    rows = rows.assign(churn=rows["account_id"].map(churn).astype(float), yearly=rows["yearly"].astype(float))
    found = rows[rows["churn"].notna() & (rows["yearly"] > 0)]
    return found[["account_id", "renews_on", "yearly", "churn"]]


def rivals(s: Situation) -> Iterator[Risk]:
    """Competitors that are met, or win, surely more often than in the like days before."""
    for row in win_loss(s.sales, s.window).table("competitors").rows.to_dict("records"):
        if row["rising"] != "yes" or row["competitor"] == NOT_RECORDED:
            continue
        worse = row["rate_high"] is not None and row["rate_high"] < 0
        delta, low, high = (row[f"{'rate' if worse else 'share'}_{part}"] for part in ("change", "low", "high"))
        sd = (high - low) / (2 * 1.6449)
        exposed = max(float(row["open_amount"]), 0.0)
        yield Risk("competitor_rising", "competitor", row["competitor"], _beyond_zero(abs(delta), sd),
                   min(abs(delta), 1.0) * exposed, exposed, s.manager_of("company", ""), s.rest(),
                   {"delta": delta, "what": "rate" if worse else "share", "closed": row["closed"]})  # fmt: skip


def product_slumps(s: Situation) -> Iterator[Risk]:
    """Products of which nine draws in ten end below their goal, or without one below their usual quarter."""
    if s.outcomes is None:
        return
    year = s.sales.closed
    year = year[year["won"] & (year["day"] > pd.Timestamp(s.sales.today) - pd.Timedelta(days=365))]
    shares = year.groupby("product_id")["value"].sum() / (year["value"].sum() or 1.0)
    now = s.sales.within(s.outcomes.start, s.outcomes.end)
    now = now[now["won"]].groupby("product_id")["value"].sum()
    product = s.open["product_id"].reindex(s.outcomes.deal_ids).to_numpy(object)
    new = s.outcomes.new.sum(axis=0)
    for name, share in shares.items():
        plan = _plan_of(s, str(name))
        if share < _LEAST_SHARE or not plan:
            continue
        draws = float(now.get(name, 0.0)) + s.outcomes.deals[product == name].sum(axis=0) + new * float(share)
        below = float((draws < plan).mean())
        if below >= s.limits.product_slump:
            money = min(max(plan - float(np.quantile(draws, 0.5)), 0.0), plan)
            yield Risk("product_slump", "product", str(name), below, money, plan, s.manager_of("company", ""),
                       s.rest(), {"plan": plan, "p50": float(np.quantile(draws, 0.5))})  # fmt: skip


def _plan_of(s: Situation, product: str) -> float | None:
    """A product's goal for bookings in the quarter, else the mean of its last four quarters."""
    from planning.goals import COMPANY, Goal

    assert s.outcomes is not None
    span = (s.outcomes.start, s.outcomes.end)
    goals = [g for g in s.plan.running if g.metric == "bookings" and g.scope == {"product_id": product}
             and g.owner_kind == COMPANY and (g.start, g.end) == span and g.target]  # fmt: skip
    if goals:
        return float(goals[0].target or 0)
    past = past_results(Goal("", COMPANY, COMPANY, "bookings", *span, None, product_id=product), s.plan.facts,
                        s.plan.company)  # fmt: skip
    return sum(past) / len(past) if len(past) >= 2 else None


def _beyond_zero(delta: float, sd: float) -> float:
    from statistics import NormalDist

    return NormalDist().cdf(delta / sd) if sd > 0 else 1.0
