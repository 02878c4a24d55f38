"""`[repeat.<name>]`: one description for many like channels, unrolled before anything is read.

A sub-station with 64 ports says its port once, with `count` and `step`. Names get the number
behind them (`methane` becomes `methane_1` …), addresses and coils move on by the step.
"""

from typing import Any

from minewatch_drivers.device_files.device_fields import Fields

SECTIONS = ("status", "require", "signals", "channels", "settings", "identity")
ADDRESSES = ("address", "coil")
COUNT_MAX = 256
ENTRIES_MAX = 2048
"""Tables that a file may unroll to: far above any device, far below what could hurt."""


def unroll(file: str, tree: dict[str, Any]) -> dict[str, Any]:
    """Return `tree` with every repeat written out; the tree given is left as it is.

    Raises:
        DeviceFileError: a repeat that cannot be written out.
    """
    if "repeat" not in tree:
        return tree
    top = Fields(file, "", tree)
    made = {key: dict(each) if isinstance(each, dict) else each for key, each in tree.items()}
    del made["repeat"]
    for _, fields in top.tables("repeat"):
        _unroll_one(fields, made)
    written = [each for section in SECTIONS if isinstance(each := made.get(section), dict)]
    if sum(map(len, written)) > ENTRIES_MAX:
        raise top.wrong("repeat", f"more than {ENTRIES_MAX} tables when written out")
    return made


def _unroll_one(fields: Fields, made: dict[str, Any]) -> None:
    count = fields.integer("count", 2, COUNT_MAX)
    step = fields.integer("step", 1, 0xFFFF)
    first = fields.integer("first", 0, 1000, 1)
    sections = {section: dict(fields.tables(section)) for section in SECTIONS}
    fields.done()
    if not any(sections.values()):
        raise fields.wrong("count", f"repeats none of {', '.join(SECTIONS)}")
    own = {name for section in SECTIONS for name in sections[section]}
    for section, tables in sections.items():
        target = made.setdefault(section, {}) if tables else {}
        for name, table in tables.items():
            own_step = table.integer("step", 1, 0xFFFF, step)
            for number in range(count):
                key = f"{name}_{first + number}"
                if not isinstance(target, dict) or key in target:
                    raise fields.wrong(f"{section}.{name}", f"{key} is there already")
                target[key] = _moved(table.raw, own_step * number, first + number, own)


def _moved(raw: dict[str, Any], by: int, number: int, own: set[str]) -> dict[str, Any]:
    """Return a table with its addresses moved and its references numbered."""
    moved: dict[str, Any] = {}
    for key, value in raw.items():
        if key == "step":
            continue
        if key in ADDRESSES and isinstance(value, int) and not isinstance(value, bool):
            moved[key] = value + by
        elif key == "status" and isinstance(value, list):
            moved[key] = [_numbered(each, number, own) for each in value]
        elif key == "channel":
            moved[key] = _numbered(value, number, own)
        elif isinstance(value, dict):
            moved[key] = _moved(value, by, number, own)
        else:
            moved[key] = value
    return moved


def _numbered(name: Any, number: int, own: set[str]) -> Any:
    return f"{name}_{number}" if isinstance(name, str) and name in own else name
