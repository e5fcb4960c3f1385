"""What this CPU really is. Names follow Node Feature Discovery (feature.node.kubernetes.io/cpu-cpuid.NAME)."""

from __future__ import annotations

import os
from pathlib import Path

from edgeramp.report.exit_codes import ExitCode
from edgeramp_harness.errors import JobError

_FLAGS = {
    "sse4_2": "SSE42",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA3",
    "f16c": "F16C",
    "avx512f": "AVX512F",
    "avx512bw": "AVX512BW",
    "avx512_vnni": "AVX512VNNI",
    "avx512_bf16": "AVX512BF16",
    "avx512_fp16": "AVX512FP16",
    "avx_vnni": "AVXVNNI",
    "avx_vnni_int8": "AVXVNNIINT8",
    "amx_tile": "AMXTILE",
    "amx_int8": "AMXINT8",
    "amx_bf16": "AMXBF16",
    "asimd": "ASIMD",
    "asimddp": "ASIMDDP",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
}
INT8_DOT = frozenset({"AVX512VNNI", "AVXVNNI", "AMXINT8", "ASIMDDP", "I8MM"})


def isa(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Instruction sets that matter to us, sorted."""
    flags: set[str] = set()
    for line in cpuinfo.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            flags = set(value.split())
            break
    return tuple(sorted(name for flag, name in _FLAGS.items() if flag in flags))


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The model name, or an empty string where the kernel has none (Arm)."""
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return ""


def require_isa(required: tuple[str, ...], have: tuple[str, ...]) -> None:
    """Exit 13 when the node's label promised what the CPU lacks."""
    missing = sorted(set(required) - set(have))
    if missing:
        raise JobError(
            ExitCode.HARDWARE_MISMATCH,
            f"the CPU of node {node_name() or '(unknown)'} lacks {', '.join(missing)}; "
            f"it has {', '.join(have) or 'none that we know'}. Correct the node's labels or the target's nodeSelector",
        )


def node_name() -> str:
    """From the downward API (NODE_NAME), else empty."""
    return os.environ.get("NODE_NAME", "")
