"""What a device must hold when it is connected: said once, proven first, never written."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.tasks.jobs import UnitState
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.settings import SettingsScan, pages_of, used_settings
from minewatch_drivers.wire import modbus

from minewatch.model.image import Notice
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mode, OutputRole, Point
from minewatch.model.quality import Quality

SECOND_US = 1_000_000
START_US = 1_000_000


def low_first(number: float) -> dict[int, int]:
    """Return holding 202 and 203 of a PIRECL that shows `number`."""
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    return {202: low, 203: high}


def relay(kit: SimpleNamespace, **slave: Any) -> Any:
    """Return a virtual wire with a commissioned tM-R5 whose first channel cuts power."""
    bus = Bus("line", "tcp://127.0.0.1:1502", scan_ms=500, timeout_ms=60)
    cut = kit.output("cut", OutputRole.POWER_CUT, "relay", "coil_1")
    mine = kit.bare_mine(bus, (Device("relay", "line", 1, "icpdas-tm-r5"),), outputs=(cut,))
    made = kit.Slave(rtu=False, timeout_us=60_000, coils={260: 1}, holding={488: 30}, **slave)
    return kit.Virtual(Line(mine, bus, writes=True), made)


def notices(virtual: Any) -> list[Notice]:
    """Return what the line said since it was asked last."""
    return list(virtual.line.take().notices)


def test_a_commissioned_module_is_read_and_nothing_is_said(kit: SimpleNamespace) -> None:
    """All settings are right: they are read at the connection and no fault is told."""
    virtual = relay(kit)
    virtual.taking = False

    virtual.run(START_US + 10 * SECOND_US)

    asked = {struct.unpack(">BHH", data[7:12]) for _, data in virtual.sent}
    assert (modbus.READ_HOLDING, 488, 1) in asked
    assert any(f == modbus.READ_COILS and a <= 260 < a + n for f, a, n in asked)
    assert notices(virtual) == []


@pytest.mark.parametrize(
    ("table", "address", "bad", "name"),
    [
        ("coils", 128, 1, "safe_value_1"),
        ("coils", 160, 1, "power_on_value_1"),
        ("coils", 260, 0, "watchdog_on"),
        ("coils", 265, 1, "normal_sense"),
        ("coils", 269, 1, "timeout_seen"),
        ("holding", 488, 31, "watchdog_time"),
        ("holding", 488, 9, "watchdog_time"),
    ],
)
def test_a_wrong_setting_is_said_once_and_its_end_once(
    kit: SimpleNamespace, table: str, address: int, bad: int, name: str
) -> None:
    """Commissioning that was forgotten, or undone, shows at the line; so does its repair."""
    virtual = relay(kit)
    virtual.taking = False
    held = getattr(virtual.slave, table)
    good = held.get(address, 0)
    held[address] = bad

    virtual.run(START_US + 20 * SECOND_US)
    said = notices(virtual)
    held[address] = good
    virtual.run(START_US + 40 * SECOND_US)
    then = notices(virtual)

    assert [(n.kind, n.subject) for n in said] == [("device_fault", f"relay.{name}")]
    assert (said[0].data["code"], said[0].data["found"]) == ("setting_wrong", bad)
    assert [(n.kind, n.subject) for n in then] == [("device_restored", f"relay.{name}")]


def test_settings_of_a_channel_that_no_output_uses_do_not_matter(kit: SimpleNamespace) -> None:
    """A safe value closed on a free channel is nobody's business."""
    virtual = relay(kit)
    virtual.taking = False
    virtual.slave.coils[129] = 1

    virtual.run(START_US + 10 * SECOND_US)

    assert notices(virtual) == []


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.CONTROL])
def test_settings_are_only_ever_read(kit: SimpleNamespace, mode: Mode) -> None:
    """Wrong settings are told, never repaired: commissioning is a person's, in every mode."""
    virtual = relay(kit)
    virtual.slave.coils[260] = 0
    if mode is Mode.MONITOR:
        mine = kit.bare_mine(
            virtual.line.bus, (Device("relay", "line", 1, "icpdas-tm-r5"),), mode=mode
        )
        virtual = kit.Virtual(Line(mine, virtual.line.bus, writes=False), virtual.slave)

    virtual.run(START_US + 10 * SECOND_US)

    functions = {data[7] for _, data in virtual.sent}
    assert functions <= {1, 2, 3, 4}
    assert functions


def head(kit: SimpleNamespace, holding: dict[int, int]) -> Any:
    """Return a virtual wire with a PIRECL, whose device type must be 3."""
    bus = Bus("line", "tcp://127.0.0.1:1502", scan_ms=500, timeout_ms=60)
    point = Point("p", "", Kind.METHANE, "z", "head", "methane", "record_only")
    mine = kit.bare_mine(
        bus, (Device("head", "line", 1, "dettronics-pirecl-methane"),), points=(point,)
    )
    made = kit.Slave(rtu=False, timeout_us=60_000, holding=holding)
    return kit.Virtual(Line(mine, bus, writes=False), made)


def test_no_value_is_believed_of_a_device_with_another_map(kit: SimpleNamespace) -> None:
    """Firmware that changed, or another head on this address: IMPLAUSIBLE until it is right."""
    virtual = head(kit, {0: 4, **low_first(21.4)})

    virtual.run(START_US + 20 * SECOND_US)
    before = [reading for sample in virtual.samples for reading in sample.readings]
    virtual.slave.holding[0] = 3
    virtual.run(START_US + 40 * SECOND_US)
    last = virtual.samples[-1].readings[0]

    assert {reading.quality for reading in before} == {Quality.IMPLAUSIBLE}
    assert all(reading.value is None for reading in before)
    assert (last.value, last.quality) == (107, Quality.GOOD)


def test_the_right_device_is_believed_from_its_first_proof_on(kit: SimpleNamespace) -> None:
    """The proof costs at most a second, and a new connection needs a new one."""
    virtual = head(kit, {0: 3, **low_first(21.4)})

    virtual.run(START_US + 2 * SECOND_US)
    good = next(s for s in virtual.samples if s.readings[0].quality is Quality.GOOD)
    virtual.line.lost(virtual.now_us, "closed")
    virtual.line.connected(virtual.now_us)
    virtual.slave.holding[0] = 7
    seen = len(virtual.samples)
    virtual.run(START_US + 6 * SECOND_US)
    after = [r for s in virtual.samples[seen:] for r in s.readings]

    assert good.sampled_ms <= (START_US + SECOND_US) // 1000
    assert after
    assert all(reading.quality is not Quality.GOOD for reading in after)


def test_a_setting_that_cannot_be_read_is_no_right_setting() -> None:
    """A module that refuses the question has not what the file demands of it."""
    model = device_file.load("icpdas-tm-r5")
    outbox, state = Outbox(), UnitState(None)
    settings = [each for each in model.settings if each.name == "watchdog_time"]
    scan = SettingsScan(Device("relay", "line", 1, model.name), model, settings, state, outbox)

    state.why = "exception_2"
    scan.refuse(5 * SECOND_US, 5 * SECOND_US, False)

    (notice,) = outbox.take().notices
    assert (notice.subject, notice.data["found"]) == ("relay.watchdog_time", None)
    assert scan.due_us > 5 * SECOND_US


def test_a_dead_module_is_not_blamed_for_its_settings() -> None:
    """Without an answer nothing is known of a setting; the dead unit itself is said elsewhere."""
    model = device_file.load("icpdas-tm-r5")
    outbox, state = Outbox(), UnitState(None)
    scan = SettingsScan(
        Device("relay", "line", 1, model.name), model, model.settings, state, outbox
    )

    scan.refuse(5 * SECOND_US, 5 * SECOND_US, True)

    assert outbox.take().notices == ()
    assert scan.due_us >= 9 * SECOND_US


@pytest.mark.parametrize(
    "name", [n for n in device_file.catalogue() if device_file.load(n).settings]
)
def test_each_setting_is_asked_once_in_a_question_that_the_device_allows(name: str) -> None:
    """Neighbours share a question, none is left out, none is longer than the device takes."""
    model = device_file.load(name)
    settings = used_settings(model, list(model.channels))

    pages = pages_of(7, model, settings)

    assert sorted(s.name for page in pages for s in page.settings) == sorted(
        s.name for s in settings
    )
    for page in pages:
        function, first, count = struct.unpack(">BHH", page.exchange.pdu)
        assert function == (1 if page.bits else 3)
        assert count <= model.registers_max
        assert all(first <= s.at.address < first + count for s in page.settings)
