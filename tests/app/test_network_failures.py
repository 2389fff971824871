"""What goes wrong in a network: told apart, said without the patient, bounded in time, taken up again."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import trustme
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.app.network import push
from flr_volumetry.app.network.addresses import Credentials, Tls
from flr_volumetry.app.network.association import rejected, server_context
from flr_volumetry.app.network.client import echo, holds, send
from flr_volumetry.app.network.sent import verdict
from flr_volumetry.errors import InputError, NetworkError
from tests.app.archives import (
    CT,
    SR,
    an_object,
    closed_port,
    dicom_archive,
    dicom_peer,
    saved,
    web_archive,
    web_peer,
)


@pytest.fixture
def files(tmp_path):
    return saved(tmp_path / "in", *(an_object(n) for n in range(3)))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Certificates of a peer and of us, of one authority, and a stranger's authority."""
    folder = tmp_path_factory.mktemp("keys")
    authority, stranger = trustme.CA(), trustme.CA()
    made = SimpleNamespace(ca=folder / "ca.pem", stranger=folder / "stranger.pem")
    authority.cert_pem.write_to_path(made.ca)
    stranger.cert_pem.write_to_path(made.stranger)
    for name in ("peer", "ours"):
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        setattr(made, name, (folder / f"{name}.pem", folder / f"{name}.key"))
    return made


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def reason_of(call, *words):
    with pytest.raises(NetworkError) as raised:
        call(*words)
    return raised.value.reason


def each(peer, paths):
    return [result.status for result in send(peer, paths)]


@contextmanager
def listener(behaviour):
    """A TCP server that does with each connection what it is told."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        held = []

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                behaviour(connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in held:
                connection.close()


def test_a_peer_that_is_down_is_unreachable():
    port = closed_port()
    for call in (echo, lambda peer: holds(peer, "1.2", ["1.3"])):
        assert reason_of(call, dicom_peer(port)) == "peer_unreachable"
        assert reason_of(call, web_peer(f"http://127.0.0.1:{port}")) == "peer_unreachable"


def test_nothing_is_sent_to_a_peer_that_is_down_and_the_command_says_so(files, tmp_path, monkeypatch):
    monkeypatch.setattr(push, "WAIT_S", 0.01)
    where = f'ae_title = "PACS"\nhost = "127.0.0.1"\nport = {closed_port()}\n'
    (tmp_path / "peers.toml").write_text(f'[[peer]]\nname = "pacs"\n{where}')
    words = ["--peer", "pacs", "--peers", tmp_path / "peers.toml"]
    pushed = flr("push", files[0], *words, "--journal", tmp_path / "journal", "--tries", "1")
    pulled = flr("pull", *words, "--patient-id", "1", "--out", tmp_path / "out")
    asked = flr("peers", "--peers", tmp_path / "peers.toml", "--check")

    assert [one.exit_code for one in (pushed, pulled, asked)] == [1, 1, 1]
    assert all("[peer_unreachable]" in one.output for one in (pushed, pulled, asked))


def test_associations_are_rejected_with_the_reason(files):
    with dicom_archive() as archive:
        archive.entity.require_calling_aet = ["OTHER"]
        wrong = dicom_peer(archive.port, ae_title="WRONG")
        for peer, words in ((wrong, "does not call itself WRONG"), (dicom_peer(archive.port), "FLR")):
            with pytest.raises(NetworkError, match=words) as raised:
                each(peer, files)
            assert raised.value.reason == "association_rejected"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [((1, 1, 3), "association_rejected"), ((2, 3, 1), "peer_busy"), ((2, 1, 1), "peer_busy")],
)
def test_a_rejection_that_may_pass_is_told_from_one_that_will_not(answer, reason):
    assert rejected(dicom_peer(1), *answer).reason == reason


def test_associations_and_requests_go_over_tls_to_peers_that_are_trusted(files, keys):
    both = Tls(keys.ca, *keys.ours)
    with dicom_archive(tls=server_context(Tls(keys.ca, *keys.peer))) as archive:
        assert each(dicom_peer(archive.port, tls=both), files) == ["sent"] * 3
        untrusted = dicom_peer(archive.port, tls=Tls(keys.stranger, *keys.ours))
        assert reason_of(each, untrusted, files) == "tls_failed"
        assert reason_of(each, dicom_peer(archive.port, tls=Tls(keys.ca)), files) == "tls_failed"
        other_name = dicom_peer(archive.port, tls=Tls(keys.ca, *keys.ours, name="pacs.hospital"))
        assert reason_of(each, other_name, files) == "tls_failed"
        assert reason_of(echo, dicom_peer(archive.port, answer_s=2)) in (
            "association_aborted",
            "peer_timeout",
        )
    with web_archive(tls=keys.peer) as archive:
        assert each(web_peer(archive.address, tls=both), files) == ["sent"] * 3
        assert reason_of(each, web_peer(archive.address, tls=Tls(keys.stranger)), files) == "tls_failed"


def test_certificates_of_ours_that_cannot_be_read_are_refused(tmp_path, keys):
    (tmp_path / "no.pem").write_text("no certificate")
    for tls in (Tls(tmp_path / "no.pem"), Tls(keys.ca, tmp_path / "no.pem"), Tls(tmp_path / "absent.pem")):
        with pytest.raises(InputError) as raised:
            echo(dicom_peer(1, tls=tls))
        assert raised.value.reason == "bad_certificate"


def test_what_is_no_dicom_peer_is_said():
    """A port that answers in HTTP, one that breaks off, one that keeps silent."""

    def in_http(connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    for behaviour, reasons in (
        (in_http, ("association_aborted",)),
        (lambda connection: connection.close(), ("association_aborted",)),
        (lambda connection: None, ("peer_timeout",)),
    ):
        with listener(behaviour) as port:
            began = time.monotonic()
            assert reason_of(echo, dicom_peer(port, answer_s=0.5)) in reasons
            assert time.monotonic() - began < 5
    with listener(lambda connection: None) as port:
        assert reason_of(echo, web_peer(f"http://127.0.0.1:{port}", answer_s=0.3)) == "peer_timeout"
    with listener(lambda connection: connection.close()) as port:
        assert reason_of(echo, web_peer(f"http://127.0.0.1:{port}")) == "connection_lost"


def test_a_class_that_the_peer_does_not_take_is_refused_and_the_others_are_sent(tmp_path):
    paths = saved(tmp_path, an_object(1), an_object(2, sop_class=SR), an_object(3))
    with dicom_archive(classes=[CT]) as archive:
        results = {result.path: result for result in send(dicom_peer(archive.port), paths)}
    with dicom_archive(classes=[SR]) as archive:
        only = [result.status for result in send(dicom_peer(archive.port), paths[:1])]

    assert [results[path].status for path in paths] == ["sent", "refused", "sent"]
    assert "structured report" in results[paths[1]].reason
    assert only == ["refused"]


def test_out_of_resources_may_pass_and_is_tried_again(files, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds, slept=time.sleep: slept(min(seconds, 0.01)))
    left = [0xA700, 0xB000]
    with dicom_archive() as archive:
        archive.answer = lambda event: left.pop(0) if left else 0x0000
        where = f'ae_title = "PACS"\nhost = "127.0.0.1"\nport = {archive.port}\n'
        (tmp_path / "peers.toml").write_text(f'[[peer]]\nname = "pacs"\n{where}')
        words = ["--peer", "pacs", "--peers", tmp_path / "peers.toml", "--journal", tmp_path / "journal"]
        done = flr("push", files[0].parent, *words)

    assert done.exit_code == 0, done.output
    assert done.stdout == "3 objects for pacs: 3 sent, 0 refused, 0 failed\n"
    assert "the peer changed attributes (0xB000)" in done.stderr
    assert len(archive.stored) == 3


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0xA701, "failed"),
        (0xA900, "refused"),
        (0xC123, "refused"),
        (0x0122, "refused"),
        (0x0110, "failed"),
        (0x0111, "refused"),
    ],
)
def test_what_passes_is_told_from_what_does_not(code, status, files):
    assert verdict(code)[0] == status
    with web_archive() as archive:
        archive.failures = {"1.2.3.1.1.1": code}
        assert each(web_peer(archive.address), files) == ["sent", status, "sent"]


def test_an_association_broken_off_half_way_loses_one_object_and_no_time(files):
    with dicom_archive() as archive:
        archive.answer = lambda event: (
            None if event.request.AffectedSOPInstanceUID == "1.2.3.1.1.1" else 0x0000
        )
        began = time.monotonic()
        results = list(send(dicom_peer(archive.port, answer_s=20), files))

        assert [(r.status, r.reason) for r in results] == [
            ("sent", ""),
            ("failed", "the connection was lost"),
            ("sent", ""),
        ]
        assert time.monotonic() - began < 10


def test_a_peer_that_breaks_off_each_time_is_left_alone(tmp_path):
    paths = saved(tmp_path, *(an_object(n) for n in range(6)))
    with dicom_archive() as archive:
        archive.answer = lambda event: None
        results = list(send(dicom_peer(archive.port), paths))

        assert [r.status for r in results] == ["failed"] * 6
        assert archive.associations == 3


def test_who_stops_in_the_middle_leaves_no_association_behind(files):
    with dicom_archive() as archive:
        sending = send(dicom_peer(archive.port), files)
        assert next(sending).status == "sent"
        sending.close()
        until = time.monotonic() + 10
        while archive.entity.active_associations and time.monotonic() < until:
            time.sleep(0.01)

        assert archive.entity.active_associations == []
        assert len(archive.stored) == 1


def test_a_slow_peer_is_not_waited_for_longer_than_said(files):
    with dicom_archive() as archive:
        archive.answer = lambda event: time.sleep(3.0) or 0x0000
        (result,) = send(dicom_peer(archive.port, answer_s=1), files[:1])

    assert (result.status, result.reason) == ("failed", "no answer came in time")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, "unauthorized"),
        (403, "unauthorized"),
        (503, "failed"),
        (429, "failed"),
        (500, "failed"),
        (413, "refused"),
        (415, "refused"),
        (404, "refused"),
        (409, "refused"),
    ],
)
def test_what_http_says_of_a_request(status, outcome, files):
    with web_archive() as archive:
        archive.status = status
        if outcome == "unauthorized":
            assert reason_of(each, web_peer(archive.address), files) == outcome
        else:
            assert each(web_peer(archive.address), files) == [outcome] * 3


def test_a_token_is_read_from_its_file_each_time(files, tmp_path):
    secret = tmp_path / "token"
    with web_archive(token="right") as archive:
        peer = web_peer(archive.address, credentials=Credentials(file=secret))
        with pytest.raises(InputError, match="password or token"):
            echo(peer)
        secret.write_text("wrong\n")
        assert reason_of(echo, peer) == "unauthorized"
        secret.write_text("right\n")
        assert each(peer, files) == ["sent"] * 3
        assert "right" not in repr(peer)
