"""Whom the store vouches for is admitted only where, how and until when the certificate says, or by an override on record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.world import Behaviour, healthy, spec_of

from edgeramp.api.rollout import Override, RolloutSpec
from edgeramp.decide.hardware import CPU_FEATURE
from edgeramp.decide.rollout.admission import NOT_TO_BE_ALLOWED, admission, ends_at
from edgeramp.decide.seen import Admission

CERTIFIED = Admission(
    True,
    "Certified",
    "certified",
    f"sha256:{'c' * 64}",
    ("AVX512VNNI",),
    "openvino",
    "int8",
    expires_at=1_000.0,
)
OVERRIDE = Override(reason="a trial", approved_by="ops")


def node(*features: str, **labels: str) -> dict[str, Any]:
    told = {f"{CPU_FEATURE}{feature}": "true" for feature in features}
    return {"metadata": {"name": "n", "labels": {"class": "edge", **labels, **told}}}


def spec(**changes: Any) -> RolloutSpec:
    made = RolloutSpec.model_validate(spec_of("A"))
    server = made.server.model_copy(update={"framework": "openvino", "precision": "int8"})
    target = made.target.model_copy(update={"node_selector": {"class": "edge"}})
    return made.model_copy(update={"server": server, "target": target, **changes})


def judged(
    found: Admission = CERTIFIED, now: float = 500.0, *nodes: dict[str, Any], **changes: Any
) -> Admission:
    made = admission(found, spec(**changes), nodes or (node("AVX512VNNI"),), now)
    assert made is not None
    return made


def test_what_the_certificate_is_for_is_admitted() -> None:
    assert judged() is CERTIFIED


def test_an_expired_certificate_is_refused_from_that_second_on() -> None:
    assert judged(now=999.9).admitted
    found = judged(now=1_000.0)
    assert (found.admitted, found.reason) == (False, "CertificateExpired")
    assert "1970-01-01T00:16:40Z" in found.message


@pytest.mark.parametrize("server", [{"framework": "onnxruntime"}, {"precision": "f32"}])
def test_another_framework_or_precision_than_certified_is_refused(server: dict[str, str]) -> None:
    found = judged(server=spec().server.model_copy(update=server))
    assert (found.admitted, found.reason) == (False, "WronglyCertified")
    assert "write framework: openvino, precision: int8" in found.message


def test_foreign_hardware_is_refused_and_the_lacking_feature_named() -> None:
    found = judged(CERTIFIED, 500.0, node("AVX2"), node("AVX"))
    assert (found.admitted, found.reason) == (False, "ForeignHardware")
    assert "promises AVX512VNNI" in found.message


def test_features_that_no_one_node_has_together_are_foreign_too() -> None:
    both = replace(CERTIFIED, isa=("AMXINT8", "AVX512VNNI"))
    assert judged(both, 500.0, node("AMXINT8"), node("AVX512VNNI")).reason == "ForeignHardware"
    assert judged(both, 500.0, node("AMXINT8"), node("AMXINT8", "AVX512VNNI")).admitted


def test_a_target_without_nodes_or_without_labels_is_not_foreign() -> None:
    elsewhere = {"metadata": {"name": "n", "labels": {"class": "core", f"{CPU_FEATURE}AVX2": "true"}}}
    assert judged(CERTIFIED, 500.0, elsewhere).admitted
    assert judged(CERTIFIED, 500.0, node()).admitted


UNFIT: dict[str, tuple[Admission, float, tuple[dict[str, Any], ...]]] = {
    "NotCertified": (Admission(False, "NotCertified", "unsigned"), 500.0, (node(),)),
    "CertificateExpired": (CERTIFIED, 2_000.0, (node("AVX512VNNI"),)),
    "WronglyCertified": (replace(CERTIFIED, precision="bf16"), 500.0, (node("AVX512VNNI"),)),
    "ForeignHardware": (CERTIFIED, 500.0, (node("AVX2"),)),
}


@pytest.mark.parametrize("reason", UNFIT)
def test_an_override_on_record_admits_and_says_what_it_overrides(reason: str) -> None:
    found, now, nodes = UNFIT[reason]
    refused = judged(found, now, *nodes)
    assert (refused.admitted, refused.reason) == (False, reason)
    allowed = judged(found, now, *nodes, allow_uncertified=OVERRIDE)
    assert (allowed.admitted, allowed.reason) == (True, "AllowedUncertified")
    assert reason in allowed.message and "allowed by ops: a trial" in allowed.message


def test_foreign_hardware_once_allowed_is_not_kept_out_by_its_labels() -> None:
    found, now, nodes = UNFIT["ForeignHardware"]
    assert judged(found, now, *nodes, allow_uncertified=OVERRIDE).isa == ()


@pytest.mark.parametrize("reason", NOT_TO_BE_ALLOWED)
def test_no_override_admits_bytes_that_nobody_vouched_for(reason: str) -> None:
    assert judged(Admission(False, reason, "altered"), allow_uncertified=OVERRIDE).admitted is False


def test_what_is_not_known_stays_unknown() -> None:
    away = Admission(None, "StoreUnavailable", "away")
    assert judged(away, allow_uncertified=OVERRIDE) is away
    assert admission(None, spec(), (), 0.0) is None


def test_the_end_of_a_certificate_is_looked_at_when_it_comes() -> None:
    assert ends_at(CERTIFIED, 500.0) == 1_000.0
    assert ends_at(CERTIFIED, 1_000.0) is None and ends_at(replace(CERTIFIED, expires_at=None), 0.0) is None


def test_a_certificate_that_ends_takes_nothing_from_what_serves_and_lets_nothing_new_in() -> None:
    world = healthy(spec_of("A"))
    dated = Behaviour(
        admission=replace(CERTIFIED, isa=(), framework="", precision="", expires_at=world.now + 3600)
    )
    world.behaviours.update(A=dated, B=dated)
    world.run(3500)
    assert world.condition("Admitted") == ("True", "Certified")
    world.run(200)
    assert world.condition("Admitted") == ("False", "CertificateExpired")
    assert world.weight("A") == 100
    world.set_artifact("B")
    world.run(300)
    assert (world.weight("A"), world.weight("B"), world.replicas("B")) == (100, 0, None)


def test_a_certificate_that_ends_in_a_ramp_takes_the_candidate_out() -> None:
    world = healthy(
        spec_of("A", strategy={"steps": [{"setWeight": 10}, {"pause": {}}], "analysis": {"enabled": False}})
    )
    end = world.now + 600
    world.behaviours["B"] = Behaviour(
        admission=replace(CERTIFIED, isa=(), framework="", precision="", expires_at=end)
    )
    world.set_artifact("B")
    world.run(300)
    assert world.weight("B") == 10
    world.run(310)
    assert (world.weight("A"), world.weight("B")) == (100, 0)
