"""Readers that are no queue: drained by reading, listing who is there, one card behind a flag."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers import device_file, modbus
from minewatch_drivers.line import Line

from minewatch.model.image import Reading, Sighting
from minewatch.model.mine import Bus, Device, Mode, Reader
from minewatch.model.quality import Quality

URL = "tcp://127.0.0.1:1502"
RTU = "rtu:///dev/null?baud=19200&parity=E"
SECOND_US = 1_000_000


@dataclass
class Words:
    """What a scripted reader shows by table and address; hooks act on what was asked."""

    shown: dict[tuple[int, int], int] = field(default_factory=dict)
    beat: tuple[int, int] | None = (4, 1)
    reads: list[tuple[int, int, int]] = field(default_factory=list)
    writes: list[tuple[int, int, int]] = field(default_factory=list)
    after_read: Callable[[int, int, int], None] = lambda function, address, count: None
    after_write: Callable[[int, int, int], None] = lambda function, address, value: None
    absent: Callable[[int], bool] = lambda question: False
    questions: int = 0


@dataclass
class Bench:
    """One line with one reader, its words and what the line brought."""

    virtual: Any
    words: Words

    @property
    def badges(self) -> list[str]:
        """The badges that came, in order; empty ones are lost reads."""
        return [each.badge for each in self.virtual.sightings]

    @property
    def said(self) -> list[Reading]:
        """What the reader said of itself."""
        return [sample.readings[0] for sample in self.virtual.samples]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.virtual.run(self.virtual.now_us + int(seconds * SECOND_US))


def _slave(kit: SimpleNamespace, words: Words, *, rtu: bool) -> Any:
    """Return a slave that answers reads and writes of all four tables from `words`."""

    class Scripted(kit.Slave):  # type: ignore[misc, name-defined]
        def _answer(self, unit: int, pdu: bytes, now_us: int) -> bytes:
            request = modbus.parse_request(unit, pdu)
            function, address, count = request.function, request.address, request.count
            if function > 4:
                (value,) = request.values or (0,)
                words.writes.append((function, address, value))
                words.after_write(function, address, value)
                return modbus.reply_pdu(request)
            if words.beat is not None:
                words.shown[words.beat] = now_us // SECOND_US & 0xFFFF
            words.reads.append((function, address, count))
            values = [words.shown.get((function, address + n), 0) for n in range(count)]
            words.after_read(function, address, count)
            return modbus.reply_pdu(request, values)

        def respond(self, data: bytes, now_us: int) -> list[tuple[int, bytes]]:
            replies = super().respond(data, now_us)
            words.questions += 1
            return [] if words.absent(words.questions) else replies

    return Scripted(rtu=rtu, timeout_us=200_000)


def bench(
    kit: SimpleNamespace, model: str, words: Words, *, url: str = URL, directed: bool = False
) -> Bench:
    """Return a line in mode monitor with one reader of `model` on virtual time."""
    bus = Bus("line", url, scan_ms=1000, timeout_ms=200)
    reader = Reader("r", "", "z", "d", directed=directed)
    devices = (Device("d", "line", 1, model),)
    mine = kit.bare_mine(bus, devices, readers=(reader,), mode=Mode.MONITOR)
    line = Line(mine, bus, writes=False)
    return Bench(kit.Virtual(line, _slave(kit, words, rtu=url.startswith("rtu"))), words)


@dataclass
class Drained:
    """The memory behind rf-reader-drain: reading its records empties it."""

    words: Words = field(default_factory=Words)
    waiting: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.words.shown |= {(4, 0): 0x5246, (4, 3): 1}
        self.words.after_read = self._read
        self.show()

    def hear(self, *badges: int) -> None:
        """Let the reader hear badges."""
        self.waiting += badges
        self.show()

    def show(self) -> None:
        """Put the memory into the registers."""
        shown = self.words.shown
        shown[4, 2] = len(self.waiting)
        for place in range(16):
            badge = self.waiting[place] if place < len(self.waiting) else 0
            at = 16 + 4 * place
            shown[4, at], shown[4, at + 1] = badge >> 16, badge & 0xFFFF

    def _read(self, function: int, address: int, count: int) -> None:
        if function == 4 and address == 16:
            self.gone += self.waiting[: count // 4]
            del self.waiting[: count // 4]
            self.show()


def test_a_drain_brings_everybody_once_and_in_order(kit: SimpleNamespace) -> None:
    """Forty badges come out in three reads; no read asks for more than are known to wait."""
    drained = Drained()
    drained.hear(*range(1001, 1041))
    run = bench(kit, "rf-reader-drain", drained.words)

    run.run(4)

    assert run.badges == [str(n) for n in range(1001, 1041)]
    asked = [count // 4 for _, address, count in drained.words.reads if address == 16]
    assert asked == [16, 16, 8]
    assert drained.words.writes == []


def test_a_drain_says_once_at_the_start_that_it_may_have_lost_records(
    kit: SimpleNamespace,
) -> None:
    """What the run before took and did not record is gone: overflow 1, then 0."""
    run = bench(kit, "rf-reader-drain", Drained().words)

    run.run(3)

    assert [reading.value for reading in run.said] == [1, 0, 0, 0][: len(run.said)]


@pytest.mark.parametrize("url", [URL, RTU])
@pytest.mark.parametrize("seed", range(4))
def test_every_record_of_a_lost_answer_is_a_read_without_a_badge(
    kit: SimpleNamespace, url: str, seed: int
) -> None:
    """Whatever answers are lost: badges delivered and nameless reads are never fewer than truth."""
    drained, rng = Drained(), random.Random(seed)
    run = bench(kit, "rf-reader-drain", drained.words, url=url)
    drained.words.absent = lambda _question: rng.random() < 0.2
    heard = 0
    for _ in range(60):
        come = rng.randint(0, 5)
        drained.hear(*range(2001 + heard, 2001 + heard + come))
        heard += come
        run.run(1)
    drained.words.absent = lambda _question: False
    run.run(20)

    named = [badge for badge in run.badges if badge]
    lost = heard - len(named)
    assert drained.waiting == []
    assert len(set(named)) == len(named)
    assert lost > 0
    assert run.badges.count("") >= lost


def test_a_drain_is_never_asked_twice_for_the_same_records(kit: SimpleNamespace) -> None:
    """After a lost answer the state comes first: a blind second try would empty more."""
    drained = Drained()
    drained.hear(*range(1001, 1011))
    run = bench(kit, "rf-reader-drain", drained.words)
    drained.words.absent = lambda question: question == 2

    run.run(5)

    assert [address for _, address, _ in drained.words.reads][:3] == [0, 16, 0]
    assert run.badges == [""] * 10


def test_a_drain_is_not_emptied_while_nobody_takes(kit: SimpleNamespace) -> None:
    """With two thousand sightings waiting the reader keeps the rest."""
    drained = Drained()
    drained.hear(*range(1, 2101))
    run = bench(kit, "rf-reader-drain", drained.words)
    run.virtual.taking = False
    run.run(60)
    kept = list(drained.waiting)
    run.virtual.taking = True
    run.run(20)

    assert len(kept) == 100
    assert run.badges == [str(n) for n in range(1, 2101)]


def test_a_dead_drain_loses_nothing_that_it_was_not_asked_for(kit: SimpleNamespace) -> None:
    """A reader that never answers the question for its state costs no read."""
    drained = Drained()
    drained.hear(1, 2, 3)
    run = bench(kit, "rf-reader-drain", drained.words)
    drained.words.absent = lambda _question: True

    run.run(60)

    assert run.badges == []
    assert {reading.quality for reading in run.said} == {Quality.COMM_FAULT}


HEADLESS = """
[device]
identity = "A reader that says nothing but its records"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
forbidden = [[0, 7]]
[drain]
table = "holding"
records = 0
record_size = 2
records_max = 4
[drain.fields]
badge = 0
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {}
"""


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let lines know a drain without any state; returns its name."""
    real = device_file.load
    made = device_file.parse("headless", "people", HEADLESS)
    monkeypatch.setattr(device_file, "load", lambda n: made if n == "headless" else real(n))
    return "headless"


def test_a_drain_without_a_count_doubts_a_whole_read(kit: SimpleNamespace, headless: str) -> None:
    """Who does not know how many wait may have lost as many as a read holds, once per question."""
    words = Words(beat=None)
    words.shown[3, 1] = 77
    words.after_read = lambda _f, _a, _c: words.shown.pop((3, 1), None)
    run = bench(kit, headless, words)
    words.absent = lambda question: 3 <= question <= 5

    run.run(12)

    assert run.badges[0] == "77"
    assert run.badges.count("") == 3 * 4
    assert run.said[0] == Reading("r", 1, Quality.GOOD)
    assert run.said[-1] == Reading("r", 0, Quality.GOOD)


def _listed(words: Words, badges: list[tuple[int, int]], first: int = 8, size: int = 3) -> None:
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
    words = Words()
    _listed(words, [(100_001, 0), (100_002, 0)])
    run = bench(kit, "badge-reader-snapshot", words)

    run.run(70)
    _listed(words, [(100_002, 0)])
    run.run(9)

    assert run.badges.count("100001") == 3
    assert run.badges.count("100002") == 3
    assert {each.direction for each in run.virtual.sightings} == {0}
    assert {each.sequence for each in run.virtual.sightings} == {None}


def test_a_snapshot_tells_an_sos_at_once_and_who_blinks_seldom(kit: SimpleNamespace) -> None:
    """Changed flags do not wait; a badge at the edge of hearing comes every 5 s at most."""
    words = Words()
    run = bench(kit, "badge-reader-snapshot", words)
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
    words = Words()
    _listed(words, [(200_000 + n, 0) for n in range(128)])
    run = bench(kit, "badge-reader-snapshot", words)
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
    words = Words()
    _listed(words, [(100_001, 0), (0, 1)])
    run = bench(kit, "badge-reader-snapshot", words)

    run.run(4)

    assert run.badges == ["100001"]
    assert run.said[-1].value == 1


def test_a_uwb_sub_station_has_wide_badges_and_bits_of_its_own(kit: SimpleNamespace) -> None:
    """64 bits of number, SOS in bit 5, low battery in bit 3; anchor and position count nothing."""
    words = Words()
    words.shown |= {(4, 0): 0x5557, (4, 2): 2}
    record = {0: (1, 2, 3, 4, 257, 5, 6, 0x20), 1: (1, 2, 3, 5, 258, 0, 0, 0x08 | 0x03)}
    for place, each in record.items():
        words.shown |= {(4, 16 + 8 * place + n): word for n, word in enumerate(each)}
    run = bench(kit, "uwb-substation-generic", words)

    run.run(2)

    number = 1 << 48 | 2 << 32 | 3 << 16
    assert [(s.badge, s.flags) for s in run.virtual.sightings] == [
        (str(number + 4), 2),
        (str(number + 5), 1),
    ]


@dataclass
class Cards:
    """The reader behind inveo-rfid-ind: a queue of people who hold their cards before it."""

    words: Words = field(default_factory=lambda: Words(beat=None))
    coming: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.words.after_write = self._written
        self.words.shown |= {(1, 1016): 0, (1, 1017): 1}

    def hold(self, *cards: int) -> None:
        """Let people hold their cards before the reader one after the other."""
        self.coming += cards
        self._next()

    def _next(self) -> None:
        shown = self.words.shown
        if not shown[1, 1016] and self.coming:
            card = self.coming.pop(0)
            self.read.append(card)
            shown |= {(1, 1016): 1, (3, 1010): card >> 16, (3, 1011): card & 0xFFFF}

    def _written(self, function: int, address: int, value: int) -> None:
        assert function == 5
        self.words.shown[1, address] = int(value != 0)
        self._next()


def _hex(card: int) -> str:
    return f"{card:040X}"


def test_a_flag_is_written_back_after_the_card_was_taken(kit: SimpleNamespace) -> None:
    """Five cards one after the other; without the write-back nobody but the first is read."""
    cards = Cards()
    cards.hold(*range(1, 6))
    run = bench(kit, "inveo-rfid-ind", cards.words)
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
    cards, rng = Cards(), random.Random(seed)
    cards.hold(*range(1, 41))
    run = bench(kit, "inveo-rfid-ind", cards.words)
    cards.words.absent = lambda _question: rng.random() < 0.3

    run.run(400)

    assert cards.coming == []
    assert list(dict.fromkeys(run.badges)) == [_hex(card) for card in range(1, 41)]


def test_a_card_whose_write_back_never_arrived_is_told_once(kit: SimpleNamespace) -> None:
    """Three write-backs are lost before they are done: the same card behind the flag is known."""
    cards = Cards()
    cards.hold(7)
    run = bench(kit, "inveo-rfid-ind", cards.words)
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
    cards = Cards()
    run = bench(kit, "inveo-rfid-ind", cards.words)
    run.run(4)
    cards.words.shown[1, 1017] = 1
    run.run(4)

    values = [reading.value for reading in run.said]
    rises = sum(1 for a, b in zip([0, *values], values, strict=False) if (a, b) == (0, 1))
    assert rises == 2
    assert values[-1] == 0


def test_an_unreadable_card_behind_a_flag_is_a_lost_read(kit: SimpleNamespace) -> None:
    """The flag is set and the number is empty: somebody passed, and the next card is read."""
    cards = Cards()
    cards.hold(0, 9)
    run = bench(kit, "inveo-rfid-ind", cards.words)

    run.run(8)

    assert run.badges == ["", _hex(9)]


def test_an_unnumbered_record_of_a_queue_is_acknowledged_and_a_lost_read(
    kit: SimpleNamespace,
) -> None:
    """A record without a card must not stop the queue behind it."""
    words = Words()
    words.shown |= {(4, 0): 0x4252, (4, 2): 7, (4, 3): 1}
    words.shown |= {(4, 5 + n): word for n, word in enumerate((0, 0, 1, 0, 0, 90, 41))}
    run = bench(kit, "badge-reader-queue", words)

    run.run(2)

    first: Sighting = run.virtual.sightings[0]
    assert (first.badge, first.sequence) == ("", 41)
    assert words.writes[0] == (6, 0, 41)


def test_two_badges_of_one_delivery_stay_two(kit: SimpleNamespace) -> None:
    """EPCs that share their first 80 bits are two people; both are written in 24 digits."""
    words = Words()
    words.shown |= {(4, 0): 0x4550, (4, 2): 7, (4, 3): 2}
    for place, last in enumerate((0x0001, 0x0010)):
        record = (0xE280, 0x6894, 0, 0x4007, 0x1234, last, 1, 0, 0, 90, 7, place + 1)
        words.shown |= {(4, 8 + 12 * place + n): word for n, word in enumerate(record)}
    run = bench(kit, "uhf-portal-queue", words, directed=True)

    run.run(2)

    assert run.badges == ["E2806894000040071234" + last for last in ("0001", "0010")]
    assert {each.direction for each in run.virtual.sightings} == {1}


def test_a_drain_tells_each_rise_of_its_overflow_once(kit: SimpleNamespace) -> None:
    """The counter stands; an answer that gets lost in between hides no rise."""
    drained = Drained()
    run = bench(kit, "rf-reader-drain", drained.words)
    run.run(3)
    drained.words.shown[4, 4] = 3
    drained.words.absent = lambda _question: True
    run.run(1.5)
    drained.words.absent = lambda _question: False
    run.run(4)
    drained.words.shown[4, 4] = 4
    run.run(4)

    assert [reading.value for reading in run.said].count(1) == 3
    assert run.said[-1].value == 0
