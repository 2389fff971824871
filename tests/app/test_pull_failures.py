"""What goes wrong while studies are pulled: said, never kept by half, taken up by the next run."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager

import pydicom
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.app.network import keeping
from flr_volumetry.app.network.instances import is_uid
from flr_volumetry.errors import OutputError
from tests.app.archives import an_object, closed_port, dicom_archive, saved, web_archive


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@contextmanager
def archive_of(way, tmp_path, answer_s=10):
    """An archive with three objects of one series, and the options of `flr pull` that mean it."""
    peers = tmp_path / "peers.toml"
    objects = [an_object(n) for n in range(3)]
    if way == "wado":
        with web_archive() as archive:
            archive.held |= {
                f"1.2.3.1.1.{n}": p.read_bytes() for n, p in enumerate(saved(tmp_path, *objects))
            }
            peers.write_text(f'[[peer]]\nname = "pacs"\nkind = "dicomweb"\nurl = "{archive.address}"\n')
            yield archive, ["--peer", "pacs", "--peers", peers, "--study-uid", "1.2.3.1"]
        return
    port = closed_port()
    with dicom_archive(get=way != "no get", roles=way != "no roles") as archive:
        archive.hold(*objects)
        archive.destinations["FLR"] = ("127.0.0.1", port)
        where = f'ae_title = "PACS"\nhost = "127.0.0.1"\nport = {archive.port}\nanswer_s = {answer_s}\n'
        peers.write_text(f'[[peer]]\nname = "pacs"\n{where}')
        by = "auto" if way.startswith("no ") else way
        words = ["--peer", "pacs", "--peers", peers, "--study-uid", "1.2.3.1", "--by", by]
        yield archive, [*words, "--port", port]


def there(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


ALL_THREE = [f"1.2.3.1/1.2.3.1.1/1.2.3.1.1.{n}.dcm" for n in range(3)]


@pytest.mark.parametrize("way", ["get", "move", "wado"])
def test_what_does_not_come_is_said_and_fetched_by_the_next_run(way, tmp_path):
    out = tmp_path / "out"
    with archive_of(way, tmp_path) as (archive, words):
        archive.gives = lambda found: found[:2]
        first = flr("pull", *words, "--out", out)
        archive.gives = lambda found: found
        second = flr("pull", *words, "--out", out, "--json")

    assert first.exit_code == 3, first.output
    assert "2 objects came, 1 did not" in first.stderr
    assert "2 of 3 objects" in first.stdout
    assert second.exit_code == 0
    assert [(one["before"], one["came"]) for one in json.loads(second.stdout)["series"]] == [(2, 1)]
    assert there(out) == ALL_THREE


def test_a_body_that_ends_in_the_middle_leaves_what_was_whole(tmp_path):
    out = tmp_path / "out"
    with archive_of("wado", tmp_path) as (archive, words):
        archive.cut_after = sum(len(raw) for raw in archive.held.values()) - 100
        first = flr("pull", *words, "--out", out)
        assert (first.exit_code, "[connection_lost]" in first.stderr) == (3, True)
        assert there(out) == ALL_THREE[:2]
        archive.cut_after = 0
        assert flr("pull", *words, "--out", out).exit_code == 0
        assert there(out) == ALL_THREE


@pytest.mark.parametrize("way", ["no get", "no roles"])
def test_a_peer_without_c_get_moves_and_one_that_does_not_know_us_says_so(way, tmp_path):
    with archive_of(way, tmp_path) as (archive, words):
        assert flr("pull", *words, "--out", tmp_path / "out").exit_code == 0
        assert there(tmp_path / "out") == ALL_THREE
        archive.destinations.clear()
        unknown = flr("pull", *words, "--out", tmp_path / "other")

    assert unknown.exit_code == 1
    assert "[destination_unknown]" in unknown.stderr
    assert f"the AE title FLR with host 127.0.0.1 and port {words[-1]}" in unknown.stderr


def test_a_port_that_is_in_use_is_said(tmp_path):
    with archive_of("move", tmp_path) as (_, words), socket.socket() as taken:
        taken.bind(("127.0.0.1", words[-1]))
        taken.listen()
        done = flr("pull", *words, "--out", tmp_path / "out")

    assert (done.exit_code, "[port_in_use]" in done.stderr) == (1, True)


@pytest.mark.parametrize("way", ["get", "wado"])
def test_what_comes_twice_is_kept_once_and_other_content_never_replaces_what_is_there(way, tmp_path):
    out = tmp_path / "out"
    with archive_of(way, tmp_path) as (archive, words):
        archive.gives = lambda found: [*found, found[0]]
        twice = flr("pull", *words, "--out", out)
        assert twice.exit_code == 0, twice.output
        first = (out / ALL_THREE[0]).read_bytes()
        (out / ALL_THREE[1]).unlink()
        (other,) = saved(tmp_path / "other", an_object(0, SeriesDescription="edited"))
        edited = other.read_bytes() if way == "wado" else pydicom.dcmread(other)
        archive.gives = lambda found: [*found, edited]
        differing = flr("pull", *words, "--out", out)

    assert (differing.exit_code, "[differs]" in differing.stderr) == (3, True), differing.output
    assert (out / ALL_THREE[0]).read_bytes() == first
    assert there(out) == ALL_THREE


@pytest.mark.parametrize("way", ["get", "move", "wado"])
def test_objects_that_were_not_asked_for_are_not_kept(way, tmp_path):
    """Another series, and an object whose identifiers would lead out of the folder."""
    out = tmp_path / "a" / "b" / "out"
    evil = an_object(7)
    element = pydicom.DataElement(
        "SOPInstanceUID", "UI", "../../../evil", validation_mode=pydicom.config.IGNORE
    )
    evil.add(element)
    stray = an_object(8, series="1.2.3.9.9")
    paths = saved(tmp_path / "given", stray)
    (tmp_path / "given" / "evil.dcm").write_bytes(_written(evil))
    strays = [pydicom.dcmread(p) for p in (*paths, tmp_path / "given" / "evil.dcm")]
    if way == "wado":
        strays = [p.read_bytes() for p in (*paths, tmp_path / "given" / "evil.dcm")]
    with archive_of(way, tmp_path) as (archive, words):
        archive.gives = lambda found: [*strays, *found]
        done = flr("pull", *words, "--out", out)

    assert done.exit_code == 3, done.output
    assert "[not_asked_for]" in done.stderr
    assert there(out) == ALL_THREE
    assert not list(tmp_path.rglob("*evil")) + [p for p in tmp_path.iterdir() if "evil" in p.name]


def _written(data):
    from io import BytesIO

    buffer = BytesIO()
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1.1.7"
    data.preamble = bytes(128)
    pydicom.dcmwrite(buffer, data)
    return buffer.getvalue()


@pytest.mark.parametrize("way", ["get", "wado"])
def test_identifiers_in_answers_that_are_none_lead_nowhere(way, tmp_path):
    with archive_of(way, tmp_path) as (archive, words):
        odd = an_object(1)
        odd.add(pydicom.DataElement("SeriesInstanceUID", "UI", "../../evil", validation_mode=0))
        if way == "wado":
            archive.held["odd"] = _written(odd)
        else:
            archive.hold(odd)
        done = flr("pull", *words, "--out", tmp_path / "out")

    assert (done.exit_code, "[bad_identifier]" in done.stderr) == (1, True), done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", ".", "..", "1..2", "1/2", "1.2 ", "1.2\n", "1" * 65, "..1", "１.２"])
def test_what_is_no_uid_names_no_file(text):
    assert not is_uid(text)


def test_a_full_disk_stops_a_pull_and_leaves_no_half_object(tmp_path, monkeypatch):
    def full(path, pieces):
        list(pieces)
        raise OutputError(f"{path} cannot be written: No space left on device.", reason="disk_full")

    for way in ("get", "wado"):
        with archive_of(way, tmp_path) as (_, words), monkeypatch.context() as patch:
            patch.setattr(keeping, "write_atomically", full)
            done = flr("pull", *words, "--out", tmp_path / way)
        assert (done.exit_code, "[disk_full]" in done.stderr) == (1, True), done.output
        assert there(tmp_path / way) == []


def test_queries_that_would_mean_the_whole_archive_are_refused(tmp_path):
    with archive_of("get", tmp_path) as (_, words):
        named = words[: words.index("--study-uid")]
        for more in (["--modality", "CT"], ["--patient-id", "*"], ["--study-uid", "../x"]):
            done = flr("pull", *named, *more, "--list")
            assert done.exit_code == 1, done.output
            assert "[too_wide]" in done.stderr or "[bad_query]" in done.stderr


@pytest.mark.parametrize("way", ["get", "move"])
def test_a_peer_that_sends_nothing_is_not_waited_for_longer_than_said(way, tmp_path):
    with archive_of(way, tmp_path, answer_s=1) as (archive, words):
        archive.gives = lambda found: time.sleep(8) or found
        began = time.monotonic()
        done = flr("pull", *words, "--out", tmp_path / "out")
        seconds = time.monotonic() - began

    assert (done.exit_code, "[connection_lost]" in done.stderr) == (1, True), done.output
    assert seconds < 7
