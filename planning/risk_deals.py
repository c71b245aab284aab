"""Risks in the pipeline: too much on one card, stalled, slipping, one contact only, discounts that creep."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from crm.lake import connect
from planning.risks import Risk, Situation

MOST = 10
"""Risks of single deals that one run names, the largest expected loss first."""
_MOVED = """
select c.deal_id, count(*) as times from deal_changes c
where c.field = 'close_date' and greatest(c.changed_at, coalesce(c.recorded_at, c.changed_at)) <= $moment
      and c.old_value is not null and c.new_value > c.old_value group by 1
"""


def concentrations(s: Situation) -> Iterator[Risk]:
    """Deals and customers that hold more than three tenths of what the company still expects in the quarter."""
    if s.outcomes is None or not len(s.outcomes.deal_ids):
        return
    means = pd.Series(s.outcomes.deals.mean(axis=1), index=s.outcomes.deal_ids)
    whole = s.outcomes.of("company", "company")
    if whole is None or whole.mean() <= 0:
        return
    limit = s.limits.concentration * float(whole.mean())
    account = s.open["account_id"].reindex(means.index)
    parts = [("deal", deal, [n]) for n, deal in enumerate(means.index)]
    places = pd.Series(np.arange(len(means)), index=account.to_numpy())
    parts += [("account", name, list(part)) for name, part in places[account.notna().to_numpy()].groupby(level=0)
              if len(part) > 1]  # fmt: skip
    for kind, name, rows in parts:
        money = float(means.iloc[rows].sum())
        if money > limit:
            draws = s.outcomes.deals[rows].sum(axis=0)
            owner = s.open["owner_id"].get(means.index[rows[0]])
            yield Risk("concentration", kind, str(name), float((draws <= 0).mean()), money, float(draws.max()),
                       s.manager_of("rep", str(owner)), s.rest(),
                       {"share": money / float(whole.mean()), "owner_id": text(owner)})  # fmt: skip


def stalled(s: Situation) -> Iterator[Risk]:
    """Teams in which deals older in their stage than nine in ten won ones hold a quarter of the weighted pipeline."""
    old_after, usual = stage_habits(s)
    deals = s.open.dropna(subset=["place", "win_probability", "amount"])
    if deals.empty:
        return
    days = (pd.Timestamp(s.sales.moment) - deals["stage_since"]) / pd.Timedelta(days=1)
    keys = list(zip(deals["pipeline"], deals["place"].astype(int), strict=True))
    deals = deals.assign(
        old=days.to_numpy() > [old_after.get(key, np.inf) for key in keys],
        usual=[usual.get(key, np.nan) for key in keys],
        team=[s.plan.facts.team_of.get(str(owner)) for owner in deals["owner_id"]],
    )
    for team, rows in deals[deals["team"].notna()].groupby("team"):
        weighted = (rows["amount"] * rows["win_probability"]).clip(lower=0)
        old = rows[rows["old"]]
        share = float(weighted[rows["old"]].sum() / weighted.sum()) if weighted.sum() > 0 else 0.0
        if share >= s.limits.stalled:
            money = stalled_loss(old["amount"], old["usual"], old["win_probability"])
            facts = {"deals": len(old), "share": share, "amount": float(old["amount"].sum())}
            yield Risk("stalled_pipeline", "team", str(team), 1.0, money, float(old["amount"].clip(lower=0).sum()),
                       s.manager_of("team", str(team)), s.rest("team", str(team)), facts)  # fmt: skip


def stage_habits(s: Situation) -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], float]]:
    """Days in each stage that nine in ten won deals did not pass, and the share won of deals that were there."""
    outcome = s.sales.deals.set_index("deal_id")["outcome"]
    rows = s.sales.visits.assign(outcome=s.sales.visits["deal_id"].map(outcome))
    rows = rows[~rows["skipped"].astype(bool) & rows["outcome"].isin(["won", "lost"])]
    rows = rows.assign(days=(rows["left"] - rows["entered"]) / pd.Timedelta(days=1), won=rows["outcome"] == "won")
    old = rows[rows["won"]].groupby(["pipeline", "place"])["days"].quantile(0.9)
    won = rows.groupby(["pipeline", "place"])["won"].mean()
    return (
        {(str(p), int(n)): float(v) for (p, n), v in old.items()},
        {(str(p), int(n)): float(v) for (p, n), v in won.items()},
    )


def stalled_loss(amounts: pd.Series, usual: pd.Series, now: pd.Series) -> float:
    """Amounts times how far each chance lies below the usual one of its stage; what lies above is no loss."""
    fall = (usual - now).clip(lower=0, upper=1).fillna(0.0)
    return float((amounts.astype(float).clip(lower=0) * fall).sum())


def slipping(s: Situation) -> Iterator[Risk]:
    """Deals due in the quarter whose closing day was put off twice or more."""
    with connect() as con:
        s.plan.view.attach(con)
        times = dict(con.execute(_MOVED, {"moment": s.sales.moment}).fetchall())
    end = s.plan.company.period_of(s.sales.today).end
    deals = s.open.dropna(subset=["amount", "p_slip"])
    due = deals["close_date"].map(lambda day: not pd.isna(day) and pd.Timestamp(day).date() < end).astype(bool)
    deals = deals[due & (deals.index.map(lambda d: times.get(d, 0)) >= 2)]
    risks = [
        Risk("slipping", "deal", str(deal), float(row["p_slip"]),
             float(max(row["amount"], 0.0) * row["win_probability"]), float(max(row["amount"], 0.0)),
             text(row["owner_id"]), s.rest(), {"times": int(times[str(deal)]), "close_date": row["close_date"],
              "owner_id": text(row["owner_id"])})
        for deal, row in deals.iterrows()
    ]  # fmt: skip
    yield from largest(risks)


def single_contacts(s: Situation) -> Iterator[Risk]:
    """Large deals (the top tenth by amount) with one contact, where another one is advised."""
    deals = s.open.dropna(subset=["amount"])
    if not len(s.advice) or deals.empty:
        return
    rows = s.advice[s.advice["action"] == "add_contact"].drop_duplicates("deal_id").set_index("deal_id")
    large = deals[(deals["amount"] >= deals["amount"].quantile(0.9)) & deals.index.isin(rows.index)]
    risks = []
    for deal, row in large.iterrows():
        uplift = min(max(float(rows.at[deal, "expected_uplift"]), 0.0), 1.0)
        risks.append(Risk("single_threaded", "deal", str(deal), 1.0, float(row["amount"]) * uplift,
                          float(row["amount"]), text(row["owner_id"]), s.rest(),
                          {"uplift": uplift, "owner_id": text(row["owner_id"])}))  # fmt: skip
    yield from largest(risks)


def discounts(s: Situation) -> Iterator[Risk]:
    """The median discount rose by five points or more against the like days before."""
    span = s.window
    now, before = (
        _discounts(s.sales.within(*days)) for days in ((span.start, span.end), (span.start_before, span.end_before))
    )
    if len(now) < 5 or len(before) < 5:
        return
    extra = float(now["discount"].median() - before["discount"].median())
    if extra >= s.limits.discount_points / 100:
        listed = float(now["list_amount"].sum())
        yield Risk("discount_creep", "company", "company", 1.0, extra * listed, listed, s.manager_of("company", ""),
                   s.rest(), {"extra": extra, "now": float(now["discount"].median())})  # fmt: skip


def _discounts(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["won"] & (rows["list_amount"] > 0) & rows["amount"].notna()].drop_duplicates("deal_id")
    return rows.assign(discount=1 - rows["amount"] / rows["list_amount"])


def largest(risks: list[Risk]) -> list[Risk]:
    """The largest expected losses, as many as one run names."""
    return sorted(risks, key=lambda r: -(r.expected_loss or 0))[:MOST]


def text(value: object) -> str | None:
    """A key, or None where there is none."""
    return value if isinstance(value, str) else None
