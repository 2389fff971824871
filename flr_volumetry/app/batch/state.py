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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.program import OTHERWISE, measuring_program, package_version
from flr_volumetry.errors import CaseError, UnreadableError
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flr_volumetry.app.batch.cohort import Job

CASES, STATE, LOGS = "cases", "state", "logs"
KEY_FILE = "batch.json"
DONE, KEPT, FAILED = "done", "kept", "failed"
RULE_TABLES = ("patient", "attested", "assessment")
"""Tables of a case file that nothing measured depends on."""
RULE_KEYS = {"uncertainty": ("remnant_relative_sd", "liver_relative_sd")}
MEASURED_KEYS = {"function": ("map", "map_kind", "map_background")}
"""Keys of the others: those that nothing depends on, and those that alone something does."""
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
        SHA-256 of all that the result depends on (`Key.whole`).
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


@dataclass(frozen=True, slots=True)
class Key:
    """What a result depends on, as digests.

    Parameters
    ----------
    case, inputs, program : str
        Of the part of the case file that is measured, of the files it names, and of the program but its
        rules.
    rules : str
        Of patient, tests, what is attested, protocols, and the program's own rules.
    """

    case: str
    inputs: str
    program: str
    rules: str

    @property
    def measured(self) -> tuple[str, str, str]:
        """All but the rules."""
        return self.case, self.inputs, self.program

    @property
    def whole(self) -> str:
        """One digest of all of it."""
        return _digest([*self.measured, self.rules])

    def note(self, job: Job) -> bytes:
        """Return the file that a result carries."""
        said = {"key": self.whole, "case": job.folder, "made_from": asdict(self)}
        return (json.dumps(said, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def made_from(out_dir: Path, folder: str) -> Key | None:
    """Return the key that a finished result, by its folder, was made from; None if there is none."""
    try:
        data = json.loads((out_dir / CASES / folder / KEY_FILE).read_text(encoding="utf-8"))
        found = Key(**{name: str(value) for name, value in data["made_from"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if found.whole == data["key"] else None


def key_of(job: Job, before: Known | None, baseline: Key | None = None) -> tuple[Key, dict[str, Stamp]]:
    """Digest all that a result depends on: the case, its inputs, its protocols, this version.

    Parameters
    ----------
    job : Job
        The case.
    before : Known or None
        What an earlier run knew of its inputs.
    baseline : Key or None
        What the case of the cohort was made from that it follows.

    Returns
    -------
    Key
        SHA-256 of each part.
    dict
        Of each input its size, time and SHA-256.

    Raises
    ------
    UnreadableError
        If an input cannot be read.
    """
    earlier = before.files if before is not None else {}
    measured, rules = parts_of(job.data)
    inputs = _stamped(job, measured, earlier)
    return _key(job, measured, rules, inputs, _stamped(job, rules, earlier), baseline), inputs


def key_again(job: Job, before: Known | None, baseline: Key | None = None) -> tuple[Key, dict[str, Stamp]]:
    """Digest all that a result depends on, without opening an input of what was measured.

    Parameters
    ----------
    job : Job
        The case.
    before : Known or None
        What an earlier run knew of its inputs. Those that are gone are taken as they were.
    baseline : Key or None
        What the case of the cohort was made from that it follows.

    Returns
    -------
    tuple of Key and dict
        As `key_of` gives it, if nothing was changed.

    Raises
    ------
    CaseError
        If an input changed by size or time, or nothing is known of it ("measured_otherwise").
    """
    measured, rules = parts_of(job.data)
    known = before.files if before is not None else {}
    for path in _named_files(job, measured):
        stamp = known.get(str(path))
        status = path.stat()
        if stamp is None or stamp[:2] != (status.st_size, status.st_mtime_ns):
            raise CaseError(
                f"{path} is not as it was when the case was measured, or nothing is known of that; run the "
                "case without --rules-only.",
                reason=OTHERWISE,
            )
    return _key(job, measured, rules, known, _stamped(job, rules, {}), baseline), known


def parts_of(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide a case file into what is measured and what it is judged by.

    Parameters
    ----------
    data : mapping
        The contents of a case file.

    Returns
    -------
    measured, rules : dict
        Every key in one of them.
    """
    measured, rules = {}, {}
    for table, content in data.items():
        if table in RULE_TABLES:
            rules[table] = content
        elif table in RULE_KEYS and isinstance(content, dict):
            rules[table] = {k: v for k, v in content.items() if k in RULE_KEYS[table]}
            measured[table] = {k: v for k, v in content.items() if k not in RULE_KEYS[table]}
        elif table in MEASURED_KEYS and isinstance(content, dict):
            measured[table] = {k: v for k, v in content.items() if k in MEASURED_KEYS[table]}
            rules[table] = {k: v for k, v in content.items() if k not in MEASURED_KEYS[table]}
        else:
            measured[table] = content
    return {k: v for k, v in measured.items() if v != {}}, rules


def _key(
    job: Job,
    measured: dict[str, Any],
    rules: dict[str, Any],
    inputs: Mapping[str, Stamp],
    judged_by: Mapping[str, Stamp],
    baseline: Key | None,
) -> Key:
    files = {os.path.relpath(name, job.root): stamp[2] for name, stamp in inputs.items()}
    asked = [package_version(), rules, sorted((Path(n).name, s[2]) for n, s in judged_by.items())]
    return Key(
        _digest(measured),
        _digest(files if baseline is None else [files, baseline.measured]),
        measuring_program(),
        _digest(asked if baseline is None else [asked, baseline.rules]),
    )


def _digest(value: Any) -> str:
    raw = json.dumps(value, sort_keys=True, default=str).encode("utf-8", "backslashreplace")
    return hashlib.sha256(raw).hexdigest()


def _stamped(job: Job, data: Any, earlier: Mapping[str, Stamp]) -> dict[str, Stamp]:
    return {str(path): _stamp(path, earlier.get(str(path))) for path in _named_files(job, data)}


def _named_files(job: Job, data: Any) -> list[Path]:
    if job.after:
        # The name of a case is no path, even if a folder happens to be called so.
        data = {k: v for k, v in data.items() if k != "followup"}
    return sorted({path for text in _texts(data) for path in _inputs(job.root, text)})


def input_files(job: Job) -> list[Path]:
    """Return every file that is measured: that a case file names, or that lies in a folder it names.

    Parameters
    ----------
    job : Job
        The case.

    Returns
    -------
    list of Path
        In order, each once.
    """
    return _named_files(job, parts_of(job.data)[0])


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
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns, found.hexdigest()
