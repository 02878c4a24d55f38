"""Refusals of the console: an HTTP status and a code; the words come from the catalogue.

A new refusal is one line in the catalogue's table `page.refusal` and one `raise Refused(…)`.
"""

import logging
from collections.abc import Mapping

from starlette.responses import JSONResponse

from minewatch.text import Catalogue

SAID_MAX = 512

_log = logging.getLogger("minewatch.console")
_said: set[tuple[str, str]] = set()


class Refused(Exception):  # noqa: N818 - an answer to a peer, not a mistake of the caller
    """A request that is answered with an error: HTTP `status`, `code` of the catalogue."""

    def __init__(
        self, status: int, code: str, *, detail: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


def error_response(refused: Refused) -> JSONResponse:
    """Return the refusal as JSON with its sentence in both languages."""
    key = f"page.refusal.{refused.code}"
    body = {
        "code": refused.code,
        "zh": Catalogue.load("zh").say(key),
        "en": Catalogue.load("en").say(key),
    }
    if refused.detail:
        body["detail"] = refused.detail
    return JSONResponse({"error": body}, refused.status, headers=refused.headers)


def say_once(refused: Refused, address: str) -> None:
    """Log the first refusal of each kind from an address; a flood of them stays one line."""
    episode = (refused.code, address)
    if episode in _said:
        return
    if len(_said) >= SAID_MAX:
        _said.clear()
    _said.add(episode)
    _log.warning("refused %s from %s (said once): %s", refused.code, address, refused.detail)
