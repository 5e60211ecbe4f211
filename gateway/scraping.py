"""The listener for Prometheus alone: a port of its own, kept by the process that keeps the installation running."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gateway.observe import published
from gateway.observe.exposition import Exposition, exposed
from gateway.settings import Settings
from gateway.store.database import open_database
from gateway.store.store import now_us
from gateway.work.figures import figures


@contextlib.contextmanager
def scraping(settings: Settings, version: str) -> Iterator[None]:
    """
    Begin to count anew, and answer scrapers where the settings say so, while the context is open.

    raises  OSError where the address cannot be listened on
    """
    published.begin(settings.home)
    if not settings.metrics_listen:
        yield
        return
    host, _, port = settings.metrics_listen.rpartition(":")
    database = open_database(settings)
    try:
        exposition = Exposition(settings.home, figures(database, settings, version, now_us))
        with exposed(exposition, host.strip("[]"), int(port)):
            yield
    finally:
        database.close()
