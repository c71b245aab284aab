"""How good a model is, in one word for programs: tried on past dates or not, better than a plain rate or not."""

from __future__ import annotations

from typing import Literal, get_args

Quality = Literal["untried", "no_signal", "little_data", "tested"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)


def quality_of(*, tried: bool, signal: bool, little: bool) -> Quality:
    """The word for a model.

    Parameters
    ----------
    tried : bool
        Whether the history was long enough to forecast past dates.
    signal : bool
        Whether the gain over the base rate on these is certain; if it is not, all get that rate.
    little : bool
        Whether the data are few, so that forecasts lean on a rate.
    """
    if not tried:
        return "untried"
    if not signal:
        return "no_signal"
    return "little_data" if little else "tested"
