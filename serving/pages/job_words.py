"""What a job came to, in the visitor's language; else in the words that it wrote itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.format import Formats
from serving.jobs.queue import Job


def outcome(f: Formats, job: Job) -> str:
    """The result of a job that is done; empty where there is none that can be said."""
    if job.state != "done" or not job.result:
        return ""
    said = {"import": _imported, "sync": _synced, "train": _trained, "score": _scored, "monitor": _looked}
    try:
        return said[job.kind](f, job.result)
    except KeyError:  # a kind that has no words here, or a job of an older version with other keys
        return ""


def model_names(f: Formats) -> dict[str, str]:
    """The three models by name."""
    say = f.language.say
    return {"win": say("Win"), "attainment": say("Attainment"), "churn": say("Churn")}


def _imported(f: Formats, result: Mapping[str, Any]) -> str:
    say, values = f.language.say, {"taken": f.number(result["taken"]), "refused": f.number(result["refused"])}
    if result["dry_run"]:
        return say("{taken} rows would be taken, {refused} refused.", **values)
    return say("{taken} rows taken, {refused} refused.", **values)


def _synced(f: Formats, result: Mapping[str, Any]) -> str:
    n = len(result["tables"])
    return f.language.say_n("{n} table brought up to date.", "{n} tables brought up to date.", n)


def _trained(f: Formats, result: Mapping[str, Any]) -> str:
    say, names = f.language.say, model_names(f)
    told = [
        say("{model} {version}: in use", model=names[m["what"]], version=m["version"])
        if m["in_use"]
        else say("{model} {version}: not in use", model=names[m["what"]], version=m["version"])
        for m in result["models"]
    ]
    return "；".join(told) if f.language.code == "zh" else "; ".join(told)


def _scored(f: Formats, result: Mapping[str, Any]) -> str:
    rows = result["rows"]
    return f.language.say(
        "{deals} deals and leads, {rated} of them rated anew.",
        deals=f.number(rows.get("deals", 0) + rows.get("leads", 0)),
        rated=f.number(result["rated"]),
    )


def _looked(f: Formats, result: Mapping[str, Any]) -> str:
    say, names = f.language.say, model_names(f)
    due = [names[what] for what in result["due"]]
    said = say("Time to train again: {names}.", names=", ".join(due)) if due else say("No model needs training.")
    n = len(result["alerts"])
    return f"{said} {f.language.say_n('{n} alert on data.', '{n} alerts on data.', n)}" if n else said
