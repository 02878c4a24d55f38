"""The snapshot: what survives as plain JSON, so that recovery need not fold the whole ledger.

A `state` event holds it at least every 10 000 events (design rule 6). Its shape follows the
dataclasses of `Durable` field by field; a field that a snapshot does not know takes its default.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from minewatch.core.state import Durable
from minewatch.model.event import Event

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

EVENTS_MAX = 9_000
"""A snapshot is due after so many events; one cycle's own keep the distance below 10 000."""


def decide(draft: "Draft") -> None:
    """Record what survives, when it is due."""
    if draft.durable.index - draft.durable.house.state_index >= EVENTS_MAX:
        draft.emit("state", durable=durable_to_json(draft.durable))


def durable_to_json(durable: Durable) -> dict[str, Any]:
    """Return `durable` as nested dicts and lists of strings, integers, booleans and None."""
    plain = _plain(durable)
    assert isinstance(plain, dict)
    return plain


def durable_from_json(value: Mapping[str, Any]) -> Durable:
    """Return the durable state that `durable_to_json` wrote.

    Raises:
        ValueError: not a durable state of this version.
    """
    try:
        built = _build(Durable, value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a durable state of this version: {error}") from error
    assert isinstance(built, Durable)
    return built


def durable_from_event(event: Event) -> Durable:
    """Return the durable state as it stands after a `state` event: recovery starts there."""
    from minewatch.core.fold import apply  # noqa: PLC0415  fold reaches this module through state

    return apply(durable_from_json(event.data["durable"]), event)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return value


def _build(wanted: Any, value: Any) -> Any:
    origin = typing.get_origin(wanted)
    if origin is types.UnionType:
        return None if value is None else _build(_inner(wanted), value)
    if origin is tuple:
        return _build_tuple(typing.get_args(wanted), value)
    if origin in {dict, Mapping}:
        key_type, value_type = typing.get_args(wanted)
        return {_key(key_type, key): _build(value_type, each) for key, each in value.items()}
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        hints = _hints(wanted)
        return wanted(**{name: _build(hints[name], each) for name, each in value.items()})
    if isinstance(wanted, type) and issubclass(wanted, tuple) and wanted is not tuple:
        return wanted(
            *(_build(hint, each) for hint, each in zip(_hints(wanted).values(), value, strict=True))
        )
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return wanted(value)
    return value


def _build_tuple(inner: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_build(inner[0], each) for each in value)
    return tuple(_build(one, each) for one, each in zip(inner, value, strict=True))


def _inner(union: Any) -> Any:
    (inner,) = (each for each in typing.get_args(union) if each is not types.NoneType)
    return inner


def _key(wanted: Any, key: str) -> Any:
    return int(key) if wanted is int else _build(wanted, key)


@cache
def _hints(owner: type) -> dict[str, Any]:
    return typing.get_type_hints(owner)
