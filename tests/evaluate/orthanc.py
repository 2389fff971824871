"""A real PACS for tests: Orthanc, in a network of its own, since it listens at every address there is.

A test that needs it is marked `own_network`, which runs it in a process whose network is a loopback that
nothing else is on (`unshare --net`), and its mounts as well; see conftest.py beside this file.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

INSIDE = "FLR_OWN_NETWORK"
DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_S = 60.0


def reason_against() -> str:
    """Why Orthanc cannot be run here; empty if it can."""
    orthanc = program()
    if orthanc is None:
        return "Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)"
    if not DICOMWEB_PLUGIN.is_file():
        return "Orthanc's DICOMweb plug-in is not installed (Debian: orthanc-dicomweb)"
    done = subprocess.run(in_own_network(["true"]), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no network namespace can be made here: {done.stderr.strip()}"


def program() -> str | None:
    """Where Orthanc is."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


def dcmtk(name: str) -> str | None:
    """Where a program of DCMTK is, and not one of pynetdicom's, which have the same names."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = shutil.which(name, path=folder)
        if path is not None:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            if "$dcmtk" in done.stdout + done.stderr:
                return path
    return None


def in_own_network(words: list[str]) -> list[str]:
    """A command that runs another where nothing but the loopback is."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    return ["unshare", *user, "--net", "--mount", "--", "bash", "-c", script, "--", *words]


def is_inside() -> bool:
    """Whether this process has a network of its own."""
    return os.environ.get(INSIDE) == "1" and [name for _, name in socket.if_nameindex()] == ["lo"]


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    `modality` is (AE title, port) of DICOM, `url` of its REST interface, `web` of DICOMweb.
    """

    ae_title: str
    port: int
    url: str
    process: subprocess.Popen
    user: tuple[str, str] | None

    @property
    def web(self) -> str:
        return f"{self.url}/dicom-web"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        """Ask its REST interface."""
        request = Request(f"{self.url}{path}", method=method, data=body)
        if self.user is not None:
            from base64 import b64encode

            request.add_header("Authorization", "Basic " + b64encode(":".join(self.user).encode()).decode())
        with urlopen(request, timeout=30) as answer:
            return answer.read()

    def instances(self) -> dict[str, str]:
        """Orthanc's own number of each object, by its SOP Instance UID."""
        found = json.loads(self.ask("/instances?expand"))
        return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in found}

    def file(self, sop_instance_uid: str) -> bytes:
        """The file of an object."""
        return self.ask(f"/instances/{self.instances()[sop_instance_uid]}/file")

    def clear(self) -> None:
        """Forget everything."""
        for patient in json.loads(self.ask("/patients")):
            self.ask(f"/patients/{patient}", method="DELETE")


@contextmanager
def orthanc(
    folder: Path,
    *,
    destinations: dict[str, int] | None = None,
    ae_title: str = "ORTHANC",
    port: int = 4242,
    http_port: int = 8042,
    user: tuple[str, str] | None = None,
    **settings,
):
    """Run Orthanc, until the block ends.

    Parameters
    ----------
    folder : Path
        For its storage, its configuration and its log; what is there from an earlier run is kept.
    destinations : dict of str to int
        AE titles that it knows on the loopback, as senders and for C-MOVE, with their ports.
    ae_title, port, http_port
        Of its own.
    user : tuple of str
        Name and password that its web side asks for.
    **settings
        Of Orthanc's configuration, by their names there.
    """
    if not is_inside():
        raise RuntimeError("Orthanc listens everywhere: mark the test own_network")
    folder.mkdir(parents=True, exist_ok=True)
    known = {aet.lower(): [aet, "127.0.0.1", number] for aet, number in (destinations or {}).items()}
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": ae_title,
        "DicomPort": port,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": known,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": user is not None,
        "RegisteredUsers": dict([user]) if user else {},
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "OverwriteInstances": False,
        "StableAge": 1,
        **settings,
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration, indent=1))
    with (folder / "orthanc.log").open("ab") as log:
        process = subprocess.Popen([program(), str(file)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        running = Orthanc(ae_title, port, f"http://127.0.0.1:{http_port}", process, user)
        _wait(running, folder / "orthanc.log")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(running: Orthanc, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if running.process.poll() is not None:
            break
        try:
            running.ask("/system")
        except HTTPError as error:
            if error.code in (401, 403):
                return
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text(errors='replace')[-3000:]}")
