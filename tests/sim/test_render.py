"""A rendered configuration differs from its source in what was asked, and in nothing else."""

import dataclasses

import pytest
from minewatch_sim.render import write_config

from minewatch.mine import load
from minewatch.model.mine import Mode


def test_only_urls_change(demo_mine, demo_folder, tmp_path) -> None:
    """With addresses alone, the loaded mine equals the source but for the buses' urls."""
    addresses = {
        bus.id: "files:///elsewhere" if bus.certified else f"tcp://127.0.0.1:{2000 + n}"
        for n, bus in enumerate(demo_mine.buses)
    }
    rendered = load(write_config(demo_folder, tmp_path / "mine", addresses)).mine
    assert rendered is not None
    assert {bus.id: bus.url for bus in rendered.buses} == addresses
    assert dataclasses.replace(rendered, buses=demo_mine.buses) == demo_mine


def test_overrides_reach_their_places(demo_mine, demo_folder, tmp_path) -> None:
    """Listen address, broker, mode, scan and pace are set where the configuration has them."""
    target = write_config(
        demo_folder,
        tmp_path / "mine",
        {},
        listen="127.0.0.1:9999",
        mqtt_url="mqtt://127.0.0.1:1999",
        mode="monitor",
        scan_ms=250,
        pace=90,
    )
    rendered = load(target).mine
    assert rendered is not None
    assert rendered.console.listen == "127.0.0.1:9999"
    assert [each.url for each in rendered.uploads] == ["mqtt://127.0.0.1:1999"]
    assert rendered.mode is Mode.MONITOR
    assert {bus.scan_ms for bus in rendered.buses} == {250}
    assert rendered.zone("face_12301").walk_out_s == 20
    assert {bus.url for bus in rendered.buses} == {bus.url for bus in demo_mine.buses}


@pytest.mark.parametrize("wrong", [{"addresses": {"gw_moon": "tcp://h:1"}}, {"listen": "x:1"}])
def test_what_cannot_be_set_is_an_error(tmp_path, wrong) -> None:
    """A bus or table that the folder does not have is never passed over in silence."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "mine.toml").write_text('[mine]\nmode = "monitor"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="nothing to set"):
        write_config(source, tmp_path / "target", wrong.pop("addresses", {}), **wrong)


def test_the_source_is_left_alone(demo_mine, demo_folder, tmp_path) -> None:
    """Rendering reads the source folder and writes only the target."""
    before = {p.name: p.read_bytes() for p in demo_folder.iterdir()}
    write_config(demo_folder, tmp_path / "mine", {demo_mine.buses[0].id: "tcp://h:1"}, pace=2)
    assert {p.name: p.read_bytes() for p in demo_folder.iterdir()} == before
