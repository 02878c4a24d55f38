"""Feeders, sounders and the gate of the plant: what the relay coils really move.

A relay coil is held in `Coils`; the simulated relay modules write it and nobody else does. What a
proving input shows comes from here, never from the coil alone, so that a welded contact shows.
"""

from dataclasses import dataclass, field

from minewatch.model.mine import Mine, Output, OutputRole

SOUNDERS = frozenset(
    {OutputRole.SIREN, OutputRole.BROADCAST, OutputRole.HORN, OutputRole.SURFACE_HORN}
)

ENERGISED_AT_START = frozenset({OutputRole.POWER_CUT, OutputRole.GATE})


class Coils:
    """State of every relay coil that an output uses, by device and signal.

    The mine is running when the simulation starts: coils of power cuts and of the gate are
    energised, the rest is not.
    """

    def __init__(self, mine: Mine) -> None:
        self._energised = {
            (each.device, each.signal): each.role in ENERGISED_AT_START for each in mine.outputs
        }
        self._outputs = {(each.device, each.signal): each.id for each in mine.outputs}

    def get(self, device: str, signal: str) -> bool:
        """Return whether the coil is energised; False for a channel that nothing uses."""
        return self._energised.get((device, signal), False)

    def put(self, device: str, signal: str, energised: bool) -> None:
        """Energise or drop the coil."""
        self._energised[(device, signal)] = energised

    def output_of(self, device: str, signal: str) -> str | None:
        """Return the output that the coil belongs to, or None for a spare channel."""
        return self._outputs.get((device, signal))


@dataclass(slots=True)
class Feeder:
    """A switch with its own latch: once open it stays open until somebody closes it by hand."""

    output: Output
    closed: bool = True
    welded: bool = False
    live: bool = True


@dataclass(slots=True)
class Power:
    """All feeders, sounders and gates; `settle` works out what the coils bring about."""

    mine: Mine
    coils: Coils
    broken: set[str] = field(default_factory=set)
    feeders: dict[str, Feeder] = field(init=False)

    def __post_init__(self) -> None:
        """Make one closed feeder for every power-cut output."""
        self.feeders = {
            each.id: Feeder(each) for each in self.mine.outputs if each.role is OutputRole.POWER_CUT
        }
        self.settle()

    def settle(self) -> None:
        """Open feeders whose coil has dropped, then carry the supply down from each upstream."""
        for feeder in self.feeders.values():
            if not self.energised(feeder.output):
                feeder.closed = False
        for feeder in self.feeders.values():
            feeder.live = self._live(feeder)

    def energised(self, output: Output) -> bool:
        """Return the coil of an output."""
        return self.coils.get(output.device, output.signal)

    def sounding(self, output: Output) -> bool:
        """Return whether a sounder is heard: its coil is energised and its circuit whole."""
        return self.energised(output) and output.id not in self.broken

    def close_by_hand(self, output_id: str) -> bool:
        """Close a switch at its place (人工送电); False while the coil inhibits it."""
        feeder = self.feeders[output_id]
        if not self.energised(feeder.output):
            return False
        feeder.closed = True
        self.settle()
        return True

    def proved(self, output: Output) -> bool:
        """Return the state of an output's proving input."""
        if output.role is OutputRole.POWER_CUT:
            return self.feeders[output.id].live
        return self.sounding(output)

    def zone_live(self, zone_id: str) -> bool | None:
        """Return whether a zone's machines have power; None where no feeder serves the zone."""
        states = [f.live for f in self.feeders.values() if f.output.zone == zone_id]
        return any(states) if states else None

    def entry_shut(self) -> bool:
        """Return whether a gate refuses entry: its coil is not energised. Exits are always free."""
        gates = [each for each in self.mine.outputs if each.role is OutputRole.GATE]
        return any(not self.energised(each) for each in gates)

    def _live(self, feeder: Feeder, depth: int = 0) -> bool:
        if not (feeder.closed or feeder.welded):
            return False
        above = self.feeders.get(feeder.output.upstream or "")
        if above is None or depth > len(self.feeders):
            return True
        return self._live(above, depth + 1)
