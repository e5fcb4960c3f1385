"""The traffic generator counts what happened, stays at home, and is bounded."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from demo import payloads, traffic
from demo.tally import Outcome, Tally, quantile

PLAN = traffic.Plan("127.0.0.1:1", ("a.example",), "digits", rate=50, seconds=2, bright=0.2)


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("127.0.0.1:80", True),
        ("10.244.1.7:10080", True),
        ("localhost:80", True),
        ("172.29.0.11:80", True),
        ("8.8.8.8:80", False),
        ("10.1.2.3:80", False),
        ("192.168.1.1:80", False),
        ("example.com:80", False),
        ("10.0.0.1", False),
    ],
)
def test_traffic_goes_to_addresses_of_our_own_only(address: str, near: bool) -> None:
    assert traffic.is_near(address) is near


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate", 0), ("rate", 501), ("seconds", 3601), ("bright", 1.2), ("address", "1.1.1.1:80")],
)
def test_a_plan_out_of_bounds_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=str(value)):
        traffic.Plan(**{**vars(PLAN), field: value}).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("poisson", [True, False])
def test_arrivals_have_the_rate_asked_for_and_end(poisson: bool) -> None:
    plan = traffic.Plan(**{**vars(PLAN), "rate": 100.0, "seconds": 60.0, "poisson": poisson})
    due = list(traffic.arrivals(plan, random.Random(1)))
    assert due == sorted(due)
    assert due[-1] < 60
    assert abs(len(due) - 6000) < 300


def test_the_share_of_bright_images_is_kept() -> None:
    images = payloads.Payloads((payloads.Request(b"n", 1, False),), (payloads.Request(b"b", 1, True),))
    rng = random.Random(2)
    bright = sum(images.draw(rng, 0.2).bright for _ in range(5000))
    assert 900 < bright < 1100


def test_an_image_is_encoded_as_the_v2_protocol_says() -> None:
    pixels = np.zeros(784, np.uint8)
    pixels[3] = 255
    body = json.loads(payloads.encode(pixels))
    assert body["inputs"][0]["shape"] == [1, 1, 28, 28]
    assert body["inputs"][0]["data"][3] == 1.0
    assert len(body["inputs"][0]["data"]) == 784


@pytest.mark.parametrize(
    ("answer", "best"),
    [
        ({"outputs": [{"data": [0.1, 3.0, -1]}]}, 1),
        ({"outputs": [{"data": [0.1, None, -1]}]}, None),
        ({"outputs": []}, None),
        ({"error": "no"}, None),
    ],
)
def test_an_answer_without_finite_logits_has_no_class(answer: dict[str, Any], best: int | None) -> None:
    assert payloads.answered_class(json.dumps(answer).encode()) == best


def test_a_second_of_traffic_is_counted_by_status() -> None:
    tally = Tally()
    for status, bright, right in [
        ("200", False, True),
        ("200", True, False),
        ("500", True, None),
        ("timeout", False, None),
    ]:
        tally.add(Outcome(0, 0.01, status, bright, right))
    record = tally.record()
    assert record["sent"] == 4
    assert record["failures"] == {"500": 1, "timeout": 1}
    assert (record["wrong"], record["bright"], record["bright_failed"]) == (1, 2, 1)
    assert record["p50_ms"] == 10.0


def test_quantiles_are_values_that_occurred() -> None:
    values = [i / 1000 for i in range(1, 101)]
    assert [quantile(values, q) for q in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert quantile([], 0.5) is None


async def with_server(
    answer: Callable[[bytes], bytes], plan: dict[str, Any], images: payloads.Payloads
) -> list[dict[str, Any]]:
    """What the generator writes against a server that answers each request body with `answer`'s bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                writer.write(answer(await reader.readexactly(length)))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    out = io.StringIO()
    async with server:
        await traffic.drive(
            traffic.Plan(**{**vars(PLAN), "address": f"127.0.0.1:{port}", **plan}), images, out
        )
    return [json.loads(line) for line in out.getvalue().splitlines()]


def run(work: Awaitable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    async def inner() -> list[dict[str, Any]]:
        return await work

    return asyncio.run(inner())


def test_failures_are_attributed_to_the_bright_images_that_caused_them() -> None:
    good = b'HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{"outputs":[{"data":[0,1,0,0]}]}'
    bad = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"
    images = payloads.Payloads(
        (payloads.Request(b"normal", 1, False),), (payloads.Request(b"bright", 1, True),)
    )
    records = run(
        with_server(lambda body: bad if body == b"bright" else good, {"rate": 100.0, "seconds": 1.0}, images)
    )
    summary = records[-1]
    assert summary["event"] == "summary"
    assert summary["bright"] == summary["bright_failed"] == summary["failed"] > 0
    assert summary["wrong"] == 0
    assert summary["sent"] == sum(r["sent"] for r in records if "event" not in r)
    assert sum(r.get("event") == "failure" for r in records) == summary["failed"]


def test_a_gateway_that_is_away_is_counted_as_refused() -> None:
    images = payloads.Payloads((payloads.Request(b"normal", 1, False),), ())
    out = io.StringIO()
    plan = traffic.Plan(
        **{**vars(PLAN), "address": "127.0.0.1:9", "rate": 20.0, "seconds": 0.5, "bright": 0.0}
    )
    asyncio.run(traffic.drive(plan, images, out))
    summary = json.loads(out.getvalue().splitlines()[-1])
    assert summary["failures"] == {"refused": summary["sent"]}
