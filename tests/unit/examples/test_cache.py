"""What is published is what the sources of this checkout make, not whatever was built last on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import publish
from examples.models import cache, digits


def test_the_build_of_these_sources_is_published_even_when_another_one_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGERAMP_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"python -m examples\.models\.digits"):
        publish.built("digits")
    mine = cache.built_once("digits", digits.folder().name.removeprefix("digits-"), lambda _: None)
    cache.built_once("digits", "ffffffffffff", lambda _: None)
    assert publish.built("digits") == mine == digits.folder()
