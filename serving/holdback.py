"""Suggestions held back by chance: drawn once a deal and action, kept before anything is shown, compared as drawn."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from crm.lake import View, connect
from models.effects_sequence import Sequence, compare, contrasts, more_needed
from serving.store import Store
from serving.tables.advice import HoldBack
from serving.tables.people import Secret

ALL = ""
"""Stands for all actions together."""
_SALT = "hold_back"
_NEVER = ("pause", "hand_over")  # a deal whose owner has left must not wait for chance
_SPACE = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Trial:
    """The comparison for one action, or for all.

    Parameters
    ----------
    shown, held_back : int
        Suggestions drawn so far.
    known : int
        Of these, such whose outcome is known.
    found : Sequence
        Difference in the share won.
    more_needed : int
        About how many more with a known outcome it takes to prove 3 points; 0 where it is proved.
    """

    action: str
    shown: int
    held_back: int
    known: int
    found: Sequence
    more_needed: int


def hold_back(
    store: Store, advice: pd.DataFrame, deals: pd.DataFrame, *, share: float, model_version: str
) -> pd.DataFrame:
    """Take out the suggestions that chance holds back; what is drawn for the first time is kept first.

    A suggestion that is held back uses up its place: none moves up for it, so the shown ones are those that would have
    been shown anyway. With a share of 0 nothing is drawn and everything is shown.

    Parameters
    ----------
    advice : DataFrame
        As `models.coaching.advise` gives it.
    deals : DataFrame
        `deal_id`, `win_probability` as forecast before the draw, `owner_id`.
    share : float
        Share to hold back, from 0 up to .5.

    Returns
    -------
    DataFrame
        The rows of `advice` that may be shown, ranked anew from 1.
    """
    drawn = advice[~advice["action"].isin(_NEVER)]
    if share <= 0 or drawn.empty:
        return advice
    asked = drawn[["deal_id", "action", "as_of"]].merge(deals, on="deal_id", how="left")
    with store.session() as session:
        known = _known(session, asked)
        new = asked[[pair not in known for pair in _pairs(asked)]]
        salt = _salt(session)
        rows = [_row(row, salt, share, model_version) for row in new.to_dict("records")]
        if rows:
            session.execute(insert(HoldBack), rows)
    known |= {(str(row["deal_id"]), str(row["action"])): bool(row["held_back"]) for row in rows}
    shown = advice[[not known.get(pair, False) for pair in _pairs(advice)]].reset_index(drop=True)
    shown["rank"] = shown.groupby("deal_id").cumcount().to_numpy(np.int64) + 1
    return shown


def luck(salt: str, deal_id: str, action: str) -> float:
    """A number from 0 to 1 that nobody can choose: the same for a deal and action whenever it is asked for."""
    digest = hashlib.sha256(f"{salt}\n{deal_id}\n{action}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _SPACE


def trials(store: Store, view: View, *, weeks: int, as_of: datetime, share: float) -> list[Trial]:
    """Compare shown with held-back suggestions, for all actions together and for each.

    Parameters
    ----------
    weeks : int
        Won within so many weeks counts; only suggestions at least so old have a known outcome.
    as_of : datetime
        Until when outcomes are known.
    share : float
        Share held back now, for how many more are needed; 0: as in the past.
    """
    drawn = _drawn(store)
    if drawn.empty:
        return []
    won = _won_within(view, drawn, weeks)
    known = ((pd.Timestamp(as_of) - drawn["as_of"]) >= pd.Timedelta(weeks=weeks)).to_numpy()
    actions = [ALL, *sorted(drawn["action"].unique())]
    return [
        _trial(name, drawn, won, known, np.ones(len(drawn), bool) if name == ALL else (drawn["action"] == name), share)
        for name in actions
    ]


def _trial(
    name: str, drawn: pd.DataFrame, won: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_],
    mine: npt.ArrayLike, share: float,
) -> Trial:  # fmt: skip
    rows = np.asarray(mine, dtype=bool)
    held = drawn["held_back"].to_numpy(bool)
    told = drawn[rows & known]
    x = contrasts(
        won[rows & known].astype(np.float64),
        told["forecast"].to_numpy(np.float64),
        ~told["held_back"].to_numpy(bool),
        told["share"].to_numpy(np.float64),
    )
    owners = told["owner_id"].fillna(told["deal_id"])
    found = compare(x, told["deal_id"], owners)
    past = float(drawn.loc[rows, "share"].iloc[-1])
    needed = 0 if found.proves else more_needed(found, share or past)
    return Trial(name, int((rows & ~held).sum()), int((rows & held).sum()), len(told), found, needed)


def _known(session: Session, asked: pd.DataFrame) -> dict[tuple[str, str], bool]:
    wanted = set(asked["deal_id"])
    rows = session.execute(select(HoldBack.deal_id, HoldBack.action, HoldBack.held_back)).all()
    return {(deal, action): held for deal, action, held in rows if deal in wanted}


def _pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["deal_id"], frame["action"], strict=True))


def _row(row: dict[str, object], salt: str, share: float, model_version: str) -> dict[str, object]:
    deal, action = str(row["deal_id"]), str(row["action"])
    owner = row.get("owner_id")
    return {
        "deal_id": deal,
        "action": action,
        "held_back": luck(salt, deal, action) < share,
        "share": share,
        "forecast": float(str(row["win_probability"])),
        "owner_id": owner if isinstance(owner, str) else None,
        "as_of": pd.Timestamp(str(row["as_of"])).to_pydatetime(),
        "model_version": model_version,
        "made_at": datetime.now(UTC),
    }


def _salt(session: Session) -> str:
    secret = session.get(Secret, _SALT)
    if secret is None:
        secret = Secret(name=_SALT, value=secrets.token_hex(32))
        session.add(secret)
        session.flush()
    return secret.value


def _drawn(store: Store) -> pd.DataFrame:
    columns = ("deal_id", "action", "held_back", "share", "forecast", "owner_id", "as_of")
    query = select(*(getattr(HoldBack, name) for name in columns)).order_by(HoldBack.as_of, HoldBack.hold_back_id)
    with store.reading() as session:
        found = pd.DataFrame(session.execute(query).all(), columns=list(columns))
    found["as_of"] = pd.to_datetime(found["as_of"], utc=True)
    return found


def _won_within(view: View, drawn: pd.DataFrame, weeks: int) -> npt.NDArray[np.bool_]:
    with connect() as con:
        view.attach(con)
        closed = con.execute(
            "select deal_id, closed_at from deals where outcome = 'won' and closed_at is not null"
        ).df()
    ends = pd.to_datetime(closed.set_index("deal_id")["closed_at"], utc=True).reindex(drawn["deal_id"])
    within = ends.array - drawn["as_of"].array <= pd.Timedelta(weeks=weeks)
    return np.asarray(within, dtype=bool)
