"""Verbs about forecasts: score, explain, coach, forecast accuracy."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crm.errors import NotAllowed
from serving.cli.common import AsOf, HomeDir, echo_table, home_that_is, moment_of, progress, store_of

if TYPE_CHECKING:
    import pandas as pd

    from serving.home import Home
    from serving.ledger import Kind
    from serving.schemas import Reasons

forecast = typer.Typer(no_args_is_help=True, help="Forecasts against what came.")


_MENDS = {"issued": "", "reconstructed": " Forecast past dates: bellwether backtest --reconstruct"}


class PersonsNotShown(NotAllowed):
    """Figures on single persons are not shown here."""

    def __init__(self, level: str) -> None:
        super().__init__(
            f"people.level in company.yaml is '{level}': figures on a person are not shown to others. "
            "Each sees the own ones on the pages."
        )


class EntityName(StrEnum):
    """What can be explained."""

    deal = "deal"
    rep = "rep"
    account = "account"


_CHANCES = {
    EntityName.deal: (("deals", "deal_id", "win_probability"), ("leads", "deal_id", "win_probability")),
    EntityName.account: (("accounts", "account_id", "churn_probability"),),
}


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("score")(score)
    app.command("explain")(explain)
    app.command("coach")(coach)
    app.add_typer(forecast, name="forecast")


def score(
    out: Annotated[Path | None, typer.Option("--out", help="Folder that gets a copy of the score files.")] = None,
    home: HomeDir = None,
    as_of: AsOf = None,
) -> None:
    """Score open deals, current rep-periods and active accounts, and seal the forecasts in the ledger.

    Example: bellwether score --home var --out scores
    """
    place = home_that_is(home)
    from serving.jobs.leases import held
    from serving.scoring import score_all  # slow to load

    with store_of(place) as store, held(store, "scores"), progress("Scoring") as tell:
        result = score_all(place, store=store, as_of=moment_of(as_of), out=out, progress=tell)
    for name, rows in result.rows.items():
        typer.echo(f"{result.folder / name}.parquet: {rows:,} rows")
    for what, why in result.missing.items():
        typer.echo(f"not scored: {what}. {why}")


def explain(
    entity: Annotated[EntityName, typer.Argument(help="deal, rep or account.")],
    ident: Annotated[str, typer.Argument(metavar="ID", help="Its key.")],
    home: HomeDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what one prediction of the newest scores is made of; contributions add up to it.

    Example: bellwether explain deal D000123
    """
    from crm.errors import NotFound
    from serving.schemas import reasons_of

    place = home_that_is(home)
    if entity is EntityName.rep and (level := place.company().people.level) != "person":
        raise PersonsNotShown(level)
    rows = _newest(place, "reasons")
    found = reasons_of(rows[(rows["entity"] == entity.value) & (rows["entity_id"] == ident)])
    found = found or _plain_rate(place, entity, ident)
    if found is None:
        raise NotFound(f"The newest scores hold no {entity.value} '{ident}'. Only open deals, current reps and "
                       "active accounts are scored.")  # fmt: skip
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    lines: list[list[Any]] = [["(where the model starts)", "", f"{found.base_value:+.4f}"]]
    lines += [[c.feature, "" if c.value is None else c.value, f"{c.contribution:+.4f}"] for c in found.contributions]
    echo_table(["feature", "value", "contribution"], [*lines, ["(prediction)", "", f"{found.prediction:.4f}"]])
    if not found.contributions:
        typer.echo("Nothing that is known moves it: the model in use gives a plain rate.")


def _plain_rate(place: Home, entity: EntityName, ident: str) -> Reasons | None:
    """Reasons of what was scored and has none."""
    from serving.schemas import Reasons

    for file, key, chance in _CHANCES.get(entity, ()):
        rows = _newest(place, file)
        if key in rows and (mine := rows.loc[rows[key] == ident, chance]).notna().any():
            return Reasons(base_value=mine.iloc[0], prediction=mine.iloc[0], contributions=[])
    return None


def coach(
    out: Annotated[Path, typer.Option("--out", help="File to write: .parquet, .csv or .json.")],
    home: HomeDir = None,
) -> None:
    """Write ranked next steps for open deals, from the newest scores.

    Example: bellwether coach --out steps.csv
    """
    from crm.errors import BadInput
    from models.coaching import ENDS  # slow to load

    advice = _newest(home_that_is(home), "advice").drop(columns=ENDS, errors="ignore")
    writers = {
        ".parquet": lambda: advice.to_parquet(out, index=False),
        ".csv": lambda: advice.to_csv(out, index=False),
        ".json": lambda: advice.to_json(out, orient="records", date_format="iso", force_ascii=False, indent=1),
    }
    write = writers.get(out.suffix.lower())
    if write is None:
        raise BadInput(f"--out is '{out}'. Give a name that ends in {', '.join(writers)}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    write()
    typer.echo(f"{len(advice):,} steps for {advice['deal_id'].nunique():,} deals in {out}")
    if advice.empty:
        typer.echo("There is nothing to suggest: the fields that a person can change (bellwether features list) are "
                   "not in the data, or do not matter here. Import activities and deal_changes.")  # fmt: skip


@forecast.command("accuracy")
def show_accuracy(
    home: HomeDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show how good forecasts were: those issued, and apart those reconstructed for past dates.

    Example: bellwether forecast accuracy
    """
    from serving.accuracy import accuracy
    from serving.ledger import Ledger

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    kinds: tuple[Kind, ...] = ("issued", "reconstructed")
    with store_of(place) as store:
        found = {kind: accuracy(Ledger(store), view, company, kind=kind) for kind in kinds}
    figures = {
        kind: {"deals": a.deals.figures, "reps": a.reps.figures, "teams": a.teams.figures} for kind, a in found.items()
    }
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    lines = [
        [kind, part, name, f"{value:.4g}"]
        for kind, parts in figures.items()
        for part, values in parts.items()
        for name, value in values.items()
    ]
    for kind, parts in figures.items():
        if not any(parts.values()):
            typer.echo(f"{kind}: no period that was forecast is over yet.{_MENDS[kind]}")
    if lines:
        echo_table(["forecasts", "of", "figure", "value"], lines)


def _newest(home: Home, name: str) -> pd.DataFrame:
    from serving.scores import NoScores, ScoreBook

    company = home.company()
    scores = ScoreBook(home.scores, home.lake).newest(company)
    if not scores.mark:
        raise NoScores
    return scores.seen_at_machine(company.people).frame(name)
