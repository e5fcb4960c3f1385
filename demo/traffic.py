"""Open-loop HTTP traffic to the gateway: sent when it is due, whether or not earlier answers have come.

    python -m demo.traffic --address 10.244.1.7:10080 --host edge-box.digits.example --model digits \\
        --requests requests.npz --rate 50 --seconds 60 --bright 0.2 --out traffic.jsonl

Writes JSON lines: one per second and host, one per failed request (`"event": "failure"`, at most 20,000), and a
summary per host at the end (`"event": "summary"`). It sends no mirrored copy and counts none. Only to loopback and
the local cluster's own addresses, for at most an hour and 500 requests a second.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp

from demo import paths, payloads
from demo.tally import Outcome, Tally

MAX_SECONDS = 3600
MAX_RATE = 500.0
MAX_FAILURE_LINES = 20_000
MAX_IN_FLIGHT = 400  # beyond it a request counts as dropped: the client is honest about its own limit


@dataclass(frozen=True)
class Plan:
    """What to send where. `rate` is requests per second over all hosts; arrivals are Poisson or evenly spaced."""

    address: str
    hosts: tuple[str, ...]
    model: str
    rate: float
    seconds: float
    bright: float
    poisson: bool = True
    timeout: float = 10.0
    seed: int = 0

    def check(self) -> None:
        """Raises ValueError for traffic that this tool does not send."""
        if not is_near(self.address):
            raise ValueError(
                f"{self.address} is neither loopback nor an address of the local cluster; traffic stays at home"
            )
        if not 0 < self.rate <= MAX_RATE:
            raise ValueError(
                f"rate is {self.rate}; write more than 0 and at most {MAX_RATE:.0f} requests a second"
            )
        if not 0 < self.seconds <= MAX_SECONDS:
            raise ValueError(f"seconds is {self.seconds}; write more than 0 and at most {MAX_SECONDS}")
        if not 0 <= self.bright <= 1:
            raise ValueError(f"bright is {self.bright}; write a share from 0 to 1")
        if not self.hosts:
            raise ValueError("write at least one --host")


def is_near(address: str) -> bool:
    """Whether HOST:PORT is loopback or an address of the local cluster's own nodes and pods."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return False
    if host == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    own = (ipaddress.ip_network(cidr, strict=False) for cidr in (paths.local.POD_CIDR, paths.local.HOST_CIDR))
    return ip.is_loopback or any(ip in network for network in own)


def arrivals(plan: Plan, rng: random.Random) -> Iterator[float]:
    """Seconds after the start at which requests are due, up to the plan's end."""
    at = 0.0
    while True:
        at += rng.expovariate(plan.rate) if plan.poisson else 1 / plan.rate
        if at >= plan.seconds:
            return
        yield at


class Log:
    """Per-second and overall tallies per host, written as JSON lines."""

    def __init__(self, out: IO[str], hosts: tuple[str, ...]) -> None:
        self._out = out
        self._seconds: dict[int, dict[str, Tally]] = {}
        self._totals = {host: Tally() for host in hosts}
        self._failure_lines = 0

    def add(self, host: str, outcome: Outcome) -> None:
        second = int(outcome.sent_at + outcome.seconds)
        self._seconds.setdefault(second, {}).setdefault(host, Tally()).add(outcome)
        self._totals[host].add(outcome)
        if not outcome.ok and self._failure_lines < MAX_FAILURE_LINES:
            self._failure_lines += 1
            self._write(
                {"event": "failure", "t": round(outcome.sent_at + outcome.seconds, 3), "host": host}
                | {"status": outcome.status, "bright": outcome.bright, "ms": round(outcome.seconds * 1000, 1)}
            )

    def flush(self, before: int) -> None:
        """Write every second older than `before` (whole seconds since the epoch)."""
        for second in sorted(s for s in self._seconds if s < before):
            for host, tally in sorted(self._seconds.pop(second).items()):
                self._write({"t": second, "host": host} | tally.record())
        self._out.flush()

    def close(self) -> None:
        self.flush(sys.maxsize)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2)}
        for host, tally in self._totals.items():
            self._write({"event": "summary", "host": host} | tally.record() | cpu)
        self._out.flush()

    def _write(self, record: dict[str, Any]) -> None:
        self._out.write(json.dumps(record, separators=(",", ":")) + "\n")


async def drive(plan: Plan, images: payloads.Payloads, out: IO[str]) -> None:
    """Send the plan's traffic until its end or SIGTERM/SIGINT, then wait for the answers still open."""
    plan.check()
    rng = random.Random(plan.seed)
    log = Log(out, plan.hosts)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    connector = aiohttp.TCPConnector(limit=MAX_IN_FLIGHT)
    timeout = aiohttp.ClientTimeout(total=plan.timeout)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        await _send_all(plan, images, rng, session, log, stop)
    log.close()


async def _send_all(
    plan: Plan,
    images: payloads.Payloads,
    rng: random.Random,
    session: aiohttp.ClientSession,
    log: Log,
    stop: asyncio.Event,
) -> None:
    url = f"http://{plan.address}/v2/models/{plan.model}/infer"
    open_requests: set[asyncio.Task[None]] = set()
    start_clock, start_epoch = time.monotonic(), time.time()
    flushed = int(start_epoch)
    for number, due in enumerate(arrivals(plan, rng)):
        wait = due - (time.monotonic() - start_clock)
        if wait > 0:
            await _sleep_unless(stop, wait)
        if stop.is_set():
            break
        host, request = plan.hosts[number % len(plan.hosts)], images.draw(rng, plan.bright)
        if len(open_requests) >= MAX_IN_FLIGHT:
            log.add(host, Outcome(start_epoch + due, 0.0, "dropped", request.bright, None))
        else:
            sending = _send(session, url, host, request, start_epoch + due, start_clock + due, log)
            task = asyncio.create_task(sending)
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
        if (now := int(time.time())) > flushed:
            flushed = now
            log.flush(now)
    if open_requests:
        await asyncio.wait(open_requests, timeout=plan.timeout + 1)


async def _sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    if seconds < 0.5:  # a timer per request is dear; a stop is noticed at the next arrival
        await asyncio.sleep(seconds)
        return
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _send(
    session: aiohttp.ClientSession,
    url: str,
    host: str,
    request: payloads.Request,
    due_epoch: float,
    due_clock: float,
    log: Log,
) -> None:
    headers = {"Host": host, "Content-Type": "application/json"}
    right: bool | None = None
    try:
        async with session.post(url, data=request.body, headers=headers) as response:
            body = await response.read()
            status = str(response.status)
            if response.status == 200:
                right = payloads.answered_class(body) == request.label
    except TimeoutError:
        status = "timeout"
    except aiohttp.ClientConnectorError:
        status = "refused"
    except aiohttp.ClientError as error:
        status = type(error).__name__
    log.add(host, Outcome(due_epoch, time.monotonic() - due_clock, status, request.bright, right))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="demo.traffic", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--address", required=True, help="HOST:PORT of the gateway's proxy")
    parser.add_argument(
        "--host", action="append", required=True, help="host name to ask for; may be repeated"
    )
    parser.add_argument("--model", default="digits")
    parser.add_argument("--requests", type=Path, required=True, help="requests.npz of the digit examples")
    parser.add_argument("--rate", type=float, default=50, help="requests a second over all hosts")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bright", type=float, default=0.2, help="share of brightened images")
    parser.add_argument("--even", action="store_true", help="evenly spaced instead of Poisson arrivals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    plan = Plan(
        options.address, tuple(options.host), options.model, options.rate, options.seconds, options.bright,
        poisson=not options.even, seed=options.seed,
    )  # fmt: skip
    try:
        plan.check()
    except ValueError as error:
        parser.error(str(error))
    with options.out.open("w") as out:
        asyncio.run(drive(plan, payloads.load(options.requests), out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
