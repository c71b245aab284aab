"""Periods that are over, forecast from what was known at cuts inside them: how far off, and by which way least."""

from __future__ import annotations

from dataclasses import dataclass, field

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from crm.company import Company
from crm.errors import NotReady
from crm.fiscal import previous
from crm.lake import View
from features.build import build
from models.amounts import AmountModel
from models.attainment_new import NewBusiness, new_business
from models.encoding import Encoder
from models.learners import THREADS, Floats, even_rows
from models.prior import RateCurves
from models.rollup import People, booked, credit_matrix, is_sale, people_at
from models.simulation import Spread, draw_period
from models.win import WinModel
from models.win_curve import fate

AGES = (1 / 6, 1 / 2, 5 / 6)
"""Share of the period that is over at a cut."""
QUANTILES = (0.1, 0.5, 0.9)
_APART = pd.Timedelta(days=28)
_ROWS = 12_000
_DRAWS = 400
_BLOCK = 4  # weeks redrawn together
_LEAST_CLOSED = 50
_MIN_TREES_ROWS = 100
_COMMON_ERROR, _COMMON_CUTS = 0.08, 4.0
_OWN_ERROR, _OWN_CUTS = 0.10, 3.0


@dataclass
class PastCut:
    """A moment inside a period that is over: what was known then, and what came."""

    at: pd.Timestamp
    start: pd.Timestamp
    end: pd.Timestamp
    age: float
    people: People
    closed: Floats
    deals: pd.DataFrame
    credit: csr_array
    win: dict[str, Floats]
    amounts: AmountModel
    new: NewBusiness
    weekly: Floats
    actual: Floats
    features: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def judged(self) -> list[int]:
        """Places of the reps who worked then and had something to come or to look back on."""
        something = (self.credit.sum(axis=1) > 0) | (self.new.expected > 0)
        return [i for i, rep in enumerate(self.people.reps) if rep in self.people.working and something[i]]

    def draws(self, way: str, spread: Spread, *, seed: int) -> Floats:
        """Draws by rep, shape (reps, draws)."""
        if way == "redrawn_weeks":
            return self._redrawn(seed)
        found = draw_period(
            self.closed, self.win[way], self.deals, self.credit, self.new,
            amounts=self.amounts, spread=spread, seed=seed, draws=_DRAWS,
        )  # fmt: skip
        return found.reps

    @property
    def run_rate(self) -> Floats:
        """Closed so far, at the same pace to the end."""
        return self.closed / self.age

    def _redrawn(self, seed: int) -> Floats:
        """Weeks of the past year in blocks of four, the same ones for all reps within a draw."""
        rng = np.random.default_rng(seed)
        weeks = (self.end - self.at).total_seconds() / 86_400 / 7
        blocks = int(np.ceil(weeks / _BLOCK))
        first = rng.integers(0, self.weekly.shape[1], (_DRAWS, blocks))
        chosen = (first[:, :, None] + np.arange(_BLOCK)).reshape(_DRAWS, -1) % self.weekly.shape[1]
        sums = self.weekly[:, chosen].sum(axis=2) * weeks / (blocks * _BLOCK)
        return self.closed[:, None] + sums


def past_cuts(
    view: View, company: Company, shares: pd.DataFrame, *, until: pd.Timestamp, win: WinModel, periods: int, seed: int
) -> list[PastCut]:
    """Cuts in the last complete quarters, oldest first; win chances by models that knew no more than its start."""
    spans = _periods(company, shares, until, periods)
    if not spans:
        return []
    moments = {at: (start, end, age) for start, end in spans for age in AGES for at in [_moment(start, end, age)]}
    rows = _snapshots(view, company, list(moments), spans, until, seed)
    targets = _rep_features(view, company, shares, list(moments))
    found: list[PastCut] = []
    for start, end in spans:
        known = rows[rows["as_of"] <= start]
        try:
            model = _light(win, seed).fit(known, until=start)
        except NotReady:  # too little was closed by then
            continue
        amounts = AmountModel(seed).fit(view, company, until=start, snapshots=known)
        stage = RateCurves(model.edges_, by_stage=True).fit(known, fate(known, start))
        for at, (begin, _, age) in moments.items():
            if begin == start:
                cut = _cut(view, company, shares, rows, at, (start, end, age), model, stage, amounts)
                cut.features = targets[targets["as_of"] == at].reset_index(drop=True)
                found.append(cut)
    return found


def estimate_spread(cuts: list[PastCut], *, seed: int) -> Spread:
    """Standard deviation of the error all reps share and of each one's own, beyond the luck of single deals.

    The shared one is the posterior root mean square given that a cut's relative error has the variance of luck plus
    its own square. Cuts of one period see much of the same, so together they count as one; .08 counts as four such
    errors seen without luck. Adding up max(0, error^2 - luck) instead takes luck for an error: ranges too wide. The
    reps' own is what their errors scatter beyond luck over all cuts, .10 counting as three cuts.
    """
    errors = [_errors(cut, seed) for cut in cuts]
    error, luck, own, own_luck, size = np.array(errors).T if errors else np.zeros((5, 0))
    usual = float(size.mean()) if len(size) else 1.0
    scatter = float((own - own_luck).sum()) + _OWN_CUTS * usual * _OWN_ERROR**2
    return Spread(_common(error, luck), float(np.sqrt(np.clip(scatter / (size.sum() + _OWN_CUTS * usual), 0.0, 1.0))))


def _errors(cut: PastCut, seed: int) -> tuple[float, ...]:
    """Of what was still to come: relative error of the sum and its variance by luck; the same of reps; their size."""
    draws = cut.draws("simulation", Spread(0.0, 0.0), seed=seed) - cut.closed[:, None]
    came, said = cut.actual - cut.closed, draws.mean(axis=1)
    total = max(float(said.sum()), 1e-9)
    error = float(np.clip(came.sum() / total - 1, -0.9, 1.5))  # one giant deal tells little of the win rate
    part, own_luck, luck = said / total, draws.var(axis=1), float(draws.sum(axis=0).var())
    rest = came - part * came.sum()
    # What each has beside a fixed part of the sum varies by luck so much: own luck is in the sum too.
    rest_luck = own_luck @ (1 - 2 * part) + luck * (part**2).sum()
    return error, luck / total**2, float((rest**2).sum()) / total**2, float(rest_luck) / total**2, float(part @ part)


def _common(error: Floats, luck: Floats) -> float:
    square = np.linspace(0.005, 0.5, 100)[:, None] ** 2
    seen = (np.log(luck + square) + error**2 / (luck + square)).sum(axis=1) / len(AGES)
    before = _COMMON_CUTS * (np.log(square) + _COMMON_ERROR**2 / square)[:, 0]
    chance = np.exp(-(seen + before - (seen + before).min()) / 2)
    return float(np.sqrt((chance * square[:, 0]).sum() / chance.sum()))


def compare(cuts: list[PastCut], spread: Spread, *, seed: int) -> pd.DataFrame:
    """Quantile forecasts of each way at each cut beside what came: a row a rep (and the company), cut and way."""
    parts = []
    for cut in cuts:
        judged = cut.judged
        for way in ("simulation", "stage_rate", "redrawn_weeks"):
            draws = cut.draws(way, spread, seed=seed)
            parts.append(_said(cut, way, "rep", np.quantile(draws[judged], QUANTILES, axis=1).T, cut.actual[judged]))
            whole = np.quantile(draws.sum(axis=0), QUANTILES)[None, :]
            parts.append(_said(cut, way, "company", whole, np.array([cut.actual.sum()])))
        pace = np.repeat(cut.run_rate[:, None], len(QUANTILES), axis=1)
        parts.append(_said(cut, "run_rate", "rep", pace[judged], cut.actual[judged]))
        parts.append(_said(cut, "run_rate", "company", pace.sum(axis=0)[None, :], np.array([cut.actual.sum()])))
        if (trees := _trees(cut, cuts, judged, seed)) is not None:
            parts.append(_said(cut, "trees", "rep", trees, cut.actual[judged]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def pinball(table: pd.DataFrame) -> Floats:
    """Mean pinball loss of the three quantiles, a value a row."""
    loss = np.zeros(len(table))
    for q in QUANTILES:
        miss = table["actual"].to_numpy(np.float64) - table[f"q{round(100 * q)}"].to_numpy(np.float64)
        loss += np.maximum(q * miss, (q - 1) * miss)
    return loss / len(QUANTILES)


def _said(cut: PastCut, way: str, level: str, quantiles: Floats, actual: Floats) -> pd.DataFrame:
    names = {f"q{round(100 * q)}": quantiles[:, k] for k, q in enumerate(QUANTILES)}
    return pd.DataFrame({"as_of": cut.at, "age": cut.age, "way": way, "level": level, "actual": actual, **names})


def _trees(cut: PastCut, cuts: list[PastCut], judged: list[int], seed: int) -> Floats | None:
    """LightGBM quantiles of what is still to come, from rep-period features of periods that were over before."""
    before = [c for c in cuts if c.end <= cut.start]
    if sum(len(c.judged) for c in before) < _MIN_TREES_ROWS:
        return None
    X = pd.concat([_of_judged(c) for c in before], ignore_index=True)
    scale = np.concatenate([_scale(c)[c.judged] for c in before])
    came = np.concatenate([(c.actual - c.closed)[c.judged] for c in before]) / scale
    encoder = Encoder().fit(X)
    train, now = encoder.trees(X), encoder.trees(_of_judged(cut))
    quantiles = []
    for q in QUANTILES:
        settings = {
            "objective": "quantile", "alpha": q, "num_leaves": 7, "learning_rate": 0.05, "min_data_in_leaf": 20,
            "num_threads": THREADS, "deterministic": True, "force_row_wise": True, "verbosity": -1, "seed": seed,
        }  # fmt: skip
        quantiles.append(lgb.train(settings, lgb.Dataset(train, came), num_boost_round=60).predict(now))
    shaped = np.sort(np.maximum(np.array(quantiles).T, 0.0), axis=1)
    return cut.closed[judged][:, None] + shaped * _scale(cut)[judged][:, None]


def _of_judged(cut: PastCut) -> pd.DataFrame:
    rows = cut.features.set_index("rep_id").reindex([cut.people.reps[i] for i in cut.judged]).reset_index()
    rows["age"] = cut.age
    return rows.assign(expected=_expected(cut)[cut.judged] / _scale(cut)[cut.judged])


def _expected(cut: PastCut) -> Floats:
    value = np.nan_to_num(cut.amounts.when_won(cut.deals)) * cut.win["simulation"]
    return np.asarray(cut.credit @ value) + cut.new.expected


def _scale(cut: PastCut) -> Floats:
    """What a rep usually books in a quarter, drawn towards the company's mean."""
    usual = cut.weekly.mean(axis=1) * 13
    return np.maximum((usual + usual.mean()) / 2, 1.0)


def _cut(
    view: View, company: Company, shares: pd.DataFrame, rows: pd.DataFrame, at: pd.Timestamp,
    period: tuple[pd.Timestamp, pd.Timestamp, float], model: WinModel, stage: RateCurves,
    amounts: AmountModel,
) -> PastCut:  # fmt: skip
    start, end, age = period
    people = people_at(view, shares, at, at.tz_convert(company.time_zone).date())
    deals = rows[rows["as_of"] == at].reset_index(drop=True)
    days = (end - at).total_seconds() / 86_400
    return PastCut(
        at, start, end, age, people,
        closed=booked(shares, people, start, at, "bookings"),
        deals=deals,
        credit=credit_matrix(deals["deal_id"], deals["owner_id"].astype(object), shares, people),
        win={
            "simulation": model.won_within(deals, days) * is_sale(deals),
            "stage_rate": stage.curves(deals).by(days)[0] * is_sale(deals),
        },
        amounts=amounts,
        new=new_business(shares, people, at=at, days=days, calendar=model.calendar_),
        weekly=_weekly(shares, people, at),
        actual=booked(shares, people, start, end - pd.Timedelta(microseconds=1), "bookings"),
    )  # fmt: skip


def _weekly(shares: pd.DataFrame, people: People, at: pd.Timestamp) -> Floats:
    """Bookings by rep and week of the year before a moment, shape (reps, 52), oldest first."""
    ago = (at - shares["closed_at"]).dt.total_seconds() / 86_400 / 7
    won = shares[shares["won"] & (ago >= 0) & (ago < 52) & (shares["amount"] > 0)]
    place, nobody = people.place, len(people.reps) - 1
    found = np.zeros((len(people.reps), 52))
    rep = [place.get(r, nobody) for r in won["rep_id"]]
    week = 51 - ago[won.index].to_numpy(np.float64).astype(np.intp)
    np.add.at(found, (rep, week), (won["share"] * won["amount"]).to_numpy(np.float64))
    return found


def _periods(
    company: Company, shares: pd.DataFrame, until: pd.Timestamp, most: int
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The last complete quarters with enough deals closed before them, oldest first."""
    ended = shares.loc[shares["closed_at"] <= until, "closed_at"].sort_values()
    if len(ended) < _LEAST_CLOSED:
        return []
    enough = ended.iloc[_LEAST_CLOSED - 1]
    period = company.period_of(until.tz_convert(company.time_zone).date())
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for _ in range(most):
        period = previous(period, "quarter", start_month=company.fiscal.start_month, named_by=company.fiscal.named_by)
        start, end = (pd.Timestamp(m).tz_convert("UTC") for m in period.bounds(company.time_zone))
        if start < enough:
            break
        found.append((start, end))
    return found[::-1]


def _moment(start: pd.Timestamp, end: pd.Timestamp, age: float) -> pd.Timestamp:
    return start + (end - start) * age


def _snapshots(
    view: View, company: Company, moments: list[pd.Timestamp],
    periods: list[tuple[pd.Timestamp, pd.Timestamp]], until: pd.Timestamp, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Deals open at the cuts, all of them, and every four weeks before, for the models of the past: with their end."""
    deals = view.arrow("deals").select(["deal_id", "created_at", "closed_at", "outcome"]).to_pandas()
    deals = deals[(deals["outcome"] == "open") | deals["closed_at"].notna()]
    first = deals.loc[deals["closed_at"].notna(), "closed_at"].min()
    grid = pd.date_range(end=periods[-1][0], start=min(first, periods[-1][0]), freq=_APART)
    older = _open_at(deals, [pd.Timestamp(day) for day in grid if day not in moments])
    older = older.iloc[even_rows(len(older), _ROWS, seed)]
    spine = pd.concat([older, _open_at(deals, moments)], ignore_index=True)
    rows = build(view, spine[["deal_id", "as_of"]], "deal", company=company)
    ended = (spine["outcome"] != "open") & (spine["closed_at"] <= until)
    rows["_closed_at"] = spine["closed_at"].where(ended).to_numpy()
    rows["_closed_at"] = pd.to_datetime(rows["_closed_at"], utc=True)
    rows["_outcome"] = spine["outcome"].where(ended, "open").to_numpy(object)
    return rows


def _open_at(deals: pd.DataFrame, moments: list[pd.Timestamp]) -> pd.DataFrame:
    parts = []
    for at in moments:
        there = (deals["created_at"] <= at) & ((deals["outcome"] == "open") | (deals["closed_at"] > at))
        parts.append(deals[there].assign(as_of=pd.Timestamp(at)))
    spine = pd.concat(parts, ignore_index=True) if parts else deals.iloc[:0].assign(as_of=pd.NaT)
    spine["as_of"] = pd.to_datetime(spine["as_of"], utc=True).astype("datetime64[us, UTC]")
    return spine


def _rep_features(view: View, company: Company, shares: pd.DataFrame, moments: list[pd.Timestamp]) -> pd.DataFrame:
    reps = sorted(set(shares["rep_id"]) - {""})
    spine = pd.DataFrame([(rep, at) for at in moments for rep in reps], columns=["rep_id", "as_of"])
    spine["as_of"] = pd.to_datetime(spine["as_of"], utc=True).astype("datetime64[us, UTC]")
    return build(view, spine, "rep", company=company)


def _light(win: WinModel, seed: int) -> WinModel:
    return WinModel(seed, win.horizon_weeks, win.start_month, trees=30, rows=8_000, replicates=0, cuts=0)
