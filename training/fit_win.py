"""A win model from snapshots to registry: search, the gate's judgement of the recipe, the fit on all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import clone

from crm.company import Company
from crm.lake import View
from models.own import OwnWinModel
from models.win import WinModel
from models.win_errors import OneOutcomeOnly
from models.win_params import WinParams
from models.win_search import Found
from training import gate, plots, recipes, registry
from training.definitions import defined_otherwise, definitions_check
from training.fit_result import TrainResult, definition_tables, finish, numbers, tags_of
from training.leaks import leaks
from training.metrics import per_date, win_metrics
from training.policy import Policy
from training.recipes import Recipe, newest_slice
from training.snapshots import deal_snapshots
from training.tuning import tune

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Run:
    """What all steps of one run share."""

    rows: pd.DataFrame
    view: View
    company: Company
    tracking: str
    as_of: datetime
    policy: Policy
    say: Progress


@dataclass(frozen=True)
class _Extra:
    """What is kept with a model beside it: tables, figures, metrics, warnings, a sentence."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    note: str = ""


def win_model(company: Company, *, seed: int = 0, learner: Any = None, **settings: Any) -> WinModel:
    """The win model with the company's own horizon and fiscal year, around a classifier of one's own if given.

    Parameters
    ----------
    learner : scikit-learn classifier, optional
        See `models.own.OwnWinModel`.
    """
    settings |= {
        "random_state": seed,
        "horizon_weeks": company.win.horizon_weeks,
        "start_month": company.fiscal.start_month,
    }
    return WinModel(**settings) if learner is None else OwnWinModel(learner, **settings)


def train(
    view: View, company: Company, *, tracking: str, snapshots: Path | None, as_of: datetime, seed: int, trials: int,
    params: WinParams | None, policy: Policy, say: Progress,
) -> TrainResult:  # fmt: skip
    """Search parameters on what was known before the newest slice (unless given), then as `challenge`."""
    say("Snapshots of past weeks")
    rows = deal_snapshots(view, company, until=as_of, folder=snapshots, progress=lambda text, _done: say(text))
    model = win_model(company, seed=seed, params=params)
    run = _Run(rows, view, company, tracking, as_of, policy, say)
    searched = None
    if params is None:
        newest = newest_slice(rows, pd.Timestamp(as_of), model, policy)
        searched = tune(
            rows, until=newest.cut if newest else pd.Timestamp(as_of), horizon_weeks=model.horizon_weeks,
            start_month=model.start_month, trials=trials, seed=seed, say=say,
        )  # fmt: skip
        model.set_params(params=searched.params if searched else None)
    return _challenge(run, Recipe(model), _extra(rows, searched), seed)


def challenge(
    rows: pd.DataFrame,
    recipe: Recipe,
    *,
    view: View,
    company: Company,
    tracking: str,
    as_of: datetime,
    policy: Policy,
    seed: int = 0,
    say: Progress = lambda _: None,
) -> TrainResult:
    """Let a recipe challenge the champion's, fit it on all rows, register it, and put the better one in use.

    Where the champion's recipe stays and there is newer data, it is fitted again too.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    """
    return _challenge(_Run(rows, view, company, tracking, as_of, policy, say), recipe, _Extra(), seed)


def champion_recipe(found: registry.Champion) -> Recipe:
    """How the champion was made, with nothing left open."""
    model: WinModel = found.model
    return Recipe(clone(model).set_params(params=model.params_))


def _challenge(run: _Run, recipe: Recipe, extra: _Extra, seed: int) -> TrainResult:
    until = pd.Timestamp(run.as_of)
    version = registry.champion_version("win", tracking=run.tracking)
    champion = registry.load("win", version, tracking=run.tracking) if version else None
    if champion and champion.model.one_end:
        champion = None  # plain rates stood in for a model: whatever comes next is the first one
    run.say("Judging the recipe on the newest past weeks")
    newest = newest_slice(run.rows, until, recipe.model, run.policy)
    rival = champion_recipe(champion) if champion else None
    also = [definitions_check("win", champion, run.company)] if champion else []
    judged = _judged(run, recipe, rival, newest, also, seed)
    if champion and judged.verdict.outcome == "same":
        judged = replace(
            judged, verdict=gate.same_recipe(other_definitions=defined_otherwise("win", champion, run.company))
        )
    settled = recipe.settled(judged.twin) if judged.twin is not None else recipe
    # Before anything is logged, as it raises where the data does not suffice.
    model = _fitted(run, settled) if champion else _fitted_or_plain(run, settled)
    judged = replace(judged, verdict=as_fitted(judged.verdict, model, champion.model if champion else None))
    judged_run = _log_judged(run, judged, newest)
    extra = replace(extra, tags=extra.tags | {"judged_run": judged_run})
    result = _kept(run, model, judged.verdict, extra)
    if champion is None or rival is None or judged.verdict.promote or not _outdated(run, champion):
        return result
    run.say("Fitting the champion's recipe again on the newest data")
    again = _kept(run, _fitted(run, rival), gate.fitted_again(), _Extra(tags={"judged_run": judged_run}))
    return replace(result, in_use=again.version)


def as_fitted(verdict: gate.Verdict, model: WinModel, champion: WinModel | None) -> gate.Verdict:
    """The verdict once the recipe was fitted on all rows: another one where nothing but the base rate came of it."""
    if not verdict.promote or verdict.outcome in ("same", "rate") or model.note["quality"] != "no_signal":
        return verdict
    return gate.rate_only(verdict, there_is_better=champion is not None and champion.note["signal"])


def _judged(
    run: _Run, recipe: Recipe, rival: Recipe | None, newest: recipes.Slice | None, also: list[gate.Check], seed: int
) -> recipes.Judged:
    if rival is not None and _made_alike(recipe.model, rival.model) and recipe.prepare is rival.prepare:
        return recipes.Judged(gate.same_recipe(), pd.DataFrame(), None)
    found = recipes.judge(recipe, rival, run.rows, newest, view=run.view, policy=run.policy, also=also, seed=seed)
    alike = rival is not None and found.twin is not None and recipe.prepare is rival.prepare
    if alike and rival is not None and _made_alike(recipe.settled(found.twin).model, rival.model):  # type: ignore[arg-type]
        return replace(found, verdict=gate.same_recipe())
    return found


def _made_alike(one: WinModel, other: WinModel) -> bool:
    first, second = one.get_params(deep=False), other.get_params(deep=False)
    if type(one) is not type(other) or first["params"] is None:
        return False
    # A learner of one's own comes back as another object that reads the same.
    return all(repr(first[name]) == repr(second[name]) for name in first if name != "replicates")


def _outdated(run: _Run, champion: registry.Champion) -> bool:
    """Whether the champion saw less than there is now, or reads features as they were defined before."""
    return champion.model.until_ < pd.Timestamp(run.as_of) or defined_otherwise("win", champion, run.company)


def _log_judged(run: _Run, judged: recipes.Judged, newest: recipes.Slice | None) -> str:
    """A run of its own for the twin: what it said of the slice, beside the champion's twin and the rates."""
    verdict = judged.verdict
    figures = {"difference": verdict.difference, "difference_low": verdict.low, "difference_high": verdict.high}
    return registry.log_run(
        "win",
        tracking=run.tracking,
        params=plain_params(judged.twin) if judged.twin is not None else {},
        metrics=numbers(figures) | (win_metrics(judged.table, forecast="challenger") if len(judged.table) else {}),
        tags=tags_of("win", run.view, run.company, run.as_of)
        | {"role": "judged twin", "verdict": verdict.text, "judged_from": newest.cut.isoformat() if newest else ""},
        tables={"judged": judged.table, "checks": gate.table_of(verdict.checks)} if len(judged.table) else {},
    )


def _fitted(run: _Run, recipe: Recipe) -> WinModel:
    run.say(f"Fitting the win model on {len(run.rows):,} snapshots")
    return recipe.fit(run.rows, pd.Timestamp(run.as_of), ranges=not recipe.is_plain)


def _fitted_or_plain(run: _Run, recipe: Recipe) -> WinModel:
    """Plain rates where closed deals all ended alike."""
    try:
        return _fitted(run, recipe)
    except OneOutcomeOnly:
        return win_model(run.company).fit_plain(run.rows, until=pd.Timestamp(run.as_of))


def _kept(run: _Run, model: WinModel, verdict: gate.Verdict, extra: _Extra) -> TrainResult:
    """Log and register a model, and put it in use where the verdict says so."""
    table = model.choice_.table
    metrics = win_metrics(table) | numbers(model.note) | extra.metrics
    note = f"{model.note['sentence_en']} {extra.note}".strip()
    past = per_date(table) if len(table) else pd.DataFrame()
    run.say("Logging and registering")
    logged = registry.log_model(
        "win",
        model,
        tracking=run.tracking,
        params=plain_params(model),
        metrics=metrics,
        tags=tags_of("win", run.view, run.company, run.as_of) | {"note": note} | extra.tags,
        tables=definition_tables("win", run.company) | extra.tables | _tables(backtest=table, dates=past),
        figures={"reliability": plots.reliability_svg(table), "dates": plots.dates_svg(past)} if len(past) else {},
        series={f"{name}_at_past_dates": past[name].tolist() for name in ("skill", "low", "high")} if len(past) else {},
    )
    found = finish("win", logged, verdict, metrics, run.tracking, note)
    return replace(found, warnings=extra.warnings)


def _tables(**tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {name: table for name, table in tables.items() if len(table)}


def plain_params(model: WinModel) -> dict[str, Any]:
    """Everything a fitted win model was made with, as plain values."""
    own = {name: value for name, value in model.get_params(deep=False).items() if name != "params"}
    return own | model.params_.to_dict()


def _extra(rows: pd.DataFrame, searched: Found | None) -> _Extra:
    suspicious = leaks(rows)
    tables = {"search": searched.table} if searched else {}
    if suspicious:
        tables["leaks"] = pd.DataFrame(suspicious)
    return _Extra(
        tables,
        _identity_metrics(searched),
        {"leaks": ", ".join(sorted({leak.column for leak in suspicious}))},
        tuple(f"{leak.text} {leak.mend}" for leak in suspicious),
        searched.identity.sentence if searched else "",
    )


def _identity_metrics(searched: Found | None) -> dict[str, float]:
    """What it saves to look at who works on a deal, tried on past dates."""
    if searched is None:
        return {}
    found = searched.identity
    return {"identity_saved": found.saved, "identity_saved_low": found.low, "identity_saved_high": found.high}
