"""What became of a Job, from objects as the API server gives them."""

from __future__ import annotations

from typing import Any

import pytest

from edgeramp.decide.jobs import IMAGE_GRACE_SECONDS, JobState, JobView, view
from edgeramp.report import Failure, PrepareSummary
from edgeramp.values.quantities import timestamp

NOW = 1_795_000_000.0
GOOD = PrepareSummary(artifact="sha256:" + "a" * 64, format="onnx", size_bytes=10, seconds=1.0).to_json()
BAD = Failure(code=12, reason="UnsupportedModel", message="operator Loop is not supported").to_json()


def job(*conditions: dict[str, Any]) -> dict[str, Any]:
    labels = {"edgeramp.dev/role": "prepare"}
    return {
        "metadata": {"name": "prepare-1", "uid": "u1", "labels": labels},
        "status": {"startTime": timestamp(NOW - 60), "conditions": list(conditions)},
    }


def pod(
    state: dict[str, Any] | None = None, name: str = "p", age: float = 10.0, conditions: tuple[Any, ...] = ()
) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": list(conditions)}
    if state:
        status["containerStatuses"] = [{"name": "worker", "state": state}]
    owner = {"controller": True, "uid": "u1"}
    meta = {"name": name, "creationTimestamp": timestamp(NOW - age), "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {"nodeName": "box"}, "status": status}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {
        "terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": timestamp(NOW)}
    }


COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "exit code 1"}
DEADLINE = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True"}


def seen(*pods: dict[str, Any], conditions: tuple[dict[str, Any], ...] = ()) -> JobView:
    return view(job(*conditions), pods, NOW)


def test_a_job_without_a_pod_runs() -> None:
    assert seen().state is JobState.RUNNING


def test_a_job_that_succeeded_hands_back_its_summary() -> None:
    found = seen(pod(ended(0, GOOD)), conditions=(COMPLETE,))
    assert found.state is JobState.SUCCEEDED and isinstance(found.summary, PrepareSummary)
    assert (found.node, found.finished_at) == ("box", NOW)


def test_the_pod_says_it_a_moment_before_the_job() -> None:
    assert seen(pod(ended(0, GOOD))).state is JobState.SUCCEEDED
    assert seen(pod(ended(12, BAD))).state is JobState.FAILED


def test_success_without_a_readable_summary_is_a_failure_that_may_be_tried_again() -> None:
    for message in ("", "{", '{"verb":"other"}'):
        found = seen(pod(ended(0, message)), conditions=(COMPLETE,))
        assert (found.state, found.reason, found.transient) == (JobState.FAILED, "NoSummary", True)


def test_a_failure_tells_reason_and_message_of_the_summary() -> None:
    found = seen(pod(ended(12, BAD)), conditions=(FAILED,))
    assert (found.exit_code, found.reason) == (12, "UnsupportedModel")
    assert found.message == "operator Loop is not supported" and not found.transient


@pytest.mark.parametrize(
    ("code", "reason", "transient"),
    [
        (10, "BadSpec", False),
        (11, "DigestMismatch", False),
        (12, "UnsupportedModel", False),
        (13, "HardwareMismatch", False),
        (14, "PredictedOutOfResources", False),
        (15, "BudgetSpent", False),
        (16, "BadOutput", False),
        (17, "CalibrationUnusable", False),
        (20, "SourceUnavailable", True),
        (1, "JobFailed", True),
    ],
)
def test_an_exit_code_without_a_summary_still_has_a_reason(code: int, reason: str, transient: bool) -> None:
    found = seen(pod(ended(code)), conditions=(FAILED,))
    assert (found.reason, found.transient) == (reason, transient)


def test_an_oom_kill_is_told_by_kubelet_or_by_the_harness() -> None:
    by_kubelet = seen(pod(ended(137, reason="OOMKilled")))
    by_harness = seen(
        pod(ended(137, Failure(code=137, reason="OutOfMemory", message="child killed").to_json()))
    )
    assert by_kubelet.out_of_memory and by_harness.out_of_memory
    assert by_harness.message == "child killed"


def test_a_bare_sigkill_waits_for_what_the_job_says() -> None:
    assert seen(pod(ended(137))).state is JobState.RUNNING
    late = seen(pod(ended(137)), conditions=(DEADLINE,))
    assert (late.state, late.reason, late.transient) == (JobState.FAILED, "DeadlineExceeded", False)


def test_a_job_past_its_deadline_is_known_without_its_pod() -> None:
    found = seen(conditions=({**DEADLINE, "type": "Failed"},))
    assert (found.state, found.reason) == (JobState.FAILED, "DeadlineExceeded")


def test_a_pod_taken_by_a_disruption_does_not_count() -> None:
    gone = pod(ended(137), name="a", conditions=(DISRUPTED,))
    assert seen(gone).state is JobState.RUNNING
    assert seen(gone, pod(ended(0, GOOD), name="b", age=1)).state is JobState.SUCCEEDED


def test_the_newest_pod_counts() -> None:
    old, new = pod(ended(20), name="a", age=60), pod({"running": {}}, name="b", age=5)
    assert seen(new, old).state is JobState.RUNNING


def test_pods_of_other_jobs_do_not_count() -> None:
    other = pod(ended(12, BAD))
    other["metadata"]["ownerReferences"][0]["uid"] = "u2"
    assert seen(other).state is JobState.RUNNING


@pytest.mark.parametrize(
    ("says", "reason", "age", "state"),
    [
        ("an image that was asked for a moment ago may still come", "ImagePullBackOff", 10, JobState.RUNNING),
        (
            "an image that does not come in time is missing",
            "ImagePullBackOff",
            IMAGE_GRACE_SECONDS,
            JobState.STUCK,
        ),
        ("a name that is no image name never becomes one", "InvalidImageName", 0, JobState.STUCK),
        ("a node that must not pull has no image", "ErrImageNeverPull", 0, JobState.STUCK),
    ],
)
def test_a_missing_image(says: str, reason: str, age: float, state: JobState) -> None:
    found = seen(pod({"waiting": {"reason": reason, "message": "not found"}}, age=age))
    assert found.state is state, says


def test_a_pod_that_no_node_takes_says_why() -> None:
    blocked = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    found = seen(pod(conditions=(blocked,)))
    assert (found.state, found.reason, found.message) == (JobState.RUNNING, "Unschedulable", "0/3 nodes")
