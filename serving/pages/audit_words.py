"""Entries of the audit in the visitor's language: who, what was done, and the details by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.format import MISSING
from serving.i18n import Language


def who(language: Language, name: str) -> str:
    """Whoever did it: an address stays as it is, what is no person has a word."""
    say = language.say
    others = {
        "cli": say("command line"), "command line": say("command line"), "the rules": say("the rules of risks"),
        "schedule": say("every night"), "message": say("a message of the CRM"),
    }  # fmt: skip
    if name.startswith("user ") and name[5:].isdigit():
        return say("user {n}", n=name[5:])
    return others.get(name, name)


def deed(language: Language, what: str) -> str:
    """What was done; what is not known here stays as it is."""
    say = language.say
    named = {
        "import": say("Import"), "sync": say("Sync"), "write back": say("Write-back"), "listen": say("Messages on"),
        "test crm": say("CRM tried"), "ask for job": say("Job asked for"), "cancel job": say("Job stopped"),
        "add user": say("User added"), "change user": say("User changed"), "end user": say("User ended"),
        "activate user": say("User let in again"), "set password": say("Password set"),
        "change own password": say("Own password changed"), "make password link": say("Link for a password made"),
        "choose password by link": say("Password chosen by link"), "make token": say("Token made"),
        "revoke token": say("Token revoked"), "sign in at provider": say("Signed in at the provider"),
        "promote model": say("Model put in use"), "roll back model": say("Model rolled back"),
        "plan review": say("Review planned"), "send minutes": say("Minutes sent"),
        "contingency plan started": say("Contingency plan started"), "setting changed": say("Setting changed"),
        "export person": say("Person's data exported"), "erase person": say("Person erased"),
        "person request answered": say("Person's request answered"), "people tidied": say("Old personal data removed"),
        "purpose agreed": say("Purpose agreed"), "purpose withdrawn": say("Purpose withdrawn"),
    }  # fmt: skip
    return named.get(what, what)


def details(language: Language, detail: Mapping[str, Any]) -> str:
    """The details, each with its name."""
    colon, comma = ("：", "，") if language.code == "zh" else (": ", ", ")
    return comma.join(f"{_name(language, key)}{colon}{_value(language, value)}" for key, value in detail.items())


def _value(language: Language, value: object) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return language.say("yes") if value else language.say("no")
    if isinstance(value, Mapping):
        return f"({details(language, value)})"
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value) or MISSING
    return f"{value:,}" if isinstance(value, int) else str(value)


def _name(language: Language, key: str) -> str:
    say = language.say
    named = {
        "email": say("E-mail"), "role": say("Role"), "rep_id": say("Person"), "active": say("Active"),
        "name": say("Name"), "scopes": say("Scopes"), "token_id": say("Token"), "job": say("Job"), "kind": say("Kind"),
        "params": say("Settings"), "dry_run": say("Dry run"), "taken": say("Rows taken"), "path": say("Path"),
        "crm": say("CRM"), "written": say("Written"), "refused": say("Refused"), "address": say("Address"),
        "model": say("Model"), "version": say("Version"), "why": say("Why"), "what": say("Model"),
        "series_id": say("Series"), "rhythm": say("How often"), "team": say("Team"), "review_id": say("Review"),
        "to": say("Recipients"), "plan": say("Contingency plan"), "template": say("Template"),
        "subject": say("About"), "key": say("Setting"), "before": say("Before"), "after": say("After"),
        "person_key": say("Person"), "request_id": say("Request"), "purpose": say("Purpose"),
        "agreed_by": say("Agreed by"), "on": say("On"), "deals": say("Deals"), "trials": say("Trials"),
    }  # fmt: skip
    return named.get(key, key.replace("_", " "))
