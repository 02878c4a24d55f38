"""The part of `check` about lines: what each can do, which it refuses, and what would help."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from minewatch_drivers.forecast.advice import Advice, advise
from minewatch_drivers.forecast.budget import ClassBudget, LineBudget
from rich.text import Text

from minewatch.model.mine import Mine

Say = Callable[..., str]
DEVICES_SHOWN_MAX = 6

COLUMNS = ("line_bus", "load", "cycle", "scan_class", "reaction", "deadline", "slowest", "write")


def line_rows(budget: LineBudget) -> Iterator[tuple[str, ...]]:
    """Yield the cells of one line: a row for each scan class, the line's own figures in the first.

    Load is in percent, before and while one point is scanned fast; times are in ms, those behind
    a stroke with one dead unit (`check.lines_legend` says so below the table).
    """
    write = "—"
    if budget.write_ms is not None:
        write = f"{budget.write_ms}/{budget.write_one_dead_ms}"
    load = f"{budget.load * 100:.0f}→{budget.load_urged * 100:.0f}"
    first = (budget.bus, load, str(budget.cycle_ms))
    for each in budget.classes:
        yield (*first, *_class_cells(budget, each), write)
        first, write = ("", "", ""), ""
    if first[0]:
        yield (*first, "—", "—", "—", "—", write)


def _class_cells(budget: LineBudget, each: ClassBudget) -> tuple[str, ...]:
    slowest = max(
        (point for point in budget.points if point.scan_ms == each.scan_ms),
        key=lambda point: point.reaction_one_dead_ms,
    )
    reaction = f"{each.reaction_ms}/{each.reaction_one_dead_ms}"
    deadline = str(each.deadline_ms) if each.deadline_ms else "—"
    return f"{each.scan_ms}×{each.points}", reaction, deadline, slowest.point


def line_faults(mine: Mine, budgets: tuple[LineBudget, ...], say: Say) -> Iterator[Text]:
    """Yield a sentence for each line that cannot do what is asked of it, and what would help."""
    for budget in budgets:
        if budget.possible:
            continue
        words = [say("check.overloaded", bus=budget.bus)] if not budget.keeps_up else []
        for point in budget.late[:1]:
            words.append(
                say(
                    "check.late_point",
                    bus=budget.bus,
                    count=len(budget.late),
                    point=point.point,
                    needs_ms=point.reaction_one_dead_ms,
                    within_ms=point.deadline_ms,
                )
            )
        words += _advice_words(advise(mine, budget), say)
        yield Text("\n".join(words), "bold red")


def _advice_words(advice: Advice, say: Say) -> list[str]:
    words = []
    if advice.baud:
        words.append(say("check.take_baud", baud=advice.baud))
    if advice.devices:
        shown = ", ".join(advice.devices[:DEVICES_SHOWN_MAX])
        more = "…" if len(advice.devices) > DEVICES_SHOWN_MAX else ""
        words.append(say("check.move_devices", devices=shown + more, count=len(advice.devices)))
    return words or [say("check.slow_down")]


def lines_report(mine: Mine, budgets: tuple[LineBudget, ...]) -> list[dict[str, Any]]:
    """Return all figures of every line for machines, with advice where a line is refused."""
    return [_line_report(mine, budget) for budget in budgets]


def _line_report(mine: Mine, budget: LineBudget) -> dict[str, Any]:
    report = dataclasses.asdict(budget)
    report["classes"] = [dataclasses.asdict(each) for each in budget.classes]
    report["possible"] = budget.possible
    report["late"] = [point.point for point in budget.late]
    if not budget.possible:
        report["advice"] = dataclasses.asdict(advise(mine, budget))
    return report
