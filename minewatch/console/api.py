"""The endpoints under `/api/v1` (docs/openapi.yaml): state, mine, words, login, acts, history.

Each handler reads, checks and passes on; it decides nothing about the mine. A refusal is raised
as `Refused` and worded by the guard.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from minewatch.client import UnreachableError
from minewatch.console.auth import (
    Bucket,
    Session,
    Sessions,
    Terminals,
    Throttle,
    Users,
    check_pin,
)
from minewatch.console.configuration import ActiveMine
from minewatch.console.describe import describe
from minewatch.console.errors import Refused
from minewatch.console.guard import address_of
from minewatch.console.history import History
from minewatch.console.metrics import metrics
from minewatch.console.stream import EventStream, Hub, without_people
from minewatch.model.mine import Mine
from minewatch.text import Catalogue

COOKIE = "minewatch_session"
TEXT_LENGTH_MAX = 500
HOURS_MAX = 72
HOUR_MS = 3_600_000
PENDING_MAX = 16

SOUND_ONLY = frozenset({"acknowledge", "silence", "on_duty"})
"""Acts that change sound alone, or say that somebody is there: the session suffices, one key."""

KINDS = SOUND_ONLY | {
    "close_out", "withdraw", "all_clear", "resume_descent", "hand_value", "hand_cover",
    "end_hand_cover", "release", "bypass", "end_bypass", "calibrate", "extend_calibration",
    "end_calibration", "cut", "close_person", "approve", "notice",
    "record_call", "start_work", "end_work", "move_head", "replace_head", "end_head_work",
    "test_interlock", "record_test", "order_from_above", "classify_withdrawal",
    "shelve", "unshelve",
}  # fmt: skip
"""What a page may ask for (ARCHITECTURE.md §4); `reload` is the supervisor's alone."""


@dataclass(frozen=True, slots=True)
class House:
    """What the endpoints work with."""

    hub: Hub
    mine: ActiveMine
    users: Users
    terminals: Terminals
    sessions: Sessions
    throttle: Throttle
    acts: Bucket
    history: History
    hashing: asyncio.Semaphore
    pending: asyncio.Semaphore
    secure: bool = False


class Api:
    """Handlers of `/api/v1` and of the two paths for machines."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def state(self, request: Request) -> Response:
        """Answer with the whole view of this moment."""
        frame = self._house.hub.frame
        if not frame.body:
            raise Refused(503, "controller_lost")
        body = dict(frame.body)
        shown = body if self._staff_session(request) else without_people(body, frame)
        return JSONResponse({**shown, "quiet_ms": self._house.hub.quiet_ms})

    async def stream(self, request: Request) -> Response | EventStream:
        """Open the stream of one page."""
        _, mine = self._house.mine.current()
        terminal = self._terminal(request, mine, request.query_params.get("terminal", ""))
        audible = request.query_params.get("audible", "1") != "0"
        slot = self._house.hub.join(terminal, audible=audible)
        if slot is None:
            raise Refused(503, "too_many_pages")
        return EventStream(self._house.hub, slot, lambda: self._staff_session(request) is not None)

    async def mine(self, request: Request) -> Response:
        """Answer with the mine as the page draws it."""
        config, mine = self._house.mine.current()
        staff = self._staff_session(request) is not None
        return JSONResponse(describe(mine, config, staff=staff))

    async def catalogue(self, request: Request) -> Response:
        """Answer with every word of one language."""
        try:
            words = Catalogue.load(request.query_params.get("lang", "zh-CN"))
        except ValueError as error:
            raise Refused(404, "no_such_language") from error
        return JSONResponse({"language": words.language, "texts": words.as_dict()})

    async def session(self, request: Request) -> Response:
        """Say who is logged in here and which terminal this is."""
        _, mine = self._house.mine.current()
        terminal = self._terminal(request, mine, request.query_params.get("terminal", ""))
        session = self._session(request)
        return JSONResponse(self._about(session, mine, terminal))

    async def login(self, request: Request) -> Response:
        """Open a session for one shift."""
        body = await _json(request)
        code, pin = _text(body, "code", 32), _text(body, "pin", 64)
        _, mine = self._house.mine.current()
        await self._verify(code, pin, request)
        if mine.staff_member(code) is None:
            raise Refused(403, "pin_wrong")
        terminal = self._terminal(request, mine, _text(body, "terminal", 64, optional=True))
        self._house.sessions.close(request.cookies.get(COOKIE, ""))
        token, session = self._house.sessions.open(code, terminal)
        response = JSONResponse(self._about(session, mine, terminal))
        response.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", secure=self._house.secure, path="/"
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session."""
        self._house.sessions.close(request.cookies.get(COOKIE, ""))
        response = JSONResponse({"code": None})
        response.delete_cookie(COOKIE, path="/")
        return response

    async def command(self, request: Request) -> Response:
        """Pass an act on to the controller and answer when its event is durable."""
        body = await _json(request)
        kind, arguments = _text(body, "kind", 32), body.get("arguments", {})
        if kind not in KINDS:
            raise Refused(400, "unknown_act", detail=kind)
        if not isinstance(arguments, dict):
            raise Refused(400, "malformed", detail="arguments")
        text = _text(body, "text", TEXT_LENGTH_MAX, optional=True)
        _, mine = self._house.mine.current()
        if kind != "withdraw" and not self._house.acts.take(address_of(request.scope)):
            raise Refused(429, "too_many_acts", headers={"Retry-After": "2"})
        by, terminal = await self._who(request, body, kind, mine)
        origin = f"page:{terminal or address_of(request.scope)}"
        return await self._pass_on(kind, arguments, text, by, origin)

    async def history(self, request: Request) -> Response:
        """Answer with a point's past hours."""
        _, mine = self._house.mine.current()
        point = request.query_params.get("point", "")
        hours = request.query_params.get("hours", "24")
        if point not in {each.id for each in mine.points}:
            raise Refused(404, "no_such_point", detail=point[:64])
        if not hours.isdecimal() or not 1 <= int(hours[:4]) <= HOURS_MAX:
            raise Refused(400, "malformed", detail="hours")
        if not self._house.acts.take(f"history {address_of(request.scope)}"):
            raise Refused(429, "too_many_acts", headers={"Retry-After": "2"})
        to_ms = self._house.hub.wall_ms()
        from_ms = to_ms - int(hours) * HOUR_MS
        columns = await asyncio.to_thread(self._house.history, point, from_ms, to_ms)
        return JSONResponse({"point": point, "hours": int(hours), **columns})

    async def healthz(self, _: Request) -> Response:
        """Say whether this process hears the controller."""
        hub = self._house.hub
        body = {"controller": "up" if hub.alive else "lost", "quiet_ms": hub.quiet_ms}
        return JSONResponse(body, 200 if hub.alive else 503)

    async def metrics(self, _: Request) -> Response:
        """Answer in the Prometheus text format."""
        return Response(metrics(self._house.hub), media_type="text/plain; version=0.0.4")

    async def _pass_on(
        self, kind: str, arguments: dict[str, Any], text: str, by: str, origin: str
    ) -> Response:
        """Send a command; only a withdrawal may pass when many acts are waiting already."""
        pending = self._house.pending
        if kind != "withdraw" and pending.locked():
            raise Refused(429, "too_many_acts", headers={"Retry-After": "2"})
        ask = self._house.hub.client.command(kind, arguments, text, by=by, origin=origin)
        try:
            if kind == "withdraw":
                reply = await ask
            else:
                async with pending:
                    reply = await ask
        except UnreachableError as error:
            raise Refused(503, "controller_lost", detail=str(error)) from error
        except ValueError as error:
            raise Refused(413, "body_too_large") from error
        body = {
            "accepted": reply.accepted,
            "reasons": list(reply.reasons),
            "index": reply.index,
        }
        return JSONResponse(body, 200 if reply.accepted else 409)

    async def _who(
        self, request: Request, body: dict[str, Any], kind: str, mine: Mine
    ) -> tuple[str, str]:
        """Return (staff code or "", listed terminal or "") of whoever asks for an act.

        A person may act with code and PIN on somebody else's page: the second name often stands
        beside the first.
        """
        session = self._session(request)
        code = _text(body, "code", 32, optional=True) or (session.code if session else "")
        pin = _text(body, "pin", 64, optional=True)
        terminal = self._terminal(request, mine, _text(body, "terminal", 64, optional=True))
        own = session is not None and code == session.code
        if own and not _csrf_fits(request, session):
            raise Refused(403, "csrf")
        if pin and code:
            await self._verify(code, pin, request, emergency=kind == "withdraw")
        elif kind == "withdraw" and terminal:
            code = code if own else ""
        elif not own:
            raise Refused(401, "login_needed")
        elif kind not in SOUND_ONLY:
            raise Refused(401, "pin_needed")
        if code and mine.staff_member(code) is None:
            raise Refused(403, "pin_wrong")
        return code, terminal

    async def _verify(
        self, code: str, pin: str, request: Request, *, emergency: bool = False
    ) -> None:
        """Check a PIN in a worker thread, one at a time: hashing is dear on purpose."""
        house, address = self._house, address_of(request.scope)
        async with house.hashing:
            await asyncio.to_thread(
                check_pin, house.users, house.throttle, code, pin, address, emergency=emergency
            )

    def _session(self, request: Request) -> Session | None:
        return self._house.sessions.find(request.cookies.get(COOKIE, ""))

    def _staff_session(self, request: Request) -> Session | None:
        """Return the session of somebody who still is on the staff list."""
        session = self._session(request)
        if session is None:
            return None
        _, mine = self._house.mine.current()
        return session if mine.staff_member(session.code) else None

    def _terminal(self, request: Request, mine: Mine, claimed: str) -> str:
        return self._house.terminals.name(
            mine.console.terminals, claimed, address_of(request.scope)
        )

    def _about(self, session: Session | None, mine: Mine, terminal: str) -> dict[str, Any]:
        member = mine.staff_member(session.code) if session else None
        if session is None or member is None:
            return {"code": None, "terminal": terminal}
        return {
            "code": member.code,
            "name": member.name,
            "role": member.role.value,
            "csrf": session.csrf,
            "until_wall_ms": round(session.until_s * 1000),
            "terminal": terminal,
        }


def _csrf_fits(request: Request, session: Session | None) -> bool:
    given = request.headers.get("x-csrf-token", "")
    return session is not None and given == session.csrf


async def _json(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object; its type is checked, so that no plain form can post it."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise Refused(415, "not_json")
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Refused(400, "not_json") from error
    if not isinstance(body, dict):
        raise Refused(400, "not_json")
    return body


def _text(body: dict[str, Any], key: str, length_max: int, *, optional: bool = False) -> str:
    value = body.get(key, "" if optional else None)
    if not isinstance(value, str) or len(value) > length_max or not (value or optional):
        raise Refused(400, "malformed", detail=key)
    return value
