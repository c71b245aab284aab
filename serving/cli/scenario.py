"""The verb that tries levers on the running quarter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crm.errors import BadInput
from serving.cli.common import HomeDir, echo_table, home_that_is, progress, store_of
from serving.cli.plan import plan

if TYPE_CHECKING:
    from serving.scenarios import GivenLever


class BadLeverText(BadInput):
    """A lever cannot be read."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(
            f"--lever is '{text}': {why}. Give a kind and what it takes, such as --lever 'move people=1 from_team=T1 "
            "to_team=T2', or 'promotion product_id=P1 odds_low=1.2 odds_high=1.9 discount=0.05'."
        )


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module, among those of the plan."""
    plan.command("scenario")(scenario)


def scenario(
    lever: Annotated[
        list[str] | None,
        typer.Option(
            "--lever", help="KIND and NAME=VALUE; promotion, move, hire, leave, hand_over, retarget or resplit."
        ),
    ] = None,
    home: HomeDir = None,
) -> None:
    """Show where plan and reality part and, with levers, the quarter before and after; nothing is stored.

    Example: bellwether plan scenario --lever "move people=1 from_team=T01 to_team=T02"
    """
    from serving.reviews.material import Material
    from serving.scenarios import signals_of

    place = home_that_is(home)
    with store_of(place) as store, progress("Drawing the quarter") as tell:
        tell("signals", 0.1)
        material = Material.at_machine(place, store)
        if not lever:
            found, trend = signals_of(material)
        else:
            _play(place.root, material, [_lever(text) for text in lever], place.tracking)
            return
    for one in found:
        typer.echo(f"{one.kind} {one.subject}: {one.actual:,.0f}, to be expected {one.expected:,.0f} ({one.basis})")
    if not found:
        typer.echo("Nothing stands out: teams, products, segments and the market are within their usual ranges.")
    if trend is not None:
        word = "outside" if trend.outside else "inside"
        typer.echo(f"{trend.month}: {trend.actual:,.0f}, {word} {trend.low:,.0f} to {trend.high:,.0f} ({trend.method})")


def _play(root: Path, material: object, levers: list[GivenLever], tracking: str) -> None:
    from serving.home import Home
    from serving.reviews.material import Material
    from serving.scenarios import played, seen_totals
    from serving.scores import ScoreBook

    assert isinstance(material, Material)
    home = Home(root)
    newest = ScoreBook(home.scores, home.lake).newest(material.company)
    found, _ = played(material, newest, tracking, levers)
    rows = [
        [
            t.owner, f"{t.before['p50']:,.0f}", f"{t.after['p50']:,.0f}", f"{t.gain:,.0f}",
            f"{t.gain_low:,.0f} to {t.gain_high:,.0f}", f"{t.better:.0%}",
            " to ".join(f"{part['p_attain']:.0%}" for part in (t.before, t.after) if "p_attain" in part),
        ]
        for t in seen_totals(found, material) if not t.unchanged
    ]  # fmt: skip
    if not rows:
        typer.echo("No change.")
        return
    echo_table(["owner", "before", "after", "gain", "80% range", "better in", "chance of the goal"], rows)
    typer.echo(f"basis {', '.join(found.basis) or 'the draws alone'}; cost {found.cost:,.0f}, net {found.net:,.0f}")


def _lever(text: str) -> GivenLever:
    from pydantic import ValidationError

    from serving.scenarios import GivenLever

    kind, *parts = text.split()
    pairs = dict(part.partition("=")[::2] for part in parts)
    try:
        return GivenLever.model_validate({"kind": kind, **pairs})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadLeverText(text, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
