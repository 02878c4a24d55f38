"""Writes what was proven into docs/simulation.md: counts of a run, invariants and planted bugs."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minewatch_sim.campaign.court import EVERY
from minewatch_sim.campaign.mutations import MUTATIONS

MARK = "<!-- {name} -->"


def caught_by(path: Path) -> dict[str, int]:
    """Return the recorded seed that finds each planted bug."""
    seeds: dict[str, int] = tomllib.loads(path.read_text(encoding="utf-8"))["seeds"]
    return seeds


def mutation_table(caught: Mapping[str, int]) -> str:
    """Return invariants, planted bugs and the seeds that find them, as a table."""
    says = {each.code: each.says for each in EVERY}
    lines = ["| invariant | holds | planted bug | what it breaks | seed |", "|---|---|---|---|---|"]
    for each in MUTATIONS.values():
        rule = says.get(each.code, _OTHERS.get(each.code, ""))
        seed = f"{caught[each.name]} {each.mode}"
        lines.append(f"| {each.code} | {rule} | `{each.name}` | {each.says} | {seed} |")
    return "\n".join(lines)


_OTHERS = {
    "I23": "disk, upload and page change nothing about what is cut (twin runs)",
    "L1": "once faults have ended all is well again within the stated time",
}


def counts(report: Mapping[str, Any], commit: str) -> str:
    """Return the counts of one campaign as tables."""
    return "\n".join(_counts(report, commit))


def _counts(report: Mapping[str, Any], commit: str) -> Iterator[str]:
    first, last = report["seeds"]
    modes = ", ".join(f"{n} {mode}" for mode, n in sorted(report["schedules"].items()))
    total = sum(report["schedules"].values())
    yield f"Seeds {first}..{last} at commit {commit}: {total} schedules ({modes}), "
    yield f"**{len(report['violations'])} violations**, {report['virtual_ms'] / 3_600_000:.1f} "
    yield f"virtual hours, {report['events']} events, {report['faults']} drawn faults, a crash in "
    yield f"{report['crashed']}; at least {report['least_devices']} devices, "
    yield f"{report['least_faults']} faults and {report['shortest_ms'] / 1000:.0f} s each."
    yield ""
    yield "| rare state | in schedules |"
    yield "|---|---|"
    for name, n in sorted(report["reached"].items()):
        yield f"| {name} | {n} |"
    yield ""
    met = ", ".join(f"{name} {n}" for name, n in sorted(report["met"].items()))
    yield f"What happened, by name and how often: {met}."


def write(docs: Path, name: str, text: str) -> None:
    """Replace what stands between two marks of a document."""
    mark = MARK.format(name=name)
    known = docs.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(mark) + r".*?" + re.escape(mark), re.DOTALL)
    docs.write_text(pattern.sub(lambda _: f"{mark}\n{text}\n{mark}", known), encoding="utf-8")


def write_docs(docs: Path, report: Path | None, commit: str, caught: Path) -> None:
    """Write the table of planted bugs and, where a report is given, the counts of its run."""
    write(docs, "planted", mutation_table(caught_by(caught)))
    if report is not None:
        write(docs, "counts", counts(json.loads(report.read_text(encoding="utf-8")), commit))
