"""One open page: plans come in as fast as a hand moves, and only the last one counts."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from flr_volumetry.errors import FlrError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from starlette.websockets import WebSocket

    from flr_volumetry.app.review.desk import Desk, Move

    TellAll = Callable[[dict[str, Any]], Awaitable[None]]

PREVIEW, OVERLAY = 1, 2
"""What a binary message holds: its first byte; then three of nothing, and the number of the move."""
MOST_TEXT = 256 * 1024
REST_S = 0.35
"""A plan that has not moved for so long is assessed in full."""


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
        self._counted: tuple[int, Move, object] | None = None
        self._more = asyncio.Event()

    async def serve(self) -> None:
        """Answer until the page is closed."""
        workers = [asyncio.create_task(work()) for work in (self._work, self._measure)]
        try:
            while True:
                await self._take(await self._socket.receive())
        except WebSocketDisconnect:
            pass
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

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
        """Count plans, the last that came each time; never kept waiting by a margin."""
        while True:
            await self._news.wait()
            said, self._pending = self._pending, None
            self._news.clear()
            if said is not None:
                await self._guarded(int(said["number"]), self._answer(int(said["number"]), said["stages"]))

    async def _answer(self, number: int, stages: object) -> None:
        desk = self._desk
        move = await run_in_threadpool(desk.move, stages)
        counted = await run_in_threadpool(desk.volumes, move)
        await self.tell({"type": "volumes", "number": number, **counted})
        await self._tell_bytes(PREVIEW, number, await run_in_threadpool(desk.preview, move))
        self._counted = (number, move, stages)
        self._more.set()

    async def _measure(self) -> None:
        """Measure margins of the last plan that was counted, and assess it in full once it rests."""
        while True:
            await self._more.wait()
            self._more.clear()
            if self._counted is not None:
                number, move, stages = self._counted
                await self._guarded(number, self._slowly(number, move, stages))

    async def _slowly(self, number: int, move: Move, stages: object) -> None:
        margins = await run_in_threadpool(self._desk.margins, move)
        await self.tell({"type": "margins", "number": number, "lesions": margins})
        with suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), REST_S)
            return
        shapes = await run_in_threadpool(self._desk.shapes, move)
        await self.tell({"type": "shapes", "number": number, "shapes": shapes})
        try:
            settled = await run_in_threadpool(self._desk.settle, move)
        except FlrError as error:
            await self.tell({"type": "unsettled", "number": number, "message": error.message})
            return
        if settled is None:
            return
        for plan in await run_in_threadpool(self._desk.note_settled, stages, settled):
            await self._tell_all({"type": "plan", "plan": plan.to_json(), "by": None})
        if not self._more.is_set():
            await self.tell({"type": "settled", "number": number, **settled.facts})
            await self._tell_bytes(OVERLAY, number, settled.overlay)

    async def _guarded(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except FlrError as error:
            await self.tell({"type": "refused", "number": number, "message": error.message})
        except (ArithmeticError, ValueError, LookupError) as error:
            said = f"this cannot be counted: {error}"
            await self.tell({"type": "refused", "number": number, "message": said})


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
