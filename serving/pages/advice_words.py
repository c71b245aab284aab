"""What would change the advice on a deal: which fact takes a step off the list, and what comes first in its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crm.company import Company
from serving.i18n import Language

_Step = Mapping[str, Any]


def would_change(
    language: Language, steps: Sequence[_Step], place: int, *, company: Company, called: Callable[[str], str]
) -> list[str]:
    """Sentences on one suggestion among those that are shown for a deal.

    Parameters
    ----------
    steps : sequence of mapping
        Rows of the advice on one deal, best first: `action`, and `ends` where it is known.
    place : int
        Which of them, from 0.
    called : callable
        An action's name to what it is called.
    """
    step, say = steps[place], language.say
    fact = gone(language, str(step["action"]), company)
    said = [say("It leaves the list with {fact}.", fact=fact)] if fact else []
    if place == 0:
        return [*said, _in_its_place(language, steps, called)]
    if str(step["action"]) in _ended(steps[0]):
        return [*said, say("It goes too once this is done: {step}.", step=called(str(steps[0]["action"])))]
    above = say("It comes first once what stands above it is done or turned down.")
    return [*said, above]


def gone(language: Language, action: str, company: Company) -> str:
    """The recorded fact with which a step no longer fits; empty where nothing recorded tells."""
    from models.own_actions import catalogue  # with the models, which pages without advice need not wait for

    found = next((a for a in catalogue(company) if a.name == action), None)
    return language.choose(found.gone_en, found.gone_zh) if found else ""


def _in_its_place(language: Language, steps: Sequence[_Step], called: Callable[[str], str]) -> str:
    """What comes first once the first step is done or turned down, of those shown: others may be held back."""
    say = language.say
    others, ended = [str(step["action"]) for step in steps[1:]], _ended(steps[0])
    down, done = next(iter(others), None), next((name for name in others if name not in ended), None)
    if down is None:
        return say("Done or turned down, it leaves nothing else to suggest for now.")
    if done == down:
        return say("Done or turned down, it is followed by: {step}.", step=called(down))
    if done is None:
        return say("Turned down, it is followed by: {step}. Done, it takes that along.", step=called(down))
    return say("Turned down, it is followed by: {step}. Done, by: {other}.", step=called(down), other=called(done))


def _ended(step: _Step) -> frozenset[str]:
    """Steps that no longer fit once this one is done; scores of an earlier version do not say."""
    stored = step.get("ends")
    return frozenset(json.loads(stored)) if isinstance(stored, str) and stored else frozenset()
