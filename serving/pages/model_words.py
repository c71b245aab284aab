"""What is watched to tell when a model should be trained again, in the visitor's language."""

from __future__ import annotations

from serving.format import Formats
from training.trigger import Trigger


def watched(f: Formats, trigger: Trigger) -> str:
    """What is watched."""
    say = f.language.say
    named = {
        "schedule": say("Age"), "new outcomes": say("New results"), "feature definitions": say("Definitions"),
        "input drift": say("Drift of inputs"), "calibration drift": say("Drift of calibration"),
    }  # fmt: skip
    return named.get(trigger.name, trigger.name)


def figures(f: Formats, trigger: Trigger) -> str:
    """Its figures in a sentence."""
    if not trigger.known or not trigger.limit:
        return f.language.say("Too little has come since its training to tell.")
    say, value, limit = f.language.say, f.number(max(0.0, trigger.value)), f.number(trigger.limit)
    if trigger.name == "schedule":
        return say("Its data end {n} days before the newest; {limit} are allowed.", n=value, limit=limit)
    if trigger.name == "new outcomes":
        return say("{n} ended since it was trained; {limit} call for a new training.", n=value, limit=limit)
    if trigger.name == "feature definitions":
        same, other = say("Its features are defined as they were."), say("Its features are defined otherwise now.")
        return other if trigger.due else same
    if trigger.name == "input drift":
        said = say("{n} inputs drifted; {limit} call for a new training.", n=value, limit=limit)
        columns = trigger.text.partition(": ")[2].rstrip(".")  # names and figures, the same in every language
        return f"{said} {columns}".strip()
    sums = {"value": f.number(trigger.value, 1), "limit": f.number(trigger.limit, 1)}
    if trigger.due:
        return say("Issued forecasts do not hold (CUSUM {value}, bound {limit}).", **sums)
    return say("Issued forecasts hold (CUSUM {value}, bound {limit}).", **sums)
