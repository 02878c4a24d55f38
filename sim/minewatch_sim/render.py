"""Copies a configuration folder and puts the simulator's own addresses into it.

So that a daemon can run on a simulated mine without a hand touching the original files. Files are
changed line by line, table by table; what is not asked for stays as it is, comments included.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

HEADER = re.compile(r"^\s*\[+\s*([\w.]+)\s*\]+")
ASSIGNMENT = re.compile(r'^(\s*(\w+)\s*=\s*)("[^"]*"|[^\s#]+)(.*)$', re.DOTALL)
ID = re.compile(r'^\s*id\s*=\s*"([^"]*)"', re.MULTILINE)

Wanted = dict[tuple[str, str], str]
"""(table, key) → what to write there; a bus's url has the table `bus <id>`."""


def write_config(
    source_dir: Path | str,
    target_dir: Path | str,
    addresses: Mapping[str, str],
    *,
    listen: str | None = None,
    mqtt_url: str | None = None,
    mode: str | None = None,
    scan_ms: int | None = None,
    pace: float = 1.0,
) -> Path:
    """Copy `source_dir` to `target_dir` and set the URL of each bus in `addresses`.

    `listen` sets `[console] listen`, `mqtt_url` the url of every `[[mqtt]]`, `mode` the mode of
    `[mine]`, `scan_ms` that of every bus; `pace` divides every `walk_out_s`, as a scenario's pace
    does.

    Returns:
        the folder that was written.

    Raises:
        ValueError: a bus of `addresses` or a table that should be set is not in the folder.
    """
    target = Path(target_dir)
    shutil.copytree(source_dir, target, dirs_exist_ok=True)
    wanted: Wanted = {(f"bus {key}", "url"): f'"{url}"' for key, url in addresses.items()}
    texts = {("console", "listen"): listen, ("mqtt", "url"): mqtt_url, ("mine", "mode"): mode}
    wanted |= {place: f'"{text}"' for place, text in texts.items() if text is not None}
    if scan_ms is not None:
        wanted["bus", "scan_ms"] = str(scan_ms)
    unset = set(wanted)
    for path in sorted(target.glob("*.toml")):
        pieces = []
        for table, lines in _tables(path.read_text(encoding="utf-8")):
            pieces += [_set(line, table, wanted, unset, pace) for line in lines]
        path.write_text("".join(pieces), encoding="utf-8")
    if unset:
        missing = ", ".join(sorted(" ".join(place) for place in unset))
        raise ValueError(f"{source_dir}: nothing to set for {missing}")
    return target


def _tables(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each table's name and lines; a bus's name carries its id."""
    name = ""
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        header = HEADER.match(line)
        if header is not None:
            yield _named(name, lines), lines
            name, lines = header[1], []
        lines.append(line)
    yield _named(name, lines), lines


def _named(name: str, lines: list[str]) -> str:
    found = ID.search("".join(lines)) if name == "bus" else None
    return f"bus {found[1]}" if found is not None else name


def _set(line: str, table: str, wanted: Wanted, unset: set[tuple[str, str]], pace: float) -> str:
    match = ASSIGNMENT.match(line)
    if match is None:
        return line
    start, key, value, rest = match.groups()
    if key == "walk_out_s" and pace != 1.0:
        return f"{start}{max(1, round(int(value) / pace))}{rest}"
    for place in ((table, key), (table.partition(" ")[0], key)):
        if place in wanted:
            unset.discard(place)
            return f"{start}{wanted[place]}{rest}"
    return line
