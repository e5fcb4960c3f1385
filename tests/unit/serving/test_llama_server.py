"""llama.cpp's OpenAI-compatible server as a process, behind our middleware: a ramp sees the same counts as anywhere."""

from __future__ import annotations

import contextlib
import http.client
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import untrained

from .processes import call, ready, started

LLAMA = {"EDGERAMP_FRAMEWORK": "llama.cpp"}


@pytest.fixture(autouse=True)
def llama() -> None:
    for name in ("llama_cpp", "fastapi", "sse_starlette"):
        pytest.importorskip(name, reason=f"{name} is not installed: it is in images/llama-cpp")


@pytest.fixture
def models(fetched: Callable[[dict[str, bytes]], Path]) -> Path:
    return fetched({"model.gguf": untrained.untrained()})


def test_completions_are_answered_counted_and_drained(models: Path) -> None:
    with started(models, **LLAMA) as (server, url):
        ready(server, url)
        completions = f"{url}/v1/completions"
        asked = {"prompt": "weights", "max_tokens": 4, "temperature": 0}
        status, answer = call(completions, asked)
        assert (status, answer["usage"]["completion_tokens"]) == (200, 4)
        call(completions, asked, {"x-edgeramp-mirror": "1"})
        streamed = call(completions, {**asked, "stream": True})
        assert streamed[0] == 200 and "[DONE]" in streamed[1]
        assert call(f"{url}/v1/models")[1]["data"][0]["id"] == "m"
        text = call(f"{url}/metrics")[1]
        assert 'edgeramp_requests_total{outcome="ok",live="true"} 2' in text
        assert 'edgeramp_requests_total{outcome="client_error",live="true"} 1' in text
        assert 'edgeramp_requests_total{outcome="ok",live="false"} 1' in text
        assert 'edgeramp_executions_total{outcome="ok"} 3' in text
        assert 'framework="llama.cpp"' in text
        assert call(f"{url}/edgeramp/history")[1]["interval"] == 5
        server.send_signal(signal.SIGTERM)
        for _ in range(100):
            if call(f"{url}/v2/health/ready")[0] == 503:
                break
        assert call(completions, asked)[0] == 200, "requests on their way are still answered"
        assert server.wait(20) == 0


def test_the_mistakes_of_clients_are_not_the_servers(models: Path) -> None:
    """A ramp is rolled back for server errors: nobody may cause one by what they send."""
    too_long = {"prompt": "x" * 5000, "max_tokens": 1}
    wrong = (b"{", {"prompt": 5}, {"prompt": ["a", "b"]}, {"prompt": "a", "logprobs": 2}, too_long)
    with started(models, **LLAMA) as (server, url):
        ready(server, url)
        for body in wrong:
            assert call(f"{url}/v1/completions", body)[0] == 400, body
        with contextlib.suppress(OSError, http.client.HTTPException):  # the stream breaks off
            call(f"{url}/v1/completions", {**too_long, "stream": True})
        text = call(f"{url}/metrics")[1]
        assert f'edgeramp_requests_total{{outcome="client_error",live="true"}} {len(wrong) + 1}' in text
        assert 'edgeramp_requests_total{outcome="server_error",live="true"} 0' in text
        assert 'edgeramp_executions_total{outcome="error"} 0' in text


def test_a_file_that_is_no_gguf_is_not_served(fetched: Callable[[dict[str, bytes]], Path]) -> None:
    with started(fetched({"model.gguf": b"nonsense"}), **LLAMA) as (server, _):
        out, _ = server.communicate(timeout=60)
        assert server.returncode == 1
        assert "not serving: llama.cpp cannot load model.gguf" in out
