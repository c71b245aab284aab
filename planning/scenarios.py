"""Scenarios: levers on the joint draws of a period, before and after with the same luck, by company, team, person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from models.attainment_draw import PeriodInputs
from models.learners import Floats
from models.rollup import COMPANY
from models.simulation import Change, Draws
from planning.levers import (
    BadLever,
    HandOver,
    Hire,
    Leave,
    Lever,
    MoveCapacity,
    Promotion,
    Resplit,
    Retarget,
    capacity_factor,
    handed_over,
    odds_moved,
    retargeted,
)

Fit = Callable[[str, str], float]
"""How well a person fits a deal, 0 to 1, by deal_id and rep_id."""


@dataclass(frozen=True)
class NewMix:
    """What new business is made of, from the deals of the last year.

    Attributes
    ----------
    value : mapping of (product_id, segment) to float
        Shares of the money won.
    made : mapping of str to float
        Shares of the deals made, by segment.
    conversion : float
        Won of won and lost.
    """

    value: Mapping[tuple[str, str], float] = field(default_factory=dict)
    made: Mapping[str, float] = field(default_factory=dict)
    conversion: float = 0.25

    def share(self, product_id: str | None, segment: str | None) -> float:
        """Share of the money won by a product or in a segment, or both."""
        return sum(
            part for (product, place), part in self.value.items()
            if product_id in (None, product) and segment in (None, place)
        )  # fmt: skip


@dataclass(frozen=True)
class Base:
    """What scenarios start from: one period's inputs, and what levers need to know.

    Parameters
    ----------
    today : date
        Day of the forecast.
    segments : mapping of str to str
        Segment of each open deal, by deal_id.
    capacity : mapping of str to float
        Capacity of each person today, in full-time people.
    targets : mapping of str to float
        By rep_id, team_id or 'company'.
    """

    inputs: PeriodInputs
    today: date
    segments: Mapping[str, str] = field(default_factory=dict)
    mix: NewMix = field(default_factory=NewMix)
    capacity: Mapping[str, float] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    fit: Fit = lambda _deal, _rep: 0.0

    @cached_property
    def drawn(self) -> Draws:
        """The draws without a lever."""
        return self.inputs.forecast().draws

    @property
    def teams(self) -> dict[str, list[int]]:
        """Places of each team's people."""
        return self.inputs.people.teams

    def weight(self, start: date | None, end: date | None = None) -> float:
        """Share of the days left that lie in [start, end)."""
        first, last = self.today + timedelta(days=1), self.inputs.end
        whole = (last - first).days
        if whole <= 0:
            return 0.0
        inside = (min(end or last, last) - max(start or first, first)).days
        return min(max(inside / whole, 0.0), 1.0)

    def team(self, team_id: str) -> list[int]:
        """Places of a team's people.

        Raises
        ------
        BadLever
            If there is no such team.
        """
        if team_id not in self.teams:
            raise BadLever(
                "team: there is no team '{team_id}'. Known: {teams}.",
                team_id=team_id[:80],
                teams=", ".join(sorted(self.teams)[:12]),
            )
        return self.teams[team_id]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One owner's total before and after.

    Attributes
    ----------
    before, after : mapping of str to float
        mean, p10, p50, p90, p_attain (missing without a target).
    gain, gain_low, gain_high : float
        Paired difference: its mean and 80 % interval.
    better, worse : float
        Shares of the draws in which it is better and worse.
    """

    owner: str
    before: dict[str, float]
    after: dict[str, float]
    gain: float
    gain_low: float
    gain_high: float
    better: float
    worse: float

    @property
    def unchanged(self) -> bool:
        """Whether not one draw moved."""
        return self.better == 0 and self.worse == 0 and self.before == self.after


@dataclass(frozen=True)
class Scenario:
    """A scenario's outcome.

    Attributes
    ----------
    totals : dict of str to Comparison
        By rep_id, team_id and 'company'.
    cost : float
        Fixed cost of the levers; `net` is the company's gain less it.
    basis : tuple of str
        What the effects rest on, each once.
    """

    totals: dict[str, Comparison]
    cost: float
    basis: tuple[str, ...]
    before: Draws
    after: Draws

    @property
    def net(self) -> float:
        """Gain of the company less the cost."""
        return self.totals[COMPANY].gain - self.cost


def run(base: Base, levers: Sequence[Lever]) -> Scenario:
    """Draw a period with and without levers, with the same luck.

    Without a lever not one draw moves. Win odds move, timing given a win does not. A lever's own uncertainty is drawn
    too.

    Raises
    ------
    BadLever
        If a lever names what is not there.
    """
    plan = _Effect.of(base)
    for place, lever in enumerate(levers):
        _apply(lever, base, plan, np.random.default_rng([base.inputs.seed, place, 7]))
    before = base.drawn
    after = plan.draws(base) if plan.moves else before
    targets = dict(base.targets)
    new_targets = targets | {k: float(v) for one in levers if isinstance(one, Resplit) for k, v in one.targets.items()}
    return Scenario(_totals(base, before, after, targets, new_targets), plan.cost, tuple(plan.basis), before, after)


@dataclass
class _Effect:
    """What all levers together change.

    Attributes
    ----------
    ratio : shape (deals, draws)
        Odds ratios, 1 where nothing changes; None while nothing does.
    kept : shape (deals,)
        Factors of chances after a hand-over.
    price : shape (deals,)
        Factors of amounts.
    new : shape (reps, draws)
        Factors of new business.
    owner : dict of int to int
        New place of a deal's owner.
    """

    shape: tuple[int, int, int]
    ratio: Floats | None = None
    kept: Floats | None = None
    price: Floats | None = None
    new: Floats | None = None
    owner: dict[int, int] = field(default_factory=dict)
    cost: float = 0.0
    basis: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Base) -> _Effect:
        inputs = base.inputs
        return cls((len(inputs.deals), len(inputs.people.reps), inputs.draws))

    @property
    def moves(self) -> bool:
        return any(part is not None for part in (self.ratio, self.kept, self.price, self.new)) or bool(self.owner)

    def scale_new(self, places: Sequence[int], factor: Floats | float) -> None:
        if self.new is None:
            self.new = np.ones(self.shape[1:])
        self.new[list(places)] *= factor

    def draws(self, base: Base) -> Draws:
        change = self._change()
        drawn = base.drawn if change is None else base.inputs.forecast(change).draws
        deals, credit, new = drawn.deals, drawn.credit, drawn.new
        if self.price is not None:
            deals = deals * self.price[:, None]
        if self.new is not None:
            new = new * self.new
        if self.owner:
            moved = credit.toarray()
            for deal, rep in self.owner.items():
                moved[:, deal] = 0.0
                moved[rep, deal] = 1.0
            credit = type(credit)(moved)
        return replace(drawn, deals=deals, credit=credit, new=new)

    def _change(self) -> Change | None:
        if self.ratio is None and self.kept is None:
            return None

        def change(chances: Floats) -> Floats:
            moved = chances
            if self.ratio is not None:  # where the ratio is 1, the chance stays the same to the bit
                moved = np.where(self.ratio == 1.0, moved, odds_moved(moved, self.ratio))
            return moved if self.kept is None else moved * self.kept[:, None]

        return change


def _apply(lever: Lever, base: Base, plan: _Effect, rng: np.random.Generator) -> None:
    if isinstance(lever, Promotion):
        _promote(lever, base, plan, rng)
    elif isinstance(lever, MoveCapacity):
        _move(lever, base, plan)
    elif isinstance(lever, Hire):
        _hire(lever, base, plan)
    elif isinstance(lever, Leave):
        _leave(lever, base, plan)
    elif isinstance(lever, HandOver):
        _hand_over(lever.deal_id, lever.rep_id, base, plan)
    elif isinstance(lever, Retarget):
        _retarget(lever, base, plan)


def _promote(lever: Promotion, base: Base, plan: _Effect, rng: np.random.Generator) -> None:
    if not 0 <= lever.discount < 1:
        raise BadLever(
            "discount: {discount:g} cannot be. Give a share from 0 to below 1, such as 0.05.", discount=lever.discount
        )
    deals, during = base.inputs.deals, base.weight(lever.start, lever.end)
    mask = np.ones(len(deals), dtype=bool)
    if lever.product_id is not None:
        mask &= (deals["product_id"].astype(object) == lever.product_id).to_numpy(bool)
    if lever.segment is not None:
        mask &= np.array([base.segments.get(deal) == lever.segment for deal in deals["deal_id"]], dtype=bool)
    ratio = lever.odds.draw(base.inputs.draws, rng) ** during
    if plan.ratio is None:
        plan.ratio = np.ones((len(deals), base.inputs.draws))
    plan.ratio[mask] *= ratio
    if plan.price is None:
        plan.price = np.ones(len(deals))
    plan.price[mask] *= 1 - lever.discount * during
    share, won = base.mix.share(lever.product_id, lever.segment), base.mix.conversion
    gain = odds_moved(np.full(base.inputs.draws, won), ratio) / won * (1 - lever.discount * during)
    plan.scale_new(range(plan.shape[1]), 1 - share + share * gain)
    plan.cost += lever.cost
    plan.basis[lever.odds.basis] = None


def _move(lever: MoveCapacity, base: Base, plan: _Effect) -> None:
    for team, step in ((lever.from_team, -lever.people), (lever.to_team, lever.people)):
        have = _capacity(base, team)
        if have + step < 0:
            raise BadLever(
                "people: team {team} has {have:g}, and {people:g} shall go. Give fewer.",
                team=team,
                have=have,
                people=lever.people,
            )
        _scale(base, plan, team, capacity_factor(have, have + step), base.weight(lever.start))
    plan.basis["assumption"] = None


def _hire(lever: Hire, base: Base, plan: _Effect) -> None:
    """New people come in at 0, 25, 50, 75 % of a full one in their first months, then whole."""
    have, days = _capacity(base, lever.team), (base.inputs.end - max(lever.start, base.today)).days
    ramp = np.mean([min(day // 30, 4) / 4 for day in range(days)]) if days > 0 else 0.0
    factor = capacity_factor(have, have + lever.people * float(ramp))
    _scale(base, plan, lever.team, factor, base.weight(lever.start))
    plan.basis["assumption"] = None


def _leave(lever: Leave, base: Base, plan: _Effect) -> None:
    people = base.inputs.people
    if lever.rep_id not in people.place:
        raise BadLever("rep_id: there is nobody '{rep_id}'. Give a rep_id.", rep_id=lever.rep_id[:80])
    place = people.place[lever.rep_id]
    plan.scale_new([place], 1 - base.weight(lever.start))
    own = base.inputs.credit[[place]].toarray()[0]
    heirs, taken = _colleagues(base, place), Counter[str]()
    for deal in np.flatnonzero(own > 0):
        ident = str(base.inputs.deals["deal_id"].iloc[deal])
        if heirs:
            # The best fit; among equals whoever took the fewest so far.
            best = min(heirs, key=lambda rep: (-base.fit(ident, rep), taken[rep], rep))
            taken[best] += 1
            _hand_over(ident, best, base, plan)
        else:
            _keep(plan, int(deal), 0.0)
    plan.basis["assumption"] = None


def _colleagues(base: Base, place: int) -> list[str]:
    """People of the smallest team that holds a person and others who work."""
    people = base.inputs.people
    teams = sorted((len(m), t) for t, m in people.teams.items() if place in m and len(m) > 1)
    for _, team in teams:
        found = [people.reps[i] for i in people.teams[team] if i != place and people.reps[i] in people.working]
        found = [rep for rep in found if base.capacity.get(rep, 1.0) > 0]
        if found:
            return found
    return []


def _hand_over(deal_id: str, rep_id: str, base: Base, plan: _Effect) -> None:
    place, names = base.inputs.people.place, base.inputs.deals["deal_id"].tolist()
    if rep_id not in place:
        raise BadLever("rep_id: there is nobody '{rep_id}'. Give a rep_id.", rep_id=rep_id[:80])
    if deal_id not in names:
        raise BadLever("deal_id: there is no open deal '{deal_id}'. Give one that is open.", deal_id=deal_id[:80])
    deal = names.index(deal_id)
    plan.owner[deal] = place[rep_id]
    _keep(plan, deal, float(handed_over(1.0, base.fit(deal_id, rep_id))))
    plan.basis["assumption"] = None


def _keep(plan: _Effect, deal: int, factor: float) -> None:
    if plan.kept is None:
        plan.kept = np.ones(plan.shape[0])
    plan.kept[deal] *= factor


def _retarget(lever: Retarget, base: Base, plan: _Effect) -> None:
    if not 0 <= lever.share <= 1:
        raise BadLever("share: {share:g} cannot be. Give a share of the deals made, from 0 to 1.", share=lever.share)
    made = base.mix.made.get(lever.segment)
    if made is None:
        known = ", ".join(sorted(base.mix.made)) or "none"
        raise BadLever(
            "segment: no deal of '{segment}' was made in the last year. Known: {known}.",
            segment=lever.segment[:80],
            known=known,
        )
    factor, during = retargeted(base.mix.share(None, lever.segment), made, lever.share), base.weight(lever.start)
    if factor != 1.0:
        plan.scale_new(range(plan.shape[1]), 1 + (factor - 1) * during)
    plan.basis["association"] = None


def _capacity(base: Base, team: str) -> float:
    reps = base.inputs.people.reps
    return sum(base.capacity.get(reps[place], 0.0) for place in base.team(team))


def _scale(base: Base, plan: _Effect, team: str, factor: float, during: float) -> None:
    if factor != 1.0 and during > 0:
        plan.scale_new(base.team(team), 1 + (factor - 1) * during)


def _totals(
    base: Base, before: Draws, after: Draws, targets: Mapping[str, float], new_targets: Mapping[str, float]
) -> dict[str, Comparison]:
    people, found = base.inputs.people, dict[str, Comparison]()
    reps = before.reps, after.reps
    groups = {team: members for team, members in people.teams.items() if members}
    groups |= {rep: [place] for rep, place in people.place.items() if rep}
    for owner, members in groups.items():
        old, new = before.of(members, reps[0]), after.of(members, reps[1])
        if old.max() > 0 or new.max() > 0 or owner in targets:
            found[owner] = compare(owner, old, new, targets.get(owner), new_targets.get(owner))
    return found


def compare(
    owner: str, before: Floats, after: Floats, target: float | None = None, new_target: float | None = None
) -> Comparison:
    """Two sets of draws with the same luck, shape (draws,) each."""
    gain = after - before
    low, high = np.quantile(gain, [0.1, 0.9])
    return Comparison(
        owner, _figures(before, target), _figures(after, target if new_target is None else new_target),
        float(gain.mean()), float(low), float(high), float((gain > 0).mean()), float((gain < 0).mean()),
    )  # fmt: skip


def _figures(draws: Floats, target: float | None) -> dict[str, float]:
    p10, p50, p90 = np.quantile(draws, [0.1, 0.5, 0.9])
    found = {"mean": float(draws.mean()), "p10": float(p10), "p50": float(p50), "p90": float(p90)}
    return found | ({"p_attain": float((draws >= target).mean()), "target": target} if target else {})


def new_mix(rows: pd.DataFrame) -> NewMix:
    """What new business is made of.

    Parameters
    ----------
    rows : DataFrame
        Deals made in the last year: product_id, segment ('' where unknown), outcome, amount (base currency).
    """
    won, ended = rows[rows["outcome"] == "won"], rows[rows["outcome"].isin(["won", "lost"])]
    money = won.groupby(["product_id", "segment"])["amount"].sum()
    whole = float(money.sum())
    value = {(str(p), str(s)): float(v) / whole for (p, s), v in money.items()} if whole > 0 else {}
    made = {str(k): float(v) for k, v in rows["segment"].value_counts(normalize=True).items() if k}
    # Twenty deals of one in four stand behind it, so that few deals make no wild rate.
    return NewMix(value, made, (len(won) + 5.0) / (len(ended) + 20.0))
