"""A node of the hospital's network: what it takes, what it refuses, what it never loses nor does twice."""

from __future__ import annotations

import errno
import gc
import json
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from flr_volumetry.app.cli import main
from flr_volumetry.app.node import runner as runner_module
from flr_volumetry.app.node import web
from flr_volumetry.app.node.deliveries import Deliveries
from flr_volumetry.app.node.guard import GuardedSocket
from flr_volumetry.app.node.inbox import Inbox, Names, Taken, names_of
from flr_volumetry.app.node.ledger import Ledger
from flr_volumetry.app.node.matching import SeriesFacts, meant_by, series_facts, told_phase
from flr_volumetry.app.node.outbox import Outbox
from flr_volumetry.app.node.receiver import Receiver
from flr_volumetry.app.node.records import Outcome, Sending, State
from flr_volumetry.app.node.runner import Worker
from flr_volumetry.app.node.service import Node
from flr_volumetry.app.node.settings import RecipeEntry, WebSection, read_settings
from flr_volumetry.app.node.watch import Watcher
from flr_volumetry.errors import FlrError
from tests.app.node_study import (
    CLASSES,
    NAME,
    PATIENT,
    Archive,
    caller,
    free_port,
    masks,
    node_file,
    running,
    send,
    states,
    until,
    write_study,
)

# pynetdicom leaves the sockets of callers that were rejected or cut off to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
EXAMPLE = Path(__file__).resolve().parents[2] / "pipelines" / "node" / "node.toml"
SECRETS = (PATIENT, *NAME.split("^"), "19500101")


@pytest.fixture(autouse=True)
def _collected():
    """Have such sockets collected while their warning is ignored."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The files of one study."""
    return write_study(tmp_path_factory.mktemp("study"), 1)


class Desk:
    """A receiver with its inbox and ledger, and nothing that runs cases."""

    def __init__(self, folder, **more):
        self.settings = read_settings(node_file(folder, **more))
        self.settings.folder.mkdir(exist_ok=True)
        self.said = []
        self.inbox = Inbox(self.settings.folder)
        self.ledger = Ledger(self.settings.folder / "queue.sqlite")
        self.receiver = Receiver(self.settings, self.inbox, self.ledger, self.said.append)
        self.receiver.start()

    @property
    def port(self):
        return self.receiver.port

    def settle(self, **bounds):
        return self.ledger.settle(**{"quiet_s": 0.0, "abandon_s": 60.0, **bounds})

    def only(self):
        (study,) = self.ledger.studies()
        return study

    def close(self):
        self.receiver.stop()
        self.ledger.close()


@pytest.fixture
def desk(tmp_path):
    found = Desk(tmp_path / "desk")
    yield found
    found.close()


def test_a_study_is_received_run_and_sent_back_once(tmp_path, study):
    """From C-STORE to C-STORE; the same study again: nothing is run or sent; health and metrics tell."""
    archive = Archive().start()
    more = f'[web]\nport = 0\n[[folder]]\nname = "disk"\npath = "{tmp_path / "results"}"\n'
    path = node_file(tmp_path / "n", archive=archive, more=more)
    path.write_text(path.read_text().replace('to = ["archive"]', 'to = ["archive", "disk"]'))
    with running(path) as node:
        assoc = caller(node.receiver.port)
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert set(send(node.receiver.port, study)) == {0}
        until(lambda: ("disk", Sending.SENT) in node.deliveries.sendings())
        until(lambda: node.deliveries.stalest("archive") is None)
        (known,) = node.ledger.studies()
        assert known.state is State.DONE
        assert known.recipe == "liver"
        report = json.loads((next((tmp_path / "results").iterdir()) / "report.json").read_text())
        stays = masks()[2].sum() / masks()[1].sum()
        assert report["indices"]["flr"]["value"] == pytest.approx(stays)
        first = list(archive.came)
        # A PACS that sends on whatever it gets: results of results are not made.
        results = sorted((node.settings.folder / "cases" / known.name / "dicom").glob("[rs]*.dcm"))
        assert set(send(node.receiver.port, results)) == {0}
        assert node.receiver.counts["objects_result"] == len(results)
        kinds = {
            dcmread(p).Modality for p in (node.settings.folder / "cases" / known.name / "dicom").iterdir()
        }
        assert kinds >= {"SEG", "SR", "DOC"}
        assert len(set(first)) == len(first)

        assert set(send(node.receiver.port, study)) == {0}
        until(lambda: node.receiver.counts["objects_known"] == len(study))
        time.sleep(1.0)
        assert archive.came == first
        assert states(node) == {1: "done"}

        def ask(what):
            with urllib.request.urlopen(f"http://127.0.0.1:{node.web.port}/{what}", timeout=5) as answer:
                return answer.status, answer.read().decode()

        status, said = ask("health")
        assert status == 200
        assert json.loads(said)["status"] == "ok"
        _, text = ask("metrics")
        assert 'flr_node_studies{state="done"} 1.0' in text
        assert f'flr_node_deliveries{{peer="archive",state="sent"}} {len(first):.1f}' in text
        assert f'flr_node_objects_total{{kind="known"}} {len(study):.1f}' in text
        assert 'flr_node_case_seconds_bucket{le="+Inf"} 1.0' in text
        everything = text + said + "\n".join(node.said)
        assert not [secret for secret in SECRETS if secret in everything]
    archive.stop()
    told = CliRunner().invoke(main, ["node", "status", str(path), "--json"])
    assert json.loads(told.stdout)["studies"]["done"] == 1
    words = CliRunner().invoke(main, ["node", "status", str(path)]).stdout
    assert "study 1: done" in words
    assert CliRunner().invoke(main, ["node", "again", str(path), "7"]).exit_code == 1


def test_a_study_that_was_running_when_the_node_ended_is_run_by_the_next(tmp_path, study):
    """And what is on the disk without a row in the queue is found."""
    path = node_file(tmp_path / "n")
    first = Desk(tmp_path / "n")
    send(first.port, study)
    until(first.settle)
    assert first.ledger.take().state is State.RUNNING
    first.close()
    with running(path) as node:
        assert any("queued again" in line for line in node.said)
        until(lambda: states(node) == {1: "done"})
        assert not node.deliveries.sendings()
    (tmp_path / "n" / "node" / "queue.sqlite").unlink()
    for more in ("-wal", "-shm"):
        (tmp_path / "n" / "node" / f"queue.sqlite{more}").unlink(missing_ok=True)
    with running(path) as node:
        # The result of before is kept: it was made from the same objects.
        until(lambda: states(node) == {1: "done"})
    assert (tmp_path / "n" / "node" / "logs" / "study-000001.log").read_text().count(" done") == 1


@pytest.mark.evaluate
def test_the_case_of_a_study_fails_by_itself(tmp_path, monkeypatch, study):
    """No recipe fits; the case cannot be assessed; it takes too much: the node lives on."""
    monkeypatch.setattr(runner_module, "LAST_WORDS_S", 0.2)
    broken = write_study(tmp_path / "broken", 2, seg=False)
    other = write_study(tmp_path / "other", 3, description="Thorax lung")
    with running(node_file(tmp_path / "n")) as node:
        for files in (broken, other):
            send(node.receiver.port, files)
        until(lambda: states(node) == {1: "failed", 2: "ignored"})
        assert node.ledger.study(1).reason == "no_masks"
        assert node.ledger.study(2).reason == "no_recipe"
        assert (
            CliRunner().invoke(main, ["node", "again", str(tmp_path / "n" / "node.toml"), "2"]).exit_code == 0
        )
        until(lambda: sum("no recipe fits" in line for line in node.said) == 2)
    for limit, reason in (("memory_gb = 0.02", "out_of_memory"), ("case_minutes = 0.001", "out_of_time")):
        with running(node_file(tmp_path / reason, node=limit)) as node:
            send(node.receiver.port, study)
            until(lambda: states(node) == {1: "failed"})
            assert node.ledger.study(1).reason == reason
            assert node.ledger.study(1).message.endswith("it was ended.")


def test_what_is_known_is_told_from_what_is_new(desk, study, tmp_path):
    """The same object twice is taken and kept once; another object of the same UID is refused."""
    assert set(send(desk.port, study)) == {0}
    until(lambda: desk.receiver.open == 0)
    number = desk.only().number
    until(desk.settle)
    assert desk.only().state is State.QUEUED
    assert desk.ledger.take().number == number
    desk.ledger.finish(number, State.DONE, Outcome("liver"))
    # With another header, but the same to whoever measures in it.
    ds = dcmread(study[0])
    ds.RetrieveAETitle = "ELSEWHERE"
    ds.save_as(tmp_path / "same.dcm")
    assert send(desk.port, [study[1], tmp_path / "same.dcm"]) == [0, 0]
    until(lambda: desk.receiver.open == 0)
    assert desk.only().state is State.DONE
    ds.PixelData = bytes(len(ds.PixelData))
    ds.save_as(tmp_path / "other.dcm")
    ds.PixelData, ds.PatientID = dcmread(study[0]).PixelData, "SOMEBODY"
    ds.save_as(tmp_path / "somebody.dcm")
    assert send(desk.port, [tmp_path / "other.dcm", tmp_path / "somebody.dcm"]) == [0x0111, 0x0111]
    place = desk.inbox.series(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID))
    assert dcmread(place / f"{ds.SOPInstanceUID}.dcm").PixelData == dcmread(study[0]).PixelData
    assert desk.receiver.counts["objects_known"] == 2
    assert desk.receiver.counts["objects_other"] == 2
    # Nobody can say which is right: a person must, before anything is run or sent again.
    until(lambda: desk.receiver.open == 0)
    (known,) = desk.settle()
    assert (known.state, known.reason) == (State.FAILED, "conflicting_objects")
    assert desk.ledger.again(known.number)
    assert desk.only().state is State.QUEUED


def test_an_object_without_pixels_is_known_only_if_it_says_the_same(tmp_path, study):
    """A report that comes again with another text, under the same UID, is another."""
    ds = dcmread(study[-1])
    del ds.PixelData
    ds.ContentDescription = "as drawn"
    inbox = Inbox(tmp_path)
    taken = []
    for text in ("as drawn", "as drawn", "drawn anew"):
        ds.ContentDescription = text
        path = inbox.coming / f"{len(taken)}.dcm"
        ds.save_as(path)
        taken.append(inbox.take(path, names_of(path)))
    assert taken == [Taken.NEW, Taken.KNOWN, Taken.OTHER]


def test_a_study_of_which_objects_were_refused_is_not_complete_though_its_call_was_released(desk, study):
    """As senders do that go on after "out of resources", and come again later."""
    taking = desk.inbox.take

    def full(path, names):
        if names.instance.endswith(".3"):
            raise OSError(errno.ENOSPC, "no room")
        return taking(path, names)

    desk.inbox.take = full
    assert Counter(send(desk.port, study)) == {0: len(study) - 1, 0xA700: 1}
    until(lambda: desk.receiver.open == 0)
    assert desk.settle() == []
    desk.inbox.take = taking
    # Another association, as for another series, brings nothing of what is missing.
    assert send(desk.port, study[:1]) == [0]
    until(lambda: desk.receiver.open == 0)
    assert desk.settle() == []
    assert set(send(desk.port, study)) == {0}
    until(lambda: desk.receiver.open == 0)
    assert [one.state for one in desk.settle()] == [State.QUEUED]


def test_a_queue_that_cannot_be_written_loses_nothing(desk, study, monkeypatch):
    """Its disk is full for a while: senders are told so; how a call ended is noted later."""
    assert send(desk.port, study[:2]) == [0, 0]
    until(lambda: desk.receiver.open == 0)

    def full():
        raise OSError(errno.ENOSPC, "the queue: database or disk is full")

    with monkeypatch.context() as patch:
        assoc = caller(desk.port)
        assert assoc.send_c_store(dcmread(study[2])).Status == 0
        patch.setattr(desk.ledger, "changing", full)
        assert send(desk.port, study[3:4]) == [0xA700]
        assoc.release()
        until(lambda: desk.receiver.open == 0)
        desk.receiver.reap()
        assert desk.ledger.rows("SELECT carrying FROM study") == [(1,)]
    assert desk.settle() == []
    desk.receiver.reap()
    assert [one.state for one in desk.settle()] == [State.QUEUED]


def test_an_end_between_noting_an_object_and_keeping_it_leaves_its_study_open(desk, study):
    """A late object on the disk that nobody knows of would be left out of the result for ever."""
    send(desk.port, study[:-1])
    until(lambda: desk.receiver.open == 0)
    desk.settle()
    desk.ledger.take()
    desk.ledger.finish(1, State.DONE, Outcome("liver"))
    taking, seen = desk.inbox.take, []
    desk.inbox.take = lambda *what: seen.append(desk.only().state) or taking(*what)
    send(desk.port, study[-1:])
    assert seen == [State.RECEIVING]


def test_a_later_object_opens_the_study_again(desk, study):
    """Also while its case is running: then nothing of that case is sent."""
    send(desk.port, study[:-2])
    until(desk.settle)
    number = desk.ledger.take().number
    send(desk.port, study[-2:-1])
    until(lambda: desk.receiver.open == 0)
    desk.ledger.finish(number, State.DONE, Outcome("liver"), [("archive", "a.dcm", "1.2")])
    assert desk.only().state is State.RECEIVING
    assert not Deliveries(desk.ledger).sendings()
    until(desk.settle)
    desk.ledger.take()
    desk.ledger.finish(number, State.DONE, Outcome("liver"), [("archive", "a.dcm", "1.3")])
    assert Deliveries(desk.ledger).sendings() == {("archive", Sending.WAITING): 1}
    send(desk.port, study[-1:])
    until(lambda: desk.receiver.open == 0)
    assert desk.only().state is State.RECEIVING
    until(desk.settle)
    desk.ledger.take()
    # What waits from the earlier result is not sent any more.
    desk.ledger.finish(number, State.DONE, Outcome("liver"), [("archive", "b.dcm", "1.4")])
    assert [one.uid for one in Deliveries(desk.ledger).due("archive")] == ["1.4"]


def test_a_transfer_broken_off_is_not_run_until_it_is_repeated(desk, study):
    """Half a study that came by an association broken off is no study."""
    assoc = caller(desk.port)
    for path in study[:5]:
        assert assoc.send_c_store(dcmread(path)).Status == 0
    assoc.abort()
    until(lambda: desk.receiver.open == 0)
    assert desk.settle() == []
    assert desk.only().state is State.RECEIVING
    (given_up,) = desk.settle(abandon_s=0.0)
    assert (given_up.state, given_up.reason) == (State.FAILED, "incomplete_transfer")
    assert desk.receiver.counts["broken_off"] == 1

    send(desk.port, study)
    until(lambda: desk.receiver.open == 0)
    (complete,) = desk.settle()
    assert complete.state is State.QUEUED


def test_a_study_given_up_whose_images_were_all_there_is_run_when_they_are_repeated(desk, study):
    assoc = caller(desk.port)
    for path in study:
        assert assoc.send_c_store(dcmread(path)).Status == 0
    assoc.abort()
    until(lambda: desk.receiver.open == 0)
    desk.settle(abandon_s=0.0)
    assert desk.only().state is State.FAILED
    send(desk.port, study)
    until(lambda: desk.only().state is State.RECEIVING)
    assert [one.state for one in desk.settle()] == [State.QUEUED]


def test_a_study_is_not_complete_while_an_association_carries_it(desk, study):
    assoc = caller(desk.port)
    assoc.send_c_store(dcmread(study[0]))
    assert desk.settle() == []
    assoc.release()
    until(lambda: desk.receiver.open == 0)
    assert desk.settle(quiet_s=60.0) == []
    assert len(desk.settle()) == 1


def test_who_may_call(tmp_path, study):
    """The called title, the calling title and its address must be those of the file."""
    more = '[[caller]]\nae_title = "CT1"\n[[caller]]\nae_title = "FAR"\naddress = "10.0.0.0/8"\n'
    desk = Desk(tmp_path, more=more, node='also_called = ["FLR2"]')
    try:
        assert caller(desk.port, calling="CT1").is_established
        assert caller(desk.port, calling="CT1", called="FLR2").is_established
        for wrong in (
            {"calling": "CT1", "called": "WRONG"},
            {"calling": "NOBODY"},
            {"calling": "FAR"},
            {"calling": "FAR", "called": "-"},
        ):
            assert caller(desk.port, **wrong).is_rejected
        assert desk.receiver.counts["rejected"] == 4
        desk.receiver.limits.allowed = lambda address: False
        assert not caller(desk.port, calling="CT1").is_established
        assert desk.receiver.limits.refused == {"address": 1}
    finally:
        desk.close()


def test_a_call_that_ends_while_its_first_object_is_taken_is_noted(desk, study):
    """Its study would be carried for ever otherwise, and never be run nor given up."""
    begun = desk.ledger.begun

    def ends_meanwhile(*what):
        (call,) = desk.receiver._calls.values()
        desk.receiver._closed(SimpleNamespace(assoc=call.assoc))
        return begun(*what)

    desk.ledger.begun = ends_meanwhile
    assoc = caller(desk.port)
    assert assoc.send_c_store(dcmread(study[0])).Status == 0
    until(lambda: desk.receiver.open == 0)
    assert desk.ledger.rows("SELECT carrying, broken IS NULL FROM study") == [(0, 0)]
    assoc.release()


def test_what_is_deflated_is_not_taken(desk):
    """A few kilobytes of it may be gigabytes once they are read."""
    entity = AE(ae_title="SENDER")
    for sop_class in CLASSES:
        entity.add_requested_context(sop_class, DeflatedExplicitVRLittleEndian)
    assoc = entity.associate("127.0.0.1", desk.port, ae_title="FLR")
    assert not assoc.accepted_contexts


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_is_no_object_is_refused(desk, study, tmp_path):
    """UIDs that are none, or are not what was announced, write nothing."""
    outside = dcmread(study[0])
    outside.StudyInstanceUID = "../../outside"
    assoc = caller(desk.port)
    assert assoc.send_c_store(outside).Status == 0xA900
    nameless = dcmread(study[0])
    del nameless.StudyInstanceUID
    assert assoc.send_c_store(nameless).Status == 0xA900
    assoc.release()
    assert not desk.ledger.studies()
    assert list(desk.inbox.studies()) == []
    assert list(desk.inbox.coming.iterdir()) == []
    assert not (tmp_path / "outside").exists()
    said = SimpleNamespace(dataset_path=study[0], request=SimpleNamespace(AffectedSOPInstanceUID="1.2"))
    assert desk.receiver._stored(said, None) == 0xA900
    (tmp_path / "text.dcm").write_text("no object")
    with pytest.raises(FlrError, match="no DICOM object"):
        names_of(tmp_path / "text.dcm")


def test_a_full_disk_refuses_objects_and_keeps_what_it_has(desk, study, monkeypatch):
    """Out of resources, which senders repeat; with room again, all is taken."""
    monkeypatch.setattr("flr_volumetry.app.node.receiver.ASK_DISK_S", 0.0)
    send(desk.port, study[:2])
    desk.inbox.free_bytes = lambda: 0.5e6
    assert send(desk.port, study[2:4]) == [0xA700, 0xA700]
    del desk.inbox.free_bytes
    assert send(desk.port, study[2:4]) == [0, 0]
    (place,) = (desk.inbox.study(desk.only().uid)).iterdir()
    assert len(list(place.iterdir())) == 4


def test_a_disk_that_fills_while_an_object_comes_ends_the_association(desk, study, monkeypatch):
    """Nothing half received stays."""
    monkeypatch.setattr("flr_volumetry.app.node.receiver.ASK_DISK_S", 0.0)
    assoc = caller(desk.port)
    assert assoc.send_c_store(dcmread(study[0])).Status == 0
    desk.inbox.free_bytes = lambda: 0.2e6
    large = dcmread(study[1])
    large.Rows, large.Columns = 1024, 1024
    large.PixelData = bytes(2 * 1024 * 1024)
    assert assoc.send_c_store(large).get("Status") is None
    until(lambda: desk.receiver.open == 0)
    assert desk.receiver.limits.refused == {"disk_full": 1}
    until(lambda: list(desk.inbox.coming.iterdir()) == [])


def hung_up(connection, seconds=8.0):
    """Whether the other side ends a connection within some time."""
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_junk_and_oversized_units_are_cut_off_and_the_node_lives_on(desk, study):
    """Bytes of no meaning, a unit that claims four gigabytes, an object longer than allowed."""
    for junk in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x00" * 64,
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + b"x" * 100,
        struct.pack(">BBL", 4, 0, 0x7FFFFFFF),
        b"",
    ):
        with socket.create_connection(("127.0.0.1", desk.port)) as one:
            one.sendall(junk)
            if not junk:
                one.shutdown(socket.SHUT_WR)
            assert hung_up(one), junk[:8]
    assert desk.receiver.limits.refused["oversized_pdu"] == 2
    desk.receiver.limits.object_bytes = 500.0
    assert caller(desk.port).send_c_store(dcmread(study[0])).get("Status") is None
    until(lambda: desk.receiver.open == 0)
    assert desk.receiver.limits.refused["oversized_object"] == 1
    desk.receiver.limits.object_bytes = 1e9
    assert send(desk.port, study[:1]) == [0]


def test_slow_callers_are_cut_off_and_keep_nobody_waiting(desk, study):
    """One that says nothing, one that stops in the middle of a unit, one that drips."""
    desk.receiver.limits.timeout_s = 0.6
    silent = socket.create_connection(("127.0.0.1", desk.port))
    half = socket.create_connection(("127.0.0.1", desk.port))
    half.sendall(struct.pack(">BBL", 1, 0, 5000) + b"x" * 10)
    stub = socket.create_connection(("127.0.0.1", desk.port))
    stub.sendall(b"\x01\x00\x00")
    began = time.monotonic()
    assert send(desk.port, study[:1]) == [0]
    assert time.monotonic() - began < 3.0
    for one in (half, stub, silent):
        with one:
            assert hung_up(one)
    assert desk.receiver.limits.refused["slow"] == 2


def test_encrypted_only_with_a_certificate_of_the_own_authority(tmp_path, study, authority):
    """TLS both ways; plain callers and strangers are turned away, and a caller that does not shake hands."""
    desk = Desk(tmp_path, node=authority.table)
    try:
        assert send(desk.port, study[:1], tls=(authority.client, "localhost")) == [0]
        assert not caller(desk.port, tls=(authority.stranger, "localhost")).is_established
        assert not caller(desk.port).is_established
        with socket.create_connection(("127.0.0.1", desk.port)) as silent:
            assert send(desk.port, study[1:2], tls=(authority.client, "localhost")) == [0]
            silent.close()
    finally:
        desk.close()


def test_callers_that_do_not_shake_hands_are_counted_among_those_that_wait(tmp_path, study, authority):
    """Each of them holds a thread; more than a few get none."""
    desk = Desk(tmp_path, node=f"{authority.table}\nassociations = 1")
    try:
        silent = [socket.create_connection(("127.0.0.1", desk.port)) for _ in range(6)]
        until(lambda: desk.receiver.limits.refused.get("busy") == 2)
        for one in silent:
            one.close()
        until(lambda: desk.receiver.limits.refused.get("tls") == 4)
        assert send(desk.port, study[:1], tls=(authority.client, "localhost")) == [0]
    finally:
        desk.close()


def test_a_message_that_is_held_in_memory_has_a_limit_of_its_own(desk):
    """Objects go to the disk as they come; a command, or a query, would not."""
    connection = object.__new__(GuardedSocket)
    message = SimpleNamespace(_data_set_path=None)
    connection.socket, connection.limits = None, desk.receiver.limits
    connection._assoc = SimpleNamespace(dimse=SimpleNamespace(message=message))
    for _ in range(3):
        connection._meter(1 << 20)
    with pytest.raises(OSError, match="oversized_message"):
        connection._meter(2 << 20)
    message._data_set_path = Path()
    connection._meter(2 << 20)


def test_silent_callers_of_the_metrics_are_hung_up_on(monkeypatch):
    """Before their connections are all that the node may have."""
    monkeypatch.setattr(web, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(web, "LIFE_S", 1.0)
    server = web.Web(SimpleNamespace(), WebSection(port=0))
    try:
        several = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        for one in several:
            with one:
                assert hung_up(one)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Certificates: the node's, a caller's, and those of a stranger."""
    folder = tmp_path_factory.mktemp("tls")
    own, other = trustme.CA(), trustme.CA()
    server = own.issue_cert("localhost")
    own.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    names = {"certificate": "cert.pem", "key": "key.pem", "ca": "ca.pem"}
    said = ", ".join(f'{key} = "{folder / name}"' for key, name in names.items())

    def context(issuer):
        found = ssl.create_default_context()
        own.configure_trust(found)
        issuer.issue_cert("caller").configure_cert(found)
        return found

    return SimpleNamespace(table=f"tls = {{ {said} }}", client=context(own), stranger=context(other))


class Posting:
    """An outbox with objects for one archive."""

    def __init__(self, folder, archive, study, **more):
        self.settings = read_settings(node_file(folder, archive=archive, **more))
        self.settings.folder.mkdir(exist_ok=True)
        self.ledger = Ledger(self.settings.folder / "queue.sqlite")
        self.deliveries = Deliveries(self.ledger)
        self.said = []
        self.outbox = Outbox(self.settings, self.deliveries, self.said.append)
        ds = dcmread(study[0])
        number = self.ledger.begun(str(ds.StudyInstanceUID), "CT1")
        paths = [(str(p), str(dcmread(p).SOPInstanceUID)) for p in study[:3]]
        self.uids = [uid for _, uid in paths]
        self.ledger.finish(number, State.DONE, Outcome("liver"), [("archive", p, u) for p, u in paths])

    def at(self):
        return {state: n for (_, state), n in self.deliveries.sendings().items()}

    def turns(self, happened):
        def turned():
            self.outbox.turn("archive")
            return happened()

        until(turned)


def test_a_destination_that_is_down_gets_all_when_it_is_up(tmp_path, study):
    """Nothing lost, nothing twice; the wait grows."""
    archive = Archive()
    post = Posting(tmp_path, archive, study)
    assert post.outbox.turn("archive")
    assert post.at() == {Sending.WAITING: 3}
    assert not post.outbox.turn("archive")
    post.turns(lambda: post.outbox.failures["archive"] == 2)
    archive.start()
    post.turns(lambda: post.at() == {Sending.SENT: 3})
    assert archive.came == post.uids
    assert not post.outbox.turn("archive")
    assert post.outbox.failures["archive"] == 0
    assert any("[peer_unreachable]" in line for line in post.said)
    archive.stop()
    post.ledger.close()


def test_what_comes_while_a_destination_is_down_makes_nobody_wait_longer(tmp_path, study):
    """One try for all, not one for each study; when it is back, everything goes."""
    archive = Archive()
    post = Posting(tmp_path, archive, study)
    post.outbox._later = lambda tries: 2.0
    post.outbox.turn("archive")
    for number in range(2, 30):
        post.ledger.begun(f"1.2.{number}", "CT1")
        post.ledger.finish(
            number, State.DONE, Outcome("liver"), [("archive", str(study[3]), f"{post.uids[0][:-1]}4")]
        )
        assert not post.outbox.turn("archive")
    assert post.outbox.failures["archive"] == 1
    archive.start()
    post.turns(lambda: post.at() == {Sending.SENT: 31})
    archive.stop()
    post.ledger.close()


def test_out_of_resources_is_tried_again_and_a_refusal_is_not(tmp_path, study):
    archive = Archive().start()
    post = Posting(tmp_path, archive, study)
    archive.status = 0xA700
    post.outbox.turn("archive")
    assert post.at() == {Sending.WAITING: 3}
    archive.status = 0xA900
    post.turns(lambda: post.at() == {Sending.REFUSED: 3})
    archive.status = 0
    assert not post.outbox.turn("archive")
    assert post.deliveries.resend(1) == 3
    post.turns(lambda: post.at() == {Sending.SENT: 3})
    assert archive.came == post.uids
    archive.stop()
    post.ledger.close()


def test_an_object_whose_fate_is_unknown_is_asked_for_before_it_is_sent_again(tmp_path, study, monkeypatch):
    """As after a kill between the answer and its note."""
    archive = Archive().start()
    post = Posting(tmp_path, archive, study)
    assert len(post.deliveries.due("archive")) == 3
    asked = []

    def there(peer, uid, uids):
        asked.append(sorted(uids))
        return frozenset(post.uids[:2])

    monkeypatch.setattr("flr_volumetry.app.node.outbox.holds", there)
    post.turns(lambda: post.at() == {Sending.SENT: 3})
    assert asked == [sorted(post.uids)]
    assert archive.came == post.uids[2:]
    archive.stop()
    post.ledger.close()


def test_a_destination_that_never_answers_is_given_up_and_said(tmp_path, study):
    post = Posting(tmp_path, Archive(), study, node="give_up_days = 0.00000001")
    post.outbox.turn("archive")
    assert post.at() == {Sending.GIVEN_UP: 3}
    assert any("given up" in line for line in post.said)
    gone = Posting(tmp_path / "gone", Archive().start(), study)
    with gone.ledger.changing() as db:
        db.execute("UPDATE delivery SET path = path || '.no'")
    gone.outbox.turn("archive")
    assert gone.at() == {Sending.REFUSED: 3}
    # Another result stands where the one that waits was: that is sent when its own turn comes.
    archive = Archive().start()
    later = Posting(tmp_path / "later", archive, study)
    with later.ledger.changing() as db:
        db.execute("UPDATE delivery SET path = ?", (str(study[1]),))
    later.outbox.turn("archive")
    assert archive.came == [later.uids[1]]
    assert later.at() == {Sending.REFUSED: 2, Sending.SENT: 1}
    for one in (post, gone, later):
        one.ledger.close()


@pytest.fixture
def watcher(tmp_path):
    (tmp_path / "n").mkdir()
    inbox, said = Inbox(tmp_path / "n"), []
    ledger = Ledger(tmp_path / "n" / "queue.sqlite")
    found = Watcher(tmp_path / "in", 0.05, inbox, ledger, refusal=lambda: found.refusal, log=said.append)
    found.refusal, found.ledger, found.inbox, found.said = "", ledger, inbox, said
    for name in ("", "taken", "refused"):
        (found.folder / name).mkdir(parents=True, exist_ok=True)
    yield found
    ledger.close()


def looked(watcher):
    watcher.look()
    time.sleep(0.1)
    watcher.look()


def test_a_watched_folder_takes_folders_archives_and_files(watcher, study, tmp_path):
    """Only when they have come to rest; what holds no object is put aside with the reason."""
    shutil.copytree(study[0].parent, watcher.folder / "ct")
    watcher.look()
    assert not watcher.ledger.studies()
    (watcher.folder / "ct" / "notes.txt").write_text("one more")
    watcher.look()
    assert not watcher.ledger.studies()
    with zipfile.ZipFile(watcher.folder / "seg.zip", "w") as archive:
        archive.write(study[-1], "a/seg.dcm")
    (watcher.folder / "bad.zip").write_bytes(b"no archive")
    (watcher.folder / "photo.jpg").write_bytes(b"no object")
    watcher.refusal = "disk_full"
    looked(watcher)
    assert not watcher.ledger.studies()
    watcher.refusal = ""
    looked(watcher)
    (known,) = watcher.ledger.studies()
    assert sorted(p.name for p in (watcher.folder / "taken").iterdir()) == ["ct", "seg.zip"]
    assert sorted(p.name for p in (watcher.folder / "refused").iterdir()) == [
        "bad.zip", "bad.zip.why.txt", "photo.jpg", "photo.jpg.why.txt",
    ]  # fmt: skip
    assert len(list(watcher.inbox.study(known.uid).rglob("*.dcm"))) == len(study)
    assert [one.state for one in watcher.ledger.settle(quiet_s=0, abandon_s=9)] == [State.QUEUED]
    assert list(watcher.inbox.coming.iterdir()) == []
    # The same once more: nothing new, under a name that is free.
    shutil.copytree(study[0].parent, watcher.folder / "ct")
    looked(watcher)
    assert watcher.ledger.study(known.number).state is State.QUEUED
    assert (watcher.folder / "taken" / "ct-2").is_dir()


def test_no_drop_ends_the_watching_nor_fills_the_disk(watcher, study, monkeypatch):
    """An encrypted archive, a file without end, a disk that fills meanwhile: nothing half copied stays."""
    with zipfile.ZipFile(watcher.folder / "secret.zip", "w") as archive:
        archive.write(study[0], "a.dcm")
        archive.writestr("b.dcm", b"x")
    data = bytearray((watcher.folder / "secret.zip").read_bytes())
    # The flag of an encrypted entry, in the second record of the directory and before its data.
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.rindex(mark) + offset] |= 1
    (watcher.folder / "secret.zip").write_bytes(data)
    with zipfile.ZipFile(watcher.folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1 << 20))
    watcher.most_bytes = 1e5
    looked(watcher)
    refused = watcher.folder / "refused"
    assert "encrypted" in (refused / "secret.zip.why.txt").read_text()
    assert "most_object_gb" in (refused / "bomb.zip.why.txt").read_text()
    assert watcher.ledger.rows("SELECT carrying FROM study") == [(0,)]
    (watcher.folder / "photo.jpg").write_bytes(b"no object")
    answers = iter(("", "disk_full"))
    monkeypatch.setattr(watcher, "_refusal", lambda: next(answers))
    looked(watcher)
    assert (watcher.folder / "photo.jpg").exists()
    assert list(watcher.inbox.coming.iterdir()) == []
    looks = []

    def look():
        looks.append(1)
        raise RuntimeError

    monkeypatch.setattr("flr_volumetry.app.node.watch.TROUBLE_S", 0.01)
    watcher.look = look
    watcher.start()
    until(lambda: len(looks) > 1)
    watcher.stop()


@pytest.mark.parametrize(
    ("said", "phase"),
    [
        ("Abdomen 1.0 portalvenös", "portal_venous"),
        ("PORTAL VENOUS 5mm", "portal_venous"),
        ("Leber pv 1,5 B30f", "portal_venous"),
        ("ABD_VEN_1.0", "portal_venous"),
        ("Foie temps portal", "portal_venous"),
        ("fase venosa", "portal_venous"),
        ("PVP THIN", "portal_venous"),
        ("Abdomen art. 1.0", "arterial"),
        ("LATE ARTERIAL", ""),
        ("HAP", "arterial"),
        ("temps artériel", "arterial"),
        ("Abdomen nativ", "unenhanced"),
        ("Non-contrast 5.0", "unenhanced"),
        ("w/o contrast", "unenhanced"),
        ("sans injection", "unenhanced"),
        ("Delayed 5 min", "delayed"),
        ("Spätphase", "delayed"),
        ("HBP 20 min", "hepatobiliary"),
        ("ART + PV", ""),
        ("Thorax lung", ""),
        ("Ventral portable smart", ""),
        ("Thorax Port-a-Cath", ""),
        ("Abd. port. 1.5", "portal_venous"),
        ("porto-venös", "portal_venous"),
        ("", ""),
    ],
)
def test_the_phase_that_a_description_names(said, phase):
    assert told_phase(said) == phase


def facts(uid, description="portal", images=100, **more):
    given = {
        "uid": uid,
        "folder": None,
        "modality": "CT",
        "study_description": "CT Abdomen",
        "description": description,
        "protocol": "",
        "images": images,
        "original": True,
        "phase": told_phase(description),
    }
    return SeriesFacts(**{**given, **more})


def test_the_recipe_that_fits_and_the_series_it_means():
    portal = RecipeEntry(name="p", case="c", phase="portal_venous", study_description=["*abdo*", "*liver*"])
    mr = RecipeEntry(name="m", case="c", modality="MR", caller="MR*", several="most_images")
    series = [facts("1"), facts("2", "arterial"), facts("3", "topogram", 2, original=False)]
    found = meant_by([mr, portal], series, "CT1")
    assert (found.recipe.name, found.series.uid) == ("p", "1")
    assert meant_by([portal], [facts("1", study_description="Head")], "CT1") is None
    assert meant_by([portal], [facts("1", images=9)], "CT1") is None
    assert meant_by([portal], [facts("1", images=10)], "CT1").series.uid == "1"
    assert meant_by([portal], [facts("1", original=False)], "CT1") is None
    with pytest.raises(FlrError, match="fits 2 series") as caught:
        meant_by([portal], [facts("1"), facts("2", "portal thin", 300)], "CT1")
    assert caught.value.reason == "several_series"
    drawn = RecipeEntry.model_validate({"name": "d", "case": "c", "with": ["SEG"]})
    assert meant_by([drawn, portal], [facts("1")], "CT1").recipe.name == "p"
    masks_too = [facts("1"), facts("9", modality="SEG", images=1)]
    assert meant_by([drawn, portal], masks_too, "CT1").recipe.name == "d"
    both = [facts("1", modality="MR"), facts("2", modality="MR", images=300)]
    assert meant_by([mr], both, "MRT").series.uid == "2"
    assert meant_by([mr], both, "CT1") is None


def test_what_is_said_of_a_received_series(tmp_path, study):
    inbox = Inbox(tmp_path)
    for path in study:
        inbox.take(shutil.copy(path, inbox.coming), names_of(path))
    uid = names_of(study[0]).study
    ct, seg = series_facts(inbox.study(uid))
    assert (ct.modality, ct.images, ct.phase, ct.original) == ("CT", 14, "portal_venous", True)
    assert (ct.description, ct.study_description) == ("Abdomen portal venous", "CT Liver")
    assert (seg.modality, seg.images) == ("SEG", 24)
    first = min(ct.folder.iterdir())
    ds = dcmread(first)
    ds.SeriesDescription, ds.ProtocolName, ds.ImageType = "5.0", "PV", ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.save_as(first)
    ct, _ = series_facts(inbox.study(uid))
    assert (ct.phase, ct.original) == ("portal_venous", False)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("port = 0", "prot = 0", "unknown_key"),
        ('ae_title = "FLR"', 'ae_title = "MUCH TOO LONG A TITLE"', "bad_node"),
        ('host = "127.0.0.1"', 'host = "0.0.0.0"', "bad_node"),
        ("to = []", 'to = ["nowhere"]', "bad_node"),
        ('case = "case.toml"', 'case = "none.toml"', "unreadable"),
        ("[node]", "[node", "not_toml"),
        ('name = "liver"', 'name = "liver"\nleast_images = 0', "bad_node"),
        ("[[recipe]]", '[[caller]]\nae_title = "A"\naddress = "here"\n[[recipe]]', "bad_node"),
        (
            'folder = "node"',
            'folder = "node"\ntls = { certificate = "no.pem", key = "no.pem" }',
            "bad_certificate",
        ),
        ("{study}", "{patient}", "unknown_placeholder"),
        ("remnant_mask", "remnant", "bad_case"),
        ("[[recipe]]", '[[watch]]\nfolder = "."\n[[recipe]]', "bad_node"),
        ("refuse_below_gb = 0.001", "refuse_below_gb = 9e9", "disk_full"),
    ],
)
def test_a_node_that_could_not_work_is_refused_before_it_listens(tmp_path, old, new, reason):
    """With one message and its reason code."""
    path = node_file(tmp_path, node='ae_title = "FLR"\nhost = "127.0.0.1"')
    for file in (path, tmp_path / "case.toml"):
        file.write_text(file.read_text().replace(old, new))
    command = "run" if reason == "disk_full" else "check"
    found = CliRunner().invoke(main, ["node", command, str(path)])
    assert found.exit_code == 1
    assert f"[{reason}]" in found.stderr


def test_check_tells_which_destination_does_not_answer(tmp_path):
    archive = Archive().start()
    path = node_file(tmp_path, archive=archive)
    assert "archive: answers" in CliRunner().invoke(main, ["node", "check", str(path)]).stdout
    archive.stop()
    found = CliRunner().invoke(main, ["node", "check", str(path)])
    assert found.exit_code == 3
    assert "[peer_unreachable]" in found.stdout


def test_the_example_of_the_recipes_folder_is_one_that_can_be_run():
    found = CliRunner().invoke(main, ["node", "check", "--offline", str(EXAMPLE)], catch_exceptions=False)
    assert found.exit_code == 0, found.stderr
    assert "recipe portal venous CT: scan.toml, to reports" in found.stdout


def test_as_a_service_it_ends_in_order_and_its_log_says_nothing_of_a_patient(tmp_path, study):
    """The command itself, in a process of its own: SIGTERM ends it with status 0."""
    port = free_port()
    path = node_file(tmp_path, node="quiet_s = 60.0")
    text = path.read_text().replace("quiet_s = 0.3\n", "").replace("port = 0", f"port = {port}", 1)
    path.write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "flr_volumetry", "node", "run", str(path)], stderr=subprocess.PIPE, text=True
    )
    assert "listening as FLR" in process.stderr.readline()
    assert send(port, study[:2]) == [0, 0]
    process.terminate()
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "association of SENDER released: 2 objects, 2 new; studies 1" in said
    assert not [secret for secret in SECRETS if secret in said]


class Working(Worker):
    """A worker without a process."""

    failing = False

    def __init__(self):
        super().__init__(Path(), memory_bytes=1e9, seconds=60.0)

    def _start(self):
        if self.failing:
            raise OSError(errno.EAGAIN, "no process")
        self._process = SimpleNamespace(poll=lambda: None, stdin=None)


def test_strange_objects_and_a_disk_that_is_full_for_a_moment_leave_no_study_behind(tmp_path, study):
    """An Image Type that is a number; a queue that cannot be written when a case has begun or ended."""
    ds = dcmread(study[0])
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.add_new("ImageType", "US", 5)
    said = []
    node = Node(read_settings(node_file(tmp_path / "n")), said.append)
    worker = Working()
    node._workers = [worker]
    finish = node.ledger.finish

    def full(*_):
        raise OSError(errno.ENOSPC, "no room")

    with node._over:
        number = node.ledger.begun("1.2.3", "CT1")
        coming = node.inbox.coming / "strange.dcm"
        ds.save_as(coming, implicit_vr=False, little_endian=True)
        node.inbox.take(coming, Names("1.2.3", "1.2.4", "1.2.5"))
        node.ledger.ended(number, began=time.time(), clean=True)
        until(lambda: node.turn() and states(node) == {1: "failed"})
        assert node.ledger.study(1).reason == "unreadable"
        send(node.receiver.port, study)
        worker.failing = True
        until(lambda: not node.turn())
        assert states(node)[2] == "running"
        worker.failing = False
        assert node.turn()
        assert worker.study.number == 2
        worker._said.put(b'{"reason": "no_masks", "message": "none", "key": ""}')
        node.ledger.finish = full
        assert not node.turn()
        node.ledger.finish = finish
        assert node.turn()
        assert node.ledger.study(2).reason == "no_masks"
        assert node.ended == {"unreadable": 1, "no_masks": 1}
        assert any("system error" in line for line in said)


def test_a_second_node_in_one_folder_and_a_port_in_use_are_refused(tmp_path):
    with running(node_file(tmp_path / "a")) as node:
        with pytest.raises(FlrError) as caught:
            Node(read_settings(tmp_path / "a" / "node.toml"), print)
        assert caught.value.reason == "in_use"
        other = node_file(tmp_path / "b")
        other.write_text(other.read_text().replace("port = 0", f"port = {node.receiver.port}"))
        with pytest.raises(FlrError) as caught:
            Node(read_settings(other), print)
        assert caught.value.reason == "port_in_use"


def test_a_damaged_or_later_queue_is_refused(tmp_path):
    (tmp_path / "q").write_bytes(b"no database" * 100)
    with pytest.raises(FlrError) as caught:
        Ledger(tmp_path / "q")
    assert caught.value.reason == "bad_queue"
    Ledger(tmp_path / "later").close()
    with sqlite3.connect(tmp_path / "later") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FlrError) as caught:
        Ledger(tmp_path / "later")
    assert caught.value.reason == "other_version"


def test_files_of_settled_studies_go_after_their_days(tmp_path, study):
    """And not while anything of them is still to be sent."""
    with running(node_file(tmp_path, node="keep_days = 0.0")) as node:
        number = node.ledger.begun("1.2.3", "CT1")
        node.inbox.take(shutil.copy(study[0], node.inbox.coming), Names("1.2.3", "1.2.4", "1.2.5"))
        node.ledger.ended(number, began=time.time(), clean=True)
        case = node.settings.folder / "cases" / "study-000001"
        case.mkdir(parents=True)
        with node.ledger.changing() as db:
            db.execute("UPDATE study SET state = 'done', since = 0")
            db.execute(
                "INSERT INTO delivery (study, peer, path, uid, state, first, due)"
                " VALUES (1, 'archive', 'a', '1', 'refused', 0, 0)"
            )
        node._tidy()
        assert case.is_dir()
        with node.ledger.changing() as db:
            db.execute("UPDATE delivery SET state = 'sent'")
        # One that is carried again meanwhile keeps what is there, and what comes.
        finished = node.ledger.finished_before

        def carried_meanwhile(when):
            found = finished(when)
            node.ledger.begun("1.2.3", "CT1")
            return found

        node.ledger.finished_before = carried_meanwhile
        node._tidy()
        assert node.inbox.study("1.2.3").is_dir()
        node.ledger.finished_before = finished
        node.ledger.ended(number, began=time.time(), clean=True)
        node._tidy()
        assert not case.exists()
        assert not node.inbox.study("1.2.3").exists()
        assert list(node.inbox.going.iterdir()) == []
        assert not node.ledger.again(1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begun"), st.integers(0, 1)),
        st.tuples(st.just("new"), st.integers(0, 3)),
        st.tuples(st.just("ended"), st.tuples(st.integers(0, 3), st.booleans())),
        st.tuples(st.sampled_from(["settle", "take", "finish", "restart"]), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_happens_in_whatever_order_no_object_is_left_out_of_the_last_result(steps):
    """A model of two studies: a case that ends as done, and is sent, has seen every object that came."""
    ledger = Ledger(":memory:")
    calls, running_now = [], None
    objects, seen = {}, {}
    for step, what in steps:
        if step == "begun":
            calls.append((ledger.begun(f"1.{what}", "CT"), time.time()))
        elif step == "new" and calls:
            number = calls[what % len(calls)][0]
            objects[number] = objects.get(number, 0) + 1
            ledger.changed(number)
        elif step == "ended" and calls:
            number, began = calls.pop(what[0] % len(calls))
            ledger.ended(number, began=began, clean=what[1])
        elif step == "settle":
            ledger.settle(quiet_s=-1.0, abandon_s=1e9)
        elif step == "take" and running_now is None:
            study = ledger.take()
            if study is not None:
                running_now = study.number
                assert not [number for number, _ in calls if number == running_now]
                seen[running_now] = objects.get(running_now, 0)
        elif step == "finish" and running_now is not None:
            ledger.finish(running_now, State.DONE, Outcome("r"), [("p", "x", generate_uid())])
            if ledger.study(running_now).state is State.DONE:
                assert seen[running_now] == objects.get(running_now, 0)
            running_now = None
        elif step == "restart":
            ledger.recover()
            running_now, calls = None, []
    for number, came in objects.items():
        if ledger.study(number).state is State.DONE:
            assert seen[number] == came
    ledger.close()


def test_what_the_queue_remembers_of_a_study():
    """A call cut short was broken off; tries are of one result; files that came again go again."""
    ledger = Ledger(":memory:")
    ledger.begun("1.2", "CT1")
    ledger.recover()
    assert ledger.settle(quiet_s=-1.0, abandon_s=60.0) == []
    assert [one.reason for one in ledger.settle(quiet_s=-1.0, abandon_s=-1.0)] == ["incomplete_transfer"]
    assert ledger.again(1)
    tries = []
    for state in (State.QUEUED, State.QUEUED, State.FAILED):
        tries.append(ledger.take().tries)
        ledger.finish(1, state, Outcome("liver", "worker_lost"))
    assert tries == [1, 2, 3]
    assert ledger.again(1)
    assert ledger.take().tries == 1
    ledger.finish(1, State.DONE, Outcome("liver"))
    later = time.time() + 1.0
    assert ledger.tidied(1, later, list)
    assert ledger.finished_before(later) == []
    ledger.changed(1)
    ledger.settle(quiet_s=-1.0, abandon_s=60.0)
    ledger.take()
    ledger.finish(1, State.DONE, Outcome("liver"))
    assert [one.number for one in ledger.finished_before(later)] == [1]
    ledger.close()


def test_a_destination_that_is_down_is_called_once_for_all_studies(tmp_path, study, monkeypatch):
    """And asked for what was tried before; the wait grows."""
    post = Posting(tmp_path, Archive(), study)
    number = post.ledger.begun("1.2.3", "CT1")
    post.ledger.finish(number, State.DONE, Outcome("liver"), [("archive", str(study[3]), "1.2.4")])
    post.outbox.turn("archive")
    assert not post.outbox.turn("archive")
    assert post.outbox._later(5) > 4 * post.outbox._later(1)
    asked = []
    monkeypatch.setattr(
        "flr_volumetry.app.node.outbox.holds", lambda peer, uid, uids: asked.append(uids) or frozenset(uids)
    )
    post.outbox._closed.clear()
    post.outbox.turn("archive")
    assert [sorted(uids) for uids in asked] == [sorted(post.uids)]
    post.ledger.close()


def test_two_that_come_at_once_are_kept_once(tmp_path, study):
    inbox = Inbox(tmp_path)
    names = names_of(study[0])
    results = [inbox.take(shutil.copy(study[0], inbox.coming / f"{n}.dcm"), names) for n in range(2)]
    assert results == [Taken.NEW, Taken.KNOWN]


def test_only_its_own_caller_makes_good_a_call_that_was_broken_off(tmp_path):
    """Another sender's orderly call, of another series perhaps, brings nothing of what is missing."""
    ledger = Ledger(tmp_path / "q")
    number = ledger.begun("1.2", "CT1")
    ledger.changed(number)
    ledger.ended(number, began=time.time(), clean=False, caller="CT1")
    for caller_, settled in (("PACS", False), ("CT1", True)):
        began = time.time()
        ledger.begun("1.2", caller_)
        ledger.ended(number, began=began, clean=True, caller=caller_)
        assert bool(ledger.settle(quiet_s=-1, abandon_s=60)) is settled
    ledger.close()


def test_a_study_under_which_the_node_ends_again_and_again_is_given_up_but_not_for_orderly_ends(tmp_path):
    ledger = Ledger(tmp_path / "q")
    number = ledger.begun("1.2", "CT1")
    ledger.ended(number, began=time.time(), clean=True)
    ledger.settle(quiet_s=-1, abandon_s=60)
    for _ in range(10):
        ledger.put_back(ledger.take().number)
    for _ in range(4):
        ledger.take()
        assert [one.state for one in ledger.recover()] == [State.QUEUED]
    ledger.take()
    (given_up,) = ledger.recover()
    assert (given_up.state, given_up.reason) == (State.FAILED, "worker_lost")
    assert ledger.again(number)
    assert ledger.take().tries == 1
    ledger.close()


def test_health_tells_of_parts_that_ended_and_of_destinations_no_longer_named(tmp_path):
    with running(node_file(tmp_path)) as node:
        assert node.problems() == []
        number = node.ledger.begun("1.2", "CT1")
        node.ledger.finish(number, State.DONE, Outcome("r"), [("gone", "a.dcm", "1.3")])
        node.outbox._threads.append(threading.Thread(target=print))
        said = "; ".join(node.problems())
        assert "what sends has ended" in said
        assert "objects wait for gone" in said
        node.outbox._threads.pop()


def test_studies_of_two_queues_never_share_a_folder_of_results(tmp_path, study):
    """Both call their first study number 1; the second patient's report must not replace the first's."""
    case = tmp_path / "case" / "study-000001"
    case.mkdir(parents=True)
    for uid in ("1.2.3", "1.2.4"):
        (case / "report.json").write_text(json.dumps({"outputs": [], "of": uid}))
        ledger = Ledger(tmp_path / uid)
        more = f'[[folder]]\nname = "disk"\npath = "{tmp_path / "results"}"\n'
        outbox = Outbox(read_settings(node_file(tmp_path / "n", more=more)), Deliveries(ledger), print)
        number = ledger.begun(uid, "CT1")
        ledger.finish(number, State.DONE, Outcome("r"), [("disk", str(case), "key")])
        outbox.turn("disk")
        ledger.close()
    found = [json.loads(p.read_text())["of"] for p in (tmp_path / "results").rglob("report.json")]
    assert sorted(found) == ["1.2.3", "1.2.4"]


def test_frames_of_an_enhanced_object_are_images(tmp_path, study):
    ds = dcmread(study[0])
    ds.NumberOfFrames = 40
    place = tmp_path / "study" / "series"
    place.mkdir(parents=True)
    ds.save_as(place / "1.dcm")
    assert [one.images for one in series_facts(place.parent)] == [40]
