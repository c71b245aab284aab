"""Verbs about what the models look at: features list, describe, check."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.common import AsOf, HomeDir, echo_table, home_of, home_that_is, moment_of, progress

if TYPE_CHECKING:
    from crm.company import Company
    from features.catalogue import Entity

features = typer.Typer(no_args_is_help=True, help="What the models look at.")


class EntityName(StrEnum):
    """What features are about."""

    deal = "deal"
    rep = "rep"
    account = "account"


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(features, name="features")


@features.command("list")
def list_features(
    entity: Annotated[EntityName, typer.Argument(help="What they are about.")] = EntityName.deal,
    home: HomeDir = None,
) -> None:
    """Show all features of deals, reps or accounts, the company's own too.

    Example: bellwether features list deal
    """
    from features.catalogue import features as catalogue

    kind: Entity = entity.value
    rows = [[f.name, f.unit, "yes" if f.can_act else "", f.en] for f in catalogue(kind, home_of(home).company())]
    echo_table(["feature", "unit", "can act", "meaning"], rows)


@features.command("describe")
def describe_feature(
    name: Annotated[str, typer.Argument(help="Name of a feature.")],
    entity: Annotated[EntityName | None, typer.Option(help="What it is about; unset: all that have it.")] = None,
    home: HomeDir = None,
) -> None:
    """Show one feature's unit, meaning, SQL, and the tables and columns that it rests on.

    Example: bellwether features describe touches_30d
    """
    from features.catalogue import ENTITIES, UnknownFeature

    company = home_of(home).company()
    kinds = [kind for kind in ENTITIES if entity is None or kind == entity.value]
    problem, told = None, 0
    for kind in kinds:
        try:
            lines = _described(kind, name, company)
        except UnknownFeature as error:
            problem = problem or error
            continue
        if told:
            typer.echo("")
        for label, value in lines.items():
            typer.echo(f"{label}: {value}")
        told += 1
    if problem and not told:
        raise problem


@features.command("check")
def check_features(home: HomeDir = None, as_of: AsOf = None) -> None:
    """Name the columns of deals that know too much: filled in around the closing, or too good to be true.

    Example: bellwether features check
    """
    from crm.lake import newest_event
    from crm.quality import findings
    from training.leaks import leaks
    from training.snapshots import deal_snapshots

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    until = moment_of(as_of) or newest_event(view)
    with progress("Looking") as tell:
        rows = deal_snapshots(view, company, until=until, folder=place.snapshots, progress=tell)
    late = [found for found in findings(view, company) if found.kind == "late_filled"]
    suspicious = leaks(rows)
    for one in late:
        typer.echo(f"{one.column}: {one.text} {one.cost} {one.mend}")
    for leak in suspicious:
        typer.echo(f"{leak.column}: {leak.text} {leak.mend}")
    if not late and not suspicious:
        typer.echo(f"Nothing found in {rows['deal_id'].nunique():,} deals: no column knows more than it should.")


def _described(kind: Entity, name: str, company: Company) -> dict[str, str]:
    from features.catalogue import feature
    from features.lineage import by_table, lineage

    found = feature(kind, name, company)
    return {
        "name": found.name,
        "about": kind,
        "unit": found.unit or "a word",
        "en": found.en,
        "zh": found.zh,
        "can act": "yes" if found.can_act else "no",
        "sql": found.sql,
        "rests on": by_table(lineage(kind, name, company)) or "the calendar",
    }
