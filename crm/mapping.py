"""Mappings: YAML files that say which columns of an export fill which canonical columns, checked as they are read."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crm.errors import BadInput
from crm.schema import TABLES

Value = str | int | float | bool
OwnKind = Literal["number", "text"]
_SHIPPED = Path(__file__).parent / "mappings"
REST = "*"
"""Under `values`: every word that is not listed."""


class _Words(yaml.SafeLoader):
    """YAML whose plain words stay words, but for null: files have columns named No, and values yes, 1 or 007."""


_Words.yaml_implicit_resolvers = {
    **{first: [("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"))] for first in ("", "~", "n", "N")},
    "<": [("tag:yaml.org,2002:merge", re.compile(r"<<$"))],
}


class BadMapping(BadInput):
    """A mapping cannot be used."""

    def __init__(self, place: str, problem: str, mend: str) -> None:
        super().__init__(f"{place}: {problem}. {mend}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Format(_Part):
    """How a file writes dates, numbers and text; what a file leaves out comes from the mapping as a whole."""

    dates: list[str] = Field(
        default_factory=list, description="Formats such as %d-%m-%y, tried in order; unset: ISO 8601."
    )
    time_zone: str | None = Field(None, description="Zone of times that name none; unset: the company's.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark.")
    thousands: str | None = Field(None, max_length=1, description="Thousands mark, if any.")
    encoding: Literal["utf-8", "utf-8-sig", "gb18030", "latin-1", "cp1252", "utf-16"] | None = Field(
        None, description="Unset: found out."
    )
    delimiter: str | None = Field(None, max_length=1, description="Unset: found out.")
    missing: list[str] = Field(default_factory=lambda: [""], description="Words that stand for no value.")

    @model_validator(mode="after")
    def _fits(self) -> Format:
        if self.time_zone is not None and self.time_zone not in available_timezones():
            raise ValueError(f"time_zone '{self.time_zone}' is unknown; give one such as Asia/Shanghai")
        if self.thousands == self.decimal:
            raise ValueError("decimal and thousands are the same mark; give two")
        return self


class ColumnMap(_Part):
    """Where one canonical column comes from.

    In the file, a plain word is short for `{from: word}`.
    """

    source: str | list[str] | None = Field(
        None, alias="from", description="Column of the file; several are joined by a bar, to make a key."
    )
    constant: Value | None = Field(None, description="The same value in every row.")
    values: dict[str, Value | None] = Field(
        default_factory=dict, description="Words of the file and what they become; '*': all others."
    )
    otherwise: Value | None = Field(None, description="Value where there is none.")
    prefix: str = Field("", description="Put before the value.")
    person: bool = Field(False, description="The value is a person's name: the lake gets a random key instead.")
    pick: Literal["first", "last", "previous"] | None = Field(
        None, description="With `per`: the group's first or last; `previous`: the row before in its group."
    )
    where: dict[str, list[str]] = Field(
        default_factory=dict, description="A value in rows with such values alone; with `pick`, these are picked from."
    )
    dates: list[str] = Field(default_factory=list, description="Date formats of this column alone.")
    kind: OwnKind | None = Field(
        None, description="Of a column x_*: what it holds; unset: found out from its first values."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"from": data} if isinstance(data, str) else data

    @property
    def sources(self) -> list[str]:
        """Columns of the file that it is made of."""
        return [self.source] if isinstance(self.source, str) else list(self.source or ())

    @model_validator(mode="after")
    def _has_origin(self) -> ColumnMap:
        if (self.source is None) == (self.constant is None):
            raise ValueError("needs either 'from' or 'constant'")
        return self


class TableMap(_Part):
    """One canonical table from one file; several may read the same file."""

    table: str = Field(description="Canonical table.")
    file: str = Field(description="File name; * stands for anything.")
    columns: dict[str, ColumnMap] = Field(min_length=1, description="Canonical column: where it comes from.")
    where: dict[str, list[str]] = Field(default_factory=dict, description="Only rows with such values.")
    filled: list[str] = Field(default_factory=list, description="Only rows that have a value in these columns.")
    per: list[str] = Field(default_factory=list, description="One row for each of these columns' values.")
    order: list[str] = Field(
        default_factory=list, description="Columns that say what is first and last; unset: the file."
    )
    format: Format | None = Field(None, description="How this file is written, where it differs.")

    @model_validator(mode="after")
    def _known(self) -> TableMap:
        if self.table not in TABLES:
            near = get_close_matches(self.table, TABLES, n=1)
            raise ValueError(f"there is no table '{self.table}'" + (f"; the nearest is {near[0]}" if near else ""))
        table = TABLES[self.table]
        for name in table.required:
            if name not in self.columns and name not in table.personal:
                raise ValueError(f"{self.table} needs {name}; say which column fills it")
        if typed := [name for name, c in self.columns.items() if c.kind and name in table.by_name]:
            raise ValueError(f"{self.table} itself says what {typed[0]} holds; leave 'kind' out")
        return self


class Mapping(_Part):
    """A whole mapping file."""

    name: str = Field("", description="What it is for.")
    format: Format = Field(default_factory=Format, description="How the files are written.")
    stages: dict[str, list[str]] = Field(default_factory=dict, description="Open stages by pipeline, first to last.")
    tables: list[TableMap] = Field(min_length=1, description="What is filled from where.")

    def format_of(self, table: TableMap) -> Format:
        """How the file of one table is written."""
        given = table.format.model_dump(exclude_unset=True) if table.format else {}
        return Format.model_validate({**self.format.model_dump(), **given})


def load(path: Path | str) -> Mapping:
    """Read a mapping.

    Parameters
    ----------
    path : Path or str
        A file, or the bare name of a shipped mapping, such as maven.

    Raises
    ------
    BadMapping
        If there is no such file, it is no YAML, or a key or value does not fit; names the line and the key.
    """
    path = Path(path)
    if str(path) in shipped() and not path.is_file():
        path = _SHIPPED / f"{path}.yaml"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadMapping(str(path), "is not text in UTF-8", "Save it as UTF-8.") from None
    except OSError:
        raise BadMapping(
            str(path), "there is no such mapping", f"Give a YAML file, or one that is shipped: {', '.join(shipped())}."
        ) from None
    return parse(text, path.name)


def parse(text: str, name: str = "mapping") -> Mapping:
    """Read a mapping from its text; errors as in `load`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.load(text, Loader=_Words)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise BadMapping(where, "is no YAML", "Check indents and colons there.") from None
    _refuse_doubled_keys(node, name)
    if not isinstance(data, dict) or node is None:
        raise BadMapping(name, "is no list of keys", "Start with a line such as 'tables:'.")
    try:
        mapping = Mapping.model_validate(data)
    except ValidationError as error:
        raise _first_problem(error, node, name) from None
    _check_columns(mapping, node, name)
    return mapping


def _refuse_doubled_keys(node: yaml.Node | None, name: str) -> None:
    """YAML keeps the last of two keys without a word; here that is an error."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    seen: set[str] = set()
    for key, value in pairs:
        if key.value in seen:
            raise BadMapping(f"{name}, line {key.start_mark.line + 1}, {key.value}", "stands twice", "Remove one.")
        seen.add(str(key.value))
        _refuse_doubled_keys(value, name)
    for value in node.value if isinstance(node, yaml.SequenceNode) else []:
        _refuse_doubled_keys(value, name)


def _check_columns(mapping: Mapping, node: yaml.Node, name: str) -> None:
    for place, table in enumerate(mapping.tables):
        spec = TABLES[table.table]
        for column in table.columns:
            if column in spec.by_name or (spec.custom and column.startswith("x_")):
                continue
            keys = ["tables", place, "columns", column]
            near = get_close_matches(column, spec.by_name, n=1)
            mend = f"Did you mean {near[0]}?" if near else f"Columns: {', '.join(spec.by_name)}."
            raise BadMapping(
                f"{name}, line {_line_of(node, keys)}, {'.'.join(map(str, keys))}", f"no column of {spec.name}", mend
            )


def shipped() -> list[str]:
    """Names of the mappings that come with Bellwether."""
    return sorted(p.stem for p in _SHIPPED.glob("*.yaml"))


def _first_problem(error: ValidationError, node: yaml.Node, name: str) -> BadMapping:
    # A key that is spelt wrong is also missing: its misspelling is the better hint.
    problem = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    keys = [k for k in problem["loc"] if k != "source"]
    line = _line_of(node, keys)
    place = f"{name}, line {line}, {'.'.join(str(k) for k in keys)}" if keys else name
    if problem["type"] == "extra_forbidden":
        known = _known_keys(keys[:-1])
        near = get_close_matches(str(keys[-1]), known, n=1)
        return BadMapping(
            place, "is not a known key", f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
        )
    if problem["type"] == "missing":
        return BadMapping(place, "is missing", "Add it.")
    return BadMapping(place, problem["msg"].removeprefix("Value error, "), "Mend that line.")


def _known_keys(where: list[Any]) -> list[str]:
    words = [k for k in where if isinstance(k, str)]
    model: type[BaseModel] = Mapping
    if words and words[-1] == "format":
        model = Format
    elif len(words) >= 2 and words[-2] == "columns":
        model = ColumnMap
    elif words and words[0] == "tables":
        model = TableMap
    return sorted(info.alias or key for key, info in model.model_fields.items())


def _line_of(node: yaml.Node, keys: list[Any]) -> int:
    line = node.start_mark.line
    for key in keys:
        child = None
        if isinstance(node, yaml.MappingNode):
            child = next(((k, v) for k, v in node.value if k.value == str(key)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            child = (node.value[key], node.value[key])
        if child is None:
            break
        line, node = child[0].start_mark.line, child[1]
    return line + 1
