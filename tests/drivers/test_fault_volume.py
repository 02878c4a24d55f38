"""The fault catalogue by number of lies: every split, stray calls, calm neighbours, nightly volume.

`test_byzantine` counts questions on a line with a lying unit; here each counted read is a lie.
"""

import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.line import Line

from minewatch.model.quality import Quality

LIES = 10_000
URLS = {
    "tcp": "tcp://127.0.0.1:1502",
    "rtu": "rtu:///dev/ttyTEST?baud=9600&parity=E",
    "rtu+tcp": "rtu+tcp://127.0.0.1:1502?baud=19200",
}
KINDS = ("mute", "late", "one_behind", "wrong_unit", "wrong_function", "wrong_count", "split",
         "damaged", "exceptions")  # fmt: skip
OWN = {
    "tcp": ("wrong_transaction", "zero_transaction", "twice"),
    "rtu": ("noise",),
    "rtu+tcp": ("noise",),
}
TABLE = [(transport, kind) for transport in URLS for kind in (*KINDS, *OWN[transport])]
TIMEOUT_US = 60_000


def virtual_line(kit: SimpleNamespace, transport: str, units: int = 2, scan_ms: int = 100) -> Any:
    """Return a line on a virtual wire; unit 1 lies once a twist is set."""
    mine = kit.one_bus(URLS[transport], units=units, scan_ms=scan_ms, timeout_ms=60)
    slave = kit.Slave(rtu=transport != "tcp", timeout_us=TIMEOUT_US)
    return kit.Virtual(Line(mine, mine.buses[0], writes=False), slave)


def counted(twist: Any, lies: list[int]) -> Any:
    """Return `twist` that counts in `lies[0]` how often it lied."""

    def lie(slave: Any, envelope: Any, pdu: bytes) -> Any:
        lies[0] += 1
        return twist(slave, envelope, pdu)

    return lie


@pytest.mark.nightly
@pytest.mark.parametrize(("transport", "kind"), TABLE)
def test_ten_thousand_lies_of_each_kind_give_no_wrong_value(
    kit: SimpleNamespace, transport: str, kind: str
) -> None:
    """10 000 twisted answers, honest ones between them: 0 values that no register held."""
    virtual, lies, good, seen = virtual_line(kit, transport), [0], 0, 0
    virtual.slave.twist = counted(kit.twists[kind], lies)
    while lies[0] < LIES:
        virtual.run(virtual.now_us + 60_000_000)
        assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []
        seen += len(virtual.samples)
        good += sum(r.quality is Quality.GOOD for s in virtual.samples for r in s.readings)
        for kept in (virtual.samples, virtual.taken_us, virtual.sent):
            kept.clear()

    assert virtual.short_gaps == 0
    assert good > seen / 4


@pytest.mark.parametrize("transport", list(URLS))
@pytest.mark.parametrize("pause_share", [0.0, 0.5, 1.1, 1.9, 2.9])
def test_a_reply_split_at_every_byte_gives_right_or_nothing(
    kit: SimpleNamespace, transport: str, pause_share: float
) -> None:
    """Fault 6: both halves at each place, the second before, at and after the timeout."""
    virtual, places = virtual_line(kit, transport), itertools.count()
    cuts: set[int] = set()

    def split(slave: Any, envelope: Any, pdu: bytes) -> Any:
        data = slave.wrap(envelope.tag, envelope.unit, pdu)
        at = 1 + next(places) % (len(data) - 1)
        cuts.add(at)
        second_us = slave.delay_us + int(TIMEOUT_US * pause_share)
        return [(slave.delay_us, data[:at]), (second_us, data[at:])]

    virtual.slave.twist = split
    virtual.run(1 << 60, questions=600)

    size = len(virtual.slave.wrap(1, 1, bytes((4, 2, 0, 0))))
    assert cuts == set(range(1, size))
    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []
    assert virtual.short_gaps == 0
    assert any(r.quality is Quality.GOOD for s in virtual.samples for r in s.readings)


@pytest.mark.parametrize("transport", list(URLS))
def test_calls_at_random_moments_disturb_no_exchange(kit: SimpleNamespace, transport: str) -> None:
    """Fault 4: 10 000 kicks, takes and urges in the middle of exchanges: no value moves over."""
    virtual, rng, calls = virtual_line(kit, transport), random.Random(4), 0
    virtual.slave.twist = kit.twists["late"]
    while calls < 10_000:
        virtual.run(virtual.now_us + rng.randrange(500, 30_000))
        job = virtual.line._job
        for _ in range(rng.randrange(1, 4)):
            virtual.line.urge({"1_near", "2_far"} if rng.random() < 0.5 else (), 100)
            if job is not None:
                turn = virtual.line.poll(virtual.now_us)
                assert turn.send is None or virtual.line._job is not job
                if turn.send is not None:
                    virtual._send(turn.send)
            virtual._collect()
            calls += 1

    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []
    assert virtual.short_gaps == 0
    assert len(virtual.samples) > 1_000


@pytest.mark.parametrize("kind", ["mute", "one_behind", "wrong_unit", "exceptions"])
def test_on_tcp_neighbours_of_a_liar_keep_their_pace(kit: SimpleNamespace, kind: str) -> None:
    """Fault 1: the others' scan of 1 s moves by less than a tenth once the liar is known."""
    virtual = virtual_line(kit, "tcp", units=3, scan_ms=1000)
    virtual.slave.twist, virtual.slave.share = kit.twists[kind], 1.0

    virtual.run(121_000_000)

    for unit in ("d2", "d3"):
        times = [s.sampled_ms for s in virtual.samples
                 if s.device == unit and s.readings[0].point.endswith("_near")]  # fmt: skip
        steps = [b - a for a, b in itertools.pairwise(t for t in times if t > 5_000)]
        assert len(steps) >= 100
        late = sum(abs(step - 1000) >= 100 for step in steps)
        assert late == 0, (kind, unit, late, max(steps))
