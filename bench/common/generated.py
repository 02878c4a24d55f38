"""Mines of any size as configuration text: methane heads, each with a cut of its own.

Head n guards output n; eight outputs share a relay module, whose inputs prove the outputs of the
module before it. On TCP the heads stand behind gateways and every relay has its own endpoint; on a
serial line everything shares one RS-485.
"""

from pathlib import Path

COILS = 8
TRIP_PCT = 1.5

HEADER = """
[mine]
code = "220181000200"
name = "generated"
county = "220181"
language = "en"
gas_class = "high"
capacity_10kt = 60
hazard_class = "severe"
mode = "control"
certified_system = "generated"
signed_off_by = "S004"

[console]
listen = "127.0.0.1:8080"

[[mqtt]]
id = "county"
url = "mqtt://127.0.0.1:1883"

[[zone]]
id = "mine"
name = "mine"
kind = "mine"

[[staff]]
code = "S004"
name = "S004"
role = "chief_engineer"
"""

SCENARIO = "[scenario]\nunderground = 0\n"

Value = str | int | bool | list[dict[str, str]] | list[str]


def write_tcp_mine(folder: Path, heads: int, gateways: int, scan_ms: int, relay_ms: int) -> Path:
    """Write a mine whose heads share `gateways` TCP endpoints; each relay has one of its own."""
    relays = _relays(heads)
    tables = [
        _bus(f"gateway_{n}", f"tcp://127.0.0.1:{20_000 + n}", scan_ms) for n in range(gateways)
    ]
    tables += [_bus(f"line_{n}", f"tcp://127.0.0.1:{21_000 + n}", relay_ms) for n in range(relays)]
    for n in range(heads):
        bus, unit = f"gateway_{n % gateways}", n // gateways + 1
        tables.append(_device(f"head_{n}", bus, unit, "methane-head-generic"))
    for n in range(relays):
        tables.append(_device(f"relay_{n}", f"line_{n}", 1, "relay-module-8-watchdog"))
    return _write(folder, tables, heads)


def write_rtu_mine(folder: Path, heads: int, scan_ms: int, baud: int) -> Path:
    """Write a mine whose heads and relays share one RS-485 line."""
    url = f"rtu:///tmp/minewatch-generated?baud={baud}&parity=E"
    tables = [_bus("line", url, scan_ms, timeout_ms=300)]
    for n in range(heads):
        tables.append(_device(f"head_{n}", "line", n + 1, "methane-head-generic"))
    for n in range(_relays(heads)):
        tables.append(_device(f"relay_{n}", "line", 200 + n, "relay-module-8-watchdog"))
    return _write(folder, tables, heads)


def _relays(heads: int) -> int:
    """Return how many modules there are; at least two, so that none proves its own outputs."""
    return max(2, -(-heads // COILS))


def _write(folder: Path, tables: list[str], heads: int) -> Path:
    relays = _relays(heads)
    tables += [
        _table(
            "zone", id=f"face_{n}", name=f"face {n}", kind="face", parent="mine", mechanised=True
        )
        for n in range(-(-heads // COILS))
    ]
    for n in range(heads):
        tables += _guard(n, relays)
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(HEADER + "".join(tables), encoding="utf-8")
    (folder / "quiet.toml").write_text(SCENARIO, encoding="utf-8")
    return folder


def _guard(n: int, relays: int) -> list[str]:
    """Return head, proving input, output and interlock number `n`."""
    module, coil = divmod(n, COILS)
    zone, contact = f"face_{module}", coil + 1
    return [
        _point(f"CH4_{n}", "methane", zone, f"head_{n}", "methane", "face"),
        _point(f"FEED_{n}", "feed_state", zone, f"relay_{(module + 1) % relays}",
               f"input_{contact}", "feed_state"),
        _table("output", id=f"cut_{n}", name=f"cut {n}", role="power_cut", zone=zone,
               device=f"relay_{module}", signal=f"coil_{contact}", proof=f"FEED_{n}",
               cuts=[{"kind": "conveyor", "name": "conveyor"}]),
        _table("interlock", id=f"lock_{n}", name=f"lock {n}",
               causes=[{"point": f"CH4_{n}", "condition": "trip"}], outputs=[f"cut_{n}"]),
    ]  # fmt: skip


def _bus(name: str, url: str, scan_ms: int, timeout_ms: int = 500) -> str:
    return _table("bus", id=name, url=url, scan_ms=scan_ms, timeout_ms=timeout_ms)


def _device(name: str, bus: str, unit: int, model: str) -> str:
    return _table("device", id=name, bus=bus, unit=unit, model=model)


def _point(name: str, kind: str, zone: str, device: str, signal: str, place: str) -> str:
    return _table(
        "point", id=name, name=name, kind=kind, zone=zone, device=device, signal=signal, place=place
    )


def _table(table: str, **values: Value) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    return f"\n[[{table}]]\n" + "\n".join(lines) + "\n"


def _toml(value: Value | dict[str, str] | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)
