"""Health and metrics of a node, for whoever watches over it."""

from __future__ import annotations

import threading
import time
from math import inf
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.node.records import BUCKETS_S
from flr_volumetry.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from socket import socket

    from flr_volumetry.app.node.service import Node
    from flr_volumetry.app.node.settings import WebSection

START_S = 10.0
MOST_CONNECTIONS = 32
LIFE_S = 10.0
"""So long a connection may last, whatever it says."""


def metrics(node: Node) -> str:
    """Return a node's metrics as Prometheus reads them.

    Parameters
    ----------
    node : Node
        Running.

    Returns
    -------
    str
        Text, version 0.0.4; no label holds anything of a patient.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(node))
    return generate_latest(registry).decode("utf-8")


class _Collector:
    """Gathers the metrics anew at each request."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterable[Any]:
        yield from self._gauges()
        yield from self._received()
        yield from self._done()

    def _gauges(self) -> Iterable[Any]:
        from prometheus_client.core import GaugeMetricFamily

        node, receiver = self._node, self._node.receiver
        oldest = node.ledger.oldest()
        for name, text, value in (
            ("start_time_seconds", "When the node was started, since 1970.", node.began),
            ("last_object_time_seconds", "When the latest object came, since 1970.", receiver.latest),
            ("associations_open", "Associations that are open.", receiver.open),
            ("disk_free_bytes", "Room on the node's disk.", node.inbox.free_bytes()),
            ("receiving", "1 while objects are taken, 0 while they are refused.", not receiver.refusal()),
            ("queue_age_seconds", "Wait of the oldest study.", time.time() - oldest if oldest else 0.0),
        ):
            yield GaugeMetricFamily(f"flr_node_{name}", text, value=value)

    def _received(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily

        receiver = self._node.receiver
        counts = receiver.counts.copy()
        ended: dict[str, int] = {k: counts[k] for k in ("released", "broken_off", "rejected", "echo")}
        ended |= {f"cut_{reason}": n for reason, n in receiver.limits.refused.copy().items()}
        objects, refused = _under(counts, "objects_"), _under(counts, "refused_")
        counted = CounterMetricFamily
        yield _labelled(counted, "associations", "Associations and calls, by their end.", "end", ended)
        yield _labelled(counted, "objects", "Objects received, by what they were.", "kind", objects)
        yield _labelled(counted, "objects_refused", "Objects refused, by status.", "status", refused)

    def _done(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        node = self._node
        states = {state.value: n for state, n in node.ledger.counts().items()}
        yield _labelled(GaugeMetricFamily, "studies", "Studies, by state.", "state", states)
        yield _labelled(CounterMetricFamily, "cases", "Cases ended since the start.", "reason", node.ended)
        family = GaugeMetricFamily(
            "flr_node_deliveries", "Objects to be sent, by destination and state.", labels=["peer", "state"]
        )
        for (peer, sending), number in sorted(node.deliveries.sendings().items()):
            family.add_metric([peer, sending.value], number)
        yield family
        down = {name: node.outbox.failures[name] for name in node.destinations}
        words = "Tries in a row that did not reach it."
        yield _labelled(GaugeMetricFamily, "delivery_failures", words, "peer", down)
        took = dict(node.took)
        buckets = [
            ("+Inf" if top == inf else f"{top:g}", sum(n for other, n in took.items() if other <= top))
            for top in (*BUCKETS_S, inf)
        ]
        yield HistogramMetricFamily(
            "flr_node_case_seconds", "Time of cases since the start.", buckets=buckets, sum_value=node.seconds
        )


def _labelled(kind: Any, name: str, text: str, label: str, values: Mapping[str, int]) -> Any:
    family = kind(f"flr_node_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _under(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix)}


def health(node: Node) -> dict[str, Any]:
    """Return whether a node does its work, and what keeps it from it.

    Parameters
    ----------
    node : Node
        Running.

    Returns
    -------
    dict
        ``status`` ("ok" or "failing"), ``problems`` and how many studies are in each state.
    """
    problems = node.problems()
    return {
        "status": "failing" if problems else "ok",
        "problems": problems,
        "studies": {state.value: count for state, count in node.ledger.counts().items()},
    }


class Web:
    """A little server for both.

    Parameters
    ----------
    node : Node
        Running.
    section : WebSection
        Where it listens.

    Raises
    ------
    OutputError
        If the port cannot be had.
    """

    def __init__(self, node: Node, section: WebSection) -> None:
        import uvicorn
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse, PlainTextResponse
        from starlette.routing import Route

        def tell_health(_: Any) -> Any:
            said = health(node)
            return JSONResponse(said, 200 if said["status"] == "ok" else 503)

        def tell_metrics(_: Any) -> Any:
            return PlainTextResponse(metrics(node), media_type="text/plain; version=0.0.4; charset=utf-8")

        routes = [Route("/health", tell_health), Route("/metrics", tell_metrics)]
        config = uvicorn.Config(
            Starlette(routes=routes),
            http=_bounded(),
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=5,
        )
        self._server = uvicorn.Server(config)
        self._socket = _listening(section)
        self.port = int(self._socket.getsockname()[1])
        run = {"sockets": [self._socket]}
        self._thread = threading.Thread(target=self._server.run, kwargs=run, name="web", daemon=True)
        self._thread.start()
        until = time.monotonic() + START_S
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._socket.close()


def _bounded() -> Any:
    """Return a protocol under which callers that say nothing do not use up what the node needs."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Bounded(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > MOST_CONNECTIONS:
                transport.abort()
            else:
                self.loop.call_later(LIFE_S, transport.abort)

    return Bounded


def _listening(section: WebSection) -> socket:
    import socket

    found = socket.socket(socket.AF_INET6 if ":" in section.host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((section.host, section.port))
    except OSError as error:
        found.close()
        raise OutputError(
            f"[web]: {section.host}, port {section.port}, cannot be had: {error.strerror or error}.",
            reason="port_in_use",
        ) from error
    return found
