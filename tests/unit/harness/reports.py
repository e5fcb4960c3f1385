"""A certification report to render: figures like those of the digits example, names as hostile as a test wants them."""

from __future__ import annotations

from typing import Any

from edgeramp.report.certification import CertificationReport

PERCENTILES = [0.8 + 0.002 * p + (0.9 if p > 97 else 0.0) for p in range(101)]


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def contender(name: str, speedup: float, retention: float, verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "framework": name.split("-")[0], "precision": "int8", "technique": "ptq", "verdict": verdict,
        "message": f"{name}: why", "speedup": speedup, "speedupLower": 0.97 * speedup, "retention": retention,
        "retentionLower": retention - 0.006, "artifactBytes": 283_000, "reference": "ov-f32", **more,
    }  # fmt: skip


def body(model: str = "digits") -> dict[str, Any]:
    """As the package Job stores it."""
    quality = {
        "metric": "accuracy", "items": 1000, "reference": 0.982, "candidate": 0.981, "retention": 0.999, "lower": 0.9944,
        "marginLower": 0.043, "marginUpper": 0.052, "confidence": 0.975, "method": "bca",
    }  # fmt: skip
    return {
        "schema": "edgeramp.dev/certification-report/v1",
        "issuedAt": "2026-11-26T12:00:00Z", "expiresAt": "2027-11-26T12:00:00Z",
        "artifact": digest("a"), "sizeBytes": 283_000, "keyId": "c0ffee" * 10, "certified": True, "confidence": "0.95",
        "identity": {
            "model": model, "namespace": "default", "revision": "5d1f", "target": "vnni", "source": digest("b"),
            "candidate": "ov-ptq-int8", "framework": "openvino", "precision": "int8", "technique": "ptq",
            "reference": "ov-f32",
        },
        "findings": [
            {"gate": "accuracyRetention", "verdict": "Pass", "value": "0.9990", "bound": ">= 0.9944", "required": ">= 0.95"},
            {"gate": "speedup", "verdict": "Pass", "value": "2.71x", "bound": "2.66x to 2.75x", "required": ">= 2x"},
            {"gate": "memoryReduction", "verdict": "Pass", "value": "0.739", "bound": "", "required": ">= 0.5",
             "message": "artifact"},
            {"gate": "latencyVariation", "verdict": "Pass", "value": "0.021", "bound": "0.017 to 0.026", "required": "<= 0.1"},
        ],
        "looks": [{"candidate": "ov-ptq-int8", "alpha": "0.025", "verdict": "Pass", "quality": quality,
                   "message": "retention 0.9990 (bound 0.9944) on 1000 unseen items"}],
        "contenders": [
            contender("ort-f32", 0.8, 1.0, "Fail", reference=""),
            contender("ov-bf16", 1.33, 0.999, "Fail"),
            contender("ort-dynamic-int8", 0.89, 0.998, "Fail"),
            contender("ort-static-int8", 2.16, 1.0005, "Pass", frontier=True),
            contender("ov-weights-int8", 1.01, 0.9995, "Fail"),
            contender("ov-ptq-int8", 2.71, 0.9985, "Pass", frontier=True, chosen=True),
            contender("ov-accuracy-control-int8", 2.3, 0.9995, "Pass", frontier=True),
        ],
        "latency": {"referenceP50": 2.44, "candidateP50": 0.9, "candidateP90": 0.99, "candidateP95": 1.01,
                    "candidateP99": 1.9, "speedup": 2.71, "speedupLower": 2.66, "speedupUpper": 2.75, "rounds": 30,
                    "confidence": 0.95},
        "memory": {"artifact": 283_000, "artifactReference": 1_084_000, "incrementalRss": 9_100_000,
                   "incrementalRssReference": 15_200_000, "privateDirty": 5_000_000, "privateDirtyReference": 8_200_000},
        "environment": {"node": "worker-1", "cpuModel": "AMD EPYC", "isa": ["AVX2", "AVX512VNNI"], "threads": 1,
                        "versions": {"openvino": "2026.4.1"}, "effectivePrecision": "int8"},
        "gates": {"accuracyRetention": "0.95", "speedup": "2.0", "memoryReduction": "0.5"},
        "validity": {"isa": ["AVX512VNNI"], "nodeSelector": {"feature.node/AVX512VNNI": "true"},
                     "data": {"calibration": digest("d"), "selection": digest("e"), "certification": digest("f")},
                     "days": 365},
        "monitoring": [
            {"metric": "accuracy", "unit": "", "baseline": 0.981, "limit": 0.9329, "direction": "atLeast",
             "gate": "accuracyRetention"},
            {"metric": "latencyP50", "unit": "ms", "baseline": 0.9, "limit": 1.22, "direction": "atMost", "gate": "speedup"},
            {"metric": "artifact", "unit": "B", "baseline": 283_000, "limit": 542_000, "direction": "atMost",
             "gate": "memoryReduction"},
        ],
        "approval": {"basis": "gates", "record": "EdgeModel default/digits, status.verbs",
                     "command": "kubectl annotate edgemodel digits -n default edgeramp.dev/approve=5d1f"},
        "evidence": {"measure": digest("1"), "certify": digest("2")},
        "distribution": {"reference": [2.6 * p for p in PERCENTILES], "candidate": PERCENTILES},
        "classes": [
            {"label": str(n), "items": 90 + n, "reference": 0.985 - 0.003 * n, "candidate": 0.955 + 0.003 * n}
            for n in range(10)
        ],
    }  # fmt: skip


def report(model: str = "digits", **changes: Any) -> CertificationReport:
    """The same, parsed; `changes` replace top-level fields."""
    return CertificationReport.model_validate({**body(model), **changes})
