"""How a deal lives: weekly rates of winning, losing and moving; what reps do; how interest moves; for each setting.

States: stage (up to 5), interest (0 cold to 4 keen), marks (1 a decision maker was met, 2 a demo was given).
A deal's *lot* is what does not move from week to week: kind, account segment, speed, its owner's style, grade.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from crm.simulation.calendar import Calendar
from crm.simulation.randomness import Bools, Floats, Ints

Setting = Literal["default", "no_signal", "drifting"]
SETTINGS: tuple[str, ...] = get_args(Setting)
KINDS = ("new", "expansion", "renewal", "lead")
SEGMENTS = ("small", "mid-market", "enterprise")
_SALES = ("Qualification", "Discovery", "Solution", "Proposal", "Negotiation")
STAGES = (_SALES, _SALES, ("Upcoming", "In talks", "Terms sent"), ("New lead", "Contacted", "Interested"))
PIPELINES = ("sales", "sales", "renewals", "leads")
PROPOSAL = 3
EVENTS = ("win", "loss", "advance", "skip", "back")
WIN, LOSS, ADVANCE, SKIP, BACK = range(5)
ACTIONS = ("email", "call", "meeting", "involve_decision_maker", "demo", "visit", "note", "task")
EFFECTIVE = ("call", "meeting", "involve_decision_maker", "demo")
GRADES = np.linspace(-2.0, 2.0, 7)
SPEEDS = np.array([1.3, 1.0, 0.68])
STYLES = np.array([0.75, 1.25])
PRESENT = 0.95
"""Share of weeks in which a rep is at work; the rest is absence, with few actions."""
ABSENT_ACTIVITY = 0.15
N_STAGES, N_INTEREST, N_MARKS = 5, 5, 4
MET, SHOWN = 1, 2
REPLY_RATE = np.array([0.05, 0.12, 0.25, 0.40, 0.55])
"""Chance that an outgoing e-mail is answered, by interest."""
INBOUND_RATE = np.array([0.01, 0.04, 0.10, 0.22, 0.38])
"""Inbound e-mails a week that nobody asked for, by interest."""

# Weekly rates at middling interest: one row a kind, one column a stage.
_ADVANCE = np.array(
    [[0.46, 0.44, 0.42, 0.40, 0], [0.6, 0.55, 0.5, 0.45, 0], [0.30, 0.30, 0, 0, 0], [0.6, 0.5, 0, 0, 0]]
)
_WIN = np.array([[0, 0, 0, 0.008, 0.10], [0, 0, 0.004, 0.012, 0.13], [0.01, 0.05, 0.3, 0, 0], [0, 0.015, 0.18, 0, 0]])
_LOSS = np.array(
    [
        [0.13, 0.125, 0.12, 0.125, 0.19],
        [0.10, 0.11, 0.12, 0.12, 0.17],
        [0.008, 0.018, 0.07, 0, 0],
        [0.30, 0.26, 0.24, 0, 0],
    ]
)
_BACK = np.array(
    [[0, 0.02, 0.03, 0.04, 0.05], [0, 0.02, 0.03, 0.03, 0.04], [0, 0.01, 0.02, 0, 0], [0, 0.01, 0.02, 0, 0]]
)
_LAST_STAGE = np.array([4, 4, 2, 2])
_FLAT = {WIN: 0.030, LOSS: 0.085, ADVANCE: 0.30, BACK: 0.02}


@dataclass(frozen=True)
class Process:
    """The tables behind one company; lots are coded by `lot_of`."""

    setting: str
    calendar: Calendar
    rates: Floats = field(init=False)
    """(lots, stages, interest, events): weekly rates before the calendar's factor."""
    actions: Floats = field(init=False)
    """(lots // grades, stages, interest, marks, actions): chance in a week, e-mail as mean count."""
    moves: Floats = field(init=False)
    """(grades, 2): weekly chance that interest rises, falls."""
    pulse: Floats = field(init=False)
    """(weeks, events): the calendar's factor: quarter-end rush, season, drift."""

    def __post_init__(self) -> None:
        setter = object.__setattr__
        setter(self, "rates", _flat_rates() if self.setting == "no_signal" else _rates())
        setter(self, "actions", _action_chances())
        setter(self, "moves", np.stack([0.08 * np.exp(0.4 * GRADES), 0.15 * np.exp(-0.4 * GRADES)], axis=1))
        setter(self, "pulse", _pulse(self.calendar, flat=self.setting == "no_signal"))

    def lift(self, action: str, segment: Ints | int, week: int) -> Floats:
        """Return the chance that an action, where it works, raises interest by a level."""
        if self.setting == "no_signal":
            return np.zeros(np.shape(segment))
        drift = float(self.calendar.drift[week])
        if action == "demo":
            return np.where(np.asarray(segment) == SEGMENTS.index("enterprise"), 0.7 * (1 - 0.8 * drift), 0.0)
        lifts = {"call": 0.03, "meeting": 0.10, "involve_decision_maker": 0.85}
        return np.full(np.shape(segment), lifts.get(action, 0.0) * (1 - 0.5 * drift))

    def event_chances(self, lot: Ints, stage: Ints, interest: Ints, week: int) -> Floats:
        """Return (deals, events): the chance of each event in this week; what is missing to 1 is 'nothing'."""
        return chances(self.rates[lot, stage, interest] * self.pulse[week])


def chances(rates: Floats) -> Floats:
    """Turn competing weekly rates (…, events) into chances of being the week's event."""
    total = rates.sum(axis=-1, keepdims=True)
    return np.asarray(rates * (-np.expm1(-total) / np.maximum(total, 1e-12)))


def lot_of(kind: Ints, segment: Ints, speed: Ints, style: Ints, grade: Ints) -> Ints:
    """Code kind, segment, speed, style, grade as one number."""
    return (((kind * 3 + segment) * 3 + speed) * 2 + style) * len(GRADES) + grade


def grade_of(quality: Floats) -> Ints:
    """Return the nearest grade."""
    step = GRADES[1] - GRADES[0]
    return np.clip(np.rint((quality - GRADES[0]) / step), 0, len(GRADES) - 1).astype(np.int64)


def parts_of(lots: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Undo `lot_of`."""
    rest, grade = np.divmod(lots, len(GRADES))
    rest, style = np.divmod(rest, 2)
    rest, speed = np.divmod(rest, 3)
    kind, segment = np.divmod(rest, 3)
    return kind, segment, speed, style, grade


def after_event(kind: Ints, stage: Ints, event: Ints) -> Ints:
    """Return the stage after an advance, skip or step back."""
    step = np.select([event == ADVANCE, event == SKIP, event == BACK], [1, 2, -1], 0)
    return np.clip(stage + step, 0, _LAST_STAGE[kind])


def may_work(action: str, marks: Ints) -> Bools:
    """Say where an action may still have an effect: a first meeting with a decision maker, a first demo."""
    bit = {"involve_decision_maker": MET, "demo": SHOWN}.get(action, 0)
    return np.asarray((marks & bit) == 0)


def all_lots() -> Ints:
    """Return every code."""
    return np.arange(len(KINDS) * len(SEGMENTS) * len(SPEEDS) * len(STYLES) * len(GRADES))


def _rates() -> Floats:
    kind, _, speed, _, grade = parts_of(all_lots())
    interest = (np.arange(N_INTEREST) - 2.0)[None, None, :]
    quality = GRADES[grade][:, None, None]
    win = _WIN[kind][:, :, None] * np.exp(0.40 * interest + 0.20 * quality)
    loss = _LOSS[kind][:, :, None] * np.exp(-0.60 * interest - 0.25 * quality)
    advance = _ADVANCE[kind][:, :, None] * np.exp(0.25 * interest) + 0 * quality
    back = _BACK[kind][:, :, None] * np.exp(-0.30 * interest) + 0 * quality
    can_skip = (np.arange(N_STAGES)[None, :] + 2 <= _LAST_STAGE[kind][:, None])[:, :, None]
    rates = np.stack(
        [win, loss, advance * np.where(can_skip, 0.9, 1.0), advance * np.where(can_skip, 0.1, 0.0), back], -1
    )
    return np.asarray(rates * SPEEDS[speed][:, None, None, None])


def _flat_rates() -> Floats:
    kind, _, speed, _, grade = parts_of(all_lots())
    rates = np.zeros((len(kind), N_STAGES, N_INTEREST, len(EVENTS)))
    stage = np.arange(N_STAGES)[None, :]
    rates[..., WIN] = (_FLAT[WIN] * np.exp(0.04 * GRADES[grade]))[:, None, None]
    rates[..., LOSS] = _FLAT[LOSS]
    rates[..., ADVANCE] = (_FLAT[ADVANCE] * (stage < _LAST_STAGE[kind][:, None]))[:, :, None]
    rates[..., BACK] = (_FLAT[BACK] * (stage > 0))[:, :, None]
    return rates * SPEEDS[speed][:, None, None, None]


def _action_chances() -> Floats:
    lots = all_lots()[:: len(GRADES)]
    kind, segment, _, style, _ = (part[:, None, None, None] for part in parts_of(lots))
    stage = np.arange(N_STAGES)[None, :, None, None]
    interest = (np.arange(N_INTEREST) - 2.0)[None, None, :, None]
    marks = np.arange(N_MARKS)[None, None, None, :]
    busy = STYLES[style]
    lead, sale = kind == KINDS.index("lead"), kind <= KINDS.index("expansion")
    large = 1 + 0.15 * segment
    table = np.stack(
        np.broadcast_arrays(
            0.70 * np.exp(-0.35 * interest) * busy,
            0.26 * np.exp(-0.10 * interest) * busy,
            0.11 * np.exp(0.30 * interest) * busy * np.where(lead, 0.3, 1.0),
            0.055 * np.exp(0.25 * interest) * busy * large * ((stage > 0) & ~lead) * np.where(marks & MET, 0.6, 1.0),
            np.where((stage == 1) | (stage == 2), 0.13, 0.03)
            * np.exp(0.10 * interest) * busy * sale * np.where(marks & SHOWN, 0.2, 1.0),
            0.02 * large * np.where(lead, 0.2, 1.0),
            0.16 * np.exp(-0.10 * interest) * busy,
            0.06 * busy,
        ),
        axis=-1,
    )  # fmt: skip
    table[..., 1:] = np.minimum(table[..., 1:], 0.9)
    return np.ascontiguousarray(table)


def _pulse(calendar: Calendar, *, flat: bool) -> Floats:
    left, drift = calendar.weeks_left, calendar.drift
    win = np.select([left <= 1, left == 2, left == 3, left >= 11], [2.0, 1.5, 1.2, 0.7], 0.95)
    loss = np.select([left >= 11], [1.25], 0.98)
    season = 0.5 + 0.5 * calendar.season
    if flat:
        return np.repeat((win * season)[:, None], len(EVENTS), axis=1)
    moved = drift - 0.5 if calendar.drifting else np.zeros_like(drift)
    return np.stack(
        [win * season * np.exp(-0.7 * moved), loss * np.exp(0.7 * moved), season, season, np.ones_like(season)], 1
    )
