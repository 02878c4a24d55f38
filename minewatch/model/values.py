"""What values may reveal: the numbers behind stuck heads, low oxygen, chatter and hand checks.

Resolved at loading from `mine/rules/values.toml`; the core looks nothing up in a table of rules.
The defaults are those of a configuration that an older version has resolved: no kind has a
tolerance, no alarm ends late or comes back in silence, and what protects (low oxygen, a held hand
check) is on.
"""

from dataclasses import dataclass

from minewatch.model.kind import Kind


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a hand check and the head may lie apart, in the kind's smallest unit."""

    kind: Kind
    more_than: int
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Values:
    """All of them. Oxygen in 0.01 %; times in ms; `replay_values_max` is the longest pattern.

    A catalytic head is not believed to be low while oxygen is below `oxygen_low`; that ends at
    `oxygen_clear`. An alarm ends once its value has been below for `clear_ms`; one that comes back
    within `repeat_ms` of its last sound is silent where somebody has acknowledged it.
    """

    oxygen_low: int = 1200
    oxygen_clear: int = 1250
    hand_check_ms: int = 8 * 3_600_000
    tolerances: tuple[Tolerance, ...] = ()
    clear_ms: int = 0
    repeat_ms: int = 0
    suspect_ms: int = 24 * 3_600_000
    replay_values_max: int = 120
    replay_changes_min: int = 12

    def tolerance(self, kind: Kind) -> int | None:
        """Return how far hand and head of `kind` may differ, None where no rule says so."""
        return next((each.more_than for each in self.tolerances if each.kind is kind), None)
