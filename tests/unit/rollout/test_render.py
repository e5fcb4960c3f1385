"""What is asked of the cluster for one revision, and how drift is found."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import SETTINGS, spec_of

from edgeramp.api.rollout import RolloutSpec, Route
from edgeramp.decide.rollout import revision_of
from edgeramp.decide.rollout.drift import covers
from edgeramp.render import route as routes
from edgeramp.render import server
from edgeramp.render.route import Backend
from edgeramp.render.server import RolloutRef

OWNER = RolloutRef("shop", "digits-box", "u-1", {"edgeramp.dev/model": "digits", "team": "x"})
SERVED = revision_of(RolloutSpec.model_validate(spec_of("A")))
ROUTE = Route.model_validate(
    {"gatewayRef": {"name": "edge", "namespace": "infra"}, "hostnames": ["a.example"]}
)


def deployment() -> dict[str, Any]:
    return server.deployment(OWNER, SERVED, 2, SETTINGS)


def test_replicas_are_no_part_of_the_revision_but_all_that_is_served_is() -> None:
    def revision(**changes: Any) -> str:
        return revision_of(RolloutSpec.model_validate(spec_of("A", **changes))).revision

    spec = spec_of("A")
    assert revision() == revision(replicas=7) == revision(paused=True)
    assert revision() != revision(artifact=spec_of("B")["artifact"])
    assert revision() != revision(server={**spec["server"], "precision": "bf16"})
    assert revision() != revision(target={**spec["target"], "resources": {"cpu": "2"}})


def test_the_service_selects_rollout_and_revision_only() -> None:
    made = server.service(OWNER, SERVED.revision)
    assert made["spec"]["selector"] == {
        "edgeramp.dev/rollout": "digits-box",
        "edgeramp.dev/revision": SERVED.revision,
    }
    assert made["metadata"]["ownerReferences"][0]["controller"] is True
    assert made["metadata"]["labels"]["edgeramp.dev/model"] == "digits"


def test_the_selector_matches_the_pods() -> None:
    made = deployment()["spec"]
    assert made["selector"]["matchLabels"].items() <= made["template"]["metadata"]["labels"].items()


def test_pods_meet_the_restricted_profile_and_have_no_token() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["initContainers"], *pod["containers"]]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert all("sizeLimit" in v["emptyDir"] for v in pod["volumes"])


def test_a_deployment_never_takes_a_serving_pod_before_the_next_is_ready() -> None:
    spec = deployment()["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    container = spec["template"]["spec"]["containers"][0]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_the_artifact_is_fetched_by_digest_and_named_to_the_server() -> None:
    pod = deployment()["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["args"][:5] == [
        "fetch",
        "--artifact",
        SERVED.artifact,
        "--dest",
        "/models",
    ]
    environment = {e["name"]: e["value"] for e in pod["containers"][0]["env"]}
    assert environment["EDGERAMP_ARTIFACT"] == "sha256:" + "a" * 64
    assert environment["EDGERAMP_MODEL_NAME"] == "digits"


def test_certified_features_become_node_labels() -> None:
    served = SERVED.model_copy(update={"isa": ["AVX512VNNI"]})
    pod = server.deployment(OWNER, served, 1, SETTINGS)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"class": "box", "feature.node.kubernetes.io/cpu-cpuid.AVX512VNNI": "true"}


def test_pull_secrets_are_of_the_servers_own_namespace_and_lead_to_an_update() -> None:
    with_secret = replace(SETTINGS, image_pull_secrets=("pull",))
    wanted = server.deployment(OWNER, SERVED, 2, with_secret)
    assert wanted["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert "imagePullSecrets" not in deployment()["spec"]["template"]["spec"]
    assert not covers(deployment(), wanted)
    assert covers(wanted, deployment())


def test_each_backend_names_its_track() -> None:
    made = routes.http_route(OWNER, ROUTE, routes.split_between("s", "c", 5))
    refs = made["spec"]["rules"][0]["backendRefs"]
    assert [(r["name"], r["weight"]) for r in refs] == [("s", 95), ("c", 5)]
    tracks = [r["filters"][0]["requestHeaderModifier"]["set"][0]["value"] for r in refs]
    assert tracks == ["stable", "candidate"]
    assert made["spec"]["parentRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": "infra"}
    ]
    assert routes.split_of(made) == routes.split_between("s", "c", 5)


def test_weights_that_do_not_sum_to_100_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 100"):
        routes.http_route(OWNER, ROUTE, (Backend("s", 60), Backend("c", 60)))


SPLITS = st.lists(st.builds(Backend, st.sampled_from("abc"), st.integers(0, 100)), max_size=3).map(tuple)


@given(SPLITS, st.sampled_from("abc"))
def test_taking_over_ends_with_the_winner_alone_and_never_starves_it(have: routes.Split, winner: str) -> None:
    for _ in range(4):
        following = routes.taken_over(have, winner)
        assert sum(b.weight for b in following) == 100
        assert routes.weight_of(following, winner) == 100
        have = following
    assert have == (Backend(winner, 100),)


@given(SPLITS)
def test_shares_of_all_services_sum_to_100_or_nothing(split: routes.Split) -> None:
    shares = sum(routes.weight_of(split, s) for s in {b.service for b in split})
    assert shares == 0 or abs(shares - 100) <= 1


def test_drift_is_any_difference_in_what_we_asked_for_and_nothing_else() -> None:
    want = deployment()
    have: dict[str, Any] = copy.deepcopy(want)
    have["status"] = {"replicas": 2}
    have["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    have["spec"]["template"]["spec"]["containers"].append({"name": "injected"})
    have["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1000m"
    del have["spec"]["template"]["spec"]["enableServiceLinks"]
    assert covers(have, want)
    have["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    assert not covers(have, want)


def test_a_missing_field_is_drift() -> None:
    want, have = deployment(), deployment()
    del have["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert not covers(have, want)
