"""The certified system of the simulated mine: it writes CDSS and RYSS files, truly or not.

`CertifiedSystem` makes names and bytes and touches nothing; `CertifiedFolder` puts them into a
folder the proper way. What it may do wrong stands in `Lies`, set by the act `certified`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from minewatch_drivers.certified.files_address import parse_files_address
from minewatch_drivers.certified.files_dialect import GAS_MODEL, MINE_SIGNAL, Dialect, load_dialect
from minewatch_drivers.certified.files_line import FilesLine, Moment

from minewatch.model.kind import UNITS, Kind, format_value
from minewatch.model.mine import Bus, Mine, Point

if TYPE_CHECKING:
    from minewatch_sim.plant import Plant

PERIOD_MS = 30_000
KEPT_MAX = 20
"""Files of a type left in a folder; a real collector takes them away as well."""


class Trouble(StrEnum):
    """What may be wrong with the files."""

    NONE = ""
    SILENT = "silent"
    """No file comes."""
    STUCK = "stuck"
    """The last file comes again and again under new names."""
    HALF = "half"
    """Files end somewhere in the middle."""
    WRONG_UNIT = "wrong_unit"
    """Methane is printed in %LEL."""
    GBK = "gbk"
    """Files are written in GBK: no fault, another habit."""
    WRONG_MINE = "wrong_mine"
    FULL_WIDTH = "full_width"


@dataclass
class Lies:
    """How the certified system deceives: `shifts` are added to values in the unit people read."""

    trouble: Trouble = Trouble.NONE
    shifts: dict[str, float] = field(default_factory=dict)
    clock_s: float = 0.0
    late_s: float = 0.0


class Written(NamedTuple):
    """A file as it comes into the folder."""

    name: str
    data: bytes


def truth_of(plant: "Plant", point: Point) -> int:
    """Return what a point of the certified system measures: what ours beside it does."""
    truth = plant.truth()
    if point.kind is Kind.HEADCOUNT:
        return truth.total if point.signal == MINE_SIGNAL else truth.zones.get(point.zone, 0)
    ours = next((each.ours for each in plant.mine.comparisons if each.theirs == point.id), None)
    return 0 if ours is None else plant.value(plant.mine.point(ours))


class CertifiedSystem:
    """Writes the files of one folder; `due` is asked often and gives them when it is their time."""

    def __init__(self, mine: Mine, bus: Bus, plant: "Plant", period_ms: int = PERIOD_MS) -> None:
        address = parse_files_address(bus.url)
        self.bus = bus
        self.period_ms = period_ms
        self._plant = plant
        self._dialect: Dialect = load_dialect(address.dialect)
        self._code = address.code or mine.code
        self._models = {each.id: each.model for each in mine.devices if each.bus == bus.id}
        self._points = [each for each in mine.points if each.device in self._models]
        self._next_ms = 0
        self._last: dict[str, bytes] = {}

    def due(self, wall_ms: int) -> list[Written]:
        """Return the files that come now, by the wall clock of the mine."""
        lies = self._plant.certified
        if wall_ms < self._next_ms + round(lies.late_s * 1000):
            return []
        self._next_ms = wall_ms - wall_ms % self.period_ms + self.period_ms
        if lies.trouble is Trouble.SILENT:
            return []
        written_ms = wall_ms + round((lies.clock_s - lies.late_s) * 1000)
        return [
            self._file(model, written_ms, lies) for model in dict.fromkeys(self._models.values())
        ]

    def _file(self, model: str, written_ms: int, lies: Lies) -> Written:
        gas = model == GAS_MODEL
        form = self._dialect.gas if gas else self._dialect.people
        time = self._printed(written_ms, "%Y-%m-%d %H:%M:%S")
        code = self._code[::-1] if lies.trouble is Trouble.WRONG_MINE else self._code
        rows = self._gas_rows(time, lies) if gas else self._people_rows(time, lies)
        header = self._dialect.field.join((code, "示范煤矿", time))
        text = "".join(each + self._dialect.record for each in (header, *rows)) + self._dialect.end
        data = self._spoilt(text, model, lies)
        name = f"{self._code}_{form.type}_{self._printed(written_ms, '%Y%m%d%H%M%S')}.txt"
        return Written(name, data)

    def _spoilt(self, text: str, model: str, lies: Lies) -> bytes:
        if lies.trouble is Trouble.FULL_WIDTH:
            text = text.replace(";", "；")
        data = text.encode("gbk" if lies.trouble is Trouble.GBK else "utf-8")
        if lies.trouble is Trouble.HALF:
            return data[: len(data) // 2]
        if lies.trouble is Trouble.STUCK:
            return self._last.get(model, data)
        self._last[model] = data
        return data

    def _gas_rows(self, time: str, lies: Lies) -> list[str]:
        names = {kind: name for name, kind in reversed(self._dialect.kind_of_name.items())}
        rows = []
        for point in self._points:
            if self._models[point.device] != GAS_MODEL:
                continue
            unit = UNITS[point.kind].text
            if lies.trouble is Trouble.WRONG_UNIT and point.kind is Kind.METHANE:
                unit = "%LEL"
            shift = round(lies.shifts.get(point.id, 0.0) * 10 ** UNITS[point.kind].decimals)
            value = format_value(point.kind, truth_of(self._plant, point) + shift)
            sensor = names.get(point.kind, "")
            rows.append(";".join((point.signal, sensor, point.zone, value, unit, "0", time)))
        return rows

    def _people_rows(self, time: str, lies: Lies) -> list[str]:
        """Return a row for everybody who is truly underground, and one for somebody just out."""
        areas = {
            each.zone: each.signal
            for each in self._points
            if each.kind is Kind.HEADCOUNT and each.signal != MINE_SIGNAL
        }
        zones = self._plant.truth().zones
        cards = [(zone, n) for zone, count in zones.items() for n in range(count)]
        extra = round(sum(lies.shifts.get(each.id, 0.0) for each in self._points))
        cards = cards[: len(cards) + min(0, extra)] + [("", n) for n in range(max(0, extra))]
        rows = [
            self._person(f"{self._code}{n:05d}", "1", areas.get(zone, ""), time)
            for n, (zone, _) in enumerate(cards)
        ]
        return [*rows, self._person(f"{self._code}99999", "2", "", time)]

    def _person(self, card: str, flag: str, area: str, time: str) -> str:
        out = time if flag == "2" else ""
        fields = [
            card,
            "",
            flag,
            time,
            out,
            area,
            time,
            "",
            time,
            "三八制",
            "0",
            "正常",
            "0",
            "0",
            "",
        ]
        return ";".join(fields)

    def _printed(self, wall_ms: int, form: str) -> str:
        zone = timezone(timedelta(milliseconds=self._dialect.utc_offset_ms))
        return datetime.fromtimestamp(wall_ms / 1000, zone).strftime(form)


class VirtualFolder:
    """A certified system's folder in memory, with the line that reads it, on virtual time."""

    def __init__(self, system: CertifiedSystem, line: FilesLine) -> None:
        self._system = system
        self._line = line

    def tick(self, now_us: int, wall_ms: int) -> None:
        """Let the system write what is due and the line judge it; between files only its age."""
        now = Moment(now_us, wall_ms)
        written = {each.name: each.data for each in self._system.due(wall_ms)}
        for name in self._line.pick(written, now) if written else ():
            self._line.feed_file(name, (0, len(written[name]), now_us), written[name], now)
        self._line.listed(now)


class CertifiedFolder:
    """A certified system's folder on the disk: each file under another name first, then renamed."""

    def __init__(self, system: CertifiedSystem, folder: Path) -> None:
        self._system = system
        self._folder = folder
        self._names: list[str] = []

    @property
    def url(self) -> str:
        """Return the address that a line reads: the configured dialect, this folder."""
        query = self._system.bus.url.partition("?")[2]
        return f"files://{self._folder}" + (f"?{query}" if query else "")

    def open(self) -> None:
        """Make the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def tick(self, wall_ms: int) -> None:
        """Write what is due and take the oldest away; a half file stands there as it is."""
        for name, data in self._system.due(wall_ms):
            hidden = self._folder / f".{name}"
            hidden.write_bytes(data)
            hidden.rename(self._folder / name)
            self._names.append(name)
        while len(self._names) > KEPT_MAX:
            (self._folder / self._names.pop(0)).unlink(missing_ok=True)
