"""A wheel of deadlines: who is due when, in buckets, so that an idle cycle looks at nothing.

`Wheel` is the frozen part of the state; `Turning` is one step's working copy of it. Points whose
values are GOOD lie on it together, as one deadline of their device: each sample would move theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from minewatch.core.shelves import NOWHERE, Shelves, Writing

BUCKET_MS = 100


@dataclass(frozen=True, slots=True)
class Wheel:
    """`at` is each id's one deadline in ms; an entry of a bucket that disagrees with it is void.

    `devices` says by when each device's values have to be looked at, at the latest.
    """

    at: Shelves[int] = field(default_factory=Shelves)
    buckets: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    devices: Mapping[str, int] = field(default_factory=dict)


class Turning:
    """A wheel being turned; copies what it changes. `home` is where each name's deadline lies."""

    __slots__ = ("_added", "_at", "_buckets", "_devices", "_home", "_wheel")

    def __init__(self, wheel: Wheel, home: Mapping[str, str]) -> None:
        self._wheel = wheel
        self._home = home
        self._at: Writing[int] | None = None
        self._buckets: dict[int, tuple[str, ...]] | None = None
        self._added: dict[int, list[str]] = {}
        self._devices: dict[str, int] | None = None

    def schedule(self, name: str, due_ms: int) -> None:
        """Give `name` its one deadline; an earlier entry of it becomes void."""
        self._own()[name] = due_ms
        self._added.setdefault(due_ms // BUCKET_MS, []).append(name)

    def watch(self, device: str, due_ms: int) -> None:
        """Have a device's values looked at by then; an earlier deadline of it stands."""
        if self._devices is None:
            self._devices = dict(self._wheel.devices)
        self._devices[device] = min(due_ms, self._devices.get(device, due_ms))

    def devices_due(self, now_ms: int) -> list[str]:
        """Return the devices to look at by now, and forget them until they are watched again."""
        known = self._wheel.devices if self._devices is None else self._devices
        found = [device for device, due_ms in known.items() if due_ms <= now_ms]
        if found:
            self._devices = {device: ms for device, ms in known.items() if ms > now_ms}
        return found

    def due(self, now_ms: int) -> list[str]:
        """Return who is due by now, each once, and forget them until they are scheduled again."""
        newest = now_ms // BUCKET_MS
        buckets = self._merged()
        reached = sorted(bucket for bucket in buckets if bucket <= newest)
        if not reached:
            return []
        at, home = self._own(), self._home
        where, shelf = None, {}
        found: list[str] = []
        for bucket in reached:
            end_ms = bucket * BUCKET_MS + BUCKET_MS
            later: list[str] = []
            for name in dict.fromkeys(buckets.pop(bucket)):
                if home.get(name, NOWHERE) != where:
                    where = home.get(name, NOWHERE)
                    shelf = at.shelf(where)
                due_ms = shelf.get(name, end_ms)
                if due_ms < end_ms and due_ms >= end_ms - BUCKET_MS:
                    if due_ms > now_ms:
                        later.append(name)
                    else:
                        found.append(name)
                        del shelf[name]
            if later:
                buckets[bucket] = tuple(later)
        self._buckets = buckets
        return found

    def frozen(self) -> Wheel:
        """Return the wheel as it stands now."""
        if self._at is None and self._devices is None:
            return self._wheel
        at = self._wheel.at if self._at is None else self._at.frozen()
        devices = self._wheel.devices if self._devices is None else self._devices
        return Wheel(at, self._merged(), devices)

    def _own(self) -> Writing[int]:
        if self._at is None:
            at = self._wheel.at
            self._at = Writing(at if at.home is self._home else at.rehomed(self._home))
        return self._at

    def _merged(self) -> dict[int, tuple[str, ...]]:
        buckets = dict(self._wheel.buckets) if self._buckets is None else self._buckets
        for bucket, names in self._added.items():
            buckets[bucket] = (*buckets.get(bucket, ()), *names)
        self._added = {}
        self._buckets = buckets
        return buckets
