"""The node's storage provider: answers C-ECHO and C-STORE of those that may call."""

from __future__ import annotations

import ipaddress
import secrets
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.node.call import Call
from flr_volumetry.app.node.inbox import UID, Taken, names_of
from flr_volumetry.app.node.tls import tls_context
from flr_volumetry.errors import FlrError, OutputError
from flr_volumetry.io.writing import is_full

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.app.node.guard import GuardedServer
    from flr_volumetry.app.node.inbox import Inbox, Names
    from flr_volumetry.app.node.ledger import Ledger
    from flr_volumetry.app.node.settings import CallerEntry, NodeSettings

SUCCESS, OUT_OF_RESOURCES, NO_MATCH, CANNOT_UNDERSTAND, NOT_AUTHORIZED, DUPLICATE, PROCESSING_FAILURE = (
    0x0000, 0xA700, 0xA900, 0xC000, 0x0124, 0x0111, 0x0110,
)  # fmt: skip
"""Status of C-STORE (PS3.4, table B.2-1; PS3.7, C.4 and C.5)."""
PDU_BYTES = 131072
ASK_DISK_S = 1.0
LAST_SHARE = 0.25
"""Of the room that is to be kept free: below it even objects that are coming are cut off."""
STOP_S = 10.0
"""So long an association may go on when the node is stopped."""


class Receiver:
    """Receives objects until it is stopped.

    Parameters
    ----------
    settings : NodeSettings
        Where it listens, and who may call.
    inbox : Inbox
        Where objects go.
    ledger : Ledger
        Where studies are noted.
    log : callable
        Of the node.
    """

    def __init__(
        self, settings: NodeSettings, inbox: Inbox, ledger: Ledger, log: Callable[[str], None]
    ) -> None:
        from flr_volumetry.app.node.guard import Limits

        self._node, self._callers = settings.file.node, settings.file.caller
        self._called = settings.called
        self._settings, self._inbox, self._ledger, self._log = settings, inbox, ledger, log
        self._calls: dict[int, Call] = {}
        self._unsaid: list[Call] = []
        self._lacking: dict[str, set[Names]] = {}
        self._lock = threading.Lock()
        self._free = (-inf, inf)
        self.counts: Counter[str] = Counter()
        self.latest = 0.0
        self.limits = Limits(
            pdu_bytes=PDU_BYTES,
            object_bytes=self._node.most_object_gb * 1e9,
            timeout_s=self._node.timeout_s,
            exhausted=self._exhausted,
            allowed=lambda address: self._may_call(None, address),
        )
        self._server: GuardedServer | None = None
        self._thread: threading.Thread | None = None
        self._before: tuple[bool, str, str | None] = (False, "standard", None)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1]) if self._server is not None else 0

    @property
    def open(self) -> int:
        """How many associations are open."""
        return len(self._calls)

    def refusal(self) -> str:
        """Return why nothing can be received now; empty if it can."""
        return "disk_full" if self._free_share() < 1.0 else ""

    def _exhausted(self) -> bool:
        """Whether what is to be kept free is nearly used up, by objects that were begun before."""
        return self._free_share() < LAST_SHARE

    def _free_share(self) -> float:
        """How much is free of what is to be kept free. The disk is asked once a second."""
        at, share = self._free
        if time.monotonic() - at > ASK_DISK_S:
            share = self._inbox.free_bytes() / (self._node.refuse_below_gb * 1e9)
            self._free = (time.monotonic(), share)
        return share

    def start(self) -> None:
        """Listen, in a thread of its own.

        Raises
        ------
        OutputError
            If the port cannot be had.
        CaseError
            If the certificate or its key cannot be used.
        """
        from pydicom.uid import AllTransferSyntaxes
        from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

        from flr_volumetry.app.node.guard import GuardedHandler, GuardedServer

        tls = tls_context(self._node.tls, self._settings) if self._node.tls else None
        # What pynetdicom has for the process, and not for one listener, is as it was when this one stops.
        self._before = (_config.STORE_RECV_CHUNKED_DATASET, _config.LOG_HANDLER_LEVEL, tempfile.tempdir)
        # Large objects go to a file as they come, on the disk where they stay.
        _config.STORE_RECV_CHUNKED_DATASET = True
        # Its own log shows what is in the objects.
        _config.LOG_HANDLER_LEVEL = "none"
        tempfile.tempdir = str(self._inbox.coming)
        entity = AE(ae_title=self._node.ae_title)
        # What is deflated has no bound once it is read.
        syntaxes = [uid for uid in AllTransferSyntaxes if not uid.is_deflated]
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), syntaxes)
        entity.add_supported_context(Verification)
        entity.maximum_associations = self._node.associations
        entity.maximum_pdu_size = PDU_BYTES
        entity.require_called_aet = True
        entity.require_calling_aet = [entry.ae_title for entry in self._callers]
        for kind in ("acse_timeout", "dimse_timeout", "network_timeout"):
            setattr(entity, kind, self._node.timeout_s)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_PDU_RECV, self._heard),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_ABORTED, self._closed),
            (evt.EVT_REJECTED, self._rejected),
        ]
        try:
            server: Any = entity.make_server(
                (self._node.host, self._node.port),
                ssl_context=tls,
                evt_handlers=handlers,
                server_class=GuardedServer,
                request_handler=GuardedHandler,
            )
        except OSError as error:
            self._restore()
            raise OutputError(
                f"the node cannot listen on {self._node.host}, port {self._node.port}: "
                f"{error.strerror or error}. Is another node running? A port below 1024 needs a right.",
                reason="port_in_use",
            ) from error
        server.limits = self.limits
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still listens."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Take no new callers; let those that are sending finish, within bounds."""
        if self._server is None:
            return
        self._server.shutdown()
        until = time.monotonic() + STOP_S
        while self._server.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        for assoc in self._server.active_associations:
            assoc.abort()
        self._server = None
        self._restore()

    def _restore(self) -> None:
        from pynetdicom import _config

        chunked, logged, tempfile.tempdir = self._before
        _config.STORE_RECV_CHUNKED_DATASET, _config.LOG_HANDLER_LEVEL = chunked, logged

    # What pynetdicom tells, each in the thread of its association

    def _requested(self, event: Any) -> None:
        assoc = event.assoc
        wanted = assoc.requestor.primitive
        caller = str(wanted.calling_ae_title).strip()
        called = str(wanted.called_ae_title).strip()
        if called in self._called:
            assoc.acceptor.ae_title = called
        if not self._may_call(caller, str(assoc.requestor.address)):
            # A title from another address than its own: the negotiation that follows finds no such node,
            # by whatever title it is called.
            assoc.acceptor.ae_title = secrets.token_hex(8)
        elif self.refusal():
            self._log("no room: an association is accepted, its objects are refused until there is")

    def _may_call(self, caller: str | None, address: str) -> bool:
        if not self._callers:
            return True
        return any(_fits(entry, caller, address) for entry in self._callers)

    def _accepted(self, event: Any) -> None:
        caller = str(event.assoc.requestor.ae_title).strip()
        with self._lock:
            self._calls[id(event.assoc)] = Call(time.time(), caller, event.assoc)
        self.counts["accepted"] += 1

    def _rejected(self, event: Any) -> None:
        del event
        self.counts["rejected"] += 1

    def _echo(self, event: Any) -> int:
        del event
        self.counts["echo"] += 1
        return SUCCESS

    def _heard(self, event: Any) -> None:
        from pynetdicom.pdu import A_RELEASE_RQ

        if isinstance(event.pdu, A_RELEASE_RQ):
            with self._lock:
                call = self._calls.get(id(event.assoc))
            if call is not None:
                call.released = True

    def _closed(self, event: Any) -> None:
        self._end(event.assoc)

    def reap(self) -> None:
        """End the calls whose association is gone without a word."""
        with self._lock:
            gone = [call.assoc for call in self._calls.values() if not call.assoc.is_alive()]
            unsaid, self._unsaid = self._unsaid, []
        for assoc in gone:
            self._end(assoc)
        for call in unsaid:
            self._say_ended(call)

    def _end(self, assoc: Any) -> None:
        with self._lock:
            call = self._calls.get(id(assoc))
            if call is not None and call.storing:
                # The object that is being taken may be the first of a study: its end is noted after that.
                call.over = True
                return
            self._calls.pop(id(assoc), None)
        unfinished = getattr(getattr(assoc.dimse, "message", None), "_data_set_path", None)
        if isinstance(unfinished, Path):
            with suppress(OSError):
                unfinished.unlink()
        if call is None:
            return
        self.counts["released" if call.released else "broken_off"] += 1
        if call.studies:
            how = "released" if call.released else "broken off"
            numbers = ", ".join(str(n) for n in sorted(call.studies.values()))
            self._log(
                f"association of {call.caller} {how}: {call.came} objects, {call.new} new; studies {numbers}"
            )
        self._say_ended(call)

    def _say_ended(self, call: Call) -> None:
        """Note for each study how the call that carried it ended; on a full disk, later."""
        try:
            while call.studies:
                uid, number = next(iter(call.studies.items()))
                clean = call.released and not self._lacks(uid, call)
                self._ledger.ended(number, began=call.began, clean=clean, caller=call.caller)
                del call.studies[uid]
        except OSError:
            with self._lock:
                self._unsaid.append(call)

    def _lacks(self, uid: str, call: Call) -> bool:
        """Whether an object of a study was refused, by this call or an earlier, and has not come since."""
        with self._lock:
            known = self._lacking.setdefault(uid, set())
            known.update(names for names in call.lacking if names.study == uid)
            known.difference_update([names for names in known if self._inbox.has(names)])
            if not known:
                del self._lacking[uid]
            return bool(known)

    def _store(self, event: Any) -> int:
        with self._lock:
            call = self._calls.get(id(event.assoc))
            if call is not None:
                call.storing = True
        if call is None:
            return NOT_AUTHORIZED
        try:
            return self._answer(event, call)
        finally:
            with self._lock:
                call.storing = False
                over = call.over
            if over:
                self._end(event.assoc)

    def _answer(self, event: Any, call: Call) -> int:
        try:
            status = self._stored(event, call)
        except OSError as error:
            status = OUT_OF_RESOURCES if is_full(error) else PROCESSING_FAILURE
        except FlrError as error:
            status = NO_MATCH if error.reason == "bad_uid" else CANNOT_UNDERSTAND
        if status != SUCCESS:
            self.counts[f"refused_{status:04X}"] += 1
        return status

    def _stored(self, event: Any, call: Call) -> int:
        names = names_of(event.dataset_path)
        stated = str(event.request.AffectedSOPInstanceUID)
        if names.instance != stated or not UID.fullmatch(stated):
            return NO_MATCH
        if names.result:
            self.counts[f"objects_{Taken.RESULT}"] += 1
            return SUCCESS
        # Until the object is taken its study lacks it, whatever the caller does next.
        call.lacking.add(names)
        if self.refusal():
            return OUT_OF_RESOURCES
        number = call.studies.get(names.study)
        if number is None:
            number = call.studies[names.study] = self._ledger.begun(names.study, call.caller)
        if number not in call.changed and not self._inbox.has(names):
            # Before it is on the disk: an end between both must not leave it there unnoticed.
            self._ledger.changed(number)
            call.changed.add(number)
        taken = self._inbox.take(event.dataset_path, names)
        call.came += 1
        call.new += taken is Taken.NEW
        self.latest = time.time()
        self.counts[f"objects_{taken}"] += 1
        call.lacking.discard(names)
        if taken is Taken.OTHER:
            self._ledger.conflicting(number)
            self._log(f"study {number}: an object came that is not the one known by its UID; the first stays")
            return DUPLICATE
        return SUCCESS


def _fits(entry: CallerEntry, caller: str | None, address: str) -> bool:
    if caller is not None and entry.ae_title != caller:
        return False
    if entry.address is None:
        return True
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry.address, strict=False)
    except ValueError:
        return False
