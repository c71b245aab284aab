"""What features are made from, as parts with their text: one hash over all of them, and what changed in words."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from crm.company import Company
from features.catalogue import ENTITIES, Block, Entity, Feature, blocks
from features.sources import SOURCES

_TELL_ONLY = ("__init__", "catalogue", "definitions", "lineage", "reference")
_OWN_PART = "how Bellwether works features out"


def definitions(entities: Iterable[Entity], company: Company) -> dict[str, str]:
    """Parts that the values of features follow from, and what each says; sentences on features are not among them.

    Parameters
    ----------
    entities : iterable of {'deal', 'rep', 'account'}
        Whose features.
    company : Company
        Its own features, and the settings that values depend on.

    Returns
    -------
    dict of str to str
        By the part's name in words, such as 'the feature touches_30d'.
    """
    found = {
        "base_currency": company.base_currency,
        "time_zone": company.time_zone,
        "fiscal.start_month": str(company.fiscal.start_month),
        "stages": json.dumps(company.stages, ensure_ascii=False),
    }
    for entity in entities:
        for block in blocks(entity, company):
            found[f"the block {block.name}"] = _reading(block)
            found |= {f"the feature {one.name} of a {entity}": _meaning(one) for one in block.features}
            if block.events in SOURCES:
                found[f"the source {block.events}"] = " ".join(SOURCES[block.events].split())
    return found | {_OWN_PART: _works()}


def definition_hash(parts: Mapping[str, str]) -> str:
    """Hash of `definitions`: another definition gives another hash."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def what_changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Each part that differs, in words, such as "base_currency is EUR, was USD"; the same sets give an empty list."""
    gone = [f"{part} is gone" for part in before if part not in now]
    new = [f"{part} is new" for part in now if part not in before]
    other = [_difference(part, before[part], now[part]) for part in now if before.get(part, now[part]) != now[part]]
    return [*other, *new, *gone]


def _difference(part: str, before: str, now: str) -> str:
    if part == _OWN_PART or part.startswith("the source"):
        return f"{part} is another"
    return f"{part} is {now}, was {before}"


def _reading(block: Block) -> str:
    if not block.events:
        return "worked out on the row"
    recent = f", no older than {block.within} days" if block.within is not None else ""
    return f"{block.events} by {block.key} = {block.by} from {block.clock} on{recent}"


def _meaning(one: Feature) -> str:
    empty = ", 0 where empty" if one.unit == "count" else ""
    needs = f", needs {one.needs}" if one.needs else ""
    return f"{' '.join(one.sql.split())} ({one.kind}{empty}{needs}{'' if one.shown else ', for others'})"


@cache
def _works() -> str:
    """Hash of the code that runs definitions, without comments, layout, docstrings, and the sources named apart."""
    digest = hashlib.sha256()
    blocks_of = tuple(f"{entity}_" for entity in ENTITIES)  # their definitions stand apart, feature by feature
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem not in _TELL_ONLY and not file.stem.startswith(blocks_of):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            digest.update(ast.unparse(_Bare().visit(tree)).encode())
    return digest.hexdigest()[:16]


class _Bare(ast.NodeTransformer):
    """Leaves out texts that stand alone (docstrings) and the table of sources."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return None if isinstance(node.target, ast.Name) and node.target.id == "SOURCES" else node
