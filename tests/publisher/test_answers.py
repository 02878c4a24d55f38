"""Answers to the county: proofs that verify, bounded size and rate, nothing from garbage."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.publisher.answers import BURST, Answers
from minewatch.publisher.ledger_follow import LedgerFollow
from minewatch.record.merkle import consistency_holds, inclusion_holds, leaf_hash


@pytest.fixture
def answers(house) -> Answers:
    """Return the answers of a house with 300 entries."""
    house.record(300)
    return Answers(LedgerFollow(house.folder.root))


def _ask(answers: Answers, now_ms: int = 0, **question: object) -> dict:
    payload = json.dumps({"client": "c", "id": "q", **question}).encode()
    answer = answers.answer(payload, now_ms)
    assert answer is not None
    assert answer.client == "c"
    return answer.body


async def test_inclusion_proofs_verify(house, answers) -> None:
    """A leaf, its proof and the root of the tree belong together."""
    for number, index in enumerate((0, 1, 255, 256, 299)):
        body = _ask(answers, number * 1000, want="inclusion", index=index, size=300)
        proof = [bytes.fromhex(each) for each in body["proof"]]
        leaf = leaf_hash(house.ledger.entries(index, 1)[0].leaf)
        assert inclusion_holds(index, 300, leaf, proof, house.ledger.root(300))


async def test_consistency_proofs_verify(house, answers) -> None:
    """An older tree is shown to be the beginning of a newer one."""
    body = _ask(answers, want="consistency", old=17, new=300)
    proof = [bytes.fromhex(each) for each in body["proof"]]
    assert consistency_holds(17, 300, house.ledger.root(17), house.ledger.root(300), proof)


async def test_ranges_come_in_bounded_pieces(house, answers) -> None:
    """A long range is answered piece by piece, each at most 64 KiB, all leaves verbatim."""
    house.record(700)
    place, leaves, now_ms = 0, [], 0
    while place < 1000:
        body = _ask(answers, now_ms, want="entries", **{"from": place, "to": 1000})
        assert len(json.dumps(body)) < 64 * 1024
        leaves += [leaf for _, leaf in body["entries"]]
        assert body["next"] > place
        place, now_ms = body["next"], now_ms + 1000
    assert leaves == [each.leaf.decode() for each in house.ledger.all_entries()]


@pytest.mark.parametrize(
    "question",
    [
        {"want": "inclusion", "index": 300, "size": 300},
        {"want": "inclusion", "index": 0, "size": 301},
        {"want": "consistency", "old": 0, "new": 300},
        {"want": "consistency", "old": 9, "new": 8},
    ],
)
async def test_question_outside_the_ledger_says_so(answers, question) -> None:
    """What is not there is an error with the size, not silence."""
    assert _ask(answers, **question)["error"] == "outside"


async def test_rate_is_limited(answers) -> None:
    """After a burst the questions of one moment are dropped; later ones are answered again."""
    payload = json.dumps({"client": "c", "id": "q", "want": "entries", "from": 0, "to": 1}).encode()
    given_at_once = [answers.answer(payload, 1000) for _ in range(BURST + 10)]
    assert sum(each is not None for each in given_at_once) == BURST
    assert answers.limited == 10
    assert answers.answer(payload, 2000) is not None


@given(
    payload=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["client", "id", "want", "from", "to", "index", "size"]), inner
                )
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_garbage_gets_no_answer_and_no_exception(tmp_path_factory, payload: bytes) -> None:
    """Whatever arrives, the answer is None or a body; nothing is raised."""
    answers = Answers(LedgerFollow(tmp_path_factory.getbasetemp() / "nothing"))
    answer = answers.answer(payload, 0)
    assert answer is None or answer.body["want"] in {"entries", "inclusion", "consistency"}


def test_no_ledger_yet_is_an_answer_too(tmp_path) -> None:
    """Before the first event a question finds an empty ledger."""
    answers = Answers(LedgerFollow(tmp_path))
    body = _ask(answers, want="entries", **{"from": 0, "to": 10})
    assert (body["entries"], body["size"]) == ([], 0)
