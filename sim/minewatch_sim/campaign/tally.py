"""The counts of a campaign: schedules, faults by name, rare states, violations."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from minewatch_sim.campaign.reached import MUST
from minewatch_sim.campaign.run import Result
from minewatch_sim.campaign.schedule import Mode

LIVENESS_EVERY = 8
"""Every so many seeds the schedule is one in which all must be well again at the end."""


def modes_of(seed: int) -> tuple[Mode, ...]:
    """Return the modes in which a seed is run in a campaign."""
    return (Mode.LIVENESS,) if seed % LIVENESS_EVERY == LIVENESS_EVERY - 1 else (Mode.SAFETY,)


@dataclass
class Tally:
    """What a campaign has gone through so far."""

    schedules: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str, str, str]] = field(default_factory=list)
    crashed: int = 0
    faults: int = 0
    least_devices: int = 10**6
    least_faults: int = 10**6
    least_ms: int = 10**9
    virtual_ms: int = 0
    events: int = 0

    def take(self, result: Result) -> None:
        """Count one schedule."""
        self.schedules[result.mode] += 1
        self.reached.update(result.reached)
        self.met.update(result.met)
        self.violations += [
            (result.seed, result.mode, each.code, each.says) for each in result.violations
        ]
        self.crashed += result.crashes > 0
        self.faults += result.faults
        self.least_devices = min(self.least_devices, result.devices)
        self.least_faults = min(self.least_faults, result.faults)
        self.least_ms = min(self.least_ms, result.virtual_ms)
        self.virtual_ms += result.virtual_ms
        self.events += result.events

    def lines(self) -> Iterator[str]:
        """Yield the counts as text."""
        total = sum(self.schedules.values())
        yield f"{total} schedules ({dict(self.schedules)}), {len(self.violations)} violations"
        yield f"{self.virtual_ms / 3_600_000:.1f} virtual hours, {self.events} events"
        yield (
            f"least devices {self.least_devices}, least faults {self.least_faults}, "
            f"shortest {self.least_ms / 1000:.0f} s, crash in {self.crashed}"
        )
        for name in MUST:
            yield f"{self.reached[name]:>7} {name}"

    def to_json(self, seeds: range) -> str:
        """Return the counts for the docs."""
        return json.dumps(
            {
                "seeds": [seeds.start, seeds.stop],
                "schedules": dict(self.schedules),
                "violations": self.violations,
                "crashed": self.crashed,
                "faults": self.faults,
                "least_devices": self.least_devices,
                "least_faults": self.least_faults,
                "shortest_ms": self.least_ms,
                "virtual_ms": self.virtual_ms,
                "events": self.events,
                "reached": {name: self.reached[name] for name in MUST},
                "met": dict(sorted(self.met.items())),
            },
            indent=1,
            sort_keys=True,
        )
