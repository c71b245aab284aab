"""A churn model from lake to registry: the gate's judgement of the mix on the newest past dates, the fit on all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from features.build import build
from models.churn import ChurnModel
from models.churn_rows import customers
from training import gate, plots, registry
from training.baselines.churn import ChurnRate, SilenceRate
from training.definitions import defined_otherwise, definitions_check
from training.fit_result import TrainResult, definition_tables, finish, numbers, tags_of
from training.metrics import per_date, win_metrics
from training.policy import Policy
from training.recipes import quick_enough

Progress = Callable[[str], None]
_APART = pd.Timedelta(days=28)
_CUSTOMERS = "customers"
_SEGMENTS = ("segment", "industry", "region", "country")


@dataclass(frozen=True)
class _Run:
    """What all steps of one run share."""

    view: View
    company: Company
    tracking: str
    as_of: datetime
    policy: Policy
    say: Progress

    @property
    def until(self) -> pd.Timestamp:
        return pd.Timestamp(self.as_of)


@dataclass(frozen=True)
class _Slice:
    """Customers on the newest dates whose horizon is over, from `cut` on, and who of them left.

    `before` has what was known before these, as `ChurnModel.rows` gives it.
    """

    cut: pd.Timestamp
    rows: pd.DataFrame
    left: npt.NDArray[np.bool_]
    before: pd.DataFrame


def train(
    view: View, company: Company, *, tracking: str, as_of: datetime, policy: Policy, seed: int = 0,
    recipe: ChurnModel | None = None, say: Progress = lambda _: None,
) -> TrainResult:  # fmt: skip
    """Let a recipe challenge the champion's, fit it on all there is, register it, and put the better one in use.

    A recipe is the mix of LightGBM, ridge logistic and plain rate. The challenger's is decided on dates before the
    newest ones; both are then fitted on what was known before these and forecast them.

    Parameters
    ----------
    recipe : ChurnModel, optional
        An unfitted model; unset: one that decides its mix on past dates.
    """
    run = _Run(view, company, tracking, as_of, policy, say)
    recipe = recipe or ChurnModel(random_state=seed)
    version = registry.champion_version("churn", tracking=tracking)
    champion = registry.load("churn", version, tracking=tracking) if version else None
    rival = None if champion is None else ChurnModel(champion.model.random_state, _form_of(champion.model))
    say("Judging the mix on the newest past weeks")
    newest = _newest_slice(run, recipe)
    twin = _made(run, recipe, newest)
    settled = recipe if twin is None else clone(recipe).set_params(mix=twin.form_)
    also = [definitions_check("churn", champion, company)] if champion else []
    verdict, table = _judged(run, settled, twin, rival, newest, also, seed)
    if champion and verdict.outcome == "same":
        verdict = gate.same_recipe(other_definitions=defined_otherwise("churn", champion, run.company))
    model = _fitted(run, settled)  # before anything is logged, as it raises where the data does not suffice
    judged_run = _log_judged(run, verdict, twin, table, newest)
    result = _kept(run, model, verdict, judged_run)
    if champion is None or rival is None or verdict.promote or not _outdated(run, champion):
        return result
    say("Fitting the champion's mix again on the newest data")
    again = _kept(run, _fitted(run, rival), gate.fitted_again(), judged_run)
    return replace(result, in_use=again.version)


def _form_of(model: Any) -> Any:
    return getattr(model, "form_", model.mix_)  # models of earlier versions kept the mix alone


def _newest_slice(run: _Run, recipe: ChurnModel) -> _Slice | None:
    """The newest dates, four weeks apart, on which customers are known to have left or stayed; None without a past."""
    known = customers(run.view, run.company, run.until)
    days = run.company.churn.horizon_days
    last = run.until - pd.Timedelta(days=days)
    parts = []
    for at in [last - _APART * k for k in range(max(1, run.policy.slice_weeks // 4))]:
        live = known.live(at)
        parts.append(live[["account_id"]].assign(as_of=at, _left=known.left(live, at, days)))
    spine = pd.concat([p for p in parts if len(p)], ignore_index=True) if any(map(len, parts)) else parts[0]
    if not len(spine):
        return None
    cut = pd.Timestamp(spine["as_of"].min())
    try:
        before = recipe.rows(run.view, run.company, until=cut)
    except NotReady:
        return None
    spine["as_of"] = spine["as_of"].astype("datetime64[us, UTC]")
    rows = build(run.view, spine[["account_id", "as_of"]], "account", company=run.company)
    return _Slice(cut, rows, spine["_left"].to_numpy(bool), before)


def _made(run: _Run, recipe: ChurnModel, newest: _Slice | None) -> ChurnModel | None:
    """The model as it could have been made before the slice; None where too few had left by then."""
    if newest is None:
        return None
    try:
        return clone(recipe).fit(run.view, run.company, until=newest.cut, rows=newest.before)
    except NotReady:
        return None


def _judged(
    run: _Run,
    settled: ChurnModel,
    twin: ChurnModel | None,
    rival: ChurnModel | None,
    newest: _Slice | None,
    also: list[gate.Check],
    seed: int,
) -> tuple[gate.Verdict, pd.DataFrame]:
    if rival is not None and _alike(settled, rival):
        return gate.same_recipe(), pd.DataFrame()
    if newest is None or twin is None:
        return gate.unjudged(there_is_champion=rival is not None), pd.DataFrame()
    table = _asked(twin, newest)
    if rival is None:
        return gate.judge_first(table, run.policy, unit=_CUSTOMERS, seed=seed), table
    other = _made(run, rival, newest)
    if other is None:
        return gate.unjudged(there_is_champion=True), pd.DataFrame()
    table["champion"] = other.predict_proba_left(newest.rows)
    quick = quick_enough(lambda: twin.predict_proba_left(newest.rows.iloc[:1]), run.policy, one="customer")
    there = [name for name in _SEGMENTS if name in table]
    return gate.judge(table, run.policy, segments=there, also=[*also, quick], unit=_CUSTOMERS, seed=seed), table


def _alike(one: ChurnModel, other: ChurnModel) -> bool:
    # As texts, since a strength that is left to the number of customers is NaN.
    return one.mix is not None and repr(one.mix) == repr(other.mix) and one.random_state == other.random_state


def _asked(twin: ChurnModel, newest: _Slice) -> pd.DataFrame:
    """What the twin and the plain rates said of the slice; customers and who left by the names that the gate knows."""
    X, left = newest.before.drop(columns="_left"), newest.before["_left"].to_numpy(bool)
    told = {
        "deal_id": newest.rows["account_id"].to_numpy(object),
        "as_of": newest.rows["as_of"],
        "won": newest.left,
        "challenger": twin.predict_proba_left(newest.rows),
        "base_rate": ChurnRate().fit(X, left).predict_proba_left(newest.rows),
        "silence_rate": SilenceRate().fit(X, left).predict_proba_left(newest.rows),
    }
    return pd.DataFrame(told | {n: newest.rows[n].astype(object) for n in _SEGMENTS if n in newest.rows})


def _fitted(run: _Run, recipe: ChurnModel) -> ChurnModel:
    run.say("Fitting the churn model")
    return clone(recipe).fit(run.view, run.company, until=run.until)


def _outdated(run: _Run, champion: registry.Champion) -> bool:
    """Whether the champion saw less than there is now, or reads features as they were defined before."""
    return pd.Timestamp(champion.meta["until"]) < run.until or defined_otherwise("churn", champion, run.company)


def _log_judged(
    run: _Run, verdict: gate.Verdict, twin: ChurnModel | None, table: pd.DataFrame, newest: _Slice | None
) -> str:
    """A run of its own for the twin: what it said of the slice, beside the champion's twin and the rates."""
    figures = {"difference": verdict.difference, "difference_low": verdict.low, "difference_high": verdict.high}
    tags = {"role": "judged twin", "verdict": verdict.text, "judged_from": newest.cut.isoformat() if newest else ""}
    return registry.log_run(
        "churn",
        tracking=run.tracking,
        params=plain_params(twin) if twin is not None else {},
        metrics=numbers(figures) | (win_metrics(table, forecast="challenger") if len(table) else {}),
        tags=tags_of("churn", run.view, run.company, run.as_of) | tags,
        tables={"judged": table, "checks": gate.table_of(verdict.checks)} if len(table) else {},
    )


def _kept(run: _Run, model: ChurnModel, verdict: gate.Verdict, judged_run: str) -> TrainResult:
    """Log and register a model, and put it in use where the verdict says so."""
    # The same figures as for deals: who left stands for who won.
    table = model.past_.rename(columns={"account_id": "deal_id", "left": "won"})
    past = per_date(table) if len(table) else pd.DataFrame()
    metrics = win_metrics(table) | numbers(model.note)
    sentence = str(model.note["sentence_en"])
    run.say("Logging and registering")
    logged = registry.log_model(
        "churn",
        model,
        tracking=run.tracking,
        params=plain_params(model),
        metrics=metrics,
        tags=tags_of("churn", run.view, run.company, run.as_of) | {"note": sentence, "judged_run": judged_run},
        tables=definition_tables("churn", run.company)
        | ({"backtest": model.past_, "dates": past} if len(past) else {}),
        figures={"reliability": plots.reliability_svg(table), "dates": plots.dates_svg(past)} if len(past) else {},
        series={f"{name}_at_past_dates": past[name].tolist() for name in ("skill", "low", "high")} if len(past) else {},
    )
    return finish("churn", logged, verdict, metrics, run.tracking, sentence)


def plain_params(model: ChurnModel) -> dict[str, Any]:
    """Everything a fitted churn model was made with, as plain values."""
    return {"random_state": model.random_state, **asdict(model.mix_)}
