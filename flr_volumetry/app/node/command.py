"""``flr node``: a node of the hospital's network, from the command line."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flr_volumetry.app.console import refusing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.app.node.ledger import Ledger
    from flr_volumetry.app.node.records import Sending, Study
    from flr_volumetry.app.node.settings import NodeSettings

FILE = click.argument("file", metavar="NODE.toml", type=click.Path(path_type=Path))
NOT_REACHED = 3
MOST_SHOWN = 20


@click.group()
def node() -> None:
    r"""Receive studies over the network, run the recipe that fits, and send the results back.

    NODE.toml says where the node listens, who may send, which recipe is for which studies, and where
    results go.

    \b
    Example:
        flr node check node.toml
        flr node run node.toml
    """


@node.command()
@FILE
def run(file: Path) -> None:
    """Run the node until it is stopped (Ctrl-C, SIGTERM).

    One line for each thing that happens goes to standard error, without patient data. What was received
    and what is to be sent survives an end of any kind: start it again, and it goes on.
    """
    from flr_volumetry.app.node.log import node_log
    from flr_volumetry.app.node.service import Node, require_room
    from flr_volumetry.app.node.settings import read_settings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with refusing():
        settings = read_settings(file)
        require_room(settings)
        Node(settings, node_log()).serve(stop)


@node.command()
@FILE
@click.option("--offline", is_flag=True, help="Ask no destination.")
def check(file: Path, offline: bool) -> None:  # noqa: FBT001 - click passes it
    """Check the node's file, its recipes, and whether each destination answers.

    Exit status: 0 all is well; 1 the file or a recipe is wrong; 3 a destination does not answer.
    """
    from flr_volumetry.app.network.client import echo
    from flr_volumetry.app.node.matching import require_recipes
    from flr_volumetry.app.node.settings import read_settings
    from flr_volumetry.app.node.tls import tls_context
    from flr_volumetry.errors import FlrError

    with refusing():
        settings = read_settings(file)
        require_recipes(settings)
        if settings.file.node.tls is not None:
            tls_context(settings.file.node.tls, settings)
    for recipe in settings.file.recipe:
        click.echo(f"recipe {recipe.name}: {recipe.case}, to {', '.join(recipe.to) or 'nowhere'}")
    silent = 0
    for name, peer in () if offline else settings.peers.items():
        try:
            echo(peer)
            click.echo(f"{name}: answers")
        except FlrError as error:
            silent += 1
            click.echo(f"{name}: {error.message} [{error.reason}]")
    for name, folder in settings.folders.items():
        click.echo(f"{name}: {folder}")
    if silent:
        raise SystemExit(NOT_REACHED)


@node.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.option("--most", type=click.IntRange(min=0), default=MOST_SHOWN, show_default=True, help="Studies.")
def status(file: Path, as_json: bool, most: int) -> None:  # noqa: FBT001 - click passes it
    """Say what is queued, running, done, failed and to be sent; the node may be running or not."""
    from flr_volumetry.app.node.deliveries import Deliveries

    with _opened(file) as (settings, ledger):
        listed: list[Any] = [
            _told(study, Deliveries(ledger).sendings(study.number)) for study in ledger.studies(most=most)
        ]
        counts = {state.value: count for state, count in ledger.counts().items()}
        waiting = [
            {"peer": peer, "state": state.value, "objects": count}
            for (peer, state), count in sorted(Deliveries(ledger).sendings().items())
        ]
    if as_json:
        click.echo(json.dumps({"studies": counts, "deliveries": waiting, "latest": listed}, indent=2))
        return
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
    for one in waiting:
        click.echo(f"to {one['peer']}: {one['objects']} {one['state']}")
    for one in listed:
        reason = f" [{one['reason']}] {one['message']}" if one["reason"] else ""
        objects: dict[str, int] = one["objects"]
        sent = "".join(f", {count} {words}" for words, count in objects.items())
        click.echo(f"study {one['number']}: {one['state']} since {one['since']}{sent}{reason}")
    click.echo(f"results: {settings.folder / 'cases'}", err=True)


@node.command()
@FILE
@click.argument("number", metavar="STUDY", type=int)
def again(file: Path, number: int) -> None:
    """Run a study that failed or fitted no recipe once more, and send what was refused or given up."""
    from flr_volumetry.app.node.deliveries import Deliveries

    with _opened(file) as (_, ledger):
        queued = ledger.again(number)
        resent = Deliveries(ledger).resend(number)
    if not queued and not resent:
        raise click.ClickException(
            f"study {number} is not there, is at work, or its files are gone; see flr node status."
        )
    click.echo(
        f"study {number}: {'queued' if queued else 'not run again'}, {resent} objects to be sent again"
    )


@contextmanager
def _opened(file: Path) -> Iterator[tuple[NodeSettings, Ledger]]:
    from flr_volumetry.app.node.ledger import Ledger
    from flr_volumetry.app.node.settings import read_settings

    with refusing():
        settings = read_settings(file)
        queue = settings.folder / "queue.sqlite"
        if not queue.is_file():
            raise click.ClickException(f"{settings.folder} holds no queue: the node has not run yet.")
        ledger = Ledger(queue)
    try:
        yield settings, ledger
    except OSError as error:
        raise click.ClickException(f"{error.strerror or error}; try again in a moment.") from error
    finally:
        ledger.close()


def _told(study: Study, sendings: dict[tuple[str, Sending], int]) -> dict[str, Any]:
    return {
        "number": study.number,
        "state": study.state.value,
        "since": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(study.since)),
        "recipe": study.recipe,
        "reason": study.reason,
        "message": study.message,
        "seconds": round(study.seconds, 1),
        "objects": {f"{state.value} {peer}": count for (peer, state), count in sorted(sendings.items())},
    }
