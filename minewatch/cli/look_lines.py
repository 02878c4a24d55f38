"""The table of lines that `status` and `watch` show: measured beside predicted, excess in red."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from minewatch.text import Catalogue

OVER_STYLE = "bold red"
STRETCHED_STYLE = "yellow"
COLUMNS = ("line", "state", "load", "scan_class", "p99", "reaction", "late")
LINES_SHOWN_MAX = 30


def lines_table(buses: Mapping[str, Mapping[str, Any]], say: Catalogue) -> Table:
    """Return `health.buses` of a frame as a table; lines in trouble come first."""
    table = Table(title=say.say("look.buses"))
    for column in COLUMNS:
        table.add_column(say.say(f"look.{column}"), no_wrap=column == "line", overflow="fold")
    ordered = sorted(buses.items(), key=lambda item: (not _troubled(item[1]), item[0]))
    for bus, health in ordered[:LINES_SHOWN_MAX]:
        for row, style in _rows(bus, health, say):
            table.add_row(*(Text(cell) for cell in row), style=style)
    if len(ordered) > LINES_SHOWN_MAX:
        table.caption = say.say("look.more", count=len(ordered) - LINES_SHOWN_MAX)
    return table


def _troubled(health: Mapping[str, Any]) -> bool:
    over = any(each["over"] for each in health.get("classes", ()))
    odd = over or health.get("refused") or health.get("stretched")
    return not health.get("up") or bool(odd)


def _rows(
    bus: str, health: Mapping[str, Any], say: Catalogue
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the cells and the style of each scan class of one line, and of what it refuses."""
    up = bool(health.get("up"))
    state = say.say("look.ok") if up else str(health.get("error"))
    predicted = health.get("predicted_load_pct")
    load = f"{health.get('load_pct')} %" + ("" if predicted is None else f" ({predicted} %)")
    first = (bus, state, load)
    for each in health.get("classes", ()):
        yield (*first, *_class_cells(each, health, say)), OVER_STYLE if each["over"] else ""
        first = ("", "", "")
    if first[0]:
        yield (*first, "", "", "", ""), "" if up else OVER_STYLE
    if health.get("stretched"):
        words = say.say("look.stretched", ms=health["urged_ms"])
        yield ("", words, "", "", "", "", ""), STRETCHED_STYLE
    for point, code in health.get("refused", {}).items():
        words = say.say("look.refused", point=point, code=code)
        yield ("", words, "", "", "", "", ""), OVER_STYLE


def _class_cells(
    each: Mapping[str, Any], health: Mapping[str, Any], say: Catalogue
) -> tuple[str, ...]:
    scan = f"{each['scan_ms']} ms"
    if not each["scan_ms"]:
        scan = say.say("look.urged", ms=health["urged_ms"])
    predicted = each["predicted_ms"]
    limit = "" if predicted is None else f" ({predicted} ms)"
    return scan, f"{each['p99_ms']} ms", f"{each['reaction_ms']} ms{limit}", str(each["late"])
