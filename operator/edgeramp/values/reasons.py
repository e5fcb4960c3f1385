"""Every reason that a condition, an event or a target's line may carry, with what it means and what to do.

One table for the reference page, for `edgeramp explain` and for the test that finds a reason nobody documented.
The remedy is empty where nothing has to be done.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """What a reason means, and the next step for a person (empty: none)."""

    meaning: str
    remedy: str = ""


_BY_ITSELF = "Nothing: it goes on by itself."

_SOURCE = {
    "Staging": Reason("Source and data are being copied into the operator's store."),
    "Staged": Reason("Source and data are in the store, named by digest."),
    "NotStaged": Reason("The assessment waits for the staging."),
    "Assessing": Reason("A Job reads the model's header and counts items and labels, without running it."),
    "Assessed": Reason("Format, size, operators and data are known."),
    "EnoughData": Reason("The certification split is large enough for the declared gates."),
    "DataMayNotDecide": Reason(
        "With this many items a model exactly as good as the original may still end Inconclusive.",
        "Add labelled items to the certification split, or lower what the gates demand of the answers.",
    ),
    "SourceFailed": Reason(
        "The source could not be staged or assessed; the message names the file.",
        "Mend what the message names, then change the spec or wait for the next try.",
    ),
    "SourceNotFound": Reason(
        "The registry or server has no such artifact.", "Correct `source.uri` or push the artifact."
    ),
    "SourceForbidden": Reason("Access was refused.", "Check the pull secret and its rights."),
    "SourceUnavailable": Reason("The registry or server does not answer; it is tried again.", _BY_ITSELF),
    "SourceUntrusted": Reason(
        "The server's certificate is not trusted.", "Give its authority as the chart's CA bundle."
    ),
    "UnsupportedSource": Reason("The kind of URI is not known.", "Use oci://, https:// or pvc://."),
    "UnexpectedFiles": Reason(
        "The artifact holds other files than its format has.", "Push the model's files alone, and name `format`."
    ),
    "UnsafePath": Reason(
        "An entry of the artifact would be written elsewhere.", "Do not use it; look at its origin."
    ),
    "PickleRefused": Reason(
        "The file is a Python pickle, which runs code when it is opened.",
        "Export to ONNX, OpenVINO IR, GGUF or safetensors.",
    ),
    "ExternalDataRefused": Reason(
        "The ONNX file points at weights outside its own folder.", "Save it with its external data beside it."
    ),
    "CorruptModel": Reason("The file is not what its format says.", "Push an intact copy."),
    "UnsupportedModel": Reason("No tool here can read or convert this model.", "See the message for the operator."),
    "SplitOverlap": Reason("Two data splits share items, so accuracy would flatter.", "Make the splits disjoint."),
    "CalibrationUnusable": Reason(
        "The data do not fit the model's inputs, or hold too little.", "Compare shapes, types and labels with the model."
    ),
    "UnknownMetric": Reason("The metric is not one of ours.", "Choose one that the message lists."),
    "DigestMismatch": Reason(
        "The bytes are not those that the digest names.", "Do not use them; find out who changed the artifact."
    ),
}  # fmt: skip

_JOBS = {
    "Succeeded": Reason("The Job ended well."),
    "JobFailed": Reason("The Job failed without an explanation of its own.", "Read the logs of its pod."),
    "BadSpec": Reason("The Job's own specification was refused.", "Report it, with the message."),
    "BadSummary": Reason("What the Job reported could not be read.", "Report it, with the logs of its pod."),
    "NoSummary": Reason("The pod ended without a report, as when a node dies; it is tried again.", _BY_ITSELF),
    "Interrupted": Reason("The pod was asked to stop; it is tried again.", _BY_ITSELF),
    "DeadlineExceeded": Reason(
        "The Job took longer than allowed, or found no room to start.",
        "Raise the chart's `jobs.deadlineSeconds`, or use a faster node; look at the Job's events for a quota that is full.",
    ),
    "BudgetSpent": Reason(
        "The tool did not come to an end in its time.", "Raise the chart's `jobs.deadlineSeconds`."
    ),
    "OutOfMemory": Reason(
        "The Job was killed for memory, twice with more each time.", "Raise the chart's `jobs.memory`, or use a smaller model."
    ),
    "PredictedOutOfResources": Reason(
        "There is no room for the files; nothing was started.", "Use a node with more disk."
    ),
    "ImageMissing": Reason(
        "An image cannot be pulled.", "Push it, or correct the chart's `image.registry` and `image.pullSecrets`."
    ),
    "Unschedulable": Reason("No node has room for the pod.", "Free CPU and memory, or look at taints and quota."),
    "HardwareMismatch": Reason(
        "A node's CPU lacks what its labels promise; another node is looked for.", "Correct the node's labels."
    ),
    "ToolCrashed": Reason(
        "The framework crashed; the candidate is out.", "Read the pod's log; report it to the tool."
    ),
    "ToolFailed": Reason("The framework refused the model; the candidate is out.", "Read the message."),
    "ToolMissing": Reason("The image lacks the tool for this recipe.", "Use the images of this release."),
    "RunnerCrashed": Reason("The process that runs the model died.", "Read the pod's log."),
    "Killed": Reason("A child process was killed.", "Read the pod's log; often memory."),
    "BadOutput": Reason("The candidate gives unusable answers; it is out."),
    "NotFinite": Reason("The candidate answers NaN or infinity; it is out."),
    "InferenceFailed": Reason("The candidate cannot answer an item of the data; it is out.", "Read the message."),
    "NotLoadable": Reason("The framework cannot load the file; the candidate is out.", "Read the message."),
    "NothingQuantized": Reason("The recipe found nothing to quantize, so the candidate would be the original."),
    "BaselineUseless": Reason(
        "The original itself answers no better than chance on the data.", "Check labels, preprocessing and the model."
    ),
    "BaselineSuspect": Reason(
        "The candidate is far better than the original, which more likely shows that the original was measured wrongly.",
        "Check the original: labels, preprocessing, and that its runtime computes in FP32.",
    ),
    "SigningKeyMissing": Reason("There is no key to sign with.", "Create the Secret that the message names."),
    "SigningKeyUnusable": Reason("The key cannot be read.", "Make it anew with `edgeramp keygen`."),
    "SigningFailed": Reason("The certificate could not be signed.", "Read the logs of the package Job."),
}  # fmt: skip

_MODEL = {
    "NoMatchingNode": Reason("No Ready node has the target's labels.", "Label a node, or correct `nodeSelector`."),
    "NoFramework": Reason("No framework serves this format on this hardware.", "See docs/concepts.md for the table."),
    "RunCreated": Reason("The target's OptimizationRun was made."),
    "Starting": Reason("The OptimizationRun has not reported yet."),
    "Optimizing": Reason("Candidates are prepared and measured."),
    "Certified": Reason("The winner passed every gate on data that no search saw, and is signed."),
    "NoCandidate": Reason(
        "No candidate passed every gate; the message says which gate each one missed.",
        "Relax a gate, add data, or accept what serves now.",
    ),
    "AwaitingApproval": Reason("`promotion: Manual`: somebody has to say yes.", "Annotate as the message says."),
    "BaselineFirst": Reason("Nothing serves yet: the original is served first, so that there is a stable side."),
    "RolloutCreated": Reason("The target's Rollout was made or changed."),
    "RollingOut": Reason("Traffic moves to the candidate."),
    "AllTargets": Reason("It holds for every target."),
    "InvalidSpec": Reason(
        "The spec cannot be understood, though the API server took it.", "Correct the named field."
    ),
    "ImageNotConfigured": Reason(
        "The operator was not told an image that it needs.", "Set the chart's `image` values."
    ),
}  # fmt: skip

_RUN = {
    "Preparing": Reason("Candidates are made."),
    "Measuring": Reason("Candidates are measured on the target's node."),
    "Certifying": Reason("The winner is judged on unseen data."),
    "Packaging": Reason("The winner is packed, signed and pushed."),
    "Searching": Reason("No candidate passed every gate so far."),
    "Judged": Reason("Every candidate has its verdicts."),
    "Infeasible": Reason("The candidate cannot be had here; its reason is in its line."),
    "Inconclusive": Reason(
        "The data do not decide within the budget or `maxDuration`.",
        "More data or time for a run; `promote` or `abort` for a ramp.",
    ),
    "NotNeeded": Reason("A candidate was left out, because another one already answers its question."),
    "Reference": Reason("The original, which others are compared with."),
    "MeasurementHostBusy": Reason(
        "Another measurement uses the machine: one at a time, or both would lie.", _BY_ITSELF
    ),
    "StoppingJobs": Reason("Jobs that nobody wants any more are stopped first.", _BY_ITSELF),
    "BackingOff": Reason("A failed Job is tried again after a wait.", _BY_ITSELF),
    "RunDeadlineExceeded": Reason("The run's own deadline passed.", "Name fewer `frameworks`, or use a faster node."),
    "BaselineChosen": Reason("The fastest FP32 was chosen to compare with."),
    "CandidateInfeasible": Reason("A candidate is out; the message says why."),
}  # fmt: skip

_ROLLOUT = {
    "Started": Reason("A ramp began."),
    "Adopted": Reason("What served before is taken as stable."),
    "Ramping": Reason("The ramp is under way."),
    "Healthy": Reason("The wanted revision has all traffic."),
    "Serving": Reason("Whatever gets requests has a ready replica."),
    "NothingServes": Reason("No revision gets requests yet.", _BY_ITSELF),
    "NoReadyReplica": Reason("A revision that gets requests has no ready replica.", "Look at its pods."),
    "ScaledToZero": Reason("`replicas` is 0.", "Scale up."),
    "StableUnavailable": Reason("No replica of stable is ready: no weight moves.", "Look at the pods of stable."),
    "CandidateNotAvailable": Reason("The candidate has too few ready replicas.", "Look at its pods if it stays."),
    "SettingRoute": Reason("The HTTPRoute is being written.", _BY_ITSELF),
    "SettingWeight": Reason("The gateway has not yet confirmed the weight.", _BY_ITSELF),
    "WeightSet": Reason("The weight in the HTTPRoute was changed."),
    "HeaderRouteSet": Reason("Requests with the step's header now go to the candidate, or no longer."),
    "MirrorSet": Reason("Copies of requests now go to the candidate, or no longer."),
    "AwaitingEvidence": Reason("The data do not decide yet.", _BY_ITSELF),
    "StepMinimum": Reason("Proven, but the least time at a weight is not over.", _BY_ITSELF),
    "StableScalingUp": Reason("A step takes requests back, and stable has too few replicas for them yet.", _BY_ITSELF),
    "HoldingAtFull": Reason("At 100 %; stable still stands by.", _BY_ITSELF),
    "CheckRunning": Reason("A check of `strategy.checks` has not passed yet.", _BY_ITSELF),
    "CheckFailed": Reason(
        "A check with a fixed threshold failed; the message has its measurements.", "Another artifact, or `retry`."
    ),
    "EvidenceUnavailable": Reason(
        "The replicas' counters, or what a check asks, cannot be read.", "Check the pods' metrics port and policies."
    ),
    "CollectingEvidence": Reason("Requests are being counted.", _BY_ITSELF),
    "NoData": Reason("No requests were counted yet.", "Send traffic, or wait for it."),
    "MetricsMissing": Reason("A metric has no data for too long.", "Check the pods' metrics port and policies."),
    "MetricHeld": Reason("A metric with `onFail: Hold` is out of tolerance.", "`promote` or `abort`."),
    "MaxDurationReached": Reason("The step's `maxDuration` passed without a proof.", "`promote` or `abort`."),
    "ProvenWithinMargin": Reason("The candidate is proven good enough for the next weight."),
    "PauseStep": Reason("A step without weight waits.", "`promote`, or wait for its time."),
    "Paused": Reason("`spec.paused` is true: nothing grows.", "Set `spec.paused` to false."),
    "Frozen": Reason(
        "All ramps of the cluster are frozen: nothing grows.",
        "Wait, or delete the ConfigMap edgeramp-freeze in the operator's namespace.",
    ),
    "WindowClosed": Reason(
        "No window of `strategy.windows` is open: nothing grows.", "Wait until the time that status names, or edit `windows`."
    ),
    "NotPaused": Reason("It is not paused."),
    "StepPromoted": Reason("Somebody promoted the step."),
    "PromotedInFull": Reason("Somebody promoted the candidate to 100 %."),
    "VerbRefused": Reason("An order was refused; the message says why.", "Look at the status and order anew."),
    "Retried": Reason("Somebody ordered another try of an aborted revision."),
    "Promoted": Reason("The candidate is stable now."),
    "FastPromoted": Reason("The candidate is stable now: somebody promoted it in full."),
    "RollbackRequested": Reason(
        "Somebody asked for an earlier revision; it is wanted in place of the spec's.",
        "Another artifact in the spec, or `edgeramp rollback NAME --to` the spec's revision.",
    ),
    "RollbackOver": Reason("The spec asks for another revision: a rollback by request is over."),
    "Superseded": Reason("A newer revision replaced the candidate."),
    "Aborted": Reason("Somebody aborted the ramp.", "`retry`, or another artifact."),
    "RolledBack": Reason(
        "The candidate was taken off by the evidence; its reason follows.", "Another artifact, or `retry`."
    ),
    "ToleranceExceeded": Reason("A metric is proven worse than its tolerance.", "Another artifact, or `retry`."),
    "CandidateOutage": Reason("The candidate answers next to nothing.", "Read the logs of its pods."),
    "CandidateLost": Reason(
        "The candidate lost its replicas or crashes again and again.", "Read the logs of its pods."
    ),
    "PromotedLost": Reason(
        "The promoted revision lost its replicas while stable stood by: back.", "Read its pods' logs."
    ),
    "ProgressDeadlineExceeded": Reason(
        "The candidate never became ready in time.", "Look at its pods, then `retry`."
    ),
    "GivenUpBefore": Reason("This artifact was aborted or rolled back before.", "`retry`, or another artifact."),
    "GatewayMissing": Reason("The Gateway is not there.", "Create it, or correct `route.gatewayRef`."),
    "RouteNotAccepted": Reason(
        "The Gateway refuses the HTTPRoute.", "Read the message: often a listener's hostnames."
    ),
    "RouteNotOurs": Reason("An HTTPRoute of that name belongs to somebody else.", "Rename one of them."),
    "HostnameTaken": Reason("An older Rollout has that hostname.", "Choose another hostname."),
}  # fmt: skip

_ADMISSION = {
    "Admitted": Reason("The artifact's certificate holds for this hardware class."),
    "NotLookedAt": Reason("The artifact was not looked at yet.", _BY_ITSELF),
    "Unknown": Reason("It could not be found out.", _BY_ITSELF),
    "AdmissionUnknown": Reason("The store could not be asked; nothing grows meanwhile.", _BY_ITSELF),
    "StoreUnavailable": Reason("The store does not answer.", "Look at the store's pod."),
    "NotAdmitted": Reason("The artifact may not serve; the condition Admitted says why.", "See that condition."),
    "NotCertified": Reason("The artifact has no certificate.", "Optimize it here, or record an override."),
    "CertificateExpired": Reason(
        "The certificate has ended.", "Optimize the model anew, or record an override; what serves goes on serving."
    ),
    "WronglyCertified": Reason(
        "The certificate is for another framework or precision than `server` says.", "Correct `server`."
    ),
    "ForeignHardware": Reason(
        "No node of the target promises the CPU features that it is certified for.",
        "Certify it for this class, choose other nodes, or record an override.",
    ),
    "NoPublicKey": Reason("The operator has no public key to check with.", "Set the chart's `signing.publicKeys`."),
    "BadSignature": Reason(
        "The signature does not match: forged or altered.", "Do not use it; find out who made it."
    ),
    "ArtifactMissing": Reason("The store has no such artifact.", "Restore the store, or optimize anew."),
    "AllowedUncertified": Reason("Served without a certificate, by a recorded override."),
}  # fmt: skip

_OPERATOR = {
    "InternalError": Reason(
        "The operator stumbled over this object and holds it.", "Report it, with the operator's log."
    ),
    "InvariantBroken": Reason("A decision was refused by the operator's own last check.", "Report it, with the log."),
}  # fmt: skip

REASONS: dict[str, dict[str, Reason]] = {
    "Sources and data": _SOURCE,
    "Jobs and candidates": _JOBS,
    "EdgeModel": _MODEL,
    "OptimizationRun": _RUN,
    "Rollout": _ROLLOUT,
    "Admission": _ADMISSION,
    "The operator": _OPERATOR,
}


def reason(name: str) -> Reason | None:
    """The entry of that name, None where there is none."""
    return next((group[name] for group in REASONS.values() if name in group), None)
