"""Goals, and what has been reached of each: bookings, deals, rates, activities, customers, money collected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from statistics import NormalDist

import pandas as pd

from crm.company import Company
from crm.lake import View
from crm.money import to_base
from crm.schema import METRICS, OWN_GOAL, RATIO_METRICS, SEQUENCE
from planning.events import events, local_day, states
from planning.workdays import CENT

COMPANY = "company"
MONEY_METRICS = ("bookings", "collected")
TABLES_NEEDED = {
    "bookings": ("deals",),
    "won_deals": ("deals",),
    "conversion_rate": ("deals",),
    "retention_rate": ("subscriptions",),
    "activities": ("activities",),
    "new_accounts": ("deals",),
    "customer_satisfaction": ("tickets", "surveys"),
    "market_share": ("market_sizes", "deals"),
    "collected": ("payments",),
}
EVENT_OF = {
    "bookings": ("won",), "won_deals": ("won",), "conversion_rate": ("won", "lost"), "activities": ("activity",),
    "new_accounts": ("new_account",), "customer_satisfaction": ("grade",), "market_share": ("won",),
    "collected": ("paid",),
}  # fmt: skip
"""Events that a metric counts."""
_SAME = ["owner_kind", "owner_id", "metric", "product_id", "product_family", "segment", "period_start", "period_end"]
_ANY_OF = ("customer_satisfaction",)  # one of its tables is enough
_STALE = 90  # days past the expected closing day after which an open deal flatters the conversion rate
_TEXTS = ["what", "ident", "rep_id", "team_id", "account_id", "segment", "product_id", "product_family", "kind"]


@dataclass(frozen=True, slots=True)
class Goal:
    """Who is to reach how much of what by when.

    Parameters
    ----------
    owner_kind, owner_id : str
        `company`, `team` or `rep`, and which.
    metric : str
        One of `crm.schema.METRICS`.
    start, end : date
        `[start, end)` in the company's time zone.
    target : Decimal or None
        Base currency for money, a share for rates, a count else.
    product_id, product_family, segment : str, optional
        Only this.
    kinds : tuple of str
        Only deals of these kinds; empty for all.
    recorded_at : datetime, optional
        When it was set.
    """

    goal_id: str
    owner_kind: str
    owner_id: str
    metric: str
    start: date
    end: date
    target: Decimal | None
    product_id: str | None = None
    product_family: str | None = None
    segment: str | None = None
    kinds: tuple[str, ...] = ()
    parent_goal_id: str | None = None
    recorded_at: datetime | None = None

    @property
    def scope(self) -> dict[str, str]:
        """What it is narrowed to."""
        names = ("product_id", "product_family", "segment")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Actual:
    """What was reached.

    Attributes
    ----------
    value : float or None
        None where it cannot be told; `notes` then say why.
    numerator, denominator : float or None
        Of a rate.
    n : int
        Events counted.
    notes : tuple of str
        What is missing or left out, such as 'needs market_sizes'.
    """

    value: float | None
    n: int = 0
    numerator: float | None = None
    denominator: float | None = None
    notes: tuple[str, ...] = ()

    def attainment(self, target: Decimal | None) -> float | None:
        """Share of a target; None without a target or with one of 0."""
        return None if not target or self.value is None else self.value / float(target)


@dataclass(frozen=True)
class Facts:
    """All that actuals are read from, as known at a moment; read once, asked often.

    Attributes
    ----------
    today : date
        Last day that counts.
    events, contracts : DataFrame
        As `planning.events` gives them.
    below : dict of str to frozenset of str
        Each team with all teams under it.
    """

    today: date
    present: frozenset[str]
    events: pd.DataFrame = field(repr=False)
    contracts: pd.DataFrame = field(repr=False)
    sizes: pd.DataFrame = field(repr=False)
    open_deals: pd.DataFrame = field(repr=False)
    team_of: dict[str, str]
    below: dict[str, frozenset[str]]

    @classmethod
    def read(cls, view: View, company: Company, moment: datetime) -> Facts:
        """Everything known at a moment (UTC)."""
        today = local_day(company, moment)
        sizes = view.arrow("market_sizes").to_pandas()
        sizes["size"] = to_base(sizes["size"], sizes["currency"], [moment] * len(sizes), view=view, company=company)
        deals = view.arrow("deals").to_pandas()
        still_open = (deals["outcome"] == "open") | (deals["closed_at"] > moment)
        deals = deals[still_open & (deals["created_at"] <= moment) & (deals["kind"] != "lead")]
        return cls(
            today,
            view.present,
            events(view, company, moment).astype(dict.fromkeys(_TEXTS, "category")),  # texts are slow to take
            states(view, company, moment),
            sizes,
            deals[["owner_id", "close_date"]],
            teams_on(view, today),
            _below(view),
        )

    @cached_property
    def _by_what(self) -> dict[str, pd.DataFrame]:
        ordered = self.events.sort_values("day", kind="stable")
        return {str(what): rows for what, rows in ordered.groupby("what", observed=True)}

    def counted(self, metric: str, start: date | None = None, end: date | None = None) -> pd.DataFrame:
        """Events that a metric counts, of `[start, end)` where that is given."""
        parts = [_between(self._by_what[w], start, end) for w in EVENT_OF[metric] if w in self._by_what]
        return pd.concat(parts) if len(parts) > 1 else parts[0] if parts else self.events.head(0)

    @cached_property
    def first_day(self) -> date:
        """Day of the oldest deal that closed; what began earlier is not wholly on record."""
        days = [self._by_what[what]["day"].iloc[0] for what in ("won", "lost") if what in self._by_what]
        return min(days).date() if days else self.today

    @cached_property
    def last_year(self) -> pd.DataFrame:
        """Events of the last 365 days."""
        return self.events[self.events["day"] > pd.Timestamp(self.today - timedelta(days=365))]

    def of_owner(self, rows: pd.DataFrame, kind: str, owner: str) -> pd.DataFrame:
        """Rows credited to a person, to a team and those under it, or to the company."""
        if kind == "rep":
            return rows[rows["rep_id"] == owner]
        if kind == "team":
            return rows[rows["team_id"].isin(self.below.get(owner, frozenset({owner})))]
        return rows


def actual(goal: Goal, facts: Facts) -> Actual:
    """What was reached of a goal up to the facts' day."""
    missing = needs(goal.metric, facts.present)
    if missing:
        return Actual(None, notes=(f"needs {missing}",))
    if goal.metric == "retention_rate":
        return _retention(goal, facts)
    if goal.metric == "market_share":
        return _market_share(goal, facts)
    rows = in_scope(facts.counted(goal.metric, goal.start, goal.end), goal)
    rows = facts.of_owner(rows, goal.owner_kind, goal.owner_id)
    if goal.metric == "conversion_rate":
        return _conversion(rows, goal, facts)
    if goal.metric == "customer_satisfaction":
        return _ratio(float(rows["value"].sum()), float(len(rows)), len(rows), "no grade in the period")
    if goal.metric in MONEY_METRICS:
        return _money(rows)
    return Actual(float(rows["share"].sum()), rows["ident"].nunique())


def needs(metric: str, present: Iterable[str]) -> str:
    """Tables that a metric needs and that are absent, as words; empty where all is there."""
    absent = [name for name in TABLES_NEEDED[metric] if name not in set(present)]
    if metric in _ANY_OF:
        return " or ".join(absent) if len(absent) == len(TABLES_NEEDED[metric]) else ""
    return ", ".join(absent)


def goals_of(view: View, company: Company, moment: datetime) -> list[Goal]:
    """Goals set by a moment, money in base currency at that moment's rate, by period, owner and metric."""
    rows = view.arrow("goals").to_pandas()
    rows = _in_force(rows[rows["recorded_at"].isna() | (rows["recorded_at"] <= moment)])
    rows = rows[rows["metric"].isin(METRICS)]
    money = rows["metric"].isin(MONEY_METRICS)
    base = to_base(rows["target"], rows["currency"], [moment] * len(rows), view=view, company=company)
    rows = rows.assign(target=rows["target"].where(~money, base))
    rows = rows.sort_values(["period_start", "period_end", "owner_kind", "owner_id", "metric", "goal_id"])
    return [_goal(row) for row in rows.astype(object).where(rows.notna(), None).to_dict("records")]


def teams_on(view: View, day: date) -> dict[str, str]:
    """Team of each person on a day."""
    reps, past = view.arrow("reps").to_pandas(), view.arrow("team_memberships").to_pandas()
    found = {rep: team for rep, team in zip(reps["rep_id"], reps["team_id"], strict=True) if isinstance(team, str)}
    if len(past):
        over = past["valid_to"].map(lambda d: not pd.isna(d) and d <= day).astype(bool)
        now = past[(past["valid_from"] <= day) & ~over].sort_values("valid_from")
        found = {rep: team for rep, team in found.items() if rep not in set(past["rep_id"])}
        found |= dict(zip(now["rep_id"], now["team_id"], strict=True))
    return found


def wilson(k: float, n: float, level: float = 0.9) -> tuple[float, float]:
    """Interval of a rate of k in n.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle, half = k / n + z * z / (2 * n), z * (k / n * (1 - k / n) / n + z * z / (4 * n * n)) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def in_cents(value: float | Decimal) -> Decimal:
    """Money rounded half up to the cent."""
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_UP)


def _in_force(rows: pd.DataFrame) -> pd.DataFrame:
    """The newest goal of each owner, metric, part and period; one set here comes before any of the CRM."""
    own = rows["goal_id"].str.startswith(OWN_GOAL)
    holder = rows["owner_id"].where(rows["owner_kind"] != COMPANY, COMPANY)
    ordered = rows.assign(_own=own, owner_id=holder).sort_values(["_own", "recorded_at", SEQUENCE], na_position="first")
    kept = ordered.drop_duplicates(_SAME, keep="last")
    names = {goal: goal.split(".")[0] for goal in kept.loc[kept["_own"], "goal_id"]}
    # Goals below one that was replaced belong to what replaced it.
    newest = ordered.groupby(_SAME, dropna=False)["goal_id"].transform("last")
    heirs = {old: names.get(new, new) for old, new in zip(ordered["goal_id"], newest, strict=True)}
    kept = kept.assign(
        goal_id=kept["goal_id"].map(lambda g: names.get(g, g)),
        parent_goal_id=kept["parent_goal_id"].map(lambda g: heirs.get(g, g), na_action="ignore"),
    )
    return kept[~(kept["_own"] & (kept["target"] == 0))].drop(columns="_own")  # 0: it was ended


def _goal(row: dict[str, object]) -> Goal:
    target = row["target"]
    owner = COMPANY if row["owner_kind"] == COMPANY else str(row["owner_id"])
    number = None if target is None else Decimal(str(target))
    if number is not None and row["metric"] in MONEY_METRICS:
        number = in_cents(number)
    return Goal(
        str(row["goal_id"]), str(row["owner_kind"]), owner, str(row["metric"]),
        row["period_start"], row["period_end"], number,  # type: ignore[arg-type]
        row["product_id"], row["product_family"], row["segment"],  # type: ignore[arg-type]
        parent_goal_id=row["parent_goal_id"], recorded_at=row["recorded_at"],  # type: ignore[arg-type]
    )  # fmt: skip


def _below(view: View) -> dict[str, frozenset[str]]:
    teams = view.arrow("teams").to_pandas()
    above = dict(zip(teams["team_id"], teams["parent_team_id"], strict=True))
    found: dict[str, set[str]] = {team: set() for team in above}
    for team in above:
        place, seen = team, set[str]()
        while isinstance(place, str) and place not in seen:  # a loop in the tree ends here
            seen.add(place)
            found.setdefault(place, set()).add(team)
            place = above.get(place)
    return {team: frozenset(inner) for team, inner in found.items()}


def _between(rows: pd.DataFrame, start: date | None, end: date | None) -> pd.DataFrame:
    """Rows, ordered by day, of `[start, end)`."""
    days = rows["day"]
    first = 0 if start is None else days.searchsorted(pd.Timestamp(start))
    return rows.iloc[first : len(rows) if end is None else days.searchsorted(pd.Timestamp(end))]


def in_scope(rows: pd.DataFrame, goal: Goal) -> pd.DataFrame:
    """Rows of the product, family, segment and kinds of deals that a goal is narrowed to."""
    for name, value in goal.scope.items():
        rows = rows[rows[name] == value]
    return rows[rows["kind"].isin(goal.kinds)] if goal.kinds and "kind" in rows else rows


def _money(rows: pd.DataFrame) -> Actual:
    lost = rows.loc[rows["value"].isna(), "ident"].nunique()
    notes = (f"{lost} left out: no amount or no rate to the base currency",) if lost else ()
    return Actual(float((rows["share"] * rows["value"]).sum()), rows["ident"].nunique() - lost, notes=notes)


def _ratio(numerator: float, denominator: float, n: int, empty: str, notes: tuple[str, ...] = ()) -> Actual:
    if denominator <= 0:
        return Actual(None, 0, numerator, denominator, (empty, *notes))
    return Actual(numerator / denominator, n, numerator, denominator, notes)


def _conversion(rows: pd.DataFrame, goal: Goal, facts: Facts) -> Actual:
    won, lost = (float(rows.loc[rows["what"] == what, "share"].sum()) for what in ("won", "lost"))
    limit = facts.today - timedelta(days=_STALE)
    deals = facts.open_deals.rename(columns={"owner_id": "rep_id"})
    deals = deals.assign(team_id=deals["rep_id"].map(facts.team_of))
    due = facts.of_owner(deals, goal.owner_kind, goal.owner_id)["close_date"].dropna()
    stale = sum(day < limit for day in due)
    notes = (f"{stale} open deals are more than {_STALE} days past their closing day",) if stale else ()
    n = rows.loc[rows["what"].isin(["won", "lost"]), "ident"].nunique()
    return _ratio(won, won + lost, n, "no deal closed in the period", notes)


def _retention(goal: Goal, facts: Facts) -> Actual:
    rows = facts.of_owner(_contracts(goal, facts), goal.owner_kind, goal.owner_id)
    last = min(goal.end - timedelta(days=1), facts.today)
    before = _active(rows, goal.start - timedelta(days=1))
    kept = len(before & _active(rows, last))
    return _ratio(float(kept), float(len(before)), len(before), "no contract ran before the period")


def _contracts(goal: Goal, facts: Facts) -> pd.DataFrame:
    return in_scope(facts.contracts.assign(team_id=facts.contracts["rep_id"].map(facts.team_of)), goal)


def _active(rows: pd.DataFrame, day: date) -> set[str]:
    return set(_running(rows, day)["account_id"])


def _running(rows: pd.DataFrame, day: date) -> pd.DataFrame:
    moment = pd.Timestamp(day)
    return rows[(rows["started_on"] <= moment) & (rows["ended_on"].isna() | (rows["ended_on"] > moment))]


def revenue_kept(goal: Goal, facts: Facts) -> tuple[float, float] | None:
    """Of the monthly fees that ran before a retention goal's period, the share kept up to now: gross, and net.

    Gross leaves out what customers added; net counts it. None where no fee ran, or one has no amount in base currency.
    """
    rows = facts.of_owner(_contracts(goal, facts), goal.owner_kind, goal.owner_id)
    then = _running(rows, goal.start - timedelta(days=1))
    now = _running(rows, min(goal.end - timedelta(days=1), facts.today))
    if then.empty or then["mrr"].isna().any() or now["mrr"].isna().any():
        return None
    before = then.groupby("account_id")["mrr"].sum()
    after = now.groupby("account_id")["mrr"].sum().reindex(before.index, fill_value=0.0)
    whole = float(before.sum())
    return (float(after.clip(upper=before).sum()) / whole, float(after.sum()) / whole) if whole > 0 else None


def _market_share(goal: Goal, facts: Facts) -> Actual:
    sizes = facts.sizes[facts.sizes["segment"] == goal.segment] if goal.segment else facts.sizes
    last = min(goal.end, facts.today + timedelta(days=1))
    days = (last - goal.start).days
    size = 0.0
    for _, rows in sizes.groupby("segment"):
        part = [
            (max(0, (min(row.period_end, last) - max(row.period_start, goal.start)).days), row)
            for row in rows.itertuples()
        ]
        known = sum(n for n, _ in part)
        if known < days:
            return Actual(None, notes=(f"needs market_sizes: {known} of {days} days are known",))
        size += sum(n / (row.period_end - row.period_start).days * float(row.size) for n, row in part)
    rows = in_scope(facts.counted(goal.metric, goal.start, goal.end), goal)
    rows = rows[rows["segment"].isin(set(sizes["segment"]))]
    won = _money(facts.of_owner(rows, goal.owner_kind, goal.owner_id))
    return _ratio(won.value or 0.0, size, won.n, "needs market_sizes", won.notes)


__all__ = [
    "COMPANY", "EVENT_OF", "MONEY_METRICS", "RATIO_METRICS", "Actual", "Facts", "Goal", "actual", "goals_of",
    "in_cents", "in_scope", "needs", "revenue_kept", "teams_on", "wilson",
]  # fmt: skip
