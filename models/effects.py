"""Effects of the catalogue's actions, measured on a company's history, as one table with all that they rest on."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from crm.company import Company
from crm.lake import View
from features.catalogue import blocks
from models.actions import Action
from models.effects_action import PARTS, Effect, Part, Rows, effect_of
from models.effects_estimate import Confounders, Mean
from models.effects_history import LOGGING_ONLY, Past, past_of
from models.effects_rows import closing, follows_hours, horizon_weeks, outcome, taken
from models.effects_rules import Repeat, discoveries, repeat_of
from models.own_actions import catalogue

MAX_ROWS = 60_000
_HALF = 0.5
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Effects:
    """What was measured.

    Parameters
    ----------
    table : DataFrame
        A row an action and part; see `effect_table`.
    segments : DataFrame
        By action, part, dimension and level: rows, effect of its own and drawn towards the mean.
    """

    table: pd.DataFrame
    segments: pd.DataFrame


def measure_effects(
    snapshots: pd.DataFrame,
    *,
    view: View,
    company: Company,
    until: pd.Timestamp,
    actions: Sequence[Action] | None = None,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Effects:
    """Measure what each action did for the chance to win, as far as the history allows.

    Parameters
    ----------
    snapshots : shape (n, p)
        Deal-weeks as `training.snapshots.deal_snapshots` makes them; leads are left out.
    until : Timestamp, UTC
        End of the history.
    actions : sequence of Action, optional
        Unset: the company's catalogue.
    max_rows : int
        Above so many, whole deals are left out by a hash of their keys.
    progress : callable, optional
        Told in words what is being done, and the share done.
    """
    say = progress or (lambda _text, _done: None)
    sample = _sample(snapshots, max_rows)
    actions = catalogue(company) if actions is None else actions
    kinds = {a.name: a.kind for a in actions if a.shows} | {name: name for name in LOGGING_ONLY}
    say("Reading past actions", 0.0)
    past = past_of(view, sample, kinds, company=company, until=until)
    weeks = horizon_weeks(sample)
    rows = _rows(sample, past, company, weeks, seed)
    fits = {a.name: a.fits(sample) for a in actions}
    found: list[Effect] = []
    for place, name in enumerate(kinds):
        say(f"Effect of {name}", place / len(kinds))
        mine = fits.get(name, np.ones(len(sample), dtype=bool))
        found += [effect_of(name, part, rows, past.taken[name], mine) for part in PARTS]
    return _told(corrected_for_many(found), weeks, rows)


def _sample(snapshots: pd.DataFrame, max_rows: int) -> pd.DataFrame:
    """Weekly rows of deals, fewer deals where there are too many rows."""
    regular = (snapshots["as_of"] == snapshots["as_of"].dt.floor("D")) & (snapshots["as_of"].dt.day_of_week == 0)
    if "kind" in snapshots:
        regular &= (snapshots["kind"].astype(object) != "lead").to_numpy()
    rows = snapshots[regular]
    if len(rows) > max_rows:
        place = pd.util.hash_array(rows["deal_id"].to_numpy(object)).astype(np.float64)
        rows = rows[place <= np.quantile(place, max_rows / len(rows))]
    return rows.reset_index(drop=True)


def _rows(sample: pd.DataFrame, past: Past, company: Company, weeks: int, seed: int) -> Rows:
    private = [c for c in sample if str(c).startswith("_")]
    contacts = {f.name for b in blocks("deal", company) if b.name == "deal_activity" for f in b.features}
    known = sample.drop(columns=private)
    y, keep = outcome(sample, weeks)
    closes = closing(sample)
    hours = follows_hours(closes, [taken(sample, events) for name, events in past.taken.items() if name != "proposal"])
    return Rows(
        sample,
        Confounders.of(pd.concat([known, past.before], axis=1)),
        Confounders.of(known.drop(columns=[c for c in known if c in contacts])),
        past.moves,
        past.answers,
        y,
        keep,
        closes,
        "moment" if hours > _HALF else "week",
        seed,
    )


def corrected_for_many(found: Sequence[Effect]) -> list[Effect]:
    """Claims that would stand alone but not among so many fall back to association, and all of what only logs.

    What no customer notices is never claimed, so it is none of those tried.
    """
    tried = [e for e in found if e.corrected is not None and e.action not in LOGGING_ONLY]
    stands = discoveries([e.corrected.mean for e in tried if e.corrected])
    by_chance = {(e.action, e.part) for e, holds in zip(tried, stands, strict=True) if not holds}
    return [_fallen(e, by_chance) if e.basis == "adjusted" else e for e in found]


def _fallen(effect: Effect, by_chance: Collection[tuple[str, str]]) -> Effect:
    if effect.action in LOGGING_ONLY:
        return replace(effect, basis="association", reason="control")
    if (effect.action, effect.part) in by_chance:
        return replace(effect, basis="association", reason="many_tried")
    return effect


def _told(found: list[Effect], weeks: int, rows: Rows) -> Effects:
    by_key = {(e.action, e.part): e for e in found}
    lines = [_line(e, _repeat(by_key, e.action), weeks, rows) for e in found]
    parts = [
        {
            "action": e.action, "part": e.part, "dimension": s.dimension, "level": s.level, "rows": s.rows,
            "treated_rows": s.treated, "own": s.own.value, "own_se": s.own.se, "shrunk": s.shrunk,
            "between": s.between,
        }
        for e in found for s in e.segments
    ]  # fmt: skip
    return Effects(pd.DataFrame(lines), pd.DataFrame(parts, columns=SEGMENT_COLUMNS))


SEGMENT_COLUMNS = "action part dimension level rows treated_rows own own_se shrunk between".split()


def _repeat(by_key: Mapping[tuple[str, Part], Effect], action: str) -> Repeat:
    first, again = (by_key[action, part] for part in PARTS)
    known = again.corrected.mean if again.corrected else None
    return repeat_of(first.mean, known)


def _line(e: Effect, repeat: Repeat, weeks: int, rows: Rows) -> dict[str, object]:
    left = e.corrected
    means: dict[str, Mean] = {
        "plain": e.plain, "linear": e.linear, "trees": e.trees, "adjusted": e.mean, "everyone": e.everyone,
        "trimmed": e.trimmed, "placebo_now": e.moves.now, "placebo_later": e.moves.later,
        "answers_now": e.answers.now, "answers_later": e.answers.later, "permuted": e.permuted,
        "without_contacts": e.without_contacts, "landmark": e.landmark,
    }  # fmt: skip
    nan = float("nan")
    figures = {f"{name}{end}": v for name, m in means.items() for end, v in (("", m.value), ("_se", m.se))}
    return {
        "action": e.action, "part": e.part, "basis": e.basis, "reason": e.reason, "repeat": repeat,
        "stages": json.dumps(e.stages, ensure_ascii=False),
        "control": e.action in LOGGING_ONLY, "rows": e.rows, "treated_rows": e.counts.rows,
        "treated_deals": e.counts.deals, "causes": e.counts.causes, "process_share": e.process,
        "after_move_share": e.after_move, "overlap": e.overlap, "clipped": e.clipped, **figures,
        "placebo_share": left.share if left else nan, "corrected": left.mean.value if left else nan,
        "corrected_se": left.mean.se if left else nan, "bias": left.bias if left else nan,
        "low": left.low if left else nan, "high": left.high if left else nan, "horizon_weeks": weeks,
        "compared": rows.compared,
    }  # fmt: skip
