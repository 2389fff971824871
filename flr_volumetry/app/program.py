"""Which program this is, by what it is made of: results of another one are not taken for its own."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

MADE_OF: Final = frozenset({".py", ".toml", ".j2", ".json", ".js", ".css", ".typ"})
OTHERWISE: Final = "measured_otherwise"
"""The reason code of what cannot be judged again, only run again."""
RULES: Final = "assessment"
"""The room of rules and protocols. Nothing that is measured depends on it."""


def package_version() -> str:
    """Version of the package; of a checkout, with a digest of its source, which changes without it."""
    try:
        number = version("flr-volumetry")
    except PackageNotFoundError:
        number = "unknown"
    return f"{number}+{_digest(measuring=False)}"


def measuring_program() -> str:
    """Digest of all of the package but its rules: what measured by one may be judged again by the other."""
    return _digest(measuring=True)


@cache
def _digest(*, measuring: bool) -> str:
    found = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(p for p in package.rglob("*") if p.suffix in MADE_OF):
        inside = path.relative_to(package)
        if not (measuring and inside.parts[0] == RULES):
            found.update(inside.as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
