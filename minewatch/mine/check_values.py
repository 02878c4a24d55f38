"""Companions: what a point names as moving beside it must be able to move, and be ours."""

from minewatch.mine.check_certified import is_files
from minewatch.mine.fault import Faults
from minewatch.mine.schema import PointTable
from minewatch.mine.shape import Shaped
from minewatch.model.kind import UNITS, Kind


def check(shaped: Shaped, faults: Faults) -> None:
    """Report companions that say nothing about a point, and points that cannot have any."""
    urls = {row.table.id: row.table.url for row in shaped.buses}
    files = {row.table.id for row in shaped.devices if is_files(urls.get(row.table.bus, ""))}
    tables = {row.table.id: row.table for row in shaped.points}
    for row in shaped.points:
        for name in row.table.companions:
            other = tables.get(name)
            if other is not None and not fits(row.table, other, files):
                faults.add(row.where, "companions", "bad_companion", id=row.table.id, other=name)


def fits(table: PointTable, other: PointTable, files: set[str]) -> bool:
    """Say whether a point may be judged beside the other: a value beside a value or the flag."""
    return (
        other.id != table.id
        and not UNITS[table.kind].switch
        and (other.kind is Kind.COAL_CUTTING or not UNITS[other.kind].switch)
        and files.isdisjoint({table.device, other.device})
    )
