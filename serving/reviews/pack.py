"""The figures of a review pack, in no language: goals, forecast and its change, record, deals, risks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple

import pandas as pd

from planning.goals import COMPANY, MONEY_METRICS, Goal, actual
from planning.pace import standing
from planning.periods import SUMS, curve_of, name_of
from planning.record import Result, last_quarter, results
from planning.reviews import Rhythm, since, worth_talking
from serving.ledger import Kind
from serving.pages import facts as lake_facts
from serving.pages.outlook import Outcome, primary
from serving.reviews.ahead import Ahead, ahead
from serving.reviews.material import Material
from serving.reviews.plan_parts import PlanParts, plan_parts

SILENT_DAYS = 14
MOST_NAMED = 6
MOST_RISKS = 8
Moved = Literal["won", "lost", "new", "slipped", "amount", "silent"]


class GoalLine(NamedTuple):
    """Where one goal stands; missing figures are None."""

    owner_kind: str
    owner_id: str
    metric: str
    period: str
    target: float
    actual: float | None
    attainment: float | None
    expected: float | None
    gap: float | None
    pace: float | None
    status: str
    p_attain: float | None


class Earlier(NamedTuple):
    """A forecast of the same period as it was issued, or reconstructed, before."""

    kind: Kind
    as_of: datetime
    outcome: Outcome


class MovedDeals(NamedTuple):
    """Deals of which something happened since the last review: how many, their money, the largest."""

    what: Moved
    deals: int
    amount: float
    largest: list[tuple[str, str, float | None]]  # deal_id, name, amount


class Record(NamedTuple):
    """One forecast of a period that is over."""

    kind: Kind
    as_of: datetime
    period: str
    metric: str
    p10: float
    p50: float
    p90: float
    actual: float
    run_rate: float


class TalkAbout(NamedTuple):
    """A deal to talk about."""

    deal_id: str
    name: str
    account: str
    owner_id: str
    stage: str
    amount: float
    close_date: date | None
    chance: float
    p_in_period: float
    stake: float
    silent_days: int | None


class Risk(NamedTuple):
    """What could go wrong, by a figure of the forecast: likelihood and money."""

    kind: Literal["target_missed", "slipping", "concentration", "account_leaving"]
    subject: str  # a team, rep, deal or account
    name: str
    likelihood: float
    money: float


class MixLine(NamedTuple):
    """Closed deals of a product or against a competitor in the time since the last review."""

    name: str
    won: int
    lost: int
    amount: float
    amount_before: float | None


@dataclass(frozen=True)
class Pack:
    """A review's figures.

    Attributes
    ----------
    since : date
        First day that it looks back to.
    earlier : Earlier, optional
        What was forecast at the last review.
    """

    rhythm: Rhythm
    team_id: str
    team_name: str | None
    as_of: datetime
    today: date
    since: date
    data_cut: int
    outcome: Outcome | None
    earlier: Earlier | None
    goals: list[GoalLine] = field(default_factory=list)
    moved: list[MovedDeals] = field(default_factory=list)
    record: list[Record] = field(default_factory=list)
    deals: list[TalkAbout] = field(default_factory=list)
    risks: list[Risk] = field(default_factory=list)
    products: list[MixLine] = field(default_factory=list)
    competitors: list[MixLine] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    plan: PlanParts = field(default_factory=PlanParts)
    ahead: Ahead = field(default_factory=Ahead)

    @property
    def persons(self) -> list[str]:
        """People of whom it shows figures."""
        shown = [line.owner_id for line in self.goals if line.owner_kind == "rep"]
        risks = (r.subject for r in self.risks if r.subject in shown)
        return list(dict.fromkeys([*shown, *risks, *self.plan.persons, *self.ahead.persons]))


def make_pack(material: Material, rhythm: Rhythm, team_id: str = COMPANY, last: date | None = None) -> Pack:
    """A pack at the moment of the newest scores.

    Parameters
    ----------
    last : date, optional
        Day of the last review of the series; unset: a week, the last month or the last quarter is looked back on.

    Raises
    ------
    NoSuchTeam
        If there is no such team, or not for this viewer.
    """
    material.check_team(team_id)
    begun = last or since(rhythm, material.today, material.company)
    outcome = outcome_of(material, team_id)
    deals, risks = _open(material, team_id), list[Risk]()
    if outcome is not None:
        risks = _risks(material, team_id, outcome, deals)
    mixed = rhythm != "weekly"
    return Pack(
        rhythm,
        team_id,
        material.team_name(team_id),
        material.as_of,
        material.today,
        begun,
        int(material.scores.meta["data_cut"]),
        outcome,
        _earlier(material, team_id, outcome, begun) if outcome else None,
        _goals(material, team_id, rhythm),
        _moved(material, team_id, begun, deals),
        _record(material, team_id),
        _talk(deals),
        risks,
        _mix(material, team_id, begun, "product") if mixed else [],
        _mix(material, team_id, begun, "competitor") if mixed else [],
        _results(material, team_id) if rhythm == "quarterly" else [],
        plan_parts(material, rhythm, team_id),
        ahead(material, team_id, _shown_owners(material, team_id)) if rhythm == "quarterly" else Ahead(),
    )


def outcome_of(material: Material, team_id: str) -> Outcome | None:
    """Where a team is likely to end the quarter; None where no figure may be shown."""
    teams = material.scores.frames.get("teams")
    if teams is None:
        return None
    rows = primary(teams[teams["team_id"] == team_id], material.company.period_of(material.today))
    return Outcome.of(rows.iloc[0].to_dict()) if len(rows) else None


def _earlier(material: Material, team_id: str, outcome: Outcome, begun: date) -> Earlier | None:
    """What was said of this period at the last review; else the oldest said since; issued before reconstructed."""
    limit = datetime.combine(begun + timedelta(days=1), time(), material.company.zone).astimezone(UTC)
    now = pd.Timestamp(material.as_of)
    kinds: tuple[Kind, ...] = ("issued", "reconstructed")
    for kind in kinds:
        said = material.ledger.forecasts_of(kind, "team", team_id)
        if said.empty:
            continue
        same = (pd.to_datetime(said["period_start"]).dt.date == outcome.start) & (said["metric"] == outcome.metric)
        same &= pd.to_datetime(said["period_end"]).dt.date == outcome.end
        said = said[same & (said["as_of"] < now - pd.Timedelta(hours=12))]
        before = said[said["as_of"] < limit]
        chosen = before.tail(1) if len(before) else said.head(1)
        for row in chosen.to_dict("records"):
            return Earlier(kind, row["as_of"].to_pydatetime(), Outcome.of(row))
    return None


def _goals(material: Material, team_id: str, rhythm: Rhythm) -> list[GoalLine]:
    """The team's own goals, those of the teams below, and in a team's weekly review those of its people."""
    shown, members = _shown_owners(material, team_id), frozenset[str]()
    if rhythm == "weekly" and team_id != COMPANY:
        members = frozenset(rep for rep in material.members(team_id) if material.sight.person(rep))

    def wanted(goal: Goal) -> bool:
        return goal.owner_id in (members if goal.owner_kind == "rep" else shown)

    goals = [goal for goal in material.plan.running if wanted(goal) and goal.target and not goal.scope]
    order = {COMPANY: 0, "team": 1, "rep": 2}
    goals.sort(key=lambda g: (g.owner_id != team_id, order[g.owner_kind], g.end - g.start, g.owner_id, g.metric))
    quarter = material.company.period_of(material.today)
    return [_goal_line(material, g) for g in goals if g.owner_id == team_id or g.end <= quarter.end]


def _shown_owners(material: Material, team_id: str) -> frozenset[str]:
    """The team, or company, and the teams right below it; of teams whose figures are withheld there is no score."""
    teams = material.scores.frames.get("teams")
    below = material.children(team_id)
    return frozenset({team_id, *(below if teams is None else set(below) & set(teams["team_id"]))})


def _goal_line(material: Material, goal: Goal) -> GoalLine:
    assert goal.target is not None
    reached = actual(goal, material.reached)
    where = None
    if goal.metric in SUMS and reached.value is not None:
        curve, basis = curve_of(goal, material.reached, material.company, material.plan.workdays)
        where = standing(goal.target, reached.value, curve, basis)
    return GoalLine(
        goal.owner_kind,
        goal.owner_id,
        goal.metric,
        name_of(goal.start, goal.end, material.company),
        float(goal.target),
        reached.value,
        reached.attainment(goal.target),
        float(where.expected) if where else None,
        float(where.gap) if where else None,
        where.pace if where else None,
        where.status if where else "",
        material.plan.forecast_of(goal).get("p_attain"),
    )


def _open(material: Material, team_id: str) -> pd.DataFrame:
    """Open deals of the team with their chances: index deal_id."""
    deals = material.deals_of(team_id)
    scored = material.scores.frames.get("deals", pd.DataFrame({"deal_id": []})).set_index("deal_id")
    found = deals[deals["outcome"] == "open"].join(
        scored.reindex(columns=["win_probability", "p_win_in_period", "p_slip"]), how="inner"
    )
    touched = pd.to_datetime(found["last_touch"], utc=True)
    silent = (pd.Timestamp(material.as_of) - touched).dt.total_seconds() / 86_400
    return found.assign(chance=found["win_probability"].astype(float), silent=silent)


def _talk(deals: pd.DataFrame) -> list[TalkAbout]:
    return [
        TalkAbout(
            str(key), str(row["name"]), str(row["account"]), str(row["owner_id"]), str(row["stage"]),
            float(row["amount"]), _day(row["close_date"]), float(row["chance"]), float(row["p_win_in_period"]),
            float(row["stake"]), None if pd.isna(row["silent"]) else int(row["silent"]),
        )
        for key, row in worth_talking(deals).iterrows()
    ]  # fmt: skip


def _moved(material: Material, team_id: str, begun: date, opened: pd.DataFrame) -> list[MovedDeals]:
    start = datetime.combine(begun, time(), material.company.zone).astimezone(UTC)
    deals = material.deals_of(team_id)
    closed = deals[pd.to_datetime(deals["closed_at"], utc=True) >= start]
    fresh = deals[pd.to_datetime(deals["created_at"], utc=True) >= start]
    changes = lake_facts.moved(material.view, since=start, until=material.as_of)
    changes = changes[changes["deal_id"].isin(opened.index)]
    later = changes[(changes["field"] == "close_date") & (changes["became"] > changes["was"])]
    amounts = changes[changes["field"] == "amount"]
    parts: dict[Moved, pd.DataFrame] = {
        "won": closed[closed["outcome"] == "won"],
        "lost": closed[closed["outcome"] == "lost"],
        "new": fresh,
        "slipped": opened[opened.index.isin(later["deal_id"])],
        "amount": opened[opened.index.isin(amounts["deal_id"])],
        "silent": opened[~(opened["silent"] < SILENT_DAYS)],
    }
    return [_moved_line(what, rows) for what, rows in parts.items() if len(rows)]


def _moved_line(what: Moved, rows: pd.DataFrame) -> MovedDeals:
    largest = rows.assign(_id=rows.index).sort_values(["amount", "_id"], ascending=[False, True], na_position="last")
    named = [
        (str(key), str(row["name"]), None if pd.isna(row["amount"]) else float(row["amount"]))
        for key, row in largest.head(3).iterrows()
    ]
    return MovedDeals(what, len(rows), float(rows["amount"].sum()), named)


def _record(material: Material, team_id: str) -> list[Record]:
    """Forecasts of the last period that is over, issued where there are any, else reconstructed; one a month."""
    kinds: tuple[Kind, ...] = ("issued", "reconstructed")
    for kind in kinds:
        rows = material.accuracy_of(kind).teams.rows
        if rows.empty:
            continue
        rows = rows[rows["team_id"] == team_id]
        ended = pd.to_datetime(rows["period_end"]).dt.date <= material.today
        rows = rows[ended & (rows["metric"] == ("bookings" if (rows["metric"] == "bookings").any() else "won_deals"))]
        if rows.empty:
            continue
        rows = rows[pd.to_datetime(rows["period_end"]) == pd.to_datetime(rows["period_end"]).max()]
        rows = rows.sort_values("as_of").groupby(rows["as_of"].dt.strftime("%Y-%m"), sort=True).head(1)
        return [_record_line(material, kind, row) for row in rows.tail(MOST_NAMED).to_dict("records")]
    return []


def _record_line(material: Material, kind: Kind, row: Mapping[str, Any]) -> Record:
    start, end = (pd.Timestamp(row[name]).date() for name in ("period_start", "period_end"))
    return Record(
        kind, row["as_of"].to_pydatetime(), name_of(start, end, material.company), str(row["metric"]),
        float(row["p10"]), float(row["p50"]), float(row["p90"]), float(row["actual"]), float(row["run_rate"]),
    )  # fmt: skip


def _risks(material: Material, team_id: str, outcome: Outcome, deals: pd.DataFrame) -> list[Risk]:
    """What the forecast itself shows, by likelihood times money."""
    found = [*_missed(material, team_id), *_of_deals(outcome, deals), *_leaving(material, team_id)]
    return sorted(found, key=lambda r: (-r.likelihood * r.money, r.kind, r.subject))[:MOST_RISKS]


def _missed(material: Material, team_id: str) -> Iterable[Risk]:
    """Goals of the team and those below that are more likely missed than not; money: goal less the middle."""
    teams = primary(material.scores.frames["teams"], material.company.period_of(material.today))
    shown = teams[teams["team_id"].isin([team_id, *material.children(team_id)])]
    for row in shown[shown["p_attain"] < 0.5].to_dict("records"):
        short = float(row["target"]) - float(row["p50"])
        name = material.team_name(str(row["team_id"])) or ""
        if row["metric"] in MONEY_METRICS and short > 0:
            yield Risk("target_missed", str(row["team_id"]), name, 1 - float(row["p_attain"]), short)


def _of_deals(outcome: Outcome, deals: pd.DataFrame) -> Iterable[Risk]:
    """Deals planned for this period that are likely to slip, and the one that the result hangs on most."""
    planned = pd.to_datetime(deals["close_date"])
    due = deals[(planned < pd.Timestamp(outcome.end)) & (deals["p_slip"] >= 0.5)].dropna(subset=["amount"])
    due = due.assign(at_stake=due["amount"] * due["p_win_in_period"])
    for key, row in due.nlargest(3, "at_stake").iterrows():
        yield Risk("slipping", str(key), str(row["name"]), float(row["p_slip"]), float(row["at_stake"]))
    if outcome.money and outcome.p50 > 0:
        counted = (deals["amount"] * deals["p_win_in_period"]).dropna()
        for key, part in counted[counted > 0.3 * outcome.p50].nlargest(1).items():
            chance = 1 - float(deals.at[key, "p_win_in_period"])
            yield Risk("concentration", str(key), str(deals.at[key, "name"]), chance, float(part))


def _leaving(material: Material, team_id: str) -> Iterable[Risk]:
    accounts = material.scores.frames.get("accounts")
    if accounts is None:
        return
    known = material.facts.accounts
    members = material.members(team_id)
    own = known.index[known["owner_id"].isin(members)] if team_id != COMPANY else known.index
    likely = accounts[accounts["account_id"].isin(own) & (accounts["churn_probability"] >= 0.2)]
    for row in likely.nlargest(3, "value_at_risk").to_dict("records"):
        chance, key = float(row["churn_probability"]), str(row["account_id"])
        yield Risk(
            "account_leaving", key, str(known["name"].get(key, key)), chance, float(row["value_at_risk"]) / chance
        )


def _results(material: Material, team_id: str) -> list[Result]:
    """Goals of the last quarter against what came: the team's and those of the teams below; products for the whole."""
    period = last_quarter(material.reached, material.company)
    if period is None:
        return []
    teams = material.scores.frames.get("teams")
    shown = {team_id, *material.children(team_id)} & (set(teams["team_id"]) if teams is not None else set())
    found = results(material.reached, material.plan.goals, material.company, period)
    return [r for r in found if r.owner_id in shown and (r.part == "goal" or team_id == COMPANY)]


def _mix(material: Material, team_id: str, begun: date, by: Literal["product", "competitor"]) -> list[MixLine]:
    """Closed deals since the last review, and won money of as many days before it."""
    deals = material.deals_of(team_id)
    if by == "competitor":
        named = material.view.arrow("deals").select(["deal_id", "competitor"]).to_pandas().set_index("deal_id")
        deals = deals.join(named[~named.index.duplicated()])
    start = pd.Timestamp(begun, tz=material.company.time_zone).tz_convert("UTC")
    length = pd.Timestamp(material.as_of) - start
    when = pd.to_datetime(deals["closed_at"], utc=True)
    deals = deals.assign(key=deals[by].astype(object).where(deals[by].notna(), ""))
    now, before = deals[when >= start], deals[(when >= start - length) & (when < start)]
    was = before[before["outcome"] == "won"].groupby("key")["amount"].sum()
    lines = []
    for key, rows in now.groupby("key"):
        won = rows[rows["outcome"] == "won"]
        lost = int((rows["outcome"] == "lost").sum())
        old = float(was.get(key, 0.0)) if by == "product" else None
        lines.append(MixLine(str(key), len(won), lost, float(won["amount"].sum()), old))
    return sorted(lines, key=lambda line: (line.name == "", -line.amount, line.name))


def _day(value: object) -> date | None:
    return None if pd.isna(value) else pd.Timestamp(value).date()
