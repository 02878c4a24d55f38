"""Who may come in: PINs, sessions, throttling, terminals."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.console.auth import (
    SESSION_S,
    Bucket,
    Sessions,
    Terminals,
    Throttle,
    Users,
    check_pin,
    hash_pin,
    pin_matches,
    set_pin,
)
from minewatch.console.errors import Refused


def test_a_pin_matches_its_own_hash_alone() -> None:
    """A hash says yes to its PIN and no to any other."""
    stored = hash_pin("1357")
    assert pin_matches("1357", stored)
    assert not pin_matches("1358", stored)
    assert hash_pin("1357") != stored, "each hash has a salt of its own"


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_a_damaged_hash_matches_nothing(stored: str) -> None:
    """Whatever stands in the file, only a whole hash lets anybody in, and nothing crashes."""
    assert not pin_matches("1357", stored)


@pytest.mark.parametrize(
    "stored",
    ["scrypt$1048576$8$1$AAAA$AAAA", "scrypt$16384$8$9$AAAA$AAAA", "scrypt$0$0$0$$", "$$$$$"],
)
def test_a_hash_cannot_ask_for_unbounded_work(stored: str) -> None:
    """Cost factors beyond ours are refused instead of computed."""
    assert not pin_matches("1357", stored)


@pytest.mark.parametrize("pin", ["", "123", "1" * 65])
def test_short_and_endless_pins_are_refused(pin: str, tmp_path: Path) -> None:
    """A PIN has 4 to 64 characters."""
    with pytest.raises(ValueError, match="4 to 64"):
        set_pin(tmp_path, "S001", pin)


def test_pins_are_kept_private_and_followed(tmp_path: Path) -> None:
    """The file is readable by its owner alone, holds no PIN, and changes without a restart."""
    users = Users(tmp_path)
    assert not users.matches("S001", "1357")
    set_pin(tmp_path, "S001", "1357")
    path = tmp_path / "console" / "users.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "1357" not in json.loads(path.read_text())["S001"].split("$")
    assert users.matches("S001", "1357")
    set_pin(tmp_path, "S001", "9753")
    assert users.matches("S001", "9753")
    assert not users.matches("S001", "1357")


def test_wrong_pins_lock_a_pair_but_never_an_emergency(tmp_path: Path) -> None:
    """Five failures are free; then the code waits at that address, but not to raise an alarm."""
    now_s = [0.0]
    set_pin(tmp_path, "S001", "1357")
    users, throttle = Users(tmp_path), Throttle(lambda: now_s[0])
    for _ in range(5):
        with pytest.raises(Refused, match="pin_wrong"):
            check_pin(users, throttle, "S001", "0000", "10.0.0.9")
    with pytest.raises(Refused, match="pin_locked"):
        check_pin(users, throttle, "S001", "1357", "10.0.0.9")
    check_pin(users, throttle, "S001", "1357", "10.0.0.7")
    check_pin(users, throttle, "S001", "1357", "10.0.0.9", emergency=True)
    check_pin(users, throttle, "S001", "1357", "10.0.0.9")


@given(st.lists(st.integers(1, 900), min_size=6, max_size=20))
def test_a_lock_grows_and_ends(waits_s: list[int]) -> None:
    """Every further failure locks at least as long, and never beyond a quarter of an hour."""
    now_s = [0.0]
    throttle = Throttle(lambda: now_s[0])
    last_s = 0.0
    for count, wait_s in enumerate(waits_s, 1):
        throttle.failed("S001", "a")
        locked_s = throttle.wait_s("S001", "a")
        assert (locked_s > 0) == (count >= 5)
        assert last_s <= locked_s <= 900
        last_s = locked_s
        now_s[0] += max(wait_s, locked_s)
        assert throttle.wait_s("S001", "a") == 0


def test_the_bucket_refills_and_keeps_keys_apart() -> None:
    """A burst is granted, the next act waits, another address does not."""
    now_s = [0.0]
    bucket = Bucket(2.0, 3, lambda: now_s[0])
    assert [bucket.take("a") for _ in range(4)] == [True, True, True, False]
    assert bucket.take("b")
    now_s[0] = 0.5
    assert [bucket.take("a") for _ in range(2)] == [True, False]


def test_a_session_survives_a_restart_and_ends_with_the_shift(tmp_path: Path) -> None:
    """The stored form holds no token; eight hours later, or with the clock set back, it is over."""
    wall_s = [1_000_000.0]
    token, session = Sessions(tmp_path, lambda: wall_s[0]).open("S001", "dispatch-1")
    stored = (tmp_path / "console" / "sessions.json").read_text()
    assert token not in stored
    again = Sessions(tmp_path, lambda: wall_s[0])
    assert again.find(token) == session
    wall_s[0] += SESSION_S
    assert again.find(token) is None
    wall_s[0] -= SESSION_S + 60
    assert again.find(token) is None, "a clock set back must not stretch a session"


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"a": 1}', '{"a": {"code": 1}}'])
def test_damaged_sessions_log_everybody_out(damage: str, tmp_path: Path) -> None:
    """A torn sessions file costs a login, not a start."""
    path = tmp_path / "console" / "sessions.json"
    path.parent.mkdir()
    path.write_text(damage)
    token, _ = Sessions(tmp_path).open("S001", "")
    assert Sessions(tmp_path).find(token) is not None


def test_closing_and_unknown_tokens(tmp_path: Path) -> None:
    """A closed session and a guessed token find nobody."""
    sessions = Sessions(tmp_path)
    token, _ = sessions.open("S001", "")
    sessions.close(token)
    assert sessions.find(token) is None
    assert sessions.find("") is None


@pytest.mark.parametrize(
    ("claimed", "address", "name"),
    [
        ("", "127.0.0.1", "dispatch-1"),
        ("dispatch-1", "::1", "dispatch-1"),
        ("dispatch-1", "10.0.0.5", ""),
        ("", "10.0.0.6", "dispatch-2"),
        ("dispatch-2", "127.0.0.1", ""),
        ("somebody", "127.0.0.1", ""),
        ("mouth", "10.0.0.6", "mouth"),
    ],
)
def test_nobody_becomes_a_terminal_by_saying_so(
    claimed: str, address: str, name: str, tmp_path: Path
) -> None:
    """A bare name is believed from this machine, another only from its address."""
    (tmp_path / "console").mkdir()
    table = {"dispatch-2": "10.0.0.6", "mouth": "10.0.0.6"}
    (tmp_path / "console" / "terminals.json").write_text(json.dumps(table))
    listed = ("dispatch-1", "dispatch-2", "mouth")
    assert Terminals(tmp_path).name(listed, claimed, address) == name
