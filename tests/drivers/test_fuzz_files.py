"""Device files as tired people and broken disks write them: every shipped file, bent at random.

A file is refused with a `DeviceFileError` or it is a model that can be planned and decodes any
registers. Bounded by time; MINEWATCH_FUZZ="<seed>/<round>" runs one round alone.
"""

import os
import random
import re
import resource
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.codec import decoder, needs
from minewatch_drivers.device_files.device_file import DeviceFileError
from minewatch_drivers.device_files.device_model import DeviceModel, RawType
from minewatch_drivers.tasks.plan import plan_device

from minewatch.model.kind import Kind
from minewatch.model.mine import Device, Point
from minewatch.model.quality import WIRE_QUALITIES, Quality

LENGTHS = [
    pytest.param(10.0, id="ten seconds"),
    pytest.param(300.0, id="five minutes", marks=[pytest.mark.nightly, pytest.mark.timeout(600)]),
]
HANG_S = 1.0
MEMORY_MAX_KIB = 100 * 1024
BLOCKS = 20
"""Random answers that each accepted signal decodes."""

NUMBERS = ("-1", "0", "1", "2", "125", "126", "65535", "65536", "4294967296", "1e400", "0.1", "nan",
           "-inf", "0x7fffffffffffffffffffffff", "9" * 400, "1_000", "true")  # fmt: skip
TEXTS = ('""', '"0"', '"-0"', '"-"', '"."', '"1e9"', '"١٢"', '"\\u0000"', '"' + "9" * 300 + '"',
         '"none"', "1979-05-27", "[]", "[[]]", "{}", "[1, 2, 3]", '[[0, 65535, "good"]]',
         '{ a = 1 }', '"0.00000000001"', '"99999999999999999999"')  # fmt: skip
KEYS = ("scale", "low", "high", "status", "bits", "values", "codes", "span", "levels", "factors",
        "type", "table", "address", "kind", "offset", "part", "repeat", "serial", "queue", "read",
        "word_order", "otherwise", "inverted", "expect", "__class__", "")  # fmt: skip

VALUE = r"(?<= = )[^#\n]+"


def shipped() -> list[tuple[str, str, str]]:
    """Return name, category and text of every shipped file."""
    found = []
    for category in resources.files("minewatch_drivers").joinpath("devices").iterdir():
        if category.is_dir():
            found += [
                (file.name.removesuffix(".toml"), category.name, file.read_text("utf-8"))
                for file in category.iterdir()
                if file.name.endswith(".toml")
            ]
    return sorted(found)


def a_number(rng: random.Random, text: str) -> str:
    """Put another number where one stands."""
    return _replace(rng, text, r"(?<![\w\"])-?\d[\w.]*", rng.choice(NUMBERS))


def a_text(rng: random.Random, text: str) -> str:
    """Put something else where a text stands."""
    return _replace(rng, text, r'"[^"\n]*"', rng.choice(TEXTS))


def a_value(rng: random.Random, text: str) -> str:
    """Put another value, of any type, behind a key."""
    return _replace(rng, text, VALUE, rng.choice(NUMBERS + TEXTS))


def a_loan(rng: random.Random, text: str) -> str:
    """Put the value of one key behind another: often of the right type, and still wrong."""
    return _replace(rng, text, VALUE, rng.choice(re.findall(VALUE, text) or ["0"]))


def a_key(rng: random.Random, text: str) -> str:
    """Rename a key or a table."""
    return _replace(rng, text, r"(?m)^[\w.]+(?= = )|(?<=\[)[\w.]+(?=\])", rng.choice(KEYS))


def _replace(rng: random.Random, text: str, pattern: str, new: str) -> str:
    places = list(re.finditer(pattern, text))
    if not places:
        return text
    place = rng.choice(places)
    return text[: place.start()] + new + text[place.end() :]


def lines(rng: random.Random, text: str) -> str:
    """Lose, repeat, move or add a line."""
    rows = text.split("\n")
    at, to = rng.randrange(len(rows)), rng.randrange(len(rows))
    change = rng.randrange(4)
    if change == 0:
        del rows[at]
    elif change == 1:
        rows.insert(to, rows[at])
    elif change == 2:
        rows[at], rows[to] = rows[to], rows[at]
    else:
        rows.insert(at, f"{rng.choice(KEYS)} = {rng.choice(NUMBERS + TEXTS)}")
    return "\n".join(rows)


def letters(rng: random.Random, text: str) -> str:
    """Lose, swap or invent characters."""
    at = rng.randrange(len(text) + 1)
    new = rng.choice(("", "\0", "é", "\ud800", "\u202e", "'", '"""', "[", "]" * 3, "\\", "#", "\r"))
    return text[:at] + new + text[at + rng.randrange(3) :]


def torn(rng: random.Random, text: str) -> str:
    """End in the middle, or go on with the middle of itself."""
    at, to = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
    return text[:at] if rng.random() < 0.5 else text[:at] + text[to:]


def deep(rng: random.Random, text: str) -> str:
    """Nest a value deeply, or repeat a table many times."""
    many = rng.choice((10, 500, 5_000))
    if rng.random() < 0.5:
        return text + f"\ndeep = {'[' * many}{']' * many}\n"
    return text + "\n[[frames]]" * many


BENDERS: tuple[Callable[[random.Random, str], str], ...] = (
    a_number, a_number, a_text, a_value, a_value, a_loan, a_loan, a_loan, a_loan, a_key, lines,
    lines, letters, torn, deep,
)  # fmt: skip


def rounds(seconds: float) -> Iterator[tuple[str, random.Random]]:
    """Yield a name and a seeded generator per round until the time is up."""
    named = os.environ.get("MINEWATCH_FUZZ")
    if named:
        yield named, random.Random(named)
        return
    seed, end_s = random.SystemRandom().randrange(1 << 32), time.monotonic() + seconds
    number = 0
    while time.monotonic() < end_s:
        name = f"{seed}/{number}"
        yield name, random.Random(name)
        number += 1


def points_of(model: DeviceModel) -> list[Point]:
    """Return a point for each signal."""
    return [
        Point(f"p{n}", "", signal.kind or Kind.FAN_RUN, "z", "d1", name, "none")
        for n, (name, signal) in enumerate(model.signals.items())
    ]


def use(model: DeviceModel, rng: random.Random) -> None:
    """Plan a model that was accepted and decode random answers with it."""
    plan = plan_device(Device("d1", "line", 1, model.name), model, points_of(model))
    assert all(0 < block.count <= 125 or block.table.bits for block in plan.blocks)
    for signal in model.signals.values():
        first = min(needs(signal))
        size = (max(needs(signal)) - first + 1) * signal.stride
        decode = decoder(signal, signal.at.table, first, signal.kind or Kind.FAN_RUN)
        top = 2 if signal.type is RawType.BIT else 65_536
        for _ in range(BLOCKS):
            block = [rng.choice((0, 1, top - 1, rng.randrange(top))) for _ in range(size)]
            _check(*decode(block), signal)


def _check(value: int | None, quality: Quality, signal: Any) -> None:
    """GOOD is an integer within the range of the file; a line says only what a line may say."""
    assert quality in WIRE_QUALITIES
    if quality is Quality.GOOD:
        assert isinstance(value, int), signal
    if value is not None and signal.low is not None:
        assert signal.low <= value <= signal.high, signal


def play(rng: random.Random, files: list[tuple[str, str, str]]) -> bool:
    """Bend a file and load it; returns whether it was accepted."""
    name, category, text = rng.choice(files)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        text = rng.choice(BENDERS)(rng, text)
    try:
        model = device_file.parse(name, category, text)
    except DeviceFileError as refusal:
        if not str(refusal).startswith(f"{category}/{name}.toml: "):
            raise ValueError("a refusal does not name its file") from refusal
        return False
    use(model, rng)
    return True


@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_bent_device_file_is_refused_or_decodes_within_its_range(seconds: float) -> None:
    """Nothing but `DeviceFileError` escapes, nothing takes a second of CPU or eats memory."""
    files, accepted, refused, memory_kib = shipped(), 0, 0, 0
    for name, rng in rounds(seconds):
        begun_s = time.process_time()
        try:
            good = play(rng, files)
        except Exception as error:  # noqa: BLE001 — whatever it is, it escaped
            pytest.fail(f"MINEWATCH_FUZZ={name}: {type(error).__name__}: {error}")
        assert time.process_time() - begun_s < HANG_S, f"MINEWATCH_FUZZ={name} hangs"
        accepted, refused = accepted + good, refused + (not good)
        if accepted + refused == 200:
            memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    if not os.environ.get("MINEWATCH_FUZZ"):
        assert accepted > 50
        assert refused > 150
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib < MEMORY_MAX_KIB
