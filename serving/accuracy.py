"""Forecasts against what came, issued and reconstructed apart, each beside a baseline that was known then.

Deals are judged on 'won by the end of the period', which is known of every deal once the period is over; judging closed
deals only would favour those that close fast. Reps and teams are judged on where the period ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.company import Company
from crm.fiscal import Period
from crm.lake import View, connect, newest_event
from crm.money import attach_rates
from serving.ledger import Kind, Ledger

_TRAILING_DAYS = 91
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class DealAccuracy:
    """How good 'won by the end of the period' was.

    Attributes
    ----------
    figures : dict
        `training.metrics.win_metrics` against the base rate: the share of the deals open at the same point of the
        period before that were won by its end.
    bins : DataFrame
        `training.reliability.reliability`.
    """

    figures: dict[str, float] = field(default_factory=dict)
    bins: pd.DataFrame = field(default_factory=pd.DataFrame)
    as_ofs: int = 0


@dataclass(frozen=True, slots=True)
class TotalAccuracy:
    """How good period totals of reps or teams were.

    Attributes
    ----------
    figures : dict
        `error`: mean absolute error of the middle, share of the mean actual; `rival_error`: the same of the run rate
        (so far plus the daily rate of the last 13 weeks for the days left); `coverage`: share of actuals inside p10
        to p90 (0.8 if ranges are right); `_low` and `_high`: 90 % intervals over resamples of reps or teams; `rows`;
        `bias`: mean of middle less actual, share of the mean actual; `pinball`: mean pinball loss at 10, 50 and 90 %,
        share likewise; the trade's `accuracy`, mean of 1 - |error| / actual where there was a result, and `ratio`,
        sum of forecasts over sum of actuals.
    rows : DataFrame
        A row a forecast: key, as_of, period_start, period_end, metric, actual, p10, p50, p90, run_rate.
    """

    figures: dict[str, float] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Accuracy of one kind of forecasts; empty parts where no period that was forecast is over."""

    kind: Kind
    deals: DealAccuracy = field(default_factory=DealAccuracy)
    reps: TotalAccuracy = field(default_factory=TotalAccuracy)
    teams: TotalAccuracy = field(default_factory=TotalAccuracy)


def accuracy(ledger: Ledger, view: View, company: Company, *, kind: Kind, until: datetime | None = None) -> Accuracy:
    """Judge all forecasts of a kind whose period is over.

    Parameters
    ----------
    until : datetime, optional
        Up to when outcomes are known; unset: the newest event of the data.
    """
    end = pd.Timestamp(until or newest_event(view))
    deals = judged_deals(_first_said(ledger.forecasts(kind, "deal"), "deal_id"), view, company, until=end)
    return Accuracy(
        kind,
        _deal_accuracy(deals),
        _total_accuracy(ledger.forecasts(kind, "rep"), "rep_id", view, company, end),
        _total_accuracy(ledger.forecasts(kind, "team"), "team_id", view, company, end),
    )


def judged_deals(said: pd.DataFrame, view: View, company: Company, *, until: pd.Timestamp) -> pd.DataFrame:
    """Forecasts of deals beside what came: deal_id, as_of, forecast, base_rate, won."""
    if said.empty:
        return pd.DataFrame()
    deals = _deals(view)
    parts = []
    for as_of, rows in said.groupby("as_of"):
        _, end = _bounds(_period(company, as_of), company)
        if end > until:
            continue
        base = _last_periods_share(deals, pd.Timestamp(as_of), company)
        if base is None:
            continue
        closed = deals.reindex(rows["deal_id"])
        won = ((closed["outcome"] == "won") & (closed["closed_at"] < end)).to_numpy(bool)
        parts.append(
            pd.DataFrame(
                {
                    "deal_id": rows["deal_id"].to_numpy(object),
                    "as_of": as_of,
                    "forecast": rows["p_win_in_period"].to_numpy(np.float64),
                    "base_rate": base,
                    "won": won,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def actuals(view: View, company: Company, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Credit of each rep, deal by deal: rep_id, closed_at, bookings (base currency), won_deals (shares)."""
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        found = con.execute(_CREDIT, {"since": since.to_pydatetime(), "until": until.to_pydatetime()}).df()
    found["closed_at"] = pd.to_datetime(found["closed_at"], utc=True)
    return found


_CREDIT = """
select coalesce(s.rep_id, d.owner_id) as rep_id, d.closed_at,
       cast(d.amount as double) * r.rate * coalesce(s.share, 1) as bookings, coalesce(s.share, 1) as won_deals
from deals d
left join deal_splits s using (deal_id)
left join fx r on r.currency = coalesce(d.currency, '') and d.closed_at >= r.valid_from and d.closed_at < r.valid_to
where d.outcome = 'won' and coalesce(d.kind, 'new') <> 'lead' and d.closed_at >= $since and d.closed_at < $until
"""


def _first_said(said: pd.DataFrame, key: str) -> pd.DataFrame:
    """What was said first of each entity at each moment: later runs on the same moment do not replace it."""
    if said.empty:
        return said
    keys = [key, "as_of"] + [c for c in ("metric", "period_start", "period_end") if c in said]
    return said.drop_duplicates(keys, keep="first")


def _deal_accuracy(judged: pd.DataFrame) -> DealAccuracy:
    if judged.empty:
        return DealAccuracy()
    # Imported when first needed: it brings scikit-learn, which would make every start of the service slow.
    from training.metrics import win_metrics
    from training.reliability import reliability

    bins = reliability(judged["forecast"].to_numpy(np.float64), judged["won"].to_numpy(bool), deal=judged["deal_id"])
    return DealAccuracy(win_metrics(judged), bins, int(judged["as_of"].nunique()))


def _deals(view: View) -> pd.DataFrame:
    with connect() as con:
        view.attach(con)
        deals = con.sql("select deal_id, created_at, closed_at, outcome from deals").df().drop_duplicates("deal_id")
    for name in ("created_at", "closed_at"):
        deals[name] = pd.to_datetime(deals[name], utc=True)
    return deals.set_index("deal_id")


def _last_periods_share(deals: pd.DataFrame, as_of: pd.Timestamp, company: Company) -> float | None:
    """Share of the deals open at the same point of the period before that were won by its end; None without any."""
    now = _period(company, as_of)
    before = company.previous(now)
    (start, _), (then_start, then_end) = _bounds(now, company), _bounds(before, company)
    then = min(then_start + (as_of - start), then_end - pd.Timedelta(days=1))
    open_then = deals[(deals["created_at"] <= then) & ((deals["outcome"] == "open") | (deals["closed_at"] > then))]
    if not len(open_then):
        return None
    won = (open_then["outcome"] == "won") & (open_then["closed_at"] < then_end)
    # Half a deal each way, so that a share of 0 or 1 is not taken as certain.
    return float((won.sum() + 0.5) / (len(open_then) + 1))


def _total_accuracy(said: pd.DataFrame, key: str, view: View, company: Company, until: pd.Timestamp) -> TotalAccuracy:
    said = _shortest_periods(_first_said(said, key), key)
    if said.empty:
        return TotalAccuracy()
    ends = said["period_end"].map(lambda day: _moment(day, company))
    said = said[(ends <= until).to_numpy() & said["metric"].isin(["bookings", "won_deals"]).to_numpy()]
    if said.empty:
        return TotalAccuracy()
    credit = {of: _Credit.of(frame) for of, frame in _by_key(view, company, key, said, until).items()}
    rows = [_judged_total(row, key, credit, company) for row in said.to_dict("records")]
    table = pd.DataFrame(rows)
    return TotalAccuracy(_total_figures(table, key), table)


def _shortest_periods(said: pd.DataFrame, key: str) -> pd.DataFrame:
    """Where there is a goal for the quarter and one for the year: the year's sums would drown the quarter's errors."""
    if said.empty:
        return said
    days = (pd.to_datetime(said["period_end"]) - pd.to_datetime(said["period_start"])).dt.days
    shortest = days.groupby([said[key], said["as_of"], said["metric"]]).transform("min")
    return said[days == shortest]


def _by_key(view: View, company: Company, key: str, said: pd.DataFrame, until: pd.Timestamp) -> dict[Any, pd.DataFrame]:
    """Credit by rep; of teams by (team, as_of), its people being those of that moment."""
    since = min(_moment(said["period_start"].min(), company), said["as_of"].min()) - pd.Timedelta(days=_TRAILING_DAYS)
    credit = actuals(view, company, since=since, until=until)
    reps = dict(tuple(credit.groupby("rep_id")))
    if key == "rep_id":
        return reps
    found: dict[Any, pd.DataFrame] = {}
    for as_of in said["as_of"].unique():
        for team, members in _members(view, pd.Timestamp(as_of), company).items():
            found[team, as_of] = credit[credit["rep_id"].isin(members)]
        found["company", as_of] = credit
    return found


def _members(view: View, as_of: pd.Timestamp, company: Company) -> dict[str, set[str]]:
    """People of each team and the teams below it, at a moment."""
    day = as_of.tz_convert(company.time_zone).date()
    with connect() as con:
        view.attach(con)
        pairs = con.execute(_MEMBERS, {"day": day}).fetchall()
        parents = dict(con.sql("select team_id, parent_team_id from teams").fetchall())
    found: dict[str, set[str]] = {team: set() for team in parents}
    for rep, team in pairs:
        at, passed = team, set()
        while at is not None and at not in passed:
            found.setdefault(at, set()).add(rep)
            passed.add(at)
            at = parents.get(at)
    return found


_MEMBERS = """
select rep_id, team_id from team_memberships where valid_from <= $day and (valid_to is null or valid_to > $day)
union
select rep_id, team_id from reps
where team_id is not null and rep_id not in (select rep_id from team_memberships)
"""


class _Credit(NamedTuple):
    """Credit in order of time, so that a span of time is a slice; shape (credits,) each."""

    closed_at: NDArray[np.datetime64]  # UTC
    values: dict[str, NDArray[np.float64]]  # by metric

    @classmethod
    def of(cls, frame: pd.DataFrame) -> _Credit:
        ordered = frame.sort_values("closed_at")
        moments = ordered["closed_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return cls(moments, {name: ordered[name].to_numpy(np.float64) for name in ("bookings", "won_deals")})

    def since(self, moment: pd.Timestamp, *, after: bool = False) -> int:
        """Place of the first credit at a moment or later, or after it."""
        plain = np.datetime64(moment.tz_convert("UTC").tz_localize(None))
        return int(np.searchsorted(self.closed_at, plain, side="right" if after else "left"))


def _judged_total(row: dict[str, Any], key: str, credit: dict[Any, _Credit], company: Company) -> dict[str, Any]:
    as_of, metric = pd.Timestamp(row["as_of"]), str(row["metric"])
    start, end = _moment(row["period_start"], company), _moment(row["period_end"], company)
    own = credit.get(row[key] if key == "rep_id" else (row[key], row["as_of"]))
    total = so_far = trailing = 0.0
    if own is not None:
        values, first, now = own.values[metric], own.since(start), own.since(as_of, after=True)
        total = float(values[first : own.since(end)].sum())
        so_far = float(values[first:now].sum())
        trailing = float(values[own.since(as_of - pd.Timedelta(days=_TRAILING_DAYS), after=True) : now].sum())
    left = max((end - as_of).total_seconds() / 86_400, 0.0)
    return {
        key: row[key],
        "as_of": as_of,
        "period_start": row["period_start"],
        "period_end": row["period_end"],
        "metric": metric,
        "actual": total,
        "p10": float(row["p10"]),
        "p50": float(row["p50"]),
        "p90": float(row["p90"]),
        "run_rate": so_far + trailing / _TRAILING_DAYS * left,
    }


def _total_figures(table: pd.DataFrame, key: str) -> dict[str, float]:
    metric = "bookings" if (table["metric"] == "bookings").any() else "won_deals"
    rows = table[table["metric"] == metric]
    inside = ((rows["actual"] >= rows["p10"]) & (rows["actual"] <= rows["p90"])).to_numpy(np.float64)
    actual = rows["actual"].to_numpy(np.float64)
    parts = {
        "error": np.abs(rows["p50"].to_numpy(np.float64) - actual),
        "rival_error": np.abs(rows["run_rate"].to_numpy(np.float64) - actual),
    }
    codes, names = pd.factorize(rows[key])
    times = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=_DRAWS)[:, codes]
    figures: dict[str, float] = {"rows": float(len(rows)), "entities": float(len(names))}
    for name, size in parts.items():
        figures |= _with_interval(name, size, np.abs(actual), times)
    return figures | _with_interval("coverage", inside, np.ones(len(rows)), times) | _trade_figures(rows, actual)


def _trade_figures(rows: pd.DataFrame, actual: np.ndarray[Any, Any]) -> dict[str, float]:
    middle, size = rows["p50"].to_numpy(np.float64), np.abs(actual).sum()
    if not size:
        return {}
    loss = 0.0
    for level in (0.1, 0.5, 0.9):
        above = actual - rows[f"p{level * 100:.0f}"].to_numpy(np.float64)
        loss += float(np.maximum(level * above, (level - 1) * above).sum()) / 3
    known = actual > 0
    return {
        "bias": float((middle - actual).sum() / size),
        "pinball": loss / size,
        "accuracy": float((1 - np.abs(middle - actual)[known] / actual[known]).mean()),
        "ratio": float(middle.sum() / actual.sum()),
    }


def _with_interval(
    name: str, above: np.ndarray[Any, Any], below: np.ndarray[Any, Any], times: np.ndarray[Any, Any]
) -> dict[str, float]:
    """A ratio of sums with its 90 % interval over resamples."""
    if not below.sum():
        return {}
    drawn = (times @ above) / np.maximum(times @ below, 1e-12)
    low, high = np.quantile(drawn, [0.05, 0.95])
    return {name: float(above.sum() / below.sum()), f"{name}_low": float(low), f"{name}_high": float(high)}


def _period(company: Company, as_of: Any) -> Period:
    day = pd.Timestamp(as_of).tz_convert(company.time_zone).date()
    return company.period_of(day)


def _bounds(period: Period, company: Company) -> tuple[pd.Timestamp, pd.Timestamp]:
    start, end = period.bounds(company.time_zone)
    return pd.Timestamp(start).tz_convert("UTC"), pd.Timestamp(end).tz_convert("UTC")


def _moment(day: Any, company: Company) -> pd.Timestamp:
    stamp = pd.Timestamp(day)
    return stamp.tz_convert("UTC") if stamp.tzinfo else stamp.tz_localize(company.time_zone).tz_convert("UTC")
