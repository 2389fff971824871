"""A case file with names in braces, and what stands for them from case to case."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import CaseError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.]*)\}")
Data = dict[str, Any]


def read_toml(path: Path) -> Data:
    """Read a file that people wrote.

    Parameters
    ----------
    path : Path
        TOML, UTF-8.

    Returns
    -------
    dict
        Its contents.

    Raises
    ------
    UnreadableError
        If it cannot be read.
    CaseError
        If it is not TOML.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UnreadableError(f"{path}: the file cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{path}: this is not TOML: {error}", reason="not_toml") from error


def filled(
    value: Any, known: Mapping[str, str], where: str, *, as_text: Collection[str] = ("name", "folder")
) -> Any:
    """Put what a case is called, and the cells of its row, in the place of {name}s.

    Parameters
    ----------
    value : any
        What TOML gives: a table, an array, a text.
    known : mapping of str to str
        What each name stands for.
    where : str
        What to call it in messages.
    as_text : collection of str
        Names that stand for text; another that is all of a value is read as TOML would read it, and leaves
        its key out where it is empty.

    Returns
    -------
    any
        The same with the names replaced.

    Raises
    ------
    CaseError
        If a name is not known.
    """
    if isinstance(value, dict):
        found = {key: filled(item, known, where, as_text=as_text) for key, item in value.items()}
        # An empty cell leaves its key out.
        return {key: item for key, item in found.items() if item is not None}
    if isinstance(value, list):
        return [filled(item, known, where, as_text=as_text) for item in value]
    if not isinstance(value, str):
        return value
    missing = [name for name in PLACEHOLDER.findall(value) if name not in known]
    if missing:
        raise CaseError(
            f"{where}: there is no {{{missing[0]}}} here; known are "
            + ", ".join(f"{{{name}}}" for name in known),
            reason="unknown_placeholder",
        )
    whole = PLACEHOLDER.fullmatch(value)
    if whole and whole[1] not in as_text:
        cell = known[whole[1]].strip()
        return typed(cell) if cell else None
    return PLACEHOLDER.sub(lambda found: known[found[1]], value)


def typed(cell: str) -> Any:
    """Read a cell as TOML would read the value; what it would not is text."""
    try:
        return tomllib.loads(f"cell = {cell.strip()}")["cell"]
    except tomllib.TOMLDecodeError:
        return cell.strip()
