"""The picture of a what-if: one SVG sheet that opens in any browser and prints on A3.

Each point whose treatment changed has its curve, both sets of limits and two lanes, recorded above
calculated; then come the outputs and the zones that differ. Nothing in it is loaded from anywhere.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.sax.saxutils import escape

from minewatch.model.kind import UNITS, format_value
from minewatch.model.mine import Point
from minewatch.replay.episodes import Chronicle, Matter, Subject
from minewatch.replay.traces import Columns
from minewatch.replay.what_if import WhatIf
from minewatch.text import Catalogue

WIDTH, LEFT, RIGHT = 1400, 230, 150
PLOT = WIDTH - LEFT - RIGHT
TOP, CURVE, LANE, GAP = 118, 120, 13, 22
PANELS_MAX = 16
LANES_MAX = 48

_LEVELS = {
    "pre_alarm": "#c99700",
    "gas_over_limit": "#d9730d",
    "low": "#d9730d",
    "trip": "#c4262e",
    "withdraw": "#7a1fa2",
}
_CUT, _WITHDRAWAL, _ELSE = "#c4262e", "#7a1fa2", "#5b6770"
_LIMITS = ("pre_alarm", "alarm", "trip", "withdraw", "low_alarm")
_STYLE = (
    "text{font:12px 'Noto Sans CJK SC','Noto Sans SC',sans-serif;fill:#1b1f23}"
    ".title{font-size:18px;font-weight:600}.small{font-size:11px;fill:#4a5560}"
    ".frame{fill:#f7f8f9;stroke:#c8ced3}.grid{stroke:#e1e5e8}.curve{fill:#2f6f9f;stroke:#2f6f9f;"
    "stroke-width:.8}line.was{stroke:#6b7680;stroke-dasharray:5 4}line.new{stroke:#c4262e}"
    "text.new{fill:#c4262e}.lane{fill:#eceff1}"
)


@dataclass(slots=True)
class _Sheet:
    """The sheet in the making: elements, and how far down it is filled."""

    found: WhatIf
    say: Catalogue
    parts: list[str]
    y: float = TOP

    def x(self, at_ms: int) -> float:
        """Return where a time lies."""
        whole_ms = max(1, self.found.end_ms - self.found.first_ms)
        return LEFT + PLOT * (at_ms - self.found.first_ms) / whole_ms

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write words."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a line."""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'
        )

    def bar(self, x1: float, y: float, x2: float, height: float, paint: str) -> None:
        """Draw a bar that is never too narrow to see."""
        width = max(1.5, x2 - x1)
        self.parts.append(
            f'<rect x="{x1:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {paint}/>'
        )


def picture(found: WhatIf, say: Catalogue) -> str:
    """Return the sheet as SVG text."""
    sheet = _Sheet(found, say, [])
    points = {point.id: point for point in found.mine.points}
    drawn = [each for each in _by_weight(found) if each in points][:PANELS_MAX]
    for point_id in drawn:
        _panel(sheet, points[point_id])
    lanes = [row.subject for row in found.rows() if row.subject.source not in drawn]
    for subject in lanes[:LANES_MAX]:
        _lanes(sheet, _label(sheet, subject), [subject])
    left_out = len(found.traces.columns) - len(drawn) + max(0, len(lanes) - LANES_MAX)
    if left_out > 0:
        sheet.text(LEFT, sheet.y + 12, say.say("what_if.left_out", count=left_out), "small")
        sheet.y += GAP
    _head(sheet)
    height = sheet.y + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" role="img"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(sheet.parts)}</svg>\n'
    )


def _by_weight(found: WhatIf) -> list[str]:
    """Return the points with a curve, those with most differing episodes first."""
    weight: dict[str, int] = dict.fromkeys(found.traces.columns, 0)
    for row in found.rows():
        if row.subject.source in weight:
            weight[row.subject.source] += row.recorded.count + row.other.count
    return sorted(weight, key=lambda point: (-weight[point], list(weight).index(point)))


def _head(sheet: _Sheet) -> None:
    found, say = sheet.found, sheet.say
    sheet.text(20, 30, say.say("what_if.title", mine=found.mine.name, run=found.run), "title")
    hashes = {"config": found.config[:12], "other": found.other_config[:12]}
    sheet.text(20, 52, say.say("what_if.configs", **hashes), "small")
    sheet.text(20, 70, say.say("what_if.assumes"), "small")
    sheet.line(LEFT, 84, LEFT + 26, 84, "was")
    sheet.text(LEFT + 32, 88, say.say("what_if.recorded"), "small")
    sheet.line(LEFT + 130, 84, LEFT + 156, 84, "new")
    sheet.text(LEFT + 162, 88, say.say("what_if.other"), "small")
    x: float = LEFT + 280
    for kind, colour in _LEVELS.items():
        sheet.bar(x, 78, x + 12, 12, f'fill="{colour}"')
        sheet.text(x + 18, 88, say.say(f"alarm_kind.{kind}"), "small")
        x += 110
    for at_ms, words in _hours(found):
        at = sheet.x(at_ms)
        sheet.text(at, TOP - 8, words, "small", "middle")
        sheet.parts.insert(
            0,
            f'<line x1="{at:.1f}" y1="{TOP - 4}" x2="{at:.1f}" y2="{sheet.y:.1f}" class="grid"/>',
        )


def _hours(found: WhatIf) -> Iterator[tuple[int, str]]:
    """Yield round wall-clock times within the run, at most 13."""
    whole_ms = max(1, found.end_ms - found.first_ms)
    steps_s = (10, 30, 60, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400)
    step_ms = 1000 * next((s for s in steps_s if whole_ms / (s * 1000) <= 12), 86_400)
    form = "%H:%M:%S" if step_ms < 60_000 else "%H:%M"
    zone = datetime.fromtimestamp(found.wall_ms / 1000).astimezone().utcoffset()
    local_ms = found.wall_ms + (zone // timedelta(milliseconds=1) if zone else 0)
    for at_ms in range(-local_ms % step_ms, whole_ms + 1, step_ms):
        moment = datetime.fromtimestamp((found.wall_ms + at_ms) / 1000).astimezone()
        yield found.first_ms + at_ms, moment.strftime(form)


def _panel(sheet: _Sheet, point: Point) -> None:
    """Draw one point: curve, limits of both worlds, two lanes."""
    columns = sheet.found.traces.columns[point.id]
    after = sheet.found.other.point(point.id)
    limits = [(p, name) for p in (point, after) for name in _LIMITS]
    marks: list[int] = [v for p, name in limits if (v := getattr(p.limits, name)) is not None]
    values: list[int] = [value for pair in columns.values() for value in pair]
    low, high = min([0, *values, *marks]), max([1, *values, *marks])
    top = sheet.y + 6

    def y(value: float) -> float:
        return top + CURVE - (CURVE - 8) * (value - low) / (high - low or 1)

    sheet.bar(LEFT, top, LEFT + PLOT, CURVE, 'class="frame"')
    sheet.text(20, top + 16, point.name)
    sheet.text(20, top + 32, f"{point.id}  {UNITS[point.kind].text}", "small")
    if columns:
        sheet.parts.append(f'<path class="curve" d="{_curve(sheet, columns, y)}"/>')
    _limit_lines(sheet, point, after, y)
    sheet.y = top + CURVE + 4
    rows = {row.subject for row in sheet.found.rows()}
    subjects = [each for each in sorted(rows) if each.source == point.id]
    _lanes(sheet, sheet.say.say("what_if.decided"), subjects)


def _limit_lines(sheet: _Sheet, before: Point, after: Point, y: Callable[[float], float]) -> None:
    """Draw the limits of both, one label for each value, none over another."""
    words: dict[tuple[int, str], list[str]] = {}
    for name in _LIMITS:
        was, new = getattr(before.limits, name), getattr(after.limits, name)
        for value, kind in ((was, "was"), (new, "new")):
            if value is not None and not (kind == "new" and was == new):
                words.setdefault((value, kind), []).append(sheet.say.say(f"limit.{name}"))
    at = float("inf")
    for value, kind in sorted(words):
        sheet.line(LEFT, y(value), LEFT + PLOT, y(value), kind)
        at = min(y(value) + 4, at - 12)
        label = f"{format_value(before.kind, value)} {'·'.join(words[value, kind])}"
        sheet.text(LEFT + PLOT + 6, at, label, f"small {kind}")


def _curve(sheet: _Sheet, columns: Columns, y: Callable[[float], float]) -> str:
    """Return one thin box per column: between two columns nothing is made up."""
    traces = sheet.found.traces
    width = PLOT * traces.width_ms / max(1, sheet.found.end_ms - sheet.found.first_ms)
    parts = []
    for at in sorted(columns):
        least, most = columns[at]
        x = sheet.x(traces.first_ms + at * traces.width_ms)
        parts.append(f"M{x:.1f} {y(most):.1f}h{width:.2f}V{y(least):.1f}h{-width:.2f}z")
    return "".join(parts)


def _lanes(sheet: _Sheet, label: str, subjects: Iterable[Subject]) -> None:
    """Draw recorded above calculated."""
    known = sorted(subjects, key=_gravity)
    sheet.text(20, sheet.y + LANE + 2, label, "small")
    worlds = ((sheet.found.recorded, "what_if.recorded"), (sheet.found.calculated, "what_if.other"))
    for world, name in worlds:
        sheet.bar(LEFT, sheet.y, LEFT + PLOT, LANE, 'class="lane"')
        sheet.text(LEFT - 6, sheet.y + LANE - 2, sheet.say.say(name), "small", "end")
        for subject in known:
            _episodes(sheet, world, subject)
        sheet.y += LANE + 2
    sheet.y += GAP - LANE


def _episodes(sheet: _Sheet, world: Chronicle, subject: Subject) -> None:
    paint = f'fill="{_colour(subject)}"'
    for each in world.episodes.get(subject, ()):
        ended_ms = sheet.found.end_ms if each.ended_ms is None else each.ended_ms
        sheet.bar(sheet.x(each.began_ms), sheet.y, sheet.x(ended_ms), LANE, paint)


def _colour(subject: Subject) -> str:
    if subject.matter is Matter.ALARM:
        return _LEVELS.get(subject.kind, _ELSE)
    return _CUT if subject.matter is Matter.CUT else _WITHDRAWAL


def _gravity(subject: Subject) -> int:
    """Return the order of painting: the graver covers the lighter."""
    kinds = list(_LEVELS)
    return kinds.index(subject.kind) if subject.kind in kinds else -1


def _label(sheet: _Sheet, subject: Subject) -> str:
    what = sheet.say.say(f"what_if.{subject.matter}")
    if subject.kind:
        what = sheet.say.say(f"alarm_kind.{subject.kind}")
    return f"{what} {subject.source}"[:34]
