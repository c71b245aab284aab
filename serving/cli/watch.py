"""Verbs that look after what was made: monitor, replay, export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.common import AsOf, HomeDir, echo_table, home_option, home_that_is, moment_of, progress, store_of

if TYPE_CHECKING:
    from serving.replay import Compared
    from serving.watched import Watched


class Part(StrEnum):
    """What can be exported."""

    features = "features"
    scores = "scores"
    snapshots = "snapshots"
    sql = "sql"


class Form(StrEnum):
    """How tables are written."""

    parquet = "parquet"
    csv = "csv"


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("monitor")(monitor)
    app.command("replay")(replay)
    app.command("export")(export)


def monitor(
    home: HomeDir = None,
    as_of: AsOf = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train the models for which it is time.")] = False,
) -> None:
    """Say whether it is time to train again: schedule, new outcomes, drift; and which data stopped coming.

    Example: bellwether monitor --retrain
    """
    from serving.monitoring import monitor as look

    place = home_that_is(home)
    with store_of(place) as store, progress("Monitor") as tell:
        found = look(place, store, as_of=moment_of(as_of), say=lambda text: tell(text, None))
    echo_table(
        ["model", "watched", "train again", "figures"],
        [[t.what, t.name, "yes" if t.due else "no", t.text] for t in found.triggers],
    )
    for alert in found.alerts:
        typer.echo(f"Alert: {alert}")
    _then(found, home, retrain)


def _then(found: Watched, home: Path | None, retrain: bool) -> None:
    if not found.due:
        typer.echo("No model needs training.")
        return
    if not retrain:
        typer.echo(f"Train again: {', '.join(found.due)}. Run: bellwether monitor --retrain{home_option(home)}")
        return
    from serving.cli.learn import train_one

    for what in found.due:
        train_one(home_that_is(home), what)


def replay(
    as_of: Annotated[str, typer.Option("--as-of", help="The day whose forecasts are rebuilt, such as 2025-03-31.")],
    home: HomeDir = None,
) -> None:
    """Rebuild a day's forecasts from the data and models of then, and compare them with the ledger.

    Example: bellwether replay --as-of 2025-03-31
    """
    from serving.cli.common import BadMoment
    from serving.replay import replay as rebuild

    moment = moment_of(as_of)
    if moment is None:
        raise BadMoment(as_of)
    place = home_that_is(home)
    with store_of(place) as store, progress("Replay") as tell:
        found = rebuild(place, store, moment.date(), say=lambda text: tell(text, None))
    echo_table(
        ["ledger row", "kind", "of", "as of", "model", "data cut", "rows", "the same", "largest difference", "in"],
        [_compared(c) for c in found],
    )
    wrong = [c for c in found if not c.holds]
    if wrong:
        typer.echo(
            f"{len(wrong)} of {len(found)} sealed rows came out otherwise. Settings that changed since, or another "
            "version of Bellwether, may be why."
        )
        raise typer.Exit(1)
    typer.echo("Every number came out as it was sealed.")


def _compared(c: Compared) -> list[object]:
    head = [c.ledger_row, c.kind, c.entity, c.as_of, c.model_version, c.data_cut, c.rows]
    if c.emptied:
        return [*head, "kept no longer", "", ""]
    return [*head, c.same, f"{c.largest:.1e}", ", ".join(c.differing)]


def export(
    part: Annotated[Part, typer.Argument(help="features, scores, snapshots, or sql: a DuckDB file with views.")],
    out: Annotated[Path, typer.Option(help="Folder to write to; for sql the file.")],
    home: HomeDir = None,
    form: Annotated[Form, typer.Option("--format", help="parquet or csv.")] = Form.parquet,
    as_of: AsOf = None,
) -> None:
    """Write features, scores or snapshots as tables for other tools, or a DuckDB file with documented views.

    Example: bellwether export scores --out tables --format csv
    """
    from serving.tables_out import export as write

    with progress("Export") as tell:
        written = write(
            home_that_is(home),
            part.value,
            out,
            form=form.value,
            as_of=moment_of(as_of),
            say=lambda text: tell(text, None),
        )
    for path, rows in written.items():
        typer.echo(f"written: {path}, {rows:,} rows" if part is not Part.sql else f"written: {path}, {rows} views")
