"""The worked example of drivers/README.md is a device file that loads and that its frames prove."""

import re
import struct
from pathlib import Path

from minewatch_drivers import codec, device_file, modbus
from minewatch_drivers.device_model import Register, Table
from pymodbus.framer import FramerRTU

README = Path(__file__).resolve().parents[2] / "drivers" / "README.md"


def test_the_example_of_the_handbook_is_a_whole_device_file() -> None:
    """Its TOML blocks in order load; each frame has a foreign CRC and means what it says."""
    blocks = re.findall(r"^```toml\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    model = device_file.parse("example-head", "gas", "\n".join(blocks))

    assert len(blocks) == 4
    assert len(model.frames) == 2
    for frame in model.frames:
        for data in (frame.request, frame.reply):
            assert FramerRTU.compute_CRC(data[:-2]) == int.from_bytes(data[-2:], "big")
        request = modbus.parse_request(frame.request[0], frame.request[1:-2])
        words = struct.unpack(f">{request.count}H", frame.reply[3:-2])
        registers = {
            Register(Table.HOLDING, request.address + n): word for n, word in enumerate(words)
        }
        expected = {name: (value, quality) for name, value, quality in frame.expect}
        assert expected
        assert {name: codec.decode(model, name, registers) for name in expected} == expected
