"""Questions by hand inside the controller: bounded, guarded, written down before they are asked."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.controller import bus_desk
from minewatch.controller.bus_desk import BusDesk
from minewatch.model.mine import Bus, Mine, Mode

READ = modbus.read_pdu(3, 0, 1)
WRITE = modbus.write_register_pdu(7, 1)
BUS = Bus("line", "tcp://127.0.0.1:502")


@dataclass(eq=False)
class Peer:
    """A connection that keeps what it was sent."""

    number: int = 1
    origin: str = "local:1000"
    closed: bool = False
    sent: list[dict[str, Any]] = field(default_factory=list)

    def send(self, message: dict[str, Any]) -> None:
        """Keep one message."""
        self.sent.append(message)


@dataclass
class Bench:
    """A desk over one real line, without a wire."""

    mode: Mode = Mode.CONTROL
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    kicked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        mine = _mine(self.mode)
        self.line = Line(mine, BUS, writes=self.mode is not Mode.MONITOR)
        self.line.connected(1)
        self.desk = BusDesk(mine, {"line": self.line}, self._notice, self.kicked.append)
        self.peer = Peer()

    def _notice(self, kind: str, subject: str, **data: Any) -> None:
        self.notices.append((kind, {"subject": subject, **data}))

    def ask(self, question: bytes, ident: str = "a", **more: Any) -> None:
        """Put one question."""
        self.desk.handle(self.peer, {"act": "ask", "id": ident, "bus": "line", "unit": 3,
                                     "pdu": question.hex(), **more})  # fmt: skip

    def turn(self, *kinds: tuple[str, dict[str, Any]], index: int = 0, durable: int = 0) -> None:
        """Run one cycle whose step emitted these events, the last of them at `index` - 1."""
        events = tuple(SimpleNamespace(kind=kind, data=data) for kind, data in kinds)
        state = SimpleNamespace(durable=SimpleNamespace(index=index))
        decided: Any = SimpleNamespace(events=events, state=state)
        self.desk.turned(decided, durable)

    def asked(self, now_us: int = 10_000) -> bytes | None:
        """Return what the line would send now."""
        return self.line.poll(now_us).send


def _mine(mode: Mode) -> Mine:
    empty = Mine(
        "0", "n", "c", "en", "low", 1, False, Mode.CONTROL, 10, "", "p", (), (BUS,), (), ()
    )
    return replace(empty, mode=mode)


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Return the maker of benches."""
    return Bench


def test_a_question_goes_to_the_line_and_its_answer_back(bench: Callable[..., Bench]) -> None:
    """Read, kicked at once; the reply carries the id, the PDU and no error."""
    made = bench()
    made.ask(READ)
    assert made.kicked == ["line"]
    question = made.asked()
    assert question is not None

    made.line.feed(question[:4] + b"\x00\x05" + question[6:7] + bytes((3, 2, 0, 9)), 20_000)
    made.turn()

    (answer,) = made.peer.sent
    assert (answer["id"], answer["pdu"], answer["error"]) == ("a", "03020009", "")
    assert made.notices == []


def test_a_write_is_asked_when_its_entry_is_durable_and_not_before(
    bench: Callable[..., Bench],
) -> None:
    """First the order on record, then the wire, then the outcome on record."""
    made = bench()
    made.ask(WRITE, reason="trial")
    ((kind, said),) = made.notices
    assert (kind, said["pdu"], said["reason"]) == ("bus_write_ordered", WRITE.hex(), "trial")
    assert said["origin"] == "local:1000"

    made.turn((kind, said), index=8, durable=7)
    assert made.asked() is None
    made.turn(durable=8)
    question = made.asked()
    assert question is not None

    made.line.feed(question, 20_000)
    made.turn()
    assert [each for each, _ in made.notices] == ["bus_write_ordered", "bus_written"]
    assert made.notices[1][1]["error"] == ""
    assert made.peer.sent[-1]["error"] == ""


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"pdu": WRITE.hex()}, "no_reason"),
        ({"unit": 0}, "broadcast"),
        ({"unit": "3"}, "malformed"),
        ({"pdu": "zz"}, "malformed"),
        ({"pdu": "11"}, "no_question"),
        ({"bus": "other"}, "no_such_bus"),
        ({"act": "shout"}, "malformed"),
    ],
)
def test_what_is_not_asked_is_answered_with_its_reason(
    bench: Callable[..., Bench], more: dict[str, Any], error: str
) -> None:
    """Nothing of it reaches line or record."""
    made = bench()
    made.ask(READ, **more)

    assert [each["error"] for each in made.peer.sent] == [error]
    assert made.notices == []
    assert made.asked() is None


def test_monitor_writes_nothing(bench: Callable[..., Bench]) -> None:
    """In mode monitor a write is refused at the desk."""
    made = bench(Mode.MONITOR)
    made.ask(WRITE, reason="trial")

    assert [each["error"] for each in made.peer.sent] == ["monitor"]
    assert made.notices == []


def test_questions_are_bounded(bench: Callable[..., Bench]) -> None:
    """More than may wait are answered `busy` at once, none is forgotten."""
    made = bench()
    for number in range(2 * bus_desk.PENDING_MAX):
        made.ask(READ, ident=str(number))

    busy = [each for each in made.peer.sent if each["error"] == "busy"]
    assert len(busy) >= bus_desk.PENDING_MAX
    made.line.lost(30_000, "broken")
    made.line.poll(40_000)
    made.turn()
    assert len(made.peer.sent) == 2 * bus_desk.PENDING_MAX


def test_a_tap_has_one_listener_and_ends_with_it(bench: Callable[..., Bench]) -> None:
    """The second is told `busy`; when the first is gone the line copies nothing any more."""
    made = bench()
    other = Peer(2)
    for peer in (made.peer, other):
        made.desk.handle(peer, {"act": "tap", "id": "t", "bus": "line"})
    assert [made.peer.sent[0]["error"], other.sent[0]["error"]] == ["", "busy"]

    made.ask(READ)
    question = made.asked()
    assert question is not None
    made.turn()
    assert made.peer.sent[-1]["pieces"] == [[10_000, True, question.hex()]]

    made.peer.closed = True
    made.turn()
    made.line.feed(b"\x00" * 4, 50_000)
    assert made.line.tapped() == ()


def test_a_question_that_nobody_answers_is_given_up(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that never comes back to it cannot hold a question for ever."""
    made = bench()
    made.ask(READ)
    monkeypatch.setattr(bus_desk, "GIVE_UP_S", -1.0)

    made.turn()

    assert [each["error"] for each in made.peer.sent] == ["no_turn"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["act", "id", "bus", "unit", "pdu", "reason"]),
        JSON | st.sampled_from(["ask", "tap", "line", READ.hex(), 3]),
    )
)
def test_any_request_is_answered_or_queued(message: dict[str, Any]) -> None:
    """Nothing that JSON can say makes the desk raise."""
    made = Bench()
    made.desk.handle(made.peer, message)

    assert len(made.peer.sent) + len(made.kicked) + len(made.notices) == 1
