"""The outbox is bounded, sheds in the stated order and keeps every number accounted for."""

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.publisher.outbox import Class, Outbox, OutboxError

TOPICS = {
    Class.ALARM: ["alarm/A1", "alarm/A2", "alarm/A3"],
    Class.STATE: ["headcount", "status"],
    Class.TELEMETRY: ["snapshot"],
}

moves = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from(Class), st.integers(0, 2)),
        st.tuples(st.just("done"), st.sampled_from(Class), st.integers(1, 5)),
    ),
    max_size=60,
)


@given(moves=moves, rows_max=st.integers(1, 12))
def test_bound_order_and_numbers(moves: list, rows_max: int) -> None:
    """Under any pushes and acknowledgements: bounded, cheapest shed first, no number twice.

    Per stream the numbers sent, waiting and shed are together 1 … n; the newest message of an
    alarm is never shed, and while telemetry waits nothing dearer was shed for want of room.
    """
    outbox = Outbox(":memory:", rows_max=rows_max)
    given_out: Counter[str] = Counter()
    sent: dict[str, list[int]] = {}
    newest: dict[str, int] = {}
    for what, klass, choice in moves:
        if what == "push":
            topic = TOPICS[klass][choice % len(TOPICS[klass])]
            stream = topic.partition("/")[0]
            given_out[stream] += 1
            newest[topic] = given_out[stream]
            before = _waiting(outbox)
            outbox.push(klass, topic, _payload(given_out[stream]), retain=True)
            _check_shedding(before, _waiting(outbox), klass)
        else:
            rows = outbox.pending(klass, 0, choice)
            for row in rows:
                sent.setdefault(row.stream, []).append(_number(row.payload))
            outbox.done([row.id for row in rows])
        waiting = [row for rows in _waiting(outbox).values() for row in rows]
        alarms = {row.topic for row in waiting if row.klass is Class.ALARM}
        assert outbox.rows == len(waiting)
        assert outbox.bytes == sum(len(row.payload) for row in waiting)
        assert outbox.rows <= max(rows_max, len(alarms))
    waiting = [row for rows in _waiting(outbox).values() for row in rows]
    for topic, number in newest.items():
        if topic.startswith("alarm/"):
            kept = [_number(row.payload) for row in waiting if row.topic == topic]
            assert number in kept + sent.get("alarm", [])
    seen = sum(len(numbers) for numbers in sent.values()) + len(waiting)
    assert seen + outbox.shed == sum(given_out.values())
    for stream, numbers in sent.items():
        assert numbers == sorted(set(numbers)), stream


def test_bytes_are_bounded_too() -> None:
    """Few large messages are shed as many small ones are."""
    outbox = Outbox(":memory:", bytes_max=1000)
    for number in range(10):
        outbox.push(Class.TELEMETRY, "snapshot", _payload(number) + b" " * 300, retain=True)
    assert outbox.bytes <= 1000
    assert _number(outbox.pending(Class.TELEMETRY, 0, 1)[0].payload) == 7
    assert outbox.shed == 7


def test_what_was_kept_survives(tmp_path: Path) -> None:
    """Messages, counts, the cursor, standing alarms and the installation's id outlive a process."""
    path = tmp_path / "outbox.db"
    first = Outbox(path)
    first.push(Class.ALARM, "alarm/A1", b'{"seq":1}', retain=True)
    first.set_cursor("mine", 42)
    first.set_standing("A1", {"view": {"kind": "trip"}, "states": []})
    install = first.install
    first.close()
    second = Outbox(path)
    assert [row.topic for row in second.pending(Class.ALARM, 0, 9)] == ["alarm/A1"]
    assert (second.rows, second.bytes) == (1, 9)
    assert second.cursor("mine") == 42
    assert second.standing() == {"A1": {"view": {"kind": "trip"}, "states": []}}
    assert second.install == install


def test_cursor_belongs_to_one_ledger() -> None:
    """Another ledger's events are all unsent."""
    outbox = Outbox(":memory:")
    outbox.set_cursor("old", 42)
    assert outbox.cursor("new") == 0


def test_damaged_database_is_put_aside(tmp_path: Path) -> None:
    """A torn file costs its messages, not the upload."""
    path = tmp_path / "outbox.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    outbox = Outbox(path)
    assert outbox.push(Class.ALARM, "alarm/A1", b"{}", retain=True)
    assert (tmp_path / "outbox.damaged").exists()


def test_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """What a later version wrote is neither read nor overwritten."""
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(OutboxError, match="version 9"):
        Outbox(path)


def _payload(number: int) -> bytes:
    return json.dumps({"seq": number}).encode()


def _number(payload: bytes) -> int:
    return int(json.loads(payload)["seq"])


def _waiting(outbox: Outbox) -> dict[Class, list]:
    return {klass: outbox.pending(klass, 0, 1000) for klass in Class}


def _check_shedding(before: dict[Class, list], after: dict[Class, list], pushed: Class) -> None:
    """Whatever went, everything cheaper had to go first, the oldest of a class first."""
    for klass in (Class.ALARM, Class.STATE):
        gone = {row.id for row in before[klass]} - {row.id for row in after[klass]}
        if gone:
            assert not after[Class.TELEMETRY]
            if klass is Class.ALARM:
                assert not after[Class.STATE]
    for klass in (Class.STATE, Class.TELEMETRY):
        kept = [row.id for row in after[klass]]
        gone_ids = [row.id for row in before[klass] if row.id not in kept]
        assert not gone_ids or not kept or max(gone_ids) < min(kept)
