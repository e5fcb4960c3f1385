"""What a real API server refuses becomes one of our errors, with words that help."""

from __future__ import annotations

import pytest
from kubernetes import client
from tests.support.apiserver import ApiServer
from tests.support.objects import rollout

from edgeramp.effects.kinds import POD, ROLLOUT
from edgeramp.effects.live import LiveCluster
from edgeramp.values.errors import ClusterError, Forbidden, Unavailable


@pytest.mark.apiserver
def test_forbidden_names_verb_and_resource(apiserver: ApiServer) -> None:
    nobody = LiveCluster(apiserver.access("test-nobody"))
    with pytest.raises(Forbidden, match="not allowed to list pods"):
        nobody.list(POD)
    with pytest.raises(Forbidden, match=r"patch rollouts.edgeramp.dev default/r"):
        nobody.apply(rollout("r"))


@pytest.mark.apiserver
def test_an_invalid_object_is_refused_with_the_servers_words(apiserver: ApiServer) -> None:
    cluster = LiveCluster(apiserver.access())
    with pytest.raises(ClusterError, match="write the artifact by digest"):
        cluster.apply(rollout("r", artifact="oci://store/digits:latest"))


@pytest.mark.apiserver
def test_a_missing_namespace_is_said(apiserver: ApiServer) -> None:
    with pytest.raises(ClusterError, match="could not create Rollout nowhere/r"):
        LiveCluster(apiserver.access()).create(rollout("r", "nowhere"))


def test_a_server_that_is_away_is_unavailable() -> None:
    access = client.Configuration()
    access.host, access.retries = "http://127.0.0.1:9", False
    with pytest.raises(Unavailable, match="could not list rollouts"):
        LiveCluster(access).list(ROLLOUT)
