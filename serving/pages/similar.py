"""Won deals that are like a deal: same kind, product, segment, source; then the nearest amount."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from serving.pages import words
from serving.pages.desk import Desk
from serving.pages.outlook import number

MOST = 5
_TRAITS = ("kind", "product", "segment", "source")


class Similar(NamedTuple):
    """A won deal that is like the one looked at."""

    deal_id: str
    name: str
    same: str
    amount: str
    took: str


def similar_won(desk: Desk, deal_id: str) -> list[Similar]:
    """The won deals most alike that the visitor may open, most alike first; none where no two traits are the same."""
    deals = desk.facts.deals
    traits = deals.assign(segment=deals["account_id"].map(desk.facts.accounts["segment"]))
    this = traits.loc[deal_id]
    won = traits[(traits["outcome"] == "won") & (traits["kind"].fillna("new") != "lead") & (traits.index != deal_id)]
    # As an array, since a frame takes an empty list of truths as one of columns.
    won = won[np.array([desk.sight.owner(owner) for owner in won["owner_id"]], dtype=bool)]
    same = pd.DataFrame({trait: won[trait] == this[trait] for trait in _TRAITS}, index=won.index)
    apart = _apart(won["amount"], number(this["amount"]))
    ranked = won.assign(same=same.sum(axis=1), apart=apart).sort_values(["same", "apart"], ascending=[False, True])
    return [_row(desk, str(i), row, same.loc[i]) for i, row in ranked[ranked["same"] >= 2].head(MOST).iterrows()]


def _apart(amounts: pd.Series, amount: float | None) -> pd.Series:
    """How far amounts are from one, as a ratio on the log scale; unknown ones are farthest."""
    known = amounts.astype(float)
    if not amount or amount <= 0:
        return pd.Series(0.0, index=known.index)
    return pd.Series(np.abs(np.log(known.where(known > 0) / amount)), index=known.index).fillna(np.inf)


def _row(desk: Desk, ident: str, row: pd.Series, same: pd.Series) -> Similar:
    f, say = desk.formats, desk.language.say
    names = {"kind": say("Kind"), "product": say("Product"), "segment": say("Segment"), "source": say("Source")}
    joint = "、" if desk.language.code == "zh" else ", "
    opened, closed = words.moment(row["created_at"]), words.moment(row["closed_at"])
    days = (closed - opened).days if opened and closed else None
    return Similar(
        ident,
        words.text_or(row["name"], ident),
        joint.join(names[trait] for trait in _TRAITS if same[trait]),
        f.money_full(number(row["amount"])),
        say("{n} days", n=f.number(days)) if days is not None else "—",
    )
