"""Answers on reviews as they may look, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]
_AS_OF = "2026-02-28T18:00:00Z"
_FORECAST: Example = {
    "as_of": _AS_OF, "period_start": "2026-01-01", "period_end": "2026-04-01", "metric": "bookings",
    "target": 900000.0, "closed": 410000.0, "p10": 720000.0, "p50": 815000.0, "p90": 930000.0, "p_attain": 0.19,
}  # fmt: skip
PACK: Example = {
    "title": "Weekly review, East",
    "subtitle": "Feb 21, 2026 to Feb 28, 2026",
    "finding": "East is likely to end the quarter at $815K, 91% of goal (80% range 80–103%).",
    "note": "Data as of Feb 28, 18:00; ranges hold 80% of the simulated periods.",
    "sections": [
        {
            "key": "deals", "title": "Deals to talk about", "minutes": 12, "lines": ["5 deals where money and doubt …"],
            "tables": [{"head": ["Deal", "Amount, $"], "rows": [["Line 4, Acme", 90000.0]]}],
        }
    ],
}  # fmt: skip
SERIES: Example = {
    "series_id": 3, "period": "weekly", "team_id": "T-2", "weekday": 1, "begins": "09:00", "minutes": 45,
    "invited": ["head@example.com"], "sequence": 0, "ended_at": None,
}  # fmt: skip
SERIES_LIST: Example = {"series": [SERIES]}
DECISION: Example = {
    "decision_id": 8, "item": "deals", "text": "Offer Acme the two-year price.", "forecast": _FORECAST,
    "made_at": _AS_OF,
}  # fmt: skip
ACTION: Example = {
    "action_id": 12, "series_id": 3, "review_id": 5, "item": "deals", "subject": "D-117",
    "text": "Meet Acme's head of purchasing", "rep_id": "R-5", "due": "2026-03-06", "state": "open", "reason": "",
    "carried": 0, "to_renew": False,
}  # fmt: skip
ACTIONS: Example = {"actions": [ACTION]}
REVIEW: Example = {
    "review_id": 5, "series_id": 3, "period": "weekly", "team_id": "T-2", "day": "2026-02-28", "since": "2026-02-21",
    "as_of": _AS_OF, "forecast": _FORECAST, "closed_at": None, "sent_at": None, "decisions": [DECISION],
    "actions": [ACTION], "minutes": "",
}  # fmt: skip
REVIEWS: Example = {"reviews": [REVIEW]}
FEED: Example = {
    "token_id": 4,
    "address": "https://bellwether.example.com/api/v1/reviews/calendar.ics?token=bw_example",
}
_BEFORE: Example = {"mean": 101.0, "p10": 88.0, "p50": 100.0, "p90": 115.0, "target": 105.0, "p_attain": 0.38}
SCENARIO: Example = {
    "period_start": "2026-01-01",
    "period_end": "2026-04-01",
    "totals": [
        {
            "owner": "company", "before": _BEFORE, "after": {**_BEFORE, "mean": 107.0, "p_attain": 0.52}, "gain": 6.0,
            "gain_low": 1.0, "gain_high": 12.0, "better": 0.94, "worse": 0.0, "unchanged": False,
        }
    ],
    "cost": 2.0,
    "net": 4.0,
    "basis": ["assumption"],
}  # fmt: skip
SIGNALS: Example = {
    "signals": [
        {
            "kind": "product_behind", "subject": "P9", "actual": 41000.0, "expected": 90000.0, "low": 62000.0,
            "basis": "own past periods",
        }
    ],
    "trend": {
        "month": "2026-01", "method": "seasonal naive", "expected": 310000.0, "low": 250000.0, "high": 365000.0,
        "actual": 298000.0, "outside": False,
    },
}  # fmt: skip
