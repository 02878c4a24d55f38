"""Wall time: whom it believes, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from minewatch.controller.clock import SAID_MIN, VOUCHED_MS, Receiver, SystemClock

BASE_MS = 1_795_000_000_000


class Free(SystemClock):
    """A machine that no time server keeps."""

    def _synchronised(self) -> bool:
        return False


@given(jitter=st.lists(st.integers(-300, 300), min_size=SAID_MIN, max_size=40))
def test_a_steady_receiver_is_believed_and_its_jitter_is_not(jitter: list[int]) -> None:
    """Three words that agree are believed; later jitter never moves the wall clock backwards."""
    receiver = Receiver()
    shown = []
    for second, late_ms in enumerate(jitter):
        receiver.take(BASE_MS + 1000 * second + late_ms, 1000 * second)
        wall_ms = receiver.wall_ms(1000 * second)
        assert (wall_ms is None) == (second < SAID_MIN - 1)
        shown += [] if wall_ms is None else [wall_ms]
    assert shown == sorted(shown)


@given(wrong=st.integers(1001, 10**10), sign=st.sampled_from([1, -1]))
def test_one_wrong_word_changes_nothing(wrong: int, sign: int) -> None:
    """A single sentence with another time, its checksum right, moves nothing."""
    receiver = Receiver()
    for second in range(5):
        receiver.take(BASE_MS + 1000 * second, 1000 * second)
    receiver.take(BASE_MS + 5000 + sign * wrong, 5000)
    receiver.take(BASE_MS + 6000, 6000)
    assert receiver.wall_ms(6000) == BASE_MS + 6000


def test_a_receiver_that_falls_silent_is_believed_for_an_hour() -> None:
    """An hour after its last word nobody vouches for the wall clock any more."""
    receiver = Receiver()
    for second in range(3):
        receiver.take(BASE_MS + 1000 * second, 1000 * second)
    assert receiver.wall_ms(2000 + VOUCHED_MS) == BASE_MS + 2000 + VOUCHED_MS
    assert receiver.wall_ms(2001 + VOUCHED_MS) is None


def test_a_machine_without_time_server_takes_the_receivers_time() -> None:
    """The wall clock is untrusted alone, and the receiver's, trusted, once there is one."""
    clock = Free()
    assert not clock.wall().trusted
    assert clock.off_ms() == 0
    at_ms = clock.now_ms()
    for _ in range(SAID_MIN):
        clock.vouch(BASE_MS, at_ms)
    told = clock.wall()
    assert told.trusted
    assert 0 <= told.ms - BASE_MS < 60_000
    assert abs(clock.off_ms()) > 60_000
