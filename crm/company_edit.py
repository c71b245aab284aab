"""One value of company.yaml changed in place: comments, order and everything else stay as they were."""

from __future__ import annotations

import json
from typing import Any

import yaml

from crm.company import BadSetting, Company


def with_value(text: str, key: str, value: Any) -> str:
    """The file's text with one key, such as `name` or `advice.hold_back`, set to a value.

    Parameters
    ----------
    text : str
        The file as it is.
    key : str
        A key, or section and key with a dot between.
    value : str, int, float, bool, None, or list of these
        What it shall be.

    Raises
    ------
    BadSetting
        If the file with this value would not be valid, or writes the section in a way that cannot be changed in place.
    """
    path = key.split(".")
    made = _set(text, path, value)
    wanted = yaml.safe_load(text) or {}
    try:
        found = yaml.safe_load(made) or {}
    except yaml.YAMLError:
        found = None
    section = wanted if len(path) == 1 else (wanted.get(path[0]) or {})
    section[path[-1]] = yaml.safe_load(_written(value))
    if len(path) == 2:
        wanted[path[0]] = section
    if found != wanted:  # an anchor, say: nothing else may change with it
        raise BadSetting(key, "cannot be changed in place", "Change it in company.yaml by hand.")
    Company.parse(found)
    return made


def _set(text: str, path: list[str], value: Any) -> str:
    root = yaml.compose(text)
    node = _child(root, path[0])
    if len(path) == 1:
        return _put(text, root, node, path[0], value)
    if node is None:
        return _ended(text) + f"{path[0]}:\n  {path[1]}: {_written(value)}\n"
    if isinstance(node, yaml.ScalarNode) and not node.value:  # all its keys are comments
        at = node.start_mark.index
        return text[:at] + f"\n  {path[1]}: {_written(value)}" + text[at:]
    if not isinstance(node, yaml.MappingNode):
        raise BadSetting(path[0], "is no section", f"Write it as {path[0]}: with keys below.")
    return _put(text, node, _child(node, path[1]), path[1], value)


def _put(text: str, parent: yaml.Node | None, node: yaml.Node | None, key: str, value: Any) -> str:
    if node is not None:
        return _replaced(text, node, value)
    if parent is None or not parent.value:
        return _ended(text) + f"{key}: {_written(value)}\n"
    first = parent.value[0][0].start_mark
    if parent.flow_style:  # type: ignore[attr-defined]
        return text[: first.index] + f"{key}: {_written(value)}, " + text[first.index :]
    return text[: first.index] + f"{key}: {_written(value)}\n" + " " * first.column + text[first.index :]


def _replaced(text: str, node: yaml.Node, value: Any) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    old = text[start:end]
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False):
        return text[:start] + _written(value) + text[end:]
    # A list or section over several lines ends where the next key starts: its last line break stays.
    tail = old[len(old.rstrip()) :]
    return text[:start] + _written(value) + (tail or "\n") + text[end:]


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _written(value: Any) -> str:
    """As YAML on one line: JSON is YAML, and quotes what must be."""
    return json.dumps(value, ensure_ascii=False, default=str)
