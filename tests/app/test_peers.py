"""Files of peers: what is understood, and what is refused in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.app.network.addresses import Credentials, DicomPeer, Tls, WebPeer
from flr_volumetry.app.network.peers import find_peer, read_peers
from flr_volumetry.errors import FlrError, InputError

DICOM = '[[peer]]\nname = "pacs"\nae_title = "PACS"\nhost = "pacs.hospital"\nport = 104\n'
WEB = '[[peer]]\nname = "archive"\nkind = "dicomweb"\nurl = "https://archive.hospital/dicom-web/"\n'


@pytest.fixture
def file(tmp_path):
    """Write peers, and say where."""

    def write(text):
        path = tmp_path / "peers.toml"
        path.write_text(text)
        return path

    return write


def test_a_dicom_peer(file, tmp_path):
    more = 'as = "OURS"\nconnect_s = 3\nanswer_s = 4\nmax_pdu = 0\nretrieve = "move"\n'
    tls = 'tls = { ca = "ca.pem", certificate = "/etc/our.pem", key = "our.key", name = "pacs" }\n'
    peer = read_peers(file(DICOM + more + tls))["pacs"]

    made = Tls(tmp_path / "ca.pem", Path("/etc/our.pem"), tmp_path / "our.key", "pacs")
    assert peer == DicomPeer(
        "pacs",
        "PACS",
        "pacs.hospital",
        104,
        "OURS",
        made,
        connect_s=3,
        answer_s=4,
        max_pdu=0,
        retrieve="move",
    )


def test_a_dicomweb_peer_with_services_at_addresses_of_their_own(file, tmp_path):
    more = 'wado = "rs"\nstow = "https://in.hospital/stow"\nbatch_mb = 5\n'
    secret = 'user = "flr"\npassword_file = "secret"\n'
    peer = read_peers(file(WEB + more + secret))["archive"]

    assert peer == WebPeer(
        "archive",
        "https://archive.hospital/dicom-web",
        "https://archive.hospital/dicom-web/rs",
        "https://in.hospital/stow",
        Credentials("flr", tmp_path / "secret"),
        batch_bytes=5_000_000,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DICOM + 'titel = "x"\n', "unknown key 'titel'"),
        (DICOM + 'ae_titel = "x"\n', "Did you mean 'ae_title'?"),
        (DICOM.replace("104", "0"), "port"),
        (DICOM.replace('"PACS"', '"A TITLE THAT IS TOO LONG"'), "1 to 16 characters"),
        (DICOM.replace('"PACS"', '"BACK\\\\SLASH"'), "1 to 16 characters"),
        (DICOM.replace('host = "pacs.hospital"\n', ""), "needs ae_title, host and port"),
        (DICOM + 'url = "https://x"\n', 'url does not go with kind = "dicom"'),
        (DICOM + DICOM, "two peers are called 'pacs'"),
        (DICOM + 'tls = { key = "k" }\n', "a key goes with a certificate"),
        (WEB + 'as = "X"\n', 'as does not go with kind = "dicomweb"'),
        (WEB + 'password = "secret"\n', "password does not belong in this file"),
        (WEB + 'token = "secret"\n', "token does not belong in this file"),
        (WEB.replace("https://", "https://user:secret@"), "does not belong in an address"),
        (WEB.replace("https://", "ftp://"), "write an address"),
        (WEB + 'user = "flr"\n', "user goes with password_file"),
        (WEB + 'token_file = "a"\ntoken_env = "B"\n', "give one of"),
        (WEB.replace("https", "http") + 'token_file = "a"\n', "can be read on the way"),
        (WEB.replace('url = "https://archive.hospital/dicom-web/"\n', ""), "needs url"),
        ("", "peer: this key is required"),
        ("[[peer]\n", "is not TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_no_secret_is(file, text, words):
    path = file(text)
    with pytest.raises(InputError) as raised:
        read_peers(path)

    assert words in raised.value.message
    assert str(path) in raised.value.message
    assert "secret" not in raised.value.message
    assert raised.value.reason == "bad_peers"


def test_http_with_a_password_is_for_this_machine_or_by_wish(file):
    secret = 'token_env = "TOKEN"\n'
    for text in (
        WEB.replace("https://archive.hospital", "http://localhost:8042") + secret,
        WEB.replace("https", "http") + secret + "unencrypted = true\n",
    ):
        assert read_peers(file(text))["archive"].credentials == Credentials(variable="TOKEN")


def test_a_secret_is_read_where_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret")
    (tmp_path / "secret").write_text("  word \nsecond line\n")

    assert Credentials(variable="TOKEN").secret() == "s3cret"
    assert Credentials("flr", tmp_path / "secret").secret() == "word"
    for empty in (Credentials(variable="NO_SUCH"), Credentials(file=tmp_path / "none")):
        with pytest.raises(InputError) as raised:
            empty.secret()
        assert raised.value.reason == "no_secret"


def test_peers_are_found_by_option_by_variable_and_in_the_users_folder(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FLR_PEERS", raising=False)
    with pytest.raises(InputError) as raised:
        find_peer("pacs")
    assert raised.value.reason == "no_peers"
    path = file(DICOM + WEB)
    with pytest.raises(InputError) as raised:
        find_peer("pac", path)
    assert raised.value.reason == "unknown_peer"
    assert "Did you mean 'pacs'? Known: pacs, archive." in raised.value.message
    monkeypatch.setenv("FLR_PEERS", os.fspath(path))
    assert find_peer("pacs").host == "pacs.hospital"
    listed = CliRunner().invoke(main, ["peers"])
    assert listed.stdout.splitlines() == [
        "pacs (PACS at pacs.hospital:104)",
        "archive (archive.hospital)",
    ]
    monkeypatch.setenv("FLR_PEERS", os.fspath(tmp_path / "gone.toml"))
    with pytest.raises(FlrError):
        find_peer("pacs")
