"""Rows of a CSV file: the first line names keys, each further line is one table.

One line is one row, so that a torn file is seen where it tore. An empty cell is an absent key.
Cells become numbers, pairs and truths by the name of their column; what does not fit stays text
and is refused as a wrong type like any other value.
"""

import csv
from collections.abc import Callable, Iterator
from typing import Any

from minewatch.mine.fault import Faults
from minewatch.mine.locate import Where
from minewatch.mine.raw import Raw
from minewatch.mine.schema import CSV_TABLES, is_delay
from minewatch.mine.suggest import nearest

ROWS_MAX = 25_000
IDENTITY: tuple[str, ...] = ("id", "code")


def rows_of(text: str, file: str, table: str, faults: Faults) -> Iterator[Raw]:
    """Yield the rows of a CSV text; a torn one is a fault and comes with its id alone."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1]:
        faults.warn(Where(file, len(lines)), "", "no_final_newline")
    header = _cells(lines[0])
    if not header:
        faults.add(Where(file), "", "csv_empty")
        return
    known = _known_columns(header, Where(file), table, faults)
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip(" \t,"):
            continue
        if number > ROWS_MAX:
            faults.add(Where(file, number), "", "too_many", table=table, limit=ROWS_MAX)
            return
        cells = _cells(line)
        if cells is None or len(cells) != len(header):
            got = "?" if cells is None else len(cells)
            faults.add(Where(file, number), "", "torn_row", wanted=len(header), got=got)
            found: dict[str, Any] = dict(zip(header, cells or line.split(","), strict=False))
            identity = {name: found[name] for name in IDENTITY if name in found}
            yield Raw(identity, Where(file, number), torn=True)
            continue
        values = {
            name: _value(name, cell.strip())
            for name, cell in zip(header, cells, strict=True)
            if name in known and cell.strip()
        }
        yield Raw(values, Where(file, number))


def _cells(line: str) -> list[str] | None:
    """Return the cells of a line, or None where its quotes do not close."""
    try:
        (row,) = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        return None
    return [cell.strip() for cell in row]


def _known_columns(header: list[str], where: Where, table: str, faults: Faults) -> set[str]:
    keys = list(CSV_TABLES[table].model_fields)
    known: set[str] = set()
    for name in header:
        if name in known:
            faults.add(where, name, "duplicate_column")
        elif name in keys or is_delay(name):
            known.add(name)
        else:
            faults.add(where, name, "unknown_key", table=table, suggestion=nearest(name, keys))
    return known


def _pair(cell: str) -> Any:
    return [int(part) for part in cell.split()]


def _truth(cell: str) -> Any:
    return {"true": True, "false": False, "1": True, "0": False}[cell.lower()]


_CONVERT: dict[str, Callable[[str], Any]] = {
    "at": _pair,
    "companions": str.split,
    "fault_after_s": int,
    "leader": _truth,
    "visitor": _truth,
}


def _value(name: str, cell: str) -> Any:
    try:
        return _CONVERT.get(name, str)(cell)
    except (ValueError, KeyError):
        return cell
