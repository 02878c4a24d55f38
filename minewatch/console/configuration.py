"""The mine that the page shows: `config/active` names the canonical JSON of the state folder.

The console follows that hash and never reads TOML; a reload shows within one request.
"""

from pathlib import Path

from minewatch.console.errors import Refused
from minewatch.model.codec import mine_from_json
from minewatch.model.mine import Mine


class ActiveMine:
    """The active configuration, loaded again when its hash changes."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder) / "config"
        self._hash = ""
        self._mine: Mine | None = None

    def current(self) -> tuple[str, Mine]:
        """Return hash and mine.

        Raises:
            Refused: 503 `no_configuration` where none is active yet or it cannot be read.
        """
        try:
            active = (self._folder / "active").read_text(encoding="ascii").strip()
            if self._mine is None or active != self._hash:
                if not active.isalnum():
                    raise ValueError("config/active holds no hash")
                self._mine = mine_from_json((self._folder / f"{active}.json").read_bytes())
                self._hash = active
        except (OSError, ValueError) as error:
            raise Refused(503, "no_configuration", detail=type(error).__name__) from error
        return self._hash, self._mine
