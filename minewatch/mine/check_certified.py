"""The certified system as a source: its points are read from files, shown and compared, no more.

A point of a files line has the place `certified`, no limits, no part in an interlock or a proof;
its signal is the certified point code, whose sensor type must fit the kind.
"""

import re
from collections.abc import Iterator

from minewatch_drivers.certified.files_address import SCHEME, parse_files_address
from minewatch_drivers.certified.files_dialect import (
    MINE_SIGNAL,
    MODELS,
    PEOPLE_MODEL,
    Dialect,
    dialects,
    load_dialect,
)
from minewatch_drivers.device_files.device_file import DeviceFileError

from minewatch.mine.fault import Faults
from minewatch.mine.rules import LIMITS, Rules
from minewatch.mine.schema import BusTable, OutputTable, PointTable, ReaderTable
from minewatch.mine.shape import Row, Shaped
from minewatch.mine.suggest import nearest
from minewatch.model.kind import UNITS, Kind

PLACE = "certified"
"""The statutory row of every point that is read from the certified system's files."""

_GAS_CODE = re.compile(r"[0-9A-Za-z]{10,20}(?:MN|KG|LJ|DT)([0-9]{4})[0-9A-Za-z]{1,8}", re.ASCII)
"""Mine and system code, value type, sensor type, the system's own point id (access rules)."""

_AREA_CODE = re.compile(r"[0-9A-Za-z]{10,24}", re.ASCII)


def is_files(url: str) -> bool:
    """Say whether a bus's url names a folder of files."""
    return url.startswith(f"{SCHEME}:")


def check(shaped: Shaped, rules: Rules, faults: Faults) -> None:
    """Report what a files line, its points or a comparison may not say."""
    checker = _Certified(shaped, rules, faults)
    checker.buses()
    checker.devices()
    checker.points()
    checker.uses()
    checker.pairs()


def dialect_of(url: str) -> Dialect | None:
    """Return the dialect that a url names, None where there is none or it is broken."""
    try:
        return load_dialect(parse_files_address(url).dialect)
    except (ValueError, DeviceFileError):
        return None


class _Certified:
    """Holds the indexes that the checks share."""

    def __init__(self, shaped: Shaped, rules: Rules, faults: Faults) -> None:
        self._shaped = shaped
        self._rules = rules
        self._faults = faults
        self._urls = {row.table.id: row.table.url for row in shaped.buses}
        self._devices = {row.table.id: row.table for row in shaped.devices}
        self._rows = {row.table.id: row for row in shaped.points}

    def buses(self) -> None:
        for row in self._shaped.buses:
            if is_files(row.table.url):
                self._bus(row)

    def _bus(self, row: Row[BusTable]) -> None:
        try:
            name = parse_files_address(row.table.url).dialect
        except ValueError:
            return
        if name not in dialects():
            self._faults.add(
                row.where, "url", "certified_dialect", got=name,
                suggestion=nearest(name, dialects()),
            )  # fmt: skip

    def devices(self) -> None:
        """Refuse a wired device on a folder, and a file on a wire."""
        for row in self._shaped.devices:
            url = self._urls.get(row.table.bus)
            if url is not None and is_files(url) != (row.table.model in MODELS):
                self._faults.add(
                    row.where, "model", "certified_model", model=row.table.model,
                    bus=row.table.bus, models=", ".join(MODELS),
                )  # fmt: skip

    def points(self) -> None:
        for row in self._shaped.points:
            device = self._devices.get(row.table.device)
            if device is None or device.bus not in self._urls:
                continue
            certified = self._is_certified(row.table)
            if certified != (row.table.place == PLACE):
                self._faults.add(row.where, "place", "certified_place", id=row.table.id)
            elif certified:
                self._point(row, device.model, dialect_of(self._urls[device.bus]))

    def _point(self, row: Row[PointTable], model: str, dialect: Dialect | None) -> None:
        table = row.table
        given = next((name for name in LIMITS if getattr(table, name) is not None), None)
        if given is not None:
            self._faults.add(row.where, given, "certified_with_limits", id=table.id)
        if dialect is None:
            return
        people = model == PEOPLE_MODEL
        switch = UNITS[table.kind].switch
        if people != (table.kind is Kind.HEADCOUNT):
            self._wrong_kind(row)
        elif people:
            self._people_code(row)
        elif not switch and table.kind not in dialect.quantities:
            self._wrong_kind(row)
        else:
            self._gas_code(row, dialect)

    def _people_code(self, row: Row[PointTable]) -> None:
        whole = row.table.signal == MINE_SIGNAL
        if whole != (row.table.zone == MINE_SIGNAL):
            self._faults.add(row.where, "zone", "certified_zone", id=row.table.id)
        elif not whole and not _AREA_CODE.fullmatch(row.table.signal):
            self._faults.warn(row.where, "signal", "certified_code", got=row.table.signal)

    def _gas_code(self, row: Row[PointTable], dialect: Dialect) -> None:
        match = _GAS_CODE.fullmatch(row.table.signal)
        if match is None:
            self._faults.warn(row.where, "signal", "certified_code", got=row.table.signal)
        elif dialect.kind_of_code.get(match[1], row.table.kind) is not row.table.kind:
            self._wrong_kind(row)

    def _wrong_kind(self, row: Row[PointTable]) -> None:
        self._faults.add(
            row.where, "kind", "certified_kind",
            kind=f"@kind.{row.table.kind.value}", signal=row.table.signal,
        )  # fmt: skip

    def uses(self) -> None:
        """Refuse what would let a value of another system decide, or drive something there."""
        for interlock in self._shaped.interlocks:
            for index, cause in enumerate(interlock.table.causes):
                if self._names_certified(cause.point):
                    self._faults.add(
                        interlock.where, f"causes.{index}.point", "certified_decides",
                        point=cause.point,
                    )  # fmt: skip
        for output in self._shaped.outputs:
            if output.table.proof is not None and self._names_certified(output.table.proof):
                self._faults.add(
                    output.where, "proof", "certified_decides", point=output.table.proof
                )
            self._wired(output)
        for reader in self._shaped.readers:
            self._wired(reader)

    def _wired(self, row: Row[OutputTable] | Row[ReaderTable]) -> None:
        if self._on_files(row.table.device):
            self._faults.add(row.where, "device", "certified_no_device", id=row.table.id)

    def pairs(self) -> None:
        """Check each pair, whichever side names the other; ours stands in one pair only."""
        taken: set[str] = set()
        for row, other in self._compared():
            one, two = row.table, other.table
            kinds = ", ".join(kind.value for kind in self._rules.comparisons)
            ours = two.id if self._is_certified(one) else one.id
            code = ""
            if self._is_certified(one) is self._is_certified(two):
                code = "compare_not_certified"
            elif one.kind is not two.kind or one.kind not in self._rules.comparisons:
                code = "compare_kind"
            elif ours in taken:
                code = "compare_twice"
            if code:
                self._faults.add(
                    row.where, "compare_with", code, id=one.id, other=two.id, kinds=kinds
                )
            elif one.zone != two.zone and {one.zone, two.zone} <= self._shaped.known["zone"]:
                self._faults.warn(
                    row.where, "compare_with", "compare_zone", id=one.id, other=two.id
                )
            taken.add(ours)

    def _compared(self) -> Iterator[tuple[Row[PointTable], Row[PointTable]]]:
        for row in self._shaped.points:
            other = self._rows.get(row.table.compare_with or "")
            if other is not None:
                yield row, other

    def _is_certified(self, table: PointTable) -> bool:
        return self._on_files(table.device)

    def _on_files(self, device_id: str) -> bool:
        device = self._devices.get(device_id)
        return device is not None and is_files(self._urls.get(device.bus, ""))

    def _names_certified(self, point: str) -> bool:
        row = self._rows.get(point)
        return row is not None and self._is_certified(row.table)
