"""A reader that is emptied by reading: what an answer loses is counted."""

import random
from types import SimpleNamespace

import pytest
from minewatch_drivers.device_files import device_file

from minewatch.model.image import Reading
from minewatch.model.quality import Quality

URL = "tcp://127.0.0.1:1502"
RTU = "rtu:///dev/null?baud=19200&parity=E"


def test_a_drain_brings_everybody_once_and_in_order(kit: SimpleNamespace) -> None:
    """Forty badges come out in three reads; no read asks for more than are known to wait."""
    drained = kit.readers.Drained()
    drained.hear(*range(1001, 1041))
    run = kit.readers.bench(kit, "rf-reader-drain", drained.words)

    run.run(4)

    assert run.badges == [str(n) for n in range(1001, 1041)]
    asked = [count // 4 for _, address, count in drained.words.reads if address == 16]
    assert asked == [16, 16, 8]
    assert drained.words.writes == []


def test_a_drain_says_once_at_the_start_that_it_may_have_lost_records(
    kit: SimpleNamespace,
) -> None:
    """What the run before took and did not record is gone: overflow 1, then 0."""
    run = kit.readers.bench(kit, "rf-reader-drain", kit.readers.Drained().words)

    run.run(3)

    assert [reading.value for reading in run.said] == [1, 0, 0, 0][: len(run.said)]


@pytest.mark.parametrize("url", [URL, RTU])
@pytest.mark.parametrize("seed", range(4))
def test_every_record_of_a_lost_answer_is_a_read_without_a_badge(
    kit: SimpleNamespace, url: str, seed: int
) -> None:
    """Whatever answers are lost: badges delivered and nameless reads are never fewer than truth."""
    drained, rng = kit.readers.Drained(), random.Random(seed)
    run = kit.readers.bench(kit, "rf-reader-drain", drained.words, url=url)
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
    drained = kit.readers.Drained()
    drained.hear(*range(1001, 1011))
    run = kit.readers.bench(kit, "rf-reader-drain", drained.words)
    drained.words.absent = lambda question: question == 2

    run.run(5)

    assert [address for _, address, _ in drained.words.reads][:3] == [0, 16, 0]
    assert run.badges == [""] * 10


def test_a_drain_is_not_emptied_while_nobody_takes(kit: SimpleNamespace) -> None:
    """With two thousand sightings waiting the reader keeps the rest."""
    drained = kit.readers.Drained()
    drained.hear(*range(1, 2101))
    run = kit.readers.bench(kit, "rf-reader-drain", drained.words)
    run.virtual.taking = False
    run.run(60)
    kept = list(drained.waiting)
    run.virtual.taking = True
    run.run(20)

    assert len(kept) == 100
    assert run.badges == [str(n) for n in range(1, 2101)]


def test_a_dead_drain_loses_nothing_that_it_was_not_asked_for(kit: SimpleNamespace) -> None:
    """A reader that never answers the question for its state costs no read."""
    drained = kit.readers.Drained()
    drained.hear(1, 2, 3)
    run = kit.readers.bench(kit, "rf-reader-drain", drained.words)
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
    words = kit.readers.Words(beat=None)
    words.shown[3, 1] = 77
    words.after_read = lambda _f, _a, _c: words.shown.pop((3, 1), None)
    run = kit.readers.bench(kit, headless, words)
    words.absent = lambda question: 3 <= question <= 5

    run.run(12)

    assert run.badges[0] == "77"
    assert run.badges.count("") == 3 * 4
    assert run.said[0] == Reading("r", 1, Quality.GOOD)
    assert run.said[-1] == Reading("r", 0, Quality.GOOD)


def test_a_drain_tells_each_rise_of_its_overflow_once(kit: SimpleNamespace) -> None:
    """The counter stands; an answer that gets lost in between hides no rise."""
    drained = kit.readers.Drained()
    run = kit.readers.bench(kit, "rf-reader-drain", drained.words)
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
