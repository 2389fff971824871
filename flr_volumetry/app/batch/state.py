"""What is known of each case of a cohort, in files: its result says what it was made from, itself.

The folder is the state, and not a database beside it: a result and the key of what it was made from appear
by one rename, so that they cannot disagree, whatever is killed when; network disks, on which a database's
locks do not hold, are where cohorts lie.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import UnreadableError
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.app.batch.cohort import Job

CASES, STATE, LOGS = "cases", "state", "logs"
KEY_FILE = "batch.json"
DONE, KEPT, FAILED = "done", "kept", "failed"
CHUNK = 1 << 22
Stamp = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What became of one case.

    Parameters
    ----------
    status : str
        "done", "kept" (done by an earlier run, from the same inputs) or "failed".
    reason : str
        The reason code of what failed; empty if nothing did.
    message : str
        And what was wrong.
    key : str
        SHA-256 of all that the result depends on.
    seconds : float
        That it took, the last try only.
    tries : int
        How often it was begun for this result.
    files : dict
        Size, time of the last change (ns) and SHA-256 of each input: those unchanged by size and time are
        not read again.
    """

    status: str
    reason: str = ""
    message: str = ""
    key: str = ""
    seconds: float = 0.0
    tries: int = 0
    files: dict[str, Stamp] = field(default_factory=dict, repr=False)


def state_file(out_dir: Path, job: Job) -> Path:
    """Return the file with what is known of a case."""
    return out_dir / STATE / f"{job.folder.replace('/', '@')}.json"


def known_of(out_dir: Path, job: Job) -> Known | None:
    """Read what is known of a case.

    Parameters
    ----------
    out_dir : Path
        Of the cohort.
    job : Job
        The case.

    Returns
    -------
    Known or None
        None if nothing is, or the file was damaged: then the case is looked at anew.
    """
    try:
        data = json.loads(state_file(out_dir, job).read_text(encoding="utf-8"))
        files = {str(p): (int(a), int(b), str(c)) for p, (a, b, c) in data.pop("files").items()}
        return Known(**data, files=files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remember(out_dir: Path, job: Job, known: Known) -> None:
    """Write what is known of a case, as a whole or not at all.

    Parameters
    ----------
    out_dir : Path
        Of the cohort.
    job : Job
        The case.
    known : Known
        What became of it.
    """
    put(state_file(out_dir, job), json.dumps(asdict(known), indent=1))


def put(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole, or as it was before.

    Parameters
    ----------
    path : Path
        Where; its folder is made.
    content : str or bytes
        Text is written as UTF-8, what a file name holds beside it escaped.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    write_atomically(path, [raw])


def made_from(out_dir: Path, job: Job) -> str:
    """Return the key that a finished result was made from; empty if there is none."""
    try:
        data = json.loads((out_dir / CASES / job.folder / KEY_FILE).read_text(encoding="utf-8"))
        return str(data["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def key_of(job: Job, before: Known | None) -> tuple[str, dict[str, Stamp]]:
    """Digest all that a result depends on: the case, its inputs, its protocols, this version.

    Parameters
    ----------
    job : Job
        The case.
    before : Known or None
        What an earlier run knew of its inputs.

    Returns
    -------
    str
        SHA-256.
    dict
        Of each input its size, time and SHA-256.

    Raises
    ------
    UnreadableError
        If an input cannot be read.
    """
    earlier = before.files if before is not None else {}
    files: dict[str, Stamp] = {}
    named: dict[str, str] = {}
    for path in input_files(job):
        name = str(path)
        files[name] = _stamp(path, earlier.get(name))
        named[os.path.relpath(name, job.root)] = files[name][2]
    whole = {"version": package_version(), "case": job.data, "inputs": named}
    raw = json.dumps(whole, sort_keys=True, default=str).encode("utf-8", "backslashreplace")
    return hashlib.sha256(raw).hexdigest(), files


def input_files(job: Job) -> list[Path]:
    """Return every file that a case file names, or that lies in a folder it names.

    Parameters
    ----------
    job : Job
        The case.

    Returns
    -------
    list of Path
        In order, each once.
    """
    return sorted({path for text in _texts(job.data) for path in _inputs(job.root, text)})


def package_version() -> str:
    """Version of the package; of a checkout, with a digest of its source, which changes without it."""
    try:
        number = version("flr-volumetry")
    except PackageNotFoundError:
        number = "unknown"
    return f"{number}+{_SOURCE}"


def _source_digest() -> str:
    found = hashlib.sha256()
    package = Path(__file__).parents[2]
    for path in sorted(p for p in package.rglob("*") if p.suffix in (".py", ".toml", ".j2", ".json", ".js")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


_SOURCE = _source_digest()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _inputs(root: Path, text: str) -> list[Path]:
    """Files that a text of a case file names; none if it names none."""
    try:
        path = root / Path(text).expanduser()
        if not text.strip() or not path.exists():
            return []
        path = path.resolve()
        if path == root.resolve():
            return []
        # A DICOMDIR stands for the files that it lists, which lie below it.
        if path.is_file() and path.name.upper() == "DICOMDIR":
            path = path.parent
        return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    except (OSError, ValueError, RuntimeError):
        return []


def _stamp(path: Path, earlier: Stamp | None) -> Stamp:
    try:
        status = path.stat()
        if earlier is not None and earlier[:2] == (status.st_size, status.st_mtime_ns):
            return earlier
        found = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns, found.hexdigest()
