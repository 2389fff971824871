"""Sending by C-STORE (PS3.4, annex B)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flr_volumetry.app.network.association import MAX_CONTEXTS, NOT_OFFERED, associated
from flr_volumetry.app.network.sent import Sent, sent, verdict
from flr_volumetry.app.network.syntaxes import NATIVE, NotConvertibleError, converted
from flr_volumetry.errors import NetworkError
from flr_volumetry.io.dicom.classes import class_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from flr_volumetry.app.network.addresses import DicomPeer
    from flr_volumetry.app.network.instances import Instance

LOSSES = 3
"""Lost associations in a row after which the rest is not tried."""


def store(peer: DicomPeer, instances: Sequence[Instance]) -> Iterator[Sent]:
    """Send objects in the transfer syntax that they are stored in, or losslessly in one the peer takes.

    Parameters
    ----------
    peer : DicomPeer
        Where to.
    instances : sequence of Instance
        What.

    Yields
    ------
    Sent
        For each, in order.

    Raises
    ------
    NetworkError
        If there is no association to begin with. Later losses are the instances' failures.
    """
    begun = False
    for group in grouped(instances):
        for result in _store_group(peer, group, begun=begun):
            begun = True
            yield result


def grouped(instances: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Cut a sequence so that no part needs more than 128 presentation contexts.

    Parameters
    ----------
    instances : sequence of Instance
        In order.

    Yields
    ------
    list of Instance
        In the same order.
    """
    group: list[Instance] = []
    wanted: set[tuple[str, ...]] = set()
    for instance in instances:
        more = wanted | {(instance.sop_class_uid, instance.syntax), (instance.sop_class_uid,)}
        if len(more) > MAX_CONTEXTS:
            yield group
            group = []
            more = {(instance.sop_class_uid, instance.syntax), (instance.sop_class_uid,)}
        group.append(instance)
        wanted = more
    if group:
        yield group


def contexts_of(instances: Sequence[Instance]) -> list[PresentationContext]:
    """Return a context for each class with each syntax it is stored in, and one with what all must take.

    Parameters
    ----------
    instances : sequence of Instance
        Of one association.

    Returns
    -------
    list of PresentationContext
        To propose.
    """
    from pynetdicom.presentation import build_context

    pairs = dict.fromkeys((i.sop_class_uid, i.syntax) for i in instances)
    classes = dict.fromkeys(i.sop_class_uid for i in instances)
    return [
        *(build_context(uid, syntax) for uid, syntax in pairs),
        *(build_context(uid, list(NATIVE)) for uid in classes),
    ]


def _store_group(peer: DicomPeer, group: Sequence[Instance], *, begun: bool) -> Iterator[Sent]:
    waiting = list(group)
    losses = 0
    while waiting:
        try:
            with associated(peer, contexts_of(waiting)) as association:
                while waiting:
                    result = store_one(association, waiting[0])
                    lost = not association.is_established
                    losses = losses + 1 if lost and result.status == "failed" else 0
                    waiting.pop(0)
                    begun = True
                    yield result
                    if lost:
                        break
        except NetworkError as error:
            if error.reason == NOT_OFFERED:
                yield from (sent(i, "refused", _not_taken(i)) for i in waiting)
                return
            if not begun:
                raise
            yield from (sent(i, "failed", error.message) for i in waiting)
            return
        if losses >= LOSSES:
            reason = "not tried: the connection was lost again and again"
            yield from (sent(i, "failed", reason) for i in waiting)
            return


def store_one(association: Association, instance: Instance) -> Sent:
    """Send one object over an association that proposed its class.

    Parameters
    ----------
    association : Association
        Established.
    instance : Instance
        What to send.

    Returns
    -------
    Sent
        What became of it; the association may be lost after it.
    """
    taken = [c for c in association.accepted_contexts if c.abstract_syntax == instance.sop_class_uid]
    if not taken:
        return sent(instance, "refused", _not_taken(instance))
    try:
        answer = _answer(association, instance, [str(c.transfer_syntax[0]) for c in taken])
    except NotConvertibleError as error:
        return sent(instance, "refused", str(error))
    except OSError:
        # What was begun cannot be taken back but by breaking off.
        association.abort()
        return sent(instance, "failed", "the file cannot be read")
    except (ValueError, AttributeError, RuntimeError):
        # The text of such an error may hold values of the object.
        if association.is_established:
            return sent(instance, "refused", "it cannot be encoded")
        answer = {}
    if "Status" not in answer:
        return sent(instance, "failed", "the connection was lost, or no answer came in time")
    return sent(instance, *verdict(int(answer.Status)))


def _answer(association: Association, instance: Instance, syntaxes: Sequence[str]) -> Any:
    if instance.syntax in syntaxes:
        return association.send_c_store(instance.path)
    with converted(instance, syntaxes) as copy:
        return association.send_c_store(copy)


def _not_taken(instance: Instance) -> str:
    return f"the peer takes no objects of this class ({class_name(instance.sop_class_uid)})"
