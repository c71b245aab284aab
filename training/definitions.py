"""The definitions of features that a model was trained on: kept beside it, and checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from features.catalogue import Entity
from features.definitions import definition_hash, definitions, what_changed
from training import registry
from training.gate import Check
from training.verdicts import Sentence

TAG, TABLE = "features", "definitions"
_READS: Mapping[str, tuple[Entity, ...]] = MappingProxyType(
    {"win": ("deal",), "attainment": ("deal", "rep"), "churn": ("account",)}
)
_SHOWN = 3


class OtherDefinitions(NotReady):
    """A model was trained on other definitions of its features than hold now."""

    def __init__(self, what: str, version: str, changes: list[str]) -> None:
        more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        said = "; ".join(changes[:_SHOWN]) or "which of them was not kept with it"
        super().__init__(
            f"The {what} model {version} was trained on other definitions of its features than hold now: {said}{more}. "
            f"Train it anew: bellwether train {what}. Or put them back as they were."
        )


def definitions_of(what: str, company: Company) -> dict[str, str]:
    """Parts of all definitions that a kind of model reads, as `features.definitions.definitions` gives them."""
    return definitions(_READS[what], company)


def as_table(parts: Mapping[str, str]) -> pd.DataFrame:
    """Parts as a table that is kept beside a model: `part`, `says`."""
    return pd.DataFrame({"part": list(parts), "says": list(parts.values())}, dtype=object)


def check_definitions(what: str, model: registry.Champion, company: Company, *, tracking: str) -> None:
    """Refuse a model whose features mean something else now. A model that names no definitions passes.

    Raises
    ------
    OtherDefinitions
        If they differ, with what changed.
    """
    now = definitions_of(what, company)
    if not defined_otherwise(what, model, company):
        return
    kept = registry.table_of(model.run_id, TABLE, tracking=tracking)
    before = dict(zip(kept["part"], kept["says"], strict=True)) if kept is not None else now
    raise OtherDefinitions(what, model.version, what_changed(before, now))


def defined_otherwise(what: str, model: registry.Champion, company: Company) -> bool:
    """Whether a model's features mean something else now; one that names no definitions counts as the same."""
    return model.meta.get(TAG, "") not in ("", definition_hash(definitions_of(what, company)))


def definitions_check(what: str, champion: registry.Champion, company: Company) -> Check:
    """What the gate says of them: both recipes are fitted on features as they are defined now, so they always agree."""
    now = definition_hash(definitions_of(what, company))[:8]
    if not defined_otherwise(what, champion, company):
        same = Sentence(
            "Both read features as they were defined for the champion ({now}).",
            "两者均按在用模型的特征定义（{now}）读取。",
        )
        return Check("definitions", True, same.given(now=now))
    before = champion.meta[TAG][:8]
    other = Sentence(
        "Both read features as they are defined now ({now}); the champion in use read others ({before}).",
        "两者均按现在的特征定义（{now}）读取；在用模型此前的定义不同（{before}）。",
    )
    return Check("definitions", True, other.given(now=now, before=before))
