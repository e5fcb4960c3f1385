"""The pages that tell a user what to type are run as they stand, on the cluster that the demo left."""

from __future__ import annotations

import os

import pytest
from demo import paths
from tests.e2e.kubectl import Kubectl
from tests.e2e.ramps import ROLLOUT
from tests.support.documents import commands, run

pytestmark = pytest.mark.cluster

PAGES = ["tutorial.md"]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_holds(name: str, kubectl: Kubectl) -> None:
    page = (paths.REPO / "docs" / name).read_text(encoding="utf-8")
    kubectl.must("delete", f"{ROLLOUT}/by-hand", "--ignore-not-found")  # of an earlier try
    outcomes = run(page, paths.REPO, os.environ, seconds=600)
    assert [o.complaint for o in outcomes if o.complaint] == []
    assert len(outcomes) == len(list(commands(page)))
