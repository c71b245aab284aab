"""What a deal is from its first day: product, amount, source, competitor, quality; drawn from the deal's own key."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from crm.simulation.calendar import DAY_US, Calendar
from crm.simulation.market import PRODUCTS, Market
from crm.simulation.process import KINDS
from crm.simulation.randomness import Bools, Dice, Floats, Ints

NEW, EXPANSION, RENEWAL, LEAD = range(len(KINDS))
SOURCES = ("inbound", "outbound", "referral", "partner", "event", "lead", "customer", "contract")
_SOURCE_SHARE = np.array([0.25, 0.35, 0.12, 0.15, 0.13])
_SOURCE_EFFECT = np.array([0.35, -0.35, 0.60, 0.0, -0.10, 0.20, 0.10, 0.10])
COMPETITORS = ("", "Vexelon", "Orbisco", "Tandem Works")
_COMPETITOR_SHARE = np.array([0.45, 0.25, 0.18, 0.12])
_COMPETITOR_EFFECT = np.array([0.2, -0.45, -0.1, 0.0])
LOSS_REASONS = ("price", "competitor", "no decision", "timing", "no budget")
# Which products which segment buys: one row a segment, one column a product.
_PRODUCT_SHARE = np.array(
    [
        [0.18, 0.05, 0.0, 0.14, 0.05, 0.16, 0.04, 0.0, 0.23, 0.15],
        [0.12, 0.16, 0.03, 0.08, 0.12, 0.10, 0.14, 0.03, 0.13, 0.09],
        [0.04, 0.14, 0.18, 0.03, 0.14, 0.05, 0.14, 0.13, 0.09, 0.06],
    ]
)
_MEDIAN_AMOUNT = np.array([5_000.0, 15_000.0, 50_000.0])
_FAMILY_FACTOR = np.array([1.2, 0.6, 1.5, 0.4])
BOOK_RATE = 0.128
"""Base currency for one unit of the other currency, as price lists have it."""
_LARGE = np.array([8_000.0, 40_000.0])
# Parts of a deal's hidden quality; the need shows in the field x_need_score.
_FIT, _MATCH, _NEED, _LUCK = 0.50, 0.45, 0.55, 0.35
_SCORE, _SCORE_NOISE = 1.6, 0.9
_SOURCE_TURNS = 1.8
_GROUP = 1 << 40  # keys of leads' deals, renewals and expansions stand apart from those of arrivals


@dataclass
class Births:
    """Deals that begin, before anything about them is drawn; `interest` -1 means drawn, `value` 0 means drawn."""

    key: Ints
    kind: Ints
    account: Ints
    owner: Ints
    created: Ints
    stage: Ints
    interest: Ints
    value: Floats
    product: Ints
    source: Ints

    def __len__(self) -> int:
        return len(self.key)


@dataclass
class Described(Births):
    """Births with everything that is fixed from the first day; amounts in the deal's own currency."""

    family: Ints
    quantity: Ints
    list_amount: Floats
    amount: Floats
    speed: Ints
    quality: Floats
    """Without the owner's skill."""
    competitor: Ints
    need_score: Ints
    form: Ints
    close_day: Ints
    foreign: Bools


def births(
    count: int, *, kind: Ints | int, account: Ints, owner: Ints, created: Ints, key: Ints, **given: Ints
) -> Births:
    """Return `count` births; whatever is not given is drawn later."""

    def column(value: Ints | int) -> Ints:
        return np.broadcast_to(np.asarray(value, dtype=np.int64), (count,)).copy()

    value = np.asarray(given.get("value", np.zeros(count)), dtype=np.float64)
    return Births(
        key=key,
        kind=column(kind),
        account=account,
        owner=owner,
        created=created,
        stage=column(given.get("stage", 0)),
        interest=column(given.get("interest", -1)),
        value=value,
        product=column(given.get("product", -1)),
        source=column(given.get("source", -1)),
    )


def join(parts: list[Births]) -> Births:
    """Put several lots of births behind one another."""
    return Births(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Births)})


def lead_child(key: Ints) -> Ints:
    """Key of the deal that a converted lead becomes."""
    return key + _GROUP


def renewal_key(account: Ints, week: int) -> Ints:
    """Key of the renewal that falls due for an account, by the week in which it is opened."""
    return 2 * _GROUP + account * 4096 + week


def expansion_key(account: Ints, week: int) -> Ints:
    """Key of an expansion, by the week in which it is opened."""
    return 3 * _GROUP + account * 4096 + week


def deal_ids(keys: Ints) -> list[str]:
    """Return identifiers that are the same in every run of the same company."""
    group, rest = np.divmod(keys, _GROUP)
    return [
        (f"D{n:06d}", f"D{n:06d}L", f"R{n // 4096:06d}-{n % 4096}", f"X{n // 4096:06d}-{n % 4096}")[g]
        for g, n in zip(group.tolist(), rest.tolist(), strict=True)
    ]


def visible_quality(
    kind: Ints, source: Ints, industry: Ints, family: Ints, need_score: Ints, drift: Floats
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the quality, given what the record shows from the first day."""
    # Normal need and noise: the score's information on the need is a regression.
    slope = _SCORE / (_SCORE**2 + _SCORE_NOISE**2)
    rival = np.sum(_COMPETITOR_SHARE * _COMPETITOR_EFFECT)
    spread = np.sum(_COMPETITOR_SHARE * (_COMPETITOR_EFFECT - rival) ** 2)
    mean = (
        _SOURCE_EFFECT[source] * (1 - _SOURCE_TURNS * drift)
        + _match(industry, family)
        + np.where(kind == RENEWAL, _COMPETITOR_EFFECT[0], rival)
        + _NEED * slope * (need_score - 5.5)
    )
    known_need = _NEED**2 * (1 - slope * _SCORE)
    variance = _FIT**2 + _LUCK**2 + known_need + np.where(kind == RENEWAL, 0.0, spread)
    return mean, np.sqrt(variance)


def _match(industry: Ints, family: Ints) -> Floats:
    return np.asarray(_MATCH * np.cos(1.7 * industry + 2.3 * family), dtype=np.float64)


def describe(seed: int, born: Births, market: Market, calendar: Calendar) -> Described:
    """Draw what is fixed from the first day."""
    dice = Dice(seed, "deal", born.key, 0)
    segment = market.segment[born.account]
    drawn = dice.pick("product", _PRODUCT_SHARE[segment])
    product = np.where(born.product >= 0, born.product, drawn)
    family = PRODUCTS["family"].to_numpy()[product]
    price = PRODUCTS["list_price"].to_numpy()[product].astype(np.float64)
    size = _MEDIAN_AMOUNT[segment] * _FAMILY_FACTOR[family] * np.exp(0.75 * dice.normal("size"))
    size = np.where(born.kind == EXPANSION, 0.5 * size, size)
    quantity = np.maximum(1, np.rint(np.where(born.value > 0, born.value, size) / price)).astype(np.int64)
    foreign = market.chinese[born.account]
    to_own = np.where(foreign, 1 / BOOK_RATE, 1.0)
    list_amount = np.round(quantity * price * to_own, 2)
    concession = np.where(dice.uniform("concession") < 0.3, 0.08 * dice.uniform("how much"), 0.0)
    source = np.where(born.source >= 0, born.source, dice.pick("source", _SOURCE_SHARE))
    competitor = np.where(born.kind == RENEWAL, 0, dice.pick("competitor", _COMPETITOR_SHARE))
    need = dice.normal("need")
    week = np.clip((born.created - calendar.monday_us[0]) // (7 * DAY_US), 0, calendar.weeks)
    # In the drifting setting sources change their meaning over time.
    source_effect = _SOURCE_EFFECT[source] * (1 - _SOURCE_TURNS * calendar.drift[week])
    quality = (
        _FIT * market.fit[born.account]
        + source_effect
        + _COMPETITOR_EFFECT[competitor]
        + _match(market.industry[born.account], family)
        + _NEED * need
        + _LUCK * dice.normal("luck")
    )
    speed = (quantity * price > _LARGE[0]).astype(np.int64) + (quantity * price > _LARGE[1])
    weeks = np.array([7.0, 9.0, 13.0])[speed] * np.array([1.0, 0.75, 1.2, 0.5])[born.kind]
    days = weeks * 7 * np.exp(0.3 * dice.normal("plan")) * 0.85
    return Described(
        **{f.name: getattr(born, f.name) for f in fields(Births) if f.name not in ("product", "source")},
        product=product,
        source=source,
        family=family,
        quantity=quantity,
        list_amount=list_amount,
        amount=np.round(list_amount * (1 - concession), 2),
        speed=speed,
        quality=quality,
        competitor=competitor,
        need_score=np.clip(np.rint(5.5 + _SCORE * need + _SCORE_NOISE * dice.normal("form")), 1, 10).astype(np.int64),
        form=(dice.uniform("form version") * 4).astype(np.int64),
        close_day=born.created // DAY_US + np.maximum(7, np.rint(days)).astype(np.int64),
        foreign=foreign,
    )
