"""The peer: a gateway on pymodbus that polls and decodes, as modpoll does, and nothing else.

`python -m common.pymodbus_gateway PORT SECONDS`: 200 units of one server, one after the other, a
block of 100 registers each, once a second; no rules, no record. Prints CPU per value as JSON.
"""

import json
import sys
import time

from common.stations import HEADS, REGISTERS, STATIONS
from pymodbus.client import ModbusTcpClient


def main(port: int, seconds: float) -> None:
    """Poll, decode into a table, and count."""
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=3)
    client.connect()
    table: dict[tuple[int, int], float] = {}
    values = 0
    begun_s, due_s = time.process_time(), time.monotonic()
    end_s = due_s + seconds
    while time.monotonic() < end_s:
        for unit in range(STATIONS):
            reply = client.read_input_registers(0, count=REGISTERS, device_id=unit)
            for n, raw in enumerate(reply.registers):
                table[unit, n] = raw * (0.01 if n < HEADS else 0.1)
                values += 1
        due_s += 1
        time.sleep(max(0, due_s - time.monotonic()))
    spent_s = time.process_time() - begun_s
    client.close()
    print(json.dumps({"values": values, "cpu_us_per_value": round(1e6 * spent_s / values, 2)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
