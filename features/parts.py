"""Takes definitions apart: each aggregate as what it counts, which events, and which ages of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import sqlglot
from sqlglot import exp

from features.language import AGGREGATES

_EDGES: dict[type, int] = {exp.LT: -1, exp.LTE: 0, exp.GT: 1, exp.GTE: 0}  # to the microsecond that still counts
_KINDS: dict[type, str] = {exp.Avg: "avg", exp.Min: "min", exp.Max: "max"}


@dataclass(frozen=True)
class Window:
    """Ages that count, in microseconds: `least` and `most` included."""

    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Part:
    """One aggregate inside a definition.

    Parameters
    ----------
    kind : str
        count, distinct, sum, avg, min, max, newest (least age), oldest (greatest age) or fading (sum of value times
        exp(-age / days)).
    condition, value : str
        SQL on the event alone; empty: every event; no value.
    window : Window
        Ages that count.
    fades : float
        Seconds over which a fading event loses 1 - 1/e of its weight.
    """

    kind: str
    condition: str = ""
    value: str = ""
    window: Window = field(default_factory=Window)
    fades: float = 0.0

    @property
    def name(self) -> str:
        """One name for one meaning."""
        return f"{self.kind} {self.value} {self.condition} {self.window.least} {self.window.most} {self.fades}"


@lru_cache(maxsize=1024)
def parts_of(sql: str, moving: frozenset[str]) -> tuple[str, dict[str, Part]] | None:
    """Take a checked definition apart: the expression on named parts, and the parts; None where it needs the gate.

    Parameters
    ----------
    sql : str
        As `features.language.checked` gives it.
    moving : frozenset of str
        Columns that differ from as-of to as-of: a condition on one cannot be looked up once for an event.
    """
    tree = sqlglot.parse_one(f"select {sql}", read="duckdb").expressions[0]
    found: dict[str, Part] = {}

    def named(node: exp.Expr) -> exp.Expr:
        inner = node.this if isinstance(node, exp.Filter) else node
        if not isinstance(inner, (*AGGREGATES, exp.AggFunc)):
            return node
        part = _part(inner, node.expression.this if isinstance(node, exp.Filter) else None, moving)
        if part is None:
            raise _NeedsGate
        found[part.name] = part
        return exp.column(part.name, quoted=True)

    try:
        rest = tree.transform(named)
    except _NeedsGate:
        return None
    return str(rest.sql(dialect="duckdb")), found


class _NeedsGate(Exception):
    pass


def _part(aggregate: exp.Expr, where: exp.Expr | None, moving: frozenset[str]) -> Part | None:
    still, window = [], Window()
    for condition in [] if where is None else _flat(where):
        if not _columns(condition) & moving:
            still.append(f"({condition.sql(dialect='duckdb')})")
        elif (narrowed := _narrowed(condition, window)) is not None:
            window = narrowed
        else:
            return None
    shape = _shape(aggregate, moving)
    if shape is None:
        return None
    kind, value, days = shape
    return Part(kind, " and ".join(still), value, window, days)


def _shape(aggregate: exp.Expr, moving: frozenset[str]) -> tuple[str, str, float] | None:
    inner = aggregate.this
    if isinstance(aggregate, exp.Count):
        if isinstance(inner, exp.Star):
            return "count", "", 0.0
        if isinstance(inner, exp.Distinct) and len(inner.expressions) == 1:
            return _plain("distinct", inner.expressions[0], moving)
        return _plain("filled", inner, moving)
    if isinstance(inner, exp.Column) and inner.name == "age" and isinstance(aggregate, (exp.Min, exp.Max)):
        return ("newest" if isinstance(aggregate, exp.Min) else "oldest"), "", 0.0
    if isinstance(aggregate, exp.Sum):
        return _plain("sum", inner, moving) or _fading(inner, moving)
    return _plain(_KINDS[type(aggregate)], inner, moving) if type(aggregate) in _KINDS else None


def _plain(kind: str, value: exp.Expr, moving: frozenset[str]) -> tuple[str, str, float] | None:
    return None if _columns(value) & moving else (kind, value.sql(dialect="duckdb"), 0.0)


def _fading(value: exp.Expr, moving: frozenset[str]) -> tuple[str, str, float] | None:
    """Read `exp(-age / days(n))`, alone or after `x *`."""
    factor, faded = (value.this, value.expression) if isinstance(value, exp.Mul) else (None, value)
    if not isinstance(faded, exp.Exp) or not isinstance(faded.this, exp.Div):
        return None
    over, under = faded.this.this, _constant(faded.this.expression)
    age = over.this if isinstance(over, exp.Neg) else None
    if under is None or not isinstance(age, exp.Column) or age.name != "age":
        return None
    if factor is None:
        return "fading", "", under
    return ("fading", factor.sql(dialect="duckdb"), under) if not _columns(factor) & moving else None


def _narrowed(condition: exp.Expr, window: Window) -> Window | None:
    """The window after `age < constant` and the like."""
    if type(condition) not in _EDGES:
        return None
    left, bound = condition.this, _constant(condition.args["expression"])
    if not (isinstance(left, exp.Column) and left.name == "age") or bound is None or bound * 1e6 != int(bound * 1e6):
        return None
    edge = int(bound * 1e6) + _EDGES[type(condition)]
    if isinstance(condition, (exp.LT, exp.LTE)):
        return Window(window.least, edge if window.most is None else min(edge, window.most))
    return Window(max(edge, window.least), window.most)


def _constant(node: exp.Expr) -> float | None:
    if isinstance(node, exp.Paren):
        return _constant(node.this)
    if isinstance(node, exp.Literal) and not node.is_string:
        return float(node.name)
    if isinstance(node, exp.Mul):
        left, right = _constant(node.this), _constant(node.expression)
        return None if left is None or right is None else left * right
    return None


def _flat(condition: exp.Expr) -> list[exp.Expr]:
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        return [*_flat(condition.this), *_flat(condition.expression)]
    return [condition]


def _columns(node: exp.Expr) -> set[str]:
    return {column.name for column in node.find_all(exp.Column)}
