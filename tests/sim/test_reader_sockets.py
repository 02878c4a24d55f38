"""Each style of personnel reader over a real socket: simulator, runner and line together."""

import asyncio
from dataclasses import replace

import pytest
from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners.runners import open_runner
from minewatch_sim.endpoints import Endpoints, boottime_us
from minewatch_sim.people import Habits, Heard
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario

from minewatch.model.image import Sighting
from minewatch.model.mine import Bus, Device, Mine, Mode, Person, Reader, Zone, ZoneKind
from minewatch.ports import WallTime

LIMIT_S = 20.0
BADGES = [str(100_001 + n) for n in range(40)]
CARDS = BADGES[:4]


class BootClock:
    """The clock that the endpoints use."""

    def now_us(self) -> int:
        """Return monotonic µs."""
        return boottime_us()

    def now_ms(self) -> int:
        """Return monotonic ms."""
        return boottime_us() // 1000

    def wall(self) -> WallTime:
        """Return a wall time that nobody vouches for."""
        return WallTime(0, trusted=False)


def _mine(model: str) -> Mine:
    return Mine(
        code="000000000000", name="bench", county="000000", language="en", gas_class="high",
        capacity_10kt=1, severe=True, mode=Mode.MONITOR, headcount_limit=9, headcount_citation="",
        profile="",
        zones=(Zone("top", "top", ZoneKind.SURFACE), Zone("pit", "pit", ZoneKind.INTAKE)),
        buses=(Bus("b", "tcp://127.0.0.1:1", scan_ms=100),), devices=(Device("d", "b", 7, model),),
        points=(), outputs=(), readers=(Reader("r", "r", "pit", "d"),),
        people=tuple(Person(f"P{n}", f"p{n}", badge) for n, badge in enumerate(BADGES)),
    )  # fmt: skip


async def _read(plant: Plant, badges: list[str], *, at_once: bool) -> list[Sighting]:
    """Run a line against the plant's endpoint until as many badges came, or the limit."""
    heard: list[Sighting] = []
    coming = list(badges)
    async with Endpoints(plant.mine, plant) as endpoints:
        bus = replace(plant.mine.buses[0], url=endpoints.addresses()["b"])
        line = Line(replace(plant.mine, buses=(bus,)), bus, writes=False)
        runner = open_runner(line, bus, BootClock(), lambda: heard.extend(line.take().sightings))
        await runner.start()
        end_us = boottime_us() + int(LIMIT_S * 1e6)
        while len(heard) < len(badges) and boottime_us() < end_us:
            while coming and (at_once or _is_free(plant, endpoints)):
                plant.people._queues["r"].append(Heard(coming.pop(0), 0, 0, plant.now_ms))
            await asyncio.sleep(0.02)
        await runner.stop()
    return heard


def _is_free(plant: Plant, endpoints: Endpoints) -> bool:
    """Return whether the reader of one card could read another now."""
    (device,) = endpoints.buses["b"].devices.values()
    assert device.reader is not None
    shown = device.reader.registers()[Table.COIL]
    return not plant.people._queues["r"] and not shown[1016]


@pytest.mark.parametrize(
    ("model", "badges"),
    [
        ("badge-reader-queue", BADGES),
        ("uhf-portal-queue", BADGES),
        ("rf-reader-drain", BADGES),
        ("badge-reader-snapshot", BADGES),
        ("uwb-substation-generic", BADGES),
        ("inveo-rfid-ind", CARDS),
    ],
)
async def test_a_reader_on_a_socket_brings_everybody(model: str, badges: list[str]) -> None:
    """Forty badges, or four cards one after the other, arrive once each over a real connection."""
    plant = Plant(_mine(model), 1, Scenario("quiet", Habits(underground=0)))
    heard = await _read(plant, badges, at_once=model != "inveo-rfid-ind")

    hexadecimal = {"uhf-portal-queue": 24, "inveo-rfid-ind": 40}
    wanted = [
        f"{int(badge, 16):0{hexadecimal[model]}X}" if model in hexadecimal else badge
        for badge in badges
    ]
    assert [each.badge for each in heard] == wanted
