"""The canonical form of a `Mine`: JSON of its fields, the same bytes on every machine."""

import dataclasses
import hashlib
import json
import sys
import types
import typing
from enum import Enum
from functools import cache
from typing import Any

from minewatch.model.canonical import canonical
from minewatch.model.mine import Mine


def mine_to_json(mine: Mine) -> bytes:
    """Return the canonical bytes of `mine`."""
    return canonical(_plain(mine))


def mine_from_json(data: bytes) -> Mine:
    """Return the mine that `mine_to_json` wrote.

    Raises:
        ValueError: not JSON, or not a mine of this version.
    """
    try:
        built = _build(Mine, json.loads(data))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a mine of this version: {error}") from error
    assert isinstance(built, Mine)
    return built


def mine_hash(mine: Mine) -> str:
    """Return the sha256 hex of the canonical bytes: the name of a configuration."""
    return hashlib.sha256(mine_to_json(mine)).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in _fields(type(value))}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return value


def _build(wanted: Any, value: Any) -> Any:
    origin = typing.get_origin(wanted)
    if origin is types.UnionType:
        if value is None:
            return None
        (inner,) = (each for each in typing.get_args(wanted) if each is not types.NoneType)
        return _build(inner, value)
    if origin is tuple:
        inner, *rest = typing.get_args(wanted)
        if rest and rest[0] is not Ellipsis:
            return tuple(_build(one, each) for one, each in zip((inner, *rest), value, strict=True))
        return tuple(_build(inner, each) for each in value)
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        hints = _hints(wanted)
        return wanted(**{name: _build(hints[name], each) for name, each in value.items()})
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return wanted(value)
    if isinstance(value, str):
        return sys.intern(value)  # thousands of points name the same few devices and zones
    return value


@cache
def _hints(owner: type) -> dict[str, Any]:
    return typing.get_type_hints(owner)


def _fields(owner: type) -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(owner) if f.init]
