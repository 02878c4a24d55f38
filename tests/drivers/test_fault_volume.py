"""The catalogue's wire faults by volume: right or nothing, neighbours on time, back by itself.

Virtual wires, lines from `open_line`, the simulator's proxy between them. `make test` runs a part,
`make nightly` 100 000 reads of each kind; both print what they counted, and a campaign that never
met its fault fails.
"""

import itertools
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.wire.modbus import read_pdu, rtu_frame

from minewatch.model.quality import Quality

READS, READS_NIGHTLY = 1_500, 100_000
RECOVERY_MS = 6_000
"""Back-off of a dead unit (5 s at most), its scan, and one retry."""

TRANSPORTS = ("tcp", "rtu", "rtu+tcp")
KINDS = (
    "mute", "late", "drop", "duplicated", "one_behind", "split", "halves", "truncated",
    "wrong_unit", "wrong_function", "wrong_count", "wrong_transaction", "zero_transaction",
    "noise", "noise_after", "corrupt", "mangled", "echo", "flood", "exception", "second_master",
)  # fmt: skip
TABLE = [(transport, kind) for transport in TRANSPORTS for kind in KINDS]
NEED_IDENTITY = {"duplicated", "one_behind"}
"""Faults that only an identity register, and blocks of unequal size, can show on a serial line."""

JAMS = {"flood"}
"""Faults that fill a serial wire: nobody can be asked meanwhile."""

SERIAL_SCAN_MS = 5_000


@pytest.fixture
def war(kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The campaign's makers, with their device files known."""
    campaign: ModuleType = kit.campaign
    made = {name: device_file.parse(name, "test", text) for name, text in campaign.MODELS.items()}
    real = device_file.load
    monkeypatch.setattr(device_file, "load", lambda name: made.get(name) or real(name))
    return campaign


def fight(war: ModuleType, transport: str, kind: str, reads: int, seed: int) -> Any:
    """Run one campaign and return its counts; a value in the wrong place fails it here."""
    named = kind in NEED_IDENTITY and transport != "tcp"
    share = 1.0 if kind == "one_behind" else 0.4
    campaign = war.Campaign(
        transport, kind, seed=seed, share=share, model="named" if named else "stamped"
    )
    campaign.suffer(reads)
    result = campaign.result(campaign.recover())
    sys.stdout.write(f"\ncampaign seed={seed} {result}\n")
    assert campaign.judge.wrong == [], f"seed {seed}"
    return result


def judge(result: Any, reads: int) -> None:
    """Hold the counts of a campaign against what is promised."""
    share = 1.0 if result.kind == "one_behind" else 0.4
    assert result.reads >= reads
    assert result.met >= 0.8 * share * reads
    assert result.short_gaps == 0
    assert result.recovery_ms <= RECOVERY_MS
    if share < 1:
        assert result.good > reads / 3


@pytest.mark.parametrize(("transport", "kind"), TABLE)
def test_no_wrong_value_under_any_fault(war: ModuleType, transport: str, kind: str) -> None:
    """Whatever happens to two answers in five, each value is its register's, and all come back."""
    judge(fight(war, transport, kind, READS, seed=1), READS)


@pytest.mark.nightly
@pytest.mark.parametrize(("transport", "kind"), TABLE)
def test_no_wrong_value_in_a_hundred_thousand_reads(
    war: ModuleType, transport: str, kind: str
) -> None:
    """The full volume: 100 000 reads of every kind on every transport, 0 wrong values."""
    judge(fight(war, transport, kind, READS_NIGHTLY, seed=2), READS_NIGHTLY)


@pytest.mark.parametrize(("transport", "kind"), TABLE)
def test_healthy_neighbours_keep_their_period(war: ModuleType, transport: str, kind: str) -> None:
    """One unit of three always hit: the others' periods are off by less than a tenth.

    On TCP at a scan of 1 s, on a shared serial line at 5 s: there each failure costs timeout and
    silence. A flood fills a serial wire, and what it leaves is 0 wrong values.
    """
    serial = transport != "tcp"
    scan_ms = SERIAL_SCAN_MS if serial else 1_000
    campaign = war.Campaign(
        transport, kind, share=1.0, targets=(war.unit_target(1),), scan_ms=scan_ms,
        model="named" if kind in NEED_IDENTITY else "stamped",
    )  # fmt: skip
    campaign.virtual.run(3 * scan_ms * 1000)
    campaign.judge.record = True
    for _ in range(12):
        campaign.begin()
        campaign.virtual.run(campaign.virtual.now_us + 5 * scan_ms * 1000)

    off = war.steps_off(campaign.judge, range(2, 4), 5 * scan_ms, scan_ms)
    assert campaign.faults.struck[kind] >= 10
    assert campaign.judge.wrong == []
    if not (serial and kind in JAMS):
        assert len(off) >= 4 * 50
        assert off[-1] < 0.1


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.1, 1.9, 2.9])
def test_a_reply_split_at_every_byte_gives_right_or_nothing(
    war: ModuleType, transport: str, share: float
) -> None:
    """Fault 6: both halves at each place, the second before, at and after the timeout."""
    campaign = war.Campaign(transport, "halves")
    cuts: set[int] = set()
    carry = campaign.virtual.proxy.faults.spoil

    def spoil(*arguments: Any) -> Any:
        timed = carry(*arguments)
        if len(timed) == 2:
            cuts.add(len(timed[0][1]))
        return timed

    campaign.faults.spoil = spoil
    campaign.faults.on("wire", "halves", 1.0, round(war.TIMEOUT_MS * share))
    campaign.virtual.run(1 << 60, lambda: campaign.virtual.counts.questions >= 400)

    assert cuts == set(range(1, 13 if transport == "tcp" else 9))
    assert campaign.judge.wrong == []
    assert campaign.virtual.short_gaps == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["accept_then_close", "reboot", "unplugged"])
def test_lost_connections_leave_no_value_and_come_back(
    war: ModuleType, transport: str, kind: str
) -> None:
    """Ten outages of 8 s: no GOOD value is asked in one, and all are back within the limit."""
    campaign = war.Campaign(transport, kind)
    campaign.recover()
    for _ in range(10):
        began_us = campaign.virtual.now_us
        campaign.begin()
        before = campaign.judge.qualities[Quality.GOOD]
        campaign.virtual.pull()
        campaign.virtual.run(began_us + 8_000_000)
        assert campaign.judge.qualities[Quality.GOOD] == before
        campaign.end()
        assert campaign.recover() <= RECOVERY_MS
    assert campaign.judge.wrong == []
    assert campaign.judge.qualities[Quality.COMM_FAULT] >= 10


@pytest.mark.parametrize("transport", ["rtu", "rtu+tcp"])
def test_a_slow_answer_to_another_master_is_not_ours(war: ModuleType, transport: str) -> None:
    """A device that takes 45 ms to answer somebody else: we wait for that answer, or refuse it."""
    campaign = war.Campaign(transport, "second_master", seed=3, share=0.5)
    campaign.virtual.turnaround_us = 45_000
    campaign.suffer(3_000)

    assert campaign.virtual.counts.foreign >= 500
    assert campaign.judge.wrong == []
    assert campaign.judge.qualities[Quality.GOOD] > 1_000


def test_silence_lasts_until_another_master_has_its_answer(war: ModuleType) -> None:
    """A question of somebody else is heard: nothing is sent before its answer or our timeout."""
    mine = war.one_bus(war.URLS["rtu"], units=1, scan_ms=200)
    asked, told = rtu_frame(1, read_pdu(4, 100, 2)), rtu_frame(1, bytes((4, 4, 0, 0, 0, 7)))

    def sent_after(*heard: tuple[int, bytes]) -> int:
        line = open_line(mine, mine.buses[0], writes=False)
        line.connected(1_000_000)
        for at_us, data in heard:
            line.feed(data, 1_000_000 + at_us)
        now_us = 1_000_000 + heard[-1][0]
        while line.poll(now_us).send is None:
            now_us += 500
        return now_us - 1_000_000

    timeout_us = war.TIMEOUT_MS * 1000
    assert sent_after((1_000, asked)) >= timeout_us
    assert 45_000 <= sent_after((1_000, asked), (25_000, told)) < timeout_us
    assert sent_after((1_000, b"\x00\xff")) < timeout_us / 2

    line = open_line(mine, mine.buses[0], writes=False)
    line.connected(1_000_000)
    now_us = 1_000_000
    while line.poll(now_us).send is None:
        now_us += 500
    line.feed(rtu_frame(1, bytes((4, 4, 0, 0, 0, 7))) + asked, now_us + 10_000)
    assert line.take().samples[0].readings[0].quality is Quality.GOOD
    assert line.poll(now_us + 9_000 + timeout_us).send is None


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_caller_can_cut_an_exchange_short(war: ModuleType, transport: str) -> None:
    """Fault 4: 10 000 calls in the middle of exchanges; each question still has its own end.

    There is no call to cancel one: nothing that a caller can do makes the line ask again before
    the answer is there or its time is over.
    """
    campaign = war.Campaign(transport, "late", units=2)
    campaign.faults.on("wire", "late", 0.3, round(1.2 * war.TIMEOUT_MS))
    line, virtual, rng = campaign.line, campaign.virtual, campaign.rng
    line.tap(True)
    traffic: list[Any] = []
    calls = 0
    while calls < 10_000:
        virtual.run(virtual.now_us + rng.randrange(500, 30_000))
        for _ in range(rng.randrange(1, 4)):
            line.urge({"1_near", "2_far"} if rng.random() < 0.5 else (), 100)
            line.want({}, virtual.now_us)
            line.status()
            for sample in line.take().samples:
                campaign.judge.hear(sample, virtual.now_us)
            calls += 1
        traffic += line.tapped()

    asked = [place for place, each in enumerate(traffic) if each.sent]
    for one, next_one in itertools.pairwise(asked):
        heard = next_one - one > 1
        assert heard or traffic[next_one].t_us - traffic[one].t_us >= war.TIMEOUT_MS * 1000
    assert len(asked) > 500
    assert line.tap_dropped == 0
    assert campaign.judge.wrong == []
    assert virtual.short_gaps == 0
