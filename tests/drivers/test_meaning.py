"""A remembered meaning is what the decoder says, for every signal of every device file."""

import random

import pytest
from minewatch_drivers.device_files import device_file, meaning
from minewatch_drivers.device_files.codec import decoder, needs

from minewatch.model.kind import Kind


@pytest.mark.parametrize("name", device_file.catalogue())
def test_it_means_what_the_decoder_says(name: str) -> None:
    """Random words, the edges among them, asked twice, at any place of a block: one answer."""
    chance = random.Random(name)
    for signal in device_file.load(name).signals.values():
        kind = signal.kind or Kind.DOOR
        first = max(0, min(needs(signal)) - chance.randrange(3))
        size = 2 * (max(needs(signal)) - first + 1)
        decode = decoder(signal, signal.at.table, first, kind)
        pick = meaning.picker([meaning.offsets(signal, first)])
        remembered = meaning.meaning(signal, kind)
        for _ in range(20):
            top = 1 if signal.at.table.bits else 0xFFFF
            block = [chance.choice((0, 1, top, chance.randint(0, top))) for _ in range(size)]
            (words,) = pick(block)
            assert remembered[words] == decode(block) == remembered[words]


def test_equal_registers_share_one_memory_and_no_others() -> None:
    """Ten inputs of a module are one memory; another scale or another kind is another one."""
    signals = device_file.load("switch-module-8").signals
    doors = {id(meaning.meaning(each, Kind.DOOR)) for each in signals.values()}
    assert len(doors) == 1
    head = device_file.load("methane-head-generic").signals["methane"]
    assert id(meaning.meaning(head, Kind.METHANE)) not in doors
    assert meaning.meaning(head, Kind.METHANE) is meaning.meaning(head, Kind.METHANE)


def test_the_memory_is_bounded() -> None:
    """A register that never says the same twice does not fill the memory, and stays exact."""
    signal = device_file.load("switch-module-8").signals["input_1"]
    memory = meaning.Meaning(signal, Kind.DOOR)
    for number in range(meaning.REMEMBERED_MAX + 100):
        assert memory[number] == ((1 if number else 0), 0)
        assert len(memory) <= meaning.REMEMBERED_MAX
