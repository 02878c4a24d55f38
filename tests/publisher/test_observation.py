"""The county's side: a whole upload is whole, and every kind of hole or forgery is named."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from minewatch.publisher.observation import Numbers, Observation
from minewatch.record.merkle import Frontier, leaf_hash
from minewatch.record.note import Signer

ORIGIN = "minewatch/220181004688"
SIGNER = Signer(ORIGIN, b"k" * 32)
FORGER = Signer(ORIGIN, b"f" * 32)


@dataclass
class Upload:
    """Messages of a mine, as they would come from the broker."""

    seen: Observation = field(default_factory=lambda: Observation("c", (ORIGIN, SIGNER.public)))

    def event(self, index: int, leaf: str = "", **changes: Any) -> None:
        """Bring one event."""
        leaf = leaf or f'{{"n":{index}}}'
        body = {
            "boot": "b",
            "seq": index + 1,
            "origin": ORIGIN,
            "leaf": leaf,
            "hash": leaf_hash(leaf.encode()).hex(),
            "backfill": False,
        }
        self.bring("event", {**body, **changes})

    def checkpoint(self, size: int, signer: Signer = SIGNER, *, root: bytes | None = None) -> None:
        """Bring the signed head of the first `size` events."""
        note = signer.sign(size, root if root is not None else _root(size))
        self.bring(
            "checkpoint", {"boot": "b", "seq": size, "origin": ORIGIN, "size": size, "note": note}
        )

    def bring(self, topic: str, body: dict[str, Any], *, retained: bool = False) -> None:
        """Bring any message."""
        self.seen.take(topic, json.dumps(body).encode(), retained=retained)

    def codes(self) -> set[str]:
        """Return what was found."""
        return {each["code"] for each in self.seen.verdict()["findings"]}


def _root(size: int) -> bytes:
    frontier = Frontier()
    for index in range(size):
        frontier.append(leaf_hash(f'{{"n":{index}}}'.encode()))
    return frontier.root()


@pytest.fixture
def upload() -> Upload:
    """Return an upload of which nothing has come yet."""
    return Upload()


def test_whole_upload_is_whole(upload) -> None:
    """Events in order and checkpoints over them: verified, nothing found."""
    for index in range(20):
        upload.event(index)
        if index % 5 == 4:
            upload.checkpoint(index + 1)
    verdict = upload.seen.verdict()
    assert verdict["whole"]
    assert (verdict["events"], verdict["roots_verified"], verdict["signatures_verified"]) == (
        20,
        4,
        4,
    )


def test_duplicates_and_disorder_are_no_fault(upload) -> None:
    """Events come twice and a checkpoint before its events: still whole."""
    upload.event(0)
    upload.checkpoint(4)
    for index in (2, 1, 0, 3, 2):
        upload.event(index)
    verdict = upload.seen.verdict()
    assert verdict["whole"]
    assert verdict["duplicates"] == 2
    assert verdict["roots_verified"] == 1


def test_missing_event_is_found_and_asked_for(upload) -> None:
    """A hole makes the upload incomplete; the question names it, the answer closes it."""
    for index in (0, 1, 4):
        upload.event(index)
    assert upload.seen.verdict()["missing_events"] == 2
    assert not upload.seen.verdict()["whole"]
    question = upload.seen.questions.popleft()
    assert (question["want"], question["from"]) == ("entries", 2)
    leaves = [[index, f'{{"n":{index}}}'] for index in (2, 3)]
    upload.bring("reply/c", {"id": question["id"], "entries": leaves, "next": 5, "size": 5})
    verdict = upload.seen.verdict()
    assert verdict["whole"]
    assert verdict["filled_on_request"] == 2


def test_unanswered_question_is_asked_again_and_then_given_up(upload) -> None:
    """A question is repeated a few times, not for ever."""
    upload.event(0)
    upload.event(2)
    asked = 0
    for _ in range(10):
        while upload.seen.questions:
            upload.seen.questions.popleft()
            asked += 1
        upload.seen.ask_again()
    assert asked == 3
    assert not upload.seen.unfilled()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda u: u.event(1, hash="0" * 64), "leaf_altered"),
        (lambda u: u.event(0, '{"n":99}'), "entry_rewritten"),
        (lambda u: u.event(1, origin="other/ledger"), "other_ledger"),
        (lambda u: u.checkpoint(1, FORGER), "signature_forged"),
        (lambda u: u.checkpoint(1, root=b"x" * 32), "root_differs"),
        (lambda u: (u.checkpoint(1), u.checkpoint(1, root=b"x" * 32)), "split_view"),
        (lambda u: u.bring("checkpoint", {"boot": "b", "seq": 1, "size": 1, "note": "?"}),
         "checkpoint_malformed"),
        (lambda u: u.seen.take("event", b"{", retained=False), "malformed"),
        (lambda u: u.seen.take("event", b"[1]", retained=False), "malformed"),
        (lambda u: u.bring("event", {"seq": 1}), "malformed"),
    ],
)  # fmt: skip
def test_each_forgery_has_its_name(upload, act, code) -> None:
    """What does not fit is a finding, and the verdict is not whole."""
    upload.event(0)
    act(upload)
    assert upload.codes() == {code}
    assert not upload.seen.verdict()["whole"]


def test_later_observer_asks_for_what_went_before(upload) -> None:
    """Who comes later fetches the beginning and can then verify roots too."""
    upload.event(3)
    question = upload.seen.questions.popleft()
    assert (question["want"], question["from"], question["to"]) == ("entries", 0, 3)
    leaves = [[index, f'{{"n":{index}}}'] for index in range(3)]
    upload.bring("reply/c", {"id": question["id"], "entries": leaves, "next": 3, "size": 4})
    upload.checkpoint(4)
    verdict = upload.seen.verdict()
    assert verdict["whole"]
    assert verdict["roots_verified"] == 1


def test_false_consistency_proof_is_found(upload) -> None:
    """A proof that leads nowhere shows that the ledger was rewritten between two heads."""
    for index in range(3):
        upload.event(index)
    upload.checkpoint(2)
    upload.checkpoint(3)
    question = upload.seen.questions.popleft()
    assert question["want"] == "consistency"
    upload.bring("reply/c", {"id": question["id"], "proof": ["00" * 32]})
    assert "proof_fails" in upload.codes()


def test_lost_telemetry_is_counted_lost_alarm_is_a_fault(upload) -> None:
    """Numbers missing in live were shed and show; a number missing in alarms is not whole."""
    for seq in (1, 2, 5):
        upload.bring("live", {"boot": "b", "seq": seq})
    verdict = upload.seen.verdict()
    assert verdict["lost_numbers"] == {"live": 2}
    assert verdict["whole"]
    for seq in (1, 3):
        upload.bring("alarm/A1", {"boot": "b", "seq": seq, "kind": "trip"})
    assert not upload.seen.verdict()["whole"]


def test_retained_messages_begin_no_count(upload) -> None:
    """What a broker kept from earlier says nothing about numbers that are missing now."""
    upload.bring("alarm/A1", {"boot": "b", "seq": 3, "kind": "trip"}, retained=True)
    upload.bring("alarm/A2", {"boot": "b", "seq": 9, "kind": "trip"})
    assert upload.seen.verdict()["whole"]
    assert set(upload.seen.alarms) == {"A1", "A2"}


def test_numbers_of_a_stream() -> None:
    """Gaps open, are filled once, and duplicates are none."""
    numbers = Numbers()
    assert [numbers.note(each) for each in (5, 6, 9, 7, 7, 5)] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert numbers.missing == {8}


def test_signature_bytes_are_what_is_checked(upload) -> None:
    """One flipped bit in the signature is a forgery."""
    upload.event(0)
    note = SIGNER.sign(1, _root(1))
    head, _, signature = note.rstrip("\n").rpartition(" ")
    raw = bytearray(base64.b64decode(signature))
    raw[20] ^= 1
    forged = f"{head} {base64.b64encode(bytes(raw)).decode()}\n"
    upload.bring("checkpoint", {"boot": "b", "seq": 1, "origin": ORIGIN, "size": 1, "note": forged})
    assert upload.codes() == {"signature_forged"}
