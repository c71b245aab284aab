"""The newest scores in memory: loaded once, again when the pointer to them changes; what a viewer may see of them."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd

from crm.company import Company, People
from crm.errors import NotReady
from crm.lake import Lake, View, connect
from crm.money import attach_rates
from features.catalogue import OTHERS, WHO
from serving.access import Sight, seen_rows, team_tree
from serving.deal_rows import INDEX, DealRows
from serving.lists import Order
from serving.people_data.groups import withheld

COMPANY = "company"  # the team of everybody
POINTER = "current"
_VIEWERS_KEPT, _ORDERS_KEPT = 50, 6
FILES = ("deals", "leads", "reps", "teams", "accounts", "advice", "reasons", "curves", "on_track")
ON_TRACK = FILES[-1]
"""Deals for which no step is named, as they stand like deals that were won from the same stage."""


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
    sight : Sight
        To what the rows are cut.
    whole : Scores, optional
        What they were cut from.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    index: pd.DataFrame = field(default_factory=pd.DataFrame)
    mark: str = ""
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)
    sight: Sight = field(default_factory=Sight)
    whole: Scores | None = None

    @cached_property
    def rows(self) -> DealRows:
        """Deals by key, those of all viewers: to be asked with `sight`."""
        return DealRows(self.frames, self.index) if self.whole is None else self.whole.rows

    @cached_property
    def as_of(self) -> datetime | None:
        """Moment of the scores."""
        found = self.meta.get("as_of")
        return datetime.fromisoformat(found) if found else None

    def note(self, what: str) -> Mapping[str, Any]:
        """What the model behind the scores says of itself; empty where nothing was scored with one."""
        return (self.meta.get("notes") or {}).get(what) or {}

    def listed(self, name: str, order: Order) -> pd.DataFrame:
        """Deals or leads with what they are, in an order; kept for the next list.

        Raises
        ------
        NoScores
            If they have not been scored.
        """
        if self.whole is not None and self.sight.reps is None:  # all rows: the same for all who see all
            return self.whole.listed(name, order)
        if (name, order) not in self._listed:
            while len(self._listed) >= _ORDERS_KEPT:
                self._listed.pop(next(iter(self._listed)), None)
            self._listed[name, order] = order.sorted(self.frame(name).join(self.index[INDEX], on="deal_id"))
        return self._listed[name, order]

    @cached_property
    def _listed(self) -> dict[tuple[str, Order], pd.DataFrame]:
        return {}

    def on_track(self, deal_id: str) -> bool:
        """Whether a deal stands as deals won from its stage stood, with nothing to be done about it."""
        return on_track(self.frames, deal_id)

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

    def seen_by(self, sight: Sight) -> Scores:
        """Only the rows that a viewer may see."""
        index = self.index
        if sight.reps is not None and len(index):
            index = index[index["owner_id"].isin(sight.reps)]
        frames = _Cut(self.frames, partial(self._cut, sight, index))
        return replace(self, frames=frames, index=index, sight=sight, whole=self)

    def seen_at_machine(self, people: People) -> Scores:
        """What the command line shows and writes: whoever works there is none of the persons."""
        if people.level == "person":
            return self
        return self.seen_by(Sight(persons=frozenset(), least=people.min_group))

    def _cut(self, sight: Sight, index: pd.DataFrame, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of one file that a viewer may see; `index` has the deals in sight."""
        if sight.reps is not None:
            frame = _in_sight(name, frame, sight, frozenset(index.index))
        if name == "reps":
            return seen_rows(frame, "rep_id", sight.persons)
        if name == "teams":
            return frame[~frame["team_id"].isin(self._withheld(sight))]
        return self._reasons(frame, sight) if name == "reasons" else frame

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
        """Without those of persons whose figures are not shown; see `Sight.told_what_is_owed`."""
        if sight.persons is not None:
            reasons = reasons[(reasons["entity"] != "rep") | reasons["entity_id"].isin(sight.persons)]
        shown = sight.told_what_is_owed
        if shown is None:
            return reasons
        mine = frozenset(self.index.index[self.index["owner_id"].isin(shown)]) if len(self.index) else frozenset()
        told = (reasons["feature"] != WHO.name) | ((reasons["entity"] == "deal") & reasons["entity_id"].isin(mine))
        return reasons.assign(feature=reasons["feature"].where(told, OTHERS.name))


class _Cut(Mapping[str, pd.DataFrame]):
    """Score files, each cut to what may be seen when it is first asked for."""

    def __init__(self, whole: Mapping[str, pd.DataFrame], cut: Callable[[str, pd.DataFrame], pd.DataFrame]) -> None:
        self._whole, self._cut = whole, cut
        self._made: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            self._made[name] = self._cut(name, self._whole[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)


def on_track(frames: Mapping[str, pd.DataFrame], deal_id: str) -> bool:
    """Whether a deal is one of `ON_TRACK`; none is where older scores do not say."""
    return ON_TRACK in frames and deal_id in set(frames[ON_TRACK]["deal_id"])


def _in_sight(name: str, frame: pd.DataFrame, sight: Sight, deals: frozenset[str]) -> pd.DataFrame:
    """The rows of one file on deals, reps, teams and accounts in sight; of a file that is not known, none."""
    if name == "reasons":
        reps, accounts = sight.reps or frozenset(), sight.accounts or frozenset()
        return _seen_reasons(frame, {"deal": deals, "rep": reps, "account": accounts})
    allowed = {
        "deals": ("deal_id", deals),
        "leads": ("deal_id", deals),
        "advice": ("deal_id", deals),
        "curves": ("deal_id", deals),
        ON_TRACK: ("deal_id", deals),
        "reps": ("rep_id", sight.reps),
        "teams": ("team_id", sight.teams),
        "accounts": ("account_id", sight.accounts),
    }
    return seen_rows(frame, *allowed[name]) if name in allowed else frame.head(0)


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
        self._lock, self._loading = Lock(), Lock()
        self._newest = Scores()
        self._seen: OrderedDict[Sight, Scores] = OrderedDict()

    def newest(self, company: Company) -> Scores:
        """The newest scores; empty ones where there are none. While one request loads them, others get those before."""
        mark = read_pointer(self._folder)
        if mark == (kept := self._newest).mark or not self._loading.acquire(blocking=not kept.mark):
            return kept
        try:
            if mark != self._newest.mark:
                self._newest = self._load(mark, company)
            return self._newest
        finally:
            self._loading.release()

    def seen_by(self, sight: Sight, company: Company) -> Scores:
        """The newest scores as far as a viewer may see them."""
        return self.cut(self.newest(company), sight)

    def cut(self, newest: Scores, sight: Sight) -> Scores:
        """Scores that `newest` gave, as far as a viewer may see them."""
        with self._lock:
            if sight not in self._seen or self._seen[sight].whole is not newest:
                self._seen[sight] = newest.seen_by(sight)
            self._seen.move_to_end(sight)
            while len(self._seen) > _VIEWERS_KEPT:
                self._seen.popitem(last=False)
            return self._seen[sight]

    def _load(self, mark: str, company: Company) -> Scores:
        if not mark:
            return Scores()
        frames, meta = read_folder(self._folder / mark)
        view, as_of = self._lake.at(int(meta["data_cut"])), datetime.fromisoformat(meta["as_of"])
        made = scores_of(view, company, frames, meta, as_of=as_of, mark=mark)
        _ = made.rows  # now, not at the first question
        return made


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
