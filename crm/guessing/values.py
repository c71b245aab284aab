"""What the values of a column look like: dates and how they are written, numbers and their marks, known words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crm.guessing.vocabulary import plain

_DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y年%m月%d日", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %I:%M %p", ", %H:%M")
_ISO = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*(Z|[+-]\d{2}:?\d{2})?")
_POINT = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d*\.?\d+")
_COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?|[+-]?\d+(,\d+)?")
_ENDS = {
    "won": ("won", "closed won", "closedwon", "赢单", "已赢单", "成交", "已成交", "贏單", "win", "success"),
    "lost": (
        "lost", "closed lost", "closedlost", "closed lost to competition", "输单", "已输单", "丢单", "输单关闭", "無效",
        "无效", "作废", "輸單", "lose", "abandoned", "dead", "cancelled", "canceled",
    ),
    "open": ("open", "in progress", "进行中", "跟进中", "pending", "active", "進行中"),
}  # fmt: skip
WORDS: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("deals", "outcome"): _ENDS,
    ("deals", "kind"): {
        "new": ("new", "new business", "newbusiness", "new customer", "新签", "新客户", "新购", "新业务"),
        "expansion": (
            "expansion", "existing business", "existingbusiness", "upsell", "upgrade", "existing customer upgrade",
            "existing customer", "cross sell", "增购", "增补", "老客户",
        ),
        "renewal": ("renewal", "renew", "existing customer renewal", "续签", "续费", "续约"),
        "lead": ("lead",),
    },
    ("activities", "kind"): {
        "call": ("call", "phone", "phone call", "电话", "打电话", "通话"),
        "meeting": ("meeting", "event", "appointment", "会议", "面谈"),
        "email": ("email", "e mail", "mail", "邮件"),
        "demo": ("demo", "演示", "产品演示"),
        "visit": ("visit", "拜访", "外勤", "上门拜访"),
        "task": ("task", "to do", "todo", "deadline", "任务"),
        "note": ("note", "comment", "备注", "记录"),
        "proposal": ("proposal", "quote", "offer", "报价", "方案"),
    },
    ("activities", "direction"): {
        "in": ("in", "inbound", "incoming", "incoming email", "呼入", "来电"),
        "out": ("out", "outbound", "outgoing", "outgoing email", "呼出", "去电"),
    },
}  # fmt: skip
"""What words of exports mean in columns that hold one of a few words."""


@dataclass(frozen=True, slots=True)
class Dates:
    """How a column writes its dates: formats to name, none for ISO 8601; `doubtful` where day and month could swap."""

    formats: tuple[str, ...]
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a column writes its numbers."""

    decimal: str
    thousands: str | None


def dates(values: Sequence[str]) -> Dates | None:
    """How dates are written, or None where the values are no dates.

    Day and month are told apart by a value that only one order can read.
    """
    odd = [v.strip() for v in values if not _ISO.fullmatch(v.strip())]
    if not values:
        return None
    if not odd:
        return Dates((), False)
    fits = [day for day in _DAYS if all(any(_reads(v, day + time) for time in _TIMES) for v in odd)]
    if not fits:
        return None
    times = [time for time in _TIMES if any(_reads(v, fits[0] + time) for v in odd)]
    return Dates(tuple(fits[0] + time for time in times), len(fits) > 1)


def numbers(values: Sequence[str]) -> Numbers | None:
    """How numbers are written, or None where the values are no numbers; a point is taken where both could be."""
    stripped = [v.strip() for v in values]
    if stripped and all(_POINT.fullmatch(v) for v in stripped):
        return Numbers(".", "," if any("," in v for v in stripped) else None)
    if stripped and all(_COMMA.fullmatch(v) for v in stripped):
        return Numbers(",", "." if any("." in v for v in stripped) else None)
    return None


def meanings(table: str, column: str, values: Sequence[str]) -> dict[str, str]:
    """Which of the values stand for which word of a canonical column; those not known are left out."""
    known = {plain(w): word for word, words in WORDS.get((table, column), {}).items() for w in words}
    return {value: known[plain(value)] for value in values if plain(value) in known}


def _reads(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007
    except ValueError:
        return False
    return True
