"""The command ``flr review``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flr_volumetry.app.console import progress, refusing


@click.command()
@click.argument("path", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for plans and their reports; beside DIR, with -review behind its name, if not given.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that relative paths of the case file start from; its own folder if not given.",
)
@click.option("--series", help="Which series of the image folder: its number in the list, or its UID.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; a free one if not given.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--allow-network", is_flag=True, help="Let other machines reach the page.")
@click.option("--open", "browse", is_flag=True, help="Open the page in the default browser.")
def review(path: Path, folder: Path | None, root: Path | None, series: str | None, **asked: Any) -> None:
    r"""Serve a local web page to move the cut and see the numbers follow.

    DIR is a case file, a folder that holds one, or a folder that flr run wrote. The page's address, with a
    secret in it, is printed; whoever has it sees the patient. Plans are kept as they are changed: as case
    files to run, and as markups for 3D Slicer. Ctrl-C ends the server.

    \b
    Example:
        flr review sample_data --out build/review
    """
    from flr_volumetry.app.case import read_case
    from flr_volumetry.app.review import start

    host = asked["host"]
    if start.is_open(host) and not asked["allow_network"]:
        raise click.UsageError(
            f"--host {host} would let other machines reach the page; if that is meant, add --allow-network."
        )
    if start.is_open(host):
        click.echo(
            "Warning: the page can be reached from other machines, unencrypted. Whoever sees its address, "
            "or the traffic, sees the patient.",
            err=True,
        )

    def say(address: str) -> None:
        click.echo(address)
        click.echo("Open this address in a browser. Ctrl-C ends the server.", err=True)
        if asked["browse"]:
            click.launch(address)

    with refusing():
        case_file = start.case_file_of(path)
        case = read_case(case_file)
        case = case.with_root(root) if root is not None else case
        case = case.with_series(series) if series is not None else case
        plans = folder or start.default_folder(path)
        with start.claimed(plans):
            with progress() as tell:
                listener = start.listening(host, asked["port"])
                desk = start.desk_of(case, case_file, plans, tell=tell)
            click.echo(f"plans: {plans}", err=True)
            start.serve(desk, listener, host, say)
