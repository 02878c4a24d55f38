"""Several questions at once on Modbus TCP: matched by number, failing alone, writes in turn."""

import itertools
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.modbus_line.inquiry import Inquiry
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.modbus_line.pipeline import PipelinedLine
from minewatch_drivers.wire import modbus

from minewatch.model.mine import Bus, Device, OutputRole
from minewatch.model.quality import Quality

URL = "tcp://127.0.0.1:1502"
DEPTH = 4


def frames(data: bytes) -> list[bytes]:
    """Cut what a line sent into its questions."""
    buffer, found = bytearray(data), []
    while buffer:
        size = 6 + int.from_bytes(buffer[4:6], "big")
        found.append(bytes(buffer[:size]))
        del buffer[:size]
    return found


class Watched:
    """A pipelined line on virtual time whose questions and answers are counted."""

    def __init__(
        self, kit: SimpleNamespace, mine: Any, *, depth: int = DEPTH, writes: bool
    ) -> None:
        self.line = PipelinedLine(mine, mine.buses[0], writes=writes, depth=depth)
        self.slave = kit.Slave(rtu=False, timeout_us=40_000)
        self.virtual = kit.Virtual(self.line, self.slave)
        self.most = self.most_writes = 0
        self.numbers: list[int] = []
        self._send_one = self.virtual._send
        self.virtual._send = self._send

    def _send(self, data: bytes) -> None:
        for question in frames(data):
            self._send_one(question)
            self.numbers.append(int.from_bytes(question[:2], "big"))
        flights = self.line._flights.values()
        self.most = max(self.most, len(flights))
        writes = sum(each.exchange.function not in modbus.READS for each in flights)
        self.most_writes = max(self.most_writes, writes)


def reading_line(kit: SimpleNamespace, units: int = 4, scan_ms: int = 50) -> Watched:
    """Return a pipelined line of several units of two blocks each."""
    return Watched(kit, kit.one_bus(URL, units=units, scan_ms=scan_ms), writes=False)


@given(seed=st.integers(0, 1 << 32), lost=st.floats(0, 0.4), slow=st.floats(0, 0.4))
@settings(max_examples=25, deadline=None)
def test_answers_in_any_order_late_lost_or_twice_give_no_wrong_value(
    kit: SimpleNamespace, seed: int, lost: float, slow: float
) -> None:
    """Whatever order answers come in, a reading holds what its register held; depth is kept."""
    watched = reading_line(kit)
    slave = watched.slave
    slave.rng.seed(seed)
    slave.bad, slave.share = frozenset({1, 2, 3, 4}), 1.0

    def shuffle(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
        data = slave.wrap(envelope.tag, envelope.unit, pdu)
        dice = slave.rng.random()
        if dice < lost:
            return []
        most_us = 120_000 if dice < lost + slow else 20_000
        times = [slave.rng.randrange(100, most_us) for _ in range(1 + (slave.rng.random() < 0.1))]
        return [(each, data) for each in times]

    slave.twist = shuffle
    watched.virtual.run(1 << 60, questions=600)

    virtual = watched.virtual
    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []
    assert watched.most <= DEPTH
    assert 0 not in watched.numbers


def test_an_honest_device_is_asked_as_deep_as_it_allows(kit: SimpleNamespace) -> None:
    """Eight blocks of a device that takes 10 ms each are read in two rounds, not in eight."""
    watched = reading_line(kit, scan_ms=1000)
    watched.slave.delay_us = 10_000

    watched.virtual.run(watched.virtual.now_us + 24_000)

    assert watched.most == DEPTH
    assert len(watched.virtual.samples) == 8
    assert {r.quality for s in watched.virtual.samples for r in s.readings} == {Quality.GOOD}


def test_a_lost_answer_fails_alone(kit: SimpleNamespace) -> None:
    """One mute unit has no value; every other scan of its time is there, and no reconnect came."""
    watched = reading_line(kit, scan_ms=200)
    watched.slave.bad, watched.slave.share = frozenset({2}), 1.0
    watched.slave.twist = lambda slave, envelope, pdu: []

    watched.virtual.run(watched.virtual.now_us + 20_000_000)

    good = Counter(s.device for s in watched.virtual.samples if s.readings[0].value is not None)
    assert set(good) == {"d1", "d3", "d4"}
    assert min(good.values()) >= 2 * 95
    assert {s.readings[0].quality for s in watched.virtual.samples if s.device == "d2"} == {
        Quality.COMM_FAULT
    }
    assert watched.line.status().up


def test_no_number_is_used_twice_at_once(kit: SimpleNamespace) -> None:
    """Questions that are under way together have numbers of their own, never 0."""
    watched = reading_line(kit, scan_ms=1)
    watched.virtual.run(1 << 60, questions=50)

    assert 0 not in watched.numbers
    assert len(set(watched.numbers[:50])) == 50


def test_writes_are_never_under_way_together(kit: SimpleNamespace) -> None:
    """Eight changing outputs on two relays: one write at a time, beside reads, all carried out."""
    outputs = tuple(
        kit.output(f"cut{n}", OutputRole.POWER_CUT, f"d{n}", "coil_1") for n in (1, 2, 3, 4)
    )
    mine = replace(kit.one_bus(URL, units=4, scan_ms=20), outputs=outputs)
    watched = Watched(kit, mine, writes=True)
    levels = itertools.count()

    def want(now_us: int) -> None:
        level = next(levels) % 7 < 3
        watched.line.want({each.id: level for each in outputs}, now_us)

    watched.virtual.on_turn = want
    watched.virtual.run(1 << 60, questions=800)

    functions = Counter(data[7] for _, data in watched.virtual.sent)
    assert watched.most_writes == 1
    assert watched.most > 1
    assert functions[modbus.WRITE_COIL] > 50
    assert functions[modbus.READ_INPUT] > 100


def test_a_broken_stream_ends_the_connection_and_all_that_waits(kit: SimpleNamespace) -> None:
    """Bytes that are no Modbus TCP: nothing is taken from them, and the line asks to open anew."""
    watched = reading_line(kit)
    line, now_us = watched.line, watched.virtual.now_us
    turn = line.poll(now_us)
    assert turn.send is not None

    line.feed(b"GET / HTTP/1.1\r\n\r\n", now_us + 1_000)
    asked_anew = line.poll(now_us + 1_001).reconnect
    line.lost(now_us + 2_000, "framing")

    assert asked_anew
    samples = line.take().samples
    assert len(samples) == DEPTH
    assert {r.quality for s in samples for r in s.readings} == {Quality.COMM_FAULT}
    assert line.status().violations == 1


def test_a_flood_of_foreign_frames_is_bounded(kit: SimpleNamespace) -> None:
    """Well-formed answers that nobody asked for end the connection, not the memory."""
    line = reading_line(kit).line
    line.poll(2_000_000)
    foreign = modbus.tcp_frame(0xABCD, 1, b"\x04\x02\x00\x01")
    for n in range(1_000):
        line.feed(foreign, 2_000_000 + n)

    assert line.poll(2_001_000).reconnect
    assert line.take().samples == ()


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        ("bad_unit", lambda tag: modbus.tcp_frame(tag, 9, b"\x04\x02\x00\x01")),
        ("bad_function", lambda tag: modbus.tcp_frame(tag, 1, b"\x03\x02\x00\x01")),
        ("bad_count", lambda tag: modbus.tcp_frame(tag, 1, b"\x04\x04\x00\x01\x00\x01")),
        ("exception_4", lambda tag: modbus.tcp_frame(tag, 1, b"\x84\x04")),
    ],
)
def test_every_check_holds_for_each_of_them(kit: SimpleNamespace, why: str, answer: Any) -> None:
    """An answer with the right number and anything else wrong is none, and has its name."""
    line = reading_line(kit, units=1).line
    turn = line.poll(2_000_000)
    assert turn.send is not None
    for question in frames(turn.send):
        line.feed(answer(int.from_bytes(question[:2], "big")), 2_001_000)

    assert line.status().last_failure == why
    assert all(r.value is None for s in line.take().samples for r in s.readings)


def test_an_inquiry_goes_beside_scans_and_alone_among_its_kind(kit: SimpleNamespace) -> None:
    """Eight inquiries on a busy pipelined line are all answered, one after another."""
    watched = reading_line(kit, scan_ms=20)
    asked = [Inquiry(str(n), 1 + n % 4, modbus.read_pdu(4, 0, 1)) for n in range(8)]
    watched.virtual.run(watched.virtual.now_us + 100_000)
    assert all(watched.line.inquire(each) for each in asked)

    watched.virtual.run(watched.virtual.now_us + 30_000_000)

    replies = watched.line.replies()
    assert [reply.id for reply in replies] == [each.id for each in asked]
    assert all(reply.error == "" for reply in replies)
    spans = [(reply.start_us, reply.end_us) for reply in replies]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("url", "depths", "kind"),
    [
        (URL, (4, 2), PipelinedLine),
        (URL, (4, 1), Line),
        ("rtu+tcp://127.0.0.1:1502", (4, 4), Line),
        ("rtu:///dev/ttyTEST", (4, 4), Line),
    ],
)
def test_the_least_device_of_a_bus_decides(
    kit: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    depths: tuple[int, int],
    kind: type[Line],
) -> None:
    """A bus is pipelined where each of its devices says so, and only with transaction numbers."""
    made = device_file.load("two-blocks")
    models = {f"m{n}": replace(made, in_flight_max=depth) for n, depth in enumerate(depths)}
    monkeypatch.setattr(device_file, "load", models.__getitem__)
    bus = Bus("line", url, scan_ms=100, timeout_ms=40)
    devices = tuple(Device(f"d{n}", "line", n + 1, f"m{n}") for n in range(2))

    line = open_line(kit.bare_mine(bus, devices), bus, writes=False)

    assert type(line) is kind


async def test_a_real_socket_carries_several_questions(kit: SimpleNamespace) -> None:
    """On a real wire every value is right, and a device that takes 5 ms answers four at once."""
    peer = kit.peers.TcpPeer(kit.Slave(rtu=False, timeout_us=200_000, delay_us=5_000))
    mine = kit.one_bus(f"tcp://127.0.0.1:{await peer.start()}", units=4, scan_ms=10, timeout_ms=200)
    watched = kit.peers.Watched(PipelinedLine(mine, mine.buses[0], writes=False, depth=DEPTH))

    await watched.run(lambda: len(watched.samples) >= 400, limit_s=20)
    await peer.stop()

    good = [s for s in watched.samples if s.readings[0].value is not None]
    assert len(good) >= 400
    assert kit.wrong(watched.samples, watched.taken_us, kit.units) == []
    together = sum(abs(a.sampled_ms - b.sampled_ms) < 4 for a, b in itertools.pairwise(good))
    assert together > len(good) / 2
