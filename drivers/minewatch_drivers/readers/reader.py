"""The door to personnel readers: which scan a style takes, and what a scan may ask at worst."""

from minewatch.model.mine import Device, Reader
from minewatch_drivers.device_files.device_model import DeviceModel, Table
from minewatch_drivers.device_files.reader_model import Drain, Flag, Queue, Snapshot
from minewatch_drivers.readers.reader_drain import DrainScan
from minewatch_drivers.readers.reader_flag import FlagScan
from minewatch_drivers.readers.reader_header import header_of, page_sizes
from minewatch_drivers.readers.reader_queue import QueueScan
from minewatch_drivers.readers.reader_scan import ReaderScan, Site
from minewatch_drivers.readers.reader_snapshot import SnapshotScan
from minewatch_drivers.tasks.jobs import UnitState
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange, write_exchange

__all__ = ["ReaderScan", "open_reader", "reader_exchanges"]


def open_reader(
    *,
    reader: Reader,
    device: Device,
    model: DeviceModel,
    state: UnitState,
    outbox: Outbox,
    period_us: int,
) -> ReaderScan:
    """Return the scan of one reader.

    Raises:
        ValueError: the model is no personnel reader.
    """
    site = Site(reader, device, model, state, outbox, period_us)
    form = model.reader
    if isinstance(form, Queue):
        return QueueScan(site, form)
    if isinstance(form, Drain):
        return DrainScan(site, form)
    if isinstance(form, Snapshot):
        return SnapshotScan(site, form)
    if isinstance(form, Flag):
        return FlagScan(site, form)
    raise ValueError(f"{reader.id}: {model.name} is no personnel reader")


def reader_exchanges(device: Device, model: DeviceModel) -> tuple[Exchange, ...]:
    """Return every question and write of the longest scan of a reader, none where it is none."""
    form, unit = model.reader, device.unit
    if form is None:
        return ()
    header = header_of(device, model, form)
    asked = [] if header is None else [header.exchange]
    if isinstance(form, Flag):
        asked.append(read_exchange(unit, form.table, form.records, form.record_size))
        coil = form.flag.table is Table.COIL
        make = modbus.write_coil_pdu if coil else modbus.write_register_pdu
        return (*asked, write_exchange(unit, make(form.flag.address, False)))
    for count in page_sizes(form, model.registers_max):
        asked.append(read_exchange(unit, form.table, form.records, count * form.record_size))
    if isinstance(form, Queue):
        asked.append(write_exchange(unit, modbus.write_register_pdu(form.acknowledge, 0)))
    return tuple(asked)
