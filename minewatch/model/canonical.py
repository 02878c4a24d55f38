"""Canonical JSON: sorted keys, no spaces, UTF-8, no floats. Hashes are over these bytes."""

import json
from typing import Any


def canonical(value: Any) -> bytes:
    """Return `value` as canonical bytes.

    Raises:
        TypeError: a float stands in it; floats have no single spelling.
    """
    _refuse_floats(value)
    return encode(value)


def encode(value: Any) -> bytes:
    """Return canonical bytes of a value that is known to hold no floats (the hot path)."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a float has no canonical form: {value!r}")
    if isinstance(value, dict):
        for each in value.values():
            _refuse_floats(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _refuse_floats(each)
