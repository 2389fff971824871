"""A result is written whole, or not at all."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flr_volumetry.app import write
from flr_volumetry.app.write import replacing, require_writable
from flr_volumetry.errors import OutputError

MARKER = "report.json"


def put(folder, text):
    (folder / "figures").mkdir()
    (folder / "figures" / "a.png").write_text(text)
    (folder / MARKER).write_text(json.dumps({"text": text, "outputs": [{"path": "figures/a.png"}]}))


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_new_folder_appears_whole(tmp_path):
    """Until the end there is nothing under its name; afterwards nothing beside it."""
    out = tmp_path / "deep" / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")
        assert not out.exists()

    assert files(out) == ["figures", "figures/a.png", "report.json"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("exchange", [True, False])
def test_an_earlier_result_is_replaced(tmp_path, exchange, monkeypatch):
    """With the system's exchange of names, and without it."""
    if not exchange:
        monkeypatch.setattr(write, "_exchange", lambda a, b: False)
    for text in ("one", "two"):
        with replacing(tmp_path / "out", MARKER) as folder:
            put(folder, text)

    assert (tmp_path / "out" / "figures" / "a.png").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_mounted_folder_is_filled_from_within(tmp_path, monkeypatch):
    """A folder that cannot be renamed gets the new files, loses the old ones, the marker last."""
    out = tmp_path / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")
        (folder / "old.txt").write_text("x")
        (folder / MARKER).write_text(
            json.dumps({"outputs": [{"path": "figures/a.png"}, {"path": "old.txt"}]})
        )
    monkeypatch.setattr(write, "_only_inside", lambda out_dir: out_dir.is_dir())
    inode = out.stat().st_ino

    with replacing(out, MARKER) as folder:
        assert folder.parent == out
        put(folder, "two")

    assert out.stat().st_ino == inode
    assert files(out) == ["figures", "figures/a.png", "report.json"]
    assert (out / "figures" / "a.png").read_text() == "two"


def interrupted(out):
    with replacing(out, MARKER) as folder:
        (folder / MARKER).write_text("half")
        raise KeyboardInterrupt


def test_an_error_leaves_the_earlier_result(tmp_path):
    """Whatever goes wrong while writing, the old files stay and no new ones are left over."""
    out = tmp_path / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")
    with pytest.raises(KeyboardInterrupt):
        interrupted(out)

    assert (out / "figures" / "a.png").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_killed_run_leaves_the_earlier_result_and_the_next_one_tidies_up(tmp_path):
    """SIGKILL in the middle of writing: the old result stands; the next run removes the remains."""
    out = tmp_path / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")
    code = f"""
    import sys, time
    from pathlib import Path
    from flr_volumetry.app.write import replacing
    with replacing(Path({str(out)!r}), {MARKER!r}) as folder:
        (folder / {MARKER!r}).write_text("half")
        print("ready", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert (out / "figures" / "a.png").read_text() == "one"
    assert len(list(tmp_path.iterdir())) == 2

    with replacing(out, MARKER) as folder:
        put(folder, "two")

    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (out / "figures" / "a.png").read_text() == "two"


def without_exchange(monkeypatch, *, second):
    """Where the system cannot exchange names, and the second of the two renames does not happen."""
    monkeypatch.setattr(write, "_exchange", lambda a, b: False)
    rename, count = Path.rename, iter(range(10))

    def renaming(self, target):
        if next(count) == 1:
            second()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renaming)


def test_a_rename_that_fails_brings_the_earlier_result_back(tmp_path, monkeypatch):
    """Between the two renames there is no folder; it must not stay so."""
    out = tmp_path / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")

    def fail():
        raise PermissionError(13, "Permission denied")

    without_exchange(monkeypatch, second=fail)
    with pytest.raises(OutputError, match="Permission denied"), replacing(out, MARKER) as folder:
        put(folder, "two")

    assert (out / "figures" / "a.png").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_run_killed_between_two_renames_loses_nothing(tmp_path):
    """The next run finds the earlier result under its other name, and puts it back."""
    out = tmp_path / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    out.rename(tmp_path / f".out.partial-{int(process.stdout)}-x-old")

    require_writable(out)

    assert (out / "figures" / "a.png").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_somebody_elses_files_are_never_removed(tmp_path):
    """A folder with other files, alone or beside an earlier result, is refused before any work."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    with pytest.raises(
        OutputError, match=r"no earlier run wrote, .*\(thesis\.tex\); nothing was written"
    ) as caught:
        require_writable(other)
    assert caught.value.reason == "folder_in_use"
    out = tmp_path / "out"
    with replacing(out, MARKER) as folder:
        put(folder, "one")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        require_writable(out)

    assert (other / "thesis.tex").read_text() == "precious"
    assert (out / "notes.txt").read_text() == "mine"


def test_an_edited_output_is_never_overwritten(tmp_path):
    """A partition corrected by hand has another digest; a folder of a like name is not ours either."""
    out = tmp_path / "out"
    digest = hashlib.sha256(b"one").hexdigest()
    with replacing(out, MARKER) as folder:
        (folder / "partition").write_text("one")
        (folder / MARKER).write_text(json.dumps({"outputs": [{"path": "partition", "sha256": digest}]}))
    require_writable(out)
    (out / "x.partial-1").mkdir()
    (out / "x.partial-1" / "precious").write_text("mine")
    with pytest.raises(OutputError, match="precious"):
        require_writable(out)
    shutil.rmtree(out / "x.partial-1")
    (out / "partition").write_text("corrected")
    with pytest.raises(OutputError, match="partition"):
        require_writable(out)


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    """A file in the way, a folder below a file, a file system without room for folders."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file; --out needs a folder"):
        require_writable(tmp_path / "file")
    with pytest.raises(OutputError, match=r"out cannot be written: .*file is a file, not a folder\."):
        require_writable(tmp_path / "file" / "out")
    if Path("/proc/self").exists():
        with pytest.raises(OutputError, match="cannot be written"):
            require_writable(Path("/proc/flr/out"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    """The usual case on a workstation."""
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        require_writable(tmp_path / "out")
    tmp_path.chmod(0o700)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    """No space left while flushing: the reason code says so, and nothing is left."""

    def no_space(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_flush", no_space)
    with (
        pytest.raises(OutputError, match="No space left on device") as caught,
        replacing(tmp_path / "out", MARKER) as folder,
    ):
        put(folder, "one")

    assert caught.value.reason == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(OutputError, match="too long"):
        require_writable(Path("a" * 5000), MARKER)
