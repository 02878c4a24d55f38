"""A table by point that lies on shelves, one for each device, and is copied shelf by shelf.

A step changes what a few devices said. Copying the whole table for that would touch every entry
of the mine ten times a second; copying the shelves that are written to costs what was read.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Generic, TypeVar

T = TypeVar("T")

NOWHERE = ""
"""The shelf of keys that have no home."""

_HOMELESS: Mapping[str, str] = MappingProxyType({})


class Shelves(Mapping[str, T]):
    """A frozen table. `home` says on which shelf a key lies; it never changes."""

    __slots__ = ("home", "shelves")

    def __init__(
        self,
        home: Mapping[str, str] = _HOMELESS,
        shelves: Mapping[str, dict[str, T]] = MappingProxyType({}),
    ) -> None:
        self.home = home
        self.shelves = shelves

    def __getitem__(self, key: str) -> T:
        return self.shelves[self.home.get(key, NOWHERE)][key]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self.shelves.get(self.home.get(key, NOWHERE), ())

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.shelves.values())

    def __len__(self) -> int:
        return sum(map(len, self.shelves.values()))

    def rehomed(self, home: Mapping[str, str]) -> "Shelves[T]":
        """Return the same entries on the shelves of another mine."""
        writing = Writing[T](Shelves(home))
        for shelf in self.shelves.values():
            writing.put(shelf.items())
        return writing.frozen()

    def changed(self, before: "Shelves[T]") -> tuple[list[tuple[str, T]], list[str]]:
        """Return the entries that are other objects than `before`, and the keys that are gone."""
        moved: list[tuple[str, T]] = []
        gone: list[str] = []
        for name in dict.fromkeys(chain(before.shelves, self.shelves)):
            old, new = before.shelves.get(name, {}), self.shelves.get(name, {})
            if old is not new:
                moved += [each for each in new.items() if old.get(each[0]) is not each[1]]
                gone += [key for key in old if key not in new and key not in self]
        return moved, gone


class Writing(Generic[T]):
    """A step's working copy; what it never writes to is shared with the table it comes from."""

    __slots__ = ("_owned", "_shelves", "home")

    def __init__(self, table: Shelves[T]) -> None:
        self.home = table.home
        self._shelves = dict(table.shelves)
        self._owned: set[str] = set()

    def shelf(self, name: str) -> dict[str, T]:
        """Return a shelf for reading and writing."""
        if name not in self._owned:
            self._owned.add(name)
            self._shelves[name] = dict(self._shelves.get(name, ()))
        return self._shelves[name]

    def __setitem__(self, key: str, value: T) -> None:
        self.shelf(self.home.get(key, NOWHERE))[key] = value

    def __delitem__(self, key: str) -> None:
        del self.shelf(self.home.get(key, NOWHERE))[key]

    def put(self, entries: Iterable[tuple[str, T]]) -> None:
        """Write many entries; neighbours of one shelf cost least."""
        at, shelf = None, {}
        for key, value in entries:
            name = self.home.get(key, NOWHERE)
            if name != at:
                at, shelf = name, self.shelf(name)
            shelf[key] = value

    def table(self) -> Shelves[T]:
        """Return what stands here now, for reading; it moves with every write."""
        return Shelves(self.home, self._shelves)

    def frozen(self) -> Shelves[T]:
        """Return what stands here now; nothing may be written any more."""
        return Shelves(self.home, {name: each for name, each in self._shelves.items() if each})
