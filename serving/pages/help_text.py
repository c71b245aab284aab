"""One figure's help: what it is, how it is computed, from which data."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Help(NamedTuple):
    """A figure's help in one language."""

    what: str
    how: str
    data: str


Say = Callable[[str], str]
