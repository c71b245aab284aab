"""Levers that the product itself proposes for the running quarter, each with its effect from the draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from planning.goals import COMPANY
from planning.levers import BadLever, retargeted
from planning.scenarios import Base, Comparison, run
from planning.signals import Signal
from serving.reviews.material import Material
from serving.scenarios import GivenLever, Ground, levers_of, seen_totals

_STEP = 0.1  # of the deals made, that a segment is to gain
_LEAST_PEOPLE = 2.0
_NARROWER = 0.05  # by how much a split made anew is to bring chances together


class Spread(NamedTuple):
    """Lowest and highest chance to reach the goal, of people where they are shown, else of teams."""

    before: tuple[float, float]
    after: tuple[float, float]


class Proposal(NamedTuple):
    """One lever, what it would change for the company, and what that rests on.

    Attributes
    ----------
    spread : Spread, optional
        Of goals split anew, which move targets and no draw.
    """

    lever: GivenLever
    total: Comparison
    basis: tuple[str, ...]
    cost: float
    spread: Spread | None = None


def proposals(material: Material, ground: Ground, signals: list[Signal]) -> list[Proposal]:
    """Levers for whoever sees the company, the largest gain first; those that change nothing are left out.

    A promotion is proposed only where 8 past campaigns tell what such ones went with: the product has no effect of its
    own to offer.
    """
    again = GivenLever(kind="resplit", method="potential")
    wanted = [*_moves(material, ground.base), *_segments(ground.base), *_promotions(ground, signals), again]
    found = []
    for lever in wanted:
        try:
            scenario = run(ground.base, levers_of([lever], ground, material.plan))
        except BadLever:
            continue  # such as a team that has nobody to give
        total = scenario.totals[COMPANY]
        spread = spread_of(seen_totals(scenario, material), material) if lever.kind == "resplit" else None
        if not total.unchanged or (spread is not None and _narrows(spread)):
            found.append(Proposal(lever, total, scenario.basis, scenario.cost, spread))
    return sorted(found, key=lambda p: -p.total.gain)


def spread_of(totals: Sequence[Comparison], material: Material) -> Spread | None:
    """How far apart chances lie before and after; None where fewer than two owners have a goal."""
    kinds = (material.facts.reps.index, [team for team in material.facts.teams.index if not material.children(team)])
    for owners in kinds:
        both = [(t.before["p_attain"], t.after["p_attain"]) for t in totals
                if t.owner in owners and "p_attain" in t.before and "p_attain" in t.after]  # fmt: skip
        if len(both) > 1:
            before, after = zip(*both, strict=True)
            return Spread((min(before), max(before)), (min(after), max(after)))
    return None


def _narrows(spread: Spread) -> bool:
    (low, high), (new_low, new_high) = spread
    return (high - low) - (new_high - new_low) >= _NARROWER


def _moves(material: Material, base: Base) -> list[GivenLever]:
    """One person from the team that is surest of its goal to the one that is least sure."""
    rows = material.scores.frames.get("teams")
    below = material.children(COMPANY)
    leaves = [team for team in below if not material.children(team)] or [t for b in below for t in material.children(b)]
    if rows is None or len(leaves) < 2:
        return []
    quarter = material.company.period_of(material.today)
    chance = {
        str(r["team_id"]): float(r["p_attain"])
        for r in rows.dropna(subset=["p_attain"]).to_dict("records")
        if r["team_id"] in leaves and r["metric"] == "bookings" and r["period_end"] == quarter.end
    }
    size = {team: sum(base.capacity.get(base.inputs.people.reps[i], 0.0) for i in base.team(team)) for team in chance}
    givers = [team for team in chance if size[team] >= _LEAST_PEOPLE]
    if not givers or len(chance) < 2:
        return []
    giver, taker = max(givers, key=lambda t: (chance[t], t)), min(chance, key=lambda t: (chance[t], t))
    return [GivenLever(kind="move", people=1, from_team=giver, to_team=taker)] if giver != taker else []


def _segments(base: Base) -> list[GivenLever]:
    """A tenth more of the deals made in the segment that brings most money for the effort."""
    made = {s: part for s, part in base.mix.made.items() if 0 < part < 1 - _STEP}
    if not made:
        return []
    best = max(made, key=lambda s: (retargeted(base.mix.share(None, s), made[s], made[s] + _STEP), s))
    return [GivenLever(kind="retarget", segment=best, share=round(made[best] + _STEP, 2))]


def _promotions(ground: Ground, signals: list[Signal]) -> list[GivenLever]:
    if ground.past is None:
        return []
    slow = [s.subject for s in signals if s.kind == "product_behind"]
    return [GivenLever(kind="promotion", product_id=product) for product in slow[:1]]
