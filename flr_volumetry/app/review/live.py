"""One open page: plans come in as fast as a hand moves, and only the last one counts."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from flr_volumetry.errors import FlrError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.websockets import WebSocket

    from flr_volumetry.app.review.desk import Desk, Move

    TellAll = Callable[[dict[str, Any]], Awaitable[None]]

PREVIEW, OVERLAY = 1, 2
"""What a binary message holds: its first byte; then three of nothing, and the number of the move."""
MOST_TEXT = 256 * 1024
REST_S = 0.35
"""A plan that has not moved for so long is assessed in full."""
MARGINS_AT_LEAST_S = 0.08
"""While the hand moves on, margins of a passed position are left out, but not for longer than this."""


class Page:
    """The connection of one open page.

    Parameters
    ----------
    socket : WebSocket
        Accepted.
    desk : Desk
        The case.
    tell_all : callable
        Awaited with what all open pages are to be told.
    """

    def __init__(
        self, socket: WebSocket, desk: Desk, tell_all: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        self._socket, self._desk, self._tell_all = socket, desk, tell_all
        self._pending: dict[str, Any] | None = None
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._margins_at = 0.0

    async def serve(self) -> None:
        """Answer until the page is closed."""
        worker = asyncio.create_task(self._work())
        try:
            while True:
                await self._take(await self._socket.receive())
        except WebSocketDisconnect:
            pass
        finally:
            worker.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await worker

    async def tell(self, said: dict[str, Any]) -> None:
        """Send a message; a page that is gone does not mind."""
        with suppress(RuntimeError, WebSocketDisconnect, OSError):
            async with self._sending:
                await self._socket.send_text(json.dumps(said, ensure_ascii=False, allow_nan=False))

    async def _tell_bytes(self, kind: int, number: int, data: bytes) -> None:
        with suppress(RuntimeError, WebSocketDisconnect, OSError):
            async with self._sending:
                await self._socket.send_bytes(struct.pack("<B3xI", kind, number) + data)

    async def _take(self, message: Any) -> None:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        text = message.get("text")
        problem = "a message is text"
        if text is not None and len(text) <= MOST_TEXT:
            said = _move_in(text)
            if said is not None:
                self._pending = said
                self._news.set()
                return
            problem = "this is no message of the page"
        elif text is not None:
            problem = f"a message holds at most {MOST_TEXT} characters"
        await self.tell({"type": "refused", "number": None, "message": problem})

    async def _work(self) -> None:
        while True:
            await self._news.wait()
            said, self._pending = self._pending, None
            self._news.clear()
            if said is None:
                continue
            number = int(said["number"])
            try:
                await self._answer(number, said["stages"])
            except FlrError as error:
                await self.tell({"type": "refused", "number": number, "message": error.message})
            except (ArithmeticError, ValueError, LookupError) as error:
                await self.tell(
                    {"type": "refused", "number": number, "message": f"this cannot be counted: {error}"}
                )

    async def _answer(self, number: int, stages: object) -> None:
        desk = self._desk
        move = await run_in_threadpool(desk.move, stages)
        counted = await run_in_threadpool(desk.volumes, move)
        await self.tell({"type": "volumes", "number": number, **counted})
        await self._tell_bytes(PREVIEW, number, await run_in_threadpool(desk.preview, move))
        late = time.monotonic() - self._margins_at >= MARGINS_AT_LEAST_S
        if self._news.is_set() and not late:
            return
        self._margins_at = time.monotonic()
        margins = await run_in_threadpool(desk.margins, move)
        await self.tell({"type": "margins", "number": number, "lesions": margins})
        await self._at_rest(number, move, stages)

    async def _at_rest(self, number: int, move: Move, stages: object) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), REST_S)
            return
        try:
            shapes = await run_in_threadpool(self._desk.shapes, move)
            await self.tell({"type": "shapes", "number": number, "shapes": shapes})
            settled = await run_in_threadpool(self._desk.settle, move)
        except FlrError as error:
            await self.tell({"type": "unsettled", "number": number, "message": error.message})
            return
        if settled is None:
            return
        for plan in await run_in_threadpool(self._desk.note_settled, stages, settled):
            await self._tell_all({"type": "plan", "plan": plan.to_json(), "by": None})
        if not self._news.is_set():
            await self.tell({"type": "settled", "number": number, **settled.facts})
            await self._tell_bytes(OVERLAY, number, settled.overlay)


def _move_in(text: str) -> dict[str, Any] | None:
    """Return a message that asks for the numbers of a plan; None if it is something else."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("type") != "move" or "stages" not in said:
        return None
    number = said.get("number")
    return said if type(number) is int and 0 <= number < 1 << 32 else None
