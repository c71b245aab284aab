"""DuckDB's SQL in SQLite's words, with the same meaning; what SQLite has no words for is refused, not guessed at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlglot
from sqlglot import exp

from crm.errors import BadInput

Rule = Callable[[Any], exp.Expr]
_SECOND = 1_000_000  # moments are whole microseconds since 1970, days are texts such as 2026-03-31
_BEFORE_ALL = 1 << 62  # added to a moment, so that numbers written with leading zeros sort as moments do


class NoSqliteSql(BadInput):
    """SQLite has no words for a part of a statement."""


def sqlite_sql(query: str, texts: Collection[str] = (), truths: Collection[str] = ()) -> str:
    """A statement for a database with the functions of `features.sqlite_functions`.

    Parameters
    ----------
    query : str
        In DuckDB's SQL.
    texts : collection of str
        Names of columns that hold text: DuckDB makes numbers of them when they are compared with one, SQLite does not.
    truths : collection of str
        Names of columns that are true or false, kept as 1 and 0.

    Raises
    ------
    NoSqliteSql
        If it holds something that SQLite would take for something else.
    """
    tree = sqlglot.parse_one(query, read="duckdb")
    _name_columns(tree)
    _check(tree, texts)
    # Children before parents, so that what a rule puts in place is not looked at again.
    for node in reversed(list(tree.walk())):
        rule = _RULES.get(type(node)) if not _written_out(node, truths) else _true_or_false
        if rule and (new := rule(node)) is not node:
            node.replace(new)
    return str(tree.sql(dialect="sqlite", identify=True))


def _name_columns(tree: exp.Expr) -> None:
    """Write out `t.* exclude (…)` of a table that the statement itself makes."""
    made = {cte.alias: cte.this.named_selects for cte in tree.find_all(exp.CTE)}
    for select in tree.find_all(exp.Select):
        names = {source.alias_or_name: source.name for source in select.find_all(exp.Table)}
        written: list[exp.Expr] = []
        for one in select.expressions:
            left_out = one.this.args.get("except_") if isinstance(one, exp.Column) else None
            if left_out is None:
                written.append(one)
                continue
            gone = {each.name for each in left_out}
            columns = made[names[one.table]]
            written += [exp.column(name, one.table) for name in columns if name not in gone]
        select.set("expressions", written)


def _check(tree: exp.Expr, texts: Collection[str]) -> None:
    for node in tree.walk():
        if type(node) not in _KNOWN and type(node) not in _RULES:
            raise NoSqliteSql(f"SQLite has no {type(node).__name__.lower()} as DuckDB has.")
        if isinstance(node, _COMPARISONS) and {_kind(side, texts) for side in _sides(node)} == {"text", "number"}:
            raise NoSqliteSql(f"SQLite compares '{node.sql(dialect='duckdb')}' in another way.")


def _sides(node: exp.Expr) -> list[exp.Expr]:
    return [part for part in node.iter_expressions() if isinstance(part, (exp.Literal, exp.Column))]


def _kind(node: exp.Expr, texts: Collection[str]) -> str:
    if isinstance(node, exp.Literal):
        return "text" if node.is_string else "number"
    return "text" if node.name in texts else ""


def _called(name: str, *parts: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[part.copy() for part in parts])


def _written_out(node: exp.Expr, truths: Collection[str]) -> bool:
    if not isinstance(node, exp.Cast) or node.to.this not in _TEXTS:
        return False
    return isinstance(node.this, exp.Column) and node.this.name in truths


def _true_or_false(node: exp.Expr) -> exp.Expr:
    truth = node.this.copy()
    return exp.case().when(truth, exp.Literal.string("true")).when(exp.not_(truth), exp.Literal.string("false"))


def _cast(node: exp.Cast) -> exp.Expr:
    kind, inner = node.to.this, node.this
    if isinstance(inner, exp.Null):
        return exp.Null()
    if kind == exp.DataType.Type.TIMESTAMPTZ and isinstance(inner, exp.Literal):
        return exp.Literal.number(round(datetime.fromisoformat(inner.name).timestamp() * _SECOND))
    name = _CASTS.get(kind)
    if name is None:
        raise NoSqliteSql(f"SQLite has no cast to {node.to.sql(dialect='duckdb').lower()}.")
    return _called(f"{'try' if isinstance(node, exp.TryCast) else 'as'}_{name}", inner)


def _difference(node: exp.DateDiff) -> exp.Expr:
    unit = node.text("unit").lower() or "day"
    if unit == "microsecond":
        return exp.paren(exp.Sub(this=node.this.copy(), expression=node.expression.copy()))
    if unit == "day":
        return _called("days_between", node.expression, node.this)
    raise NoSqliteSql(f"SQLite has no date_diff('{unit}', …).")


def _place(node: exp.Tuple) -> exp.Expr:
    """The place of a change in the log, a moment and a number, as a text that sorts as the pair does."""
    if [part.name for part in node.expressions] != ["changed_at", "_seq"]:
        raise NoSqliteSql("SQLite has no rows as values.")
    moment, number = (part.copy() for part in node.expressions)
    shifted = exp.Add(this=moment, expression=exp.Literal.number(_BEFORE_ALL))
    return _called("printf", exp.Literal.string("%020d%020d"), shifted, number)


def _renamed(name: str) -> Rule:
    def rule(node: exp.Func) -> exp.Expr:
        return _called(name, *(part for part in node.iter_expressions() if isinstance(part, exp.Expr)))

    return rule


_TEXTS = (exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT)
_CASTS = {exp.DataType.Type.DOUBLE: "double", exp.DataType.Type.DATE: "day", **dict.fromkeys(_TEXTS, "text")}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.NullSafeEQ, exp.NullSafeNEQ)
_FRAME = (exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Order, exp.Ordered, exp.With, exp.CTE, exp.Subquery,
          exp.Union, exp.Table, exp.TableAlias, exp.Alias, exp.Window, exp.Filter, exp.Distinct)  # fmt: skip
_LEAVES = (exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Star, exp.DataType, exp.Var)
_WORDS = (exp.Paren, exp.Not, exp.Is, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.DPipe, exp.Case, exp.If, exp.And, exp.Or)
_FUNCTIONS = (exp.Abs, exp.Avg, exp.Coalesce, exp.Count, exp.Lead, exp.Max, exp.Min, exp.Nullif, exp.RowNumber, exp.Sum)
_KNOWN = frozenset((*_FRAME, *_LEAVES, *_WORDS, *_COMPARISONS, *_FUNCTIONS))
_RULES: Mapping[type[exp.Expr], Rule] = MappingProxyType(
    {
        exp.Div: lambda n: _called("over", n.this, n.expression),
        exp.Mod: lambda n: _called("rest", n.this, n.expression),
        exp.Cast: _cast,
        exp.TryCast: _cast,
        exp.DateDiff: _difference,
        exp.Tuple: _place,
        exp.TimeToUnix: lambda n: exp.paren(exp.Div(this=n.this.copy(), expression=exp.Literal.number("1e6"))),
        exp.Month: lambda n: _called("month_of", n.this),
        exp.LastDay: lambda n: _called("last_day_of", n.this),
        exp.ArgMax: _renamed("arg_max"),
        exp.ArgMin: _renamed("arg_min"),
        exp.Median: _renamed("median"),
        exp.LogicalOr: lambda n: exp.Max(this=n.this.copy()),
        exp.LogicalAnd: lambda n: exp.Min(this=n.this.copy()),
        exp.Greatest: _renamed("greatest"),
        exp.Least: _renamed("least"),
        exp.Exp: _renamed("exp_of"),
        exp.Ln: _renamed("ln_of"),
        exp.Lower: _renamed("lower_of"),
        exp.Upper: _renamed("upper_of"),
    }
)
