"""`minewatch check CONFIG`: everything that is wrong at once, else what the mine will do and why.

Exit codes: 0 loads (warnings may stand) · 1 loads, but a line cannot meet its deadlines ·
74 the canonical file cannot be written · 78 refused.
"""

import dataclasses
import json
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from minewatch_drivers.forecast.budget import LineBudget, late_proofs, predict
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minewatch.cli import exit_codes
from minewatch.cli.check_lines import COLUMNS, line_faults, line_rows, lines_report
from minewatch.mine import Fault, Loaded, Severity, load
from minewatch.mine.rules import LIMITS
from minewatch.model.codec import mine_hash, mine_to_json
from minewatch.model.kind import UNITS, format_value
from minewatch.model.mine import Mine, Point
from minewatch.text import Catalogue

STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON 输出 JSON.")
@click.option(
    "--canonical", type=click.Path(path_type=Path), help="Write the canonical mine 写出规范配置."
)
def check(config: Path, as_json: bool, canonical: Path | None) -> None:
    """Check CONFIG: faults with line, clause and advice, limits, lines. 检查配置."""
    loaded = load(config)
    budgets = () if loaded.mine is None else predict(loaded.mine)
    if as_json:
        click.echo(json.dumps(_report(loaded, budgets), ensure_ascii=False, indent=2))
    else:
        _Page(Console()).show(loaded, budgets)
    if loaded.mine is None:
        sys.exit(exit_codes.CONFIGURATION)
    if canonical is not None:
        _write(canonical, loaded.mine)
    late = loaded.mine is not None and late_proofs(loaded.mine, budgets)
    if late or not all(budget.possible for budget in budgets):
        sys.exit(exit_codes.CHECK_FAILED)


def _write(path: Path, mine: Mine) -> None:
    try:
        path.write_bytes(mine_to_json(mine))
    except OSError as error:
        click.echo(f"{path}: {error.strerror}", err=True)
        sys.exit(exit_codes.IO_ERROR)


def _report(loaded: Loaded, budgets: tuple[LineBudget, ...]) -> dict[str, Any]:
    """Return everything that the page shows, for machines."""
    chinese, english = Catalogue.load("zh-CN"), Catalogue.load("en")
    mine = loaded.mine
    return {
        "ok": mine is not None,
        "faults": [
            {
                "file": fault.file,
                "line": fault.line,
                "key": fault.key,
                "code": fault.code,
                "fields": dict(fault.fields),
                "severity": fault.severity.value,
                "zh": dataclasses.asdict(fault.say(chinese)),
                "en": dataclasses.asdict(fault.say(english)),
            }
            for fault in loaded.faults
        ],
        "config": None if mine is None else mine_hash(mine),
        "profile": None if mine is None else mine.profile,
        "signed_off_by": None if mine is None else mine.signed_off_by,
        "limits": [] if mine is None else [_limits_row(point) for point in mine.points],
        "lines": [] if mine is None else lines_report(mine, budgets),
        "late_proofs": []
        if mine is None
        else [dataclasses.asdict(each) for each in late_proofs(mine, budgets)],
    }


def _limits_row(point: Point) -> dict[str, Any]:
    limits = {name: getattr(point.limits, name) for name in LIMITS}
    return {
        "point": point.id,
        "place": point.place,
        "unit": UNITS[point.kind].text,
        "limits": {
            name: format_value(point.kind, value)
            for name, value in limits.items()
            if value is not None
        },
        "citation": point.citation,
    }


class _Page:
    """Prints in Chinese with English beside it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chinese = Catalogue.load("zh-CN")
        self._english = Catalogue.load("en")

    def show(self, loaded: Loaded, budgets: tuple[LineBudget, ...]) -> None:
        for file, faults in groupby(loaded.faults, key=lambda fault: fault.file):
            self._faults(file, faults)
        mine = loaded.mine
        if mine is None:
            count = sum(fault.severity is Severity.ERROR for fault in loaded.faults)
            self._console.print(Text(self._both("check.refused", count=count), "bold red"))
            return
        self._summary(mine)
        self._headcount(mine)
        self._outputs(mine)
        self._limits(mine)
        self._lines(mine, budgets)
        self._late_proofs(mine, budgets)
        self._certified(mine)
        self._console.print(Text(self._both("check.loads"), "bold green"))

    def _both(self, key: str, /, **fields: object) -> str:
        return f"{self._chinese.say(key, **fields)}  {self._english.say(key, **fields)}"

    def _table(self, title: str, *columns: str) -> Table:
        table = Table(title=title, title_justify="left", show_lines=True, expand=True)
        for column in columns:
            table.add_column(self._both(f"check.{column}"), overflow="fold")
        return table

    def _faults(self, file: str, faults: Iterable[Fault]) -> None:
        table = self._table(file, "line", "what", "why", "do")
        table.columns[0].no_wrap = True
        for fault in faults:
            chinese, english = fault.say(self._chinese), fault.say(self._english)
            table.add_row(
                Text(str(fault.line), STYLE[fault.severity]),
                Text(f"{chinese.what}\n{english.what}", STYLE[fault.severity]),
                Text(f"{chinese.why}\n{english.why}"),
                Text(f"{chinese.do}\n{english.do}"),
            )
        self._console.print(table)

    def _summary(self, mine: Mine) -> None:
        mode = self._both(f"mode.{mine.mode.value}")
        self._console.print(Text(f"{mine.name}  {mine.code}  {mode}", "bold"))
        counts = {
            name: len(getattr(mine, name))
            for name in ("zones", "buses", "devices", "points", "outputs", "readers", "people")
        }
        self._console.print(Text(self._both("check.counts", **counts)))
        self._console.print(Text(self._both("check.hash", hash=mine_hash(mine)[:16])))
        signed = mine.signed_off_by or "—"
        profile = self._both("check.profile", profile=mine.profile[:23], signed=signed)
        self._console.print(Text(profile))

    def _headcount(self, mine: Mine) -> None:
        table = self._table(self._both("check.headcount_title"), "zone", "limit", "citation")
        table.add_row(mine.name, str(mine.headcount_limit), mine.headcount_citation)
        for zone in mine.zones:
            if zone.headcount_limit is not None:
                row = (zone.name, str(zone.headcount_limit), zone.headcount_citation)
                table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def _outputs(self, mine: Mine) -> None:
        if not mine.outputs:
            return
        table = self._table(self._both("check.outputs_title"), "output", "role", "cuts", "proof")
        for output in mine.outputs:
            what = "，".join(load.name for load in output.cuts) or "，".join(output.covers)
            role = self._both(f"output_role.{output.role.value}")
            row = (f"{output.name} {output.id}", role, what, output.proof or "—")
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def _limits(self, mine: Mine) -> None:
        """Show one row for all points that share place, limits and words."""
        table = self._table(self._both("check.limits_title"), "points", "limits", "citation")
        groups: dict[tuple[str, str], list[str]] = {}
        for point in mine.points:
            groups.setdefault((self._limit_words(point), point.citation), []).append(point.id)
        for (words, citation), ids in groups.items():
            if words:
                table.add_row(Text(" ".join(ids)), Text(words), Text(citation))
        self._console.print(table)

    def _limit_words(self, point: Point) -> str:
        unit = UNITS[point.kind].text
        words = []
        for name in LIMITS:
            value: int | None = getattr(point.limits, name)
            if value is not None:
                printed = f"{format_value(point.kind, value)} {unit}".rstrip()
                words.append(f"{self._both(f'limit.{name}')} {printed}")
        return "\n".join(words)

    def _lines(self, mine: Mine, budgets: tuple[LineBudget, ...]) -> None:
        """Show what each line can do, and say what would help those that cannot; these in red."""
        title = self._both("check.lines_title")
        table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 0), pad_edge=False)
        for column in COLUMNS:
            header = self._both(f"check.{column}").replace("  ", "\n")
            if column in ("line_bus", "slowest"):
                table.add_column(header, overflow="fold")
            else:
                table.add_column(header, justify="right", no_wrap=True)
        for budget in budgets:
            style = "" if budget.possible else STYLE[Severity.ERROR]
            for row in line_rows(budget):
                table.add_row(*(Text(cell, style) for cell in row))
        self._console.print(table)
        self._console.print(Text(self._both("check.lines_legend"), "dim"))
        for words in line_faults(mine, budgets, self._both):
            self._console.print(words)

    def _certified(self, mine: Mine) -> None:
        """Show what stands beside the certified system's, and what is a difference."""
        if not mine.comparisons:
            return
        table = self._table(self._both("check.certified_title"), "ours", "theirs", "citation")
        for pair in mine.comparisons:
            theirs = mine.point(pair.theirs)
            row = (pair.ours, f"{theirs.id} {theirs.name} {theirs.signal}", pair.citation)
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def _late_proofs(self, mine: Mine, budgets: tuple[LineBudget, ...]) -> None:
        """Name each output whose good cut would be told as failed."""
        for late in late_proofs(mine, budgets):
            words = self._both("check.late_proof", **dataclasses.asdict(late))
            self._console.print(Text(words, STYLE[Severity.ERROR]))
