"""Questions that people put to a line through its owner, and the copy of what runs on it.

`{"do":"bus","act":"ask"|"tap","id","bus",…}` on the local socket. A question is held against
`commission.permit` here, whatever its sender has checked; a write is put on record first and asked
once that is durable (design rule 5). Everything waits in bounded queues.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from minewatch_drivers.commission.permit import refusal
from minewatch_drivers.lines import AnyLine
from minewatch_drivers.modbus_line.desk import Desk
from minewatch_drivers.modbus_line.inquiry import Inquiry, InquiryReply
from minewatch_drivers.wire import modbus

from minewatch.core.step import Step
from minewatch.model.mine import Mine

PENDING_MAX = 32
"""Questions under way, of all peers and lines."""

TAPS_MAX = 4
GIVE_UP_S = 20.0
"""A question without any answer of its line by then; the line itself gives up sooner."""

TEXT_MAX = 200


class Peer(Protocol):
    """One connection of the socket."""

    number: int
    origin: str

    @property
    def closed(self) -> bool:
        """Whether it is gone."""
        ...

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        ...


@dataclass
class _Asked:
    """A question under way; `order` is the index of the event that must be durable first."""

    peer: Peer
    id: str
    bus: str
    inquiry: Inquiry
    reason: str
    since_s: float
    writes: bool = False
    sent: bool = False
    order: int | None = None


@dataclass
class _Tapped:
    """A watcher of one line."""

    peer: Peer
    id: str
    bus: str
    dropped: int = field(default=0)


class BusDesk:
    """Serves those who ask; `turned` runs once a cycle."""

    def __init__(
        self,
        mine: Mine,
        lines: Mapping[str, AnyLine],
        notice: Callable[..., None],
        kick: Callable[[str], None],
    ) -> None:
        self._mine = mine
        self._lines = {bus: line for bus, line in lines.items() if isinstance(line, Desk)}
        self._notice = notice
        self._kick = kick
        self._asked: dict[str, _Asked] = {}
        self._taps: list[_Tapped] = []

    def handle(self, peer: Peer, message: Mapping[str, Any]) -> None:
        """Take one request; a malformed one is answered with the code `malformed`."""
        ident, bus, act = message.get("id"), message.get("bus"), message.get("act")
        if not isinstance(ident, str) or not isinstance(bus, str) or len(ident) > 64:
            peer.send({"type": "bus", "id": "", "error": "malformed"})
            return
        if bus not in self._lines:
            error = "no_such_bus"
        elif act == "ask":
            error = self._ask(peer, ident, bus, message)
        elif act == "tap":
            error = self._tap(peer, ident, bus)
        else:
            error = "malformed"
        if error:
            self._answer(peer, ident, error)

    def turned(self, decided: Step, durable_index: int) -> None:
        """Pass on what lines have brought, ask what may be asked now, forget who is gone."""
        if not self._asked and not self._taps:
            return
        self._note_orders(decided)
        for key, asked in tuple(self._asked.items()):
            if asked.order is not None and asked.order < durable_index and not asked.sent:
                self._send(key, asked)
        for bus in {each.bus for each in self._asked.values()}:
            for reply in self._lines[bus].replies():
                self._replied(reply)
        self._expire()
        self._pass_on_taps()

    def _ask(self, peer: Peer, ident: str, bus: str, message: Mapping[str, Any]) -> str:
        """Queue a question; return a code where it cannot be asked."""
        unit, told, reason = message.get("unit"), message.get("pdu"), message.get("reason", "")
        if not isinstance(unit, int) or not isinstance(told, str) or not isinstance(reason, str):
            return "malformed"
        try:
            pdu = bytes.fromhex(told[:600])
        except ValueError:
            return "malformed"
        refused = refusal(self._mine, self._mine.bus(bus), unit, pdu)
        if refused:
            return refused
        writes = pdu[0] not in modbus.READS
        if writes and not reason.strip():
            return "no_reason"
        key = f"{peer.number}.{ident}"
        if len(self._asked) >= PENDING_MAX or key in self._asked:
            return "busy"
        asked = _Asked(
            peer, ident, bus, Inquiry(key, unit, pdu), reason[:TEXT_MAX], time.monotonic(), writes
        )
        self._asked[key] = asked
        if writes:
            self._notice("bus_write_ordered", bus, **self._said(asked), request=key)
        else:
            self._send(key, asked)
        return ""

    def _said(self, asked: _Asked) -> dict[str, Any]:
        inquiry = asked.inquiry
        return {
            "unit": inquiry.unit,
            "pdu": inquiry.pdu.hex(),
            "origin": asked.peer.origin,
            "reason": asked.reason,
        }

    def _note_orders(self, decided: Step) -> None:
        """Remember which entry of the ledger a write waits for."""
        first = decided.state.durable.index - len(decided.events)
        for offset, event in enumerate(decided.events):
            if event.kind == "bus_write_ordered":
                asked = self._asked.get(str(event.data.get("request", "")))
                if asked is not None:
                    asked.order = first + offset

    def _send(self, key: str, asked: _Asked) -> None:
        if self._lines[asked.bus].inquire(asked.inquiry):
            asked.sent = True
            self._kick(asked.bus)
        else:
            self._end(key, asked, "busy")

    def _replied(self, reply: InquiryReply) -> None:
        asked = self._asked.get(reply.id)
        if asked is not None:
            self._end(reply.id, asked, reply.error, reply)

    def _end(self, key: str, asked: _Asked, error: str, reply: InquiryReply | None = None) -> None:
        del self._asked[key]
        if asked.writes and asked.order is not None:
            self._notice("bus_written", asked.bus, **self._said(asked), error=error)
        if asked.peer.closed:
            return
        pdu = reply.pdu.hex() if reply is not None and reply.pdu is not None else None
        times = (reply.start_us, reply.end_us) if reply is not None else (0, 0)
        asked.peer.send({"type": "bus", "id": asked.id, "pdu": pdu, "error": error,
                         "start_us": times[0], "end_us": times[1]})  # fmt: skip

    def _expire(self) -> None:
        late_s = time.monotonic() - GIVE_UP_S
        for key, asked in tuple(self._asked.items()):
            if asked.since_s < late_s:
                self._end(key, asked, "no_turn")

    def _tap(self, peer: Peer, ident: str, bus: str) -> str:
        """Let a peer hear a line; one line has one listener."""
        if len(self._taps) >= TAPS_MAX or any(each.bus == bus for each in self._taps):
            return "busy"
        self._lines[bus].tap(on=True)
        self._taps.append(_Tapped(peer, ident, bus))
        self._answer(peer, ident, "")
        return ""

    def _pass_on_taps(self) -> None:
        for tapped in tuple(self._taps):
            line = self._lines[tapped.bus]
            if tapped.peer.closed:
                line.tap(on=False)
                self._taps.remove(tapped)
                continue
            pieces = [[each.t_us, each.sent, each.data.hex()] for each in line.tapped()]
            if pieces:
                tapped.peer.send({"type": "traffic", "id": tapped.id, "pieces": pieces,
                                  "dropped": line.tap_dropped})  # fmt: skip

    def _answer(self, peer: Peer, ident: str, error: str) -> None:
        peer.send({"type": "bus", "id": ident, "pdu": None, "error": error})
