"""The sample study from a real PACS to a node and back by C-STORE and STOW-RS, found by C-FIND and QIDO."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
import tomli_w
from pydicom import dcmread

from flr_volumetry.app.network.client import holds
from flr_volumetry.app.network.peers import read_peers
from flr_volumetry.app.node.records import Sending, State
from tests.app.node_study import free_port, running, until
from tests.evaluate.orthanc import dcmtk, orthanc, reason_against

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
PACS = """
[[peer]]
name = "pacs"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = 4242
as = "FLR"

[[peer]]
name = "web"
kind = "dicomweb"
url = "http://127.0.0.1:8042/dicom-web"
"""

pytestmark = [
    pytest.mark.evaluate,
    pytest.mark.own_network,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def node_file(folder, port, to):
    """A node that runs the sample's own case, with its masks, on the scan that comes."""
    folder.mkdir()
    case = tomllib.loads((SAMPLE / "case.toml").read_text())
    del case["case"]
    case["image"]["path"] = "{series}"

    def absolute(value):
        return [absolute(v) for v in value] if isinstance(value, list) else str(SAMPLE / value)

    case["masks"] = {key: absolute(value) for key, value in case["masks"].items()}
    (folder / "case.toml").write_text(tomli_w.dumps(case))
    path = folder / "node.toml"
    path.write_text(
        f'[node]\nfolder = "node"\nport = {port}\nquiet_s = 1.0\nrefuse_below_gb = 0.1\n{PACS}'
        f'[[recipe]]\nname = "sample"\ncase = "case.toml"\nto = ["{to}"]\n'
    )
    return path


@pytest.mark.parametrize("to", ["pacs", "web"])
def test_the_sample_study_goes_out_and_its_results_are_found(tmp_path, to):
    """Orthanc sends, the node assesses, the results lie in the study; moved again, nothing is made twice."""
    if why := reason_against():
        pytest.skip(why)
    port = free_port()
    (tmp_path / "peers.toml").write_text(PACS)
    peers = read_peers(tmp_path / "peers.toml")
    with (
        orthanc(tmp_path / "orthanc", destinations={"FLR": port, "STORESCU": 11119}) as pacs,
        running(node_file(tmp_path / "n", port, to)) as node,
    ):
        scan = sorted((SAMPLE / "ct").glob("*.dcm"))
        for path in scan:
            pacs.ask("/instances", method="POST", body=path.read_bytes())
        study = json.loads(pacs.ask("/studies"))[0]
        uid = str(dcmread(scan[0]).StudyInstanceUID)
        pacs.ask("/modalities/flr/store", method="POST", body=study.encode())
        until(lambda: node.ledger.counts()[State.DONE] == 1, 300)
        until(lambda: node.deliveries.stalest(to) is None, 60)
        sent = {row[0] for row in node.ledger.rows("SELECT uid FROM delivery WHERE state = 'sent'")}
        assert len(sent) >= 6
        assert set(node.deliveries.sendings()) == {(to, Sending.SENT)}
        for peer in peers.values():
            assert holds(peer, uid, sorted(sent)) == sent
        assert len(pacs.instances()) == len(scan) + len(sent)
        modalities = {json.loads(pacs.ask(f"/series/{s}"))["MainDicomTags"]["Modality"]
                      for s in json.loads(pacs.ask(f"/studies/{study}"))["Series"]}  # fmt: skip
        assert {"CT", "SEG", "SR", "DOC"} <= modalities
        dicom = node.settings.folder / "cases" / "study-000001" / "dicom"
        for path in dicom.iterdir():
            ds = dcmread(path)
            if ds.SOPInstanceUID in sent:
                assert pacs.file(str(ds.SOPInstanceUID))[128:132] == b"DICM"

        # All of the study, results too, is moved to the node by a client of others.
        movescu = dcmtk("movescu")
        if movescu is not None:
            words = ["-aec", "ORTHANC", "-aet", "STORESCU", "-aem", "FLR", "-S", "-k", "0008,0052=STUDY"]
            done = subprocess.run(
                [movescu, *words, "-k", f"0020,000d={uid}", "127.0.0.1", "4242"],
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            until(lambda: node.receiver.counts["objects_known"] == len(scan), 30)
            assert node.receiver.counts["objects_result"] == len(sent)
            node.turn()
            assert node.ledger.counts()[State.DONE] == 1
            assert len(pacs.instances()) == len(scan) + len(sent)
