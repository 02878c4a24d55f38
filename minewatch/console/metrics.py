"""The few gauges for Prometheus, written by hand: no library is worth its memory for them."""

from collections import Counter
from collections.abc import Iterable

from minewatch.console.stream import Hub

Row = tuple[dict[str, str], int]


def metrics(hub: Hub) -> str:
    """Return the text exposition of this moment; what is unknown is left out, never zero."""
    body = hub.frame.body if hub.alive else {}
    lines = _gauge("minewatch_controller_up", "1 while the controller is heard", [({}, hub.alive)])
    lines += _gauge("minewatch_stream_clients", "Pages open", [({}, hub.pages)])
    if not body:
        return "\n".join(lines) + "\n"
    frame = hub.frame
    bad = sum(str(each["quality"]).lower() != "good" for each in frame.section("points").values())
    total = len(frame.section("points"))
    lines += _gauge(
        "minewatch_points",
        "Points by state of their reading",
        [({"state": "good"}, total - bad), ({"state": "bad"}, bad)],
    )
    headcount = frame.section("headcount")
    bounds: list[Row] = [
        ({"bound": key}, headcount[key])
        for key in ("lo", "hi", "limit")
        if isinstance(headcount.get(key), int)
    ]
    lines += _gauge("minewatch_headcount", "People underground and their limit", bounds)
    counts = Counter(str(each["priority"]) for each in frame.section("alarms").values())
    rows: list[Row] = [({"priority": key}, counts.get(key, 0)) for key in "1234"]
    lines += _gauge("minewatch_alarms", "Standing alarms by priority", rows)
    lines += _gauge(
        "minewatch_durable_index", "Ledger entries on disk", [({}, int(body["durable_index"]))]
    )
    return "\n".join(lines) + "\n"


def _gauge(name: str, words: str, rows: Iterable[Row]) -> list[str]:
    lines = [f"# HELP {name} {words}", f"# TYPE {name} gauge"]
    for labels, value in rows:
        inner = ",".join(f'{key}="{each}"' for key, each in labels.items())
        lines.append(f"{name}{{{inner}}} {int(value)}" if inner else f"{name} {int(value)}")
    return lines
