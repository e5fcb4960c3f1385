"""The operator's settings as they come from the environment that the chart sets."""

from __future__ import annotations

import pytest

from edgeramp.values.settings import Settings, from_environment

PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


def test_an_empty_environment_gives_the_defaults() -> None:
    assert from_environment({"EDGERAMP_STORE_HOST": ""}) == Settings()


def test_every_kind_of_value_is_read() -> None:
    settings = from_environment(
        {
            "EDGERAMP_IMAGES": '{"courier": "edgeramp/courier:1"}',
            "EDGERAMP_STORE_PLAIN_HTTP": "false",
            "EDGERAMP_MAX_ATTEMPTS": "3",
            "EDGERAMP_STORE_HOST": "store.example",
            "EDGERAMP_PUBLIC_KEYS": PEM + PEM.replace("AAAA", "BBBB"),
        }
    )
    assert settings.image("courier") == "edgeramp/courier:1"
    assert (settings.store_plain_http, settings.max_attempts, settings.store_host) == (
        False,
        3,
        "store.example",
    )
    assert settings.public_keys == (PEM, PEM.replace("AAAA", "BBBB").rstrip())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EDGERAMP_STORE_PLAIN_HTTP", "yes"),
        ("EDGERAMP_MAX_ATTEMPTS", "two"),
        ("EDGERAMP_IMAGES", "[]"),
        ("EDGERAMP_IMAGES", "{"),
        ("EDGERAMP_PUBLIC_KEYS", "ssh-rsa AAAA"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        from_environment({name: value})


def test_a_missing_image_says_what_to_set_in_the_chart() -> None:
    with pytest.raises(KeyError, match=r"images\.courier"):
        Settings().image("courier")
