"""The state folder: where each file of a running house stands, what configuration is active."""

import hashlib
import os
from pathlib import Path

from minewatch.model.codec import mine_from_json, mine_hash, mine_to_json
from minewatch.model.mine import Mine

DEFAULT = Path("/var/lib/minewatch")


def default_folder() -> Path:
    """Return the state folder of this machine: MINEWATCH_STATE, systemd's, or the default."""
    for name in ("MINEWATCH_STATE", "STATE_DIRECTORY"):
        if os.environ.get(name):
            return Path(os.environ[name])
    return DEFAULT


class Folder:
    """Paths within one state folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / "lock"
        self.config = root / "config"
        self.active = root / "config" / "active"
        self.ledger = root / "ledger"
        self.journal = root / "journal"
        self.outbox = root / "outbox"
        self.console = root / "console"
        self.socket = root / "run" / "control.sock"

    def activate(self, mine: Mine) -> str:
        """Keep `mine` under its hash, make it the active one, and return the hash."""
        self.config.mkdir(parents=True, exist_ok=True)
        digest = mine_hash(mine)
        _replace(self.config / f"{digest}.json", mine_to_json(mine))
        _replace(self.active, digest.encode())
        return digest

    def active_hash(self) -> str:
        """Return the hash of the active configuration.

        Raises:
            FileNotFoundError: nothing was ever activated here.
        """
        return self.active.read_text().strip()

    def active_mine(self) -> Mine:
        """Return the active configuration.

        Raises:
            FileNotFoundError: nothing was ever activated here.
            ValueError: the file is not the configuration that its name says.
        """
        return self._mine(self.active_hash())

    def kept_mine(self, digest: str) -> Mine | None:
        """Return a configuration that was active once, None where it cannot be had unchanged."""
        try:
            return self._mine(digest)
        except (OSError, ValueError):
            return None

    def _mine(self, digest: str) -> Mine:
        data = (self.config / f"{digest}.json").read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"config/{digest}.json is not what its name says")
        return mine_from_json(data)


def _replace(path: Path, data: bytes) -> None:
    """Write all or nothing: a torn file would be a configuration that nobody signed."""
    temporary = path.with_suffix(path.suffix + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
