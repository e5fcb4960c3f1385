"""The environment as settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeramp.entry.settings import BadSetting, read, with_public_keys


def test_an_empty_environment_gives_the_defaults() -> None:
    process = read({})
    assert (process.port, process.workers, process.log_level, process.log_json) == (8080, 8, "INFO", False)
    assert process.settings.operator_namespace == "edgeramp-system"


def test_what_the_chart_sets_arrives() -> None:
    process = read({
        "EDGERAMP_IMAGES": '{"courier": "reg/courier:1"}', "EDGERAMP_STORE_PLAIN_HTTP": "false",
        "EDGERAMP_MAX_ATTEMPTS": "3", "EDGERAMP_NAMESPACE": "ops", "EDGERAMP_LOG_FORMAT": "json",
        "EDGERAMP_IMAGE_PULL_SECRETS": "pull mirror", "EDGERAMP_JOB_PRIORITY_CLASS": "batch",
    })  # fmt: skip
    assert process.settings.image("courier") == "reg/courier:1"
    assert (process.settings.store_plain_http, process.settings.max_attempts) == (False, 3)
    assert (process.settings.operator_namespace, process.log_json) == ("ops", True)
    assert process.settings.image_pull_secrets == ("pull", "mirror")
    assert process.settings.job_priority_class == "batch"


@pytest.mark.parametrize(
    "environment",
    [
        {"EDGERAMP_PORT": "http"}, {"EDGERAMP_STORE_PLAIN_HTTP": "yes"}, {"EDGERAMP_IMAGES": "[]"},
        {"EDGERAMP_IMAGES": "{"}, {"EDGERAMP_LOG_LEVEL": "loud"},
    ],
)  # fmt: skip
def test_a_bad_value_names_its_variable(environment: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match=next(iter(environment))):
        read(environment)


def test_public_keys_are_read_again_when_they_change(tmp_path: Path) -> None:
    current = with_public_keys(read({"EDGERAMP_PUBLIC_KEYS_DIR": str(tmp_path)}))
    assert current().public_keys == ()
    (tmp_path / "a.pem").write_text("A")
    (tmp_path / "note.txt").write_text("no key")
    assert current().public_keys == ("A",)
    assert current() is current()
    (tmp_path / "a.pem").write_text("B")
    os.utime(tmp_path / "a.pem", ns=(1, 1))
    assert current().public_keys == ("B",)
