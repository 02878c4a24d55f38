"""The mine of the line benches: one line with units of so many registers, all due all the time."""

from minewatch_drivers.device_files import device_file

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Point


def line_mine(bus: Bus, units: int, registers: int) -> Mine:
    """Return a mine whose `bus` carries the units; their device file is made and put in force."""
    signal = {"table": "input", "type": "u16", "kind": "carbon_monoxide", "low": "0"}
    made = device_file.build(
        "bench",
        "bench",
        {
            "device": {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"},
            "signals": {
                f"s{n}": {**signal, "high": "60000", "address": n} for n in range(registers)
            },
            "frames": [{"source": "x", "request": "01", "reply": "01"}],
        },
    )
    device_file.load = lambda _: made  # type: ignore[assignment]
    return Mine(
        code="0" * 12,
        name="bench",
        county="0" * 6,
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=Mode.MONITOR,
        headcount_limit=1,
        headcount_citation="",
        profile="bench",
        zones=(),
        buses=(bus,),
        devices=tuple(Device(f"d{unit}", bus.id, unit, "bench") for unit in range(1, units + 1)),
        points=tuple(
            Point(f"p{u}_{n}", "", Kind.CARBON_MONOXIDE, "z", f"d{u}", f"s{n}", "record_only")
            for u in range(1, units + 1)
            for n in range(registers)
        ),
    )
