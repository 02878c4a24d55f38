"""The part of a device file that describes a personnel reader: where its records stand."""

from minewatch_drivers.device_fields import REGISTERS_MAX, Fields
from minewatch_drivers.device_model import Queue, Table

SPAN_MAX = 64


def read_queue(fields: Fields | None) -> Queue | None:
    """Return the queue that `[queue]` describes, None where there is none.

    Raises:
        DeviceFileError: a key is unknown or missing, or a value cannot be.
    """
    if fields is None:
        return None
    record = fields.table("fields")
    table = Table(fields.choice("table", ("input", "holding")))
    size = fields.integer("record_size", 3, SPAN_MAX)
    made = Queue(
        table=table,
        count=fields.integer("count", 0, 0xFFFF),
        overflow=fields.integer("overflow", 0, 0xFFFF),
        boot=fields.integer_or_none("boot", 0, 0xFFFF),
        records=fields.integer("records", 0, 0xFFFF),
        record_size=size,
        records_max=fields.integer("records_max", 1, REGISTERS_MAX // size),
        acknowledge=fields.integer("acknowledge", 0, 0xFFFF),
        badge=record.integer("badge", 0, size - 2),
        sequence=record.integer("sequence", 0, size - 1),
        direction=record.integer_or_none("direction", 0, size - 1),
        flags=record.integer_or_none("flags", 0, size - 1),
        time_s=record.integer_or_none("time_s", 0, size - 2),
    )
    record.done()
    fields.done()
    return made
