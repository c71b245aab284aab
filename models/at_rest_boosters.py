"""LightGBM's text checked before LightGBM reads it, as it ends the whole process on some damaged ones."""

from __future__ import annotations

import re
from itertools import pairwise

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from models.at_rest_values import Unkept

Lines = dict[str, str]
_OF_NODES = (
    "split_feature split_gain threshold decision_type left_child right_child internal_value internal_weight "
    "internal_count"
).split()
_OF_LEAVES = "leaf_value leaf_weight leaf_count".split()
_NUMBER = r"-?(?:\d++(?:\.\d++)?(?:e[-+]\d++)?|inf|nan)"
_TREE = re.compile(rf"(?:[a-z_]++=(?:{_NUMBER}(?: {_NUMBER})*+)?\n)++\n*", re.ASCII)
_END = re.compile(
    r"end of trees\n\nfeature_importances:\n(?:[^\n]+=\d+\n)*+\nparameters:\n(?:\[[a-z_]+\d?[a-z_]*: [^\]\n]*\]\n)*+\n"
    r"end of parameters\n\npandas_categorical:[^\n]*\n",
    re.ASCII,
)


def booster_of(text: str) -> lgb.Booster:
    """A booster of one output from its text.

    Raises
    ------
    Unkept
        If LightGBM did not write that text.
    """
    try:
        check(text)
        return lgb.Booster(model_str=text)
    except (ValueError, KeyError, IndexError, lgb.basic.LightGBMError) as error:
        raise Unkept(f"it is no model of LightGBM ({error})") from error


def check(text: str) -> None:
    """Check sizes, lengths and indices that LightGBM takes on trust.

    Raises
    ------
    ValueError, KeyError
        If one is wrong; says which.
    """
    head, gap, rest = text.partition("\n\n")
    start, *lines = head.split("\n")
    given = _lines(lines)
    features = int(given["max_feature_idx"]) + 1
    _demand(start == "tree" and bool(gap), "it does not begin as one")
    _demand(given["num_class"] == given["num_tree_per_iteration"] == "1", "it has several outputs")
    for name in ("feature_names", "feature_infos"):
        _demand(len(given[name].split(" ")) == features, f"the number of {name} is wrong")
    ends = np.cumsum([0, *map(int, given["tree_sizes"].split())])
    _demand(_END.fullmatch(rest, int(ends[-1])) is not None, "its end is missing")
    for number, (low, high) in enumerate(pairwise(ends)):
        block = rest[low:high]
        try:
            _check_tree(block, number, features)
        except (ValueError, KeyError) as error:
            raise ValueError(f"tree {number}: {error}") from error


def _check_tree(block: str, number: int, features: int) -> None:
    name, _, body = block.partition("\n")
    _demand(name == f"Tree={number}", "it does not begin where it should")
    _demand(_TREE.fullmatch(body) is not None, "it holds more than numbers")
    given = _lines(body.split("\n"))
    leaves = int(given["num_leaves"])
    _demand(leaves >= 1 and given["is_linear"] == "0", "it has no constants in its leaves")
    for key in _OF_NODES:
        _demand(_count(given[key]) == leaves - 1, f"the number of {key} is wrong")
    for key in _OF_LEAVES:
        _demand(_count(given[key]) == leaves or (leaves == 1 and key != "leaf_value"), f"the number of {key} is wrong")
    if leaves > 1:
        _check_splits(given, leaves, features)


def _check_splits(given: Lines, leaves: int, features: int) -> None:
    feature, left, right, decision = (
        _whole(given[key]) for key in ("split_feature", "left_child", "right_child", "decision_type")
    )
    _demand(bool(((feature >= 0) & (feature < features)).all()), "a split is on a feature that is not there")
    children = np.sort(np.concatenate([left, right]))
    everyone = np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])
    parent = np.arange(leaves - 1)
    further = all(bool(((child < 0) | (child > parent)).all()) for child in (left, right))
    _demand(further and np.array_equal(children, everyone), "its branches do not form a tree")
    _check_categories(given, decision & 1 == 1)


def _check_categories(given: Lines, categorical: npt.NDArray[np.bool_]) -> None:
    sets = int(given["num_cat"])
    _demand(sets == categorical.sum(), "the number of num_cat is wrong")
    if not sets:
        return
    edges = _whole(given["cat_boundaries"])
    chosen = np.array(given["threshold"].split(), dtype=np.float64)[categorical]
    _demand(np.array_equal(np.sort(chosen), np.arange(sets)), "a split is on categories that are not there")
    _demand(len(edges) == sets + 1 and edges[0] == 0 and bool((np.diff(edges) > 0).all()), "cat_boundaries do not rise")
    _demand(_count(given["cat_threshold"]) == edges[-1], "the number of cat_threshold is wrong")


def _lines(lines: list[str]) -> Lines:
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _count(values: str) -> int:
    return values.count(" ") + 1 if values else 0


def _whole(values: str) -> npt.NDArray[np.int64]:
    return np.array(values.split(), dtype=np.int64)


def _demand(fine: bool, otherwise: str) -> None:
    if not fine:
        raise ValueError(otherwise)
