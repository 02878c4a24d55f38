"""What a person may ask of a bus by hand: the rules of tools and daemon alike, pure.

Codes: `broadcast` (unit 0), `no_question`, `forbidden` (a device file forbids reading there),
`monitor` (nothing is written in monitor), `never_write` (a device file forbids writing there),
`owned` (a configured output, its watchdog or a personnel reader writes there).
"""

from collections.abc import Iterator

from minewatch.model.mine import Bus, Device, Mine, Mode
from minewatch_drivers.certified.files_dialect import MODELS
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import READ_FUNCTION, DeviceModel, Table
from minewatch_drivers.wire import modbus

BROADCAST = 0

_WRITTEN = {5: Table.COIL, 15: Table.COIL, 6: Table.HOLDING, 16: Table.HOLDING}
_READ = {function: table for table, function in READ_FUNCTION.items()}


def refusal(mine: Mine, bus: Bus, unit: int, pdu: bytes) -> str:
    """Return why `unit` of `bus` may not be asked `pdu`, nothing where it may."""
    if unit == BROADCAST:
        return "broadcast"
    try:
        request = modbus.parse_request(unit, pdu)
    except modbus.ModbusError:
        return "no_question"
    writes = request.function in _WRITTEN
    if writes and mine.mode is Mode.MONITOR:
        return "monitor"
    first, last = request.address, request.address + request.count - 1
    for device, model in devices_of(mine, bus, unit):
        refused = refusal_of_model(model, pdu)
        if not refused and writes:
            refused = _owned(mine, device, model, _WRITTEN[request.function], first, last)
        if refused:
            return refused
    return ""


def refusal_of_model(model: DeviceModel, pdu: bytes) -> str:
    """Return what the device file of `model` has against `pdu`, nothing where it has nothing."""
    request = modbus.parse_request(1, pdu)
    first, last = request.address, request.address + request.count - 1
    if request.function in _READ:
        return "" if model.may_read(first, last) else "forbidden"
    table = _WRITTEN[request.function]
    return "" if model.may_write(table, first, last) else "never_write"


def devices_of(mine: Mine, bus: Bus, unit: int) -> Iterator[tuple[Device, DeviceModel]]:
    """Yield what the configuration says about `unit` of `bus`."""
    for device in mine.devices:
        if device.bus == bus.id and device.unit == unit and device.model not in MODELS:
            yield device, device_file.load(device.model)


def _owned(
    mine: Mine, device: Device, model: DeviceModel, table: Table, first: int, last: int
) -> str:
    """Return `owned` where the house itself writes: outputs, watchdogs, memories of readers."""
    if model.reader is not None and any(each.device == device.id for each in mine.readers):
        return "owned"
    used = [each for each in mine.outputs if each.device == device.id]
    coils = {model.channels[each.signal].coil for each in used if each.signal in model.channels}
    if table is Table.COIL:
        return "owned" if any(first <= coil <= last for coil in coils) else ""
    dog = model.watchdog
    fed = dog.feed if dog is not None and used else None
    return "owned" if fed is not None and first <= fed + 2 and fed <= last else ""
