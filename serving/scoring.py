"""Scores of one moment: every file that the models in use can make, sealed in the ledger, then shown at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.errors import BadInput, NotReady
from crm.fiscal import Period
from crm.lake import LakeView, newest_event
from features.catalogue import identities
from models.amounts import AmountModel
from models.effects import Effects
from models.explain import by_theme
from planning.outcomes import Outcomes
from serving.goals import bring_goals, without_goals
from serving.home import Home
from serving.ledger import Entity, Ledger
from serving.outcomes import write_outcomes
from serving.rescoring import INPUTS, conditions, fingerprints, in_order, lend, unchanged
from serving.risk_run import review_risks, situation_of
from serving.scores import ON_TRACK, POINTER, read_pointer, scores_of, swap_pointer
from serving.store import Store
from training import registry
from training.definitions import check_definitions
from training.effects import newest_effects
from training.snapshots import open_snapshots

Progress = Callable[[str, float], None]
_KEPT_RUNS = 5
_SEALED: dict[str, Entity] = {"deals": "deal", "leads": "deal", "reps": "rep", "teams": "team", "accounts": "account"}
_MODEL_OF = {"deals": "win", "leads": "win", "reps": "attainment", "teams": "attainment", "accounts": "churn"}


class NothingToScore(NotReady):
    """No model is in use, so nothing can be scored."""


class PastNeedsFolder(BadInput):
    """Scores of a past moment are no forecasts that count."""

    def __init__(self, as_of: datetime) -> None:
        super().__init__(
            "{as_of:%Y-%m-%d} lies before the newest event of the data, and today's models know what came since. "
            "Name a folder for these scores (--out), or reconstruct past forecasts: bellwether backtest "
            "--reconstruct.",
            as_of=as_of,
        )


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """What was written where: rows by file, and why other files could not be made."""

    folder: Path
    as_of: datetime
    rows: dict[str, int]
    missing: dict[str, str]
    rated: int = 0  # deals whose rating was computed anew


@dataclass
class _Run:
    """One scoring run at work."""

    home: Home
    view: LakeView
    company: Company
    as_of: pd.Timestamp
    champions: dict[str, registry.Champion]
    effects: Effects | None = None
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    reasons: list[pd.DataFrame] = field(default_factory=list)
    outcomes: Outcomes | None = None
    missing: dict[str, str] = field(default_factory=dict)
    reuse: bool = False
    only: frozenset[str] | None = None
    rated: int = 0
    rated_whole: str | None = None  # the moment of the last scores of all deals, where this run rates some alone

    @property
    def conditions(self) -> str:
        """Digest of what the rating of a deal hangs on beside its own inputs."""
        return conditions(lasting=self.lasting, as_of=self.as_of)

    @property
    def lasting(self) -> str:
        """Digest of what it hangs on beside its inputs and the moment."""
        win = self.champions.get("win")
        return conditions(
            model=win.run_id if win else None,
            ranges=bool(win and not win.model.ranges_missing),
            period_end=self.period_end,
            company=self.company.model_dump_json(),
            product=version("bellwether"),
        )

    @property
    def everything(self) -> str:
        """Digest of what all scores hang on: the data, the models in use, the settings."""
        models = {what: c.run_id for what, c in self.champions.items()}
        measured = None if self.effects is None else self.effects.table.to_json(date_format="iso")
        only = None if self.only is None else sorted(self.only)  # such a run leaves something to do
        return conditions(deals=self.conditions, cut=self.view.cut.number, models=models, effects=measured, only=only)

    @property
    def period(self) -> Period:
        """The fiscal quarter that the forecasts are about."""
        return self.company.period_of(self.as_of.tz_convert(self.company.time_zone).date())

    @property
    def period_end(self) -> pd.Timestamp:
        """First moment after it."""
        return pd.Timestamp(self.period.bounds(self.company.time_zone)[1]).tz_convert("UTC")


def score_all(
    home: Home,
    *,
    store: Store | None = None,
    as_of: datetime | None = None,
    out: Path | None = None,
    reuse: bool = False,
    only: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ScoreResult:
    """Score open deals, current rep-periods and active accounts with the models in use.

    Parameters
    ----------
    store : Store, optional
        The home's store where it is open already.
    as_of : datetime, optional
        Moment of the forecasts; unset: the newest event of the data. Earlier moments are written to `out` alone.
    out : Path, optional
        A folder that gets a copy of the files, less figures on persons that the company does not show.
    reuse : bool
        Whether deals whose inputs are those of the last scores keep their rating, reasons and curve; where nothing at
        all has changed, the last scores stay. The files are the same either way.
    only : collection of str, optional
        Deals and leads to rate; others keep what the last scores of the same day and model say, with their moment. Sums
        are made anew. Where there are no such scores, all are rated.
    progress : callable, optional
        Told in words what is being done, and the share done.

    Raises
    ------
    NothingToScore
        If no model is in use or the lake is empty.
    PastNeedsFolder
        If `as_of` is past and no folder is named.
    OtherDefinitions
        If a model in use was trained on other definitions of its features than hold now.
    """
    say = progress or (lambda _text, _done: None)
    if as_of is None:
        bring_goals(home, store)
    say("Opening data and models", 0.0)
    view = home.lake.view()
    newest = newest_event(view)
    moment = as_of or newest
    if moment < newest and out is None:
        raise PastNeedsFolder(moment)
    run = _run_of(home, view, pd.Timestamp(moment).as_unit("us"))
    run.reuse = reuse and moment >= newest
    run.only = frozenset(only) if only is not None and moment >= newest else None
    if run.reuse and out is None and (kept := unchanged(home.scores, run.everything)):
        say("Nothing has changed", 1.0)
        return ScoreResult(kept[0], moment, kept[1]["rows"], kept[1]["missing"], rated=0)
    _score_deals(run, say, store, issued=moment >= newest)
    say("Rating reps and teams", 0.55)
    _score_attainment(run)
    say("Rating customers", 0.75)
    _score_accounts(run)
    say("Writing", 0.9)
    if run.reasons:
        run.frames["reasons"] = pd.concat(run.reasons, ignore_index=True)
    if moment < newest:
        assert out is not None
        folder = out
    else:
        folder = _issue(run, store, say)
    if out is not None:
        _write(_as_shown(run), out)
    say("Done", 1.0)
    return ScoreResult(out or folder, moment, _rows(run), run.missing, rated=run.rated)


def rebuild(
    home: Home, view: LakeView, champions: Mapping[str, registry.Champion], as_of: datetime
) -> dict[str, pd.DataFrame]:
    """The score files of a moment, but advice, from a view and versions that are named; nothing is written.

    Parameters
    ----------
    champions : mapping of str to Champion
        Versions by kind; files whose kind is not named are left out.
    """
    run = _Run(home, view, home.company(), pd.Timestamp(as_of).as_unit("us"), dict(champions))
    if "win" in champions:
        _rate_open_deals(run, lambda _text, _done: None)
    _score_attainment(run)
    _score_accounts(run)
    return run.frames


def _run_of(home: Home, view: LakeView, as_of: pd.Timestamp) -> _Run:
    company, champions, missing = home.company(), {}, {}
    for what in registry.KINDS:
        try:
            champions[str(what)] = registry.champion(what, tracking=home.tracking)
        except NotReady as error:
            missing[str(what)] = str(error)
    if not champions:
        raise NothingToScore("There is no model to score with. {why}", why=" ".join(dict.fromkeys(missing.values())))
    for kind, champion in champions.items():
        check_definitions(kind, champion, company, tracking=home.tracking)
    effects = newest_effects(tracking=home.tracking) if "win" in champions else None
    return _Run(home, view, company, as_of, champions, effects, missing=missing)


def _score_deals(run: _Run, say: Progress, store: Store | None, issued: bool) -> None:
    champion = run.champions.get("win")
    if champion is None:
        return
    X = _rate_open_deals(run, say)
    if X is None:
        return
    say("Next steps", 0.4)
    _advise(run, X, champion, store, issued)


def _rate_open_deals(run: _Run, say: Progress) -> pd.DataFrame | None:
    """Rate deals and leads, and give what is known of the deals; None where none is open."""
    champion = run.champions["win"]
    say("Reading open deals", 0.05)
    X = open_snapshots(run.view, run.company, as_of=run.as_of)
    if not len(X):
        run.missing["deals"] = "No deal is open."
        return None
    say(f"Rating {len(X):,} open deals", 0.15)
    lead = (X["kind"].astype(object) == "lead").to_numpy() if "kind" in X else np.zeros(len(X), bool)
    scored = _rate(run, X, champion, say)
    run.frames["deals"] = scored[~lead].reset_index(drop=True)
    run.frames["leads"] = scored[lead].reset_index(drop=True)
    return X[~lead].reset_index(drop=True)


def _rate(run: _Run, X: pd.DataFrame, champion: registry.Champion, say: Progress) -> pd.DataFrame:
    """Rate and explain the deals whose inputs are new; the others keep what the last run said. Gives the ratings."""
    prints = fingerprints(X)
    given = {"lasting": run.lasting, "wanted": run.conditions if run.reuse else None, "as_of": run.as_of}
    last, same, run.rated_whole = lend(run.home.scores, X["deal_id"], prints, only=run.only, **given)
    kept, new, model = X.loc[same, "deal_id"], X[~same].reset_index(drop=True), champion.model
    run.rated = len(new)
    lent = last.rows(("deals", "leads"), kept).drop(columns=["expected_amount", "model_version"], errors="ignore")

    def rated() -> pd.DataFrame:
        found: pd.DataFrame = model.score(new, as_of=run.as_of, period_end=run.period_end)
        return found

    scored = _with_amounts(in_order(X["deal_id"], "deal_id", lent, rated if len(new) else None), X, run)
    scored["model_version"] = champion.version
    say("Reasons and curves", 0.3)

    def explained() -> pd.DataFrame:
        return reason_rows("deal", new["deal_id"], by_theme(model.explain(new), identities("deal", run.company)))

    def curves() -> pd.DataFrame:
        return _curve_rows(new["deal_id"], *model.curve(new))

    for name, key, make in (("reasons", "entity_id", explained), ("curves", "deal_id", curves)):
        run.frames[name] = in_order(X["deal_id"], key, last.rows((name,), kept), make if len(new) else None)
    run.reasons.append(run.frames.pop("reasons"))
    # A rating that was lent at another moment rests on other inputs than these.
    sure = ~same | (run.rated_whole is None)
    run.frames[INPUTS] = pd.DataFrame({"deal_id": X["deal_id"][sure], "fingerprint": prints[sure]})
    return scored


def _with_amounts(scored: pd.DataFrame, X: pd.DataFrame, run: _Run) -> pd.DataFrame:
    when_won = AmountModel().fit(run.view, run.company, until=run.as_of).when_won(X)
    scored.insert(5, "expected_amount", scored["win_probability"].to_numpy() * np.asarray(when_won, dtype=np.float64))
    return scored


def _advise(run: _Run, X: pd.DataFrame, champion: registry.Champion, store: Store | None, issued: bool) -> None:
    from serving.advising import advice_for

    try:
        run.frames["advice"], fine = advice_for(
            X, champion, run.frames["deals"], home=run.home, store=store, view=run.view, company=run.company,
            as_of=run.as_of, effects=run.effects, reasons=run.reasons[0] if run.reasons else None, issued=issued,
        )  # fmt: skip
    except NotReady as error:
        run.missing["advice"] = str(error)
        return
    run.frames[ON_TRACK] = fine.to_frame("deal_id")


def _score_attainment(run: _Run) -> None:
    champion, deals = run.champions.get("attainment"), run.frames.get("deals")
    if champion is None or deals is None:
        return
    try:
        running = champion.model.running(run.view, run.company, as_of=run.as_of, deals_scored=deals)
        reps, teams, explained = champion.model.told(running, run.view, run.company, as_of=run.as_of)
    except NotReady as error:
        run.missing["attainment"] = str(error)
        return
    run.outcomes = Outcomes.of_forecast(running[0])
    run.frames["reps"] = reps.assign(model_version=champion.version)
    run.frames["teams"] = teams.assign(model_version=champion.version)
    run.reasons.append(explained)
    if why := without_goals(reps, teams, run.as_of.tz_convert(run.company.time_zone).date()):
        run.missing["p_attain"] = why


def _score_accounts(run: _Run) -> None:
    champion = run.champions.get("churn")
    if champion is None:
        return
    try:
        accounts = champion.model.score(run.view, run.company, as_of=run.as_of)
    except NotReady as error:
        run.missing["churn"] = str(error)
        return
    run.frames["accounts"] = accounts.assign(model_version=champion.version)
    from features.build import build

    spine = pd.DataFrame({"account_id": accounts["account_id"], "as_of": run.as_of})
    X = build(run.view, spine, "account", company=run.company)
    run.reasons.append(reason_rows("account", X["account_id"], champion.model.explain(X)))


def reason_rows(entity: str, keys: pd.Series, explained: Any) -> pd.DataFrame:
    """Rows of reasons.parquet from a `shap.Explanation` of shape (n, p); contributions of nothing are left out.

    `base_value` and the contributions of an entity add up to `prediction`.
    """
    values = np.asarray(explained.values, dtype=np.float64)
    n, p = values.shape
    base = np.broadcast_to(np.asarray(explained.base_values, dtype=np.float64), (n,))
    shown = np.asarray(explained.data, dtype=object).reshape(n * p)
    numbers = np.array([float(x) if isinstance(x, int | float | np.number) else np.nan for x in shown])
    rows = pd.DataFrame(
        {
            "entity": entity,
            "entity_id": np.repeat(keys.to_numpy(object), p),
            "feature": np.tile(np.asarray(explained.feature_names, dtype=object), n),
            "value": numbers,
            "text": pd.Series([x if isinstance(x, str) else None for x in shown], dtype=object),
            "contribution": values.reshape(n * p),
            "base_value": np.repeat(base, p),
            "prediction": np.repeat(base + values.sum(axis=1), p),
        }
    )
    return rows[rows["contribution"] != 0].reset_index(drop=True)


def _curve_rows(keys: pd.Series, edges: np.ndarray[Any, Any], won: Any, lost: Any) -> pd.DataFrame:
    days = len(edges)
    return pd.DataFrame(
        {
            "deal_id": np.repeat(keys.to_numpy(object), days),
            "day": np.tile(np.asarray(edges, dtype=np.float64), len(keys)),
            "won": np.asarray(won, dtype=np.float64).reshape(-1),
            "lost": np.asarray(lost, dtype=np.float64).reshape(-1),
        }
    )


def _issue(run: _Run, store: Store | None, say: Progress) -> Path:
    """Write, seal in the ledger, then show: a forecast that was seen can be held against us."""
    name = f"{run.as_of:%Y%m%dT%H%M%S}-{run.view.cut.number}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    folder, part = run.home.scores / name, run.home.scores / f".{name}.part"
    _write(run, part)
    part.rename(folder)
    opened = store or Store(run.home.database_url)
    _seal(run, Ledger(opened))
    swap_pointer(run.home.scores, name)
    say("Looking for risks", 0.95)
    where = situation_of(run.view, run.company, run.as_of.to_pydatetime(), run.frames, run.outcomes)
    review_risks(opened, where, run.frames.get("curves"))
    if store is None:
        opened.close()
    _drop_old_runs(run.home.scores)
    return folder


def _as_shown(run: _Run) -> _Run:
    """The run without figures on persons that the company does not show."""
    every = scores_of(run.view, run.company, run.frames, {}, as_of=run.as_of.to_pydatetime())
    return replace(run, frames=dict(every.seen_at_machine(run.company.people).frames))


def _write(run: _Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in run.frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    if run.outcomes is not None and folder.parent == run.home.scores:
        write_outcomes(run.outcomes, folder)
    text = json.dumps(_meta(run), indent=1, ensure_ascii=False, default=_plain)
    (folder / "meta.json").write_text(text, encoding="utf-8")


def _meta(run: _Run) -> dict[str, Any]:
    notes = {what: getattr(c.model, "note", None) or {} for what, c in run.champions.items()}
    period = run.period
    return {
        "as_of": run.as_of.isoformat(),
        "made_at": datetime.now(UTC).isoformat(),
        "data_cut": run.view.cut.number,
        "period": {"name": period.name, "start": period.start.isoformat(), "end": period.end.isoformat()},
        "models": {what: c.version for what, c in run.champions.items()},
        "notes": notes,
        "missing": run.missing,
        "rows": _rows(run),
        "conditions": run.conditions,
        "lasting": run.lasting,
        "rated_whole": run.rated_whole or run.as_of.isoformat(),
        "everything": run.everything,
    }


def _rows(run: _Run) -> dict[str, int]:
    return {name: len(frame) for name, frame in run.frames.items() if name not in (INPUTS, ON_TRACK)}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def _seal(run: _Run, ledger: Ledger) -> None:
    """Seal each kind of forecast once: the same models on the same data at the same moment say the same."""
    known = {(r.entity, r.as_of, r.model_version, r.data_cut) for r in ledger.sealed(kind="issued")}
    for entity, rows in frames_to_seal(run.frames).items():
        version = run.champions[model_of(entity)].version
        if run.rated_whole is not None and entity == "deal":  # the others were sealed when they were rated
            rows = rows[rows["as_of"] == run.as_of]
        if not len(rows) or (entity, run.as_of.to_pydatetime(), version, run.view.cut.number) in known:
            continue
        ledger.add("issued", entity, rows, as_of=run.as_of, model_version=version, data_cut=run.view.cut.number)


def frames_to_seal(frames: Mapping[str, pd.DataFrame]) -> dict[Entity, pd.DataFrame]:
    """Score files by what they are about: deals and leads are sealed together."""
    found: dict[Entity, pd.DataFrame] = {}
    for entity in dict.fromkeys(_SEALED.values()):
        parts = [frames[n] for n, e in _SEALED.items() if e == entity and len(frames.get(n, ()))]
        if parts:
            found[entity] = pd.concat(parts, ignore_index=True)
    return found


def model_of(entity: str) -> str:
    """Which kind of model forecasts an entity."""
    return next(_MODEL_OF[name] for name, e in _SEALED.items() if e == entity)


def seal_reconstructed(ledger: Ledger, frames: Mapping[str, pd.DataFrame], *, data_cut: int) -> int:
    """Seal forecasts of past dates apart from issued ones, each date once; give the number of rows added."""
    known = {(r.entity, r.as_of, r.data_cut) for r in ledger.sealed(kind="reconstructed")}
    added = 0
    for name, frame in frames.items():
        if not len(frame):
            continue
        for as_of, rows in frame.groupby("as_of"):
            moment = pd.Timestamp(as_of).to_pydatetime()
            if (_SEALED[name], moment, data_cut) not in known:
                version = str(rows["model_version"].iloc[0])
                ledger.add("reconstructed", _SEALED[name], rows, as_of=moment, model_version=version, data_cut=data_cut)
                added += 1
    return added


def _drop_old_runs(folder: Path) -> None:
    """Keep the newest runs; the ledger has what was forecast."""
    current = read_pointer(folder)
    for part in folder.glob(".*.part"):  # left by a run that died
        shutil.rmtree(part, ignore_errors=True)
    runs = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    runs.sort(key=lambda p: p.stat().st_mtime)
    for old in runs[:-_KEPT_RUNS]:
        if old.name != current and old.name != POINTER:
            shutil.rmtree(old, ignore_errors=True)
