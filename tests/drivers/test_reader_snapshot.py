"""A reader that lists who is there: sightings at first, then every half minute, never an exit."""

from types import SimpleNamespace
from typing import Any


def _listed(words: Any, badges: list[tuple[int, int]], first: int = 8, size: int = 3) -> None:
    """Let a tags-present reader list badges with their flags."""
    words.shown = {key: word for key, word in words.shown.items() if key[1] < first}
    words.shown |= {(4, 0): 0x5053, (4, 2): len(badges)}
    for place, (badge, flags) in enumerate(badges):
        at = first + size * place
        words.shown |= {(4, at): badge >> 16, (4, at + 1): badge & 0xFFFF, (4, at + 2): flags}


def test_a_snapshot_tells_who_is_there_at_first_and_then_every_half_minute(
    kit: SimpleNamespace,
) -> None:
    """A badge that stays is told at 0, 30 and 60 s, its going is told to nobody."""
    words = kit.readers.Words()
    _listed(words, [(100_001, 0), (100_002, 0)])
    run = kit.readers.bench(kit, "badge-reader-snapshot", words)

    run.run(70)
    _listed(words, [(100_002, 0)])
    run.run(9)

    assert run.badges.count("100001") == 3
    assert run.badges.count("100002") == 3
    assert {each.direction for each in run.virtual.sightings} == {0}
    assert {each.sequence for each in run.virtual.sightings} == {None}


def test_a_snapshot_tells_an_sos_at_once_and_who_blinks_seldom(kit: SimpleNamespace) -> None:
    """Changed flags do not wait; a badge at the edge of hearing comes every 5 s at most."""
    words = kit.readers.Words()
    run = kit.readers.bench(kit, "badge-reader-snapshot", words)
    for second in range(20):
        _listed(words, [(100_001, 2 if second >= 10 else 0), *([(7, 0)] if second % 2 else [])])
        run.run(1)

    flags = [(s.badge, s.flags) for s in run.virtual.sightings if s.badge == "100001"]
    assert flags == [("100001", 0), ("100001", 2)]
    assert 3 <= run.badges.count("7") <= 5


def test_a_snapshot_is_paged_and_says_when_more_are_there_than_it_lists(
    kit: SimpleNamespace,
) -> None:
    """128 badges come in four answers of at most 125 registers; 129 are said as an overflow."""
    words = kit.readers.Words()
    _listed(words, [(200_000 + n, 0) for n in range(128)])
    run = kit.readers.bench(kit, "badge-reader-snapshot", words)
    run.run(3)
    full = [reading.value for reading in run.said]
    words.shown[4, 2] = 129
    run.run(3)

    assert len(set(run.badges)) == 128
    assert [c for _, a, c in words.reads if a != 0][:4] == [123, 123, 123, 15]
    assert set(full) == {0}
    assert run.said[-1].value == 1


def test_a_badge_that_a_snapshot_cannot_read_is_said(kit: SimpleNamespace) -> None:
    """Somebody is there without a number: the reader says that it has lost somebody."""
    words = kit.readers.Words()
    _listed(words, [(100_001, 0), (0, 1)])
    run = kit.readers.bench(kit, "badge-reader-snapshot", words)

    run.run(4)

    assert run.badges == ["100001"]
    assert run.said[-1].value == 1


def test_a_uwb_sub_station_has_wide_badges_and_bits_of_its_own(kit: SimpleNamespace) -> None:
    """64 bits of number, SOS in bit 5, low battery in bit 3; anchor and position count nothing."""
    words = kit.readers.Words()
    words.shown |= {(4, 0): 0x5557, (4, 2): 2}
    record = {0: (1, 2, 3, 4, 257, 5, 6, 0x20), 1: (1, 2, 3, 5, 258, 0, 0, 0x08 | 0x03)}
    for place, each in record.items():
        words.shown |= {(4, 16 + 8 * place + n): word for n, word in enumerate(each)}
    run = kit.readers.bench(kit, "uwb-substation-generic", words)

    run.run(2)

    number = 1 << 48 | 2 << 32 | 3 << 16
    assert [(s.badge, s.flags) for s in run.virtual.sightings] == [
        (str(number + 4), 2),
        (str(number + 5), 1),
    ]
