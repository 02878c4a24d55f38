"""Acts of people that have a clock: planned work, bottles, moves, warm-up, what is due when.

Resolved at loading from `mine/rules/acts.toml`; the core looks nothing up in a table of rules. An
empty `Acts`, as a configuration of an older version has it, asks for nothing and permits no act
whose time it does not know.
"""

from dataclasses import dataclass

from minewatch.model.kind import Kind


@dataclass(frozen=True, slots=True)
class WorkRule:
    """A kind of planned work: its longest window, how far ahead it may begin, and the handover.

    Where not `in_handover`, it may not run while the mine's total is outside its limit.
    """

    kind: str
    minutes_max: int
    ahead_minutes_max: int
    in_handover: bool
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Bottle:
    """The gas that a calibration shows to a head, step by step, each within `tolerance`."""

    kind: Kind
    steps: tuple[int, ...]
    tolerance: int
    citation: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationPeriod:
    """How long a calibration of these kinds is good; the first row that fits a head counts.

    `catalytic` None fits heads of either principle.
    """

    kinds: tuple[Kind, ...]
    days: int
    catalytic: bool | None = None
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Acts:
    """All of them. A time of 0 is not known: what needs it is refused, what it dates is not due."""

    works: tuple[WorkRule, ...] = ()
    bottles: tuple[Bottle, ...] = ()
    periods: tuple[CalibrationPeriod, ...] = ()
    interlock_test_days: int = 0
    warm_up_minutes: int = 0
    head_work_minutes: int = 0
    head_work_minutes_max: int = 0

    def work(self, kind: str) -> WorkRule | None:
        """Return the rule for a kind of planned work, or None."""
        return next((each for each in self.works if each.kind == kind), None)

    def bottle(self, kind: Kind) -> Bottle | None:
        """Return the bottle for heads of `kind`, or None where none is known."""
        return next((each for each in self.bottles if each.kind is kind), None)

    def calibration_days(self, kind: Kind, *, catalytic: bool) -> int:
        """Return how many days a calibration is good; 0 where no row fits."""
        return next(
            (
                each.days
                for each in self.periods
                if kind in each.kinds and each.catalytic in {None, catalytic}
            ),
            0,
        )
