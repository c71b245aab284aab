"""Customers that stand in the CRM twice: the same name once legal forms and spelling are set aside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rapidfuzz import fuzz

_LEGAL = frozenset(
    "ab ag as bv co company corp corporation gmbh inc incorporated kg limited llc llp ltd nv oy plc pte pty sa sarl "
    "se spa srl the".split()
)
_LEGAL_CHINESE = re.compile("(股份有限公司|有限责任公司|有限公司|股份公司|集团|公司)$")
_NEIGHBOURS = 5
_ALIKE = 93.0
_MIN_LETTERS = 8


def plain_name(name: str) -> str:
    """A company's name without case, accents, punctuation and legal form; empty where nothing is left."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    words = [w for w in letters.split() if w not in _LEGAL]
    return _LEGAL_CHINESE.sub("", " ".join(words))


def duplicate_names(keys: Sequence[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of keys whose names are the same or nearly so, in the order of the plain names.

    Parameters
    ----------
    keys, names : shape (n,)
        Identifier and name of each company.

    Returns
    -------
    list of (str, str)
        The first key of a run and the one that repeats it; each repeating key stands once.

    Notes
    -----
    Sorted neighbourhoods, Hernandez and Stolfo (1995): only names near each other when sorted, forwards or backwards,
    are compared, so the work grows as n log n. Names that differ in a digit are different branches, not doubles.
    """
    plain = sorted((plain_name(name), key) for key, name in zip(keys, names, strict=True))
    plain = [(name, key) for name, key in plain if name]
    found: dict[str, str] = {}
    for ranked in (plain, sorted(plain, key=lambda pair: pair[0][::-1])):
        for here, (name, key) in enumerate(ranked):
            for other, second in ranked[here + 1 : here + 1 + _NEIGHBOURS]:
                low, high = sorted((key, second))
                if high not in found and _same(name, other):
                    found[high] = low
    return sorted((low, high) for high, low in found.items())


def _same(a: str, b: str) -> bool:
    if a == b:
        return True
    if min(len(a), len(b)) < _MIN_LETTERS or re.sub(r"\D", "", a) != re.sub(r"\D", "", b):
        return False
    return fuzz.ratio(a, b, score_cutoff=_ALIKE) > 0
