"""Finds the case of a folder, makes it ready, and serves its page until it is stopped."""

from __future__ import annotations

import secrets
import socket
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from flr_volumetry.app.held import held
from flr_volumetry.app.review.desk import Desk
from flr_volumetry.app.review.guard import LOOPBACK, Door
from flr_volumetry.app.review.plans import as_data
from flr_volumetry.app.review.scenery import scenery_of
from flr_volumetry.app.review.session import open_case
from flr_volumetry.app.review.store import PlanStore
from flr_volumetry.errors import CaseError, FlrError, OutputError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.review.store import SavedPlan

TOKEN_BYTES = 32
CASE = "case.toml"
ENDING = "-review"
LOCK = ".lock"


def case_file_of(path: Path) -> Path:
    """Return the case file that is meant by a path.

    Parameters
    ----------
    path : Path
        A case file, or a folder that holds one: case.toml, or the only .toml.

    Returns
    -------
    Path
        Of the case file.

    Raises
    ------
    UnreadableError
        If there is none.
    CaseError
        If there are several.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise UnreadableError(f"{path} is neither a case file nor a folder.", reason="not_found")
    if (path / CASE).is_file():
        return path / CASE
    found = sorted(path.glob("*.toml"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(p.name for p in found[:6])
        raise CaseError(
            f"{path} holds several .toml files ({names}); name the one meant.", reason="ambiguous"
        )
    raise UnreadableError(
        f"{path} holds no case file. Name the .toml file, or a folder that holds it or that flr run wrote.",
        reason="no_case_file",
    )


def default_folder(path: Path) -> Path:
    """Return where the plans of a review are kept if nothing else is said: beside what was named."""
    path = path.resolve()
    return path.with_name(f"{path.stem if path.is_file() else path.name}{ENDING}")


def desk_of(case: Case, path: Path, folder: Path, *, tell: Callable[[str], None]) -> Desk:
    """Make a case ready for its page.

    Parameters
    ----------
    case : Case
        As read.
    path : Path
        Of its file.
    folder : Path
        For the plans.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Desk
        To be served.

    Raises
    ------
    FlrError
        If an input cannot be read, or the folder cannot be used.
    """
    store = PlanStore(folder, as_data(case.stage))
    opened = open_case(case, path.resolve(), tell=tell)
    tell("drawing surfaces")
    desk = Desk(opened, store, scenery_of(opened, version=_version()))
    tell("counting the plans")
    with suppress(FlrError):
        desk.settle(desk.move(as_data(case.stage)))
    for plan in store.all():
        _recount(desk, plan)
    return desk


def _recount(desk: Desk, plan: SavedPlan) -> None:
    """Count a plan anew: masks may have been corrected since it was left."""
    try:
        row = desk.facts(plan.stages)[1]
    except FlrError as error:
        row = {"problem": error.message}
    before = plan.numbers or {}
    if {**row, "states": None} != {**before, "states": None}:
        desk.store.note(plan.id, numbers=row)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a folder of plans to one server at a time; whoever is killed gives it up.

    Parameters
    ----------
    folder : Path
        Made if absent.

    Yields
    ------
    None
        While it is held.

    Raises
    ------
    OutputError
        If another server has it, or it cannot be written.
    """
    with held(
        folder,
        LOCK,
        refusal=f"{folder} is open in another flr review; use the page of that one, or name another --out.",
        reason="folder_in_use",
    ):
        yield


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises
    ------
    OutputError
        If the address is not to be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Whoever opens the address at once waits for the server, rather than being refused.
        listener.listen(128)
    except (OSError, OverflowError) as error:
        raise OutputError(f"{host}:{port} cannot be listened on: {error}.", reason="no_address") from error
    return listener


def serve(desk: Desk, listener: socket.socket, host: str, say: Callable[[str], None]) -> None:
    """Serve the page until the process is told to stop.

    Parameters
    ----------
    desk : Desk
        The case.
    listener : socket
        Bound.
    host : str
        The address that was asked for.
    say : callable
        Called once with the page's address.
    """
    import uvicorn

    from flr_volumetry.app.review.live import MOST_TEXT
    from flr_volumetry.app.review.server import Review

    port = int(listener.getsockname()[1])
    door = Door(secrets.token_urlsafe(TOKEN_BYTES), host, port)
    shown = socket.gethostname() if host in {"0.0.0.0", "::"} else host
    shown = f"[{shown}]" if ":" in shown else shown
    config = uvicorn.Config(
        Review(desk, door).app(),
        log_level="critical",
        access_log=False,
        ws_max_size=4 * MOST_TEXT,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    say(f"http://{shown}:{port}/?token={door.token}")
    uvicorn.Server(config).run(sockets=[listener])


def is_open(host: str) -> bool:
    """Whether an address can be reached from other machines."""
    return host not in LOOPBACK


def _version() -> str:
    try:
        return version("flr-volumetry")
    except PackageNotFoundError:
        return "unknown"
