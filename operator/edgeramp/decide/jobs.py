"""What became of a Job: read from the Job, its pods and the termination message; nothing else is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edgeramp.decide.seen import Object
from edgeramp.report import ExitCode, Failure, Summary, parse_summary
from edgeramp.values.names import LABEL_ROLE
from edgeramp.values.quantities import epoch

IMAGE_GRACE_SECONDS = 90.0
_IMAGE_FINAL = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE_WAITING = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
_CONFIG_WAITING = ("CreateContainerConfigError", "CreateContainerError")


class JobState(StrEnum):
    """Where a Job is. Stuck: it cannot start and will not without a change (image missing)."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STUCK = "Stuck"


@dataclass(frozen=True)
class JobView:
    """One Job as decisions need it. `summary` is None where the pod left none; `exit_code` None where no pod is known.
    Times are seconds since the epoch."""

    name: str
    uid: str
    role: str
    state: JobState
    exit_code: int | None = None
    summary: Summary | None = None
    reason: str = ""
    message: str = ""
    node: str = ""
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def out_of_memory(self) -> bool:
        return self.state is JobState.FAILED and self.reason == ExitCode.OOM_KILLED.reason

    @property
    def transient(self) -> bool:
        """True when another attempt may succeed without anybody changing anything."""
        if self.state is not JobState.FAILED or self.reason == "DeadlineExceeded":
            return False
        known = {int(code) for code in ExitCode}
        return self.exit_code not in known or self.exit_code == ExitCode.TRANSIENT_IO


def view(job: Object, pods: Iterable[Object], now: float) -> JobView:
    """The Job with what its newest pod says. Pods removed by a disruption do not count."""
    meta, status = job["metadata"], job.get("status") or {}
    pod = _newest(p for p in pods if belongs(p, meta) and not _disrupted(p))
    ended = _terminated(pod)
    base: dict[str, Any] = {
        "name": meta["name"],
        "uid": meta.get("uid", ""),
        "role": (meta.get("labels") or {}).get(LABEL_ROLE, ""),
        "node": ((pod or {}).get("spec") or {}).get("nodeName", ""),
        "started_at": _time(status.get("startTime")),
        "finished_at": _finished(status, ended),
    }
    failed = _true_condition(status, "Failed", "FailureTarget")
    if _deadline(failed) or _true_condition(status, "Failed") or _ended_for_good(ended):
        return JobView(**base, **_failure(failed or {}, ended))
    if ended.get("exitCode") == 0 or _true_condition(status, "Complete"):
        return JobView(**base, **_success(ended))
    return JobView(**base, **_running(pod, now))


def _deadline(failed: Mapping[str, Any] | None) -> bool:
    return bool(failed) and (failed or {}).get("reason") == "DeadlineExceeded"


def _ended_for_good(ended: Mapping[str, Any]) -> bool:
    """The pod says so before the Job does, a second or two earlier. A bare SIGKILL or SIGTERM waits for the Job's word."""
    code = ended.get("exitCode", 0)
    return code != 0 and (
        code not in (137, 143) or ended.get("reason") == "OOMKilled" or bool(_summary(ended))
    )


def _success(ended: Mapping[str, Any]) -> dict[str, Any]:
    summary = _summary(ended)
    if summary is None:
        return {
            "state": JobState.FAILED,
            "exit_code": None,
            "reason": "NoSummary",
            "message": "the Job succeeded but its pod left no readable summary in the termination message",
        }
    return {"state": JobState.SUCCEEDED, "exit_code": 0, "summary": summary, "reason": "Succeeded"}


def _failure(failed: Mapping[str, Any], ended: Mapping[str, Any]) -> dict[str, Any]:
    code, summary = ended.get("exitCode"), _summary(ended)
    out: dict[str, Any] = {"state": JobState.FAILED, "exit_code": code, "summary": summary}
    if _deadline(failed):
        late = "" if ended else "; its pod is gone, or never found room to start"
        return out | {"reason": "DeadlineExceeded", "message": f"the Job ran past its deadline{late}"}
    if ended.get("reason") == "OOMKilled" or code == ExitCode.OOM_KILLED:
        told = summary.message if isinstance(summary, Failure) else "the container ran out of memory"
        return out | {
            "reason": ExitCode.OOM_KILLED.reason,
            "message": told,
            "exit_code": int(ExitCode.OOM_KILLED),
        }
    if isinstance(summary, Failure):
        return out | {"reason": summary.reason, "message": summary.message}
    if code in {int(c) for c in ExitCode}:
        return out | {"reason": ExitCode(code).reason, "message": f"exit code {code} without an explanation"}
    return out | {"reason": "JobFailed", "message": failed.get("message") or f"exit code {code}"}


def _running(pod: Object | None, now: float) -> dict[str, Any]:
    reason, message = waiting(pod)
    if reason in _IMAGE_FINAL + _IMAGE_WAITING:
        since = _time((pod or {}).get("metadata", {}).get("creationTimestamp")) or now
        if reason in _IMAGE_FINAL or now - since >= IMAGE_GRACE_SECONDS:
            return {"state": JobState.STUCK, "reason": "ImageMissing", "message": f"{reason}: {message}"}
    return {"state": JobState.RUNNING, "reason": reason, "message": message}


def waiting(pod: Object | None) -> tuple[str, str]:
    """Why the pod does not run yet: a container's waiting reason, or what the scheduler said."""
    status = (pod or {}).get("status") or {}
    for container in status.get("containerStatuses") or ():
        held = (container.get("state") or {}).get("waiting")
        if held and held.get("reason") in _IMAGE_FINAL + _IMAGE_WAITING + _CONFIG_WAITING:
            return held["reason"], held.get("message", "")
    for cond in status.get("conditions") or ():
        if cond.get("type") == "PodScheduled" and cond.get("status") == "False":
            return cond.get("reason", "Unschedulable"), cond.get("message", "")
    return "", ""


def belongs(pod: Object, job: Mapping[str, Any]) -> bool:
    """Whether the pod is one of the Job with this metadata."""
    meta = pod.get("metadata") or {}
    labels = meta.get("labels") or {}
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    if owner and job.get("uid"):
        return bool(owner.get("uid") == job["uid"])
    return job["name"] in (labels.get("batch.kubernetes.io/job-name"), labels.get("job-name"))


def _disrupted(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "DisruptionTarget" and c.get("status") == "True" for c in conditions)


def _newest(pods: Iterable[Object]) -> Object | None:
    return max(
        pods,
        key=lambda p: (p["metadata"].get("creationTimestamp") or "", p["metadata"]["name"]),
        default=None,
    )


def _terminated(pod: Object | None) -> Mapping[str, Any]:
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or ()
    ended = ((c.get("state") or {}).get("terminated") for c in statuses)
    return next((t for t in ended if t), {})


def _summary(ended: Mapping[str, Any]) -> Summary | None:
    try:
        return parse_summary(ended.get("message") or "")
    except ValueError:
        return None


def _true_condition(status: Mapping[str, Any], *kinds: str) -> Mapping[str, Any] | None:
    conditions = status.get("conditions") or ()
    return next((c for c in conditions if c.get("type") in kinds and c.get("status") == "True"), None)


def _finished(status: Mapping[str, Any], ended: Mapping[str, Any]) -> float | None:
    last = _true_condition(status, "Complete", "Failed")
    return _time(
        ended.get("finishedAt") or status.get("completionTime") or (last or {}).get("lastTransitionTime")
    )


def _time(text: Any) -> float | None:
    return epoch(text) if text else None
