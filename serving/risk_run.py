"""Risks looked for anew: from the newest scores, their draws, goals and data; then plans that their triggers start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pandas as pd

from crm.company import Company
from crm.lake import View
from planning.outcomes import Outcomes
from planning.overview import Plan, forecasts_of
from planning.risks import Risk, Situation, found
from planning.sales import Sales
from serving.contingency import Plans
from serving.risk_written import written_down
from serving.risks import Register, Run
from serving.store import Store

BY_ITSELF = "the rules"
_CURVES = pd.DataFrame({"deal_id": [], "day": [], "won": []})


def situation_of(
    view: View,
    company: Company,
    moment: datetime,
    frames: Mapping[str, pd.DataFrame],
    outcomes: Outcomes | None,
    sales: Sales | None = None,
) -> Situation:
    """What risks are found in.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Score files; those that are missing count as empty.
    sales : Sales, optional
        Where it was read before.
    """
    known = {"reps", "teams"} <= frames.keys()
    forecasts = forecasts_of(frames["reps"], frames["teams"]) if known else {}
    plan = Plan(view, company, moment, forecasts, read=sales.facts if sales else None)
    sales = sales or Sales.read(view, company, moment, plan.facts)
    empty = pd.DataFrame()
    parts = (frames.get(name, empty) for name in ("deals", "accounts", "advice"))
    return Situation(plan, sales, outcomes, *parts)


def review_risks(store: Store, s: Situation, curves: pd.DataFrame | None = None) -> Run:
    """Bring register and plans to what the rules find now; each plan that starts by itself stands in the audit."""
    risks = found(replace(s, written=written_down(store)))
    if s.plan.company.people.level == "off":
        risks = [risk for risk in risks if not _of_a_person(risk)]
    run = Register(store).take(risks, s.sales.moment, near=s.limits.contingency)
    plans = Plans(store)
    for plan_id in plans.follow(risks, s, _CURVES if curves is None else curves):
        plan = plans.read(plan_id).plan
        store.audit(
            BY_ITSELF, "contingency plan started", plan=plan_id, template=plan.template, subject=plan.subject_id,
            kind=plan.subject_kind,
        )  # fmt: skip
    return run


def _of_a_person(risk: Risk) -> bool:
    return risk.subject_kind == "rep"
