"""The network's client side, against small archives in this process."""

from __future__ import annotations

import pytest

from flr_volumetry.app.network.addresses import DicomPeer, WebPeer
from flr_volumetry.app.network.client import echo, holds, send
from tests.app.archives import SR, an_object, data_of, dicom_archive, saved, web_archive


def dicom_peer(port, **facts):
    return DicomPeer(
        **{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "answer_s": 10.0} | facts
    )


def web_peer(address, **facts):
    return WebPeer("web", address, address, address, **facts)


@pytest.fixture(scope="module")
def objects():
    return [
        *(an_object(n) for n in range(3)),
        an_object(1, sop_class=SR, series="1.2.3.1.2", Modality="SR", SeriesDescription="report"),
    ]


@pytest.fixture
def files(tmp_path, objects):
    return saved(tmp_path / "in", *objects)


def test_objects_arrive_byte_for_byte_by_c_store(files, objects):
    with dicom_archive() as archive:
        peer = dicom_peer(archive.port)
        echo(peer)
        results = list(send(peer, files))

        assert [(r.path, r.status, r.reason) for r in results] == [(f, "sent", "") for f in files]
        assert [raw for _, raw, _ in archive.stored] == [data_of(f) for f in files]
        assert archive.associations == 2
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
