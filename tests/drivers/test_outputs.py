"""The relay side of a line: changes at once, refresh, heartbeat, read-back, and silence in time."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.modbus_line.line import Line

from minewatch.model.image import ReadBack
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, OutputRole, Point

URL = "rtu:///dev/ttyTEST?baud=9600&parity=E"
WRITES = (5, 6, 15, 16)
ALL_ON = {"cut": True, "siren": True}


def relay_mine(kit: SimpleNamespace, url: str = URL, mode: Mode = Mode.CONTROL) -> Mine:
    """Return a line with a relay module, its two outputs and two measuring devices."""
    bus = Bus("line", url, scan_ms=500, timeout_ms=100)
    devices = (
        Device("relay", "line", 9, "relay-module-8-watchdog"),
        Device("d1", "line", 1, "two-blocks"),
        Device("d2", "line", 2, "two-blocks"),
    )
    points = tuple(
        Point(f"{n}_{s}", "", Kind.CARBON_MONOXIDE, "z", f"d{n}", s, "record_only")
        for n in (1, 2)
        for s in ("near", "far")
    )
    outputs = (
        kit.output("cut", OutputRole.POWER_CUT, "relay", "coil_1"),
        kit.output("siren", OutputRole.SIREN, "relay", "coil_3"),
    )
    mine: Mine = kit.bare_mine(bus, devices, points=points, outputs=outputs, mode=mode)
    return mine


def bench(kit: SimpleNamespace, mine: Mine, *, writes: bool = True, **slave: Any) -> Any:
    """Return the line of `mine` on a virtual wire with an honest slave."""
    line = Line(mine, mine.buses[0], writes=writes)
    rtu = not mine.buses[0].url.startswith("tcp")
    return kit.Virtual(line, kit.Slave(rtu=rtu, timeout_us=100_000, **slave))


def writes_of(virtual: Any, functions: tuple[int, ...] = WRITES) -> list[tuple[int, bytes]]:
    """Return what was sent with one of these functions, RTU frames."""
    return [(at, data) for at, data in virtual.sent if data[1] in functions]


def test_a_change_goes_before_every_read_that_is_due(kit: SimpleNamespace) -> None:
    """The next question after a change writes that coil, and the one after reads it back."""
    virtual = bench(kit, relay_mine(kit))
    wanted = dict(ALL_ON)
    virtual.on_turn = lambda now_us: virtual.line.want(wanted, now_us)
    virtual.run(10_000_000)
    wanted["cut"] = False
    before = len(virtual.sent)

    virtual.run(11_000_000)

    first, second = (data for _, data in virtual.sent[before : before + 2])
    assert first[:6] == bytes((9, 5, 0, 0, 0, 0))
    assert second[:2] == bytes((9, 1))
    assert virtual.slave.coils[0] == 0
    assert virtual.slave.coils[2] == 1


def test_a_coil_that_somebody_else_changed_is_said_once_and_put_right(
    kit: SimpleNamespace,
) -> None:
    """A foreign write is told at the read-back that shows it, undone, and told as over, once."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)
    virtual.run(10_000_000)
    assert virtual.notices == []
    for _ in range(40):
        virtual.slave.coils[2] = 0
        virtual.run(virtual.now_us + 3_000_000)
        if virtual.notices:
            break

    told = [(each.kind, each.subject, each.data["code"]) for each in virtual.notices]
    assert told == [
        ("device_fault", "siren", "coil_changed"),
        ("device_restored", "siren", "coil_changed"),
    ]
    assert virtual.slave.coils[2] == 1


def test_levels_and_heartbeat_repeat_within_a_third_of_the_watchdog_time(
    kit: SimpleNamespace,
) -> None:
    """On a busy 9600-baud line every coil and the heartbeat are written at least every second."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)

    virtual.run(30_000_000)

    beats = writes_of(virtual, (16,))
    coils = {at: [t for t, d in writes_of(virtual, (5,)) if d[3] == at] for at in (0, 2)}
    for times in ([t for t, _ in beats], *coils.values()):
        assert max(b - a for a, b in itertools.pairwise(times)) <= 1_000_000
    counters = [data[7] << 8 | data[8] for _, data in beats]
    assert len(set(counters)) == len(counters)
    assert virtual.short_gaps == 0


def test_time_and_keep_mask_follow_the_roles(kit: SimpleNamespace) -> None:
    """The relay is told 3.0 s and to keep the siren's channel alone (practice 7)."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)

    virtual.run(3_000_000)

    assert virtual.slave.holding[1] == 30
    assert virtual.slave.holding[2] == 0b100


def test_an_old_table_writes_nothing(kit: SimpleNamespace) -> None:
    """500 ms after the last table neither levels nor heartbeat go out; reads go on."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: now_us < 5_000_000 and virtual.line.want(ALL_ON, now_us)

    virtual.run(20_000_000)

    assert max(at for at, _ in writes_of(virtual)) <= 5_500_000
    assert max(at for at, _ in virtual.sent) > 19_000_000


def test_without_a_table_nothing_is_written_but_coils_are_read(kit: SimpleNamespace) -> None:
    """At start, before the controller wants anything, the coils' true state is learned."""
    virtual = bench(kit, relay_mine(kit), coils={2: 1})

    virtual.run(5_000_000)

    assert writes_of(virtual) == []
    assert {(r.output, r.energised) for r in virtual.read_backs} == {
        ("cut", False),
        ("siren", True),
    }


@pytest.mark.parametrize(
    ("mode", "writes", "expected"),
    [
        (Mode.MONITOR, True, ()),
        (Mode.CONTROL, False, ()),
        (Mode.ALARM, True, ("siren",)),
        (Mode.CONTROL, True, ("cut", "siren")),
    ],
)
def test_mode_decides_what_a_line_can_drive(
    kit: SimpleNamespace, mode: Mode, writes: bool, expected: tuple[str, ...]
) -> None:
    """Monitor has no write path, alarm none for power, whatever table is handed in (practice 1)."""
    virtual = bench(kit, relay_mine(kit, mode=mode), writes=writes)
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)

    virtual.run(5_000_000)

    assert virtual.line.outputs == expected
    coils = {"cut": 0, "siren": 2}
    assert set(virtual.slave.coils) == {coils[each] for each in expected}


def test_an_incomplete_table_is_refused(kit: SimpleNamespace) -> None:
    """A table that leaves an output out counts as none: the relay's own watchdog acts."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want({"siren": True}, now_us)

    virtual.run(5_000_000)

    assert writes_of(virtual) == []


def test_a_retried_write_carries_the_newest_level(kit: SimpleNamespace) -> None:
    """A trip that comes while a write is failing is what the next try writes."""
    virtual = bench(kit, relay_mine(kit), bad=frozenset({9}), share=1.0)
    virtual.slave.twist = lambda slave, envelope, pdu: []
    wanted = dict(ALL_ON)
    virtual.on_turn = lambda now_us: virtual.line.want(wanted, now_us)
    virtual.run(1_050_000)
    tried = writes_of(virtual)
    wanted["cut"] = False
    before = len(virtual.sent)

    virtual.run(6_000_000)

    assert tried
    later = [data for _, data in virtual.sent[before:] if data[:4] == bytes((9, 5, 0, 0))]
    assert later
    assert {data[4] for data in later} == {0}


def test_a_dead_relay_costs_only_its_own_budget(kit: SimpleNamespace) -> None:
    """Neighbours of a mute relay keep their scan, and its coils become unknown, not old."""
    virtual = bench(kit, relay_mine(kit), bad=frozenset({9}), share=1.0)
    virtual.slave.twist = lambda slave, envelope, pdu: []
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)

    virtual.run(61_000_000)

    near = [s.sampled_ms for s in virtual.samples if s.readings[0].point == "1_near"]
    assert len(near) >= 60 / 0.5 * 0.8
    assert {r.energised for r in virtual.read_backs} == {None}
    assert virtual.read_backs[0].sampled_ms <= 3_000


def test_a_coil_that_somebody_else_wrote_is_written_again(kit: SimpleNamespace) -> None:
    """A foreign master's write shows in the read-back and is taken back within a scan."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want({"cut": False, "siren": True}, now_us)
    virtual.run(5_000_000)
    virtual.slave.coils[0] = 1

    virtual.run(6_500_000)

    assert virtual.slave.coils[0] == 0


def test_a_lost_line_makes_coils_unknown(kit: SimpleNamespace) -> None:
    """While the line is down read-backs say None once a scan, never the last state."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)
    virtual.run(5_000_000)
    virtual.line.lost(5_000_000, "closed")
    virtual.read_backs.clear()

    virtual.run(10_000_000)

    assert {r.energised for r in virtual.read_backs} == {None}
    assert 16 <= len(virtual.read_backs) <= 22


def test_relays_without_multiple_writes_get_single_ones(kit: SimpleNamespace) -> None:
    """A board that knows only function 5 is never sent function 15."""
    bus = Bus("line", URL, scan_ms=500, timeout_ms=100)
    outputs = tuple(
        kit.output(f"o{n}", OutputRole.POWER_CUT, "relay", f"coil_{n}") for n in (1, 2, 3)
    )
    mine = kit.bare_mine(bus, (Device("relay", "line", 9, "relay-drop-all"),), outputs=outputs)
    virtual = bench(kit, mine)
    virtual.on_turn = lambda now_us: virtual.line.want(
        dict.fromkeys(("o1", "o2", "o3"), True), now_us
    )

    virtual.run(5_000_000)

    assert {data[1] for _, data in virtual.sent} == {1, 5}
    assert virtual.slave.coils == {0: 1, 1: 1, 2: 1}
    assert ReadBack("o3", True, virtual.read_backs[-1].sampled_ms) in virtual.read_backs


def test_nothing_stays_energised_that_no_watchdog_would_open(kit: SimpleNamespace) -> None:
    """Where no heartbeat is confirmed for the watchdog's time, cuts are written open and stay so;
    a siren, which keeps its state anyway, is still driven; one heartbeat puts all right."""
    mute = [False]

    def twist(slave: Any, envelope: SimpleNamespace, pdu: bytes) -> list[tuple[int, bytes]]:
        lost = mute[0] and pdu[0] in (6, 16)
        return [] if lost else [(2_000, slave.wrap(envelope.tag, envelope.unit, pdu))]

    virtual = bench(kit, relay_mine(kit), bad=frozenset({9}), share=1.0, twist=twist)
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)
    virtual.run(5_000_000)
    assert (virtual.slave.coils[0], virtual.slave.coils[2]) == (1, 1)
    mute[0] = True
    virtual.run(16_000_000)
    assert (virtual.slave.coils[0], virtual.slave.coils[2]) == (0, 1)
    mute[0] = False
    virtual.run(23_000_000)
    assert (virtual.slave.coils[0], virtual.slave.coils[2]) == (1, 1)


def test_a_heartbeat_goes_before_the_coils_of_a_new_connection(kit: SimpleNamespace) -> None:
    """What may have run out is armed before it is energised; by turns, so that neither starves."""
    virtual = bench(kit, relay_mine(kit))
    virtual.on_turn = lambda now_us: virtual.line.want(ALL_ON, now_us)
    virtual.run(2_000_000)
    first = [data[1] for _, data in writes_of(virtual)]
    assert first[0] == 16
    assert set(first[:3]) > {16}


@pytest.mark.parametrize("url", [URL, "rtu+tcp://127.0.0.1:1?baud=9600", "tcp://127.0.0.1:1"])
@pytest.mark.parametrize("noise", ["half", "behind"])
def test_a_noisy_module_starves_no_other(kit: SimpleNamespace, url: str, noise: str) -> None:
    """Whatever one module sends, the watchdog of the module behind it is fed in its time."""

    def twist(slave: Any, envelope: SimpleNamespace, pdu: bytes) -> list[tuple[int, bytes]]:
        frame: bytes = slave.wrap(envelope.tag, envelope.unit, pdu)
        if noise == "half":
            return [(2_000, frame[: len(frame) // 2])]
        return [(2_000, frame), (3_000, bytes(300))]

    bus = Bus("line", url, scan_ms=2_000, timeout_ms=300)
    devices = tuple(Device(f"r{n}", "line", n, "relay-module-8-watchdog") for n in (1, 2))
    outputs = tuple(kit.output(f"o{n}", OutputRole.POWER_CUT, f"r{n}", f"coil_{n}") for n in (1, 2))
    mine = kit.bare_mine(bus, devices, outputs=outputs)
    virtual = bench(kit, mine, twist=twist, share=0.7)
    virtual.on_turn = lambda now_us: virtual.line.want({"o1": True, "o2": True}, now_us)

    virtual.run(60_000_000)

    unit_at = 6 if url.startswith("tcp") else 0
    beats = [at for at, data in virtual.sent if data[unit_at] == 2 and data[unit_at + 1] == 16]
    assert max(b - a for a, b in itertools.pairwise(beats)) < 3_000_000
    assert beats[-1] > 57_000_000
