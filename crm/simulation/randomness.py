"""Random numbers by purpose: streams for what is fixed beforehand, counter-based draws for what a policy may change.

A draw of `Dice` depends on seed, purpose, key, step and channel only, never on how many other draws were made.
Two runs that differ in one action of one deal therefore share every other random number (common random numbers).
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_Words = NDArray[np.uint64]
_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose; purposes do not disturb each other."""
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(purpose.encode())]))


class Dice:
    """Uniform and normal numbers for an array of keys at one step."""

    def __init__(self, seed: int, purpose: str, keys: Ints, step: int) -> None:
        base = int(np.random.SeedSequence([seed, crc32(purpose.encode())]).generate_state(1, np.uint64)[0])
        salt = np.uint64((base + (step + 1) * _GOLDEN) & _WORD)
        self._state = _mix(_mix(keys.astype(np.uint64)) ^ salt)

    def uniform(self, channel: str) -> Floats:
        """Return one number in (0, 1) a key, the same whenever it is asked for."""
        words = _mix(self._state + _channel(channel)) >> np.uint64(11)
        return (words.astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, channel: str) -> Floats:
        """Return one standard normal number a key."""
        return np.asarray(ndtri(self.uniform(channel)), dtype=np.float64)

    def poisson(self, channel: str, mean: Floats, most: int = 3) -> Ints:
        """Return counts of the given means by inversion, cut off at `most`."""
        draw = self.uniform(channel)
        term = np.exp(-mean)
        total = term.copy()
        count = np.zeros(len(draw), dtype=np.int64)
        for k in range(1, most + 1):
            count += draw > total
            term = term * mean / k
            total += term
        return count

    def pick(self, channel: str, weights: Floats) -> Ints:
        """Return an index drawn with the given weights; `weights` is (choices,) or (keys, choices)."""
        shares = np.cumsum(weights, axis=-1)
        shares = shares / shares[..., -1:]
        return np.asarray((self.uniform(channel)[:, None] > shares).sum(axis=1), dtype=np.int64)


@lru_cache(maxsize=512)
def _channel(name: str) -> np.uint64:
    return np.uint64(crc32(name.encode()) * _GOLDEN & _WORD)


def _mix(words: _Words) -> _Words:
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
