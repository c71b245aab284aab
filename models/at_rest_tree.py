"""A fitted model as a tree of JSON and back: only listed classes, by their attributes; nothing in a tree is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from importlib import import_module
from inspect import signature
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.at_rest_values import LEAVES, Array, Arrays, Node, Unkept

CLASSES = frozenset(
    """
    models.amounts.AmountModel
    models.attainment.AttainmentModel
    models.attainment_errors.Errors
    models.attainment_errors.Level
    models.calibration.Isotonic models.calibration.Sigmoid
    models.churn.ChurnModel
    models.churn_core.ChurnCore models.churn_core.ChurnMix models.churn_core.RhythmRate
    models.encoding.Encoder models.encoding._Category models.encoding._Number
    models.learners.Blend models.learners.Line models.learners.TreeShape
    models.own.OwnFields models.own.OwnWinModel
    models.prior.RateCurves models.prior.SmallModel
    models.rolling.Gain
    models.simulation.Spread
    models.win.WinModel models.win._Replicate
    models.win_calendar.ClosingCalendar
    models.win_core.Effort models.win_core.Mix models.win_core.WinCore
    models.win_params.WinParams
    models.win_past.Choice
    models.win_won.WonDeals
    """.split()
)
"""Our own classes that a model may be made of. Whoever gives a model a part of another class adds it here."""

_LEAF_OF = {leaf.type: (name, leaf) for name, leaf in LEAVES.items()}
# Never changed in place, so that it does not matter whether two hold the same one.
_UNCHANGING = (tuple, frozenset, Enum, np.generic, date, timedelta, type(pd.NaT))


class Unlisted(Unkept):
    """A model holds something that model files do not know."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(
            f"{path} is {what}, which a model file does not hold. Keep numbers, texts and arrays in its place, or add "
            "the class to CLASSES in models/at_rest_tree.py."
        )


def name_of(kind: type) -> str:
    """Full name of a class, as CLASSES has it."""
    return f"{kind.__module__}.{kind.__qualname__}"


class Writer:
    """Turns a model into a tree; what JSON does not hold goes to `arrays`, `boosters` and `estimators` (by skops).

    Parts that are met twice, such as an array two others share, stand in the tree once and are referred to.
    """

    def __init__(self) -> None:
        self.arrays = Arrays()
        self.boosters: list[str] = []
        self.estimators: list[bytes] = []
        self._path: list[str] = []
        self._met: dict[int, Node] = {}
        self._alive: list[Any] = []  # an address means an object only as long as that lives
        self._shared = 0

    def node(self, value: Any, step: str = "model") -> Any:
        """Node of a value that lies `step` further on the path from the model.

        Raises
        ------
        Unlisted
            If it is of a kind that model files do not hold.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"is": "float", "of": repr(value)}
        self._path.append(step)
        try:
            return self._once(value)
        except Unlisted:
            raise
        except Unkept as error:
            raise Unlisted("".join(self._path), str(error)) from None
        finally:
            self._path.pop()

    def _once(self, value: Any) -> Node:
        if isinstance(value, _UNCHANGING):
            return self._made(value)
        if (met := self._met.get(id(value))) is not None:
            if "id" not in met:
                self._shared += 1
                met["id"] = self._shared
            return {"is": "same", "as": met["id"]}
        made = self._met[id(value)] = {}  # before its parts: they may refer back to it
        self._alive.append(value)
        made.update(self._made(value))
        return made

    def _made(self, value: Any) -> Node:
        kind = type(value)
        if kind in _LEAF_OF:
            name, leaf = _LEAF_OF[kind]
            return {"is": name, **leaf.put(value, self.node)}
        if kind in (list, tuple, set, frozenset):
            return self._many(value)
        if kind is dict:
            return self._dict(value)
        if kind is np.ndarray:
            return self._array(value)
        if kind is lgb.Booster:
            return self._booster(value)
        if isinstance(value, np.generic):
            return {"is": "scalar", **self.arrays.put(np.array([value]))}
        return self._object(value)

    def _many(self, values: Any) -> Node:
        # The order of a set differs from run to run.
        ordered = sorted(values, key=repr) if isinstance(values, set | frozenset) else values
        return {"is": type(values).__name__, "of": [self.node(item, f"[{k}]") for k, item in enumerate(ordered)]}

    def _dict(self, values: dict[Any, Any]) -> Node:
        if all(type(key) is str for key in values):
            return {"is": "dict", "of": {key: self.node(item, f"[{key!r}]") for key, item in values.items()}}
        pairs = [[self.node(key, f".key({key!r})"), self.node(item, f"[{key!r}]")] for key, item in values.items()]
        return {"is": "pairs", "of": pairs}

    def _array(self, array: Array) -> Node:
        if array.dtype != object:
            return {"is": "array", **self.arrays.put(array)}
        items = [self.node(item, f"[{k}]") for k, item in enumerate(array.ravel().tolist())]
        return {"is": "objects", "shape": list(array.shape), "of": items}

    def _booster(self, booster: lgb.Booster) -> Node:
        self.boosters.append(booster.model_to_string(num_iteration=-1))
        return {"is": "booster", "number": len(self.boosters) - 1, "best_iteration": booster.best_iteration}

    def _estimator(self, estimator: Any) -> Node:
        from skops import io

        kept = io.dumps(estimator)
        strangers(kept)
        self.estimators.append(kept)
        return {"is": "estimator", "number": len(self.estimators) - 1}

    def _object(self, value: Any) -> Node:
        name = name_of(type(value))
        if name.startswith("sklearn."):
            return self._estimator(value)
        if name not in CLASSES:
            raise Unkept(f"of the unlisted class {name}")
        if isinstance(value, Enum):
            return {"is": "member", "class": name, "of": value.name}
        has = {key: self.node(part, f".{key}") for key, part in _state(value).items()}
        return {"is": "object", "class": name, "has": has}


def strangers(kept: bytes) -> list[str]:
    """Types in a file of skops beyond those that it trusts by itself, all of them scikit-learn's own.

    Raises
    ------
    Unkept
        If one is not: reading it might run its code.
    """
    from skops import io

    found: list[str] = io.get_untrusted_types(data=kept)
    if others := [name for name in found if not name.startswith("sklearn.")]:
        raise Unkept(f"of {', '.join(others)}, which is none of scikit-learn's and NumPy's own types")
    return found


def _state(value: Any) -> dict[str, Any]:
    """Attributes by name, without those that a class itself leaves out."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    state = value.__getstate__() or {}
    if not isinstance(state, dict):
        raise Unkept(f"of the class {name_of(type(value))} with slots, but no dataclass")
    return state


class Reader:
    """Turns a tree back into the model: makes objects without calling their classes, then sets their attributes."""

    def __init__(
        self,
        arrays: Arrays,
        booster: Callable[[int], lgb.Booster],
        estimator: Callable[[int], Any],
    ) -> None:
        self._arrays = arrays
        self._booster = booster
        self._estimator = estimator
        self._shared: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        """Value of a node.

        Raises
        ------
        ValueError, TypeError, LookupError, AttributeError
            If the tree is none that a `Writer` of this version makes.
        """
        if node is None or isinstance(node, bool | int | float | str):
            return node
        kind = node["is"]
        if kind in LEAVES:
            return self._share(node, LEAVES[kind].get(node, self.value))
        if kind not in _READ:
            raise Unkept(f"it holds something of the unknown kind {kind!r}")
        return _READ[kind](self, node)

    def _share(self, node: Node, value: Any) -> Any:
        if "id" in node:
            self._shared[node["id"]] = value
        return value

    def _same(self, node: Node) -> Any:
        return self._shared[node["as"]]

    def _float(self, node: Node) -> float:
        return float(node["of"])

    def _scalar(self, node: Node) -> Any:
        return self._arrays.get(node)[0]

    def _array(self, node: Node) -> Array:
        return self._share(node, self._arrays.get(node))

    def _objects(self, node: Node) -> Array:
        array = self._share(node, np.empty(node["shape"], dtype=object))
        array[...] = _of_objects(map(self.value, node["of"]), len(node["of"])).reshape(array.shape)
        return array

    def _list(self, node: Node) -> list[Any]:
        made: list[Any] = self._share(node, [])
        made.extend(map(self.value, node["of"]))
        return made

    def _tuple(self, node: Node) -> tuple[Any, ...]:
        return tuple(map(self.value, node["of"]))

    def _set(self, node: Node) -> set[Any]:
        return self._share(node, set(map(self.value, node["of"])))

    def _frozenset(self, node: Node) -> frozenset[Any]:
        return frozenset(map(self.value, node["of"]))

    def _dict(self, node: Node) -> dict[str, Any]:
        made: dict[str, Any] = self._share(node, {})
        made.update((key, self.value(item)) for key, item in node["of"].items())
        return made

    def _pairs(self, node: Node) -> dict[Any, Any]:
        made: dict[Any, Any] = self._share(node, {})
        made.update((self.value(key), self.value(item)) for key, item in node["of"])
        return made

    def _text_booster(self, node: Node) -> lgb.Booster:
        booster = self._booster(node["number"])
        booster.best_iteration = node["best_iteration"]
        return self._share(node, booster)

    def _own_estimator(self, node: Node) -> Any:
        return self._share(node, self._estimator(node["number"]))

    def _member(self, node: Node) -> Enum:
        kind = _listed(node["class"])
        if not issubclass(kind, Enum):
            raise Unkept(f"{node['class']} has no members")
        return kind[node["of"]]

    def _object(self, node: Node) -> Any:
        kind = _listed(node["class"])
        made = self._share(node, object.__new__(kind))
        for key in _unset(kind, set(node["has"])):
            setattr(made, key, None)
        for key, item in node["has"].items():
            object.__setattr__(made, key, self.value(item))
        return made


_READ: dict[str, Callable[[Reader, Node], Any]] = {
    "same": Reader._same,
    "float": Reader._float,
    "scalar": Reader._scalar,
    "array": Reader._array,
    "objects": Reader._objects,
    "list": Reader._list,
    "tuple": Reader._tuple,
    "set": Reader._set,
    "frozenset": Reader._frozenset,
    "dict": Reader._dict,
    "pairs": Reader._pairs,
    "booster": Reader._text_booster,
    "estimator": Reader._own_estimator,
    "member": Reader._member,
    "object": Reader._object,
}


def _listed(name: str) -> type:
    """A class by its full name; nothing but listed ones is ever imported for a file."""
    if name not in CLASSES:
        raise Unkept(f"it names {name!r}, which is none of the classes of this version's models")
    module, _, plain = name.rpartition(".")
    found: type = getattr(import_module(module), plain)
    return found


def _unset(kind: type, found: set[str]) -> set[str]:
    """Parts that an older file lacks as nobody could set them then; an object must have all else that made it.

    That is what its constructor is given; of a dataclass these parts, and nothing else.
    """
    if is_dataclass(kind):
        wrong, unset = {field.name for field in fields(kind)} ^ found, set[str]()
    else:
        given = signature(kind).parameters
        unset = {name for name, one in given.items() if one.default is None} - found
        wrong = set(given) - unset - found | {name for name in found if name.startswith("__")}
    if wrong:
        raise Unkept(f"its {name_of(kind)} differs from this version's in {', '.join(sorted(wrong))}")
    return unset


def _of_objects(items: Iterable[Any], length: int) -> Array:
    """A flat array of objects; NumPy would make lists among them another axis."""
    array = np.empty(length, dtype=object)
    for k, item in enumerate(items):
        array[k] = item
    return array
