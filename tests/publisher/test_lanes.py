"""The lanes: what goes first, how the window is kept, what is sent again after what."""

from dataclasses import dataclass, field

import pytest

from minewatch.publisher.lanes import HOLD_MS, LIVE_ROOM, Lanes
from minewatch.publisher.link import WINDOW_MAX
from minewatch.publisher.outbox import Class, Outbox
from minewatch.record.ledger import Entry


@dataclass
class FakeLedger:
    """A ledger of `count` entries."""

    count: int = 0
    origin: str = "mine"

    def size(self) -> int:
        """Return the number of entries."""
        return self.count

    def entries(self, start: int, count: int) -> list[Entry]:
        """Return entries from `start`."""
        return [Entry(i, b"%d" % i, "") for i in range(start, min(self.count, start + count))]


@dataclass
class Wire:
    """What was sent: mid → (topic, payload, retain); `dead` refuses."""

    sent: dict[int, tuple[str, bytes, bool]] = field(default_factory=dict)
    dead: bool = False

    def send(self, topic: str, payload: bytes, retain: bool) -> int | None:
        """Send one message."""
        if self.dead:
            return None
        self.sent[len(self.sent) + 1] = (topic, payload, retain)
        return len(self.sent)

    def payloads(self, topic: str) -> list[bytes]:
        """Return what was sent to a topic."""
        return [payload for each, payload, _ in self.sent.values() if each == topic]


@pytest.fixture
def rig() -> tuple[Lanes, Outbox, FakeLedger, Wire]:
    """Return lanes on a fake ledger and wire."""
    outbox, ledger, wire = Outbox(":memory:"), FakeLedger(), Wire()
    return Lanes(outbox, ledger, wire.send, lambda e, backfill: e.leaf), outbox, ledger, wire


def test_alarms_go_first_and_backlog_leaves_room(rig) -> None:
    """An alarm overtakes a long backlog; live finds a place in the window."""
    lanes, outbox, ledger, wire = rig
    ledger.count = 1000
    lanes.opened()
    lanes.pump(0)
    assert len(wire.sent) == WINDOW_MAX - LIVE_ROOM
    outbox.push(Class.ALARM, "alarm/A1", b"{}", retain=True)
    lanes.offer("live", b"{}", retain=False)
    lanes.pump(0)
    assert [topic for topic, _, _ in list(wire.sent.values())[-2:]] == ["alarm/A1", "live"]


def test_window_is_never_exceeded(rig) -> None:
    """However much waits, at most WINDOW_MAX messages are unacknowledged."""
    lanes, outbox, ledger, wire = rig
    lanes.opened()
    ledger.count = 1000
    for number in range(200):
        outbox.push(Class.ALARM, f"alarm/A{number}", b"{}", retain=True)
        lanes.offer("live", b"{}", retain=False)
    lanes.pump(0)
    assert len(wire.sent) == WINDOW_MAX
    for mid in range(1, 8):
        lanes.acked(mid, "", 0)
    lanes.pump(0)
    assert len(wire.sent) == WINDOW_MAX + 7


def test_cursor_passes_only_what_is_acknowledged_without_a_hole(rig) -> None:
    """Acknowledgements out of order do not carry the cursor over an entry that is missing."""
    lanes, outbox, ledger, _wire = rig
    ledger.count = 3
    lanes.opened()
    lanes.pump(0)
    for mid in (3, 2):
        lanes.acked(mid, "", 0)
    lanes.tick()
    assert outbox.cursor("mine") == 0
    lanes.acked(1, "", 0)
    lanes.tick()
    assert outbox.cursor("mine") == 3


def test_lost_session_sends_again_what_was_not_acknowledged(rig) -> None:
    """After a reconnect events go on at the cursor and rows that wait go out again."""
    lanes, outbox, ledger, wire = rig
    ledger.count = 4
    outbox.push(Class.ALARM, "alarm/A1", b'{"seq":1}', retain=True)
    lanes.opened()
    lanes.pump(0)
    lanes.acked(2, "", 0)
    lanes.closed()
    wire.sent.clear()
    lanes.opened()
    lanes.pump(0)
    assert wire.payloads("event") == [b"1", b"2", b"3"]
    assert wire.payloads("alarm/A1") == [b'{"backfill":true,"seq":1}']


def test_answer_of_an_earlier_session_is_ignored(rig) -> None:
    """A mid that this session did not give changes nothing."""
    lanes, outbox, ledger, _wire = rig
    ledger.count = 1
    lanes.opened()
    lanes.acked(1, "", 0)
    lanes.tick()
    assert outbox.cursor("mine") == 0


def test_refused_event_is_sent_again_after_a_rest(rig) -> None:
    """The broker's refusal is a fault, nothing is skipped, and one message tries it later."""
    lanes, _, ledger, wire = rig
    ledger.count = 2
    lanes.opened()
    lanes.pump(0)
    lanes.acked(1, "not_authorized", 0)
    lanes.acked(2, "not_authorized", 0)
    assert (lanes.refusal, lanes.rejected) == ("not_authorized", 2)
    lanes.pump(HOLD_MS - 1)
    assert len(wire.sent) == 2
    lanes.pump(HOLD_MS)
    assert wire.payloads("event") == [b"0", b"1", b"0"]
    lanes.acked(3, "", HOLD_MS)
    assert lanes.refusal == ""
    lanes.pump(HOLD_MS)
    assert wire.payloads("event") == [b"0", b"1", b"0", b"1"]


def test_refused_again_the_rest_doubles(rig) -> None:
    """A stream that the broker goes on refusing is tried ever more seldom."""
    lanes, _, ledger, wire = rig
    ledger.count = 1
    lanes.opened()
    tries_ms = []
    for now_ms in range(0, 8 * HOLD_MS, HOLD_MS // 10):
        before = len(wire.sent)
        lanes.pump(now_ms)
        if len(wire.sent) > before:
            tries_ms.append(now_ms)
            lanes.acked(len(wire.sent), "not_authorized", now_ms)
    assert tries_ms == [0, HOLD_MS, 3 * HOLD_MS, 7 * HOLD_MS]


def test_small_window_of_the_broker_is_kept(rig) -> None:
    """A broker that takes one message at a time gets one at a time."""
    lanes, _, ledger, wire = rig
    ledger.count = 5
    lanes.opened(1)
    for mid in range(1, 6):
        lanes.pump(0)
        assert len(wire.sent) == mid
        lanes.acked(mid, "", 0)


def test_refused_alarm_stays_in_the_outbox(rig) -> None:
    """A row goes only when the broker took it."""
    lanes, outbox, _, _wire = rig
    outbox.push(Class.ALARM, "alarm/A1", b"{}", retain=True)
    lanes.opened()
    lanes.pump(0)
    lanes.acked(1, "not_authorized", 0)
    lanes.tick()
    assert outbox.rows == 1
    lanes.pump(HOLD_MS)
    lanes.acked(2, "", HOLD_MS)
    lanes.tick()
    assert outbox.rows == 0


def test_old_states_are_not_retained(rig) -> None:
    """A state that waited must not overwrite the newer one that a broker retains already."""
    lanes, outbox, _, wire = rig
    outbox.push(Class.STATE, "headcount", b'{"seq":1}', retain=True)
    lanes.opened()
    outbox.push(Class.STATE, "headcount", b'{"seq":2}', retain=True)
    lanes.pump(0)
    assert list(wire.sent.values()) == [
        ("headcount", b'{"backfill":true,"seq":1}', False),
        ("headcount", b'{"seq":2}', True),
    ]


def test_dead_session_takes_nothing(rig) -> None:
    """When the link is gone nothing counts as sent and what is said now is shed."""
    lanes, _outbox, ledger, wire = rig
    ledger.count = 1
    lanes.opened()
    wire.dead = True
    lanes.pump(0)
    assert not lanes.open
    assert not lanes.offer("live", b"{}", retain=False)
    assert lanes.backlog() == 1
