"""The server of the page: a handful of routes on the own machine."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from flr_volumetry.app.review.guard import Guard
from flr_volumetry.app.review.live import Page
from flr_volumetry.app.review.reporting import make_report
from flr_volumetry.errors import CaseError, FlrError
from flr_volumetry.report.viewer import NIIVUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from flr_volumetry.app.review.desk import Desk
    from flr_volumetry.app.review.guard import Door

PAGE = "review.html"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".json": "application/json"}
NOT_THERE = {"no_plan", "no_file", "no_report"}


class Review:
    """The routes, and the pages that are open.

    Parameters
    ----------
    desk : Desk
        The case and its plans.
    door : Door
        Who may ask.
    """

    def __init__(self, desk: Desk, door: Door) -> None:
        self._desk, self._door = desk, door
        self._pages: set[Page] = set()
        self._reports: dict[str, asyncio.Task[None]] = {}

    def app(self) -> Starlette:
        """Return the application, guarded."""
        routes = [
            Route("/", self._page),
            Route("/static/{name}", self._static),
            Route("/api/scene", self._scene),
            Route("/api/array/{name}", self._array),
            Route("/api/surface/{name}", self._surface),
            Route("/api/plans", self._plans, methods=["GET", "POST"]),
            Route("/api/plans/{key}", self._plan, methods=["PATCH", "DELETE"]),
            Route("/api/plans/{key}/report", self._report, methods=["POST"]),
            Route("/api/plans/{key}/{name}", self._file),
            Route("/report/{key}/{path:path}", self._report_file),
            WebSocketRoute("/live", self._live),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, door=self._door)],
            exception_handlers={FlrError: _refused},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        tasks = list(self._reports.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _page(self, request: Request) -> Response:
        own = files("flr_volumetry.app.review").joinpath("static")
        answer = Response(own.joinpath(PAGE).read_text(encoding="utf-8"), media_type="text/html")
        if "token" in request.query_params:
            answer.set_cookie(self._door.cookie, self._door.token, httponly=True, samesite="strict", path="/")
        return answer

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        place = "flr_volumetry.report" if name == NIIVUE else "flr_volumetry.app.review"
        folder = files(place).joinpath("static")
        if name not in {NIIVUE, *(entry.name for entry in folder.iterdir())}:
            return PlainTextResponse("there is no such file", 404)
        kind = TYPES.get(Path(name).suffix, "application/octet-stream")
        return Response(folder.joinpath(name).read_bytes(), media_type=kind)

    async def _scene(self, _: Request) -> Response:
        where = {"folder": str(self._desk.store.folder), "port": self._door.port}
        return JSONResponse({**self._desk.scenery.facts, **where})

    async def _array(self, request: Request) -> Response:
        return _packed(self._desk.scenery.arrays, request.path_params["name"])

    async def _surface(self, request: Request) -> Response:
        data = self._desk.scenery.surfaces.get(request.path_params["name"])
        if data is None:
            return PlainTextResponse("there is no such surface", 404)
        return Response(data, media_type="application/octet-stream")

    async def _plans(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse([plan.to_json() for plan in self._desk.store.all()])
        said = await _json(request)
        saved = await run_in_threadpool(self._desk.add, str(said.get("name", "")), said.get("stages"))
        await self._tell({"type": "plan", "plan": saved.to_json(), "by": said.get("by")})
        return JSONResponse(saved.to_json(), 201)

    async def _plan(self, request: Request) -> Response:
        key = request.path_params["key"]
        if request.method == "DELETE":
            self._desk.store.delete(key)
            await self._tell({"type": "deleted", "id": key})
            return Response(status_code=204)
        said = await _json(request)
        if "name" in said:
            saved = self._desk.store.rename(key, str(said["name"]))
        else:
            saved = await run_in_threadpool(self._desk.change, key, said.get("stages"))
        await self._tell({"type": "plan", "plan": saved.to_json(), "by": said.get("by")})
        return JSONResponse(saved.to_json())

    async def _file(self, request: Request) -> Response:
        endings = {"case.toml": "toml", "plan.mrk.json": "mrk.json"}
        name = request.path_params["name"]
        if name not in endings:
            return PlainTextResponse("there is no such file", 404)
        path = await run_in_threadpool(self._desk.file_of, request.path_params["key"], endings[name])
        return FileResponse(path, filename=name, media_type="application/octet-stream")

    async def _report(self, request: Request) -> Response:
        key = request.path_params["key"]
        saved = self._desk.store.get(key)
        if key in self._reports:
            return JSONResponse({"running": True}, 202)
        where = await run_in_threadpool(self._desk.files, key)
        if "toml" not in where:
            raise CaseError("nothing is cut in this plan: there is nothing to report", reason="empty_plan")
        task = asyncio.create_task(self._run(key, saved.revision, Path(where["toml"])))
        self._reports[key] = task
        return JSONResponse({"running": True}, 202)

    async def _run(self, key: str, revision: int, toml: Path) -> None:
        async def tell(step: str) -> None:
            await self._tell({"type": "report", "id": key, "step": step})

        try:
            await tell("starting")
            problem = await make_report(toml, self._desk.report_folder(key), tell)
            if problem:
                await self._tell({"type": "report", "id": key, "problem": problem})
                return
            saved = self._desk.store.note(key, report={"revision": revision})
            await self._tell({"type": "plan", "plan": saved.to_json(), "by": None})
            await self._tell({"type": "report", "id": key, "done": f"/report/{key}/report.html"})
        except FlrError as error:
            await self._tell({"type": "report", "id": key, "problem": error.message})
        finally:
            self._reports.pop(key, None)

    async def _report_file(self, request: Request) -> Response:
        folder = self._desk.report_folder(request.path_params["key"]).resolve()
        try:
            path = (folder / request.path_params["path"]).resolve()
            there = path.is_relative_to(folder) and path.is_file()
        except (OSError, ValueError):
            there = False
        if not there:
            return PlainTextResponse("there is no such file", 404)
        kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        return FileResponse(path, media_type=kind or "application/octet-stream")

    async def _live(self, socket: WebSocket) -> None:
        await socket.accept()
        page = Page(socket, self._desk, self._tell)
        self._pages.add(page)
        try:
            await page.serve()
        finally:
            self._pages.discard(page)

    async def _tell(self, said: dict[str, Any]) -> None:
        await asyncio.gather(*(page.tell(said) for page in list(self._pages)))


async def _json(request: Request) -> dict[str, Any]:
    try:
        said = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise CaseError(f"the request is no JSON: {error}", reason="not_json") from error
    if not isinstance(said, dict):
        raise CaseError("the request is JSON, but no object", reason="not_json")
    return said


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, FlrError)
    status = 404 if error.reason in NOT_THERE else 409 if error.reason == "original" else 422
    return JSONResponse({"message": error.message, "reason": error.reason}, status)


def _packed(arrays: dict[str, bytes], name: str) -> Response:
    if name not in arrays:
        return PlainTextResponse("there is no such array", 404)
    return Response(arrays[name], media_type="application/octet-stream", headers={"content-encoding": "gzip"})
