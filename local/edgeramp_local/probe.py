"""Node labels from a real look at this machine, under Node Feature Discovery's names.

NFD names CPU features as klauspost/cpuid does and leaves out those that every machine has; the kernel's
/proc/cpuinfo uses names of its own. `X86_FEATURES` and `ARM_FEATURES` translate.
"""

from __future__ import annotations

import platform
from pathlib import Path

from .config import NodeSpec

PREFIX = "feature.node.kubernetes.io/"

X86_FEATURES = {
    "adx": "ADX",
    "aes": "AESNI",
    "amx_bf16": "AMXBF16",
    "amx_fp16": "AMXFP16",
    "amx_int8": "AMXINT8",
    "amx_tile": "AMXTILE",
    "avx": "AVX",
    "avx2": "AVX2",
    "avx512_4fmaps": "AVX5124FMAPS",
    "avx512_4vnniw": "AVX5124VNNIW",
    "avx512_bf16": "AVX512BF16",
    "avx512_bitalg": "AVX512BITALG",
    "avx512_fp16": "AVX512FP16",
    "avx512_vbmi2": "AVX512VBMI2",
    "avx512_vnni": "AVX512VNNI",
    "avx512_vp2intersect": "AVX512VP2INTERSECT",
    "avx512_vpopcntdq": "AVX512VPOPCNTDQ",
    "avx512bw": "AVX512BW",
    "avx512cd": "AVX512CD",
    "avx512dq": "AVX512DQ",
    "avx512er": "AVX512ER",
    "avx512f": "AVX512F",
    "avx512ifma": "AVX512IFMA",
    "avx512pf": "AVX512PF",
    "avx512vbmi": "AVX512VBMI",
    "avx512vl": "AVX512VL",
    "avx_ifma": "AVXIFMA",
    "avx_ne_convert": "AVXNECONVERT",
    "avx_vnni": "AVXVNNI",
    "avx_vnni_int8": "AVXVNNIINT8",
    "cldemote": "CLDEMOTE",
    "fma": "FMA3",
    "fma4": "FMA4",
    "fsrm": "FSRM",
    "gfni": "GFNI",
    "hypervisor": "HYPERVISOR",
    "movbe": "MOVBE",
    "movdir64b": "MOVDIR64B",
    "movdiri": "MOVDIRI",
    "serialize": "SERIALIZE",
    "sha_ni": "SHA",
    "sse4a": "SSE4A",
    "vaes": "VAES",
    "vpclmulqdq": "VPCLMULQDQ",
    "waitpkg": "WAITPKG",
    "xsave": "XSAVE",
    "xsavec": "XSAVEC",
    "xsaveopt": "XSAVEOPT",
    "xsaves": "XSAVES",
}
ARM_FEATURES = {
    "aes": "AESARM",
    "asimd": "ASIMD",
    "asimddp": "ASIMDDP",
    "asimdhp": "ASIMDHP",
    "asimdrdm": "ASIMDRDM",
    "atomics": "ATOMICS",
    "crc32": "CRC32",
    "fp": "FP",
    "fphp": "FPHP",
    "sha1": "SHA1",
    "sha2": "SHA2",
    "sha3": "SHA3",
    "sha512": "SHA512",
    "sve": "SVE",
}
VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}


def parse_cpuinfo(text: str) -> dict[str, str]:
    """The first processor's fields of /proc/cpuinfo, names in lower case."""
    first = text.split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def cpu_features(cpuinfo: dict[str, str]) -> frozenset[str]:
    """The CPU's features under NFD's names."""
    if "flags" in cpuinfo:
        return frozenset(X86_FEATURES[flag] for flag in cpuinfo["flags"].split() if flag in X86_FEATURES)
    words = cpuinfo.get("features", "").split()
    return frozenset(ARM_FEATURES[word] for word in words if word in ARM_FEATURES)


def cpu_model(cpuinfo: dict[str, str]) -> dict[str, str]:
    """NFD's cpu-model labels: vendor, family and model number, each only where the kernel tells it."""
    vendor = cpuinfo.get("vendor_id", "")
    found = {
        "cpu-model.vendor_id": VENDORS.get(vendor, vendor),
        "cpu-model.family": cpuinfo.get("cpu family", ""),
        "cpu-model.id": cpuinfo.get("model", ""),
    }
    return {PREFIX + name: value for name, value in found.items() if value}


def machine_labels(cpuinfo_text: str, kernel: str) -> dict[str, str]:
    """Every label that this machine earns by itself."""
    cpuinfo = parse_cpuinfo(cpuinfo_text)
    labels = {f"{PREFIX}cpu-cpuid.{name}": "true" for name in sorted(cpu_features(cpuinfo))}
    labels.update(cpu_model(cpuinfo))
    version = kernel.split("-")[0].split(".")
    labels[f"{PREFIX}kernel-version.full"] = "".join(c if c.isalnum() or c in "-_." else "_" for c in kernel)[
        :63
    ]
    labels[f"{PREFIX}kernel-version.major"] = version[0]
    labels[f"{PREFIX}kernel-version.minor"] = version[1] if len(version) > 1 else "0"
    return labels


def own_labels(node: NodeSpec) -> dict[str, str]:
    """The labels that come from us and not from the machine."""
    return {
        "edgeramp.dev/hardware-class": node.hardware_class,
        "edgeramp.dev/measurement-host": "local",
    }


def node_labels(node: NodeSpec, machine: dict[str, str]) -> dict[str, str]:
    """All labels of a node: the machine's less those it withholds, and ours."""
    hidden = {f"{PREFIX}cpu-cpuid.{name}" for name in node.withheld}
    return {**{name: value for name, value in machine.items() if name not in hidden}, **own_labels(node)}


def this_machine() -> dict[str, str]:
    """Probe the machine that this process runs on."""
    return machine_labels(Path("/proc/cpuinfo").read_text(), platform.release())
