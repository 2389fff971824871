"""A study so small that a node runs it in a second: a scan, and a segmentation with the plan drawn in it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    Verification,
)

from flr_volumetry.app.node.service import Node
from flr_volumetry.app.node.settings import read_settings
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.mask_files import SegSpec, write_seg

STEP_MM = 9.0
SHAPE = (24, 20, 14)
NAME, PATIENT = "Secretname^Anna", "PID-77-SECRET"
CLASSES = (
    CTImageStorage,
    SegmentationStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
CASE = """
[study]
path = "{study}"
series = "{series_uid}"

[[stage]]
name = "as drawn"
resections = [{ kind = "remnant_mask" }]
"""


def affine():
    found = np.diag([STEP_MM] * 3 + [1.0])
    found[:3, 3] = -100.0
    return found


def masks():
    """A liver of 1.5 litres, and what of it is to stay."""
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0) - (np.array(SHAPE) - 1) / 2
    liver = (grid / [9.5, 7.0, 6.0] ** np.ones(3)).__pow__(2).sum(axis=-1) <= 1
    return {1: liver, 2: liver & (grid[..., 0] > 2.0)}


def write_study(folder, number, *, description="Abdomen portal venous", seg=True):
    """Write a study of its own; return its files."""
    uid = f"1.2.826.0.1.9.{number}"
    drawn = masks()
    voxels = np.where(drawn[1], 110, -80).astype(np.int16)
    extra = {
        "PatientName": NAME,
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "StudyTime": "101500",
        "StudyID": "1",
        "AccessionNumber": f"A{number}",
        "ReferringPhysicianName": "",
        "SeriesDescription": description,
        "StudyDescription": "CT Liver",
        "Manufacturer": "test",
    }
    spec = SeriesSpec(patient=PATIENT, study=uid, series=f"{uid}.1", frame=f"{uid}.9", extra=extra)
    files = write_slices(folder / "ct", voxels, affine(), spec)
    if seg:

        def of_this_study(ds):
            ds.StudyInstanceUID = uid

        files.append(
            write_seg(
                folder / "seg.dcm",
                drawn,
                affine(),
                SegSpec(
                    names={1: "Liver", 2: "Liver Remnant"},
                    frame=f"{uid}.9",
                    patient=PATIENT,
                    series=f"{uid}.66",
                    refers_to=(f"{uid}.1", [f"{uid}.1.{k + 1}" for k in range(SHAPE[2])]),
                    edit=of_this_study,
                ),
            )
        )
    return files


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Archive:
    """A destination that counts what comes, and can be down, or refuse."""

    def __init__(self, port=0):
        self.came = []
        self.status = 0x0000
        self.port = port or free_port()
        self._server = None

    def start(self):
        entity = AE(ae_title="ARCHIVE")
        for sop_class in CLASSES:
            entity.add_supported_context(sop_class)
        entity.add_supported_context(Verification)
        handlers = [(evt.EVT_C_STORE, self._store)]
        self._server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        return self

    def _store(self, event):
        if self.status == 0x0000:
            self.came.append(str(event.request.AffectedSOPInstanceUID))
        return self.status

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server = None


def node_file(folder, *, archive=None, more="", node="", recipe=""):
    """Write a node's file with one recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.toml").write_text(CASE)
    peer = ""
    if archive is not None:
        peer = (
            f'[[peer]]\nname = "archive"\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\nport = {archive.port}\n'
            "connect_s = 2\n"
        )
    text = f"""
[node]
folder = "node"
port = 0
quiet_s = 0.3
abandon_s = 3.0
timeout_s = 3.0
retry_s = 0.3
refuse_below_gb = 0.001
{node}

{peer}
{more}

[[recipe]]
name = "liver"
case = "case.toml"
modality = "CT"
phase = "portal_venous"
to = [{'"archive"' if archive is not None else ""}]
{recipe}
"""
    path = folder / "node.toml"
    path.write_text(text)
    return path


@contextmanager
def running(path):
    """A node at work; its log stands in `said`."""
    said = []
    node = Node(read_settings(path), said.append)
    node.said = said
    stop = threading.Event()
    thread = threading.Thread(target=node.serve, args=(stop,), daemon=True)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(happened, seconds=40.0):
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {seconds} s")


def caller(port, *, calling="SENDER", called="FLR", tls=None):
    """An association with the node."""
    entity = AE(ae_title=calling)
    for sop_class in CLASSES:
        entity.add_requested_context(sop_class)
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    return entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls)


def send(port, files, **who):
    """Send files, and release; the status of each."""
    assoc = caller(port, **who)
    assert assoc.is_established
    found = [assoc.send_c_store(dcmread(path)).get("Status") for path in files]
    assoc.release()
    return found


def states(node):
    return {study.number: study.state.value for study in node.ledger.studies()}
