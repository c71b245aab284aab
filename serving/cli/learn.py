"""Verbs about models: train, backtest, effects, models."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.common import AsOf, HomeDir, Seed, echo_table, home_that_is, moment_of, progress, store_of

if TYPE_CHECKING:
    from datetime import datetime

    from serving.effects import Report, Told
    from serving.home import Home
    from training.backtest_result import Backtest
    from training.registry import What

models = typer.Typer(no_args_is_help=True, help="Versions of the models: list, promote, roll back.")


class Model(StrEnum):
    """Kinds of models."""

    win = "win"
    attainment = "attainment"
    churn = "churn"


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("train")(train)
    app.command("backtest")(backtest)
    app.command("effects")(effects)
    app.add_typer(models, name="models")


def train(
    what: Annotated[Model | None, typer.Argument(help="Which model; unset: all three.")] = None,
    home: HomeDir = None,
    as_of: AsOf = None,
    trials: Annotated[int, typer.Option(min=0, help="Win model: shapes of trees to try; 0: presets only.")] = 12,
    like: Annotated[
        str | None, typer.Option(help="Win model: take the parameters of this version or run, or of 'champion'.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Fit a model on the history, log it to MLflow, and put it in use if it passes the gate.

    Example: bellwether train win --like champion
    """
    from crm.errors import NotReady

    place = home_that_is(home)
    moment = moment_of(as_of)
    if what is not None:
        _train(place, what.value, moment, seed, trials, like)
        return
    done = 0
    for model in Model:
        try:
            _train(place, model.value, moment, seed, trials, like)
            done += 1
        except NotReady as error:
            typer.echo(f"{model.value}: not trained. {error}")
    if not done:
        raise typer.Exit(1)


def train_one(home: Home, what: str) -> None:
    """Train one kind of model again on all there is, with the parameters of the one in use; say what came of it."""
    from training.registry import CHAMPION, KINDS

    _train(home, next(kind for kind in KINDS if kind == what), None, 0, 12, CHAMPION if what == "win" else None)


def _train(home: Home, what: What, as_of: datetime | None, seed: int, trials: int, like: str | None) -> None:
    from crm.lake import newest_event
    from serving.jobs.leases import held
    from training.fit import train as fit

    view = home.lake.view()
    with store_of(home) as store, held(store, "models"), progress(f"Training {what}") as tell:
        result = fit(
            what,
            view=view,
            company=home.company(),
            tracking=home.tracking,
            snapshots=home.snapshots,
            as_of=as_of or newest_event(view),
            seed=seed,
            trials=trials,
            like=like,
            progress=lambda text: tell(text, None),
        )
    state = "in use" if result.promoted else f"not in use; version {result.in_use} is"
    typer.echo(f"{what}: version {result.version}, {state}. {result.verdict}")
    if result.note:
        typer.echo(f"  {result.note}")
    for warning in result.warnings:
        typer.echo(f"  Warning: {warning}")
    for name, value in sorted(result.metrics.items()):
        typer.echo(f"  {name}: {value:.4g}")
    if what == "win" and result.promoted:
        _fit_ranges(home)


def _fit_ranges(home: Home) -> None:
    """The model is in use by then: who stops here loses the ranges alone, and the next scoring job makes up for it."""
    from serving.jobs.leases import held
    from training.ranges import fit_ranges

    with store_of(home) as store, held(store, "models"), progress("Ranges of the win model") as tell:
        fit_ranges(
            home.lake.view(), home.company(), tracking=home.tracking, snapshots=home.snapshots,
            progress=lambda text: tell(text, None),
        )  # fmt: skip
    typer.echo("  Ranges: ready.")


def backtest(
    what: Annotated[Model, typer.Argument(help="Which model.")] = Model.win,
    home: HomeDir = None,
    as_of: AsOf = None,
    dates: Annotated[int, typer.Option(min=1, max=26, help="How many past dates, or periods.")] = 6,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables (CSV) and figures (SVG).")] = None,
    reconstruct: Annotated[
        bool, typer.Option("--reconstruct", help="Seal forecasts of past dates in the ledger, marked as such.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Forecast past dates from what was known then, and compare with rivals: rates, the rep's own call, learners.

    Example: bellwether backtest win --dates 6 --out backtest
    """
    from crm.lake import newest_event
    from training.backtest_result import write
    from training.backtests import run

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    until = moment_of(as_of) or newest_event(view)
    with progress("Backtest") as tell:
        found = run(
            what.value, view, company, until=until, folder=place.snapshots, dates=dates, tracking=place.tracking,
            seed=seed, progress=tell,
        )  # fmt: skip
    _show_backtest(found)
    for path in write(found, out) if out is not None else []:
        typer.echo(f"written: {path}")
    if reconstruct:
        _reconstruct(place, until, dates, seed)


def effects(
    home: HomeDir = None,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="File for all figures (JSON, as the API gives them).")] = None,
    seed: Seed = 0,
) -> None:
    """Measure what each action did for the chance to win, keep it with the win model, and say on what basis.

    Example: bellwether effects --out effects.json
    """
    from crm.lake import newest_event
    from serving.effects import report
    from training.effects import measure

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    with progress("Effects") as tell:
        measure(
            view, company, tracking=place.tracking, snapshots=place.snapshots,
            as_of=moment_of(as_of) or newest_event(view), seed=seed, progress=tell,
        )  # fmt: skip
    with store_of(place) as store:
        found = report(view, company, store, tracking=place.tracking)
    _show_effects(found)
    if out is not None:
        from serving.routes.effects import told_by_api

        out.write_text(told_by_api(found).model_dump_json(indent=1), encoding="utf-8")
        typer.echo(f"written: {out}")


def _show_effects(found: Report) -> None:
    from serving.effects import REASONS

    columns = "action, earlier one, weeks, deals, plain, adjusted, left, 90 % range, basis, why".split(", ")
    rows = []
    for told in found.effects:
        if told.part == "again" and not told.treated_rows:
            continue
        plain, adjusted, left = (told.ranges[name] for name in ("plain", "adjusted", "corrected"))
        rows.append([
            told.action, _earlier(told), told.treated_rows, told.treated_deals,
            *(_points(one.value if one else None) for one in (plain, adjusted, left)),
            f"{_points(left.low)} to {_points(left.high)}" if left else "", told.basis, REASONS[told.reason],
        ])  # fmt: skip
    echo_table(columns, rows)
    typer.echo(
        f"Points of the share won within {found.horizon_weeks} weeks. Adjusted: among like deals; left: less the share "
        "that the placebos speak of, its range with an allowance for bias.\n"
    )
    _show_what_effects_rest_on(found)
    typer.echo("\nWhat would make it measured")
    first = [told for told in found.effects if told.part == "first" and told.to_be_measured]
    echo_table(["action", "it takes"], [[told.action, told.to_be_measured] for told in first])
    if (every := found.every) is not None:
        typer.echo(
            f"Held back by chance: {every.held_back} of {every.shown + every.held_back} suggestions, "
            f"{every.known} with a known outcome; about {every.more_needed:,} more to prove 3 points."
        )
    typer.echo("Next: bellwether score")


def _show_what_effects_rest_on(found: Report) -> None:
    typer.echo("What it rests on")
    columns = {
        "logistic": "linear", "trees": "trees", "move with it": "placebo_now", "move before it": "placebo_later",
        "answers after it": "answers_now", "answers before it": "answers_later", "shuffled": "permuted",
    }  # fmt: skip
    rows = []
    for told in found.effects:
        if told.ranges["adjusted"] is not None:
            values = [told.ranges[name] for name in columns.values()]
            shares = [told.shares[name] for name in ("overlap", "process_share", "placebo_share")]
            figures = [_points(one.value if one else None) for one in values]
            rows.append([told.action, _earlier(told), *figures, *("" if s is None else f"{s:.0%}" for s in shares)])
    echo_table(["action", "earlier one", *columns, "either way", "with a move", "taken off"], rows)


def _earlier(told: Told) -> str:
    return "yes" if told.part == "again" else "no"


def _points(value: float | None) -> str:
    return "" if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"  # no minus before 0.0


def _show_backtest(found: Backtest) -> None:
    more = [found.more[name] for name in ("people", "calibration") if len(found.more.get(name, ()))]
    for table in (found.summary, found.differences, *more):
        echo_table(list(table.columns), [[_cell(value) for value in row] for row in table.to_numpy(object)])
    for line in (*found.remarks, found.verdict.en):
        typer.echo(line)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else ""
    return value


def _reconstruct(home: Home, until: datetime, dates: int, seed: int) -> None:
    from serving.history import reconstruct_history
    from serving.ledger import Ledger

    with store_of(home) as store, progress("Past forecasts") as tell:
        added = reconstruct_history(home, Ledger(store), until=until, dates=dates, seed=seed, progress=tell)
    typer.echo(f"{added} rows sealed in the ledger as reconstructed. See: bellwether forecast accuracy")


@models.command("list")
def list_models(
    what: Annotated[Model | None, typer.Argument(help="Which model; unset: all.")] = None, home: HomeDir = None
) -> None:
    """Show all versions, newest first.

    Example: bellwether models list win
    """
    from training import registry

    found = registry.list_versions(what.value if what else None, tracking=home_that_is(home).tracking)
    rows = [
        [v.what, v.version, ", ".join(v.aliases), f"{v.made_at:%Y-%m-%d %H:%M}", v.tags.get("verdict", "")]
        for v in found
    ]
    if not rows:
        typer.echo("There are no models yet. Make them: bellwether train")
        return
    echo_table(["model", "version", "alias", "made", "verdict"], rows)


@models.command("promote")
def promote_model(
    what: Model,
    version: Annotated[str, typer.Argument(help="Version to put in use.")],
    why: Annotated[str, typer.Option(help="The reason, kept in the audit log.")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    home: HomeDir = None,
) -> None:
    """Put a version in use, whatever the gate said; name and reason are kept.

    Example: bellwether models promote win 3 --by ana --why checked
    """
    from serving.model_changes import PROMOTED
    from training import registry

    place = home_that_is(home)
    registry.promote(what.value, version, tracking=place.tracking)
    with store_of(place) as store:
        store.audit(by, PROMOTED, model=what.value, version=version, why=why)
    typer.echo(f"{what.value}: version {version} is in use. Next: bellwether score")


@models.command("rollback")
def roll_back_model(
    what: Model,
    home: HomeDir = None,
    why: Annotated[str, typer.Option(help="The reason, kept in the audit log.")] = "by command",
    by: Annotated[str, typer.Option(help="Who decides.")] = "command line",
) -> None:
    """Put the version back in use that was in use before.

    Example: bellwether models rollback win --why calibration
    """
    from serving.model_changes import ROLLED_BACK
    from training import registry

    place = home_that_is(home)
    version = registry.roll_back(what.value, tracking=place.tracking)
    with store_of(place) as store:
        store.audit(by, ROLLED_BACK, model=what.value, version=version, why=why)
    typer.echo(f"{what.value}: version {version} is in use again. Next: bellwether score")
