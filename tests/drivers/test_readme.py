"""The handbook of devices: its worked example is a device file, its tables name every key."""

import re
from pathlib import Path

import pytest
from minewatch_drivers.commission import device_check
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_fields import Fields
from pymodbus.framer import FramerRTU

DRIVERS = Path(__file__).resolve().parents[2] / "drivers"
README = DRIVERS / "README.md"
KEYS = DRIVERS / "device-files.md"
ELSEWHERE = {"queue", "drain", "snapshot", "flag", "serial"}
"""Tables that README.md describes itself."""


def test_the_example_of_the_handbook_is_a_whole_device_file() -> None:
    """Its TOML blocks in order load; each frame has a foreign CRC and means what it says."""
    blocks = re.findall(r"^```toml\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    model = device_file.parse("example-head", "gas", "\n".join(blocks))

    assert len(blocks) == 4
    assert len(model.frames) == 2
    for frame in model.frames:
        for data in (frame.request, frame.reply):
            assert FramerRTU.compute_CRC(data[:-2]) == int.from_bytes(data[-2:], "big")
        assert frame.expect
    assert device_check.check(model) == ()


def section(path: str) -> str:
    """Return the kind of table of a path: `signals.methane_1.span` is `signals.*.span`."""
    parts = path.replace("[", ".").split(".")
    if parts[0] == "repeat":
        return "repeat.*" if len(parts) == 2 else ""
    if parts[0] in ("status", "require", "signals", "channels", "settings", "identity"):
        parts[1] = "*"
    return ".".join(parts[:1] if parts[0] == "frames" else parts)


def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Load every file of the house and return table → the keys that the loader asks for."""
    keys: dict[str, set[str]] = {}
    done = Fields.done

    def watched(fields: Fields) -> None:
        keys.setdefault(section(fields.path), set()).update(fields._asked)
        done(fields)

    monkeypatch.setattr(Fields, "done", watched)
    for category, text in device_file._paths().values():
        device_file.parse("x", category, text)
    return {name: each for name, each in keys.items() if name.split(".")[0] not in ELSEWHERE}


def documented() -> dict[str, set[str]]:
    """Return heading → the keys named in the first column of its table."""
    keys: dict[str, set[str]] = {}
    heading: list[str] = []
    for line in KEYS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = re.findall(r"`([^`]+)`", line)
        elif line.startswith("| `"):
            for name in heading:
                first = line.split("|")[1]
                keys.setdefault(name, set()).update(re.findall(r"`([a-z_]+)`", first))
    return keys


def test_every_key_of_the_loader_stands_in_the_handbook(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is undocumented, none is invented; a stranger finds all of them in one place."""
    told = documented()
    known = asked(monkeypatch)
    names = {
        "device": "[device]", "read": "[read]", "write": "[write]",
        "status.*": "[status.<name>]", "require.*": "[require.<name>]",
        "signals.*": "[signals.<name>]", "signals.*.span": "[signals.<name>.span]",
        "signals.*.divisor": "[signals.<name>.multiplier]", "channels.*": "[channels.<name>]",
        "watchdog": "[watchdog]", "settings.*": "[settings.<name>]", "repeat.*": "[repeat.<name>]",
        "frames": "[[frames]]",
    }  # fmt: skip
    for loader, heading in names.items():
        extra = {"status", "require", "signals", "channels", "settings", "identity"}
        asked_for = known[loader] - (extra if loader == "repeat.*" else set())
        assert told[heading] == asked_for, heading
    marks = known["sentinel"] | known["heartbeat"]
    assert told["[sentinel]"] == marks
