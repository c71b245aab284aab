"""An attainment model from lake to registry: fitted, held against plain ways on past quarters, logged, put in use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pandas as pd

from crm.company import Company
from crm.lake import View
from models.attainment import AttainmentModel
from models.attainment_compare import pinball
from models.rolling import Gain, gain
from training import gate, plots, registry
from training.definitions import check_definitions
from training.fit_result import TrainResult, definition_tables, finish, numbers, tags_of
from training.verdicts import NAMES, Sentence, joined

Progress = Callable[[str], None]
_RIVALS = ("run_rate", "redrawn_weeks")
_MEASURE = "Share of the run-rate's pinball loss that is saved"


def train(
    view: View, company: Company, *, tracking: str, as_of: datetime, seed: int = 0, say: Progress = lambda _: None
) -> TrainResult:
    """Fit on what was known at `as_of`, log, register and put in use.

    There is one recipe, which settles its ways and ranges on past quarters by itself; the verdict says how it did.

    Raises
    ------
    NotReady
        If there is no win model, or nothing was ever sold.
    """
    win = registry.champion("win", tracking=tracking)
    check_definitions("win", win, company, tracking=tracking)
    say("Fitting the attainment model")
    model = AttainmentModel(random_state=seed).fit(view, company, until=pd.Timestamp(as_of), win=win.model)
    sentence = str(model.note.get("sentence_en", ""))
    ours = model.past_[model.past_["level"] == "rep"] if len(model.past_) else model.past_
    dates = per_cut(ours)
    metrics = numbers(model.note) | _skills(ours)
    say("Logging and registering")
    logged = registry.log_model(
        "attainment",
        model,
        tracking=tracking,
        params=model.get_params(),
        metrics=metrics,
        tags=tags_of("attainment", view, company, as_of) | {"note": sentence, "win_version": win.version},
        tables=definition_tables("attainment", company)
        | ({"backtest": model.past_, "dates": dates} if len(dates) else {}),
        figures={"dates": plots.dates_svg(dates, measure=_MEASURE), "ranges": plots.ranges_svg(_of(ours, "simulation"))}
        if len(dates)
        else {},
        series={f"{n}_at_past_dates": dates[n].tolist() for n in ("skill", "low", "high")} if len(dates) else {},
    )
    there = registry.champion_version("attainment", tracking=tracking) is not None
    said = Sentence(sentence, str(model.note.get("sentence_zh", "")))
    verdict = gate.same_recipe() if there else first_verdict(ours, said)
    return finish("attainment", logged, verdict, metrics, tracking, sentence)


def first_verdict(past: pd.DataFrame, note: Sentence) -> gate.Verdict:
    """The verdict where there is no champion: held against the run-rate and redrawn weeks on past quarters.

    Parameters
    ----------
    past : shape (n, p)
        Rows of reps as `models.attainment_compare.compare` gives them; may be empty.
    """
    if not len(past):
        return gate.installed(note)
    found = {name: _gain(past, name) for name in _RIVALS}
    beaten = [Sentence(*NAMES[name]) for name, one in found.items() if one.low > 0]
    figures = joined((_saved(Sentence(*NAMES[name]), one) for name, one in found.items()), "; ", "；")
    where = Sentence(
        "on {dates} past dates, {reps} reps: {figures}. {note}",
        "在{dates}个过去的时点、{reps}名销售上：{figures}。{note}",
    ).given(dates=past["as_of"].nunique(), reps=past["who"].nunique(), figures=figures, note=note)
    if found[_RIVALS[0]].low <= 0:
        rate = Sentence("Installed as no better than the run-rate, {where}", "已启用，但不优于按当前进度推算，{where}")
        return gate.Verdict(True, "rate", rate.given(where=where))
    first = Sentence(
        "Promoted: the first model of its kind, better than {beaten}, {where}",
        "已启用：该类的第一个模型，优于{beaten}，{where}",
    ).given(beaten=joined(beaten, " and ", "和"), where=where)
    return gate.Verdict(True, "first", first)


def _saved(said: Sentence, one: Gain) -> Sentence:
    return Sentence(
        "pinball loss {skill:.1f}% below that of {said} (90% interval {low:.1f}% to {high:.1f}%)",
        "分位数损失比{said}低{skill:.1f}%（90%区间{low:.1f}%至{high:.1f}%）",
    ).given(said=said, skill=100 * one.skill, low=100 * one.low, high=100 * one.high)


def per_cut(past: pd.DataFrame) -> pd.DataFrame:
    """Saving against the run-rate at each past date: `as_of`, `skill`, `low`, `high`, `coverage`, `reps`."""
    rows = []
    for at, part in past.groupby("as_of") if len(past) else ():
        found, ours = _gain(part, "run_rate"), _of(part, "simulation")
        held = (ours["actual"] >= ours["q10"]) & (ours["actual"] <= ours["q90"])
        rows.append((at, found.skill, found.low, found.high, float(held.mean()), len(ours)))
    return pd.DataFrame(rows, columns="as_of skill low high coverage reps".split())


def _skills(past: pd.DataFrame) -> dict[str, float]:
    found = {name: _gain(past, name) for name in _RIVALS} if len(past) else {}
    ends = ("skill", "low", "high")
    return {f"{end}_against_{name}": float(getattr(one, end)) for name, one in found.items() for end in ends}


def _gain(past: pd.DataFrame, rival: str) -> Gain:
    """Saved share of a rival's pinball loss, whole reps drawn with replacement."""
    ours, theirs = _of(past, "simulation"), _of(past, rival)
    return gain(pinball(ours), pinball(theirs), np.asarray(ours["who"], dtype=object))


def _of(past: pd.DataFrame, way: str) -> pd.DataFrame:
    """One way's rows, in the same order for each."""
    return past[past["way"] == way].sort_values(["as_of", "who"], kind="stable").reset_index(drop=True)
