"""Numbers in Prometheus' text format, and the port of their own on which a scraper may ask for them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from fastapi import Request, Response
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway.observe.measures import OF_A_PROCESS, OF_THE_INSTALLATION, Sample
from gateway.observe.numbers import Counter, Histogram, Labels, Measure
from gateway.observe.published import collected

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Look = Callable[[], Iterable[Sample]]
"""What is known of the whole installation, looked up when somebody asks. It may block."""


class Exposition(Collector):
    """All numbers of an installation."""

    def __init__(self, home: Path, look: Look) -> None:
        self._home = home
        self._look = look
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        series: dict[str, Mapping[Labels, Sequence[float]]] = dict(collected(self._home))
        for gauge, labels, value in self._look():
            series[gauge.name] = {**series.get(gauge.name, {}), labels: [value]}
        for measure in (*OF_A_PROCESS, *OF_THE_INSTALLATION):
            yield _family(measure, series.get(measure.name, {}))

    def describe(self) -> Iterable[Metric]:
        return ()

    def text(self) -> bytes:
        """All numbers in Prometheus' text format; blocks on files and the database."""
        return generate_latest(self.registry)


@contextlib.contextmanager
def exposed(exposition: Exposition, host: str, port: int) -> Iterator[int]:
    """Answer scrapers on a port of its own while the context is open; yields the port. OSError where it is taken."""
    server, thread = start_http_server(port, addr=host, registry=exposition.registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def metrics(exposition: Exposition, token: str) -> Callable[[Request], Awaitable[Response]]:
    """The answer to /metrics on the gateway's own port, for whoever knows the token."""
    expected = f"Bearer {token}".encode()

    async def answer(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        return Response(await asyncio.to_thread(exposition.text), media_type=CONTENT_TYPE)

    return answer


def _family(measure: Measure, series: Mapping[Labels, Sequence[float]]) -> Metric:
    if isinstance(measure, Histogram):
        return _histogram(measure, series)
    kind = CounterMetricFamily if isinstance(measure, Counter) else GaugeMetricFamily
    family = kind(measure.name, measure.meaning, labels=measure.labels)
    for labels, (value,) in series.items():
        family.add_metric(labels, value)
    return family


def _histogram(measure: Histogram, series: Mapping[Labels, Sequence[float]]) -> Metric:
    family = HistogramMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    bounds = [*(f"{bound:g}" for bound in measure.bounds), "+Inf"]
    for labels, values in series.items():
        buckets = list(zip(bounds, accumulate(values[:-1]), strict=True))
        family.add_metric(labels, buckets=buckets, sum_value=values[-1])
    return family
