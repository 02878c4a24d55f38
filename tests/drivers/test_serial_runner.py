"""The owner of a serial port: it comes back to a port that somebody else left in any state."""

import os
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import serial
from minewatch_drivers.address import parse_address
from minewatch_drivers.serial_runner import SerialRunner


@pytest.mark.parametrize("parity", ["E", "O", "N"])
def test_a_port_opens_again_after_its_last_owner_died(parity: str) -> None:
    """Parity is set a second time without an error, on a port that cannot have any."""
    master, slave = os.openpty()
    path = os.ttyname(slave)
    url = f"rtu://{urlsplit(path).path}?baud=9600&parity={parity}"
    line = SimpleNamespace(bus=SimpleNamespace(id="line"))
    clock = SimpleNamespace(now_us=lambda: 0)
    runner = SerialRunner(line, parse_address(url), clock, lambda: None, lambda _: 0.0)  # type: ignore[arg-type]

    for _ in range(3):
        with runner._open() as port:
            assert isinstance(port, serial.Serial)
            port.write(b"\x01")
            assert os.read(master, 8) == b"\x01"
    os.close(master)
    os.close(slave)
