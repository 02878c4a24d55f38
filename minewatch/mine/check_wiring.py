"""Wires: lines have one owner and a sound address, units are free, device files know the signals.

A relay must be able to do at loss of heartbeat what the role of its output needs (practice 7).
"""

import re
from urllib.parse import SplitResult, urlsplit

from minewatch_drivers.address import parse_address
from minewatch_drivers.certified.files_address import parse_files_address
from minewatch_drivers.certified.files_dialect import MODELS
from minewatch_drivers.device_files.device_file import DeviceFileError, catalogue, load
from minewatch_drivers.device_files.device_model import AT_LOSS_BY_ROLE, DeviceModel
from minewatch_drivers.device_files.serial_model import Says
from minewatch_drivers.pace.timing import Timing

from minewatch.mine.check_certified import is_files
from minewatch.mine.check_readers import check_mouths
from minewatch.mine.fault import Faults
from minewatch.mine.schema import DeviceTable, MqttTable, OutputTable, PointTable, ReaderTable
from minewatch.mine.shape import Row, Shaped
from minewatch.mine.suggest import nearest
from minewatch.model.kind import UNITS
from minewatch.model.mine import Bus

SERIAL_UNIT_MAX = 247

BARE_PORT = re.compile(r"/dev/tty(USB|ACM)\d+$")
"""A name that the kernel gives by the order of plugging in; it may be another bus tomorrow."""

WATCHDOG_SHARE = 3
"""A failure of a line may keep its relays waiting for a third of their watchdog's time."""

REPLY_BYTES = 64
"""The answer that a line's silence after a failure is reckoned with."""
SAYS_CARDS = (Says.CARD, Says.INVENTORY)


def check(shaped: Shaped, faults: Faults) -> None:
    """Report faults of lines, units, device files and signals."""
    _buses(shaped, faults)
    for broker in shaped.mqtt:
        _broker(broker, faults)
    models = _devices(shaped, faults)
    for point in shaped.points:
        _point(point, models, faults)
    for output in shaped.outputs:
        _output(output, models, faults)
    for reader in shaped.readers:
        _reader(reader, models, faults)
    check_mouths(shaped, models, faults)
    _signals_once(shaped, faults)
    _relay_lines(shaped, models, faults)


def _buses(shaped: Shaped, faults: Faults) -> None:
    seen: dict[str, str] = {}
    for row in shaped.buses:
        address = _address(row.table.url)
        if address is None:
            faults.add(row.where, "url", "bad_url", got=row.table.url)
            continue
        other = seen.setdefault(address, row.table.id)
        if other != row.table.id:
            faults.add(row.where, "url", "duplicate_url", other=other, got=address)
        if BARE_PORT.match(address):
            faults.warn(row.where, "url", "bare_port", got=address)


def _address(url: str) -> str | None:
    """Return what a bus talks to, or None for an address that its runner would refuse."""
    try:
        if is_files(url):
            return parse_files_address(url).path
        address = parse_address(url)
        parts = urlsplit(url)
    except ValueError:
        return None
    if "@" in parts.netloc or parts.fragment or (parts.netloc and parts.path not in ("", "/")):
        return None
    return address.path or f"{address.host}:{address.port}"


def _broker(row: Row[MqttTable], faults: Faults) -> None:
    try:
        parts = urlsplit(row.table.url)
        good = parts.scheme in ("mqtt", "mqtts") and parts.hostname and (parts.port or 1883)
    except ValueError:
        good = None
        parts = SplitResult("", "", "", "", "")
    if "@" in parts.netloc:
        faults.add(row.where, "url", "secret_inline", suggestion="username, password_file")
    elif not good:
        faults.add(row.where, "url", "bad_broker_url", got=row.table.url)


def _devices(shaped: Shaped, faults: Faults) -> dict[str, DeviceModel]:
    """Check units and device files; return the model of each device that has one."""
    schemes = {row.table.id: row.table.url.partition(":")[0] for row in shaped.buses}
    taken: dict[tuple[str, int], str] = {}
    models: dict[str, DeviceModel] = {}
    for row in shaped.devices:
        table = row.table
        other = taken.setdefault((table.bus, table.unit), table.id)
        if other != table.id:
            faults.add(
                row.where, "unit", "duplicate_unit", unit=table.unit, bus=table.bus, other=other
            )
        if table.unit > SERIAL_UNIT_MAX and not (
            table.unit == 255 and schemes.get(table.bus) == "tcp"
        ):
            faults.add(row.where, "unit", "out_of_bounds", got=table.unit, bound="1…247")
        model = _model(row, faults)
        if model is not None:
            models.setdefault(table.id, model)
    return models


def _model(row: Row[DeviceTable], faults: Faults) -> DeviceModel | None:
    name = row.table.model
    if name in MODELS:
        return None
    if name not in catalogue():
        faults.add(row.where, "model", "unknown_model", got=name,
                   suggestion=nearest(name, (*catalogue(), *MODELS)))  # fmt: skip
        return None
    try:
        return load(name)
    except DeviceFileError as error:
        faults.add(
            row.where, "model", "bad_model", model=name, file=error.file, at=error.key or "-",
            reason=f"@device_fault.{error.code}", english=error.why, **error.fields,
        )  # fmt: skip
        return None


def _point(row: Row[PointTable], models: dict[str, DeviceModel], faults: Faults) -> None:
    model = models.get(row.table.device)
    if model is None:
        return
    signal = model.signals.get(row.table.signal)
    if signal is None:
        _unknown_signal(row, model, list(model.signals), faults)
        return
    fits = UNITS[row.table.kind].switch if signal.kind is None else signal.kind is row.table.kind
    if not fits:
        faults.add(
            row.where, "kind", "signal_wrong_kind",
            kind=f"@kind.{row.table.kind.value}", signal=signal.name, model=model.name,
        )  # fmt: skip


def _output(row: Row[OutputTable], models: dict[str, DeviceModel], faults: Faults) -> None:
    model = models.get(row.table.device)
    if model is None:
        return
    if row.table.signal not in model.channels:
        _unknown_signal(row, model, list(model.channels), faults)
        return
    needs = AT_LOSS_BY_ROLE[row.table.role]
    can = model.at_loss(row.table.signal)
    if needs not in can:
        faults.add(
            row.where, "device", "relay_at_loss",
            role=f"@output_role.{row.table.role.value}", model=model.name,
            needs=f"@at_loss.{needs.value}", can=", ".join(each.value for each in can),
        )  # fmt: skip


def _reader(row: Row[ReaderTable], models: dict[str, DeviceModel], faults: Faults) -> None:
    model = models.get(row.table.device)
    if model is None:
        return
    if model.reader is None and (model.serial is None or model.serial.says not in SAYS_CARDS):
        faults.add(row.where, "device", "not_a_reader", model=model.name)
    elif row.table.directed and (model.reader is None or model.reader.fields.direction is None):
        faults.add(row.where, "directed", "reader_without_direction", model=model.name)


def _unknown_signal(
    row: Row[PointTable] | Row[OutputTable], model: DeviceModel, names: list[str], faults: Faults
) -> None:
    faults.add(
        row.where, "signal", "unknown_signal",
        got=row.table.signal, model=model.name, suggestion=nearest(row.table.signal, names),
    )  # fmt: skip


def _signals_once(shaped: Shaped, faults: Faults) -> None:
    """Refuse two points, two outputs or two readers on one signal: one of them is a slip."""
    for rows in (shaped.points, shaped.outputs):
        taken: dict[tuple[str, str], str] = {}
        for row in rows:
            table = row.table
            other = taken.setdefault((table.device, table.signal), table.id)
            if other != table.id:
                faults.add(row.where, "signal", "duplicate_signal", other=other, got=table.signal)
    readers: dict[str, str] = {}
    for reader in shaped.readers:
        other = readers.setdefault(reader.table.device, reader.table.id)
        if other != reader.table.id:
            faults.add(
                reader.where, "device", "duplicate_signal", other=other, got=reader.table.device
            )


def _relay_lines(shaped: Shaped, models: dict[str, DeviceModel], faults: Faults) -> None:
    """Refuse lines whose one failure takes so long that a relay's watchdog may fire meanwhile."""
    driven = {row.table.device for row in shaped.outputs}
    devices = [row.table for row in shaped.devices if row.table.id in models]
    for row in shaped.buses:
        if is_files(row.table.url) or _address(row.table.url) is None:
            continue
        bus = Bus(**row.table.model_dump())
        near = [models[table.id] for table in devices if table.bus == bus.id]
        timing = Timing(bus)
        worst_us = max((timing.frames_us(each, 8, REPLY_BYTES) for each in near), default=0)
        silent_ms = bus.timeout_ms + timing.quiet_us(worst_us) // 1000
        for table in devices:
            watchdog = models[table.id].watchdog
            if table.bus != bus.id or table.id not in driven or watchdog is None:
                continue
            if silent_ms > watchdog.time_ms // WATCHDOG_SHARE:
                faults.add(
                    row.where, "timeout_ms", "relay_line_slow", bus=bus.id, device=table.id,
                    silent_ms=silent_ms, watchdog_ms=watchdog.time_ms,
                )  # fmt: skip
                break
