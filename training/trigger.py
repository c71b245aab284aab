"""One thing that is watched to tell when a model should be trained again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trigger:
    """What is watched of which model, whether it calls for a new training (`due`), and a sentence with figures.

    `known` is False where there is too little to tell yet.
    """

    what: str
    name: str
    due: bool
    text: str
    value: float
    limit: float
    known: bool = True
