"""A reader of one card at a time: nobody that it read is lost, and nothing else is written."""

import random
from types import SimpleNamespace

import pytest


def _hex(card: int) -> str:
    return f"{card:040X}"


def test_a_flag_is_written_back_after_the_card_was_taken(kit: SimpleNamespace) -> None:
    """Five cards one after the other; without the write-back nobody but the first is read."""
    cards = kit.readers.Cards()
    cards.hold(*range(1, 6))
    run = kit.readers.bench(kit, "inveo-rfid-ind", cards.words)
    run.virtual.taking = False
    run.run(5)
    untaken = [address for _, address, _ in cards.words.writes]
    run.virtual.taking = True
    run.run(15)

    assert 1016 not in untaken
    assert run.badges == [_hex(card) for card in range(1, 6)]
    assert {(f, v) for f, _, v in cards.words.writes} == {(5, 0)}
    assert {address for _, address, _ in cards.words.writes} == {1016, 1017}


@pytest.mark.parametrize("seed", range(4))
def test_no_lost_answer_costs_a_card_behind_a_flag(kit: SimpleNamespace, seed: int) -> None:
    """Reads and write-backs get lost after they were done: every card that it read is delivered."""
    cards, rng = kit.readers.Cards(), random.Random(seed)
    cards.hold(*range(1, 41))
    run = kit.readers.bench(kit, "inveo-rfid-ind", cards.words)
    cards.words.absent = lambda _question: rng.random() < 0.3

    run.run(400)

    assert cards.coming == []
    assert list(dict.fromkeys(run.badges)) == [_hex(card) for card in range(1, 41)]


def test_a_card_whose_write_back_never_arrived_is_told_once(kit: SimpleNamespace) -> None:
    """Three write-backs are lost before they are done: the same card behind the flag is known."""
    cards = kit.readers.Cards()
    cards.hold(7)
    run = kit.readers.bench(kit, "inveo-rfid-ind", cards.words)
    lost: list[int] = []

    def not_done(function: int, address: int, value: int) -> None:
        if address == 1016 and len(lost) < 3:
            lost.append(cards.words.questions + 1)
        else:
            cards.words.shown[1, address] = int(value != 0)

    cards.words.after_write = not_done
    cards.words.absent = lambda question: question in lost
    run.run(15)

    assert len(lost) == 3
    assert cards.words.shown[1, 1016] == 0
    assert run.badges == [_hex(7)]


def test_a_power_on_flag_is_a_loss_said_once(kit: SimpleNamespace) -> None:
    """A restart takes the card that was held: overflow 1 until the flag is written back."""
    cards = kit.readers.Cards()
    run = kit.readers.bench(kit, "inveo-rfid-ind", cards.words)
    run.run(4)
    cards.words.shown[1, 1017] = 1
    run.run(4)

    values = [reading.value for reading in run.said]
    rises = sum(1 for a, b in zip([0, *values], values, strict=False) if (a, b) == (0, 1))
    assert rises == 2
    assert values[-1] == 0


def test_an_unreadable_card_behind_a_flag_is_a_lost_read(kit: SimpleNamespace) -> None:
    """The flag is set and the number is empty: somebody passed, and the next card is read."""
    cards = kit.readers.Cards()
    cards.hold(0, 9)
    run = kit.readers.bench(kit, "inveo-rfid-ind", cards.words)

    run.run(8)

    assert run.badges == ["", _hex(9)]
