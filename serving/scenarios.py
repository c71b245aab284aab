"""Scenarios on a home: the running quarter's simulation with what levers need to know, and what a viewer may see."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from threading import Lock
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from crm.errors import NotReady
from crm.lake import View
from planning.capacity import people_of
from planning.goals import COMPANY, teams_on
from planning.levers import (
    BadLever,
    HandOver,
    Hire,
    Leave,
    Lever,
    MoveCapacity,
    OddsRatio,
    Promotion,
    Resplit,
    Retarget,
    campaign_effect,
)
from planning.overview import Plan
from planning.scenarios import Base, Comparison, Scenario, new_mix, run
from planning.signals import Signal, signals
from planning.splitting import NoGoal, cascade_table
from planning.trend import Trend
from planning.workdays import NoWeight
from serving.access import Sight
from serving.reviews.material import Material
from serving.scores import Scores
from training import registry

Kind = Literal["promotion", "move", "hire", "leave", "hand_over", "retarget", "resplit"]
_kept: OrderedDict[tuple[object, ...], Any] = OrderedDict()
_lock = Lock()


class NoAttainment(NotReady):
    """The scores were made without a model of where periods end."""

    def __init__(self) -> None:
        super().__init__(
            "No model tells where the quarter ends, so it cannot be drawn anew. Make one, then score again: bellwether "
            "train attainment, then bellwether score."
        )


class GivenLever(BaseModel):
    """One lever; which fields it takes depends on its kind."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    product_id: Annotated[str | None, Field(max_length=200, description="Of a promotion; unset: all.")] = None
    segment: Annotated[str | None, Field(max_length=200, description="Of a promotion or re-targeting.")] = None
    odds_low: Annotated[
        float | None, Field(gt=0, le=20, description="Of a promotion: odds ratio, low end of the 90 % range.")
    ] = None
    odds_high: Annotated[float | None, Field(gt=0, le=20, description="High end of it.")] = None
    discount: Annotated[float, Field(ge=0, lt=1, description="Of a promotion, such as 0.05.")] = 0.0
    cost: Annotated[float, Field(ge=0, le=1e12, description="Fixed cost, base currency.")] = 0.0
    people: Annotated[float | None, Field(ge=0, le=1000, description="How many move or are hired.")] = None
    from_team: Annotated[str | None, Field(max_length=200)] = None
    to_team: Annotated[str | None, Field(max_length=200, description="Team that gets people.")] = None
    rep_id: Annotated[str | None, Field(max_length=200, description="Who leaves, or gets the deal.")] = None
    deal_id: Annotated[str | None, Field(max_length=200, description="Deal that is handed over.")] = None
    share: Annotated[float | None, Field(ge=0, le=1, description="Of the deals made, after re-targeting.")] = None
    method: Annotated[
        Literal["equal", "history", "capacity", "potential"] | None,
        Field(
            description="Of a split of the company's bookings goal made anew; unset: potential, by what is forecast."
        ),
    ] = None
    start: Annotated[date | None, Field(description="First day; unset: tomorrow.")] = None
    end: Annotated[date | None, Field(description="First day after a promotion; unset: the quarter's end.")] = None


@dataclass(frozen=True)
class Ground:
    """What scenarios of one data cut start from.

    Attributes
    ----------
    past : OddsRatio, optional
        What past campaigns went with; None with too few of them.
    campaigns : int
        How many are on record.
    """

    base: Base
    past: OddsRatio | None
    campaigns: int


def ground_of(material: Material, scores: Scores, tracking: str) -> Ground:
    """The running quarter, drawn by the attainment model in use; kept for the data cut.

    Parameters
    ----------
    scores : Scores
        All of them: what a viewer may see is cut from the outcome, since luck that deals share cannot be.

    Raises
    ------
    NotReady
        If nothing is scored or no attainment model is in use.
    """
    deals = scores.frame("deals")
    if "attainment" not in (scores.meta.get("models") or {}):
        raise NoAttainment
    champion = registry.champion("attainment", tracking=tracking)
    key = (material.cut, scores.mark, champion.run_id, material.company.model_dump_json())
    with _lock:
        if key not in _kept:
            _kept[key] = _ground(material, deals, champion.model)
            while len(_kept) > 2:
                _kept.popitem(last=False)
        found: Ground = _kept[key]
        return found


def ground_drawn(material: Material, scores: Scores) -> Ground | None:
    """What `ground_of` found before for this data cut and these scores; None where the quarter was not drawn yet."""
    settings = material.company.model_dump_json()
    with _lock:
        for key, found in _kept.items():
            if isinstance(found, Ground) and (key[0], key[1], key[3]) == (material.cut, scores.mark, settings):
                return found
    return None


def levers_of(given: Sequence[GivenLever], ground: Ground, plan: Plan | None = None) -> list[Lever]:
    """Levers as the plan knows them.

    Parameters
    ----------
    plan : Plan, optional
        Goals that are split anew; without it none can be.

    Raises
    ------
    BadLever
        If a field is missing, a promotion's effect is neither given nor known from 8 campaigns, or there is no goal to
        be split.
    """
    return [_lever(one, place, ground, plan) for place, one in enumerate(given)]


def played(material: Material, scores: Scores, tracking: str, given: Sequence[GivenLever]) -> tuple[Scenario, Ground]:
    """A scenario; errors as in `ground_of` and `levers_of`.

    Raises
    ------
    BadLever
        If a lever names what is not there, or what the viewer may not see.
    """
    check_sight(given, material)
    ground = ground_of(material, scores, tracking)
    return run(ground.base, levers_of(given, ground, material.plan)), ground


def check_sight(given: Sequence[GivenLever], material: Material) -> None:
    """Refuse levers on teams, people and deals that the viewer does not see, as if they were not there."""
    sight = material.sight
    for place, one in enumerate(given):
        # A share of the company's goal rests on everybody's figures.
        if one.kind == "resplit" and sight.teams is not None:
            raise BadLever(
                "levers.{place}.kind: the company's goal is split anew by who sees the whole company.", place=place
            )
        for name in ("from_team", "to_team"):
            team = getattr(one, name)
            if team is not None and not sight.team(team):
                raise BadLever(
                    "levers.{place}.{name}: there is no team '{team}'.", place=place, name=name, team=team[:80]
                )
        if one.rep_id is not None and not sight.owner(one.rep_id):
            raise BadLever("levers.{place}.rep_id: there is nobody '{rep_id}'.", place=place, rep_id=one.rep_id[:80])
        # What one person's leaving costs is a figure on that person.
        if one.kind == "leave" and not sight.person(one.rep_id):
            raise BadLever(
                "levers.{place}.rep_id: the company shows no figures on '{rep_id}'.",
                place=place,
                rep_id=str(one.rep_id)[:80],
            )
        if one.deal_id is not None:
            owner = material.facts.deals["owner_id"].get(one.deal_id)
            if owner is None or not sight.owner(owner):
                raise BadLever(
                    "levers.{place}.deal_id: there is no open deal '{deal_id}'.", place=place, deal_id=one.deal_id[:80]
                )


def seen_totals(scenario: Scenario, material: Material) -> list[Comparison]:
    """Totals that the viewer may see: company, then teams, then people."""
    sight: Sight = material.sight
    teams = material.scores.frames.get("teams")
    shown = set(teams["team_id"]) if teams is not None else set()
    names = set(material.facts.teams.index)
    found = []
    for owner, total in scenario.totals.items():
        if owner == COMPANY or owner in names:
            if owner in shown and (sight.teams is None if owner == COMPANY else sight.team(owner)):
                found.append(total)
        elif sight.person(owner):
            found.append(total)
    return sorted(found, key=lambda t: (t.owner != COMPANY, t.owner not in names, t.owner))


def signals_of(material: Material) -> tuple[list[Signal], Trend | None]:
    """Signals that the viewer may see; products, segments and the market are the company's."""
    key = ("signals", material.cut, material.company.model_dump_json(), material.as_of)
    with _lock:
        if key not in _kept:
            _kept[key] = signals(material.reached, material.company, _issued_at_start(material))
            while len(_kept) > 3:
                _kept.popitem(last=False)
        found, trend = _kept[key]
    teams = material.scores.frames.get("teams")
    shown = set(teams["team_id"]) if teams is not None else set()
    whole = material.sight.teams is None
    return [s for s in found if (s.subject in shown if s.kind == "team_behind" else whole)], trend if whole else None


def _issued_at_start(material: Material) -> dict[str, tuple[float, float]]:
    """p10 and p50 of each team's quarter as first issued, if that was in the period's first fifth."""
    quarter = material.company.period_of(material.today)
    start = pd.Timestamp(quarter.start, tz=material.company.time_zone).tz_convert("UTC")
    said = material.ledger.forecasts("issued", "team", since=start.to_pydatetime())
    if said.empty:
        return {}
    limit = start + pd.Timedelta(days=(quarter.end - quarter.start).days / 5)
    same = (said["metric"] == "bookings") & (pd.to_datetime(said["period_start"]).dt.date == quarter.start)
    same &= (pd.to_datetime(said["period_end"]).dt.date == quarter.end) & (said["as_of"] <= limit)
    first = said[same].sort_values("as_of").drop_duplicates("team_id")
    return {str(r["team_id"]): (float(r["p10"]), float(r["p50"])) for r in first.to_dict("records")}


def _ground(material: Material, deals_scored: pd.DataFrame, model: Any) -> Ground:
    view, company, today = material.view, material.company, material.today
    quarter = company.period_of(today)
    (inputs,) = model.inputs(
        view, company, as_of=pd.Timestamp(material.as_of), deals_scored=deals_scored,
        periods=[(quarter.start, quarter.end, "bookings")],
    )  # fmt: skip
    rows = _deals(view, material)
    recent = rows[rows["created"] >= pd.Timestamp(today - timedelta(days=365))]
    base = Base(
        inputs, today, dict(zip(rows["deal_id"], rows["segment"], strict=True)), new_mix(recent),
        _capacities(view, today), _targets(material), _fit_of(rows),
    )  # fmt: skip
    campaigns = view.arrow("campaigns").to_pandas()
    closed = rows[rows["outcome"].isin(["won", "lost"])].assign(won=lambda r: r["outcome"] == "won")
    return Ground(base, campaign_effect(campaigns, closed, today), len(campaigns))


def _deals(view: View, material: Material) -> pd.DataFrame:
    """Deals less leads: deal_id, owner_id, account_id, product_id, segment, outcome, amount, created, day (closed)."""
    raw = view.arrow("deals").select(["deal_id", "product_id"]).to_pandas().drop_duplicates("deal_id")
    facts = material.facts.deals.reset_index()
    found = facts[facts["kind"].fillna("new") != "lead"].merge(raw, on="deal_id", how="left")
    segments = material.facts.accounts["segment"]
    found["segment"] = found["account_id"].map(segments).astype(object).fillna("")
    found["product_id"] = found["product_id"].astype(object).fillna("")
    zone = material.company.time_zone
    for name, source in (("created", "created_at"), ("day", "closed_at")):
        found[name] = pd.to_datetime(found[source], utc=True).dt.tz_convert(zone).dt.tz_localize(None)
    found["day"] = found["day"].dt.normalize()
    columns = ["deal_id", "owner_id", "account_id", "product_id", "segment", "outcome", "amount", "created", "day"]
    return found[columns]


def _capacities(view: View, today: date) -> dict[str, float]:
    """Full-time people that each person counts for today: part time times ramp, nobody who is gone."""
    people = people_of(view, teams_on(view, today))
    return {p.rep_id: float(p.fte) * float(p.ramp(today)) for p in people if p.left_on is None or p.left_on > today}


def _targets(material: Material) -> dict[str, float]:
    quarter, found = material.company.period_of(material.today), dict[str, float]()
    for goal in material.plan.running:
        if goal.metric == "bookings" and not goal.scope and (goal.start, goal.end) == (quarter.start, quarter.end):
            found[goal.owner_id] = float(goal.target or 0.0)
    return {owner: target for owner, target in found.items() if target > 0}


class _fit_of:  # noqa: N801 - a function that keeps its tables
    """How well a person fits a deal: half for having worked the account, the rest for wins in segment and product."""

    def __init__(self, rows: pd.DataFrame) -> None:
        deals = rows.drop_duplicates("deal_id").set_index("deal_id")
        self._deals: Mapping[str, Any] = deals[["account_id", "segment", "product_id"]].to_dict("index")
        self._worked = set(zip(rows["owner_id"], rows["account_id"], strict=True))
        won = rows[rows["outcome"] == "won"]
        self._share = {by: _shares(won, by) for by in ("segment", "product_id")}

    def __call__(self, deal_id: str, rep_id: str) -> float:
        deal = self._deals.get(deal_id)
        if deal is None:
            return 0.0
        worked = 0.5 if (rep_id, deal["account_id"]) in self._worked else 0.0
        segment = self._share["segment"].get((rep_id, deal["segment"]), 0.0)
        product = self._share["product_id"].get((rep_id, deal["product_id"]), 0.0)
        return worked + 0.3 * segment + 0.2 * product


def _shares(won: pd.DataFrame, by: str) -> dict[tuple[str, str], float]:
    """Share of each person's wins by a column, scaled so that the most of all people is 1."""
    counts = won.groupby(["owner_id", by]).size()
    shares = counts / counts.groupby(level=0).transform("sum")
    most = shares.groupby(level=1).transform("max")
    return {(str(rep), str(key)): float(value) for (rep, key), value in (shares / most).items()}


def _lever(given: GivenLever, place: int, ground: Ground, plan: Plan | None) -> Lever:
    def needed(name: str) -> Any:
        if (value := getattr(given, name)) is None:
            raise BadLever(
                "levers.{place}.{name}: a lever of the kind {kind} needs it.", place=place, name=name, kind=given.kind
            )
        return value

    makers: dict[Kind, Any] = {
        "promotion": lambda: Promotion(
            _odds(given, place, ground), given.product_id, given.segment, given.discount, given.cost, given.start,
            given.end,
        ),
        "move": lambda: MoveCapacity(needed("people"), needed("from_team"), needed("to_team"), given.start),
        "hire": lambda: Hire(needed("people"), needed("to_team"), given.start or ground.base.today),
        "leave": lambda: Leave(needed("rep_id"), given.start),
        "hand_over": lambda: HandOver(needed("deal_id"), needed("rep_id")),
        "retarget": lambda: Retarget(needed("segment"), needed("share"), given.start),
        "resplit": lambda: Resplit(_split(given, place, plan)),
    }  # fmt: skip
    made: Lever = makers[given.kind]()
    return made


def _split(given: GivenLever, place: int, plan: Plan | None) -> dict[str, Decimal]:
    """Targets of teams and people if the company's bookings goal were split anew."""
    try:
        if plan is None:
            raise NoGoal
        table, _ = cascade_table(plan, None, given.method or "potential")
    except (NoGoal, NoWeight) as problem:
        raise BadLever("levers.{place}.kind: {problem}", place=place, problem=problem) from problem
    return {str(row["owner_id"]): row["target"] for row in table.to_dict("records")}


def _odds(given: GivenLever, place: int, ground: Ground) -> OddsRatio:
    """The effect that was typed in, which is an assumption; else what at least 8 past campaigns went with."""
    if given.odds_low is not None and given.odds_high is not None:
        return OddsRatio(given.odds_low, given.odds_high)
    if ground.past is not None and given.odds_low is None and given.odds_high is None:
        return ground.past
    raise BadLever(
        "levers.{place}.odds_low, odds_high: give both ends of the effect that you assume. Fewer than 8 past "
        "campaigns can be judged, so their effect is not known here.",
        place=place,
    )
