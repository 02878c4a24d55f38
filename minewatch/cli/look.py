"""`status`, `alarms`, `people`, `watch`: what the running daemon says, as tables or JSON.

Exit codes: 69 where no daemon answers; `status` and `alarms` leave with 1 while an alarm stands.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from minewatch.cli import exit_codes
from minewatch.cli.alarm_rates import Since, show_rates
from minewatch.cli.look_lines import lines_table
from minewatch.cli.reach import (
    folder_of,
    json_option,
    lang_option,
    mine_of,
    name_of,
    span_text,
    state_option,
    texts,
    unreachable,
    value_text,
    view_of,
)
from minewatch.client import Client, Frame
from minewatch.folder import Folder
from minewatch.model.mine import Mine
from minewatch.text import Catalogue

LEVEL_STYLES = {0: "", 1: "yellow", 2: "bold red", 3: "bold white on red", 4: "bold white on red"}
PRIORITY_STYLES = {1: "bold red", 2: "red", 3: "yellow", 4: "yellow"}
ALARMS_SHOWN_MAX = 30


@click.command()
@state_option
@lang_option
@json_option
def status(state: Path | None, lang: str | None, as_json: bool) -> None:
    """How the mine and the daemon are; 1 when an alarm stands. 总体状态."""
    say, folder = texts(lang), folder_of(state)
    frame = view_of(folder, say)
    if as_json:
        keys = ("run", "cycle", "wall_ms", "wall_trusted", "since_wall_ms", "mode", "config")
        body = {key: frame.body.get(key) for key in (*keys, "version", "durable_index")}
        body["headcount"] = frame.section("headcount")
        body["alarms"] = _standing(frame)
        body["health"] = frame.section("health")
        _print_json(body)
    else:
        lines = lines_table(frame.section("health").get("buses") or {}, say)
        Console().print(Group(_status_table(frame, say), lines))
    _leave(frame)


@click.command()
@state_option
@lang_option
@json_option
@click.option("--since", type=Since(), help="Rates from the record: 30m, 12h, 7d 报警统计.")
@click.option("--operators", type=click.IntRange(1, 20), default=1, help="On the shift 值班人数.")
def alarms(
    state: Path | None, lang: str | None, as_json: bool, since: int | None, operators: int
) -> None:
    """Alarms that stand or are not closed out; 1 when one stands. 报警列表."""
    say, folder = texts(lang), folder_of(state)
    if since is not None:
        show_rates(state, say, since, operators, as_json=as_json)
        return
    frame = view_of(folder, say)
    if as_json:
        _print_json(frame.section("alarms"))
    else:
        Console().print(_alarm_table(frame, say, mine_of(folder)))
    _leave(frame)


@click.command()
@state_option
@lang_option
@json_option
def people(state: Path | None, lang: str | None, as_json: bool) -> None:
    """Who is underground, where, and how sure that is. 井下人员."""
    say, folder = texts(lang), folder_of(state)
    frame = view_of(folder, say, people=True)
    if as_json:
        _print_json({"headcount": frame.section("headcount"), "people": frame.section("people")})
        return
    mine = mine_of(folder)
    Console().print(Group(_headcount_table(frame, say, mine), _people_table(frame, say, mine)))


@click.command()
@state_option
@lang_option
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long 运行秒数.")
def watch(state: Path | None, lang: str | None, seconds: float | None) -> None:
    """A live view until Ctrl-C. 实时查看."""
    say, folder = texts(lang), folder_of(state)
    view_of(folder, say)
    try:
        asyncio.run(_watch(folder, say, seconds))
    except KeyboardInterrupt:
        sys.exit(exit_codes.OK)


async def _watch(folder: Folder, say: Catalogue, seconds: float | None) -> None:
    mine = mine_of(folder)
    with Live(console=Console(), auto_refresh=False) as live:
        try:
            async with asyncio.timeout(seconds), Client(folder.socket) as client:
                async for message in client.watch():
                    if message["type"] == "lost":
                        live.update(Text(say.say("look.lost"), style="bold red"), refresh=True)
                    else:
                        live.update(_live_view(client.frame, say, mine), refresh=True)
        except TimeoutError:
            return
    unreachable(say, folder, "closed")


def _live_view(frame: Frame, say: Catalogue, mine: Mine | None) -> Group:
    return Group(
        _status_table(frame, say),
        _alarm_table(frame, say, mine),
        _point_table(frame, say, mine),
    )


def _standing(frame: Frame) -> dict[str, Any]:
    return {key: each for key, each in frame.section("alarms").items() if each.get("active")}


def _leave(frame: Frame) -> None:
    sys.exit(exit_codes.CHECK_FAILED if _standing(frame) else exit_codes.OK)


def _print_json(body: Mapping[str, Any]) -> None:
    click.echo(json.dumps(body, ensure_ascii=False, sort_keys=True, indent=2))


def _status_table(frame: Frame, say: Catalogue) -> Table:
    body, health, headcount = frame.body, frame.section("health"), frame.section("headcount")
    qualities = Counter(each["quality"] for each in frame.section("points").values())
    upload = health.get("upload") or {}
    buses = health.get("buses") or {}
    down = sorted(ident for ident, each in buses.items() if not each.get("up"))
    rows = {
        "mode": say.say(f"mode.{body.get('mode')}"),
        "headcount": _count_text(headcount),
        "alarms": str(len(_standing(frame))),
        "withdrawals": ", ".join(frame.section("withdrawals")) or "0",
        "withdrawal_counts": "  ".join(
            f"{say.say(f'verdict.{name}')} {count}"
            for name, count in frame.section("withdrawal_counts").items()
        ),
        "points": "  ".join(
            f"{say.say(f'quality.{name.lower()}')} {count}" for name, count in qualities.items()
        ),
        "buses": say.say("look.buses_down", buses=", ".join(down)) if down else say.say("look.ok"),
        "upload": say.say("look.upload_up" if upload.get("up") else "look.upload_down"),
        "backlog": str(upload.get("backlog", "")),
        "record": str(body.get("durable_index", "")),
        "clock": say.say("look.ok" if body.get("wall_trusted") else "look.clock_untrusted"),
        "cycle_p99": f"{health.get('cycle_p99_ms')} ms",
        "faults": ", ".join(health.get("faults") or ()) or "0",
    }
    table = Table(show_header=False, title=f"minewatch {body.get('version', '')}")
    for key, value in rows.items():
        table.add_row(say.say(f"look.{key}"), value)
    return table


def _count_text(part: Mapping[str, Any]) -> str:
    lo, hi, limit = part.get("lo"), part.get("hi"), part.get("limit")
    count = span_text(lo, hi)
    return count if limit is None else f"{count} / {limit}"


def _alarm_table(frame: Frame, say: Catalogue, mine: Mine | None) -> Table:
    table = Table(title=say.say("look.alarms"))
    for key in ("id", "alarm", "source", "value", "limit", "state", "raised", "closed"):
        table.add_column(say.say(f"look.{key}"), no_wrap=key in ("id", "raised"), overflow="fold")
    items = sorted(
        frame.section("alarms").items(),
        key=lambda item: (not item[1].get("active"), item[1]["priority"], -item[1]["raised_ms"]),
    )
    for ident, each in items[:ALARMS_SHOWN_MAX]:
        source = str(each["source"])
        table.add_row(
            ident,
            say.say(f"alarm_kind.{each['kind']}"),
            name_of(mine, source),
            value_text(mine, source, each.get("peak") or each.get("value")),
            value_text(mine, source, each.get("limit")),
            say.say(f"alarm_state.{each['state']}"),
            _ago(int(frame.body["t_ms"]) - int(each["raised_ms"])),
            say.say("look.closed_out" if each.get("closed") else "look.open"),
            style=PRIORITY_STYLES.get(each["priority"], "") if each.get("active") else "dim",
        )
    if len(items) > ALARMS_SHOWN_MAX:
        table.caption = say.say("look.more", count=len(items) - ALARMS_SHOWN_MAX)
    return table


def _headcount_table(frame: Frame, say: Catalogue, mine: Mine | None) -> Table:
    headcount = frame.section("headcount")
    table = Table(title=f"{say.say('look.headcount')} {_count_text(headcount)}")
    for key in ("zone", "headcount"):
        table.add_column(say.say(f"look.{key}"))
    for zone, each in (headcount.get("zones") or {}).items():
        table.add_row(name_of(mine, zone), _count_text(each))
    return table


def _people_table(frame: Frame, say: Catalogue, mine: Mine | None) -> Table:
    table = Table(title=say.say("look.people"))
    for key in ("person", "zone", "reader", "seen", "state"):
        table.add_column(say.say(f"look.{key}"))
    for badge, each in sorted(frame.section("people").items()):
        seen_ms = each.get("seen_ms")
        table.add_row(
            name_of(mine, badge),
            name_of(mine, str(each.get("zone") or "")),
            name_of(mine, str(each.get("reader") or "")),
            "" if seen_ms is None else _ago(int(frame.body["t_ms"]) - int(seen_ms)),
            say.say(f"badge_state.{each.get('state')}"),
        )
    return table


def _point_table(frame: Frame, say: Catalogue, mine: Mine | None) -> Table:
    """Return the points that are not normal, or the first of them all when all is normal."""
    table = Table(title=say.say("look.points"))
    for key in ("source", "value", "quality", "age"):
        table.add_column(say.say(f"look.{key}"))
    points = frame.section("points")
    odd = {k: e for k, e in points.items() if e.get("level") or e.get("quality") != "GOOD"}
    for ident, each in list((odd or points).items())[:ALARMS_SHOWN_MAX]:
        age_ms = frame.age_ms(ident)
        table.add_row(
            name_of(mine, ident),
            value_text(mine, ident, each.get("value")),
            say.say(f"quality.{str(each.get('quality')).lower()}"),
            "" if age_ms is None else f"{age_ms / 1000:.1f} s",
            style=LEVEL_STYLES.get(each.get("level", 0), ""),
        )
    return table


def _ago(ms: int) -> str:
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
