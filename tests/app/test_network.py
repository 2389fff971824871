"""Pushing and pulling against small archives in this process: what arrives, and what is not sent twice."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.app.network.client import echo, holds, send
from flr_volumetry.app.network.instances import Instance
from flr_volumetry.app.network.matches import date_range
from flr_volumetry.app.network.multipart import Parts
from flr_volumetry.app.network.quiet import quiet
from flr_volumetry.app.network.store import contexts_of, grouped
from flr_volumetry.errors import NetworkError
from tests.app.archives import (
    SR,
    an_object,
    closed_port,
    data_of,
    dicom_archive,
    dicom_peer,
    saved,
    web_archive,
    web_peer,
)

DEFLATED, BIG_ENDIAN, IMPLICIT, RLE = (f"1.2.840.10008.1.2{end}" for end in (".1.99", ".2", "", ".5"))
JPEG_LS = "1.2.840.10008.1.2.4.80"
SECRETS = ("Secret", "Sally", "S3CR3T", "A77")


@pytest.fixture(scope="module")
def objects():
    return [
        *(an_object(n) for n in range(3)),
        an_object(1, sop_class=SR, series="1.2.3.1.2", Modality="SR", SeriesDescription="report"),
    ]


@pytest.fixture
def files(tmp_path, objects):
    return saved(tmp_path / "in", *objects)


@contextmanager
def archive_of(way, tmp_path, **wishes):
    """An archive, and the options of `flr` that name it and how it is asked."""
    peers = tmp_path / "peers.toml"
    if way in ("wado", "stow"):
        with web_archive(**wishes) as archive:
            peers.write_text(f'[[peer]]\nname = "pacs"\nkind = "dicomweb"\nurl = "{archive.address}"\n')
            yield archive, ["--peer", "pacs", "--peers", peers]
        return
    port = closed_port()
    with dicom_archive(**wishes) as archive:
        archive.destinations["FLR"] = ("127.0.0.1", port)
        where = f'ae_title = "PACS"\nhost = "127.0.0.1"\nport = {archive.port}\nanswer_s = 5\n'
        peers.write_text(f'[[peer]]\nname = "pacs"\n{where}')
        by = ["--by", way, "--port", port] if way in ("get", "move") else []
        yield archive, ["--peer", "pacs", "--peers", peers, *by]


def give(archive, objects, folder):
    """Have an archive hold objects."""
    paths = saved(folder, *objects)
    if hasattr(archive, "hold"):
        archive.hold(*map(pydicom.dcmread, paths))
    else:
        archive.held |= {pydicom.dcmread(p).SOPInstanceUID: p.read_bytes() for p in paths}


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def below(folder):
    """Data sets of the objects below a folder, by their paths in it."""
    return {p.relative_to(folder).as_posix(): data_of(p) for p in folder.rglob("*") if p.is_file()}


def test_objects_arrive_byte_for_byte_by_c_store(files):
    with dicom_archive() as archive:
        peer = dicom_peer(archive.port)
        echo(peer)
        results = list(send(peer, files))

        assert [(r.path, r.status, r.reason) for r in results] == [(f, "sent", "") for f in files]
        assert [raw for _, raw, _ in archive.stored] == [data_of(f) for f in files]
        assert archive.associations == 2  # one for the echo, one for all objects
        wanted = {r.sop_instance_uid for r in results} | {"1.9.9"}
        assert holds(peer, "1.2.3.1", wanted) == wanted - {"1.9.9"}
        assert holds(peer, "1.2.3.77", wanted) == frozenset()


def test_objects_arrive_byte_for_byte_by_stow(files):
    with web_archive(page=2) as archive:
        peer = web_peer(archive.address)
        echo(peer)
        results = list(send(peer, files))

        assert [(r.path, r.status, r.reason) for r in results] == [(f, "sent", "") for f in files]
        assert list(archive.held.values()) == [f.read_bytes() for f in files]
        wanted = {r.sop_instance_uid for r in results} | {"1.9.9"}
        assert holds(peer, "1.2.3.1", wanted) == wanted - {"1.9.9"}


def test_an_archive_that_cannot_be_asked_holds_nothing_we_know_of(files):
    with dicom_archive(find=False) as archive:
        assert holds(dicom_peer(archive.port), "1.2.3.1", ["1.2"]) is None
    with web_archive() as archive:
        archive.status = 501
        assert holds(web_peer(archive.address), "1.2.3.1", ["1.2"]) is None


def test_a_study_that_a_server_does_not_know_is_not_held():
    with web_archive() as archive:
        archive.nothing = 404
        assert holds(web_peer(archive.address), "1.2.3.1", ["1.2"]) == frozenset()


def test_an_archive_that_tells_no_single_objects_is_pulled_by_its_numbers(tmp_path, objects):
    out = tmp_path / "out"
    with archive_of("get", tmp_path) as (archive, peer):
        give(archive, objects, tmp_path / "given")
        archive.levels = ("STUDY", "SERIES")
        assert holds(dicom_peer(archive.port), "1.2.3.1", ["1.2"]) is None
        archive.gives = lambda found: found[:2]
        some = flr("pull", *peer, "--patient-id", "S3CR3T", "--series", "portal", "--out", out)
        archive.gives = lambda found: found
        rest = flr("pull", *peer, "--patient-id", "S3CR3T", "--series", "portal", "--out", out)
        asked = []
        archive.gives = lambda found: asked.append(found) or found
        none = flr("pull", *peer, "--patient-id", "S3CR3T", "--series", "portal", "--out", out)

    assert [one.exit_code for one in (some, rest, none)] == [3, 0, 0], some.output + rest.output
    assert "2 of 3 objects" in some.stdout
    assert "3 of 3 objects, 2 there before" in rest.stdout
    assert asked == []


@pytest.mark.parametrize("stored", [IMPLICIT, BIG_ENDIAN, DEFLATED, RLE, JPEG_LS])
def test_what_a_peer_refuses_to_take_as_stored_is_brought_losslessly_into_what_it_takes(stored, tmp_path):
    original = an_object(1)
    pixels = original.pixel_array.copy()
    data = an_object(1)
    if stored in (RLE, JPEG_LS):
        data.compress(stored, generate_instance_uid=False)
    elif stored == BIG_ENDIAN:
        data.PixelData = pixels.astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = pydicom.uid.UID(stored)
    (path,) = saved(tmp_path, data)
    with dicom_archive(syntaxes=["1.2.840.10008.1.2.1"]) as archive:
        (result,) = send(dicom_peer(archive.port), [path])

    assert (result.status, result.reason) == ("sent", "")
    ((uid, _, syntax),) = archive.stored
    assert (uid, syntax) == (original.SOPInstanceUID, "1.2.840.10008.1.2.1")
    (got,) = archive.held.values()
    assert (got.pixel_array == pixels).all()
    assert got.PatientName == original.PatientName
    assert got.SOPInstanceUID == original.SOPInstanceUID


def test_a_peer_that_takes_compressed_images_alone_gets_them_compressed_losslessly(tmp_path):
    (path,) = saved(tmp_path, an_object(1))
    with dicom_archive(syntaxes=[JPEG_LS]) as archive:
        (result,) = send(dicom_peer(archive.port), [path])

    assert (result.status, result.reason) == ("sent", "")
    (got,) = archive.held.values()
    assert got.file_meta.TransferSyntaxUID == JPEG_LS
    assert (got.pixel_array == an_object(1).pixel_array).all()


def test_more_than_128_contexts_are_split_over_associations():
    """A hundred classes need 200 contexts; no object is lost, none comes before another."""
    instances = [Instance(Path(), f"1.2.{n}", f"1.3.{n}", "1", "2", IMPLICIT, 0) for n in range(100)]
    groups = list(grouped(instances))

    assert [len(contexts_of(group)) for group in groups] == [128, 72]
    assert [i for group in groups for i in group] == instances


def test_requests_of_stow_are_not_larger_than_asked(files):
    size = files[0].stat().st_size
    with web_archive() as archive:
        assert all(r.status == "sent" for r in send(web_peer(archive.address, batch_bytes=2 * size), files))
        assert len(archive.requests) == 2


def test_requests_too_large_for_the_server_are_halved_and_what_is_too_large_itself_refused(tmp_path, files):
    (large,) = saved(tmp_path / "large", an_object(9, ImageComments="x" * 5000))
    with web_archive(most_bytes=2000) as archive:
        results = list(send(web_peer(archive.address), [*files, large]))

    assert [r.status for r in results] == ["sent"] * 4 + ["refused"]
    assert "too large" in results[-1].reason


@pytest.mark.parametrize("way", ["get", "move", "wado"])
def test_a_study_is_pulled_whole_and_only_what_is_missing_again(way, tmp_path, objects):
    out = tmp_path / "out"
    with archive_of(way, tmp_path) as (archive, peer):
        give(archive, objects, tmp_path / "given")
        first = flr("pull", *peer, "--patient-id", "S3CR3T", "--out", out)
        assert first.exit_code == 0, first.output
        assert below(out) == {
            f"{data.StudyInstanceUID}/{data.SeriesInstanceUID}/{data.SOPInstanceUID}.dcm": data_of(path)
            for path in (tmp_path / "given").iterdir()
            for data in [pydicom.dcmread(path)]
        }
        gone = out / "1.2.3.1" / "1.2.3.1.1" / "1.2.3.1.1.2.dcm"
        gone.unlink()
        given = []
        archive.gives = lambda found: given.extend(found) or found
        second = flr("pull", *peer, "--patient-id", "S3CR3T", "--out", out, "--json")

    assert second.exit_code == 0, second.output
    assert len(given) == 1
    found = {one["series"]["uid"]: one for one in json.loads(second.stdout)["series"]}
    assert (found["1.2.3.1.1"]["before"], found["1.2.3.1.1"]["came"]) == (2, 1)
    assert (found["1.2.3.1.2"]["before"], found["1.2.3.1.2"]["came"]) == (1, 0)
    assert gone.is_file()


@pytest.mark.parametrize("way", ["store", "wado"])
def test_what_matches_is_listed_and_several_studies_are_fetched_only_when_all_are_meant(way, tmp_path):
    objects = [
        an_object(1),
        an_object(2, study="1.2.3.2", series="1.2.3.2.1", StudyDate="20240701", StudyDescription="Liver MR"),
        an_object(3, study="1.2.3.3", series="1.2.3.3.1", PatientID="OTHER"),
    ]
    with archive_of(way, tmp_path) as (archive, peer):
        give(archive, objects, tmp_path / "given")
        listed = flr("pull", *peer, "--patient-id", "S3CR3T", "--list", "--json")
        assert listed.exit_code == 0, listed.output
        found = json.loads(listed.stdout)["studies"]
        assert [(s["uid"], s["date"], s["patient_name"]) for s in found] == [
            ("1.2.3.1", "20240503", "Secret^Sally"),
            ("1.2.3.2", "20240701", "Secret^Sally"),
        ]
        several = flr("pull", *peer, "--patient-id", "S3CR3T", "--out", tmp_path / "out")
        assert several.exit_code == 1
        assert "2 studies match" in several.stderr
        assert "1.2.3.2" in several.stdout
        assert not (tmp_path / "out").exists()
        one = flr("pull", *peer, "--patient-id", "S3CR3T", "--description", "mr", "--out", tmp_path / "out")
        assert one.exit_code == 0, one.output
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["1.2.3.2"]
        every = flr("pull", *peer, "--patient-id", "S3CR3T", "--all", "--out", tmp_path / "out")
        assert every.exit_code == 0
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.2.3.1", "1.2.3.2"]
        nothing = flr("pull", *peer, "--patient-id", "NOBODY", "--out", tmp_path / "out")
        assert (nothing.exit_code, "[no_match]" in nothing.stderr) == (1, True)


def test_only_series_of_the_modality_and_description_are_fetched(tmp_path, objects):
    with archive_of("get", tmp_path) as (archive, peer):
        give(archive, objects, tmp_path / "given")
        for words, name in ((["--modality", "sr"], "1.2.3.1.2"), (["--series", "Portal"], "1.2.3.1.1")):
            out = tmp_path / name
            done = flr("pull", *peer, "--accession", "A77", *words, "--out", out)
            assert done.exit_code == 0, done.output
            assert [p.name for p in (out / "1.2.3.1").iterdir()] == [name]


@pytest.mark.parametrize("way", ["store", "stow"])
def test_what_was_pushed_is_not_pushed_again(way, tmp_path, files):
    with archive_of(way, tmp_path) as (_, peer):
        words = ["push", files[0].parent, *peer, "--journal", tmp_path / "journal"]
        first, second = flr(*words), flr(*words)
        other = an_object(0, SeriesDescription="edited")
        saved(tmp_path / "in", other)
        edited = flr(*words)
        again = flr(*words, "--again")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert first.stdout == "4 objects for pacs: 4 sent, 0 refused, 0 failed\n"
    assert second.stdout == "4 objects for pacs: 0 sent, 0 refused, 0 failed, 4 sent before\n"
    assert edited.exit_code == 3
    assert "another object with its SOP Instance UID was sent" in edited.stderr
    assert again.stdout.startswith("4 objects for pacs: 4 sent")
    assert not any(secret in (tmp_path / "journal").read_text() for secret in ("1.2.3", *SECRETS))


def test_a_push_cut_short_goes_on_where_it_was(tmp_path, files):
    """The peer is asked for objects whose sending has no known end; one that it has is not sent again."""
    from flr_volumetry.app.network.instances import read_instance
    from flr_volumetry.app.network.journal import mark_of, open_journal

    with dicom_archive() as archive:
        peer = dicom_peer(archive.port)
        list(send(peer, files[:2]))
        journal = open_journal(tmp_path / "journal")
        marks = [mark_of(peer, read_instance(path)) for path in files]
        journal.begin(marks)
        journal.end(marks[0], sent=True)
        journal.close()
        with (tmp_path / "journal").open("ab") as file:
            file.write(b"+ 0123")  # a line that was cut short
        where = f'ae_title = "PACS"\nhost = "127.0.0.1"\nport = {archive.port}\n'
        (tmp_path / "peers.toml").write_text(f'[[peer]]\nname = "pacs"\n{where}')
        words = ["--peer", "pacs", "--peers", tmp_path / "peers.toml", "--journal", tmp_path / "journal"]
        done = flr("push", files[0].parent, *words)

    assert done.stdout == "4 objects for pacs: 2 sent, 0 refused, 0 failed, 2 sent before\n"
    assert [uid for uid, _, _ in archive.stored] == [pydicom.dcmread(path).SOPInstanceUID for path in files]


def test_a_push_that_is_killed_and_run_again_sends_each_object_once(tmp_path):
    """By SIGKILL, while objects are on their way."""
    saved(tmp_path / "in", *(an_object(n) for n in range(30)))
    with archive_of("store", tmp_path) as (archive, peer):
        archive.answer = lambda event: time.sleep(0.03) or 0x0000
        words = ["push", tmp_path / "in", *peer, "--journal", tmp_path / "journal"]
        killed = subprocess.Popen([sys.executable, "-m", "flr_volumetry", *map(str, words)])
        while len(archive.stored) < 10 and killed.poll() is None:
            time.sleep(0.005)
        killed.kill()
        killed.wait()
        # What was on its way arrives, or does not.
        while archive.entity.active_associations:
            time.sleep(0.01)
        before = len(archive.stored)
        rest = flr(*words)

    assert 10 <= before < 30
    assert rest.exit_code == 0, rest.output
    assert sorted(uid for uid, _, _ in archive.stored) == sorted(f"1.2.3.1.1.{n}" for n in range(30))
    assert rest.stdout.startswith(f"30 objects for pacs: {30 - before} sent, 0 refused, 0 failed, {before} ")


def test_in_folders_what_is_no_dicom_is_passed_over_and_named_files_are_not(tmp_path, files):
    (files[0].parent / "report.html").write_text("no object")
    (files[0].parent / "damaged.dcm").write_bytes(files[0].read_bytes()[:200])
    with archive_of("store", tmp_path) as (_, peer):
        journal = ["--journal", tmp_path / "journal"]
        folder = flr("push", files[0].parent, *peer, *journal)
        (tmp_path / "empty").mkdir()
        empty = flr("push", tmp_path / "empty", *peer, *journal)
        named = flr("push", files[0].parent / "report.html", *peer, *journal)

    assert (empty.exit_code, "[no_objects]" in empty.stderr) == (1, True)
    assert folder.exit_code == 3
    assert folder.stdout == "5 objects for pacs: 4 sent, 1 refused, 0 failed\n"
    assert "damaged.dcm: refused" in folder.stderr
    assert (named.exit_code, "it is no DICOM object" in named.stderr) == (1, True)


def test_no_word_of_the_patient_stands_in_logs_or_messages(tmp_path, files, caplog):
    """Not even where everything is logged, and the peer's answers quote the patient."""
    caplog.set_level(logging.DEBUG)
    said = []
    for way in ("get", "move", "wado"):
        with archive_of(way, tmp_path) as (archive, peer):
            odd = an_object(1)
            odd.add(pydicom.DataElement("StudyDate", "DA", "Secret", validation_mode=pydicom.config.IGNORE))
            give(archive, [odd, an_object(2)], tmp_path / "given")
            done = flr("pull", *peer, "--patient-id", "S3CR3T", "--out", tmp_path / way)
            said += [done.output, *(r.getMessage() for r in caplog.records)]

    def quoting(event):
        status = pydicom.Dataset()
        status.Status, status.ErrorComment = 0xA900, "Secret^Sally"
        return status

    with dicom_archive() as archive:
        archive.answer = quoting
        said += [r.reason for r in send(dicom_peer(archive.port), files)]
    said += [record.getMessage() for record in caplog.records]

    assert not [text for text in said if any(secret in text for secret in SECRETS)]


def test_warnings_of_the_libraries_which_quote_values_are_not_shown():
    quiet()

    for module in ("pydicom.valuerep", "pynetdicom.dsutils"):
        warnings.warn_explicit("Invalid value: Secret^Sally", UserWarning, "valuerep.py", 1, module)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-05-03", "20240503"),
        ("20240503", "20240503"),
        ("20240501-20240531", "20240501-20240531"),
        ("2024-05-01..2024-05-31", "20240501-20240531"),
        ("2024-05-01..", "20240501-"),
    ],
)
def test_days_and_ranges_are_understood(text, meant):
    assert date_range(text) == meant


@pytest.mark.parametrize("text", ["", "..", "yesterday", "2024-05-31..2024-05-01", "2024-13-01", "1..2..3"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        date_range(text)


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_parts_are_told_apart_wherever_the_body_is_cut(step):
    contents = [b"", b"one\r\n--B", b"\r\n--BB\r\n" * 3, bytes(range(256))]
    body = b"preamble" + b"".join(b"\r\n--B7\r\nA: b\r\n\r\n" + c for c in contents) + b"\r\n--B7--"
    chunks = [body[n : n + step] for n in range(0, len(body), step)]

    assert [b"".join(part) for part in Parts(chunks, b"B7")] == contents
    with pytest.raises(NetworkError, match="ends in the middle"):
        [b"".join(part) for part in Parts([body[:-20]], b"B7")]
