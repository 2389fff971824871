"""What the commands share: refusals, progress on a terminal, width of tables."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from flr_volumetry.errors import FlrError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Refusal(click.ClickException):
    """An FlrError on its way to the user: the message, and the reason code."""

    def __init__(self, error: FlrError) -> None:
        super().__init__(f"{error.message} [{error.reason}]")


@contextmanager
def refusing() -> Iterator[None]:
    """Turn an FlrError into a refusal that the command line prints."""
    try:
        yield
    except FlrError as error:
        raise Refusal(error) from error


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Show the present step on a terminal; say nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield status.update


def table_width() -> int:
    """Return how many columns a table may take: the terminal's, and at least 100."""
    return max(100, shutil.get_terminal_size((100, 24)).columns)
