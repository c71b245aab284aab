"""What `bellwether monitor` found last, as a file of the home: read by the page and by the metrics."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from serving.home import Home
from training.trigger import Trigger

FILE = "monitor.json"
_NO_BOUND = 1e12  # JSON knows no infinity


@dataclass(frozen=True)
class Watched:
    """What was found at a moment: triggers of each model in use, and alerts on data."""

    as_of: str
    data_cut: int
    triggers: list[Trigger] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)

    @property
    def due(self) -> list[str]:
        """Models that should be trained again."""
        return list(dict.fromkeys(t.what for t in self.triggers if t.due))


def keep(home: Home, found: Watched) -> None:
    """Keep what was found in place of what was found before."""
    told = asdict(found)
    for trigger in told["triggers"]:
        trigger["limit"] = min(trigger["limit"], _NO_BOUND)
    path = home.root / FILE
    part = path.with_suffix(".part")
    part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    part.replace(path)


def newest(home: Home) -> Watched | None:
    """What was found last; None where nothing was looked at yet."""
    path = home.root / FILE
    if not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Watched(**kept | {"triggers": [Trigger(**t) for t in kept["triggers"]]})
