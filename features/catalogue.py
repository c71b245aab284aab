"""Block and Feature, and all of them by name: definitions are data, nothing runs here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Literal

from crm.company import Company
from crm.errors import BadInput, NotFound
from features.language import check_ahead, columns_of, saying_where

Entity = Literal["deal", "rep", "account"]
ENTITIES: tuple[Entity, ...] = ("deal", "rep", "account")
_MODULES = (
    "deal_context",
    "deal_activity",
    "deal_path",
    "deal_record",
    "deal_customer",
    "rep_period",
    "rep_pipeline",
    "rep_work",
    "account_purchases",
    "account_health",
)

# Columns of events that are filled in after the row was made: an own feature must ask whether that had happened yet.
_AHEAD = {
    "contracts": frozenset({"ended_at"}),
    "purchases": frozenset({"cancelled_at"}),
    "requests": frozenset({"closed_at", "satisfaction"}),
    "targets": frozenset({"ends_at", "replaced_at"}),
    "team_members": frozenset({"ends_at"}),
}


class UnknownFeature(NotFound):
    """No such feature."""

    @classmethod
    def of(cls, entity: str, name: str) -> UnknownFeature:
        """The error that names entity and feature, and where all stand."""
        return cls(f"There is no feature {name} of a {entity}. All of them: bellwether features list.")


class BadFeature(BadInput):
    """A feature of the company's own cannot be used."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: an SQL aggregate over what the gate lets through, or an expression on the entity's state.

    Parameters
    ----------
    name, sql, unit : str
        Its column; its definition; the unit of its values. Unit `count` means 0 where there is no row.
    en, zh : str
        What it says.
    can_act : bool
        Whether a person can change it.
    kind : {'number', 'category'}
        What its values are.
    shown : bool
        False for what other features are made of and models do not get.
    needs : str
        A table, or a field that `deal_changes` must log, without which the value is missing, not 0.
    identity : bool
        Whether it says who the owner is: the owner, or the owner's own rates, load and time in the company.
    """

    name: str
    sql: str
    unit: str
    en: str
    zh: str
    can_act: bool = False
    kind: Literal["number", "category"] = "number"
    shown: bool = True
    needs: str = ""
    identity: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Features that read the same events by the same key and clock.

    Parameters
    ----------
    name, entity : str
        Its name; whose features these are.
    events : str
        A source of `features.sources`; empty: the features are expressions on the state and on other blocks' features.
    key : str
        Column of the events that is matched.
    by : str
        Column of the state that it is matched with.
    clock : str
        SQL of the moment at which an event was known.
    within : int, optional
        Days after which an event no longer counts for any feature here; the gate then lets through less.
    """

    name: str
    entity: Entity
    features: tuple[Feature, ...]
    events: str = ""
    key: str = ""
    by: str = ""
    clock: str = ""
    within: int | None = None


# What stands for all features with `identity` wherever reasons are shown, and for what a viewer may not be told.
WHO = Feature("who_works_on_it", "", "", "Who works on it", "由谁跟进", identity=True)
OTHERS = Feature("other_reasons", "", "", "Other reasons", "其他原因")


@cache
def standard_blocks() -> tuple[Block, ...]:
    """Every block that Bellwether brings."""
    return tuple(block for name in _MODULES for block in import_module(f"features.{name}").BLOCKS)


def blocks(entity: Entity, company: Company | None = None, only: Collection[str] | None = None) -> tuple[Block, ...]:
    """Blocks of an entity, with the company's own features appended to theirs.

    Parameters
    ----------
    only : collection of str, optional
        Leave out what neither is one of these features nor goes into one.

    Raises
    ------
    UnknownFeature
        If `only` names what is none.
    BadFeature
        If an own feature names no block, or a name is taken.
    BadDefinition
        If an own feature tells what came after the moment in question.
    """
    found = {block.name: block for block in standard_blocks()}
    taken = {feature.name for block in found.values() for feature in block.features}
    for own in company.features if company else []:
        block = found.get(own.block)
        if block is None:
            near = get_close_matches(own.block, found, n=1)
            mend = f"Did you mean {near[0]}?" if near else f"Blocks: {', '.join(found)}."
            raise BadFeature(f"{own.place} names no block: '{own.block}'. {mend}")
        if own.name in taken:
            raise BadFeature(f"{own.place}: there is one of that name already. Give yours another name.")
        taken.add(own.name)
        with saying_where(own):
            check_ahead(own.name, own.sql, _AHEAD.get(block.events, frozenset()))
        added = Feature(own.name, own.sql, own.unit, own.en, own.zh or own.en, own.can_act)
        found[own.block] = replace(block, features=(*block.features, added))
    chosen = tuple(block for block in found.values() if block.entity == entity)
    return chosen if only is None else _pruned(entity, chosen, only)


def _pruned(entity: Entity, found: tuple[Block, ...], only: Collection[str]) -> tuple[Block, ...]:
    all_of_them = {feature.name: feature for block in found for feature in block.features}
    needed: set[str] = set()
    ahead = [name for name in only if not name.startswith("x_")]
    while ahead:
        if (name := ahead.pop()) not in all_of_them:
            raise UnknownFeature.of(entity, name)
        if name not in needed:
            needed.add(name)
            # A column of that name may be the state's own: then it is no feature that is needed.
            ahead += [c for c in columns_of(all_of_them[name].sql) if c in all_of_them and c != name]
    kept = (replace(b, features=tuple(f for f in b.features if f.name in needed)) for b in found)
    return tuple(block for block in kept if block.features)


def features(entity: Entity, company: Company | None = None) -> list[Feature]:
    """All features of an entity; custom columns `x_*` come on top and have no definition."""
    return [feature for block in blocks(entity, company) for feature in block.features if feature.shown]


def identities(entity: Entity, company: Company | None = None) -> dict[str, str]:
    """Features that tell who somebody is, and the theme that stands for them in reasons."""
    return {one.name: WHO.name for one in features(entity, company) if one.identity}


def feature(entity: Entity, name: str, company: Company | None = None) -> Feature:
    """One feature by name; a custom column is described by its own name.

    Raises
    ------
    UnknownFeature
        If there is none of that name.
    """
    for candidate in [*features(entity, company), WHO, OTHERS]:
        if candidate.name == name:
            return candidate
    if name.startswith("x_"):
        plain = name.removeprefix("x_").replace("_", " ")
        return Feature(name, name, "", plain.capitalize(), plain)
    raise UnknownFeature.of(entity, name)
