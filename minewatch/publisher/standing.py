"""Which alarms the broker retains, and what has to be said when the controller's view changes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from minewatch.client import Frame
from minewatch.model.mine import Mine
from minewatch.publisher.json_v1 import Body, alarm_view
from minewatch.publisher.outbox import Outbox

STATES_MAX = 64
"""Moves of one alarm that its message lists; a flapping alarm keeps its first and newest ones."""


class Change(NamedTuple):
    """What to publish about one alarm; `gone` takes its retained message away afterwards."""

    alarm: str
    view: Body
    states: list[list[str]]
    gone: bool


class Standing:
    """The alarms as last published; it survives a restart, so that none is left standing."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._published = outbox.standing()

    def changes(self, mine: Mine, frame: Frame, now: str) -> list[Change]:
        """Return what differs between the frame and what was published, and remember it."""
        alarms = frame.section("alarms")
        found = [
            change
            for ident, entry in alarms.items()
            if (change := self._changed(mine, ident, entry, now)) is not None
        ]
        gone = [ident for ident in self._published if ident not in alarms]
        return found + [self._gone(ident, now) for ident in gone]

    def all(self) -> list[Change]:
        """Return every standing alarm as it was last published, for a broker that forgot."""
        return [
            Change(ident, dict(kept["view"]), list(kept["states"]), gone=False)
            for ident, kept in self._published.items()
        ]

    def _changed(self, mine: Mine, ident: str, entry: Mapping[str, Any], now: str) -> Change | None:
        view = alarm_view(mine, entry)
        kept = self._published.get(ident)
        if kept is not None and _without_peak(kept["view"]) == _without_peak(view):
            return None
        states = _moved(kept, view, view["raised"] or now if kept is None else now)
        self._keep(ident, {"view": view, "states": states})
        return Change(ident, view, states, gone=False)

    def _gone(self, ident: str, now: str) -> Change:
        kept = self._published[ident]
        view = {**kept["view"], "state": "normal", "active": False, "closed": True}
        states = _moved(kept, view, now)
        self._keep(ident, None)
        return Change(ident, view, states, gone=True)

    def _keep(self, ident: str, kept: dict[str, Any] | None) -> None:
        self._outbox.set_standing(ident, kept)
        if kept is None:
            del self._published[ident]
        else:
            self._published[ident] = kept


def _without_peak(view: Body) -> Body:
    """Leave the running peak out: it goes with the next move, the values go with `live`."""
    return {key: each for key, each in view.items() if key != "peak"}


def _moved(kept: Mapping[str, Any] | None, view: Body, now: str) -> list[list[str]]:
    states: list[list[str]] = list(kept["states"]) if kept is not None else []
    if not states or states[-1][0] != view["state"]:
        states = [*states, [str(view["state"]), now]]
    if len(states) > STATES_MAX:
        states = [states[0], *states[-STATES_MAX + 1 :]]
    return states
