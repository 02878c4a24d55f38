"""Card numbers, reader numbers and the reader part of device files: tables and properties."""

import random
import re
import tomllib
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_file import DeviceFileError
from minewatch_drivers.device_files.reader_model import BadgeText, BadgeWords, RecordFields
from minewatch_drivers.readers.reader import open_reader, reader_exchanges
from minewatch_drivers.readers.reader_numbers import KNOWN_MAX, Numbers
from minewatch_drivers.readers.reader_record import badge_text, read_record
from minewatch_drivers.tasks.jobs import UnitState
from minewatch_drivers.tasks.outbox import SIGHTINGS_MAX, Outbox

from minewatch.model.mine import Device, Reader
from minewatch.model.quality import Quality

WORD = st.integers(0, 0xFFFF)
FORMS = (
    BadgeWords(0, 1),
    BadgeWords(0, 2),
    BadgeWords(0, 2, BadgeText.HEX),
    BadgeWords(0, 4),
    BadgeWords(0, 4, BadgeText.HEX),
    BadgeWords(0, 6, BadgeText.HEX),
)


@pytest.mark.parametrize(
    ("words", "form", "text"),
    [
        ((1, 0x86A1), BadgeWords(0), "100001"),
        ((0x86A1, 1), BadgeWords(0, low_word_first=True), "100001"),
        ((0xFFFF, 0xFFFE), BadgeWords(0), "4294967294"),
        ((0, 0), BadgeWords(0), ""),
        ((0xFFFF, 0xFFFF), BadgeWords(0), ""),
        ((1, 0, 0, 0), BadgeWords(0, 4), str(1 << 48)),
        ((0xE280, 0x6894, 0, 0x4007, 0x1234, 0xABCD), FORMS[-1], "E2806894000040071234ABCD"),
        ((0x0012, 0x3456), BadgeWords(0, 2, BadgeText.HEX), "000000000000000000123456"),
        ((0x4B30, 0x3132, 0x3300), BadgeWords(0, 3, BadgeText.ASCII), "K0123"),
        ((0x4B30, 0x2032, 0x3300), BadgeWords(0, 3, BadgeText.ASCII), ""),
        ((0x4B30, 0x0A32, 0x3300), BadgeWords(0, 3, BadgeText.ASCII), ""),
        ((0x4B30, 0xE932, 0x3300), BadgeWords(0, 3, BadgeText.ASCII), ""),
    ],
)
def test_a_card_number_is_one_text(words: tuple[int, ...], form: BadgeWords, text: str) -> None:
    """Numbers of 32 to 96 bits and letters, in both word orders; no card is no text."""
    assert badge_text(words, form) == text


@given(st.lists(WORD, min_size=6, max_size=6), st.lists(WORD, min_size=6, max_size=6))
@settings(max_examples=300, deadline=None)
def test_two_numbers_never_share_a_text(one: list[int], other: list[int]) -> None:
    """Within one width equal texts are equal numbers; hexadecimal is never the text of decimal."""
    for form in FORMS:
        texts = [badge_text(words, form) for words in (one, other)]
        same = one[: form.words] == other[: form.words]
        assert (texts[0] == texts[1]) is (same or texts == ["", ""])
    for decimal in (form for form in FORMS if form.text is BadgeText.DECIMAL):
        for hexadecimal in (form for form in FORMS if form.text is BadgeText.HEX):
            text = badge_text(one, decimal)
            assert not text or text != badge_text(other, hexadecimal)


def test_flags_are_the_two_that_everybody_knows() -> None:
    """Whatever bits a maker uses, a sighting has low battery in bit 0 and SOS in bit 1."""
    fields = RecordFields(BadgeWords(0), flags=2, battery_bit=7, sos_bit=None)
    assert read_record((0, 1, 0xFF7F), fields, directed=True).flags == 0
    assert read_record((0, 1, 0x0080), fields, directed=True).flags == 1


@given(
    seed=st.integers(0, 2**32),
    start=WORD,
    reach=st.integers(1, 60),
    share=st.sampled_from((0.0, 0.1, 0.3)),
)
@settings(max_examples=60, deadline=None)
def test_numbers_come_once_and_rise_through_wraps(
    seed: int, start: int, reach: int, share: float
) -> None:
    """Out of order by up to `reach` and repeated at will, each number is given its place once."""
    rng = random.Random(seed)
    truth = [start + n for n in range(600)]
    order = sorted(truth, key=lambda n: n + rng.uniform(0, reach))
    numbers = Numbers()
    placed: list[tuple[int, int]] = []
    for position, number in enumerate(order):
        got = numbers.number(number & 0xFFFF)
        assert numbers.is_new(got)
        placed.append((number, got))
        if rng.random() < share:
            again = order[rng.randint(max(0, position - reach), position)]
            assert not numbers.is_new(numbers.number(again & 0xFFFF))
    offset = placed[0][1] - placed[0][0]
    assert [got - number for number, got in placed] == [offset] * len(placed)


def test_a_restart_is_no_small_gap() -> None:
    """After a restart every number is new, and so far off that nobody takes it for lost reads."""
    numbers = Numbers()
    before = [numbers.number(n) for n in (65_533, 65_534, 65_535)]
    numbers.restarted()
    after = [numbers.number(n) for n in (1, 2, 30_000)]
    assert all(numbers.is_new(number) for number in before + after)
    assert after[0] - before[-1] > 65_536


def test_records_dated_by_restart_are_known_in_any_order() -> None:
    """A log of three restarts, played again and again, gives each record its number once."""
    numbers = Numbers()
    log = [(boot, sequence) for boot in (3, 4, 5) for sequence in range(1, 200)]
    first = [numbers.number(sequence, boot) for boot, sequence in log]
    assert first == sorted(set(first))
    assert all(numbers.is_new(number) for number in first)
    again = [numbers.number(sequence, boot) for boot, sequence in log]
    assert again == first
    assert not any(numbers.is_new(number) for number in again)


def test_what_is_older_than_memory_is_passed_on() -> None:
    """Older records than are remembered go to the core, which knows them and says so."""
    numbers = Numbers()
    for number in range(1, KNOWN_MAX + 10):
        assert numbers.is_new(numbers.number(number))
    assert not numbers.is_new(numbers.number(KNOWN_MAX))
    assert numbers.is_new(numbers.number(1))


PEOPLE = resources.files("minewatch_drivers") / "devices" / "people"
MUTANTS = [
    ("badge-reader-queue", "badge = 0 ", "badge = 6 ", "queue.fields.badge_words", "1 to 1"),
    ("badge-reader-queue", "sequence = 6\n", "", "queue.fields.sequence", "missing"),
    ("badge-reader-queue", "records_max = 16", "records_max = 18", "queue.records_max", "1 to 17"),
    ("badge-reader-queue", "count = 3 ", "count = 300 ", "", "state of the reader"),
    ("badge-reader-queue", "time_s = 4", "time_s = 6", "queue.fields.time_s", "0 to 5"),
    ("badge-reader-queue", "[queue]", "[queues]", "queue.record_size", "missing"),
    ("badge-reader-queue", 'table = "input"\naddress = 0', 'table = "holding"\naddress = 0',
     "sentinel.table", "marks lie"),
    ("badge-reader-queue", "turnaround_ms = 10", "turnaround_ms = 10\nregisters_max = 100", "",
     "fit in no single read"),
    ("badge-reader-queue", "turnaround_ms = 10", "turnaround_ms = 10\nforbidden = [[4, 4]]",
     "read.forbidden", "state of the reader"),
    ("badge-reader-queue", "turnaround_ms = 10", "turnaround_ms = 10\nforbidden = [[20, 20]]",
     "read.forbidden", "records of the reader"),
    ("rf-reader-drain", "[[16, 79]]", "[[16, 78]]", "read.forbidden", r"\[\[16, 79\]\] must stand"),
    ("rf-reader-drain", "flags = 2", "battery_bit = 3", "drain.fields.battery_bit", "needs"),
    ("badge-reader-snapshot", "records_max = 128", "records_max = 2000", "snapshot.records_max",
     "1 to 1024"),
    ("uwb-substation-generic", "badge_words = 4", 'badge_words = 5\nbadge_text = "decimal"',
     "snapshot.fields.badge_text", "room for 4"),
    ("inveo-rfid-ind", "1000, 1015", "1000, 1016", "write.never", "1016"),
    ("inveo-rfid-ind", 'flag_table = "coil"', 'flag_table = "input"', "flag.flag_table", "not one"),
    ("inveo-rfid-ind", "[flag]", "[snapshot]\n[flag]", "snapshot.record_size", "missing"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "key", "why"), MUTANTS)
def test_a_wrong_reader_file_names_key_and_reason(
    name: str, old: str, new: str, key: str, why: str
) -> None:
    """One wrong line of a reader's file gives one error that a field engineer can act on."""
    text = (PEOPLE / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(DeviceFileError) as caught:
        device_file.parse("mutant", "people", text.replace(old, new, 1))

    assert caught.value.key == key
    assert re.search(why, caught.value.why)


READERS = sorted(
    name
    for name in device_file.catalogue()
    if device_file.load(name).category == "people" and device_file.load(name).reader is not None
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70_000), st.text(max_size=6), st.just([[0, 9]])
)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_value_in_a_reader_file_crashes_the_loader(name: str, data: st.DataObject) -> None:
    """Any value in any place of a reader's tables gives a reader or a DeviceFileError."""
    tree = tomllib.loads((PEOPLE / f"{name}.toml").read_text(encoding="utf-8"))
    (style,) = {"queue", "drain", "snapshot", "flag"} & tree.keys()
    table = tree[style]
    if data.draw(st.booleans()):
        table = table["fields"]
    key = data.draw(st.sampled_from([*sorted(table), "low_word", "sequence", "boot", "flags"]))
    table[key] = data.draw(SCALARS)

    refused = None
    try:
        made = device_file.build("mutant", "people", tree)
    except DeviceFileError as error:
        refused = error
    else:
        assert reader_exchanges(Device("d", "b", 1, "mutant"), made)

    assert refused is None or refused.file == "people/mutant.toml"


@pytest.mark.parametrize("name", READERS)
@given(seed=st.integers(0, 2**32), often=st.sampled_from((0.0, 0.5, 1.0)))
@settings(max_examples=25, deadline=None)
def test_no_registers_crash_a_reader(name: str, seed: int, often: float) -> None:
    """Whatever a device shows in place of a reader's state and records, nothing escapes."""
    rng, model = random.Random(seed), device_file.load(name)
    outbox = Outbox()
    scan = open_reader(
        reader=Reader("r", "", "z", "d", directed=True),
        device=Device("d", "b", 1, name),
        model=model,
        state=UnitState(1000),
        outbox=outbox,
        period_us=1_000_000,
    )
    now_us = 1_000_000
    for _ in range(60):
        now_us += 300_000
        job = scan.acknowledge(now_us) or scan
        size = job.exchange.reply_size - 2
        words = bytes(rng.randbytes(1)[0] if rng.random() < 0.7 else 0 for _ in range(size))
        if model.sentinel is not None and rng.random() < 0.8:
            words = model.sentinel.expected.to_bytes(2, "big") + words[2:]
        if rng.random() < often * 0.3:
            job.refuse(now_us, now_us, rng.random() < 0.5)
        else:
            job.accept(bytes((job.exchange.function, size)) + words, now_us, now_us + 1_000)
        if rng.random() < 0.5:
            outbox.take()
    assert {each.quality for s in outbox.take().samples for each in s.readings} <= set(Quality)
    assert len(outbox.sightings) <= SIGHTINGS_MAX


def test_a_file_has_one_style() -> None:
    """Two styles in one file are two answers to one question."""
    queue = (PEOPLE / "badge-reader-queue.toml").read_text(encoding="utf-8")
    snapshot = (PEOPLE / "badge-reader-snapshot.toml").read_text(encoding="utf-8")
    extra = snapshot[snapshot.index("[snapshot]") : snapshot.index("[[frames]]")]
    with pytest.raises(DeviceFileError, match="one style"):
        device_file.parse("mutant", "people", queue.replace("[[frames]]", extra + "[[frames]]", 1))
