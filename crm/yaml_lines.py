"""Lines of a YAML text, so that a message can say where something stands."""

from __future__ import annotations

from collections.abc import Sequence

import yaml


def line_of(text: str, where: Sequence[str | int]) -> int:
    """Line (from 1) of what keys and list places lead to; where they lead nowhere, of the last thing on the way.

    Parameters
    ----------
    text : str
        Valid YAML.
    where : sequence of str or int
        Keys of mappings and places in lists, such as ('features', 0, 'sql').
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for part in where:
        found = _inside(node, part)
        if found is None:
            break
        at, node = found
        line = at.start_mark.line + 1
    return line


def _inside(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
