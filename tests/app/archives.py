"""Small archives for tests of the network, one of DICOM's own protocol and one of DICOMweb; both remember."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
LEVELS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


def an_object(number: int, *, sop_class=CT, study="1.2.3.1", series="1.2.3.1.1", **attributes) -> Dataset:
    """A tiny object, with a patient whose name must be seen nowhere."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = sop_class, f"{series}.{number}"
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.PatientName, data.PatientID = "Secret^Sally", "S3CR3T"
    data.StudyDate, data.Modality, data.AccessionNumber = "20240503", "CT", "A77"
    data.StudyDescription, data.SeriesDescription = "Liver CT", "portal venous"
    data.InstanceNumber = str(number)
    if sop_class == CT:
        data.Rows = data.Columns = 8
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
        data.PixelData = bytes(range(128))
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data


def saved(folder: Path, *objects: Dataset) -> list[Path]:
    """Write objects, each to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, data in enumerate(objects):
        paths.append(folder / f"{n:03d}.dcm")
        data.save_as(paths[-1], enforce_file_format=True)
    return paths


class DicomArchive:
    """A storage, query and retrieve provider on the loopback; its `answer` decides what a C-STORE gets."""

    def __init__(
        self, *, classes=(CT, SR), syntaxes=None, ae_title="PACS", tls=None, find=True, get=True, roles=True
    ):
        from pynetdicom import AE, evt

        self.stored: list[tuple[str, bytes, str]] = []
        self.held: dict[str, Dataset] = {}
        self.answer = lambda event: 0x0000
        self.gives = lambda found: found
        self.levels = tuple(LEVELS)
        self.associations = 0
        self.destinations: dict[str, tuple[str, int]] = {}
        entity = AE(ae_title=ae_title)
        entity.require_called_aet = True
        entity.add_supported_context("1.2.840.10008.1.1")
        for uid in classes:
            entity.add_supported_context(uid, syntaxes, scu_role=roles or None, scp_role=roles or None)
        for offered, uid in ((find, FIND), (get, GET), (True, MOVE)):
            if offered:
                entity.add_supported_context(uid)
        self.entity = entity
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
        self.server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            ssl_context=tls,
            evt_handlers=[
                (evt.EVT_ESTABLISHED, self._established),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_C_GET, self._get),
                (evt.EVT_C_MOVE, self._move),
            ],
        )
        self.port = self.server.server_address[1]

    def _established(self, event):
        self.associations += 1

    def _store(self, event):
        status = self.answer(event)
        if status is None:
            event.assoc.abort()
            return 0x0000
        if (status if isinstance(status, int) else status.Status) in (0x0000, 0xB000):
            request = event.request
            self.stored.append(
                (
                    str(request.AffectedSOPInstanceUID),
                    request.DataSet.getvalue(),
                    str(event.context.transfer_syntax),
                )
            )
            data = event.dataset
            data.file_meta = event.file_meta
            self.held[str(request.AffectedSOPInstanceUID)] = data
        return status

    def hold(self, *objects):
        """Have objects as if they had been sent."""
        self.held.update({str(data.SOPInstanceUID): data for data in objects})

    def matching(self, identifier):
        """Objects that a query or retrieval means."""
        from fnmatch import fnmatchcase

        for data in list(self.held.values()):
            for element in identifier:
                if element.keyword in ("QueryRetrieveLevel", "SpecificCharacterSet") or not element.value:
                    continue
                own = str(
                    data.get({"ModalitiesInStudy": "Modality"}.get(element.keyword, element.keyword), "")
                )
                wanted = element.value if element.VM > 1 else [element.value]
                if element.VR == "DA" and "-" in str(element.value):
                    low, _, high = str(element.value).partition("-")
                    if not (low or "0") <= own <= (high or "9"):
                        break
                elif not any(fnmatchcase(own, str(value)) for value in wanted):
                    break
            else:
                yield data

    def _find(self, event):
        if event.identifier.QueryRetrieveLevel not in self.levels:
            yield 0xC000, None
            return
        key = LEVELS[event.identifier.QueryRetrieveLevel]
        seen = set()
        for data in self.matching(event.identifier):
            if data[key].value in seen:
                continue
            seen.add(data[key].value)
            match = Dataset()
            match.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
            for element in event.identifier:
                keyword = element.keyword
                if keyword in data and keyword != "QueryRetrieveLevel":
                    match.add(data[keyword])
            count = sum(1 for other in self.held.values() if other[key].value == data[key].value)
            for keyword in ("NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"):
                if keyword in event.identifier:
                    setattr(match, keyword, str(count))
            if "ModalitiesInStudy" in event.identifier:
                study = [d for d in self.held.values() if d.StudyInstanceUID == data.StudyInstanceUID]
                match.ModalitiesInStudy = sorted({other.Modality for other in study})
            yield 0xFF00, match

    def _get(self, event):
        found = self.gives(list(self.matching(event.identifier)))
        yield len(found)
        for data in found:
            yield 0xFF00, data

    def _move(self, event):
        from pynetdicom import build_context

        where = self.destinations.get(event.move_destination)
        if where is None:
            yield None, None
            return
        found = self.gives(list(self.matching(event.identifier)))
        contexts = [build_context(uid) for uid in {str(data.SOPClassUID) for data in found}]
        yield (*where, {"contexts": contexts})
        yield len(found)
        for data in found:
            yield 0xFF00, data

    def close(self):
        """Stop it."""
        self.server.shutdown()


@contextmanager
def dicom_archive(**wishes):
    """Run a `DicomArchive`."""
    archive = DicomArchive(**wishes)
    try:
        yield archive
    finally:
        archive.close()


class WebArchive:
    """STOW-RS, QIDO-RS and WADO-RS in memory; `status` and `failures` decide what a request gets."""

    def __init__(self, *, token="", most_bytes=0, page=1000):
        self.held: dict[str, bytes] = {}
        self.status = 0
        self.nothing = 204
        self.failures: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self.token = token
        self.most_bytes = most_bytes
        self.page = page
        self.cut_after = 0
        self.gives = lambda found: found

    def app(self):
        """As an ASGI application."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        return Starlette(
            routes=[
                Route("/dicom-web/studies", self._studies, methods=["GET", "POST"]),
                Route("/dicom-web/instances", self._instances),
                Route("/dicom-web/studies/{study}/series", self._series),
                Route("/dicom-web/studies/{study}/instances", self._instances),
                Route("/dicom-web/studies/{study}/series/{series}/instances", self._instances),
                Route("/dicom-web/studies/{study}/series/{series}", self._retrieve),
                Route("/dicom-web/studies/{study}/series/{series}/instances/{instance}", self._retrieve),
            ]
        )

    def _refused(self, request):
        from starlette.responses import Response

        self.requests.append((request.method, request.url.path))
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Response(status_code=401)
        return Response(status_code=self.status) if self.status else None

    async def _studies(self, request):
        from starlette.responses import JSONResponse, Response

        refusal = self._refused(request)
        if request.method == "GET":
            return refusal or self._answer(request, "StudyInstanceUID")
        body = await request.body()
        if refusal:
            return refusal
        if self.most_bytes and len(body) > self.most_bytes:
            return Response(status_code=413)
        boundary = request.headers["content-type"].split("boundary=")[1].encode()
        stored, failed = [], []
        for part in body.split(b"--" + boundary)[1:-1]:
            raw = part.partition(b"\r\n\r\n")[2][:-2]
            data = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True)
            item = {
                "00081150": {"vr": "UI", "Value": [data.SOPClassUID]},
                "00081155": {"vr": "UI", "Value": [data.SOPInstanceUID]},
            }
            if data.SOPInstanceUID in self.failures:
                reason = {"vr": "US", "Value": [self.failures[data.SOPInstanceUID]]}
                failed.append({**item, "00081197": reason})
            else:
                stored.append(item)
                self.held[data.SOPInstanceUID] = raw
        answer = {}
        if stored:
            answer["00081199"] = {"vr": "SQ", "Value": stored}
        if failed:
            answer["00081198"] = {"vr": "SQ", "Value": failed}
        status = 200 if not failed else 202 if stored else 409
        return JSONResponse(answer, status_code=status, media_type="application/dicom+json")

    async def _series(self, request):
        return self._refused(request) or self._answer(request, "SeriesInstanceUID")

    async def _instances(self, request):
        return self._refused(request) or self._answer(request, "SOPInstanceUID")

    def _answer(self, request, level):
        from starlette.responses import JSONResponse, Response

        matches = {}
        for raw in self.held.values():
            data = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True)
            wanted = {"StudyInstanceUID": request.path_params.get("study")}
            wanted["SeriesInstanceUID"] = request.path_params.get("series")
            wanted |= {
                k: v for k, v in request.query_params.items() if k not in ("limit", "offset", "includefield")
            }
            wanted.pop("ModalitiesInStudy", None)
            if all(str(data.get(k)) == v for k, v in wanted.items() if v):
                if level == "StudyInstanceUID":
                    data.ModalitiesInStudy = data.Modality
                matches.setdefault(str(data[level].value), data.to_json_dict())
        start = int(request.query_params.get("offset", 0))
        most = min(self.page, int(request.query_params.get("limit", self.page)))
        page = list(matches.values())[start : start + most]
        if not page:
            return Response(status_code=204 if level == "StudyInstanceUID" else self.nothing)
        return JSONResponse(page, media_type="application/dicom+json")

    async def _retrieve(self, request):
        from starlette.responses import Response, StreamingResponse

        refusal = self._refused(request)
        if refusal:
            return refusal
        found = []
        for uid, raw in self.held.items():
            data = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True)
            if data.SeriesInstanceUID == request.path_params["series"] and (
                uid == request.path_params.get("instance", uid)
            ):
                found.append(raw)
        if not found:
            return Response(status_code=404)
        found = self.gives(found)
        parts = [b"--B7\r\nContent-Type: application/dicom\r\n\r\n" + raw + b"\r\n" for raw in found]
        body = b"".join([*parts, b"--B7--\r\n"])
        kind = 'multipart/related; type="application/dicom"; boundary="B7"'
        if self.cut_after:
            body = body[: self.cut_after]
        return StreamingResponse(iter([body]), media_type=kind)


@contextmanager
def web_archive(*, tls=None, **wishes):
    """Run a `WebArchive`; it has an `address` then; `tls` is its certificate and key."""
    import uvicorn

    archive = WebArchive(**wishes)
    secure = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]} if tls else {}
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(archive.app(), log_level="critical", lifespan="off", **secure))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    archive.address = f"http{'s' if tls else ''}://127.0.0.1:{listening.getsockname()[1]}/dicom-web"
    try:
        yield archive
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def dicom_peer(port, **facts):
    """A peer on the loopback."""
    from flr_volumetry.app.network.addresses import DicomPeer

    usual = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "answer_s": 10.0}
    return DicomPeer(**usual | facts)


def web_peer(address, **facts):
    """A peer at an address."""
    from flr_volumetry.app.network.addresses import WebPeer

    return WebPeer("web", address, address, address, **{"answer_s": 10.0} | facts)


def closed_port() -> int:
    """A port of the loopback that nothing listens on."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def data_of(path) -> bytes:
    """Bytes of the data set in a file, without the file's own header."""
    from pynetdicom.dsutils import split_dataset

    _, offset = split_dataset(Path(path))
    return Path(path).read_bytes()[offset:]


def with_syntax(data, syntax):
    """The same object in another transfer syntax."""
    data.file_meta.TransferSyntaxUID = UID(syntax)
    return data
