"""Copies a configuration folder and puts the simulator's own addresses into it.

So that a daemon can run on a simulated mine without a hand touching the original files.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

BUS = re.compile(
    r'(\[\[bus\]\][^\[]*?^id\s*=\s*"([^"]+)"[^\[]*?^url\s*=\s*")([^"]*)(")', re.M | re.S
)


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
    unset = set(addresses)
    wanted = {"listen": listen, "mqtt": mqtt_url, "mode": mode}
    missing = {name for name, value in wanted.items() if value is not None}
    for path in sorted(target.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        text, found = _set_buses(text, addresses)
        unset -= found
        if listen is not None and (changed := _set_key(text, "console", "listen", listen)):
            text, missing = changed, missing - {"listen"}
        if mqtt_url is not None and (changed := _set_key(text, "mqtt", "url", mqtt_url)):
            text, missing = changed, missing - {"mqtt"}
        if mode is not None and (changed := _set_key(text, "mine", "mode", mode)):
            text, missing = changed, missing - {"mode"}
        if scan_ms is not None:
            text = re.sub(r"(?m)^(scan_ms\s*=\s*)\d+", rf"\g<1>{scan_ms}", text)
        if pace != 1.0:
            text = re.sub(r"(?m)^(walk_out_s\s*=\s*)(\d+)", lambda m: _paced(m, pace), text)
        path.write_text(text, encoding="utf-8")
    if unset or missing:
        raise ValueError(f"{source_dir}: nothing to set for {sorted(unset | missing)}")
    return target


def _set_buses(text: str, addresses: Mapping[str, str]) -> tuple[str, set[str]]:
    found: set[str] = set()

    def put(match: re.Match[str]) -> str:
        url = addresses.get(match[2])
        if url is None:
            return match[0]
        found.add(match[2])
        return f"{match[1]}{url}{match[4]}"

    return BUS.sub(put, text), found


def _set_key(text: str, table: str, key: str, value: str) -> str:
    """Return `text` with a key of every such table set, empty where there is none."""
    pattern = rf'(?ms)^(\[+{table}\]+[^\n]*\n(?:(?!^\[).*\n)*?{key}\s*=\s*")[^"\n]*(")'
    changed, count = re.subn(pattern, lambda m: f"{m[1]}{value}{m[2]}", text)
    return changed if count else ""


def _paced(match: re.Match[str], pace: float) -> str:
    return f"{match[1]}{max(1, round(int(match[2]) / pace))}"
