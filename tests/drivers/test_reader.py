"""A personnel reader's queue: nobody is lost, nobody is doubled, order is the reader's own."""

from types import SimpleNamespace
from typing import Any

from minewatch_drivers.modbus_line.line import Line

from minewatch.model.image import Reading
from minewatch.model.mine import Bus, Device, Reader
from minewatch.model.quality import Quality

URL = "tcp://127.0.0.1:1502"
LAST = 0xFFFF


class Queue:
    """The registers of a reader with a queue, in the layout of badge-reader-queue."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int, int]] = []
        self.boot, self.sequence, self.overflow, self.beat = 7, 0, 0, 0
        self.acknowledged: list[int] = []

    def hear(self, badge: int, direction: int = 1) -> None:
        """Queue one sighting."""
        self.sequence = self.sequence + 1 & LAST
        self.records.append((badge, direction, self.sequence))

    def write(self, slave: Any, request: Any) -> None:
        """Drop what was acknowledged."""
        (sequence,) = request.values
        self.acknowledged.append(sequence)
        self.overflow = 0
        self.records = [r for r in self.records if 0 < (r[2] - sequence) & LAST < 0x8000]

    def get(self, address: int, default: int = 0) -> int:
        """Return one input register."""
        if address < 5:
            self.beat += 1
            head = (0x4252, self.beat & LAST, self.boot, len(self.records), self.overflow)
            return head[address]
        number, field = divmod(address - 5, 7)
        if number >= len(self.records):
            return default
        badge, direction, sequence = self.records[number]
        return (badge >> 16, badge & LAST, direction & LAST, 2, 0, 90, sequence)[field]


def bench(kit: SimpleNamespace, *, directed: bool = True, **slave: Any) -> tuple[Any, Queue]:
    """Return a line with one reader on virtual time, and the reader's queue."""
    bus = Bus("line", URL, scan_ms=1000, timeout_ms=200)
    reader = Reader("mouth", "", "z", "r1", directed=directed)
    mine = kit.bare_mine(bus, (Device("r1", "line", 1, "badge-reader-queue"),), readers=(reader,))
    queue = Queue()
    made = kit.Slave(rtu=False, timeout_us=200_000, **slave)
    made.inputs = queue
    made.on_write = queue.write
    return kit.Virtual(Line(mine, bus, writes=False), made), queue


def test_a_queue_is_read_in_order_and_once(kit: SimpleNamespace) -> None:
    """Forty badges in a queue of windows of sixteen come out once each, in the reader's order."""
    virtual, queue = bench(kit)
    for badge in range(10_001, 10_041):
        queue.hear(badge)

    virtual.run(5_000_000)

    assert [s.badge for s in virtual.sightings] == [str(n) for n in range(10_001, 10_041)]
    assert queue.records == []
    first = virtual.sightings[0]
    assert (first.direction, first.flags, first.sequence, first.reader_time_s) == (1, 2, 1, 90)


def test_nothing_is_acknowledged_before_it_was_taken(kit: SimpleNamespace) -> None:
    """While the controller takes nothing the reader keeps everything, and it comes only once."""
    virtual, queue = bench(kit)
    queue.hear(10_001)
    virtual.taking = False
    virtual.run(6_000_000)
    held = list(queue.acknowledged)
    virtual.taking = True

    virtual.run(9_000_000)

    assert held == []
    assert queue.acknowledged[0] == 1
    assert [s.badge for s in virtual.sightings] == ["10001"]


def test_a_lost_acknowledgement_doubles_nobody(kit: SimpleNamespace) -> None:
    """Records that come again are recognised by their sequence."""
    virtual, queue = bench(kit, share=0.5, seed=3)
    virtual.slave.twist = lambda slave, envelope, pdu: []
    for n in range(60):
        queue.hear(20_000 + n)

    virtual.run(120_000_000)

    assert [s.badge for s in virtual.sightings] == [str(20_000 + n) for n in range(60)]
    assert queue.records == []


def test_sequences_wrap(kit: SimpleNamespace) -> None:
    """After 65 535 comes 0 and nobody is lost."""
    virtual, queue = bench(kit)
    queue.sequence = LAST - 3
    for n in range(8):
        queue.hear(30_000 + n)

    virtual.run(5_000_000)

    assert len(virtual.sightings) == 8
    assert queue.records == []


def test_a_restarted_reader_counts_anew(kit: SimpleNamespace) -> None:
    """With a new boot count low sequences are new sightings, not old ones."""
    virtual, queue = bench(kit)
    for n in range(5):
        queue.hear(40_000 + n)
    virtual.run(4_000_000)
    queue.boot, queue.sequence = 8, 0
    queue.hear(40_100)

    virtual.run(8_000_000)

    assert [s.badge for s in virtual.sightings][-1] == "40100"


def test_a_restart_is_said_even_if_nobody_comes_after_it(kit: SimpleNamespace) -> None:
    """What waited in a reader that lost its power is gone: overflow 1 at the next look, once."""
    virtual, queue = bench(kit)
    queue.hear(40_001)
    virtual.run(4_000_000)
    queue.boot, queue.sequence = 8, 0
    virtual.run(8_000_000)

    values = [sample.readings[0].value for sample in virtual.samples]
    assert values.count(1) == 1
    assert values[-1] == 0


def test_an_acknowledgement_stops_before_a_gap(kit: SimpleNamespace) -> None:
    """Number 16 stands behind the window: 17 is not acknowledged before 16 was read."""
    virtual, queue = bench(kit)
    for n in range(17):
        queue.hear(50_001 + n)
    queue.records[15], queue.records[16] = queue.records[16], queue.records[15]

    virtual.run(6_000_000)

    assert queue.acknowledged == [15, 17]
    assert sorted(s.badge for s in virtual.sightings) == [str(50_001 + n) for n in range(17)]
    assert queue.records == []


def test_an_old_acknowledgement_is_not_given_to_a_restarted_reader(kit: SimpleNamespace) -> None:
    """Lost in a restart, the write is not repeated: it would drop people of the new numbers."""
    virtual, queue = bench(kit, share=1.0)
    for n in range(5):
        queue.hear(40_000 + n)

    def restart(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
        """Lose the power, and the answer to the first write with it."""
        if pdu[0] != 6 or queue.boot == 8:
            return [(2_000, slave.wrap(envelope.tag, envelope.unit, pdu))]
        queue.boot, queue.sequence, queue.records = 8, 0, []
        for n in range(5):
            queue.hear(41_000 + n)
        return []

    virtual.slave.twist = restart
    virtual.run(9_000_000)

    assert queue.boot == 8
    assert [s.badge for s in virtual.sightings][5:] == [str(41_000 + n) for n in range(5)]


def test_records_are_stamped_before_they_were_made(kit: SimpleNamespace) -> None:
    """In a rush a record waits behind others: its stamp is when the queue was last empty."""
    virtual, queue = bench(kit)
    virtual.run(3_000_000)
    made_us = virtual.now_us
    for n in range(100):
        queue.hear(60_001 + n)
    virtual.run(12_000_000)

    assert len(virtual.sightings) == 100
    assert all(s.sampled_ms <= made_us // 1000 for s in virtual.sightings)
    assert all(s.sampled_ms >= made_us // 1000 - 1_000 for s in virtual.sightings)


def test_an_undirected_reader_gives_no_direction(kit: SimpleNamespace) -> None:
    """What such a reader writes into the direction field is not believed (practice 21)."""
    virtual, queue = bench(kit, directed=False)
    queue.hear(10_001, direction=-1)

    virtual.run(3_000_000)

    assert [s.direction for s in virtual.sightings] == [0]


def test_overflow_and_loss_show_under_the_readers_id(kit: SimpleNamespace) -> None:
    """The reader's own reading is 0, 1 after lost records, and COMM_FAULT when it is mute."""
    virtual, queue = bench(kit, share=1.0)
    virtual.run(2_500_000)
    queue.overflow = 1
    queue.hear(10_001)
    virtual.run(4_000_000)
    virtual.slave.twist = lambda slave, envelope, pdu: []
    virtual.run(8_000_000)

    said = [s.readings[0] for s in virtual.samples]
    assert said[0] == Reading("mouth", 0, Quality.GOOD)
    assert Reading("mouth", 1, Quality.GOOD) in said
    assert said[-1] == Reading("mouth", None, Quality.COMM_FAULT)


def test_another_device_is_no_reader(kit: SimpleNamespace) -> None:
    """An answer without the reader's identity gives neither badges nor an acknowledgement."""
    virtual, queue = bench(kit)
    virtual.slave.inputs = None
    virtual.slave.on_write = queue.write

    virtual.run(5_000_000)

    assert virtual.sightings == []
    assert queue.acknowledged == []
    assert {s.readings[0].quality for s in virtual.samples} == {Quality.COMM_FAULT}


def test_an_unnumbered_record_of_a_queue_is_acknowledged_and_a_lost_read(
    kit: SimpleNamespace,
) -> None:
    """A record without a card must not stop the queue behind it."""
    words = kit.readers.Words()
    words.shown |= {(4, 0): 0x4252, (4, 2): 7, (4, 3): 1}
    words.shown |= {(4, 5 + n): word for n, word in enumerate((0, 0, 1, 0, 0, 90, 41))}
    run = kit.readers.bench(kit, "badge-reader-queue", words)

    run.run(2)

    first = run.virtual.sightings[0]
    assert (first.badge, first.sequence) == ("", 41)
    assert words.writes[0] == (6, 0, 41)


def test_two_badges_of_one_delivery_stay_two(kit: SimpleNamespace) -> None:
    """EPCs that share their first 80 bits are two people; both are written in 24 digits."""
    words = kit.readers.Words()
    words.shown |= {(4, 0): 0x4550, (4, 2): 7, (4, 3): 2}
    for place, last in enumerate((0x0001, 0x0010)):
        record = (0xE280, 0x6894, 0, 0x4007, 0x1234, last, 1, 0, 0, 90, 7, place + 1)
        words.shown |= {(4, 8 + 12 * place + n): word for n, word in enumerate(record)}
    run = kit.readers.bench(kit, "uhf-portal-queue", words, directed=True)

    run.run(2)

    assert run.badges == ["E2806894000040071234" + last for last in ("0001", "0010")]
    assert {each.direction for each in run.virtual.sightings} == {1}
