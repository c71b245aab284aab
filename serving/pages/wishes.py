"""What the address of the deals page asks for: view, filters, order; kept there, so that it can be sent and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

VIEWS = ("", "closing", "silent", "past")
LOOKS = ("", "board")
# Column of the table -> (column of the frame, whether it is first sorted downwards).
ORDERS = {
    "name": ("name", False),
    "amount": ("amount", True),
    "close": ("close_date", False),
    "chance": ("win_probability", True),
    "expected": ("expected_amount", True),
    "silent": ("days_silent", True),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address of the page asks for."""

    view: str = ""
    q: str = ""
    owner: str = ""
    stage: str = ""
    kind: str = ""
    least: str = ""  # amount, base currency
    odds: str = ""  # chance in percent
    look: str = ""
    sort: str = "-expected"
    after: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Wish:
        """Anything that is not known becomes the default, so that an old address still opens."""
        given = {name: asked.get(name, "").strip()[:100] for name in cls.__slots__}
        known = {"view": given["view"] in VIEWS, "look": given["look"] in LOOKS}
        known |= {name: typed(given[name]) is not None for name in ("least", "odds")}
        known["sort"] = given["sort"].removeprefix("-") in ORDERS
        kept = {name: value for name, value in given.items() if value and known.get(name, True)}
        return cls(**kept)

    def query(self, **changed: str) -> str:
        """The address's part after the question mark, with some wishes changed; `after` is left out unless given."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "after"} | changed
        return urlencode({k: v for k, v in values.items() if v and not (k == "sort" and v == "-expected")})

    def address(self, **changed: str) -> str:
        """Address of the page with some wishes changed; other changes than `after` start at the top again."""
        query = self.query(**changed)
        return "/deals" + (f"?{query}" if query else "")

    @property
    def filters(self) -> dict[str, str]:
        """The filters that are set, by name."""
        names = ("q", "owner", "stage", "kind", "least", "odds")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def typed(text: str) -> float | None:
    """A number from 0 up as someone typed it; None where it is none."""
    try:
        found = float(text.replace(",", "").replace(" ", ""))
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None
