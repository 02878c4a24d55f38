"""A Modbus server of another maker, as a process of its own.

    server.py modbus_tk|umodbus|pymodbus tcp|rtu PORT|PATH

Lines "table address value" come on standard input and say what unit 1 holds; "ready" is printed
once the server listens. It serves until it is killed. server.js and libmodbus_server.c do the same.
"""

import asyncio
import sys
import threading
from collections.abc import Callable

SIZE = 256
BAUD = 19_200
Image = dict[str, list[int]]


def image() -> Image:
    """Read what the unit holds."""
    tables = {table: [0] * SIZE for table in ("coil", "discrete", "holding", "input")}
    for line in sys.stdin:
        table, address, value = line.split()
        tables[table][int(address)] = int(value)
    return tables


def ready() -> None:
    """Say that somebody may come."""
    print("ready", flush=True)  # noqa: T201 — the test waits for it


def modbus_tk(transport: str, place: str, tables: Image) -> None:
    """Serve with modbus_tk."""
    import serial
    from modbus_tk import defines, modbus_rtu, modbus_tcp

    server = (
        modbus_tcp.TcpServer(int(place), "127.0.0.1")
        if transport == "tcp"
        else modbus_rtu.RtuServer(serial.Serial(place, BAUD))
    )
    unit = server.add_slave(1)
    kinds = {
        "coil": defines.COILS,
        "discrete": defines.DISCRETE_INPUTS,
        "holding": defines.HOLDING_REGISTERS,
        "input": defines.ANALOG_INPUTS,
    }
    for table, values in tables.items():
        unit.add_block(table, kinds[table], 0, SIZE)
        unit.set_values(table, 0, values)
    server.start()
    ready()
    threading.Event().wait()


def umodbus(transport: str, place: str, tables: Image) -> None:
    """Serve with uModbus."""
    import serial
    from umodbus.server.serial import get_server as serial_server
    from umodbus.server.serial.rtu import RTUServer
    from umodbus.server.tcp import RequestHandler
    from umodbus.server.tcp import get_server as tcp_server

    if transport == "tcp":
        from socketserver import TCPServer

        server = tcp_server(TCPServer, ("127.0.0.1", int(place)), RequestHandler)
    else:
        server = serial_server(RTUServer, serial.Serial(place, BAUD))

    def read(values: list[int]) -> Callable[..., int]:
        return lambda slave_id, function_code, address: values[address]

    def write(values: list[int]) -> Callable[..., None]:
        def put(slave_id: int, function_code: int, address: int, value: int) -> None:
            values[address] = value

        return put

    everywhere = list(range(SIZE))
    for function, table in ((1, "coil"), (2, "discrete"), (3, "holding"), (4, "input")):
        server.route([1], [function], everywhere)(read(tables[table]))
    server.route([1], [5, 15], everywhere)(write(tables["coil"]))
    server.route([1], [6, 16], everywhere)(write(tables["holding"]))
    ready()
    server.serve_forever(0.02)  # on a serial line it collects a question for this long


def pymodbus(transport: str, place: str, tables: Image) -> None:
    """Serve with pymodbus."""
    from pymodbus.server import ModbusSerialServer, ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def bits(table: str) -> list[SimData]:
        return [SimData(0, values=[bool(v) for v in tables[table]], datatype=DataType.BITS)]

    def words(table: str) -> list[SimData]:
        return [SimData(0, values=tables[table], datatype=DataType.REGISTERS)]

    unit = SimDevice(1, (bits("coil"), bits("discrete"), words("holding"), words("input")))

    async def serve() -> None:
        server = (
            ModbusTcpServer([unit], address=("127.0.0.1", int(place)))
            if transport == "tcp"
            else ModbusSerialServer([unit], port=place, baudrate=BAUD)
        )
        await server.serve_forever(background=True)
        ready()
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    maker, transport, place = sys.argv[1:]
    makers = {"modbus_tk": modbus_tk, "umodbus": umodbus, "pymodbus": pymodbus}
    makers[maker](transport, place, image())
