"""A fault: one thing that is wrong in a configuration, where it stands, as a code with fields.

Codes become sentences through the catalogue (`config_fault.<code>.what / why / do`); a field that
starts with `@` is a key of the catalogue itself. Every check of this room reports here and goes on,
so that one run shows everything at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from minewatch.mine.locate import Where
from minewatch.text import Catalogue

FAULTS_MAX = 1000
"""More faults than this are not kept: nobody reads them, and a broken file may hold millions."""


class Severity(StrEnum):
    """An error refuses the configuration; a warning is shown and loads."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `file` as the user named it, `line` from 1, `key` dotted or a column's name."""

    file: str
    line: int
    key: str
    code: str
    fields: Mapping[str, str] = field(default_factory=dict)
    severity: Severity = Severity.ERROR

    def say(self, catalogue: Catalogue) -> "Words":
        """Return the fault in words of one language."""
        fields = {"key": self.key}
        for name, value in self.fields.items():
            word = value[1:] if value.startswith("@") else ""
            fields[name] = catalogue.say(word, **self.fields) if word in catalogue else value
        what, why, todo = (
            catalogue.say(f"config_fault.{self.code}.{part}", **fields)
            for part in ("what", "why", "do")
        )
        hint = self.fields.get("suggestion")
        if hint and self.code != "secret_inline":
            todo = f"{catalogue.say('config_hint.did_you_mean', suggestion=hint)} {todo}"
        return Words(f"{self.file}:{self.line}", what, why, todo)


@dataclass(frozen=True, slots=True)
class Words:
    """A fault in one language: where, what is wrong, why it matters, what to do."""

    where: str
    what: str
    why: str
    do: str


class Faults:
    """Collects faults while a configuration is read."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._seen: set[tuple[str, int, str, str]] = set()

    def add(self, where: Where, key: str, code: str, /, **fields: object) -> None:
        """Report an error at a key; `fields` fill the sentence."""
        self._add(where, key, code, Severity.ERROR, fields)

    def warn(self, where: Where, key: str, code: str, /, **fields: object) -> None:
        """Report a warning: shown, but the configuration loads."""
        self._add(where, key, code, Severity.WARNING, fields)

    def _add(
        self, where: Where, key: str, code: str, severity: Severity, fields: Mapping[str, object]
    ) -> None:
        line = where.line(key)
        same = (where.file, line, key, code)
        if same in self._seen or len(self._faults) >= FAULTS_MAX:
            return
        self._seen.add(same)
        texts = {name: str(value) for name, value in fields.items()}
        self._faults.append(Fault(where.file, line, key, code, texts, severity))

    @property
    def refuse(self) -> bool:
        """Say whether anything found so far refuses the configuration."""
        return any(fault.severity is Severity.ERROR for fault in self._faults)

    def sorted(self) -> tuple[Fault, ...]:
        """Return all faults by file and line."""
        return tuple(sorted(self._faults, key=lambda each: (each.file, each.line, each.key)))
