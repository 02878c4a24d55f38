"""Who is asking: PINs, sessions, throttling, terminals.

PINs live as scrypt hashes in `console/users.json` of the state folder; roles come from the mine's
staff list. A session lasts one shift and survives a restart of this process; its token is stored
as a hash only. Nothing here decides what a person may do: the core does.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from minewatch.console.errors import Refused

SESSION_S = 8 * 3600
SESSIONS_MAX = 256
PIN_LENGTHS = range(4, 65)
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1
SCRYPT_COST_MAX = 2**17
FREE_FAILURES = 5
LOCK_FIRST_S = 30.0
LOCK_LAST_S = 900.0
TRACKED_MAX = 1024
LOOPBACK = ("127.0.0.1", "::1")


def hash_pin(pin: str) -> str:
    """Return `scrypt$n$r$p$salt$hash`, salt and hash in base64.

    Raises:
        ValueError: fewer than 4 or more than 64 characters.
    """
    if len(pin) not in PIN_LENGTHS:
        raise ValueError("a PIN has 4 to 64 characters")
    salt = secrets.token_bytes(16)
    derived = _scrypt(pin, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    parts = [str(SCRYPT_N), str(SCRYPT_R), str(SCRYPT_P), _base64(salt), _base64(derived)]
    return "$".join(["scrypt", *parts])


def pin_matches(pin: str, stored: str) -> bool:
    """Say whether `pin` is the one hashed in `stored`; a damaged hash matches nothing."""
    try:
        scheme, n, r, p, salt, wanted = stored.split("$")
        if scheme != "scrypt" or int(n) * int(r) > SCRYPT_COST_MAX or int(p) != 1:
            return False
        derived = _scrypt(pin[: PIN_LENGTHS.stop], base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(derived, base64.b64decode(wanted))
    except ValueError:
        return False


def set_pin(folder: str | Path, code: str, pin: str) -> None:
    """Store the PIN of a staff code in `<folder>/console/users.json`; `folder` is the state folder.

    Raises:
        ValueError: the PIN is too short or too long, or the file is not what it should be.
    """
    path = Path(folder) / "console" / "users.json"
    users = _read_table(path)
    users[code] = hash_pin(pin)
    _write_private(path, json.dumps(users, indent=1, sort_keys=True))


class Users:
    """The PIN file, read again whenever it changed."""

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder) / "console" / "users.json"
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, str] = {}
        self._nobody = hash_pin(secrets.token_hex(8))

    def matches(self, code: str, pin: str) -> bool:
        """Say whether `pin` belongs to `code`; an unknown code costs the same time."""
        self._refresh()
        stored = self._users.get(code)
        return pin_matches(pin, stored or self._nobody) and stored is not None

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._users, self._stamp = {}, None
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._users, self._stamp = _read_table(self._path), stamp


class Throttle:
    """Waiting times after wrong PINs, per (code, address): five are free, then 30 s, doubling."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_s(self, code: str, address: str) -> float:
        """Return how long this pair must still wait; 0 where it may try."""
        _, until_s = self._failures.get((code, address), (0, 0.0))
        return max(0.0, until_s - self._now_s())

    def failed(self, code: str, address: str) -> None:
        """Count a wrong PIN."""
        key = (code, address)
        count = self._failures.pop(key, (0, 0.0))[0] + 1
        over = count - FREE_FAILURES
        lock_s = min(LOCK_LAST_S, LOCK_FIRST_S * 2.0 ** min(over, 20)) if over >= 0 else 0.0
        self._failures[key] = (count, self._now_s() + lock_s)
        if len(self._failures) > TRACKED_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, code: str, address: str) -> None:
        """Forget the failures of a pair."""
        self._failures.pop((code, address), None)


class Bucket:
    """At most `burst` acts at once and `per_s` in the long run, per key; bounded in keys."""

    def __init__(self, per_s: float, burst: int, now_s: Callable[[], float]) -> None:
        self._per_s, self._burst, self._now_s = per_s, float(burst), now_s
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Take one; False where `key` has used up its share."""
        now_s = self._now_s()
        level, at_s = self._levels.pop(key, (self._burst, now_s))
        level = min(self._burst, level + (now_s - at_s) * self._per_s)
        granted = level >= 1.0
        self._levels[key] = (level - 1.0 if granted else level, now_s)
        if len(self._levels) > TRACKED_MAX:
            self._levels.popitem(last=False)
        return granted


@dataclass(frozen=True, slots=True)
class Session:
    """One logged-in person on one terminal. `until_s` is wall time, at most one shift away."""

    code: str
    csrf: str
    terminal: str
    until_s: float


class Sessions:
    """Sessions by the hash of their token, kept in `console/sessions.json`."""

    def __init__(self, folder: str | Path, wall_s: Callable[[], float] = time.time) -> None:
        self._path = Path(folder) / "console" / "sessions.json"
        self._wall_s = wall_s
        self._sessions = self._load()

    def open(self, code: str, terminal: str) -> tuple[str, Session]:
        """Begin a session; return its secret token and the session."""
        self._forget_old()
        token = secrets.token_urlsafe(32)
        until_s = self._wall_s() + SESSION_S
        session = Session(code, secrets.token_urlsafe(24), terminal, until_s)
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_digest(token)] = session
        self._save()
        return token, session

    def find(self, token: str) -> Session | None:
        """Return the session of a token, or None where there is none that is still valid."""
        session = self._sessions.get(_digest(token)) if token else None
        return session if session is not None and self._valid(session) else None

    def close(self, token: str) -> None:
        """End the session of a token."""
        if self._sessions.pop(_digest(token), None) is not None:
            self._save()

    def _valid(self, session: Session) -> bool:
        # A clock set back must not stretch a session beyond one shift.
        return 0 < session.until_s - self._wall_s() <= SESSION_S

    def _forget_old(self) -> None:
        self._sessions = {k: s for k, s in self._sessions.items() if self._valid(s)}

    def _load(self) -> dict[str, Session]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return {key: Session(**each) for key, each in stored.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}  # whoever was logged in logs in again

    def _save(self) -> None:
        plain = {key: asdict(each) for key, each in self._sessions.items()}
        _write_private(self._path, json.dumps(plain))


class Terminals:
    """Which listed terminal a request comes from, so that nobody becomes one by saying so.

    `console/terminals.json` gives a terminal's address (`{"dispatch-1": "192.168.1.20"}`); a listed
    name without one is believed from this machine alone.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder) / "console" / "terminals.json"

    def name(self, listed: tuple[str, ...], claimed: str, address: str) -> str:
        """Return the terminal at `address`, the claimed one where several fit, "" for none."""
        addresses = self._addresses()
        here = [each for each in listed if address in addresses.get(each, LOOPBACK)]
        return claimed if claimed in here else next(iter(here if not claimed else ()), "")

    def _addresses(self) -> dict[str, tuple[str, ...]]:
        try:
            stored = _read_table(self._path)
        except ValueError:
            return {}  # a damaged file makes no terminal of anybody but this machine
        return {name: (address,) for name, address in stored.items()}


def check_pin(
    users: Users, throttle: Throttle, code: str, pin: str, address: str, *, emergency: bool = False
) -> None:
    """Return where the PIN is right; an emergency is never made to wait. Runs in a worker thread.

    Raises:
        Refused: 403 `pin_wrong` for a wrong PIN or an unknown code alike, 429 `pin_locked`.
    """
    wait_s = 0.0 if emergency else throttle.wait_s(code, address)
    if wait_s > 0:
        raise Refused(429, "pin_locked", headers={"Retry-After": str(int(wait_s) + 1)})
    if not users.matches(code, pin):
        throttle.failed(code, address)
        raise Refused(403, "pin_wrong")
    throttle.succeeded(code, address)


def _scrypt(pin: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 * 2**20, dklen=32)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read_table(path: Path) -> dict[str, str]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise ValueError(f"{path} is not a table of texts")
    return table


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
