"""Typed access to the keys of a device file; every refusal names file, key and reason."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, overload

_ABSENT: Any = object()

REGISTERS_MAX = 125
"""Registers that one question of the protocol can ask for."""


OTHER = "does_not_fit"


class DeviceFileError(ValueError):
    """A device file is wrong: `file`, `key` (dotted), `why` in English, and a code for other words.

    `code` is a key of `device_fault` in the message catalogue, `fields` fill its sentence; what
    has no code of its own is `does_not_fit` and shows `why`.
    """

    def __init__(self, file: str, key: str, why: str, code: str = OTHER, **fields: object) -> None:
        super().__init__(f"{file}: {key}: {why}" if key else f"{file}: {why}")
        self.file = file
        self.key = key
        self.why = why
        self.code = code
        self.fields = {name: str(value) for name, value in fields.items()}


class Fields:
    """The keys of one table. `done` refuses those that nobody asked for."""

    def __init__(self, file: str, path: str, raw: dict[str, Any]) -> None:
        self.file = file
        self.path = path
        self.raw = raw
        self._asked: set[str] = set()

    def wrong(self, key: str, why: str, code: str = OTHER, **fields: object) -> DeviceFileError:
        """Return the error for `key`, ready to be raised."""
        path = f"{self.path}.{key}" if self.path else key
        return DeviceFileError(self.file, path, why, code, **fields)

    def done(self) -> None:
        """Refuse keys that were never asked for."""
        for key in self.raw:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                near = get_close_matches(key, self._asked, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                why = f"unknown key; {hint}known here: {known}"
                raise self.wrong(
                    key, why, "unknown_key", known=known, near=near[0] if near else "-"
                )

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it must stand there and not be empty."""
        value = self._get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self.wrong(key, "must be text", "not_text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty where the key is absent."""
        value = self._get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(key, "must be a list of texts", "not_texts")
        return tuple(value)

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Return a text out of `allowed`, or the default."""
        value = self._get(key, default)
        if value == default and default is not None:
            return default
        if not isinstance(value, str) or value not in tuple(allowed):
            known = ", ".join(allowed)
            why = f"{value!r} is not one of {known}"
            raise self.wrong(key, why, "not_one_of", got=value, known=known)
        return str(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false", "not_flag")
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return an integer within low..high."""
        return self.between(key, self._get(key, default), low, high)

    def integer_or_none(self, key: str, low: int, high: int) -> int | None:
        """Return an integer within low..high, or None where the key is absent."""
        self._asked.add(key)
        return self.integer(key, low, high) if key in self.raw else None

    def between(self, key: str, value: Any, low: int, high: int) -> int:
        """Return `value` if it is an integer within low..high."""
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            why = f"{value!r} is not an integer from {low} to {high}"
            raise self.wrong(key, why, "not_integer", got=value, low=low, high=high)
        return value

    def number(self, key: str, low: int, high: int) -> int:
        """Return a key that is itself an integer (TOML keys are text)."""
        if not key.isascii() or not key.isdigit() or len(key) > 10:
            why = f"the key must be an integer from {low} to {high}"
            raise self.wrong(key, why, "not_integer", got=key, low=low, high=high)
        return self.between(key, int(key), low, high)

    @overload
    def decimal(self, key: str, default: str = ...) -> Fraction: ...
    @overload
    def decimal(self, key: str, default: None) -> Fraction | None: ...
    def decimal(self, key: str, default: str | None = "") -> Fraction | None:
        """Return a decimal written as text, exactly; without a default it must stand there."""
        value = self._get(key, default, absent_ok=True)
        if value == "" and default == "":
            raise self.wrong(key, "is missing", "missing")
        return None if value is None and default is None else self.as_decimal(key, value)

    def as_decimal(self, key: str, value: Any) -> Fraction:
        """Return `value` if it is a plain decimal text such as "-0.25"."""
        digits = value.removeprefix("-").replace(".", "", 1) if isinstance(value, str) else ""
        if not digits.isascii() or not digits.isdigit() or len(digits) > 20:
            why = f"{value!r} is not a decimal written as text"
            raise self.wrong(key, why, "not_decimal", got=value)
        return Fraction(value)

    def ranges(self, key: str) -> tuple[tuple[int, int], ...]:
        """Return a list of [first, last] address pairs."""
        rows = self.rows(key, 2)
        pairs = tuple(
            (self.between(key, a, 0, 0xFFFF), self.between(key, b, 0, 0xFFFF)) for a, b in rows
        )
        if any(first > last for first, last in pairs):
            raise self.wrong(key, "first lies behind last")
        return pairs

    def rows(self, key: str, width: int) -> list[list[Any]]:
        """Return a list of lists, each `width` long; empty where the key is absent."""
        value = self._get(key, [])
        if not isinstance(value, list) or not all(
            isinstance(row, list) and len(row) == width for row in value
        ):
            why = f"must be a list of rows of {width}"
            raise self.wrong(key, why, "not_rows", width=width)
        return value

    def integers(self, key: str) -> tuple[Any, ...]:
        """Return a list whose items are yet to be checked, empty where the key is absent."""
        value = self._get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "must be a list of integers")
        return tuple(value)

    def row(self, key: str, width: int) -> list[Any] | None:
        """Return one list, `width` long, or None where the key is absent."""
        value = self._get(key, None, absent_ok=True)
        if value is not None and (not isinstance(value, list) or len(value) != width):
            raise self.wrong(key, f"must be a list of {width}")
        return value

    def octets(self, key: str) -> bytes:
        """Return bytes written as hexadecimal."""
        try:
            return bytes.fromhex(self.text(key))
        except ValueError as error:
            raise self.wrong(key, "must be bytes in hexadecimal", "not_hex") from error

    def pairs(self, key: str) -> Iterator[tuple[str, Any]]:
        """Yield the items of a table, none where it is absent."""
        yield from self._table(key, {}).items()

    def table(self, key: str, default: dict[str, Any] | None = None) -> "Fields":
        """Return a table's fields."""
        return self._fields(key, self._table(key, default))

    def optional(self, key: str) -> "Fields | None":
        """Return a table's fields, or None where it is absent."""
        self._asked.add(key)
        return self.table(key) if key in self.raw else None

    def tables(self, key: str) -> Iterator[tuple[str, "Fields"]]:
        """Yield (name, fields) of each table within a table, none where it is absent."""
        for name, value in self._table(key, {}).items():
            if not isinstance(value, dict):
                raise self.wrong(f"{key}.{name}", "must be a table", "not_table")
            yield name, self._fields(f"{key}.{name}", value)

    def list_of_tables(self, key: str) -> Iterator["Fields"]:
        """Yield the fields of each table of a list, none where it is absent."""
        value = self._get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(key, "must be a list of tables")
        for number, each in enumerate(value):
            yield self._fields(f"{key}[{number}]", each)

    def _fields(self, key: str, raw: dict[str, Any]) -> "Fields":
        return Fields(self.file, f"{self.path}.{key}" if self.path else key, raw)

    def _table(self, key: str, default: dict[str, Any] | None) -> dict[str, Any]:
        value = self._get(key, default)
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table", "not_table")
        return value

    def _get(self, key: str, default: Any, *, absent_ok: bool = False) -> Any:
        self._asked.add(key)
        value = self.raw.get(key, _ABSENT)
        if value is _ABSENT:
            if default is None and not absent_ok:
                raise self.wrong(key, "is missing", "missing")
            return default
        return value
