"""The newest scores in memory: loaded once, again when the pointer to them changes; what a viewer may see of them."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company, People
from crm.errors import NotReady
from crm.lake import Lake, View, connect
from crm.money import attach_rates
from features.catalogue import OTHERS, WHO
from serving.access import Sight, seen_rows, team_tree
from serving.people_data.groups import withheld

COMPANY = "company"  # the team of everybody
_NOWHERE = np.array([], dtype=np.intp)
POINTER = "current"
FILES = ("deals", "leads", "reps", "teams", "accounts", "advice", "reasons", "curves")


class NoScores(NotReady):
    """Nothing has been scored yet."""

    def __init__(self) -> None:
        super().__init__("There are no scores yet. Make them: bellwether train, then bellwether score.")


@dataclass(frozen=True)
class Scores:
    """Score files of one run.

    Attributes
    ----------
    frames : mapping of str to DataFrame
        By file name without suffix; those that could not be made are absent.
    meta : mapping
        meta.json: as_of, made_at, data_cut, models, notes, missing.
    index : DataFrame
        What deals are, by deal_id: owner_id, account_id, stage, amount and the like, as the lake had it.
    mark : str
        Another one for each run; '' where nothing was scored.
    members : mapping of str to frozenset of str
        Reps in each team and those below it on the day of the scores.
    parents : mapping of str to str or None
        The team above each.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    index: pd.DataFrame = field(default_factory=pd.DataFrame)
    mark: str = ""
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def as_of(self) -> datetime | None:
        """Moment of the scores."""
        found = self.meta.get("as_of")
        return datetime.fromisoformat(found) if found else None

    def frame(self, name: str) -> pd.DataFrame:
        """One score file.

        Raises
        ------
        NoScores
            If it has not been made.
        """
        if name not in self.frames:
            raise NoScores
        return self.frames[name]

    def of(self, name: str, keys: Iterable[str], column: str = "deal_id") -> pd.DataFrame:
        """The rows of some deals (or whatever `column` names) in a score file, by an index that is made once.

        Raises
        ------
        NoScores
            If the file has not been made.
        """
        frame = self.frame(name)
        if (name, column) not in self._places:
            self._places[name, column] = frame.groupby(column, sort=False).indices
        places = self._places[name, column]
        return frame.take(np.concatenate([_NOWHERE, *(places[key] for key in keys if key in places)]))

    @cached_property
    def _places(self) -> dict[tuple[str, str], Mapping[Any, np.ndarray]]:
        return {}

    def seen_by(self, sight: Sight) -> Scores:
        """Only the rows that a viewer may see."""
        seen = self._in_sight(sight)
        frames = dict(seen.frames)
        if "reps" in frames:
            frames["reps"] = seen_rows(frames["reps"], "rep_id", sight.persons)
        if "teams" in frames:
            frames["teams"] = frames["teams"][~frames["teams"]["team_id"].isin(self._withheld(sight))]
        if "reasons" in frames:
            frames["reasons"] = self._reasons(frames["reasons"], sight)
        return replace(seen, frames=frames)

    def seen_at_machine(self, people: People) -> Scores:
        """What the command line shows and writes: whoever works there is none of the persons."""
        if people.level == "person":
            return self
        return self.seen_by(Sight(persons=frozenset(), least=people.min_group))

    def _in_sight(self, sight: Sight) -> Scores:
        if sight.reps is None:
            return self
        owners = self.index["owner_id"] if len(self.index) else pd.Series(dtype=object)
        deals = frozenset(owners.index[owners.isin(sight.reps)])
        allowed = {
            "deals": ("deal_id", deals),
            "leads": ("deal_id", deals),
            "advice": ("deal_id", deals),
            "curves": ("deal_id", deals),
            "reps": ("rep_id", sight.reps),
            "teams": ("team_id", sight.teams),
            "accounts": ("account_id", sight.accounts),
        }
        frames = {name: seen_rows(frame, *allowed[name]) for name, frame in self.frames.items() if name in allowed}
        if "reasons" in self.frames:
            frames["reasons"] = _seen_reasons(
                self.frames["reasons"], {"deal": deals, "rep": sight.reps, "account": sight.accounts or frozenset()}
            )
        index = self.index[self.index["owner_id"].isin(sight.reps)] if len(self.index) else self.index
        return replace(self, frames=frames, index=index)

    def _withheld(self, sight: Sight) -> set[str]:
        """Teams of too few people, or from which a figure of too few could be found."""
        if not sight.least or "reps" not in self.frames:
            return set()
        counted = _with_figures(self.frames["reps"])
        members = {team: reps & counted for team, reps in self.members.items()}
        everyone = {COMPANY: counted | frozenset().union(*members.values())}
        parents = {team: parent if parent in members else COMPANY for team, parent in self.parents.items()}
        known = frozenset({sight.own} if sight.own else ())
        return withheld(members | everyone, parents | {COMPANY: None}, least=sight.least, known=known)

    def _reasons(self, reasons: pd.DataFrame, sight: Sight) -> pd.DataFrame:
        """Without those of persons whose figures are not shown.

        What is owed to a deal's owner is told to the owner and the managers above alone: others see it among the rest.
        """
        if sight.persons is not None:
            reasons = reasons[(reasons["entity"] != "rep") | reasons["entity_id"].isin(sight.persons)]
        shown = sight.persons
        if shown is None and sight.reps is None:
            shown = frozenset({sight.own} if sight.own else ())
        if shown is None:
            return reasons
        mine = frozenset(self.index.index[self.index["owner_id"].isin(shown)]) if len(self.index) else frozenset()
        told = (reasons["feature"] != WHO.name) | ((reasons["entity"] == "deal") & reasons["entity_id"].isin(mine))
        return reasons.assign(feature=reasons["feature"].where(told, OTHERS.name))


def _seen_reasons(reasons: pd.DataFrame, allowed: Mapping[str, frozenset[str]]) -> pd.DataFrame:
    kept = pd.Series(False, index=reasons.index)
    for entity, keys in allowed.items():
        kept |= (reasons["entity"] == entity) & reasons["entity_id"].isin(keys)
    return reasons[kept]


def _with_figures(reps: pd.DataFrame) -> frozenset[str]:
    """Reps that add something to a team's figures in any period: a goal, or business closed or to come."""
    adds = reps["target"].fillna(0).ne(0) | reps["actual_to_date"].fillna(0).ne(0) | reps["p90"].fillna(0).ne(0)
    return frozenset(reps.loc[adds, "rep_id"])


class ScoreBook:
    """Gives the newest scores of a home, and what each viewer may see of them.

    Parameters
    ----------
    folder : Path
        `scores/` of the home.
    lake : Lake
        Where the deals' owners and stages are read, at the scores' data cut.
    """

    def __init__(self, folder: Path, lake: Lake) -> None:
        self._folder, self._lake = folder, lake
        self._lock = Lock()
        self._newest = Scores()
        self._seen: OrderedDict[Sight, Scores] = OrderedDict()

    def newest(self, company: Company) -> Scores:
        """The newest scores; empty ones where there are none."""
        mark = read_pointer(self._folder)
        with self._lock:
            if mark != self._newest.mark:
                self._newest = self._load(mark, company)
                self._seen.clear()
            return self._newest

    def seen_by(self, sight: Sight, company: Company) -> Scores:
        """The newest scores as far as a viewer may see them."""
        newest = self.newest(company)
        with self._lock:
            if sight not in self._seen or self._seen[sight].mark != newest.mark:
                self._seen[sight] = newest.seen_by(sight)
                while len(self._seen) > 50:
                    self._seen.popitem(last=False)
            return self._seen[sight]

    def _load(self, mark: str, company: Company) -> Scores:
        if not mark:
            return Scores()
        frames, meta = read_folder(self._folder / mark)
        view, as_of = self._lake.at(int(meta["data_cut"])), datetime.fromisoformat(meta["as_of"])
        return scores_of(view, company, frames, meta, as_of=as_of, mark=mark)


def scores_of(
    view: View,
    company: Company,
    frames: Mapping[str, pd.DataFrame],
    meta: Mapping[str, Any],
    *,
    as_of: datetime,
    mark: str = "",
) -> Scores:
    """Score files with what is needed to tell who may see which rows of them."""
    members, parents = team_tree(view, day=as_of.astimezone(company.zone).date())
    return Scores(frames, meta, deal_index(view, company, as_of), mark, members, parents)


def read_folder(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Score files and meta.json of a folder."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    frames = {name: pd.read_parquet(path) for name in FILES if (path := folder / f"{name}.parquet").exists()}
    return frames, meta


def read_pointer(folder: Path) -> str:
    """Name of the newest run's folder; '' where there is none."""
    try:
        return (folder / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def swap_pointer(folder: Path, name: str) -> None:
    """Make a run the newest, at once for all readers."""
    part = folder / f".{POINTER}.{os.getpid()}"
    part.write_text(name, encoding="utf-8")
    part.replace(folder / POINTER)


_INDEX = """
select d.deal_id, coalesce(nullif(d.name, ''), d.deal_id) as name, d.owner_id, d.account_id, d.product_id, d.stage,
       d.kind, d.pipeline, d.source, d.outcome, cast(d.amount as double) * r.rate as amount, d.created_at, d.close_date,
       d.closed_at
from deals d
left join fx r on r.currency = coalesce(d.currency, '') and $now >= r.valid_from and $now < r.valid_to
"""


def deal_index(view: View, company: Company, as_of: datetime) -> pd.DataFrame:
    """What each deal is, by deal_id; amounts in base currency at the rate of `as_of`."""
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        return con.execute(_INDEX, {"now": as_of}).df().drop_duplicates("deal_id").set_index("deal_id")
