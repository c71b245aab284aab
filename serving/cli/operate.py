"""Verbs that run the service: serve, demo, doctor, ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.cli.common import HomeDir, echo_table, home_that_is, progress, store_of

ledger = typer.Typer(no_args_is_help=True, help="Forecasts as issued.")

Host = Annotated[str | None, typer.Option(help="Address to serve on; unset: BELLWETHER_HOST, else 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="Port to serve on; unset: BELLWETHER_PORT, else 8000.")]

Workers = Annotated[
    int | None, typer.Option(min=1, max=64, help="Processes that answer; unset: BELLWETHER_WORKERS, else 1.")
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("serve")(serve)
    app.command("demo")(demo)
    app.command("doctor")(doctor)
    app.add_typer(ledger, name="ledger")


def serve(home: HomeDir = None, host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Serve API and pages of a home.

    Example: bellwether serve --home var --port 8000
    """
    from serving.server import run, settings_for

    run(settings_for(home, host, port, workers))


def demo(
    home: HomeDir = None,
    host: Host = None,
    port: Port = None,
    reps: Annotated[int, typer.Option(help="How many people sell in the sample company.")] = 60,
    months: Annotated[int, typer.Option(help="How long its history is.")] = 24,
) -> None:
    """Build the sample company, train, score and serve it; what was done before is not done again.

    Example: bellwether demo --home var
    """
    from serving.demo import run_demo
    from serving.server import settings_for

    run_demo(settings_for(home, host, port), reps=reps, months=months)


def doctor(home: HomeDir = None) -> None:
    """Check settings, port, installation, store, lake, clock, models and scores; each problem with its mend.

    Example: bellwether doctor --home var
    """
    from serving.doctor import examine_here

    findings = examine_here(home)
    marks = {"ok": "ok", "note": "note", "bad": "BAD"}
    echo_table(["check", "", "finding"], [[f.check, marks[f.state], f.text] for f in findings])
    if any(f.state == "bad" for f in findings):
        raise typer.Exit(1)


@ledger.command("verify")
def verify_ledger(home: HomeDir = None) -> None:
    """Check that no forecast was changed, dropped or slipped in; names the first broken row.

    Example: bellwether ledger verify
    """
    from serving.ledger import Ledger

    with store_of(home_that_is(home)) as store, progress("Checking") as tell:
        verdict = Ledger(store).verify(lambda row: tell(f"row {row}", None) if row % 50 == 0 else None)
    if not verdict.whole:
        typer.echo(f"The ledger is broken: {verdict.problem}.")
        raise typer.Exit(1)
    emptied = f" Of {verdict.emptied}, forecasts on persons, the time was over." if verdict.emptied else ""
    typer.echo(f"The ledger is whole: {verdict.checked} rows, each as it was issued.{emptied}")
