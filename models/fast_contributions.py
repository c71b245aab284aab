"""SHAP contributions of boosted trees, exactly as LightGBM gives them, by compiled look-ups where rows are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import factorial
from typing import Any, NamedTuple

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]

# Rows times trees. From here on even the first call of a process, which compiles for a second, is as quick as LightGBM.
WORTH_COMPILING = 1_200_000
_MOST_SPLITS = 64  # a row's answers to all splits of a tree are the bits of one number
_MOST_FEATURES = 10  # a leaf's table doubles with each feature on its path
_BLOCK = 256  # rows that stay in the processor's cache while all trees pass over them
_NAN_LEFT, _NAN_RIGHT, _NAN_IS_ZERO, _CATEGORIES = range(4)


class _Trees(NamedTuple):
    """All trees of a model in flat arrays; a `_from` array has one entry more than what it counts."""

    node_from: Ints  # first split of each tree
    feature: Ints
    kind: Ints  # how the split reads its value
    threshold: Floats
    word_from: Ints  # first word of each split's set of categories
    words: Bits
    leaf_from: Ints  # first leaf of each tree
    part_from: Ints  # first part of each leaf: a feature on its path
    owner: Ints  # the part's feature
    mask: Bits  # which splits of the tree ask for that feature on the way to the leaf
    want: Bits  # what they have to answer
    table_from: Ints
    table: Floats  # contributions of a leaf's features, for each pattern of features that lead to it


# Of a feature on a path: the share of rows that stay on the path, splits that ask for it, answers that lead on.
_Step = tuple[float, int, int]


def tree_contributions(booster: lgb.Booster, X: Floats, *, threads: int = 1) -> Floats:
    """Contributions to the raw score by feature, the last the constant: shape (n, p + 1); a row adds up to its score.

    Parameters
    ----------
    booster : lightgbm.Booster
        One tree an iteration; categories and missing values as LightGBM treats them.
    X : shape (n, p)
        Rows as the booster was trained on; a category never seen is in no set, as with LightGBM.
    threads : int
        For LightGBM, which is asked where rows are few or the trees are larger than the look-ups are made for.
    """
    many = len(X) * booster.num_trees() >= WORTH_COMPILING and X.shape[1] == booster.num_feature()
    told = compiled_contributions(booster, X) if many else None
    if told is not None:
        return told
    return np.asarray(booster.predict(X, pred_contrib=True, num_threads=threads))


def compiled_contributions(booster: lgb.Booster, X: Floats) -> Floats | None:
    """As `tree_contributions`, by look-ups alone; None where the trees are of a kind they are not made for.

    A leaf's part in a prediction is a game whose players are the features on its path: one that is known either leads
    to the leaf or not, one that is unknown does so for the share of rows that went there in training. Which features
    lead there is a pattern of m bits, so the Shapley values of all 2^m patterns are worked out once a leaf.

    References
    ----------
    Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees", for the
    game; Nadel and Wettenstein (2026), "From Decision Trees to Boolean Logic", for values by pattern.
    """
    model = booster.dump_model()
    if model["num_tree_per_iteration"] != 1 or model["average_output"]:
        return None
    flat = _Flattener()
    if not all(flat.take(tree) for tree in model["tree_info"]):
        return None
    told = np.zeros((len(X), X.shape[1] + 1))
    told[:, -1] = flat.constant
    _kernel()(told, np.ascontiguousarray(X, dtype=np.float64), flat.trees())
    return told


class _Flattener:
    """Puts the trees of a model one after the other into `_Trees`."""

    def __init__(self) -> None:
        self.constant = 0.0
        self.splits: list[tuple[int, int, float]] = []  # feature, kind, threshold
        self.words: list[int] = []
        self.leaves: list[tuple[float, dict[int, _Step]]] = []
        self.node_from, self.leaf_from, self.word_from = [0], [0], [0]

    def take(self, tree: dict[str, Any]) -> bool:
        """Add a tree; False where it is too large, has models in its leaves or takes 0 for missing."""
        if tree["num_leaves"] > _MOST_SPLITS + 1:
            return False
        for value, path in self._leaves(tree["tree_structure"], {}):
            self.constant += value * float(np.prod([share for share, _, _ in path.values()]))
            self.leaves.append((value, path))
        self.node_from.append(len(self.splits))
        self.leaf_from.append(len(self.leaves))
        deepest = max(len(path) for _, path in self.leaves[self.leaf_from[-2] :])
        return deepest <= _MOST_FEATURES and _plain(tree["tree_structure"])

    def trees(self) -> _Trees:
        """What was taken, as arrays."""
        parts = [(feature, *step[1:]) for _, path in self.leaves for feature, step in path.items()]
        sizes = np.array([len(path) for _, path in self.leaves], dtype=np.int64)
        table_from, table = self._tables(sizes)
        feature, kind, threshold = zip(*self.splits, strict=True) if self.splits else ((), (), ())
        owner, mask, want = zip(*parts, strict=True) if parts else ((), (), ())
        return _Trees(
            node_from=np.array(self.node_from),
            feature=np.array(feature, dtype=np.int64),
            kind=np.array(kind, dtype=np.int64),
            threshold=np.array(threshold, dtype=np.float64),
            word_from=np.array(self.word_from),
            words=np.array(self.words, dtype=np.uint64),
            leaf_from=np.array(self.leaf_from),
            part_from=np.concatenate([[0], np.cumsum(sizes)]),
            owner=np.array(owner, dtype=np.int64),
            mask=np.array(mask, dtype=np.uint64),
            want=np.array(want, dtype=np.uint64),
            table_from=table_from,
            table=table,
        )

    def _leaves(self, node: dict[str, Any], path: dict[int, _Step]) -> Iterator[tuple[float, dict[int, _Step]]]:
        if "split_feature" not in node:
            yield node["leaf_value"], path
            return
        feature, bit = node["split_feature"], 1 << (len(self.splits) - self.node_from[-1])
        self._add_split(node)
        for child, answer in ((node["left_child"], bit), (node["right_child"], 0)):
            share, mask, want = path.get(feature, (1.0, 0, 0))
            step = (share * _rows(child) / _rows(node), mask | bit, want | answer)
            yield from self._leaves(child, {**path, feature: step})

    def _add_split(self, node: dict[str, Any]) -> None:
        if node["decision_type"] == "==":
            members = [int(code) for code in node["threshold"].split("||")]
            bits = sum(1 << code for code in members)
            self.words += [bits >> at & (1 << 64) - 1 for at in range(0, max(members) + 1, 64)]
            kind, threshold = _CATEGORIES, 0.0
        else:
            kind = _NAN_LEFT if node["default_left"] else _NAN_RIGHT
            kind, threshold = kind if node["missing_type"] == "NaN" else _NAN_IS_ZERO, node["threshold"]
        self.splits.append((node["split_feature"], kind, threshold))
        self.word_from.append(len(self.words))

    def _tables(self, sizes: Ints) -> tuple[Ints, Floats]:
        """Where each leaf's table begins, and all tables; those of one size are worked out together."""
        begins, tables, at = np.zeros(len(sizes), dtype=np.int64), [np.zeros(0)], 0
        for size in np.unique(sizes[sizes > 0]):
            which = np.flatnonzero(sizes == size)
            values = np.array([self.leaves[i][0] for i in which])
            shares = np.array([[step[0] for step in self.leaves[i][1].values()] for i in which])
            table = _shapley(values, shares)
            begins[which] = at + np.arange(len(which)) * table[0].size
            tables.append(table.ravel())
            at += table.size
        return begins, np.concatenate(tables)


def _rows(node: dict[str, Any]) -> int:
    return int(node["internal_count"] if "internal_count" in node else node["leaf_count"])


def _plain(node: dict[str, Any]) -> bool:
    if "split_feature" not in node:
        return "leaf_features" not in node
    return node["missing_type"] != "Zero" and _plain(node["left_child"]) and _plain(node["right_child"])


def _shapley(values: Floats, shares: Floats) -> Floats:
    """Shapley values of the m features on the paths to l leaves, shape (l, 2^m, m).

    Bit j of a pattern says that feature j leads to the leaf. Before j, a set S of the others is known with the weight
    |S|! (m - 1 - |S|)! / m!; the leaf then counts the product of their bits and of the others' shares. The sums over
    all S of a size are the coefficients of the product over the others of (share + bit y).

    Parameters
    ----------
    values : shape (l,)
        Of the leaves.
    shares : shape (l, m)
        Of rows that each feature's splits sent on towards the leaf in training.
    """
    m = shares.shape[1]
    bits = (np.arange(2**m)[:, None] >> np.arange(m) & 1).astype(np.float64)
    weights = np.array([factorial(s) * factorial(m - 1 - s) / factorial(m) for s in range(m)])
    told = np.empty((len(values), 2**m, m))
    for feature in range(m):
        sums = np.zeros_like(told)  # by size of S
        sums[:, :, 0] = 1.0
        for other in set(range(m)) - {feature}:
            grown = sums[:, :, :-1] * bits[None, :, other, None]
            sums *= shares[:, None, other, None]
            sums[:, :, 1:] += grown
        moved = bits[None, :, feature] - shares[:, None, feature]
        told[:, :, feature] = values[:, None] * moved * (sums @ weights)
    return told


@cache
def _kernel() -> Callable[[Floats, Floats, _Trees], None]:
    """Compiled: adds what the trees give for rows X, shape (n, p), to the first p columns of another array."""
    from numba import njit  # here, as it is large and most processes explain a few rows only

    compiled = njit(nogil=True)
    answers = compiled(_answers)

    def add_leaf(told: Floats, trees: _Trees, leaf: int, given: np.uint64) -> None:
        begin, end = trees.part_from[leaf], trees.part_from[leaf + 1]
        pattern = 0
        for part in range(begin, end):
            if given & trees.mask[part] == trees.want[part]:
                pattern |= 1 << (part - begin)
        at = trees.table_from[leaf] + pattern * (end - begin) - begin
        for part in range(begin, end):
            told[trees.owner[part]] += trees.table[at + part]

    one_leaf = compiled(add_leaf)

    def add(told: Floats, X: Floats, trees: _Trees) -> None:
        for first in range(0, len(X), _BLOCK):
            for tree in range(len(trees.node_from) - 1):
                for row in range(first, min(first + _BLOCK, len(X))):
                    given = answers(X[row], trees, tree)
                    for leaf in range(trees.leaf_from[tree], trees.leaf_from[tree + 1]):
                        one_leaf(told[row], trees, leaf, given)

    add_all: Callable[[Floats, Floats, _Trees], None] = compiled(add)
    return add_all


def _answers(x: Floats, trees: _Trees, tree: int) -> np.uint64:
    """A row's answers to the splits of a tree: a bit is 1 where it goes left. Runs compiled."""
    given = np.uint64(0)
    begin = trees.node_from[tree]
    for node in range(begin, trees.node_from[tree + 1]):
        value, kind = x[trees.feature[node]], trees.kind[node]
        if kind == _CATEGORIES:
            words = trees.word_from[node + 1] - trees.word_from[node]
            left = False
            if -1.0 < value < 64.0 * words:  # LightGBM cuts off what follows the point
                code = int(value)
                left = (trees.words[trees.word_from[node] + code // 64] >> np.uint64(code % 64)) & np.uint64(1) == 1
        elif np.isnan(value):
            left = kind == _NAN_LEFT or (kind == _NAN_IS_ZERO and trees.threshold[node] >= 0.0)
        else:
            left = value <= trees.threshold[node]
        if left:
            given |= np.uint64(1) << np.uint64(node - begin)
    return given
