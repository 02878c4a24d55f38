"""A configuration's own device files: found beside it, carried in the mine, hiding none shipped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file

from minewatch.mine import load
from minewatch.model.codec import mine_from_json, mine_hash, mine_to_json

SHIPPED = Path(device_file.__file__).parents[1] / "devices/gas/methane-head-generic.toml"
FIRST = 'model = "methane-head-generic"'


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Leave no device file of a test behind."""
    yield
    device_file.provide(())


@pytest.fixture
def own(spoiled: Any) -> Any:
    """Return the demo mine with one head of a model of its own."""
    (spoiled.folder / "devices").mkdir()
    spoiled.write("devices/our-head.toml", SHIPPED.read_text("utf-8"))
    spoiled.write("devices/unused.toml", "not looked at")
    text = spoiled.text("devices.toml")
    spoiled.write("devices.toml", text.replace(FIRST, 'model = "our-head"', 1))
    return spoiled


def test_the_text_travels_with_the_mine(own: Any) -> None:
    """The file that a device names is in the mine, comes back from its JSON, and names its hash."""
    mine = own.load().mine

    assert mine is not None
    assert [(each.name, each.category) for each in mine.device_files] == [("our-head", "site")]
    again = mine_from_json(mine_to_json(mine))
    device_file.provide(())
    device_file.provide(again.device_files)
    assert device_file.load("our-head").signals == device_file.load("methane-head-generic").signals
    own.write("devices/our-head.toml", own.text("devices/our-head.toml") + "# another word\n")
    changed = own.load().mine
    assert changed is not None
    assert mine_hash(changed) != mine_hash(mine)


def test_a_broken_file_refuses_the_configuration(own: Any) -> None:
    """The fault stands at the device and names file and key."""
    own.write("devices/our-head.toml", "[device]\nidentity = 1\n")

    (fault,) = [each for each in own.load().faults if each.code == "bad_model"]

    assert fault.fields["file"] == "site/our-head.toml"


def test_no_file_hides_a_shipped_one(own: Any) -> None:
    """A file with the name of a shipped one is refused, whatever stands in it."""
    own.write("devices/environment-head-generic.toml", SHIPPED.read_text("utf-8"))

    loaded = own.load()

    assert loaded.mine is None
    assert "shipped_model" in {each.code for each in loaded.faults}


def test_another_configuration_does_not_know_it(own: Any, tmp_path: Path) -> None:
    """What one configuration brought is forgotten with the next: its name is unknown there."""
    assert own.load().mine is not None
    elsewhere = tmp_path / "elsewhere"
    own.folder.rename(elsewhere)
    (elsewhere / "devices/our-head.toml").unlink()

    loaded = load(elsewhere)

    assert "unknown_model" in {each.code for each in loaded.faults}
    with pytest.raises(device_file.DeviceFileError):
        device_file.load("our-head")


@pytest.mark.parametrize("name", ["../our-head", "devices/our-head", "", "."])
def test_a_model_is_a_name_and_no_path(own: Any, name: str) -> None:
    """No path leads out of the folder."""
    own.write("devices.toml", own.text("devices.toml").replace("our-head", name, 1))

    loaded = own.load()

    assert loaded.mine is None
