"""Who asks, and all that answers made from scores rest on: found together, and kept while nothing changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from typing import Any

from crm.company import Company
from crm.lake import LakeView
from serving.access import Sight, Viewer
from serving.scores import Scores


@dataclass(frozen=True)
class Asked:
    """What an answer may be made from if it is to be kept for the next who asks the same.

    Attributes
    ----------
    sight : Sight
        What the viewer may see.
    scores : Scores
        As far as the viewer may see them.
    view : LakeView
        The lake at the scores' data cut.
    names : mapping of str to str
        Name of each rep whom the viewer may see by name.
    today : date
        In the company's time zone.
    marks : tuple
        Other ones whenever company settings or names change.
    """

    viewer: Viewer
    company: Company
    sight: Sight
    scores: Scores
    view: LakeView
    names: Mapping[str, str]
    today: date
    marks: tuple[object, ...]

    @cached_property
    def tag(self) -> str:
        """The same text for two that would get the same answers, in every process; another one else."""
        run = (self.scores.mark, self.scores.meta.get("data_cut"), self.scores.meta.get("models"))
        return digest(run, self.view.cut.number, self.today.isoformat(), self.marks, _plain(self.sight))


def digest(*parts: object) -> str:
    """A short text that stands for values whose `repr` tells them apart."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _plain(sight: Sight) -> list[tuple[str, Any]]:
    """Every field there is, so that one added later counts too; sets in order, which differs between processes."""
    found = [(one.name, getattr(sight, one.name)) for one in fields(sight)]
    return [(name, sorted(value) if isinstance(value, frozenset) else value) for name, value in found]
