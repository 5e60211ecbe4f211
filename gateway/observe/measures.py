"""Every number that an operator can ask for, in one table; docs/operations.md lists them for people."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.observe.numbers import Counter, Gauge, Histogram, Measure

# From a read of a small resource to the longest that a query may take.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONG_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

REQUESTS = Histogram(
    "backbridge_request_seconds",
    "Requests and the seconds until their answer was handed to the server, by route, method and class of status.",
    ("route", "method", "status"),
    _SECONDS,
)
BATCHES = Histogram(
    "backbridge_commit_batch_size",
    "Transactions that became durable together: of writes, and of the audit of reads.",
    ("queue",),
    _SIZES,
)
WAITING = Gauge("backbridge_queue_length", "What waits to become durable: writes, and the audit of reads.", ("queue",))
WORK = Histogram(
    "backbridge_work_seconds", "Work of the outbox: how long each piece took.", ("kind", "outcome"), _LONG_SECONDS
)
CHILD_RESTARTS = Counter(
    "backbridge_child_restarts_total", "How often a process of ours ended unasked and was started again."
)
LINES_DROPPED = Counter("backbridge_log_lines_dropped_total", "Log lines that nobody took from standard error.")
MEMORY = Gauge("backbridge_process_memory_bytes", "Resident memory of a process.", ("role", "pid"))
PROCESSOR = Counter("backbridge_process_cpu_seconds_total", "Processor time of a process.", ("role", "pid"))
FILES = Gauge("backbridge_process_open_files", "Open file descriptors of a process.", ("role", "pid"))

OF_A_PROCESS: Sequence[Measure] = (
    REQUESTS,
    BATCHES,
    WAITING,
    WORK,
    CHILD_RESTARTS,
    LINES_DROPPED,
    MEMORY,
    PROCESSOR,
    FILES,
)
"""Counted by each process and added up."""

INFO = Gauge("backbridge_info", "1, with the version of the software.", ("version",))
DATABASE_UP = Gauge("backbridge_database_up", "1 where the database answers, else 0.")
DATABASE_BYTES = Gauge("backbridge_database_bytes", "Size of the database, by file or server.", ("part",))
CONNECTIONS = Gauge(
    "backbridge_database_connections", "Connections to PostgreSQL, by what the server says they do.", ("state",)
)
OUTBOX = Gauge(
    "backbridge_outbox_rows",
    "Work of the outbox that is waiting, or dead and waits for an operator.",
    (
        "kind",
        "state",
    ),
)
OUTBOX_AGE = Gauge(
    "backbridge_outbox_oldest_seconds", "How long the oldest piece of waiting work has been due.", ("kind",)
)
IMPORTS = Gauge("backbridge_imports", "Uploads of health data, by state.", ("state",))
LAST_BACKUP = Gauge(
    "backbridge_last_backup_timestamp_seconds", "When the latest backup of this home that succeeded was begun."
)
DISK_FREE = Gauge("backbridge_disk_free_bytes", "Free space where the home folder is.")

OF_THE_INSTALLATION: Sequence[Measure] = (
    INFO,
    DATABASE_UP,
    DATABASE_BYTES,
    CONNECTIONS,
    OUTBOX,
    OUTBOX_AGE,
    IMPORTS,
    LAST_BACKUP,
    DISK_FREE,
)
"""Looked up when somebody asks, once for all processes."""

Sample = tuple[Gauge, tuple[str, ...], float]
