"""Coaching of people: whose strengths and themes a viewer may see, worked out once a data cut."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from crm.company import Company
from crm.errors import NotFound
from crm.lake import View
from planning.habits import SINCE_DAYS, Habits, coaching
from planning.sales import Sales
from serving.access import Sight, Viewer
from serving.people_data.purposes import Purposes
from serving.problems import NOTHING_HERE
from serving.reports import SalesBook
from serving.store import Store


class NoCoaching(NotFound):
    """No such person, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


class HabitBook:
    """Habits of all people, kept for the newest question: working them out takes seconds."""

    def __init__(self, selling: SalesBook) -> None:
        self._selling, self._lock = selling, Lock()
        self._kept: tuple[tuple[Any, ...], Habits] | None = None

    def read(self, view: View, cut: int, company: Company, moment: datetime) -> Habits:
        """What a data cut says of habits up to a moment, and what became of themes since."""
        key = (cut, moment, company.model_dump_json())
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                now = self._selling.read(view, cut, company, moment)
                before = Sales.read(view, company, moment - timedelta(days=SINCE_DAYS))
                self._kept = (key, coaching(view, company, now, before))
            return self._kept[1]


def may_coach(viewer: Viewer, sight: Sight, rep_id: str, known: Container[str], store: Store, company: Company) -> bool:
    """Whether a person's coaching is shown: to that person; to who sees persons where coaching was agreed to.

    Parameters
    ----------
    known : container of str
        Every rep_id there is.

    Raises
    ------
    NoCoaching
        If there is nobody of that key, or figures on the person are not shown to the viewer at all.
    """
    if rep_id not in known or not sight.person(rep_id):
        raise NoCoaching
    return viewer.rep_id == rep_id or Purposes(store, company).allowed("coaching")
