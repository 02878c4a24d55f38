"""The active configuration: the canonical `Mine` named by `config/active` of the state folder."""

import logging
from typing import NamedTuple

from minewatch.folder import Folder
from minewatch.model.mine import Mine

_log = logging.getLogger("minewatch.publisher")


class Active(NamedTuple):
    """A configuration and its name, the sha256 of its canonical bytes."""

    mine: Mine
    config: str


class ActiveConfig:
    """Follows `config/active`; what is not whole is said once and tried again."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._current = ""
        self._said = ""

    def changed(self) -> Active | None:
        """Return the configuration when it is another one than last time."""
        try:
            name = self._folder.active_hash()
            if name == self._current:
                return None
            active = Active(self._folder.active_mine(), name)
        except (OSError, ValueError) as error:
            self._say(str(error))
            return None
        self._current, self._said = name, ""
        return active

    def _say(self, words: str) -> None:
        if words != self._said:
            _log.warning("no active configuration: %s", words)
        self._said = words
