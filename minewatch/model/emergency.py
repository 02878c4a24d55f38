"""Emergencies: what empties the mine by itself after a time, and how grave an exceedance was.

Resolved at loading from `mine/rules/withdrawals.toml` and `grades.toml`; the core looks nothing up
in a table of rules. An empty `Emergencies`, as a configuration of an older version has it, has no
clocks and no grades, and the two heads that were the rule then.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemandRule:
    """A demand of this kind starts the withdrawal of the whole mine once it stood `after_ms`.

    `value` is what a reading must reach, in the smallest unit of its kind; None where a person or
    a state demands.
    """

    kind: str
    after_ms: int
    value: int | None = None
    citation: str = ""


@dataclass(frozen=True, slots=True)
class GradeRule:
    """A grade is reached after `after_ms` or, where there is one, at `value` (0.01 %CH4)."""

    of: str
    grade: str
    after_ms: int
    value: int | None = None
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Emergencies:
    """All of them. So many heads at `two_heads_cpct` or more empty the whole mine at once."""

    demands: tuple[DemandRule, ...] = ()
    grades: tuple[GradeRule, ...] = ()
    two_heads_cpct: int = 300
    heads: int = 2

    def demand(self, kind: str) -> DemandRule | None:
        """Return the rule for a demand of this kind, or None."""
        return next((each for each in self.demands if each.kind == kind), None)

    def grades_of(self, of: str) -> tuple[GradeRule, ...]:
        """Return the grades of a gas exceedance (`gas`) or a fan stop (`main_fan`), rising."""
        return tuple(each for each in self.grades if each.of == of)
