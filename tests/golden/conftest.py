"""`pytest tests/golden --update-golden` writes the stories anew; the commit says why they changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

STORIES = Path(__file__).parent / "stories"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden stories anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the story of that name, or write it."""

    def check(name: str, text: str) -> None:
        path = STORIES / f"{name}.txt"
        if request.config.getoption("--update-golden", default=False):
            path.write_text(text)
        assert path.exists(), f"{path} is missing; write it with: pytest tests/golden --update-golden"
        assert text == path.read_text(), (
            f"the story has changed; read it, then: pytest {Path(__file__).parent} --update-golden"
        )

    return check
