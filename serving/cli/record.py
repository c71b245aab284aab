"""The verb that tells whether the plan works."""

from __future__ import annotations

import typer

from serving.cli.common import HomeDir, echo_table, home_that_is, store_of
from serving.cli.plan import plan


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module, among those of the plan."""
    plan.command("record")(show_record)


def show_record(home: HomeDir = None) -> None:
    """Tell whether the plan works: goals of the last quarter, what was changed, the forecast before, what came.

    Example: bellwether plan record
    """
    from serving.access import Viewer
    from serving.dependencies import Server
    from serving.plan_record import plan_record
    from serving.reviews.desk import ReviewDesk
    from serving.reviews.material import Material
    from serving.settings import Settings

    place = home_that_is(home)
    with store_of(place) as store:
        server = Server(Settings(home=place.root), place, store)
        desk = ReviewDesk(server, Viewer("admin", "command line"), Material.at_machine(place, store))
        told = plan_record(desk)
    if told.period is None:
        typer.echo("No whole quarter on record is over yet, so nothing can be judged.")
    else:
        echo_table(
            ["what", "owner", "metric", "scope", "target", "result", "reached", f"before {told.period.name}"],
            [[r.part, r.owner_id, r.metric, r.scope, _number(r.target), _number(r.result),
              "" if r.attainment is None else f"{r.attainment:.0%}", _number(r.before)] for r in told.results],
        )  # fmt: skip
    for one in told.changes:
        then = "no forecast before"
        if one.forecast:
            low, middle, high = (f"{one.forecast[name]:,.0f}" for name in ("p10", "p50", "p90"))
            then = f"forecast before {middle} ({low} to {high})"
        came = f"came to {_number(one.result)}" if one.over else "the period still runs"
        what = f"{_what(one.before, one.after)}{one.text}"
        typer.echo(f"{one.at:%Y-%m-%d} {one.kind} {one.owner}: {what}; {then}; {came}")


def _what(before: float | None, after: float | None) -> str:
    return f"{_number(before) or 'none'} -> {_number(after) or 'none'}, " if before or after else ""


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"
