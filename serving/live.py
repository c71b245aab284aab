"""The win model in use with a data cut's events held in memory: deals are described and scored while one waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.errors import BellwetherError
from crm.lake import LakeView
from models.quality import Quality
from serving.home import Home
from training import registry

if TYPE_CHECKING:
    from features.online import Online

DAYS = (30, 60, 90)
LOOK_AGAIN = 10.0  # seconds after which a newer champion is asked for


@dataclass(frozen=True)
class Answer:
    """What the model says of deals, row by row.

    Attributes
    ----------
    scored : shape (n, p)
        As `WinModel.score` gives.
    won, lost : shape (n, 3)
        Shares by each of `DAYS`.
    X : shape (n, features)
        What it was told.
    """

    scored: pd.DataFrame
    won: np.ndarray
    lost: np.ndarray
    X: pd.DataFrame
    version: str

    def missing(self, row: int) -> list[str]:
        """Features that are not known of a row."""
        gone = self.X.iloc[row].isna()
        return [str(name) for name in gone.index[gone]]

    def moved(self, other: Answer) -> list[str]:
        """Features of the first row that are not the same in another answer."""
        one, two = self.X.iloc[0], other.X.iloc[0]
        return [str(n) for n in one.index if not (one[n] == two[n] or (pd.isna(one[n]) and pd.isna(two[n])))]


class Ready:
    """One model on one data cut."""

    def __init__(self, champion: registry.Champion, online: Online, view: LakeView, company: Company) -> None:
        self.champion, self.view, self._online, self._company = champion, view, online, company
        self.custom: dict[str, pa.DataType] = {f.name: f.type for f in view.schema("deals") if f.name.startswith("x_")}
        self.accounts = frozenset(view.arrow("accounts")["account_id"].to_pylist())
        self.reps = frozenset(view.arrow("reps")["rep_id"].to_pylist())
        deals = view.arrow("deals").select(["deal_id", "owner_id", "amount"]).to_pydict()
        self.owners = dict(zip(deals["deal_id"], deals["owner_id"], strict=True))
        amounts = zip(deals["deal_id"], deals["amount"], strict=True)
        self._amounts = {deal: float(amount) for deal, amount in amounts if amount is not None}
        contacts = view.arrow("contacts").select(["account_id", "contact_id"]).to_pandas()
        self.contacts = {str(a): frozenset(own) for a, own in contacts.groupby("account_id")["contact_id"]}

    def is_of(self, company: Company) -> bool:
        """Whether it was made with these settings."""
        return company is self._company or company == self._company

    @cached_property
    def quality(self) -> Quality | None:
        """One word for how good the model is; None where one kept by an earlier version does not say."""
        found: Quality | None = (getattr(self.champion.model, "note", None) or {}).get("quality")
        return found

    def amount_of(self, deal_id: str) -> float | None:
        """A deal's amount in its own currency; None where it is not known."""
        return self._amounts.get(deal_id)

    def rate(self, added: dict[str, pa.Table] | None, keys: list[str], as_of: datetime) -> Answer:
        """Describe and score deals at a moment.

        Parameters
        ----------
        added : mapping of str to pa.Table, optional
            Rows of whole deals as if the lake had them; unset: as it has them.
        keys : list of str, length n
            Which deals.
        as_of : datetime
            The moment of all of them.
        """
        at = pd.Timestamp(as_of).as_unit("us").tz_convert("UTC")
        spine = pd.DataFrame({"deal_id": pd.Series(keys, dtype=object)})
        spine["as_of"] = pd.Series(at, index=spine.index).astype("datetime64[us, UTC]")
        X = self._online.describe(spine) if added is None else self._online.describe_with(added, spine)
        model = self.champion.model
        scored = model.score(X, as_of=at, period_end=self._period_end(at))
        edges, won, lost = model.curve(X)
        by_day = [np.array([np.interp(DAYS, edges, row) for row in found]) for found in (won, lost)]
        return Answer(scored, by_day[0], by_day[1], X, self.champion.version)

    def _period_end(self, at: pd.Timestamp) -> pd.Timestamp:
        period = self._company.period_of(at.tz_convert(self._company.time_zone).date())
        return pd.Timestamp(period.bounds(self._company.time_zone)[1]).tz_convert("UTC")


class Live:
    """Gives the model in use on the newest data; both are loaded once, and again when one of them changes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = Lock()
        self._kept: tuple[object, Ready] | None = None
        self._champion: tuple[float, registry.Champion] | None = None
        self.state: tuple[Literal["ok", "waiting", "loading"], str] = ("ok", "loaded when first asked for")

    def warm(self, view: LakeView, company: Company) -> None:
        """Load the model before anybody asks, and say in `state` what came of it."""
        self.state = ("loading", "the win model is being loaded")
        try:
            self.ready(view, company)
        except BellwetherError as error:  # what was scored before can still be served
            self.state = ("waiting", str(error))
        except BaseException as error:
            self.state = ("waiting", type(error).__name__)
            raise

    def ready(self, view: LakeView, company: Company) -> Ready:
        """The model on a view.

        Raises
        ------
        NoModel
            If none was trained yet.
        OtherDefinitions
            If it was trained on other definitions of its features than hold now.
        """
        with self._lock:
            champion = self._newest()
            key = (champion.run_id, champion.model.ranges_missing, view.cut.number)
            if self._kept is None or self._kept[0] != key or not self._kept[1].is_of(company):
                self._kept = key, self._load(champion, view, company)
                self.state = ("ok", f"win {champion.version}")
            return self._kept[1]

    def forget(self) -> None:
        """Ask for the model in use anew at the next question."""
        with self._lock:
            self._champion = None

    def _newest(self) -> registry.Champion:
        if self._champion is None or time.monotonic() > self._champion[0]:
            self._champion = time.monotonic() + LOOK_AGAIN, registry.champion("win", tracking=self._home.tracking)
        return self._champion[1]

    def _load(self, champion: registry.Champion, view: LakeView, company: Company) -> Ready:
        from features.online import Online
        from training.definitions import check_definitions

        check_definitions("win", champion, company, tracking=self._home.tracking)
        # What it replaces may still be at work in another thread; its memory goes with the last one.
        return Ready(champion, Online(view, company), view, company)


def moment_of(asked: datetime | None, scored_at: datetime | None, company: Company) -> datetime:
    """The moment to score at: as asked, else now; the time of a sample company stands still at its data."""
    if asked is not None:
        return asked
    return scored_at if company.sample and scored_at is not None else datetime.now(UTC)
