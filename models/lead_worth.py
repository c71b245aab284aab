"""What a lead is worth when it converts: what the first sale after it brought, by segment, drawn to the mean."""

from __future__ import annotations

import pandas as pd

from crm.company import Company
from crm.lake import View, connect
from crm.money import attach_rates

_PSEUDO = 10.0  # converted leads of the company that a segment's own are weighed against

_FOLLOWED = """
with converted as (
    select deal_id, account_id, closed_at from deals
    where kind = 'lead' and outcome = 'won' and closed_at <= $until and account_id is not null
), sales as (
    select d.account_id, d.created_at, d.outcome, cast(d.amount as double) * r.rate as amount
    from deals d left join fx r on r.currency = coalesce(d.currency, '')
        and coalesce(d.closed_at, $until) >= r.valid_from and coalesce(d.closed_at, $until) < r.valid_to
    where coalesce(d.kind, 'new') <> 'lead'
), followed as (
    select c.deal_id, c.account_id, s.outcome, s.amount,
           row_number() over (partition by c.deal_id order by s.created_at) as place
    from converted c join sales s on s.account_id = c.account_id
        and s.created_at >= c.closed_at and s.created_at < c.closed_at + interval 30 day
)
select f.deal_id, coalesce(a.segment, '') as segment,
       case when f.outcome = 'won' then coalesce(f.amount, 0) else 0 end as brought
from followed f left join accounts a using (account_id) where f.place = 1 and f.outcome in ('won', 'lost')
"""


class LeadWorth:
    """Mean of what the sale that followed a converted lead brought: its amount where won, 0 where lost.

    Attributes
    ----------
    mean_ : float
        Of the company; NaN where no sale after a converted lead has ended.
    by_segment_ : Series
        Drawn towards the company's mean as if by 10 leads.
    leads_ : int
        Converted leads learnt from.
    """

    def fit(self, view: View, company: Company, *, until: pd.Timestamp) -> LeadWorth:
        """Learn from sales opened within 30 days of a lead's conversion, that have ended by a moment."""
        with connect() as con:
            view.attach(con)
            attach_rates(con, company)
            rows = con.execute(_FOLLOWED, {"until": until}).df()
        self.leads_ = len(rows)
        self.mean_ = float(rows["brought"].mean()) if len(rows) else float("nan")
        sums = rows.groupby("segment")["brought"].agg(["sum", "size"])
        self.by_segment_ = (sums["sum"] + _PSEUDO * self.mean_) / (sums["size"] + _PSEUDO)
        return self

    def of(self, segments: pd.Series) -> pd.Series:
        """Worth when converted, base currency, by segment; the company's mean where the segment is new."""
        known = segments.astype(object).where(segments.notna(), "")
        return known.map(self.by_segment_).astype(float).fillna(self.mean_)
