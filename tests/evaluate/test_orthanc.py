"""The network's client side against a real PACS, Orthanc, and against DCMTK's programs: ``make evaluate``."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.app.network.addresses import Tls
from flr_volumetry.app.network.client import echo, holds, send
from flr_volumetry.errors import NetworkError
from tests.app.archives import an_object, data_of, dicom_peer, saved, web_peer
from tests.evaluate.orthanc import dcmtk, is_inside, orthanc, reason_against

ROOT = Path(__file__).resolve().parents[2]
STUDY = "FLR_ORTHANC_STUDY"
MOVE_PORT = 11113
REASON = reason_against()
pytestmark = [
    pytest.mark.evaluate,
    pytest.mark.own_network,
    pytest.mark.skipif(bool(REASON), reason=REASON),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The sample study with its results, as files; made once, before any process of its own."""
    if STUDY not in os.environ:
        folder = tmp_path_factory.mktemp("study")
        done = CliRunner().invoke(main, ["demo", "--out", str(folder / "result")])
        assert done.exit_code == 0, done.stderr
        shutil.copytree(ROOT / "sample_data" / "ct", folder / "ct")
        os.environ[STUDY] = str(folder)
    return Path(os.environ[STUDY])


@pytest.fixture
def objects(study):
    """Data sets of all objects of the study, by SOP Instance UID."""
    paths = [*(study / "ct").glob("*.dcm"), *(study / "result" / "dicom").glob("*.dcm")]
    return {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID): data_of(p) for p in paths}


@pytest.fixture
def peers(tmp_path):
    """Orthanc, as our commands know it."""
    path = tmp_path / "peers.toml"
    path.write_text(
        '[[peer]]\nname = "dicom"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = 4242\nanswer_s = 20\n'
        '[[peer]]\nname = "web"\nkind = "dicomweb"\nurl = "http://127.0.0.1:8042/dicom-web"\n'
    )
    return path


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def below(folder):
    """Data sets of the objects below a folder, by SOP Instance UID."""
    return {p.stem: data_of(p) for p in folder.rglob("*") if p.is_file()}


def data_in(raw):
    """Bytes of the data set of a file in memory."""
    file = io.BytesIO(raw)
    pydicom.filereader.read_preamble(file, force=False)
    pydicom.filereader._read_file_meta_info(file)
    return raw[file.tell() :]


@pytest.mark.parametrize("to", ["dicom", "web"])
def test_the_sample_study_and_its_results_go_there_are_found_and_come_back(
    to, study, objects, peers, tmp_path
):
    """Byte for byte, whichever way they went and come."""
    uid = pydicom.dcmread(next((study / "ct").glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID
    with orthanc(tmp_path / "orthanc", destinations={"FLR": MOVE_PORT}) as pacs:
        assert flr("peers", "--peers", peers, "--check").exit_code == 0
        words = ["push", study, "--peer", to, "--peers", peers, "--journal", tmp_path / "journal"]
        began = time.perf_counter()
        pushed, again = flr(*words), flr(*words)
        print(f"pushed to {to}: {time.perf_counter() - began:.1f} s")
        assert pushed.exit_code == 0, pushed.output
        assert pushed.stdout == f"{len(objects)} objects for {to}: {len(objects)} sent, 0 refused, 0 failed\n"
        assert again.stdout.endswith(f"0 sent, 0 refused, 0 failed, {len(objects)} sent before\n")
        assert set(pacs.instances()) == set(objects)
        assert {one: data_in(pacs.file(one)) for one in objects} == objects
        for peer in (dicom_peer(4242, ae_title="ORTHANC"), web_peer(pacs.web)):
            assert holds(peer, uid, {*objects, "1.2.3"}) == set(objects)
        for name, by in (("dicom", "get"), ("dicom", "move"), ("web", "auto")):
            out = tmp_path / f"{name}-{by}"
            asked = ["--peer", name, "--peers", peers, "--study-uid", uid]
            first = pydicom.dcmread(next((study / "ct").glob("*.dcm")), stop_before_pixels=True)
            day = str(first.StudyDate)
            for keys, there in (
                (["--study-uid", uid], True),
                (["--patient-id", first.PatientID, "--modality", "seg", "--date", day], True),
                (["--date", f"{day}-{day}", "--description", str(first.get("StudyDescription", ""))], True),
                (["--date", f"{int(day[:4]) + 1}-01-01.."], False),
                (["--patient-id", first.PatientID, "--modality", "US"], False),
            ):
                listed = flr("pull", *asked[:4], *keys, "--list", "--json")
                assert [one["uid"] for one in json.loads(listed.stdout)["studies"]] == [uid] * there, keys
            began = time.perf_counter()
            pulled = flr("pull", *asked, "--by", by, "--port", MOVE_PORT, "--out", out)
            print(f"{to} -> {name} by {by}: {len(objects)} objects in {time.perf_counter() - began:.1f} s")
            assert pulled.exit_code == 0, pulled.output
            assert below(out) == objects
            next(out.rglob("*.dcm")).unlink()
            began = time.perf_counter()
            more = flr("pull", *asked, "--by", by, "--port", MOVE_PORT, "--out", out, "--json")
            print(f"one that was missing: {time.perf_counter() - began:.1f} s")
            assert more.exit_code == 0, more.output
            assert sum(one["came"] for one in json.loads(more.stdout)["series"]) == 1
            assert below(out) == objects


@pytest.mark.skipif(dcmtk("movescu") is None, reason="DCMTK is not installed")
def test_dcmtk_finds_and_moves_what_was_pushed(study, objects, peers, tmp_path):
    """Its findscu sees each modality; its movescu brings all to its storescp, as they were."""
    uid = pydicom.dcmread(next((study / "ct").glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID
    known = ["--peers", peers, "--journal", tmp_path / "journal"]
    pacs = ["-aet", "MOVESCU", "-aec", "ORTHANC", "127.0.0.1", "4242"]
    with orthanc(tmp_path / "orthanc", destinations={"FLR": MOVE_PORT, "MOVESCU": 1, "SCP": 11200}):
        assert flr("push", study, "--peer", "dicom", *known).exit_code == 0
        for modality in ("CT", "SEG", "SR"):
            keys = ("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={uid}", f"Modality={modality}")
            words = [dcmtk("findscu"), "-v", "-S", *pacs]
            words += [word for key in (*keys, "SeriesInstanceUID") for word in ("-k", key)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            assert "(0020,000e) UI [2." in done.stdout + done.stderr
        got = tmp_path / "scp"
        got.mkdir()
        with running(dcmtk("storescp"), "-aet", "SCP", "+xa", "-od", got, "11200", port=11200):
            keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"]
            subprocess.run([dcmtk("movescu"), "-S", "-aem", "SCP", *pacs, *keys], check=True)
        found = {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in got.iterdir()}
        assert {one: pydicom.dcmread(path) for one, path in found.items()} == {
            one: pydicom.dcmread(file) for one, file in _files(study).items()
        }


def _files(study):
    paths = [*(study / "ct").glob("*.dcm"), *(study / "result" / "dicom").glob("*.dcm")]
    return {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in paths}


@pytest.mark.skipif(dcmtk("dcmqrscp") is None, reason="DCMTK is not installed")
def test_dcmtk_archive_takes_what_we_push_and_gives_it_back(study, objects, tmp_path):
    """Its dcmqrscp: C-STORE, C-FIND, C-MOVE and C-GET."""
    (tmp_path / "archive").mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        "NetworkTCPPort = 11300\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nflr = (FLR, localhost, {MOVE_PORT})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMTK {tmp_path}/archive RW (1000, 1024mb) ANY\nAETable END\n"
    )
    peers = tmp_path / "peers.toml"
    where = 'ae_title = "DCMTK"\nhost = "127.0.0.1"\nport = 11300\nanswer_s = 20\n'
    peers.write_text(f'[[peer]]\nname = "dcmtk"\n{where}')
    known = ["--peer", "dcmtk", "--peers", peers]
    uid = pydicom.dcmread(next((study / "ct").glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID
    with running(dcmtk("dcmqrscp"), "-c", configuration, port=11300):
        pushed = flr("push", study, *known, "--journal", tmp_path / "journal")
        assert pushed.exit_code == 0, pushed.output
        peer = dicom_peer(11300, ae_title="DCMTK")
        assert holds(peer, uid, {*objects, "1.2.3"}) == set(objects)
        for by in ("get", "move"):
            out = tmp_path / by
            words = ["pull", *known, "--study-uid", uid, "--by", by, "--port", MOVE_PORT, "--out", out]
            pulled = flr(*words)
            assert pulled.exit_code == 0, pulled.output
            assert set(below(out)) == set(objects)
            files = _files(study)
            for path in out.rglob("*.dcm"):
                got, original = pydicom.dcmread(path), pydicom.dcmread(files[path.stem])
                # It takes no compressed objects: those were decompressed on the way there.
                if original.file_meta.TransferSyntaxUID.is_compressed:
                    assert (got.pixel_array == original.pixel_array).all()
                    del got.PixelData, original.PixelData
                assert got == original


@contextmanager
def running(*words, port):
    """A server, from when it answers until the block ends."""
    process = subprocess.Popen([str(w) for w in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def test_who_is_not_known_and_what_is_asked_wrongly_is_said(study, peers, tmp_path):
    (path,) = saved(tmp_path / "one", an_object(1))
    with orthanc(tmp_path / "orthanc", destinations={"FLR": MOVE_PORT}, user=("flr", "right")) as pacs:
        for facts, reason in (
            ({"ae_title": "WRONG"}, "association_rejected"),
            ({"ae_title": "ORTHANC", "calling": "STRANGER"}, "association_rejected"),
        ):
            with pytest.raises(NetworkError) as refused:
                list(send(dicom_peer(4242, **facts), [path]))
            assert refused.value.reason == reason, facts
        with pytest.raises(NetworkError) as refused:
            echo(web_peer(pacs.web))
        assert refused.value.reason == "unauthorized"
        assert (
            flr("push", path, "--peer", "dicom", "--peers", peers, "--journal", tmp_path / "j").exit_code == 0
        )
        # Known there as a sender, but with another port.
        asked = ["--peer", "dicom", "--peers", peers, "--patient-id", "S3CR3T", "--out", tmp_path / "out"]
        moved = flr("pull", *asked, "--by", "move", "--port", "11999")
        assert moved.exit_code == 1, moved.output
        assert "with host 127.0.0.1 and port 11999" in moved.stderr
    anyone = {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowMove": True}
    with orthanc(tmp_path / "orthanc", destinations={}, **anyone):
        unknown = flr("pull", *asked, "--by", "move", "--port", MOVE_PORT)
        assert unknown.exit_code == 1
        print(unknown.stderr)
        assert "Have its administrator add the AE title FLR" in unknown.stderr


def test_associations_over_tls_with_certificates_of_both_sides(tmp_path):
    """One of ours that it does not get, and one of its own that we do not trust, are refused."""
    trustme = pytest.importorskip("trustme")
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger.cert_pem.write_to_path(tmp_path / "stranger.pem")
    for name in ("pacs", "flr"):
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsRemoteCertificateRequired": True,
        "DicomTlsCertificate": str(tmp_path / "pacs.pem"),
        "DicomTlsPrivateKey": str(tmp_path / "pacs.key"),
        "DicomTlsTrustedCertificates": str(tmp_path / "ca.pem"),
    }
    ours = {"certificate": tmp_path / "flr.pem", "key": tmp_path / "flr.key"}
    paths = saved(tmp_path / "in", an_object(1))
    with orthanc(tmp_path / "orthanc", destinations={"FLR": MOVE_PORT}, **settings):
        for ca, certificate in (("stranger", ours), ("ca", {})):
            tls = Tls(tmp_path / f"{ca}.pem", **certificate)
            with pytest.raises(NetworkError) as refused:
                list(send(dicom_peer(4242, ae_title="ORTHANC", tls=tls), paths))
            print(refused.value.message)
            assert refused.value.reason == "tls_failed"
        with pytest.raises(NetworkError) as refused:
            list(send(dicom_peer(4242, ae_title="ORTHANC"), paths))
        assert refused.value.reason == "association_aborted"
        tls = Tls(tmp_path / "ca.pem", **ours)
        assert [one.status for one in send(dicom_peer(4242, ae_title="ORTHANC", tls=tls), paths)] == ["sent"]


def test_a_pacs_that_goes_away_in_the_middle_gets_the_rest_later_and_nothing_twice(tmp_path, peers):
    """Killed while 300 objects are on their way; pushed again when it is back."""
    paths = saved(
        tmp_path / "in", *(an_object(n, Rows=250, Columns=400, PixelData=bytes(200_000)) for n in range(300))
    )
    words = ["push", tmp_path / "in", "--peer", "dicom", "--peers", peers, "--journal", tmp_path / "journal"]
    with orthanc(tmp_path / "orthanc", destinations={"FLR": MOVE_PORT}) as pacs:

        def kill_half_way():
            while True:
                try:
                    if json.loads(pacs.ask("/statistics"))["CountInstances"] >= 100:
                        break
                except OSError:
                    break
            os.kill(pacs.process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_half_way)
        killer.start()
        cut = flr(*words, "--tries", "1")
        killer.join()
    assert cut.exit_code == 3, cut.output
    with orthanc(tmp_path / "orthanc", destinations={"FLR": MOVE_PORT}) as pacs:
        had = set(pacs.instances())
        rest = flr(*words)
        assert rest.exit_code == 0, rest.output
        assert len(pacs.instances()) == 300
    print(cut.stdout, f"held after the kill: {len(had)}", rest.stdout)
    first = int(cut.stdout.split(": ")[1].split(" sent")[0])
    second = int(rest.stdout.split(": ")[1].split(" sent")[0])
    assert first <= len(had)
    # What it held and had not yet said so was asked for, not sent.
    assert second == 300 - len(had)
    assert len(paths) == 300


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted by root alone")
def test_a_pacs_with_a_full_disk_is_out_of_resources_and_gets_the_rest_later(tmp_path, peers):
    folder = tmp_path / "orthanc"
    (folder / "storage").mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder / "storage")]
    if is_inside():
        subprocess.run(mount, check=True)
    saved(
        tmp_path / "in",
        *(an_object(n, Rows=1000, Columns=500, PixelData=bytes(1_000_000)) for n in range(40)),
    )
    words = ["push", tmp_path / "in", "--peer", "dicom", "--peers", peers, "--journal", tmp_path / "journal"]
    with orthanc(folder, destinations={"FLR": MOVE_PORT}) as pacs:
        full = flr(*words, "--tries", "1")
        print(full.stdout, full.stderr.splitlines()[-1:])
        assert full.exit_code == 3, full.output
        assert "refused" not in full.stderr
        subprocess.run([*mount[:4], "remount,size=100m", *mount[5:]], check=True)
        rest = flr(*words)
        print(rest.stdout, rest.stderr)
        assert rest.exit_code == 0, rest.output
        assert len(pacs.instances()) == 40
