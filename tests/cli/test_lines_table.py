"""The table of lines in `status`: trouble first, measured beside predicted, excess marked."""

import io
from typing import Any

from rich.console import Console

from minewatch.cli.look_lines import lines_table
from minewatch.text import Catalogue

SCAN = {"scan_ms": 1000, "p99_ms": 1050, "reaction_ms": 1090, "predicted_ms": 1100, "late": 0}
GOOD: dict[str, Any] = {
    "up": True, "error": "", "load_pct": 12, "predicted_load_pct": 15, "urged_ms": 0,
    "stretched": False, "refused": {}, "classes": [{**SCAN, "over": False}],
}  # fmt: skip


def printed(buses: dict[str, dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the printed lines of the table and the style of each row."""
    table = lines_table(buses, Catalogue.load("en"))
    out = io.StringIO()
    Console(file=out, width=160).print(table)
    return out.getvalue().splitlines(), [str(row.style) for row in table.rows]


def test_lines_in_trouble_come_first_and_in_red() -> None:
    """A line that is down or over its prediction stands before those that are well."""
    slow = {**GOOD, "classes": [{**SCAN, "reaction_ms": 1400, "over": True}]}
    down = {"up": False, "error": "timeout", "load_pct": 0}
    lines, styles = printed({"a_good": GOOD, "b_slow": slow, "c_down": down})
    text = "\n".join(lines)

    assert styles == ["bold red", "bold red", ""]
    assert text.index("b_slow") < text.index("c_down") < text.index("a_good")
    assert "1400 ms (1100 ms)" in text
    assert "12 % (15 %)" in text


def test_stretched_and_refused_are_said_in_words() -> None:
    """Fast scans that the line cannot bear and points that a device refuses have their own rows."""
    urged = {**SCAN, "scan_ms": 0, "over": False}
    odd = {**GOOD, "stretched": True, "urged_ms": 340, "refused": {"T1": "exception_2"}}
    lines, styles = printed({"odd": {**odd, "classes": [urged]}})
    text = "\n".join(lines)

    assert "fast, 340 ms" in text
    assert "stretched to 340 ms" in text
    assert "T1 refused: exception_2" in text
    assert styles == ["", "yellow", "bold red"]


def test_more_lines_than_fit_are_counted() -> None:
    """Two hundred lines do not flood the terminal; the caption says how many are left out."""
    lines, styles = printed({f"line_{n:03}": GOOD for n in range(200)})

    assert len(styles) == 30
    assert "170" in lines[-1]
