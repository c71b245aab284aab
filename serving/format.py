"""Numbers, money, chances, dates and periods as each language writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_timedelta
from babel.numbers import get_currency_symbol

from crm.fiscal import Period
from serving.i18n import Language

MISSING = "—"
MINUS = "−"  # on pages; exports keep the ASCII minus
SHORT_FROM = 10_000
Day = date | datetime
_EN_UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
_ZH_UNITS = ((1e8, "亿"), (1e4, "万"))
_RELATIVE_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Formats:
    """How one visitor reads values: language, base currency, the company's clock.

    Every method takes None or NaN for a value that is not known and then returns a dash.
    """

    language: Language
    currency: str
    zone: ZoneInfo
    now: datetime

    @property
    def _zh(self) -> bool:
        return self.language.code == "zh"

    # -- numbers

    def number(self, value: float | None, digits: int = 0) -> str:
        """A plain number with grouped thousands."""
        if (x := _known(value)) is None:
            return MISSING
        return _signed(x, f"{_round(abs(x), digits):,.{digits}f}")

    def significant(self, value: float | None, figures: int = 3) -> str:
        """A number to so many significant figures, without an exponent."""
        if (x := _known(value)) is None:
            return MISSING
        return _signed(x, _significant(abs(x), figures))

    def money(self, value: float | None) -> str:
        """Money, short from 10,000 on: $1.24M, US$124万."""
        if (x := _known(value)) is None:
            return MISSING
        size = abs(x)
        if round(size) < SHORT_FROM:
            return _signed(x, self.symbol + f"{_round(size, 0):,.0f}")
        return _signed(x, self.symbol + self._short(size))

    def money_full(self, value: float | None) -> str:
        """Money to the unit, for tables and titles: $1,240,350."""
        if (x := _known(value)) is None:
            return MISSING
        return _signed(x, self.symbol + f"{_round(abs(x), 0):,.0f}")

    def money_in(self, value: float | None, currency: str | None) -> str:
        """Money to the unit in the currency that a record names, else in the base currency."""
        return (replace(self, currency=currency) if currency else self).money_full(value)

    @property
    def symbol(self) -> str:
        """Sign of the base currency as this language tells it from others: $ and CN¥, or US$ and ¥."""
        return get_currency_symbol(self.currency, locale=self.language.locale)

    def _short(self, size: float) -> str:
        for unit, name in _ZH_UNITS if self._zh else _EN_UNITS:
            # A value that rounds up to the next unit's first figure is written in that unit.
            if size >= unit * 0.9995:
                return _significant(size / unit, 4 if size / unit >= 1000 else 3) + name
        return _significant(size, 3)

    # -- shares and chances

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share of 1 in percent."""
        if (x := _known(share)) is None:
            return MISSING
        return _signed(x, f"{_round(abs(x) * 100, digits):,.{digits}f}%")

    def chance(self, probability: float | None) -> str:
        """A probability in whole percent; never 0% or 100%."""
        if (x := _known(probability)) is None:
            return MISSING
        if x < 0.01:
            return "低于1%" if self._zh else "<1%"
        if x > 0.99:
            return "高于99%" if self._zh else ">99%"
        return f"{_round(x * 100, 0):.0f}%"

    def percent_range(self, low: float | None, high: float | None) -> str:
        """A range of shares; one decimal where it is narrower than 3 points."""
        if (a := _known(low)) is None or (b := _known(high)) is None:
            return MISSING
        digits = 1 if b - a < 0.03 else 0
        left, right = self.percent(a, digits), self.percent(b, digits)
        return f"{left}–{right}" if self._zh else f"{left.removesuffix('%')}–{right}"

    def chance_range(self, low: float | None, high: float | None) -> str:
        """A range of probabilities; its ends are never 0% or 100% either."""
        if (a := _known(low)) is None or (b := _known(high)) is None:
            return MISSING
        if a >= 0.01 and b <= 0.99:
            return self.percent_range(a, b)
        left, right = self.chance(a), self.chance(b)
        return f"{left}至{right}" if self._zh else f"{left} to {right}"

    def points(self, share: float | None, digits: int = 0) -> str:
        """A difference of two shares in percentage points, with its sign."""
        if (x := _known(share)) is None:
            return MISSING
        value = _round(abs(x) * 100, digits)
        text = f"{value:.{digits}f}"
        sign = "" if value == 0 else "+" if x > 0 else MINUS
        if self._zh:
            return f"{sign}{text}个百分点"
        return f"{sign}{text} {'point' if value == 1 else 'points'}"

    # -- time

    def date(self, day: Day | None, year: bool | None = None) -> str:
        """A day; with its year where that is not the current one, or as told."""
        if (found := self.day(day)) is None:
            return MISSING
        with_year = found.year != self.now.astimezone(self.zone).year if year is None else year
        if self._zh:
            return f"{found.year}年{found.month}月{found.day}日" if with_year else f"{found.month}月{found.day}日"
        return format_date(found, "MMM d, y" if with_year else "MMM d", locale=self.language.locale)

    def moment(self, when: datetime | None) -> str:
        """A day and time on the company's clock."""
        if (found := _moment(when)) is None:
            return MISSING
        joint = " " if self._zh else ", "
        return f"{self.date(found)}{joint}{found.astimezone(self.zone):%H:%M}"

    def ago(self, when: datetime | None) -> str:
        """How long ago, under 7 days; else the date."""
        if (found := _moment(when)) is None:
            return MISSING
        passed = self.now - found
        if not timedelta(0) <= passed < _RELATIVE_FOR:
            return self.date(found)
        return format_timedelta(-passed, add_direction=True, locale=self.language.locale, threshold=1)

    def period(self, period: Period) -> str:
        """A fiscal quarter with its months: Q4 FY2026 (Oct–Dec)."""
        year, _, part = period.name.partition("-")
        first, last = period.start, period.end - timedelta(days=1)
        if self._zh:
            name = year.removeprefix("FY") + "财年" + (f"第{'一二三四'[int(part[1:]) - 1]}季度" if part else "")
            return f"{name}（{first.month}–{last.month}月）"
        months = "–".join(format_date(day, "MMM", locale=self.language.locale) for day in (first, last))
        return f"{part} {year} ({months})" if part else f"{year} ({months})"

    def month(self, month: str, *, short: bool = False) -> str:
        """A month such as 2026-11 in words: with its year, or short as under a chart."""
        year, number = month.split("-")
        if short:
            return f"{int(number)}月" if self._zh else f"{int(number)}/{year[2:]}"
        name = format_date(date(int(year), int(number), 1), "MMM y", locale=self.language.locale)
        return f"{year}年{int(number)}月" if self._zh else name

    def day(self, when: Day | None) -> Day | None:
        """The day of a moment on the company's clock."""
        if isinstance(when, datetime):
            found = _moment(when)
            return found.astimezone(self.zone).date() if found else None
        return when


def _known(value: float | Decimal | None) -> float | None:
    if value is None:
        return None
    x = float(value)
    return x if math.isfinite(x) else None


def _moment(when: datetime | None) -> datetime | None:
    # A missing moment of pandas is no None, but it is not equal to itself.
    return when if when is not None and when == when else None


def _round(size: float, digits: int) -> Decimal:
    """Half away from zero, as people round; binary noise below 1e-9 does not decide."""
    return Decimal(repr(round(size, 9))).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _significant(size: float, figures: int) -> str:
    if size == 0:
        return "0"
    whole = max(0, math.floor(math.log10(size))) + 1
    text = f"{_round(size, max(0, figures - whole)):,.{max(0, figures - whole)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text.replace(",", "")


def _signed(value: float, size: str) -> str:
    return MINUS + size if value < 0 and any(c in "123456789" for c in size) else size
