"""What registers meant before: a bounded memory in front of a decoder, shared by equal signals.

Decoding is exact and so not cheap; registers repeat themselves. A memory never changes a result:
it holds nothing but what its decoder said of the very same words. `codec` does the decoding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from operator import itemgetter
from typing import Any

from minewatch.model.kind import Kind
from minewatch_drivers.device_files.codec import Decoded, decoder, needs
from minewatch_drivers.device_files.device_model import Register, Signal

REMEMBERED_MAX = 4096
"""Words remembered per memory; beyond it everything is forgotten at once."""

Words = int | tuple[int, ...]
"""The words that one signal needs, in the order of their addresses; a single one stands alone."""


class Meaning(dict[Words, Decoded]):
    """Words → (value, quality) of one signal; what is missing is decoded and remembered."""

    __slots__ = ("_decode", "_places", "_span")

    def __init__(self, signal: Signal, kind: Kind | None) -> None:
        super().__init__()
        first = min(needs(signal))
        self._places = tuple(sorted(offsets(signal, first)))
        self._span = self._places[-1] + 1
        self._decode = decoder(signal, signal.at.table, first, kind)

    def __missing__(self, words: Words) -> Decoded:
        if len(self) >= REMEMBERED_MAX:
            self.clear()
        block: Sequence[int] = (words,) if isinstance(words, int) else self._spread(words)
        decoded = self[words] = self._decode(block)
        return decoded

    def _spread(self, words: tuple[int, ...]) -> list[int]:
        """Return the block that holds several words at their places."""
        block = [0] * self._span
        for place, word in zip(self._places, words, strict=True):
            block[place] = word
        return block


def meaning(signal: Signal, kind: Kind | None) -> Meaning:
    """Return the memory for `signal`, decoded for a point of `kind`.

    Signals of one register that differ in name and address alone share one, whatever device they
    belong to; all devices of one model share the others.
    """
    alone = needs(signal) == {signal.at.address}
    if alone and not signal.status and not signal.factors and signal.stride == 1:
        return _shared(replace(signal, name="", at=Register(signal.at.table, 0)), kind)
    return _shared(signal, kind)


def offsets(signal: Signal, first: int) -> frozenset[int]:
    """Return where a block that starts at address `first` holds the words of `signal`."""
    stride = 1 if signal.at.table.bits else signal.stride
    return frozenset(
        (address - first) * stride + n for address in needs(signal) for n in range(stride)
    )


def picker(words: Iterable[Iterable[int]]) -> Callable[[Sequence[int]], Iterable[Any]]:
    """Return block → the words of each signal; `words` holds the offsets of each in the block."""
    offsets = [tuple(sorted(each)) for each in words]
    if len(offsets) > 1 and all(len(each) == 1 for each in offsets):
        return itemgetter(*(each[0] for each in offsets))
    picks = tuple(itemgetter(*each) for each in offsets)
    return lambda block: [pick(block) for pick in picks]


@cache
def _shared(signal: Signal, kind: Kind | None) -> Meaning:
    return Meaning(signal, kind)
