"""The standard library's logging, sent to our lines: our own events, and what libraries have to say.

Our modules log an event's name and its fields: `log.warning("work.failed", extra={"kind": "plan"})`. Of a library's
record only its logger, its place and the class of its error are kept, and its message where it is in a table: messages
are put together from whatever the library had at hand.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType

from gateway.observe.fields import FIELDS
from gateway.observe.lines import Format, Lines, is_json

EVENTS: Mapping[str, str] = {
    "gateway.started": "The gateway listens.",
    "gateway.stopping": "It takes no new requests and finishes those that run.",
    "gateway.open-access": "It was started without tokens, for development.",
    "request": "A request was answered; which of them leave a line is a setting.",
    "request.fault": "A request met an error of ours: its class and place.",
    "child.ended": "A process of ours ended unasked and is started again.",
    "work.failed": "A piece of work failed and is tried again later.",
    "work.dead": "A piece of work failed for the last time and waits for an operator.",
    "work.unknown": "Nothing does work of this kind.",
    "work.unusable": "A piece of work was done without a result: what it is about cannot be used.",
    "work.taken-over": "A piece of work was given up: its lease had run out and another child has it.",
    "outbox.purged": "Rows of finished work were deleted.",
    "import.interrupted": "Reading an upload was interrupted; it is read again.",
    "import.failed": "An upload could not be used.",
    "demo.failed": "The demonstration clinic could not be loaded.",
    "process.failed": "An error that nothing caught: its class and place.",
    "library": "A library logged something.",
}
"""Every event of ours, and what it says."""

_KNOWN_MESSAGES = frozenset(
    (
        "Application startup complete.",
        "Application shutdown complete.",
        "Application startup failed. Exiting.",
        "ASGI 'lifespan' protocol appears unsupported.",
        "Cancel %s running task(s), timeout graceful shutdown exceeded",
        "Exception in ASGI application\n",
        "Finished server process [%d]",
        "Invalid HTTP request received.",
        "Shutting down",
        "Started server process [%d]",
        "Unsupported upgrade request.",
        "Waiting for application shutdown.",
        "Waiting for application startup.",
        "Waiting for background tasks to complete. (CTRL+C to force quit)",
        "Waiting for connections to close. (CTRL+C to force quit)",
    )
)
_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"), (0, "debug"))


class LineHandler(logging.Handler):
    """Turns records into lines of one process."""

    def __init__(self, lines: Lines, role: str) -> None:
        super().__init__()
        self._lines = lines
        self._role = role

    def emit(self, record: logging.LogRecord) -> None:
        level = next(name for number, name in _LEVELS if record.levelno >= number)
        # What is logged need not be text: an exception or a dictionary is as welcome, and as little written.
        message = record.msg if isinstance(record.msg, str) else ""
        said = _ours(record) if message in EVENTS else _of_a_library(record, message)
        self._lines.write({**said, "level": level, "role": self._role, "pid": os.getpid()})

    def close(self) -> None:
        self._lines.close()
        super().close()


def configure(role: str, *, level: str, form: Format) -> Lines:
    """Send everything that this process logs, and what would end it, to standard error; once, at its start."""
    lines = Lines(as_json=is_json(form))
    root = logging.getLogger()
    for earlier in list(root.handlers):
        root.removeHandler(earlier)
    root.addHandler(LineHandler(lines, role))
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # A handler that fails must not print the record it failed on.
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    threading.excepthook = lambda failed: _uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)
    sys.unraisablehook = lambda failed: _uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)
    return lines


def place_of(trace: TracebackType | None) -> str:
    """Files, lines and functions of a traceback, outermost first, without a word of what they worked on."""
    frames = traceback.extract_tb(trace)[-12:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)


def _ours(record: logging.LogRecord) -> dict[str, object]:
    return {**{name: value for name, value in vars(record).items() if name in FIELDS}, "event": record.msg}


def _of_a_library(record: logging.LogRecord, message: str) -> dict[str, object]:
    said: dict[str, object] = {
        "event": "library",
        "logger": record.name,
        "place": f"{record.filename}:{record.lineno} {record.funcName}",
    }
    if message in _KNOWN_MESSAGES:
        said["message"] = message.strip()
    if record.exc_info and record.exc_info[0]:
        said |= {"error": record.exc_info[0].__name__, "place": place_of(record.exc_info[2])}
    return said


def _uncaught(kind: type[BaseException], _: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(__name__).error("process.failed", extra={"error": kind.__name__, "place": place_of(trace)})
