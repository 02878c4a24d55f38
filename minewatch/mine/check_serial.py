"""Vendor serial lines: devices stand on lines that speak their protocol, talkers stand alone.

A reader that only talks when a card passes cannot be told from a dead one, so no mouth may rest on
it (practice 20–22: a count that is too low must be visible).
"""

from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files.device_file import DeviceFileError, catalogue, load
from minewatch_drivers.device_files.serial_model import Says, SerialProtocol

from minewatch.mine.fault import Faults
from minewatch.mine.schema import DeviceTable
from minewatch.mine.shape import Row, Shaped


def check(shaped: Shaped, faults: Faults) -> None:
    """Report devices on lines that cannot carry them, and readers that could die unseen."""
    lines = {row.table.id: _is_vendor(row.table.url) for row in shaped.buses}
    neighbours: dict[str, list[Row[DeviceTable]]] = {}
    protocols: dict[str, SerialProtocol] = {}
    for row in shaped.devices:
        neighbours.setdefault(row.table.bus, []).append(row)
        vendor, protocol = lines.get(row.table.bus), _protocol(row.table.model)
        if protocol is not None:
            protocols[row.table.id] = protocol
        if vendor is not None and vendor != (protocol is not None):
            faults.add(row.where, "bus", "wrong_line", model=row.table.model, bus=row.table.bus)
    for bus, rows in neighbours.items():
        for row in rows:
            protocol = protocols.get(row.table.id)
            if len(rows) > 1 and protocol is not None and protocol.ask is None:
                faults.add(row.where, "bus", "not_alone", device=row.table.id, bus=bus)
    for reader in shaped.readers:
        protocol = protocols.get(reader.table.device)
        if reader.table.mouth and protocol is not None and _dies_unseen(protocol):
            faults.add(reader.where, "device", "silent_mouth_reader", reader=reader.table.id)


def _is_vendor(url: str) -> bool | None:
    """Say whether a line speaks a vendor's protocol; None where its address is none."""
    try:
        return parse_address(url).transport == "serial"
    except ValueError:
        return None


def _protocol(model: str) -> SerialProtocol | None:
    if model not in catalogue():
        return None
    try:
        return load(model).serial
    except DeviceFileError:
        return None


def _dies_unseen(protocol: SerialProtocol) -> bool:
    return protocol.says is Says.CARD and protocol.ask is None and not protocol.silent_ms
