"""Simulated personnel readers: what each memory keeps, forgets, and shows in its registers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.device_files.reader_model import Drain, Flag, Queue, Snapshot
from minewatch_drivers.readers.reader_record import read_record
from minewatch_sim.badge_list import PRESENT_MS, BadgeList, CardFlag
from minewatch_sim.badge_queue import BadgeDrain, BadgeQueue
from minewatch_sim.badge_record import Record, record_words
from minewatch_sim.people import Heard, Lies
from minewatch_sim.plant import Plant
from minewatch_sim.readers import memory_of

READERS = sorted(
    name for name in device_file.catalogue() if device_file.load(name).reader is not None
)


def heard(*badges: int, at_ms: int = 0) -> list[Heard]:
    """Return records of badges."""
    return [Heard(str(badge), 1, 0, at_ms) for badge in badges]


@pytest.mark.parametrize("name", READERS)
@given(
    badge=st.integers(1, 2**32 - 2),
    direction=st.sampled_from((-1, 0, 1)),
    flags=st.integers(0, 3),
    at_s=st.integers(0, 2**31),
    clock_s=st.integers(-86_400, 86_400),
    sequence=st.integers(0, 0xFFFF),
)
@settings(max_examples=40, deadline=None)
def test_what_a_simulated_reader_shows_is_what_a_line_reads(
    name: str, badge: int, direction: int, flags: int, at_s: int, clock_s: int, sequence: int
) -> None:
    """Two codecs, written apart, agree on every record of every reader."""
    form = device_file.load(name).reader
    assert form is not None
    fields = form.fields
    record = Record(sequence, Heard(str(badge % 10**9 or 1), direction, flags, at_s * 1000), 7)

    read = read_record(
        record_words(fields, form.record_size, record, clock_s), fields, directed=True
    )

    assert read.badge.lstrip("0") == record.heard.badge
    assert read.sequence == (None if fields.sequence is None else sequence)
    assert read.direction == (0 if fields.direction is None else direction)
    assert read.flags == (0 if fields.flags is None else flags)
    assert read.time_s == (None if fields.time_s is None else (at_s + clock_s) % 2**32)
    assert read.boot == (None if fields.boot is None else 7)


def test_a_drain_forgets_what_an_answer_holds_whole() -> None:
    """Two and a half records asked for are two records gone; its state costs nothing."""
    form = device_file.load("rf-reader-drain").reader
    assert isinstance(form, Drain)
    memory = BadgeDrain(form, Lies(capacity=4))
    memory.push(heard(1, 2, 3, 4, 5))
    memory.was_read(Table.INPUT, 0, 5)
    assert memory.registers()[Table.INPUT][4] == 1
    memory.was_read(Table.INPUT, 16, 10)
    assert memory.registers()[Table.INPUT][2] == len(memory) == 2
    assert not memory.write(Table.HOLDING, 0, 1)


@pytest.mark.parametrize(("name", "kept"), [("badge-reader-queue", 0), ("uhf-portal-queue", 3)])
def test_a_restart_takes_what_no_log_keeps(name: str, kept: int) -> None:
    """Without a log everything waiting is gone; with one it waits on, and may come again."""
    form = device_file.load(name).reader
    assert isinstance(form, Queue)
    lies = Lies()
    memory = BadgeQueue(form, lies)
    memory.push(heard(1, 2, 3))
    lies.restarts += 1
    memory.tick([], 0)
    assert len(memory) == kept
    memory.acknowledge(3)
    lies.replays += 1
    memory.tick([], 0)
    assert len(memory) == kept
    assert form.boot is not None
    assert memory.registers()[form.table][form.boot] == 3


def test_a_list_holds_who_was_heard_lately_and_says_what_does_not_fit() -> None:
    """Five seconds after it was heard last a badge is no longer listed."""
    form = device_file.load("badge-reader-snapshot").reader
    assert isinstance(form, Snapshot)
    memory = BadgeList(form, Lies(capacity=2))
    memory.tick(heard(1, 2, 3), 0)
    assert [memory.registers()[Table.INPUT][n] for n in (2, 3)] == [2, 1]
    memory.tick(heard(3, at_ms=PRESENT_MS), PRESENT_MS + 1)
    assert [memory.registers()[Table.INPUT][n] for n in (2, 3)] == [1, 0]


def test_one_card_at_a_time() -> None:
    """While the flag stands nobody else is read; writing 0 lets the next card in."""
    form = device_file.load("inveo-rfid-ind").reader
    assert isinstance(form, Flag)
    lies = Lies()
    memory = CardFlag(form, lies)
    memory.tick(heard(1, 2), 0)
    assert memory.missed == 1
    assert memory.registers()[Table.COIL] == {1016: 1, 1017: 1}
    assert memory.write(Table.COIL, 1016, 0)
    assert memory.write(Table.COIL, 1017, 0)
    assert not memory.write(Table.COIL, 1000, 1)
    memory.tick(heard(3), 0)
    assert memory.registers()[Table.COIL] == {1016: 1, 1017: 0}
    lies.restarts += 1
    memory.tick([], 0)
    assert memory.registers()[Table.COIL] == {1016: 0, 1017: 1}


def test_a_device_that_is_no_reader_has_no_memory() -> None:
    """A head asks nothing of the people."""
    assert memory_of(None, Lies()) is None


def test_readers_lie_by_name(make_plant) -> None:
    """Each act changes how its reader lies, and no other's."""
    plant: Plant = make_plant()
    acts = {
        "lose_reads": {"share": 0.1},
        "repeat_reads": {"share": 0.2},
        "shuffle_reads": {"share": 0.3},
        "reader_clock": {"by_s": -86_400},
        "reader_capacity": {"records": 9},
        "restart_reader": {},
        "replay_reader": {},
    }
    for act, arguments in acts.items():
        plant.do(act, reader="reader_west", **arguments)

    assert plant.people.lies["reader_west"] == Lies(0.1, 0.2, 0.3, -86_400, 9, 1, 1)
    assert plant.people.lies["reader_12301"] == Lies()
