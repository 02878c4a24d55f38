"""Puts the console together: routes, static files, the guard, and the tasks that run beside."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from minewatch.client import Client
from minewatch.console.api import PENDING_MAX, Api, House
from minewatch.console.auth import Bucket, Sessions, Terminals, Throttle, Users
from minewatch.console.configuration import ActiveMine
from minewatch.console.errors import Refused, error_response, say_once
from minewatch.console.guard import Guard, address_of
from minewatch.console.history import History, history_of
from minewatch.console.stream import Hub

STATIC = Path(__file__).parent / "static"
ACTS_PER_S, ACTS_BURST = 2.0, 20

_log = logging.getLogger("minewatch.console")


def build(
    folder: Path,
    connect: Callable[[], Client],
    *,
    secure: bool = False,
    history: History | None = None,
) -> tuple[ASGIApp, Hub]:
    """Return the application of a state folder and its hub; `connect` opens the controller."""
    hub = Hub(connect)
    house = House(
        hub=hub,
        mine=ActiveMine(folder),
        users=Users(folder),
        terminals=Terminals(folder),
        sessions=Sessions(folder),
        throttle=Throttle(time.monotonic),
        acts=Bucket(ACTS_PER_S, ACTS_BURST, time.monotonic),
        history=history or history_of(folder),
        hashing=asyncio.Semaphore(1),
        pending=asyncio.Semaphore(PENDING_MAX),
        secure=secure,
    )
    app = Starlette(
        routes=_routes(Api(house)),
        exception_handlers={
            HTTPException: _http_error,
            Refused: _refused,
            Exception: _internal_error,
        },
        lifespan=_beside(hub),
    )
    return Guard(app), hub


def _routes(api: Api) -> list[Any]:
    return [
        Route("/", _page),
        Route("/healthz", api.healthz),
        Route("/metrics", api.metrics),
        Route("/api/v1/state", api.state),
        Route("/api/v1/stream", api.stream),
        Route("/api/v1/mine", api.mine),
        Route("/api/v1/catalogue", api.catalogue),
        Route("/api/v1/session", api.session),
        Route("/api/v1/history", api.history),
        Route("/api/v1/login", api.login, methods=["POST"]),
        Route("/api/v1/logout", api.logout, methods=["POST"]),
        Route("/api/v1/command", api.command, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method"}
    refused = Refused(error.status_code, codes.get(error.status_code, "malformed"))
    return error_response(refused)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    say_once(error, address_of(request.scope))
    return error_response(error)


def _internal_error(_: Request, __: Exception) -> Response:
    return error_response(Refused(500, "internal"))


def _beside(hub: Hub) -> Callable[[Starlette], Any]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_guarded(work)) for work in (hub.follow, hub.report)]
        yield
        hub.close()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return lifespan


async def _guarded(work: Callable[[], Any]) -> None:
    """Run a task for ever; one that dies is said and begun again, its silence shows on the page."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it was, the page needs its source again
            _log.exception("%s failed and is begun again", work.__name__)
        await asyncio.sleep(1.0)
