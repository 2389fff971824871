"""Sending by C-STORE (PS3.4, annex B)."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.network.association import MAX_CONTEXTS, NOT_OFFERED, associated
from flr_volumetry.app.network.sent import Sent, sent, verdict
from flr_volumetry.app.network.syntaxes import LOSSLESS, NATIVE, NotConvertibleError, converted
from flr_volumetry.errors import NetworkError
from flr_volumetry.io.dicom.classes import class_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
        For each, in order, those last that the peer takes in no syntax they could be sent in at once.

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
    unfit: list[Instance] = []
    for result in _over(peer, group, contexts_of, unfit, begun=begun):
        begun = True
        yield result
    if unfit:
        still: list[Instance] = []
        yield from _over(peer, unfit, _compressed_contexts, still, begun=True)
        yield from (sent(i, "refused", _not_taken(i)) for i in still)


def _compressed_contexts(instances: Sequence[Instance]) -> list[PresentationContext]:
    from pynetdicom.presentation import build_context

    classes = dict.fromkeys(i.sop_class_uid for i in instances)
    return [build_context(uid, syntax) for uid in classes for syntax in LOSSLESS]


def _over(
    peer: DicomPeer,
    instances: Sequence[Instance],
    contexts: Callable[[Sequence[Instance]], list[PresentationContext]],
    unfit: list[Instance],
    *,
    begun: bool,
) -> Iterator[Sent]:
    """Send over one association, and over others where it is lost; what no context fits is put aside."""
    waiting = list(instances)
    losses = 0
    while waiting and losses < LOSSES:
        try:
            with associated(peer, contexts(waiting)) as association:
                while waiting:
                    instance = waiting.pop(0)
                    result = store_one(association, instance)
                    if result is None:
                        unfit.append(instance)
                        continue
                    begun = True
                    lost = not association.is_established
                    losses = losses + 1 if lost else 0
                    yield result
                    if lost:
                        break
        except NetworkError as error:
            if error.reason == NOT_OFFERED:
                unfit.extend(waiting)
                return
            if not begun:
                raise
            yield from (sent(i, "failed", error.message) for i in waiting)
            return
    reason = "not tried: the connection was lost again and again"
    yield from (sent(i, "failed", reason) for i in waiting)


def store_one(association: Association, instance: Instance) -> Sent | None:
    """Send one object over an association that proposed its class.

    Parameters
    ----------
    association : Association
        Established.
    instance : Instance
        What to send.

    Returns
    -------
    Sent or None
        What became of it, and the association is aborted where it is not sound any more; None if the peer
        accepted nothing that the object can be sent in.
    """
    taken = [
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == instance.sop_class_uid
    ]
    if not taken:
        return None
    began = time.monotonic()
    try:
        answer = _answer(association, instance, taken)
    except NotConvertibleError as error:
        return sent(instance, "refused", str(error))
    except OSError:
        # What was begun cannot be taken back but by breaking off.
        association.abort()
        return sent(instance, "failed", "the file cannot be read")
    except (ValueError, AttributeError, RuntimeError):
        # The text of such an error may hold values of the object.
        answer = {}
    if "Status" in answer:
        return sent(instance, *verdict(int(answer.Status)))
    # Whatever is left of it: the next object gets an association that is sound.
    association.abort()
    slow = time.monotonic() - began >= (association.dimse_timeout or math.inf)
    return sent(instance, "failed", "no answer came in time" if slow else "the connection was lost")


def _answer(association: Association, instance: Instance, syntaxes: Sequence[str]) -> Any:
    if instance.syntax in syntaxes:
        return association.send_c_store(instance.path)
    with converted(instance, syntaxes) as copy:
        return association.send_c_store(copy)


def _not_taken(instance: Instance) -> str:
    return f"the peer takes no objects of this class ({class_name(instance.sop_class_uid)})"
