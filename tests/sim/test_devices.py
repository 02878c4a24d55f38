"""Simulated devices: registers both ways, watchdog, reader memory, power, freezing."""

import struct
from collections.abc import Callable

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.codec import Decoded, decode, needs
from minewatch_drivers.device_files.device_model import DeviceModel, Register, Signal
from minewatch_drivers.device_files.encode import encode
from minewatch_sim.devices import SimulatedDevice
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual_bench import Listener, VirtualBench

from minewatch.model.image import Sample
from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import (
    Bus,
    Device,
    Mine,
    Mode,
    Output,
    OutputRole,
    Person,
    Point,
    Reader,
    Zone,
    ZoneKind,
)
from minewatch.model.quality import Quality

QUIET = Scenario("quiet", Habits(underground=0))
SECOND_US = 1_000_000


def _wired(model: DeviceModel) -> list[Signal]:
    """One signal for each register: a port that takes several kinds of heads takes them in turn."""
    ports: dict[Register, list[Signal]] = {}
    for signal in model.signals.values():
        ports.setdefault(signal.at, []).append(signal)
    return [choice[place % len(choice)] for place, choice in enumerate(ports.values())]


def _mine_of(model: str, url: str) -> Mine:
    """A mine with one device of a model; a point for every port, an output for every channel."""
    made = device_file.load(model)
    points = tuple(
        Point(
            f"p_{signal.name}", "", signal.kind or Kind.DOOR, "pit", "d", signal.name, "record_only"
        )
        for signal in _wired(made)
    )
    outputs = tuple(
        Output(f"o_{name}", name, OutputRole.SIREN, "pit", "d", name, None)
        for name in made.channels
    )
    readers = (Reader("r", "r", "pit", "d"),) if made.reader else ()
    return Mine(
        code="000000000000", name="bench", county="000000", language="en", gas_class="high",
        capacity_10kt=1, severe=True, mode=Mode.CONTROL, headcount_limit=9, headcount_citation="",
        profile="",
        zones=(Zone("top", "top", ZoneKind.SURFACE), Zone("pit", "pit", ZoneKind.INTAKE)),
        buses=(Bus("b", url, scan_ms=200),), devices=(Device("d", "b", 7, model),), points=points,
        outputs=outputs, readers=readers, people=(Person("P1", "x", "70001"),),
    )  # fmt: skip


def _shown(model: DeviceModel, signal: Signal, value: int) -> Decoded:
    """What a device can show of a value: whole raw counts may be coarser than the unit."""
    registers = {Register(signal.at.table, address): 0 for address in needs(signal)}
    for write in encode(model, signal.name, value):
        registers[write.at] = registers[write.at] & ~write.mask | write.value & write.mask
    return decode(model, signal.name, registers)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "rtu:///dev/null?baud=9600&parity=E"])
@pytest.mark.parametrize("model", device_file.catalogue())
def test_every_device_file_reads_back_what_the_plant_shows(model: str, url: str) -> None:
    """Lowest, middle and highest value of each signal pass device, wire and line unchanged."""
    mine = _mine_of(model, url)
    bench = VirtualBench(mine, QUIET)
    listener = Listener(bench)
    signals = device_file.load(model).signals
    for share in (0.0, 0.5, 1.0):
        wanted = {}
        for point in mine.points:
            signal = signals[point.signal]
            low = signal.low if signal.low is not None else 0
            high = signal.high if signal.high is not None else 1
            value = int(low + (high - low) * share)
            wanted[point.id] = _shown(device_file.load(model), signal, value)
            bench.plant.force(point.id, value / 10 ** UNITS[point.kind].decimals)
        bench.run_for(listener, 1000)
        listener.samples.clear()
        bench.run_for(listener, 1000)
        read = {r.point: r for sample in listener.samples for r in sample.readings}
        for point in mine.points:
            assert read[point.id].quality is Quality.GOOD, read[point.id]
            if signals[point.signal].type != "f32":
                assert (read[point.id].value, read[point.id].quality) == wanted[point.id]


def test_over_and_under_range_and_states_reach_the_line(demo_mine: Mine) -> None:
    """A value beyond the range, and each state of the head's word, arrive as that quality."""
    bench = VirtualBench(demo_mine, QUIET)
    listener = Listener(bench)
    plant = bench.plant
    plant.force("12301_T0", 4.4)
    plant.force("12301_T1", -0.9)
    for state, head in (("warmup", "T2"), ("calibration", "T3")):
        plant.do("head_state", device=f"head_12301_{head}", state=state)
    bench.run_for(listener, 2500)
    last = {r.point: r for s in listener.samples for r in s.readings}
    assert last["12301_T0"].quality is Quality.OVER_RANGE
    assert last["12301_T0"].value is None
    assert last["12301_T1"].quality is Quality.UNDER_RANGE
    assert last["12301_T2"].quality is Quality.WARMUP
    assert last["12301_T3"].quality is Quality.CALIBRATION


@pytest.fixture
def relay(demo_mine: Mine) -> tuple[SimulatedDevice, Plant]:
    """Relay module 1 of the demo mine: three power cuts and two sirens."""
    plant = Plant(demo_mine, 1, QUIET)
    return SimulatedDevice(demo_mine.device("relay_1"), plant), plant


def _feed(device: SimulatedDevice, now_us: int, keep: int, time_ms: int = 3000) -> None:
    words = (now_us // SECOND_US, time_ms // 100, keep)
    pdu = struct.pack(">BHHB3H", 16, 0, 3, 6, *words)
    assert device.answer(pdu, now_us) == pdu[:5]


def test_watchdog_opens_cuts_and_keeps_sirens(relay: tuple[SimulatedDevice, Plant]) -> None:
    """Without feeds for its time the module opens the power cuts and leaves the siren sounding."""
    device, plant = relay
    device.answer(struct.pack(">BHH", 5, 3, 0xFF00), 0)
    _feed(device, 0, keep=0b11000)
    device.tick(2_999_000)
    assert plant.coils.get("relay_1", "coil_1")
    device.tick(3_000_000)
    state = {n: plant.coils.get("relay_1", f"coil_{n}") for n in range(1, 6)}
    assert state == {1: False, 2: False, 3: False, 4: True, 5: False}
    assert plant.value(plant.mine.point("SOUND_FACE1")) == 1
    assert plant.value(plant.mine.point("FEED_WEST")) == 0


def test_watchdog_is_armed_by_the_first_feed_only(relay: tuple[SimulatedDevice, Plant]) -> None:
    """A module that was never fed leaves the running mine alone, reads do not feed it."""
    device, plant = relay
    device.tick(60 * SECOND_US)
    assert plant.coils.get("relay_1", "coil_1")
    _feed(device, 61 * SECOND_US, keep=0)
    for second in range(62, 70):
        device.answer(struct.pack(">BHH", 1, 0, 8), second * SECOND_US)
    assert not plant.coils.get("relay_1", "coil_1")


def test_a_module_that_loses_power_drops_everything(relay: tuple[SimulatedDevice, Plant]) -> None:
    """Without power no answer and every coil off, also the siren; afterwards it starts empty."""
    device, plant = relay
    device.answer(struct.pack(">BHH", 5, 3, 0xFF00), 0)
    _feed(device, 0, keep=0b11000)
    plant.do("lose_device", device="relay_1")
    assert device.answer(struct.pack(">BHH", 1, 0, 8), SECOND_US) is None
    plant.do("restore_device", device="relay_1")
    assert device.answer(struct.pack(">BHH", 1, 0, 8), 2 * SECOND_US) == bytes((1, 1, 0))
    assert device.answer(struct.pack(">BHH", 3, 0, 3), 2 * SECOND_US) == bytes((3, 6, *[0] * 6))


def test_coils_take_only_what_is_there(relay: tuple[SimulatedDevice, Plant]) -> None:
    """A write beyond the channels, and one to a register that is none, are refused."""
    device, _ = relay
    assert device.answer(struct.pack(">BHH", 5, 8, 0xFF00), 0) == bytes((0x85, 2))
    assert device.answer(struct.pack(">BHH", 6, 40, 1), 0) == bytes((0x86, 2))
    assert device.answer(struct.pack(">BHH", 5, 0, 0x1234), 0) == bytes((0x85, 3))


Hear = Callable[[int], None]


@pytest.fixture
def reader(demo_mine: Mine) -> tuple[SimulatedDevice, Hear]:
    """The reader of the west intake, and a way to let it hear numbered badges."""
    plant = Plant(demo_mine, 1, QUIET)
    device = SimulatedDevice(demo_mine.device("reader_dev_3"), plant)

    def hear(count: int) -> None:
        west = plant.people._queues["reader_west"]
        badges = list(plant.people.walkers)
        for number in range(count):
            plant.people._record(
                plant.mine.reader("reader_west"), plant.people.walkers[badges[number % 100]], 0
            )
        assert len(west) == count

    return device, hear


def _header(device: SimulatedDevice) -> tuple[int, ...]:
    reply = device.answer(struct.pack(">BHH", 4, 0, 5), 0)
    assert reply is not None
    return struct.unpack(">5H", reply[2:])


def test_reader_keeps_records_until_they_are_acknowledged(reader) -> None:
    """Records stand at their place; the acknowledged ones go, an unknown number changes nothing."""
    device, hear = reader
    hear(5)
    assert _header(device)[3] == 5
    first = device.answer(struct.pack(">BHH", 4, 5, 14), 0)
    again = device.answer(struct.pack(">BHH", 4, 5, 14), 0)
    assert first == again
    device.answer(struct.pack(">BHH", 6, 0, 3), 0)
    assert _header(device)[3] == 2
    device.answer(struct.pack(">BHH", 6, 0, 999), 0)
    assert _header(device)[3] == 2
    rest = struct.unpack(">14H", device.answer(struct.pack(">BHH", 4, 5, 14), 0)[2:])
    assert (rest[6], rest[13]) == (4, 5)


def test_reader_overflow_is_flagged_and_costs_the_oldest(reader) -> None:
    """A full memory keeps the newest, says so, and the flag goes with the next acknowledgement."""
    device, hear = reader
    hear(300)
    _, _, _, count, overflow = _header(device)
    assert (count, overflow) == (256, 1)
    oldest = struct.unpack(">7H", device.answer(struct.pack(">BHH", 4, 5, 7), 0)[2:])[6]
    assert oldest == 300 - 256 + 1
    device.answer(struct.pack(">BHH", 6, 0, oldest), 0)
    assert _header(device)[3:] == (255, 0)


def test_line_takes_a_whole_shift_from_a_reader_without_loss(demo_mine: Mine) -> None:
    """112 badges within two seconds, with 5 % repeats, reach the line once each in order."""
    bench = VirtualBench(demo_mine, Scenario("start", Habits(underground=112, heard_every_s=3600)))
    listener = Listener(bench)
    bench.run_for(listener, 20_000)
    assert len({each.badge for each in listener.sightings}) == 112
    for reader_id in {each.reader for each in listener.sightings}:
        numbers = [s.sequence for s in listener.sightings if s.reader == reader_id]
        assert numbers == list(range(1, len(numbers) + 1))


def test_frozen_device_repeats_itself_and_stops_its_heartbeat(demo_mine: Mine) -> None:
    """A frozen head answers with the registers of that moment, heartbeat included."""
    plant = Plant(demo_mine, 1, QUIET)
    device = SimulatedDevice(demo_mine.device("head_12301_T1"), plant)
    read = struct.pack(">BHH", 4, 0, 4)
    before = device.answer(read, 5 * SECOND_US)
    plant.do("fault", target="head_12301_T1", name="frozen")
    plant.force("12301_T1", 1.5)
    assert device.answer(read, 9 * SECOND_US) == before
    plant.do("end_fault", target="head_12301_T1")
    plant.force("12301_T1", 1.5)
    assert struct.unpack(">4H", device.answer(read, 9 * SECOND_US)[2:])[3] == 150


def test_samples_are_stamped_with_the_request(demo_mine: Mine) -> None:
    """On the bench a sample's time is when it was asked for, never later than it was taken."""
    bench = VirtualBench(demo_mine, QUIET)
    listener = Listener(bench)
    bench.run_for(listener, 3000)
    late: list[Sample] = [s for s in listener.samples if s.sampled_ms > bench.clock.now_ms()]
    assert listener.samples
    assert not late
