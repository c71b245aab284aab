"""What SQL a feature may use: parsed and checked, so that a definition cannot reach what it may not see."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from crm.company import OwnFeature
from crm.errors import BadInput

SECONDS_A_DAY = 86_400.0
AGGREGATES = (
    exp.Count,
    exp.Sum,
    exp.Avg,
    exp.Min,
    exp.Max,
    exp.Median,
    exp.Stddev,
    exp.StddevSamp,
    exp.LogicalOr,
    exp.LogicalAnd,
    exp.ArgMax,
    exp.ArgMin,
    exp.Quantile,
)
_FUNCTIONS = (
    *AGGREGATES,
    exp.Abs,
    exp.Coalesce,
    exp.Nullif,
    exp.Greatest,
    exp.Least,
    exp.Ln,
    exp.Exp,
    exp.Sqrt,
    exp.Round,
    exp.Floor,
    exp.Ceil,
    exp.Lower,
    exp.Upper,
    exp.Cast,
    exp.TryCast,
    exp.Case,
    exp.If,
    exp.And,
    exp.Or,
    exp.Pow,
    exp.Sign,
)
_PLAIN = (exp.And, exp.Or, exp.Paren, exp.Coalesce)
_FORBIDDEN = (exp.Subquery, exp.Select, exp.Window, exp.Exists)


class BadDefinition(BadInput):
    """A feature's SQL cannot be used."""

    def __init__(self, feature: str, sql: str, problem: str, mend: str) -> None:
        super().__init__(f"Feature {feature}: {problem} in '{sql}'. {mend}")
        self.feature, self.problem, self.mend = feature, problem, mend


@contextmanager
def saying_where(*features: OwnFeature) -> Iterator[None]:
    """Let what is wrong with a feature of the company's own begin with its line in company.yaml."""
    try:
        yield
    except BadDefinition as error:
        for own in features:
            if own.name == error.feature:
                error.args = (str(error).replace(f"Feature {own.name}", own.place, 1),)
        raise


@lru_cache(maxsize=1024)
def checked(feature: str, sql: str, columns: frozenset[str], later: frozenset[str], aggregate: bool) -> str:
    """DuckDB's SQL of a definition, with `days(n)` written out in seconds.

    Parameters
    ----------
    feature, sql : str
        Its name, for messages; one expression.
    columns, later : frozenset of str
        Columns it may read; columns that exist but are filled in later, so that their past is unknown.
    aggregate : bool
        Whether it must be an aggregate (over events) or must not be one (on the state).

    Raises
    ------
    BadDefinition
        If it is no single expression, reads what it may not, or uses what is not allowed.
    """
    try:
        tree = sqlglot.parse_one(f"select {sql}", read="duckdb")
    except ParseError as error:
        where = error.errors[0] if error.errors else {}
        raise BadDefinition(
            feature, sql, f"no SQL at '{where.get('highlight', '')}'", "Give one SQL expression, such as count(*)."
        ) from None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or _clauses(tree):
        raise BadDefinition(feature, sql, "more than one expression", "Give one SQL expression without 'from'.")
    tree = tree.expressions[0].transform(_days)
    _check_nodes(feature, sql, tree)
    _check_columns(feature, sql, tree, columns, later)
    if aggregate != any(isinstance(node, (*AGGREGATES, exp.AggFunc)) for node in tree.walk()):
        problem = "no aggregate" if aggregate else "an aggregate"
        mend = "Use count, sum, avg, min, max or the like." if aggregate else "Use an expression on one row."
        raise BadDefinition(feature, sql, problem, mend)
    return str(tree.sql(dialect="duckdb"))


@lru_cache(maxsize=1024)
def check_ahead(feature: str, sql: str, ahead: frozenset[str]) -> None:
    """Refuse a definition that tells from a row what came after the moment in question.

    Parameters
    ----------
    ahead : frozenset of str
        Columns of the events that were filled in after the row was made, such as when a ticket was closed. The gate
        lets the row through, so the definition itself must ask whether that had happened: `closed_at <= as_of`, or
        `closed_at is null or closed_at > as_of`.

    Raises
    ------
    BadDefinition
        If it uses one of them otherwise.
    """
    try:
        tree = sqlglot.parse_one(f"select {sql}", read="duckdb")
    except ParseError:
        return  # `checked` says what is wrong
    for column in tree.find_all(exp.Column):
        if column.name in ahead and not _asks_whether_it_came(column):
            name = column.name
            raise BadDefinition(
                feature,
                sql,
                f"{name}, which may lie after the moment in question,",
                f"Ask '{name} <= as_of', or '{name} is null or {name} > as_of'."
                if name.endswith("_at")
                else "Its past values are unknown; use another column.",
            )


def _asks_whether_it_came(column: exp.Column) -> bool:
    asked = column.parent
    came = isinstance(asked, (exp.LT, exp.LTE)) and asked.this is column and asked.expression.name == "as_of"
    if asked is None or not (came or _is_not_yet(asked, column.name)):
        return False
    around = asked.parent
    while isinstance(around, _PLAIN):
        around = around.parent
    return isinstance(around, (exp.Where, exp.If))


def _is_not_yet(part: exp.Expr, name: str) -> bool:
    """Whether it is a half of `x is null or x > as_of`."""
    whole = part.parent
    return isinstance(whole, exp.Or) and {side.sql().lower() for side in (whole.left, whole.right)} == {
        f"{name} is null",
        f"{name} > as_of",
    }


@lru_cache(maxsize=1024)
def rows_counted(sql: str) -> str | None:
    """For a definition that is one sum: the count of the rows that it adds up, as SQL; else None."""
    tree = sqlglot.parse_one(f"select {sql}", read="duckdb").expressions[0].transform(_days)
    if isinstance(tree, exp.Sum):
        return "count(*)"
    if isinstance(tree, exp.Filter) and isinstance(tree.this, exp.Sum):
        return str(exp.Filter(this=exp.Count(this=exp.Star()), expression=tree.expression).sql(dialect="duckdb"))
    return None


@lru_cache(maxsize=1024)
def columns_of(sql: str) -> frozenset[str]:
    """Names of the columns that a definition reads."""
    return frozenset(column.name for column in sqlglot.parse_one(f"select {sql}", read="duckdb").find_all(exp.Column))


def _clauses(select: exp.Select) -> bool:
    return any(value for name, value in select.args.items() if name != "expressions")


def _days(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Anonymous) and node.name.lower() == "days" and len(node.expressions) == 1:
        return exp.paren(exp.Mul(this=node.expressions[0], expression=exp.Literal.number(SECONDS_A_DAY)))
    return node


def _check_nodes(feature: str, sql: str, tree: exp.Expression) -> None:
    nodes = list(tree.walk())
    if any(isinstance(node, _FORBIDDEN) for node in nodes):
        raise BadDefinition(feature, sql, "a subquery or window", "Aggregate the block's own events instead.")
    if any(isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count) for node in nodes):
        raise BadDefinition(feature, sql, "a star", "Name one column; * stands in count(*) alone.")
    if any(isinstance(node, (exp.Parameter, exp.Placeholder)) for node in nodes):
        raise BadDefinition(feature, sql, "a parameter", "Write the value itself.")
    for node in nodes:
        if isinstance(node, exp.Func) and not isinstance(node, _FUNCTIONS):
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
            allowed = sorted({kind.sql_name().lower() for kind in _FUNCTIONS})
            raise BadDefinition(feature, sql, f"the function {name}", f"Allowed: days, {', '.join(allowed)}.")


def _check_columns(
    feature: str, sql: str, tree: exp.Expression, columns: Collection[str], later: Collection[str]
) -> None:
    for column in tree.find_all(exp.Column):
        if column.table:
            raise BadDefinition(feature, sql, f"a table's name, {column.table}", "Name columns alone.")
        if column.name in later:
            raise BadDefinition(
                feature,
                sql,
                f"{column.name}, which is filled in later",
                "Its past values are unknown; use another column.",
            )
        if column.name not in columns:
            near = get_close_matches(column.name, columns, n=1)
            mend = f"Did you mean {near[0]}?" if near else f"Columns here: {', '.join(sorted(columns))}."
            raise BadDefinition(feature, sql, f"no column {column.name}", mend)
