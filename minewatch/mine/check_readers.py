"""Mouths: who counts people there must be able to show what it has missed (practice 21–22).

A queue numbers its records and a drain's lost answers are counted. A list of who is there and a
reader of one card at a time miss people without a trace; so do readers on a vendor's line. At a
mouth such a reader needs gates that count bodies, or a partner on the other side that shows its
losses; otherwise the headcount could be too low and nobody would see it.
"""

from collections.abc import Mapping

from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.device_files.reader_model import Drain, Queue

from minewatch.mine.fault import Faults
from minewatch.mine.schema import ReaderTable
from minewatch.mine.shape import Row, Shaped
from minewatch.model.kind import Kind


def check_mouths(shaped: Shaped, models: Mapping[str, DeviceModel], faults: Faults) -> None:
    """Report mouth readers that could miss somebody unseen; `models` are by device."""
    if {row.table.kind for row in shaped.points} >= {Kind.GATE_IN, Kind.GATE_OUT}:
        return
    mouths = [row for row in shaped.readers if row.table.mouth]
    for row in mouths:
        model = models.get(row.table.device)
        if model is None or _shows_losses(model):
            continue
        partners = [models.get(each.table.device) for each in mouths if _faces(row, each)]
        if not any(partner is not None and _shows_losses(partner) for partner in partners):
            faults.add(row.where, "device", "reader_misses_unseen", model=model.name)


def _shows_losses(model: DeviceModel) -> bool:
    return isinstance(model.reader, Queue | Drain)


def _faces(row: Row[ReaderTable], other: Row[ReaderTable]) -> bool:
    """Say whether two readers stand on the two sides of one mouth."""
    one, two = row.table, other.table
    return one.outer == two.zone or two.outer == one.zone
