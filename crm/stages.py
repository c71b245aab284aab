"""The order of a pipeline's open stages: as the company set it, or read from how its deals moved."""

from __future__ import annotations

from collections import defaultdict

from crm.company import Company
from crm.lake import View, connect

ANY = "*"
"""Stands for the pipeline where deals name none."""

# A stage counts only while the deal was open: 'Closed won' is an outcome, not a stage to be in.
_ENTRIES = """
with open_until as (
    select deal_id, coalesce(pipeline, '*') as pipeline, stage, outcome, created_at,
           case when outcome = 'open' then timestamptz '9999-01-01' else coalesce(closed_at, created_at) end as until
    from deals
),
moves as (
    select c.deal_id, d.pipeline, c.changed_at, c._seq, c.old_value, c.new_value, d.created_at, d.until
    from deal_changes c join open_until d using (deal_id) where c.field = 'stage'
),
entries as (
    select deal_id, pipeline, arg_min(old_value, (changed_at, _seq)) as stage, min(created_at) as entered, -1 as seq
    from moves group by deal_id, pipeline
    union all
    select deal_id, pipeline, new_value, changed_at, _seq from moves where changed_at < until
    union all
    select deal_id, pipeline, stage, created_at, -1 from open_until d
    where outcome = 'open' and not exists (select 1 from moves m where m.deal_id = d.deal_id)
),
firsts as (
    select deal_id, pipeline, stage, min((entered, seq)) as first_in from entries where stage is not null group by all
)
select a.pipeline, a.stage, b.stage as other, count(b.deal_id) as deals
from firsts a left join firsts b on a.deal_id = b.deal_id and a.stage <> b.stage and a.first_in < b.first_in
group by all
"""
_AGES = "select coalesce(pipeline, '*'), stage, avg(epoch(created_at)) from deals where outcome = 'open' group by 1, 2"


def stage_order(view: View, company: Company) -> dict[str, list[str]]:
    """Open stages of each pipeline, first to last.

    Parameters
    ----------
    view : View
        Where deals and their changes are read from.
    company : Company
        Its `stages` win over history.

    Returns
    -------
    dict of str to list of str
        By pipeline, `'*'` for deals that name none. A stage comes before another where more deals entered it first;
        without a log of stages, the stage whose open deals are youngest comes first.
    """
    if company.stages:
        return {pipeline: list(stages) for pipeline, stages in company.stages.items()}
    with connect() as con:
        view.attach(con)
        pairs = con.sql(_ENTRIES).fetchall()
        ages = con.sql(_AGES).fetchall()
    youth = {(pipeline, stage): float(born or 0.0) for pipeline, stage, born in ages}
    before: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    stages: dict[str, set[str]] = defaultdict(set)
    for pipeline, stage, other, deals in pairs:
        stages[pipeline].add(stage)
        if other is not None:
            before[pipeline][stage, other] = deals
    return {p: _ordered(sorted(names), before[p], p, youth) for p, names in sorted(stages.items())}


def _ordered(
    names: list[str], before: dict[tuple[str, str], int], pipeline: str, youth: dict[tuple[str, str], float]
) -> list[str]:
    def beats(a: str, b: str) -> bool:
        return before.get((a, b), 0) > before.get((b, a), 0)

    wins = {a: sum(beats(a, b) - beats(b, a) for b in names) for a in names}
    return sorted(names, key=lambda name: (-wins[name], -youth.get((pipeline, name), 0.0), name))
