"""Device files with random wounds: the loader refuses or builds a model that decodes soundly."""

import copy
import random
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from minewatch_drivers.commission import device_check
from minewatch_drivers.device_files import codec, device_file
from minewatch_drivers.device_files.device_model import DeviceModel

from minewatch.model.quality import Quality

FILES = sorted(device_file._paths().values())
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**40, 70000, 1.5, float("nan"), "", "x", "0", "-1", "1e9",
    "0.0000001", "9" * 25, [], [[]], [1], [[1, 2]], [[1, 2, 3]], [["a", "b", "good"]], {},
    {"a": 1}, {"address": 3}, [{}], "good", "holding", "coil", "u16", "s32", "f32", "bit",
)  # fmt: skip
KEYS = ("step", "count", "address", "type", "scale", "zzz", "levels", "span", "status", "field")


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of everything in a parsed file."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


def wound(tree: dict[str, Any], rng: random.Random) -> None:
    """Change, drop or add one to three things anywhere."""
    for _ in range(rng.randint(1, 3)):
        found = list(places(tree))
        if not found:
            return
        container, key = rng.choice(found)
        kind = rng.random()
        if kind < 0.6:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind < 0.8 and isinstance(container, dict):
            del container[key]
        elif isinstance(container, dict):
            container[rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))


def decodes_soundly(model: DeviceModel, rng: random.Random) -> bool:
    """Return whether random words give GOOD with a value in range, or no value, and never raise."""
    for signal in rng.sample(list(model.signals.values()), min(3, len(model.signals))):
        addresses = codec.needs(signal)
        first = min(addresses)
        decode = codec.decoder(signal, signal.at.table, first)
        top = 1 if signal.at.table.bits else 0xFFFF
        size = (max(addresses) - first + 1) * signal.stride
        for _ in range(20):
            value, quality = decode([rng.randint(0, top) for _ in range(size)])
            if quality is not Quality.GOOD:
                continue
            low = 0 if signal.low is None else signal.low
            high = 1 if signal.high is None else signal.high
            if value is None or not low <= value <= high:
                return False
    return True


def attempt(make: Callable[[], DeviceModel]) -> DeviceModel | device_file.DeviceFileError:
    """Return the model, or why it is refused; anything else escapes."""
    try:
        return make()
    except device_file.DeviceFileError as error:
        return error


def campaign(rounds: int, seed: int) -> tuple[int, int]:
    """Wound files and load them; return how many were refused and how many still built."""
    rng = random.Random(seed)
    trees = [(category, tomllib.loads(text)) for category, text in FILES]
    refused = built = 0
    for _ in range(rounds):
        category, tree = rng.choice(trees)
        tree = copy.deepcopy(tree)
        wound(tree, rng)
        made = attempt(partial(device_file.build, "wounded", category, tree))
        if isinstance(made, DeviceModel):
            built += 1
            device_check.check(made)
            assert decodes_soundly(made, rng)
        else:
            refused += 1
            assert made.file == f"{category}/wounded.toml"
            assert made.why
    return refused, built


def test_wounded_files_are_refused_or_sound() -> None:
    """Two thousand wounded files: nothing but DeviceFileError escapes, no bad input is GOOD."""
    refused, built = campaign(2_000, 11)

    assert refused > 1_000
    assert built > 50


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(30))
def test_a_night_of_wounded_files(seed: int) -> None:
    """The same with sixty thousand files of other seeds."""
    refused, built = campaign(2_000, seed)

    assert refused > 1_000
    assert built > 50


@pytest.mark.parametrize("seed", range(3))
def test_text_that_is_cut_or_flipped_is_refused_or_sound(seed: int) -> None:
    """Files cut anywhere or with a letter changed: an error with the file's name, or a model."""
    rng = random.Random(seed)
    for _ in range(150):
        category, text = rng.choice(FILES)
        at = rng.randrange(len(text))
        broken = text[:at] + (chr(rng.randrange(128)) + text[at + 1 :]) * rng.randint(0, 1)
        made = attempt(partial(device_file.parse, "broken", category, broken))
        if isinstance(made, DeviceModel):
            assert decodes_soundly(made, rng)
        else:
            assert made.file == f"{category}/broken.toml"
