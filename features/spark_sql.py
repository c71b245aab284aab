"""DuckDB's SQL in Spark's words, with the same meaning: where the two would differ in silence, it is spelt out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import sqlglot
from sqlglot import ErrorLevel, exp

from crm.errors import BadInput

Rule = Callable[[Any], exp.Expr]


class NoSparkSql(BadInput):
    """Spark has no words for a part of a statement."""


def parsed(query: str) -> exp.Expr:
    """The tree of one statement in DuckDB's SQL."""
    return sqlglot.parse_one(query, read="duckdb")


def spark_sql(tree: exp.Expr, time_zone: str, truths: Collection[str] = ()) -> str:
    """A statement for Spark with its session in UTC and ANSI mode.

    Parameters
    ----------
    tree : Expression
        Of `parsed`; changed in place.
    time_zone : str
        Where the days of `day_start` begin.
    truths : collection of str
        Names of columns that are true or false; other values are rounded where they are made whole numbers.

    Raises
    ------
    NoSparkSql
        If it holds something that Spark would take for something else.
    """
    rules: dict[type[exp.Expr], Rule] = {
        **_RULES,
        exp.Anonymous: lambda node: _named(node, time_zone),
        exp.Cast: lambda node: _cast(node, truths),
    }
    # Children before parents, so that what a rule puts in place is not looked at again.
    for node in reversed(list(tree.walk())):
        rule = rules.get(type(node))
        if rule and (new := rule(node)) is not node:
            node.replace(new)
    return str(tree.sql(dialect="spark", unsupported_level=ErrorLevel.RAISE))


def _spelt(template: str, **parts: exp.Expr) -> exp.Expr:
    made = exp.replace_placeholders(sqlglot.parse_one(template, read="spark"), **parts)
    return exp.paren(made) if isinstance(made, exp.Binary) else made


def _number(node: exp.Literal) -> exp.Expr:
    # Spark's decimals lose digits in a division; DuckDB makes doubles of them there.
    exact = not node.is_string and not node.name.isdigit()
    return exp.cast(node.copy(), "double") if exact else node


def _division(node: exp.Div) -> exp.Expr:
    above, below = node.this, node.expression
    if _never_zero(below):
        return exp.Div(this=exp.cast(above.copy(), "double"), expression=exp.cast(below.copy(), "double"))
    return _spelt(
        "case when :b = 0 then cast(:a as double) * double('Infinity')"
        " else cast(:a as double) / cast(:b as double) end",
        a=above,
        b=below,
    )


def _never_zero(node: exp.Expr) -> bool:
    if isinstance(node, (exp.Paren, exp.Cast)):
        return _never_zero(node.this)
    if isinstance(node, exp.Mul):
        return _never_zero(node.this) and _never_zero(node.expression)
    if isinstance(node, exp.Nullif):
        return node.expression.is_number and float(node.expression.name) == 0
    return isinstance(node, exp.Literal) and node.is_number and float(node.name) != 0


def _last(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    # DuckDB passes over rows without a value; Spark would give the missing value back.
    word = "max_by" if isinstance(node, exp.ArgMax) else "min_by"
    return _spelt(f"{word}(:x, case when :x is not null then :y end)", x=node.this, y=node.expression)


def _quantile(node: exp.Quantile) -> exp.Expr:
    order = exp.Order(expressions=[exp.Ordered(this=node.this.copy())])
    share = exp.Anonymous(this="percentile_disc", expressions=[node.args["quantile"].copy()])
    return exp.WithinGroup(this=share, expression=order)


def _difference(node: exp.DateDiff) -> exp.Expr:
    unit = node.text("unit").lower() or "day"
    if unit == "microsecond":
        return _spelt("unix_micros(:b) - unix_micros(:a)", a=node.expression, b=node.this)
    if unit == "day":
        return _spelt("datediff(cast(:b as date), cast(:a as date))", a=node.expression, b=node.this)
    raise NoSparkSql(f"Spark counts date_diff('{unit}', …) in another way. Use days or microseconds.")


def _named(node: exp.Anonymous, time_zone: str) -> exp.Expr:
    if node.name.lower() == "day_start":
        zone = exp.Literal.string(time_zone)
        return _spelt("to_utc_timestamp(cast(:day as timestamp), :zone)", day=node.expressions[0], zone=zone)
    return node


def _cast(node: exp.Cast, truths: Collection[str]) -> exp.Expr:
    whole = node.to.this in exp.DataType.INTEGER_TYPES
    if not whole or isinstance(node.this, (exp.Literal, exp.Null)) or _true_or_false(node.this, truths):
        return node
    return exp.cast(_spelt("rint(:x)", x=node.this), node.to.copy())  # Spark cuts off, DuckDB rounds


def _true_or_false(node: exp.Expr, truths: Collection[str]) -> bool:
    if isinstance(node, (exp.Paren, exp.Coalesce, exp.Filter)):
        return _true_or_false(node.this, truths)
    if isinstance(node, exp.Column):
        return node.name in truths
    return isinstance(node, (exp.Predicate, exp.Connector, exp.Not, exp.Boolean, exp.LogicalOr, exp.LogicalAnd))


# Java reads 12d and 12f as numbers; DuckDB reads 1_000.
_READ = """case when not rlike(cast(:x as string), '[0-9.][dDfF] *$') then
try_cast(regexp_replace(cast(:x as string), '(?<=[0-9])_(?=[0-9])', '') as double) end"""
# Spark reads 2026 and 2026-03 as days; DuckDB reads 2026/03/01.
_READ_DAY = """try_cast(regexp_extract(translate(trim(cast(:x as string)), '/', '-'),
'^([0-9]{4,}-[0-9]{1,2}-[0-9]{1,2})([T ][0-9].*)?$', 1) as date)"""


def _tried(node: exp.TryCast) -> exp.Expr:
    kind = node.to.this
    if kind == exp.DataType.Type.DOUBLE:
        return _spelt(_READ, x=node.this)
    if kind == exp.DataType.Type.DATE:
        return _spelt(_READ_DAY, x=node.this)
    if kind in exp.DataType.INTEGER_TYPES:
        return _spelt(f"try_cast(rint({_READ}) as {node.to.sql('spark')})", x=node.this)
    return node


def _rounded(node: exp.Round) -> exp.Expr:
    # DuckDB rounds the double as it is, Spark the decimal that it is printed as.
    digits = node.args.get("decimals")
    if digits is None:
        return node
    return _spelt("round(:x * power(10, :n)) / power(10, :n)", x=node.this, n=digits)


def _matched(node: exp.Like | exp.ILike) -> exp.Expr:
    pattern = node.expression
    if isinstance(pattern, exp.Literal) and "\\" in pattern.name:  # Spark's sign of escape, no sign in DuckDB
        doubled = exp.Literal.string(pattern.name.replace("\\", "\\\\"))
        return type(node)(this=node.this.copy(), expression=doubled)
    return node


_RULES: Mapping[type[exp.Expr], Rule] = MappingProxyType(
    {
        exp.Literal: _number,
        exp.Div: _division,
        exp.Mod: lambda n: exp.Mod(this=n.this.copy(), expression=_spelt("nullif(:b, 0)", b=n.expression)),
        exp.Avg: lambda n: _spelt("avg(cast(:x as double))", x=n.this),
        exp.Median: lambda n: _spelt("median(cast(:x as double))", x=n.this),
        exp.Quantile: _quantile,
        exp.ArgMax: _last,
        exp.ArgMin: _last,
        exp.TimeToUnix: lambda n: _spelt("unix_micros(cast(:x as timestamp)) / 1e6", x=n.this),
        exp.DateDiff: _difference,
        exp.TryCast: _tried,
        exp.Round: _rounded,
        exp.Ln: lambda n: _spelt(
            "case when :x = 0 then -double('Infinity') when :x < 0 then double('NaN') else ln(:x) end", x=n.this
        ),
        exp.Like: _matched,
        exp.ILike: _matched,
    }
)
