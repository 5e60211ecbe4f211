"""The load generator: keep-alive connections, each sending its next request when it has its answer.

Bounded in requests and in time. Every user is a generator: it yields a Request and is sent the Answer, so that a
cycle of dependent requests and a list of independent ones are driven by the same code.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools
import orjson
import uvloop

from gateway.bench.target import Answer, Request, Target, Unusable

Script = Generator[Request, Answer, None]

# Every so many answers one is kept and looked at after the clock has stopped.
_KEEP_EVERY = 40
_KEPT_MAX = 200
_SHOWN = 200
_GRACE_SECONDS = 30.0


@dataclass
class Result:
    """
    What one run saw.

    latencies  seconds, by kind of request
    statuses   how many answers had each status; 0 counts connections that ended without an answer
    errors     (kind, status) of every answer with an unexpected status, and one example of each
    wrong      what checks said of answers whose status was right
    """

    seconds: float = 0.0
    entries: int = 0
    cpu_seconds: float | None = None
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[tuple[str, int]] = field(default_factory=Counter)
    examples: dict[tuple[str, int], str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    def add(self, other: Result) -> None:
        """Put two runs of the same workload together."""
        self.seconds += other.seconds
        self.entries += other.entries
        if other.cpu_seconds is not None:
            self.cpu_seconds = (self.cpu_seconds or 0.0) + other.cpu_seconds
        for kind, latencies in other.latencies.items():
            self.latencies[kind] += latencies
        self.statuses += other.statuses
        self.errors += other.errors
        self.examples = {**other.examples, **self.examples}
        self.wrong += other.wrong


def percentile_ms(latencies: Sequence[float], share: float) -> float:
    """The latency in milliseconds that this share of the requests stayed below; 0 for none."""
    ranked = sorted(latencies)
    return ranked[min(int(share * len(ranked)), len(ranked) - 1)] * 1000 if ranked else 0.0


def load(target: Target, scripts: Sequence[Script], *, seconds_max: float = 60.0) -> Result:
    """Run every script on a connection of its own, all at once. Unusable where the server does not answer at all."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_loading(target, scripts, seconds_max))


def ask(target: Target, request: Request) -> Answer:
    """The answer to one request; nothing is counted. Unusable where none comes."""
    answers: list[Answer] = []

    def once() -> Script:
        answers.append((yield request))

    load(target, [once()])
    if not answers or answers[0].status == 0:
        raise Unusable(f"{target.url} does not answer as a web server does")
    return answers[0]


def in_turn(requests: Sequence[Request], count: int, users: int, start: int = 0) -> list[Script]:
    """Users who share one list of independent requests, `count` in all, from the one numbered `start` on."""
    numbers = iter(range(start, start + count))
    return [_sharing(requests, numbers) for _ in range(users)]


def _sharing(requests: Sequence[Request], numbers: Iterator[int]) -> Script:
    for number in numbers:
        yield requests[number % len(requests)]


async def _loading(target: Target, scripts: Sequence[Script], seconds_max: float) -> Result:
    run = _Run(target, len(scripts), seconds_max)
    started = time.perf_counter()
    try:
        for script in scripts:
            await run.connect(_User(run, script))
        async with asyncio.timeout(seconds_max + _GRACE_SECONDS):
            await run.done
    except OSError as failure:
        if isinstance(failure, TimeoutError):
            raise Unusable(f"{target.url} stopped answering") from None
        raise Unusable(f"{target.url} does not answer") from None
    run.result.seconds = time.perf_counter() - started
    run.look_at_kept()
    return run.result


class _Run:
    """What the users of one run share: the target, the deadline and the result."""

    def __init__(self, target: Target, users: int, seconds_max: float) -> None:
        self.result = Result()
        self.deadline = time.perf_counter() + seconds_max
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._target = target
        self._users = users
        self._kept: list[tuple[Request, Answer]] = []
        self._reconnecting: set[asyncio.Task[None]] = set()

    async def connect(self, user: _User) -> None:
        await asyncio.get_running_loop().create_connection(
            lambda: user, self._target.host, self._target.port, ssl=self._target.tls
        )

    def connect_again(self, user: _User) -> None:
        """For a server that closes after an answer and said so: the next request goes out on a new connection."""
        task = asyncio.get_running_loop().create_task(self.connect(user))
        self._reconnecting.add(task)
        task.add_done_callback(lambda done: self._connected(user, done))

    def _connected(self, user: _User, task: asyncio.Task[None]) -> None:
        self._reconnecting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            user.lost()

    def count(self, request: Request, answer: Answer) -> None:
        result = self.result
        result.latencies[request.kind].append(answer.seconds)
        result.statuses[answer.status] += 1
        if answer.status not in request.expected:
            place = (request.kind, answer.status)
            result.errors[place] += 1
            result.examples.setdefault(place, _said(answer))
            return
        result.entries += request.entries
        if request.check is not None and len(result.latencies[request.kind]) % _KEEP_EVERY == 1:
            self._kept.append((request, answer))
            if len(self._kept) > _KEPT_MAX:
                self._kept.pop(0)

    def look_at_kept(self) -> None:
        for request, answer in self._kept:
            complaint = request.check(answer) if request.check is not None else ""
            if complaint:
                self.result.wrong.append(f"{request.kind}: {complaint}")

    def ended(self) -> None:
        self._users -= 1
        if self._users == 0 and not self.done.done():
            self.done.set_result(None)


class _User(asyncio.Protocol):
    """One client: sends a request, reads its answer to the end, sends the next."""

    def __init__(self, run: _Run, script: Script) -> None:
        self._run = run
        self._script = script
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._next: Request | None = next(script, None)
        self._sent_at = 0.0
        self._reopening = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._reopening = False
        self._send()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reopening:
            self._run.connect_again(self)
            return
        if self._request is not None:
            self.lost()
            return
        self._run.ended()

    def lost(self) -> None:
        """The connection ended where an answer was due: that is an error, and the end of this user."""
        if self._request is None:
            self._request = self._next
        if self._request is not None:
            self._run.count(self._request, Answer(0, "", b"", 0.0))
        self._request = None
        self._script.close()
        self._run.ended()

    # What the parser calls, as it finds it.

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 8 and name.lower() == b"location":
            self._location = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._request is None:
            return
        seconds = time.perf_counter() - self._sent_at
        answer = Answer(status, self._location, b"".join(self._body), seconds)
        self._run.count(self._request, answer)
        self._request = None
        try:
            self._next = self._script.send(answer)
        except StopIteration:
            self._next = None
        if self._parser.should_keep_alive():
            self._send()
        else:
            self._reopening = self._next is not None
            self._end()

    def _send(self) -> None:
        assert self._transport is not None, "a request goes out on a connection"
        if self._next is None or time.perf_counter() > self._run.deadline:
            self._script.close()
            self._end()
            return
        self._request, self._next = self._next, None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._location = ""
        self._sent_at = time.perf_counter()
        self._transport.write(self._request.wire)

    def _end(self) -> None:
        assert self._transport is not None, "only a connection can end"
        self._transport.close()


def _said(answer: Answer) -> str:
    """What the server said of its error, shortened: the diagnostics of an OperationOutcome, or the start of a text."""
    try:
        issue = orjson.loads(answer.body)["issue"][0]
        text = issue.get("diagnostics") or issue.get("details", {}).get("text") or issue["code"]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        text = answer.body[:_SHOWN].decode("utf-8", "replace") or "no answer"
    return " ".join(str(text).split())[:_SHOWN]
